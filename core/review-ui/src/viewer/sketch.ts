/**
 * Shapes while they are being drawn. A sketch takes points one by one, wherever they come from: clicks, a drag, or the keyboard.
 *
 * All in image pixels; points come clipped to the image, and snapped.
 */
import { ABSENT, HIDDEN, makeBox, makeKeypoints, makePolygon, makePolyline, makeRotated, VISIBLE } from "./geometry";
import { distance } from "./hit";
import { fromSide } from "./rotated";
import type { Geometry, Keypoint, Point, Size, Tool } from "./types";

export interface Sketch {
  /** Points that were put so far. */
  readonly started: boolean;
  /** What the next click does, in plain words. */
  readonly hint: string;
  /** A press begins the shape and the release ends it. */
  readonly drags: boolean;
  /** Take a point; return the shape if it is the last. `near`: how close to another point counts as on it. */
  put(p: Point, near: number, hidden?: boolean): Geometry | null;
  /** Leave the next point out; return the shape if it was the last. */
  skip(): Geometry | null;
  /** Take the last point back; false if there is none. */
  back(): boolean;
  /** Return the shape if there is enough of it. */
  finish(): Geometry | null;
  /** Return the shape as it would be with the cursor at `p`, or the piece of it that there is. */
  preview(p: Point | null): Geometry | null;
}

/** Return an empty sketch for a tool that draws by points. */
export function sketchFor(tool: Tool, size: Size, names: readonly string[]): Sketch | null {
  if (tool === "box") return new BoxSketch(size);
  if (tool === "rotated_box") return new RotatedSketch(size);
  if (tool === "polygon" || tool === "polyline") return new PathSketch(size, tool === "polygon");
  if (tool === "point") return new PointSketch(size);
  return tool === "keypoints" ? new PointsSketch(size, names) : null;
}

abstract class Points implements Sketch {
  protected points: Point[] = [];
  readonly drags: boolean = false;

  constructor(protected readonly size: Size) {}

  get started(): boolean {
    return this.points.length > 0;
  }

  back(): boolean {
    return this.points.pop() !== undefined;
  }

  skip(): Geometry | null {
    return null;
  }

  finish(): Geometry | null {
    return null;
  }

  abstract readonly hint: string;
  abstract put(p: Point, near: number, hidden?: boolean): Geometry | null;
  abstract preview(p: Point | null): Geometry | null;
}

class BoxSketch extends Points {
  override readonly drags = true;

  get hint(): string {
    return this.started ? "Click the opposite corner" : "Drag a box, or click two opposite corners";
  }

  put(p: Point): Geometry | null {
    const [first] = this.points;
    if (!first) this.points = [p];
    return first ? makeBox(first, p, this.size) : null;
  }

  preview(p: Point | null): Geometry | null {
    const [first] = this.points;
    return first && p ? makeBox(first, p, this.size) : null;
  }
}

class RotatedSketch extends Points {
  get hint(): string {
    return ["Click one end of a side", "Click the other end of this side", "Click the side across"][
      this.points.length
    ]!;
  }

  put(p: Point, near: number): Geometry | null {
    const [a, b] = this.points;
    if (a && b) return makeRotated(fromSide(a, b, p), this.size);
    if (!a || distance(a, p) > near) this.points.push(p);
    return null;
  }

  preview(p: Point | null): Geometry | null {
    const [a, b] = this.points;
    if (!a || !p) return null;
    return b ? makeRotated(fromSide(a, b, p), this.size) : makePolyline([a, p], this.size);
  }
}

class PathSketch extends Points {
  constructor(
    size: Size,
    private readonly closed: boolean,
  ) {
    super(size);
  }

  get hint(): string {
    if (!this.started) return "Click the first point; hold Shift and drag to draw freehand";
    if (!this.enough) return "Click the next point";
    return this.closed
      ? "Click the next point; Enter, double-click or the first point closes it; Backspace takes one back"
      : "Click the next point; Enter or double-click ends it; Backspace takes one back";
  }

  put(p: Point, near: number): Geometry | null {
    const first = this.points[0];
    const last = this.points[this.points.length - 1];
    if (this.closed && this.enough && distance(first!, p) <= near) return this.finish();
    if (last && distance(last, p) <= near / 4) return null; // the second half of a double click
    this.points.push(p);
    return null;
  }

  override finish(): Geometry | null {
    if (!this.enough) return null;
    return this.closed ? makePolygon([this.points], this.size) : makePolyline(this.points, this.size);
  }

  preview(p: Point | null): Geometry | null {
    if (!this.started) return null;
    const points = p ? [...this.points, p] : this.points;
    return this.closed && points.length > 2 ? makePolygon([points], this.size) : makePolyline(points, this.size);
  }

  private get enough(): boolean {
    return this.points.length >= (this.closed ? 3 : 2);
  }
}

class PointSketch extends Points {
  readonly hint = "Click where the point is; arrows move a cross, and Enter sets it there";

  put(p: Point): Geometry {
    return makeKeypoints([[...p, VISIBLE]], this.size);
  }

  preview(): Geometry | null {
    return null;
  }
}

class PointsSketch implements Sketch {
  readonly drags = false;
  private points: Keypoint[] = [];

  constructor(
    private readonly size: Size,
    private readonly names: readonly string[],
  ) {}

  get started(): boolean {
    return this.points.length > 0;
  }

  get hint(): string {
    const next = this.names[this.points.length];
    return next === undefined
      ? "This class has no keypoints"
      : `Click ${next.replaceAll("_", " ")}; with Shift if it is hidden, N if it is absent`;
  }

  put(p: Point, _near: number, hidden = false): Geometry | null {
    return this.take([...p, hidden ? HIDDEN : VISIBLE]);
  }

  skip(): Geometry | null {
    return this.take([0, 0, ABSENT]);
  }

  back(): boolean {
    return this.points.pop() !== undefined;
  }

  /** The points that were not asked for yet are absent. */
  finish(): Geometry | null {
    if (!this.points.some((p) => p[2] !== ABSENT)) return null;
    const rest = this.names.slice(this.points.length).map((): Keypoint => [0, 0, ABSENT]);
    return makeKeypoints([...this.points, ...rest], this.size);
  }

  preview(): Geometry | null {
    return this.started ? makeKeypoints(this.points, this.size) : null;
  }

  private take(point: Keypoint): Geometry | null {
    if (this.points.length >= this.names.length) return null;
    this.points.push(point);
    if (this.points.length < this.names.length) return null;
    const done = this.finish();
    if (!done) this.points = []; // all were skipped
    return done;
  }
}
