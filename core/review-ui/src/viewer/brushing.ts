/** The tool that paints masks, at the resolution of the image. Alt erases; [ and ] change the size. */
import { paint } from "../mask/brush";
import { type Bitmap, bitmapOf, boxOf, emptyBitmap, grown, rleOf } from "./bitmap";
import { inside } from "./geometry";
import type { Box, Geometry, Key, Point } from "./types";
import { arrow, type Mark, type Pointer, type Press, type ToolInHand, type World } from "./world";

const LARGEST = 2000;
const FINER = 1.25;

export class BrushTool implements ToolInHand {
  readonly draft = null;
  readonly hovered = null;
  readonly cursor = "none";
  /** What is being painted. */
  bitmap: Bitmap = emptyBitmap();
  /** The mask that is painted on; null for one that is not a label yet. */
  #key: Key | null = null;
  #counts = "";
  #step = 1_000_000; // apart from the steps of the select tool
  #stroke: { last: Point; value: 0 | 1; before: Uint8Array } | null = null;
  #cursor: Point | null = null;
  #keyed = false;
  #alt = false;

  /** `onpaint`: a part of the bitmap changed (image pixels), or all of it. */
  constructor(
    readonly world: World,
    readonly onpaint: (area: Box | null) => void,
  ) {}

  get hint(): string {
    if (this.#keyed && this.#stroke) return "Arrows paint, Enter lifts the brush";
    return this.#key === null
      ? "Paint a new mask; Alt erases, [ and ] change the size"
      : "Paint on this mask; Alt erases, [ and ] change the size; Escape begins a new mask";
  }

  get drawing(): boolean {
    return this.#stroke !== null;
  }

  /** The label that the bitmap stands for. */
  get painted(): Key | null {
    return this.#key;
  }

  down({ p, alt }: Pointer): boolean {
    this.#keyed = false;
    this.#begin(p, alt);
    return true;
  }

  drag({ p }: Pointer): void {
    this.#to(p);
  }

  up(): void {
    this.#end();
  }

  click(): void {}

  double(): void {}

  hover(at: Pointer | null): void {
    if (this.#keyed && !at) return;
    this.#keyed = false;
    this.#cursor = at?.p ?? null;
    this.#alt = at?.alt ?? false;
    this.world.changed();
  }

  key(press: Press): boolean {
    const { world } = this;
    if (press.key === "[" || press.key === "]") {
      const radius = world.brush * (press.key === "]" ? FINER : 1 / FINER);
      world.brush = Math.min(LARGEST, Math.max(0.5, Math.round(radius * 10) / 10));
    } else if (press.key === "escape") {
      if (this.#stroke) this.cancel();
      else if (this.#key !== null) world.select(null);
      else world.leave();
    } else if (press.key === "enter") {
      if (this.#stroke) this.#end();
      else if (this.#keyed && this.#cursor) this.#begin(this.#cursor, press.alt);
      else if (this.#cursor && this.#key !== null) world.select(null);
      else if (this.#cursor)
        return false; // who paints with the mouse means the item
      else this.#walk([0, 0]);
    } else {
      const by = arrow(press, Math.max(1, Math.round(world.scale)));
      if (!by || press.ctrl) return false;
      this.#walk(by);
    }
    world.changed();
    return true;
  }

  cancel(): void {
    if (this.#stroke) {
      this.bitmap.bits.set(this.#stroke.before);
      this.#stroke = null;
      this.onpaint(null);
    }
    this.world.changed();
  }

  marks(): Mark[] {
    if (!this.#cursor) return [];
    const circle: Mark = { type: "circle", at: this.#cursor, radius: this.#radius, erase: this.#alt };
    return this.#keyed ? [circle, { type: "cross", at: this.#cursor }] : [circle];
  }

  /** Take the mask that is selected, if that is another one or changed. */
  sync(): void {
    const entry = this.world.selected === null ? undefined : this.world.entry(this.world.selected);
    const rle = entry?.label.kind === "mask" ? (entry.label.shape as { size: number[]; counts: string }) : null;
    const key = rle && entry ? entry.key : null;
    const counts = rle?.counts ?? "";
    const same = counts === this.#counts;
    this.#key = key;
    this.#counts = counts;
    if (same) return;
    this.#stroke = null;
    this.bitmap = rle ? bitmapOf(rle) : emptyBitmap();
    this.onpaint(null);
  }

  drop(): void {
    this.#stroke = null;
  }

  /** Draw all of it anew. */
  repaint(): void {
    this.onpaint(null);
  }

  get #radius(): number {
    return this.world.brush;
  }

  #begin(p: Point, erase: boolean): void {
    this.#cursor = p;
    this.#alt = erase;
    this.#grow(p);
    this.#stroke = { last: p, value: erase ? 0 : 1, before: this.bitmap.bits.slice() };
    this.#to(p);
  }

  /** Paint from where the brush was to p. */
  #to(p: Point): void {
    const stroke = this.#stroke;
    this.#cursor = p;
    if (!stroke) return;
    this.#grow(p);
    const { x, y, width, height, bits } = this.bitmap;
    const [from, to] = [stroke.last, p];
    const area = paint(bits, width, height, from[0] - x, from[1] - y, to[0] - x, to[1] - y, this.#radius, stroke.value);
    stroke.last = p;
    if (area.x1 > area.x0) this.onpaint([area.x0 + x, area.y0 + y, area.x1 + x, area.y1 + y]);
    this.world.changed();
  }

  /** Make the window large enough for the brush at p. */
  #grow([px, py]: Point): void {
    const old = this.bitmap;
    const r = this.#radius + 1;
    this.bitmap = grown(old, [px - r, py - r, px + r, py + r], this.world.size);
    if (this.bitmap === old) return;
    if (this.#stroke)
      this.#stroke.before = grown({ ...old, bits: this.#stroke.before }, whole(this.bitmap), this.world.size, 0).bits;
    this.onpaint(null);
  }

  #end(): void {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke) return;
    const box = boxOf(this.bitmap);
    if (!box) {
      // A mask can't be empty: what was there comes back.
      this.bitmap.bits.set(stroke.before);
      this.onpaint(null);
      return;
    }
    const shape = rleOf(this.bitmap, this.world.size);
    if (shape.counts === this.#counts) return;
    this.#counts = shape.counts;
    const geometry: Geometry = { kind: "mask", box, shape };
    if (this.#key !== null) this.world.edit(this.#key, geometry, this.#step++);
    else {
      this.world.draw(geometry);
      // Whoever listened may have made it a label and selected it; otherwise the next stroke begins another mask.
      this.sync();
      this.onpaint(null);
    }
  }

  #walk(by: Point): void {
    const from = this.#cursor ?? this.world.view().centre;
    this.#keyed = true;
    const to = inside([from[0] + by[0], from[1] + by[1]], this.world.size);
    this.world.reveal(to);
    this.#to(to);
  }
}

function whole({ x, y, width, height }: Bitmap): Box {
  return [x, y, x + width, y + height];
}
