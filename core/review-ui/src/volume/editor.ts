/** Change the selected mask of a volume: brush, eraser, fill, copy, interpolate. */
import type { Bits } from "../mask/bits";
import { fill, paint } from "../mask/brush";
import { between } from "../mask/interpolate";
import { ALONG, type Axis, planeSize, type Rect } from "../mask/planes";
import { apply, type Patch, PlaneEdit } from "../mask/undo";
import type { Key } from "../work/work";
import type { Masks } from "./masks";
import type { Scene } from "./scene";

export type Tool = "look" | "brush" | "erase" | "click";

const SMALLEST = 0.5; // mm, radius
const LARGEST = 100;
const STEP = 1.25; // of one press of [ or ]

interface Running {
  key: Key;
  edit: PlaneEdit;
  value: 0 | 1;
  last: { u: number; v: number };
}

/** What the tools are set to. */
export interface Settings {
  tool: Tool;
  /** Of the brush, in mm. */
  radius: number;
  /** The brush takes only values from low to high. */
  limited: boolean;
  low: number;
  high: number;
}

export class Editor {
  private now: Settings;
  private running: Running | null = null;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly scene: Scene,
    private readonly masks: Masks,
    /** Says of a label what it is called. */
    private readonly nameOf: (key: Key) => string,
    private readonly say: (text: string) => void,
  ) {
    masks.interrupt = () => this.cancel();
    const { center, width } = scene.window;
    const [low, high] = [Math.round(center - width / 2), Math.round(center + width / 2)];
    const { du, dv } = this.pixel("axial");
    this.now = { tool: "look", radius: 6 * Math.min(du, dv), limited: false, low, high };
  }

  get settings(): Readonly<Settings> {
    return this.now;
  }

  change(to: Partial<Settings>): void {
    const next = { ...this.now, ...to };
    next.radius = Math.min(LARGEST, Math.max(SMALLEST, next.radius));
    this.now = next;
    for (const listener of [...this.listeners]) listener();
  }

  /** Hear of changed settings; returns what ends that. */
  on(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  resize(steps: number): void {
    this.change({ radius: this.now.radius * STEP ** steps });
  }

  /** Begin a stroke at column u and row v of a plane; false if there is no mask to paint on. */
  begin(axis: Axis, k: number, u: number, v: number, erase: boolean): boolean {
    const target = this.target();
    if (!target) return false;
    this.running = { key: target.key, edit: new PlaneEdit(target.bits, axis, k), value: erase ? 0 : 1, last: { u, v } };
    this.move(u, v);
    return true;
  }

  move(u: number, v: number): void {
    if (!this.running) return;
    const { key, edit, value, last } = this.running;
    const { du, dv } = this.pixel(edit.axis);
    const values = this.now.limited && value ? this.scene.cache.get(edit.axis, edit.k) : null;
    const { low, high, radius } = this.now;
    const within = values ? (i: number) => values[i]! >= low && values[i]! <= high : undefined;
    const options = { within, aspect: dv / du };
    const area = paint(edit.bytes, edit.width, edit.height, last.u, last.v, u, v, radius / du, value, options);
    this.running.last = { u, v };
    this.show(key, edit, area);
  }

  end(): void {
    if (!this.running) return;
    const { key, edit, value } = this.running;
    this.running = null;
    const patch = edit.finish();
    if (patch) this.masks.commit(key, `${value ? "Paint" : "Erase"} ${this.nameOf(key)}`, [patch]);
  }

  /** Take back what a stroke did so far. */
  cancel(): void {
    const running = this.running;
    this.running = null;
    const patch = running?.edit.finish();
    if (!running || !patch) return;
    apply(running.edit.bits, [patch], "before");
    this.masks.touched([{ key: running.key, axis: patch.axis, k: patch.k, area: patch.area }], true);
  }

  /** Paint a dot at the cross, for who works by keys. */
  dot(erase: boolean): void {
    const { axis, k, u, v } = this.cross();
    if (this.begin(axis, k, u + 0.5, v + 0.5, erase)) this.end();
  }

  /** Fill the hole around a pixel of the main view, or the one at the cross; with the eraser, take the piece away. */
  fill(at: { u: number; v: number } = this.cross()): void {
    const target = this.target();
    if (!target) return;
    const { axis, k } = this.cross();
    const edit = new PlaneEdit(target.bits, axis, k);
    const value = this.now.tool === "erase" ? 0 : 1;
    const area = fill(edit.bytes, edit.width, edit.height, at.u, at.v, value);
    if (!area) return this.say("Nothing closes this region in: draw its outline first.");
    this.show(target.key, edit, area);
    const patch = edit.finish();
    if (!patch) return this.say(value ? "This is in the mask already." : "Nothing to take away here.");
    this.masks.commit(target.key, `${value ? "Fill" : "Clear"} ${this.nameOf(target.key)}`, [patch]);
  }

  /** Replace the mask on this plane of the main view by that of a neighbour, `step` planes away. */
  copy(step: -1 | 1): void {
    const target = this.target();
    if (!target) return;
    const { axis, k } = this.cross();
    const { width, height, planes } = planeSize(this.scene.size, axis);
    const from = k + step;
    const bytes = from >= 0 && from < planes ? target.bits.read(axis, from) : null;
    if (!bytes?.includes(1))
      return this.say(`${this.nameOf(target.key)} is not on the ${step < 0 ? "previous" : "next"} slice.`);
    const patch = this.replace(target.bits, axis, k, bytes, width, height);
    this.masks.commit(target.key, `Copy ${this.nameOf(target.key)}`, [patch]);
  }

  /** Fill the slices between painted ones, along the main view, by the shapes on either side of each gap. */
  interpolate(): void {
    const target = this.target();
    if (!target) return;
    const { axis } = this.cross();
    const { width, height, planes } = planeSize(this.scene.size, axis);
    const { du, dv } = this.pixel(axis);
    const patches: Patch[] = [];
    let last: { k: number; bytes: Uint8Array } | null = null;
    for (let k = 0; k < planes; k++) {
      const bytes = target.bits.read(axis, k);
      if (!bytes.includes(1)) continue;
      const gap = last ? k - last.k - 1 : 0;
      if (last && gap > 0) {
        const from = last.k;
        const shares = Array.from({ length: gap }, (_, i) => (i + 1) / (gap + 1));
        between(last.bytes, bytes, width, height, shares, dv / du).forEach((made, i) =>
          patches.push(this.replace(target.bits, axis, from + 1 + i, made, width, height)),
        );
      }
      last = { k, bytes };
    }
    if (!patches.length) return this.say("There is no gap between painted slices.");
    this.masks.commit(target.key, `Interpolate ${this.nameOf(target.key)}`, patches);
    this.say(`${patches.length} slices interpolated.`);
  }

  /** Return the plane and pixel of the main view under the cross. */
  cross(): { axis: Axis; k: number; u: number; v: number } {
    const { main: axis, at } = this.scene;
    const along = ALONG[axis];
    return { axis, k: at[along.k], u: at[along.u], v: at[along.v] };
  }

  /** Millimetres of a pixel along the columns and rows of a plane. */
  pixel(axis: Axis): { du: number; dv: number } {
    const mm = { z: this.scene.spacing[0]!, y: this.scene.spacing[1]!, x: this.scene.spacing[2]! };
    return { du: mm[ALONG[axis].u], dv: mm[ALONG[axis].v] };
  }

  private target(): { key: Key; bits: Bits } | null {
    const key = this.scene.selected;
    const bits = key === null ? null : this.masks.get(key);
    if (key === null || !bits) {
      this.say("Select a structure to paint on, or add a new one.");
      return null;
    }
    if (this.scene.invisible.has(key)) this.scene.see(key, true);
    return { key, bits };
  }

  private replace(bits: Bits, axis: Axis, k: number, bytes: Uint8Array, width: number, height: number): Patch {
    const area = { x0: 0, y0: 0, x1: width, y1: height };
    const before = bits.read(axis, k);
    bits.write(axis, k, area, bytes);
    return { axis, k, area, before, after: bytes };
  }

  private show(key: Key, edit: PlaneEdit, area: Rect): void {
    edit.touched(area);
    this.masks.touched([{ key, axis: edit.axis, k: edit.k, area }]);
  }
}
