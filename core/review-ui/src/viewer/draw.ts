/** The tools that draw a shape point by point. The keyboard is a second pointer: arrows move a crosshair, Enter clicks. */
import { enlarged, spun } from "./edit";
import { inside, isSpeck, makeBox, makeRotated, moved } from "./geometry";
import { distance } from "./hit";
import { type Sketch, sketchFor } from "./sketch";
import type { Geometry, Point, Tool } from "./types";
import { arrow, type Mark, type Pointer, type Press, type ToolInHand, type World } from "./world";

const NEAR = 8; // CSS pixels
const FREEHAND = 4;

export class DrawTool implements ToolInHand {
  readonly draft = null;
  readonly hovered = null;
  readonly cursor = "crosshair";
  #sketch: Sketch;
  #cursor: Point | null = null;
  /** The cursor is moved by arrow keys. */
  #keyed = false;
  /** The cursor did not move since a point was put there by Enter. */
  #put = false;
  #dragging = false;
  #freehand: Point | null = null;
  /** A box that the keyboard put in the middle, to be moved and resized. */
  #box: Geometry | null = null;

  constructor(
    readonly world: World,
    readonly tool: Tool,
  ) {
    this.#sketch = this.#fresh();
  }

  get hint(): string {
    return this.#box
      ? "Arrows move it, Ctrl+arrows resize it, Alt+arrows turn it, Enter keeps it, Escape drops it"
      : this.#sketch.hint;
  }

  get drawing(): boolean {
    return this.#sketch.started || this.#box !== null;
  }

  down({ p, shift }: Pointer): boolean {
    this.#box = null;
    this.#keyed = false;
    if (this.#sketch.drags) {
      const second = this.#sketch.started;
      this.#put_(this.#point(p));
      this.#dragging = !second;
      return true;
    }
    if (!shift || (this.tool !== "polygon" && this.tool !== "polyline")) return false;
    this.#freehand = inside(p, this.world.size);
    this.#put_(this.#freehand);
    return true;
  }

  drag({ p }: Pointer): void {
    if (this.#freehand) {
      this.#cursor = inside(p, this.world.size);
      if (distance(this.#cursor, this.#freehand) >= FREEHAND * this.world.scale) {
        this.#freehand = this.#cursor;
        this.#sketch.put(this.#cursor, 0);
      }
    } else this.#point(p);
    this.world.changed();
  }

  up({ p }: Pointer, still: boolean): void {
    if (this.#freehand && !still) this.#done(this.#sketch.finish());
    else if (this.#dragging && !still) this.#put_(this.#point(p));
    this.#freehand = null;
    this.#dragging = false;
  }

  click({ p, shift }: Pointer): void {
    this.#keyed = false;
    this.#put_(this.#point(p), shift);
  }

  double(): void {
    this.#done(this.#sketch.finish());
  }

  hover(at: Pointer | null): void {
    if (this.#keyed && !at) return;
    this.#keyed = false;
    if (at) this.#point(at.p);
    else this.#cursor = null;
    this.world.changed();
  }

  key(press: Press): boolean {
    switch (press.key) {
      case "escape":
        if (this.drawing) this.cancel();
        else this.world.leave();
        return true;
      case "enter":
        // Who draws with the mouse means the item by Enter, not a second pointer.
        if (this.#cursor && !this.#keyed && !this.drawing) return false;
        this.#enter();
        return true;
      case "backspace":
      case "delete":
        if (this.#box) this.#box = null;
        else if (!this.#sketch.back()) return false;
        this.world.changed();
        return true;
      case "n":
        if (this.tool !== "keypoints" || press.ctrl || press.alt) return false;
        this.#done(this.#sketch.skip());
        return true;
      default:
        return this.#box ? this.#shape(this.#box, press) : this.#walk(press);
    }
  }

  cancel(): void {
    this.#sketch = this.#fresh();
    this.#box = this.#freehand = null;
    this.#dragging = this.#put = false;
    this.world.changed();
  }

  marks(): Mark[] {
    const shown = this.#box ?? this.#sketch.preview(this.#cursor);
    const marks: Mark[] = shown ? [{ type: "sketch", geometry: shown }] : [];
    if (this.#cursor && !this.#box) marks.push({ type: this.#keyed ? "cross" : "ghost", at: this.#cursor });
    return marks;
  }

  sync(): void {}

  drop(): void {}

  #fresh(): Sketch {
    const sketch = sketchFor(this.tool, this.world.size, this.world.keypoints);
    if (!sketch) throw new RangeError(`${this.tool} is not drawn by points`);
    return sketch;
  }

  /** Take p as the place of the cursor, snapped, and return it. */
  #point(p: Point): Point {
    this.#cursor = this.world.snap(p);
    this.#put = false;
    return this.#cursor;
  }

  #put_(p: Point, hidden = false): void {
    this.#done(this.#sketch.put(p, NEAR * this.world.scale, hidden));
  }

  #done(shape: Geometry | null): void {
    if (shape) {
      this.cancel();
      if (!isSpeck(shape)) this.world.draw(shape);
    }
    this.world.changed();
  }

  #enter(): void {
    const boxes = this.tool === "box" || this.tool === "rotated_box";
    if (this.#box) this.#done(this.#box);
    else if (boxes && !this.#keyed && !this.#sketch.started) this.#box = this.#middle();
    else if (!this.#keyed && this.#sketch.started) this.#done(this.#sketch.finish());
    else if (!this.#keyed) this.#key(this.#cursor ?? this.world.view().centre);
    else if (this.#put) this.#done(this.#sketch.finish());
    else if (this.#cursor) {
      this.#put_(this.#cursor);
      this.#put = true;
    }
    this.world.changed();
  }

  /** Move the crosshair. */
  #walk(press: Press): boolean {
    const by = arrow(press, Math.max(1, Math.round(this.world.scale)));
    if (!by || press.ctrl || press.alt) return false;
    const from = this.#cursor ?? this.world.view().centre;
    this.#key([from[0] + by[0], from[1] + by[1]]);
    this.world.changed();
    return true;
  }

  #key(p: Point): void {
    this.#cursor = inside(p, this.world.size);
    this.#keyed = true;
    this.#put = false;
    this.world.reveal(this.#cursor);
  }

  /** Move, resize or turn the box that waits for Enter. */
  #shape(box: Geometry, press: Press): boolean {
    const by = arrow(press, Math.max(1, Math.round(this.world.scale)));
    if (!by) return false;
    const { size } = this.world;
    const next = press.ctrl
      ? enlarged(box, by[0], by[1], size)
      : press.alt
        ? spun(box, (Math.sign(by[0] || by[1]) * (press.shift ? 10 : 1) * Math.PI) / 180, size)
        : moved(box, by[0], by[1], size);
    this.#box = next ?? box;
    this.world.changed();
    return true;
  }

  #middle(): Geometry {
    const { centre, width, height } = this.world.view();
    const [x, y] = inside(centre, this.world.size);
    const [w, h] = [width / 4, height / 4];
    return this.tool === "box"
      ? makeBox([x - w / 2, y - h / 2], [x + w / 2, y + h / 2], this.world.size)
      : makeRotated([x, y, w, h, 0], this.world.size);
  }
}
