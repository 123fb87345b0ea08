/** What is shown of a volume: where, through which window, which masks; the three views and the panels follow it. */
import type { Slices } from "../api/types";
import type { Bits } from "../mask/bits";
import { ALONG, AXES, type Axis, length, type Rect, type Size3, type Voxel } from "../mask/planes";
import type { Entry, Key } from "../work/work";
import type { SliceCache } from "./cache";
import type { Masks } from "./masks";
import { type Directions, type Placing, placings } from "./orientation";
import { Inks, type Layer } from "./painter";
import { auto, type Window } from "./windows";

/** Say what has to be drawn again: everything, one area, or planes that arrived; `at` moved the cross only. */
export type Redraw =
  | { what: "all" | "at" }
  | { what: "area"; axis: Axis; k: number; area: Rect }
  | { what: "planes"; axis: Axis; first: number; last: number };

export class Scene {
  readonly size: Size3;
  readonly placings: Record<Axis, Placing>;
  /** Millimetres along slices, y and x; of 1 where nothing is known. */
  readonly spacing: readonly number[];
  readonly slices: Slices;
  readonly inks = new Inks();

  at: Voxel;
  main: Axis = "axial";
  hidden = false;
  selected: Key | null = null;
  readonly invisible = new Set<Key>();
  private shown: Window;
  private entries: readonly Entry[] = [];
  private readonly listeners = new Set<(redraw: Redraw) => void>();

  constructor(
    readonly cache: SliceCache,
    readonly masks: Masks,
    private readonly colorOf: (name: string) => string,
  ) {
    const { slices } = cache;
    this.slices = slices;
    this.size = slices.shape as unknown as Size3;
    this.spacing = slices.spacing ?? [1, 1, 1];
    this.placings = placings(slices.directions as unknown as Directions | null);
    const [depth, height, width] = this.size;
    this.at = { x: width >> 1, y: height >> 1, z: depth >> 1 };
    this.shown = { center: slices.window[0], width: slices.window[1] };
    this.inks.window = this.shown;
    cache.onload = (axis, first, last) => this.tell({ what: "planes", axis, first, last });
    masks.onchange((touches) => {
      for (const { axis, k, area } of touches) this.tell({ what: "area", axis, k, area });
    });
  }

  /** Begin to fetch what is on the screen. */
  start(): void {
    this.cache.show(this.planes(), this.main);
  }

  get window(): Window {
    return this.shown;
  }

  /** Set the window; one of width 0 is found from the slice that is shown. */
  set window(window: Window) {
    const values = window.width > 0 ? null : this.cache.get(this.main, this.at[ALONG[this.main].k]);
    this.shown = window.width > 0 ? window : values ? auto(values) : this.shown;
    this.inks.window = this.shown;
    this.tell({ what: "all" });
  }

  /** Return the plane of each axis that is shown. */
  planes(): Record<Axis, number> {
    return { axial: this.at.z, coronal: this.at.y, sagittal: this.at.x };
  }

  /** Move the cross; what is outside the volume is moved to its border. */
  move(to: Partial<Voxel>): void {
    const next = { ...this.at, ...to };
    for (const along of ["x", "y", "z"] as const) {
      next[along] = Math.max(0, Math.min(length(this.size, along) - 1, Math.floor(next[along])));
    }
    const same = next.x === this.at.x && next.y === this.at.y && next.z === this.at.z;
    if (same) return;
    this.at = next;
    this.cache.show(this.planes(), this.main);
    this.tell({ what: "at" });
  }

  /** Go `steps` planes on in the main view. */
  step(steps: number): void {
    const across = ALONG[this.main].k;
    this.move({ [across]: this.at[across] + steps });
  }

  /** Make a view the large one; without a name, the next. */
  lead(axis: Axis = AXES[(AXES.indexOf(this.main) + 1) % 3]!): void {
    if (axis === this.main) return;
    this.main = axis;
    this.cache.show(this.planes(), axis);
    this.tell({ what: "all" });
  }

  hide(hidden: boolean): void {
    this.hidden = hidden;
    this.tell({ what: "all" });
  }

  see(key: Key, visible: boolean): void {
    if (visible) this.invisible.delete(key);
    else this.invisible.add(key);
    this.tell({ what: "all" });
  }

  /** Take the labels as they stand. */
  label(entries: readonly Entry[], selected: Key | null): void {
    this.entries = entries;
    this.selected = selected;
    this.tell({ what: "all" });
  }

  /** Return the masks to draw, the selected one on top. */
  layers(): Layer[] {
    if (this.hidden) return [];
    const layers: Layer[] = [];
    for (const { key, label } of this.entries) {
      const bits = this.invisible.has(key) ? null : this.masks.get(key);
      if (bits) layers.push({ bits, color: this.colorOf(label.class), selected: key === this.selected });
    }
    return layers.sort((a, b) => Number(a.selected) - Number(b.selected));
  }

  /** Return the labels whose mask holds a voxel, the selected one first. */
  under({ x, y, z }: Voxel): Entry[] {
    const found = this.entries.filter(({ key }) => this.masks.get(key)?.get(x, y, z) === 1);
    return found.sort((a, b) => Number(b.key === this.selected) - Number(a.key === this.selected));
  }

  /** Go to the slice where a mask is largest. */
  goTo(bits: Bits): void {
    const z = bits.voxels.indexOf(Math.max(...bits.voxels));
    if (!bits.voxels[z]) return;
    const [, height, width] = this.size;
    const plane = bits.read("axial", z);
    let [n, sx, sy] = [0, 0, 0];
    for (let i = 0; i < plane.length; i++)
      if (plane[i]) [n, sx, sy] = [n + 1, sx + (i % width), sy + Math.floor(i / width)];
    this.move({ x: Math.min(width - 1, sx / n), y: Math.min(height - 1, sy / n), z });
  }

  /** Hear what has to be drawn again; returns what ends that. */
  on(listener: (redraw: Redraw) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.listeners.clear();
    this.cache.onload = () => undefined;
  }

  private tell(redraw: Redraw): void {
    for (const listener of [...this.listeners]) listener(redraw);
  }
}
