/** The tool that selects labels and changes their shapes: by handles, by dragging the whole, and by arrow keys. */
import { dragged, edgeAt, enlarged, handleAt, handles, inserted, KNOB, nudged, removed, spun, toggled } from "./edit";
import { geometryOf, moved } from "./geometry";
import { distance, hits } from "./hit";
import { drawingOf } from "./shapes";
import type { Geometry, Key, Point } from "./types";
import { arrow, type Mark, type Pointer, type Press, type ToolInHand, type World } from "./world";

const REACH = 8; // CSS pixels from a handle or an edge
const SAME_PLACE = 5;
const TINY = 28; // no handles on what is smaller
const APART = 11; // handles nearer to each other than this are not all shown
const TURN = Math.PI / 180;
const ONE_GESTURE_MS = 1000;

interface Drag {
  key: Key;
  from: Geometry;
  start: Point;
  /** A handle; an edge, where a vertex comes in; or the whole shape. */
  on: { handle: number } | { after: number } | null;
  now: Geometry | null;
}

export class SelectTool implements ToolInHand {
  readonly drawing = false;
  hovered: Key | null = null;
  cursor = "";
  #drag: Drag | null = null;
  #active: number | null = null;
  #shown: Key | null = null;
  #ghost: Point | null = null;
  #cursor: Point | null = null;
  #last: { p: Point; at: number } | null = null;
  #step = { number: 0, key: null as Key | null, active: null as number | null, at: 0 };

  constructor(readonly world: World) {}

  get hint(): string {
    const g = this.#geometry();
    if (!g) return "";
    const point = this.#active;
    if (g.kind === "keypoints" && point !== null && !g.shape[point]?.[2]) return `Click where ${this.#name(point)} is`;
    if (g.kind === "keypoints" && point !== null) return `${this.#name(point)}: arrows move it, Shift+V hides it`;
    return "";
  }

  get draft(): { key: Key; geometry: Geometry } | null {
    return this.#drag?.now ? { key: this.#drag.key, geometry: this.#drag.now } : null;
  }

  down({ p, alt, shift }: Pointer): boolean {
    const key = this.world.selected;
    const g = this.#geometry();
    if (key === null || !g) return false;
    const reach = this.#reach(g);
    const drag = (on: Drag["on"]): boolean => {
      this.#drag = { key, from: g, start: p, on, now: null };
      return true;
    };
    const handle = shift && g.kind !== "rotated_box" ? null : handleAt(g, p, reach, this.world.scale);
    if (handle !== null && alt) {
      this.#remove(key, g, handle);
      return drag({ handle: -1 }); // the rest of this press means nothing more
    }
    if (handle !== null) {
      this.#activate(handle);
      return drag({ handle });
    }
    const edge = shift ? null : edgeAt(g, p, reach);
    if (edge) return drag({ after: edge.after });
    if (moved(g, 0, 0, this.world.size) && hits(this.#drawing(g), p, reach)) return drag(null);
    return false;
  }

  drag({ p, shift }: Pointer): void {
    const drag = this.#drag;
    if (!drag) return;
    const { size } = this.world;
    if (drag.on === null) {
      drag.now = moved(drag.from, p[0] - drag.start[0], p[1] - drag.start[1], size);
    } else if ("after" in drag.on) {
      drag.from = inserted(drag.from, drag.on.after, p, size);
      drag.on = { handle: drag.on.after + 1 };
      this.#active = drag.on.handle;
      return this.drag({ p, shift, alt: false });
    } else if (drag.on.handle >= 0) {
      const turning = drag.from.kind === "rotated_box" && drag.on.handle === KNOB;
      const to = turning ? p : this.world.snap(p, drag.key);
      drag.now = dragged(drag.from, drag.on.handle, to, size, shift ? 15 * TURN : 0);
    }
    this.#ghost = null;
    this.world.changed();
  }

  up({ p }: Pointer, still: boolean): void {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    if (drag.now && !still) this.#edit(drag.key, drag.now);
    else if (drag.on === null || "after" in drag.on) this.#pick(p);
    this.world.changed();
  }

  click({ p }: Pointer): void {
    const g = this.#geometry();
    const key = this.world.selected;
    if (key !== null && g?.kind === "keypoints" && this.#active !== null && !g.shape[this.#active]?.[2])
      this.#edit(key, dragged(g, this.#active, this.world.snap(p, key), this.world.size));
    else this.#pick(p);
  }

  double(): void {}

  hover(at: Pointer | null): void {
    this.#cursor = at?.p ?? null;
    const g = this.#geometry();
    const reach = this.#reach(g);
    const before = [this.#ghost, this.hovered, this.cursor];
    const onHandle = at && g && handleAt(g, at.p, reach, this.world.scale) !== null;
    this.#ghost = at && g && !onHandle && !at.alt && !at.shift ? (edgeAt(g, at.p, reach)?.at ?? null) : null;
    this.hovered = at ? (this.world.at(at.p)[0] ?? null) : null;
    const onIt = at && g && moved(g, 0, 0, this.world.size) && hits(this.#drawing(g), at.p, reach);
    this.cursor = onHandle || this.#ghost ? "grab" : onIt ? "move" : this.hovered === null ? "" : "pointer";
    if ([this.#ghost, this.hovered, this.cursor].some((now, i) => now !== before[i])) this.world.changed();
  }

  key(press: Press): boolean {
    if (press.key === "escape") return this.#escape();
    const key = this.world.selected;
    const g = this.#geometry();
    if (key === null || !g) return false;
    const { size } = this.world;
    const by = arrow(press);
    if (by) {
      const next = press.ctrl
        ? enlarged(g, by[0], by[1], size)
        : press.alt
          ? spun(g, (by[0] || by[1]) * TURN, size)
          : nudged(g, this.#active, by[0], by[1], size);
      if (!next) return false;
      this.#edit(key, next, true);
      return true;
    }
    if (press.ctrl || press.alt) return false;
    const points = handles(g, this.world.scale);
    if (press.key === "v" && points.length) {
      const toggle = press.shift && this.#active !== null ? toggled(g, this.#active, size) : null;
      if (toggle) this.#edit(key, toggle);
      else this.#cycle(points, press.shift ? -1 : 1);
      return true;
    }
    if (this.#active === null) return false;
    if (press.key === "delete" || press.key === "backspace") return this.#remove(key, g, this.#active);
    const at = points[this.#active];
    if (press.key === "insert" && at && (g.kind === "polygon" || g.kind === "polyline")) {
      const next = points[(this.#active + 1) % points.length]!;
      this.#edit(key, inserted(g, this.#active, [(at[0] + next[0]) / 2, (at[1] + next[1]) / 2], size));
      this.#activate(this.#active + 1);
      return true;
    }
    if (press.key === "enter" && !at && g.kind === "keypoints") {
      this.#edit(key, dragged(g, this.#active, [(g.box[0] + g.box[2]) / 2, (g.box[1] + g.box[3]) / 2], size));
      return true;
    }
    return false;
  }

  cancel(): void {
    this.#drag = null;
    this.world.changed();
  }

  marks(): Mark[] {
    const g = this.#drag?.now ?? this.#geometry();
    if (!g) return [];
    const all = handles(g, this.world.scale);
    const active = this.#active === null ? null : (all[this.#active] ?? null);
    const knob = g.kind === "rotated_box" ? (all[KNOB] ?? null) : null;
    const taken = new Set<string>();
    const points = all.filter((p): p is Point => {
      if (!p || p === active || p === knob) return false;
      const cell = p.map((v) => Math.round(v / (APART * this.world.scale))).join();
      return !taken.has(cell) && taken.add(cell).size > 0;
    });
    const [x0, y0, x1, y1] = g.box;
    const tiny = Math.max(x1 - x0, y1 - y0) < TINY * this.world.scale && g.kind !== "keypoints";
    const marks: Mark[] =
      all.length && (active || !tiny)
        ? [{ type: "handles", points, active, knob, stem: (knob && all[1]) ?? null }]
        : [];
    if (this.#ghost) marks.push({ type: "ghost", at: this.#ghost });
    return marks;
  }

  sync(): void {
    const key = this.world.selected;
    if (key !== this.#shown) [this.#active, this.#ghost, this.#shown] = [null, null, key];
    if (this.#drag && this.#drag.key !== key) this.#drag = null;
    this.hovered = this.#cursor && (this.world.at(this.#cursor)[0] ?? null); // other labels may lie there now
    const g = this.#geometry();
    if (this.#active !== null && this.#active >= (g ? handles(g, 1).length : 0)) this.#active = null;
  }

  drop(): void {
    this.#drag = null;
  }

  /** The shape of the selected label. */
  #geometry(): Geometry | null {
    const entry = this.world.selected === null ? undefined : this.world.entry(this.world.selected);
    return entry ? geometryOf(entry.label) : null;
  }

  /** How near is on a handle or an edge, in image pixels: less for what is tiny on the screen, so that it can still be moved. */
  #reach(g: Geometry | null): number {
    const reach = REACH * this.world.scale;
    if (g?.kind === "keypoints" && g.shape.length === 1) return reach; // a pin is as large on every scale
    return g ? Math.min(reach, Math.max(g.box[2] - g.box[0], g.box[3] - g.box[1], 4 * this.world.scale) / 4) : reach;
  }

  #drawing(g: Geometry): ReturnType<typeof drawingOf> {
    return drawingOf(g, { bones: [], intrinsics: null });
  }

  #edit(key: Key, g: Geometry, mayJoin = false): void {
    const now = performance.now();
    const { number, key: last, active, at } = this.#step;
    const joins = mayJoin && key === last && active === this.#active && now - at < ONE_GESTURE_MS;
    this.#step = { number: joins ? number : number + 1, key: mayJoin ? key : null, active: this.#active, at: now };
    this.world.edit(key, g, this.#step.number);
  }

  #remove(key: Key, g: Geometry, handle: number): boolean {
    const next = removed(g, handle, this.world.size);
    if (!next) return false;
    if (next.kind !== "keypoints") this.#active = null;
    this.#edit(key, next);
    return true;
  }

  /** Select what lies at p; on the same place again, what lies under it. */
  #pick(p: Point): void {
    const stack = this.world.at(p);
    const again = this.#last && distance(this.#last.p, p) <= SAME_PLACE * this.world.scale;
    const at = again && stack.length ? (this.#last!.at + 1) % stack.length : 0;
    this.#last = { p, at };
    this.world.select(stack[at] ?? null);
  }

  #cycle(points: readonly (Point | null)[], by: 1 | -1): void {
    const from = this.#active ?? (by > 0 ? -1 : 0);
    this.#activate((from + by + points.length) % points.length);
    const at = points[this.#active!];
    if (at) this.world.reveal(at);
  }

  #activate(handle: number): void {
    this.#active = handle;
    this.world.changed();
  }

  #escape(): boolean {
    if (this.#drag) this.cancel();
    else if (this.#active !== null) [this.#active] = [null];
    else if (this.world.selected !== null) this.world.select(null);
    else return false;
    this.world.changed();
    return true;
  }

  #name(point: number): string {
    return this.world.keypoints[point]?.replaceAll("_", " ") ?? `point ${point + 1}`;
  }
}
