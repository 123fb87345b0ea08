/**
 * The slices of a volume, fetched when they are needed: what is on the screen first, then its neighbours, then the rest while
 * nothing else is to do. Once all axial slices are here, the other planes are cut from them.
 */
import type { Slices } from "../api/types";
import { AXES, type Axis, planeSize, type Size3 } from "../mask/planes";

const NEAR = 16; // slices fetched on either side of the one shown
const BATCH = 8; // slices of one request
export const LIMIT = 256 * 2 ** 20; // bytes kept

export interface CacheOptions {
  limit?: number;
  fetch?: (url: string, init: { signal: AbortSignal }) => Promise<Response>;
  /** Call back when the person pauses. */
  idle?: (then: () => void) => void;
}

type Shown = Readonly<Record<Axis, number>>;
interface Range {
  axis: Axis;
  first: number;
  last: number;
}

export class SliceCache {
  readonly size: Size3;
  /** Called with the planes that arrived. */
  onload: (axis: Axis, first: number, last: number) => void = () => {};
  /** Called with what went wrong; the cache tries again when something else is shown. */
  onerror: (message: string) => void = () => {};

  private readonly planes = new Map<string, Int16Array>(); // the one used last at the end
  private readonly limit: number;
  private readonly fetch: NonNullable<CacheOptions["fetch"]>;
  private readonly idle: (then: () => void) => void;
  private bytes = 0;
  private axial = 0;
  private shown: Shown = { axial: 0, coronal: 0, sagittal: 0 };
  private main: Axis = "axial";
  private running: { range: Range; abort: AbortController } | null = null;
  private closed = false;

  constructor(
    readonly slices: Slices,
    { limit = LIMIT, fetch = (url, init) => globalThis.fetch(url, init), idle = whenIdle }: CacheOptions = {},
  ) {
    this.size = slices.shape as unknown as Size3;
    this.limit = limit;
    this.fetch = fetch;
    this.idle = idle;
  }

  /** Return the values of a plane, row by row; null while it is not here. */
  get(axis: Axis, k: number): Int16Array | null {
    const key = `${axis} ${k}`;
    const kept = this.planes.get(key);
    if (kept) {
      this.planes.delete(key);
      this.planes.set(key, kept);
      return kept;
    }
    if (axis === "axial" || this.axial < this.size[0]) return null;
    const cut = this.cut(axis, k);
    this.keep(axis, k, cut);
    return cut;
  }

  /** Return the value of one voxel, if one of the planes through it is here. */
  value(x: number, y: number, z: number): number | null {
    const [, , width] = this.size;
    return (
      this.planes.get(`axial ${z}`)?.[y * width + x] ??
      this.planes.get(`coronal ${y}`)?.[z * width + x] ??
      this.planes.get(`sagittal ${x}`)?.[z * this.size[1] + y] ??
      null
    );
  }

  /** Say which planes are on the screen, and which axis leads; what is under way and no longer urgent is given up. */
  show(shown: Shown, main: Axis): void {
    this.shown = shown;
    this.main = main;
    const urgent = this.urgent();
    if (this.running && urgent) {
      const { axis, first, last } = this.running.range;
      if (urgent.axis !== axis || urgent.first < first || urgent.first > last) this.running.abort.abort();
    }
    void this.pump();
  }

  /** Return the share of axial slices that are here. */
  get progress(): number {
    return this.axial / this.size[0];
  }

  close(): void {
    this.closed = true;
    this.running?.abort.abort();
    this.planes.clear();
    this.bytes = this.axial = 0;
  }

  private async pump(): Promise<void> {
    if (this.running || this.closed) return;
    const range = this.urgent() ?? this.near();
    if (!range) {
      if (this.rest()) this.idle(() => void this.load(this.urgent() ?? this.near() ?? this.rest()));
      return;
    }
    await this.load(range);
  }

  private async load(range: Range | null): Promise<void> {
    if (!range || this.running || this.closed) return;
    const abort = new AbortController();
    this.running = { range, abort };
    let failed = false;
    try {
      const planes = await this.read(range, abort.signal);
      if (this.closed) return;
      planes.forEach((values, i) => this.keep(range.axis, range.first + i, values));
      this.onload(range.axis, range.first, range.last);
    } catch (error) {
      failed = !abort.signal.aborted;
      if (failed && !this.closed) this.onerror(error instanceof Error ? error.message : String(error));
    } finally {
      this.running = null;
    }
    if (!failed) void this.pump();
  }

  private async read({ axis, first, last }: Range, signal: AbortSignal): Promise<Int16Array[]> {
    const url = this.slices.url.replace("{axis}", axis).replace("{first}", `${first}`).replace("{last}", `${last}`);
    const answer = await this.fetch(url, { signal });
    if (!answer.ok) throw new Error(`The server did not give the slices (${answer.status}).`);
    const buffer = await answer.arrayBuffer();
    const { width, height } = planeSize(this.size, axis);
    const length = width * height;
    if (buffer.byteLength !== length * (last - first + 1) * 2)
      throw new Error("The slices do not have the size they should.");
    const values = new Int16Array(buffer);
    return Array.from({ length: last - first + 1 }, (_, i) => values.slice(i * length, (i + 1) * length));
  }

  private keep(axis: Axis, k: number, values: Int16Array): void {
    const key = `${axis} ${k}`;
    if (this.planes.has(key)) return;
    this.planes.set(key, values);
    this.bytes += values.byteLength;
    if (axis === "axial") this.axial++;
    for (const [old, plane] of this.planes) {
      if (this.bytes <= this.limit) break;
      const [name, index] = old.split(" ") as [Axis, string];
      if (old === key || this.shown[name] === +index) continue;
      this.planes.delete(old);
      this.bytes -= plane.byteLength;
      if (name === "axial") this.axial--;
    }
  }

  private cut(axis: Axis, k: number): Int16Array {
    const [depth, height, width] = this.size;
    const across = axis === "coronal" ? width : height;
    const out = new Int16Array(across * depth);
    for (let z = 0; z < depth; z++) {
      const slice = this.planes.get(`axial ${z}`)!;
      if (axis === "coronal") out.set(slice.subarray(k * width, (k + 1) * width), z * width);
      else for (let y = 0, i = k, to = z * height; y < height; y++, i += width) out[to + y] = slice[i]!;
    }
    return out;
  }

  private has(axis: Axis, k: number): boolean {
    return this.planes.has(`${axis} ${k}`) || (axis !== "axial" && this.axial === this.size[0]);
  }

  /** Return a plane that is on the screen and not here, that of the main view first. */
  private urgent(): Range | null {
    const axis = [this.main, ...AXES].find((one) => !this.has(one, this.shown[one]));
    return axis ? { axis, first: this.shown[axis], last: this.shown[axis] } : null;
  }

  private near(): Range | null {
    const { planes, width, height } = planeSize(this.size, this.main);
    const room = Math.floor(this.limit / (width * height * 2) / 2) - 1;
    return this.missing(this.main, this.shown[this.main], Math.min(NEAR, room), planes);
  }

  private rest(): Range | null {
    const [depth, height, width] = this.size;
    // What does not fit is fetched as it is shown; room is left for the other two planes.
    if ((depth * height * width + 2 * depth * (height + width)) * 2 > this.limit) return null;
    return this.missing("axial", this.shown.axial, depth, depth);
  }

  /** Return the planes nearest to `at` that are not here, up to `reach` away, as one run. */
  private missing(axis: Axis, at: number, reach: number, planes: number): Range | null {
    for (let away = 1; away <= reach; away++) {
      for (const step of [1, -1]) {
        const start = at + step * away;
        if (start < 0 || start >= planes || this.has(axis, start)) continue;
        let end = start;
        const inReach = (k: number): boolean => k >= 0 && k < planes && Math.abs(k - at) <= reach;
        while (Math.abs(end - start) < BATCH - 1 && inReach(end + step) && !this.has(axis, end + step)) end += step;
        return { axis, first: Math.min(start, end), last: Math.max(start, end) };
      }
    }
    return null;
  }
}

function whenIdle(then: () => void): void {
  if (typeof requestIdleCallback === "function") requestIdleCallback(then, { timeout: 1000 });
  else setTimeout(then, 100);
}
