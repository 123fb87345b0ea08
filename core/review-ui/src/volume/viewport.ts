/** From a plane to the screen and back: orientation, millimetres, zoom and pan. */
import type { Placing } from "./orientation";

export interface Spot {
  x: number;
  y: number;
}

const MOST = 64; // screen pixels of one pixel of the plane, at most

export class Viewport {
  /** Screen pixels per millimetre. */
  private scale = 1;
  /** The point of the plane at the middle of the screen, in pixels of the plane. */
  private middle: Spot;
  private screen = { width: 1, height: 1 };
  private fitted = true;

  /** `du`, `dv`: millimetres of a pixel along the columns and rows of a plane of `width` x `height`. */
  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly du: number,
    private readonly dv: number,
    private readonly placing: Placing,
  ) {
    this.middle = { x: width / 2, y: height / 2 };
  }

  resize(width: number, height: number): void {
    this.screen = { width: Math.max(1, width), height: Math.max(1, height) };
    if (this.fitted) this.fit();
  }

  fit(): void {
    this.fitted = true;
    this.scale = this.fitting();
    this.middle = { x: this.width / 2, y: this.height / 2 };
  }

  /** Return a, b, c, d, e, f of CSS's matrix(): x' = a u + c v + e, y' = b u + d v + f. */
  get matrix(): [number, number, number, number, number, number] {
    const { turned, flipU, flipV } = this.placing;
    const u = (flipU ? -1 : 1) * this.du * this.scale;
    const v = (flipV ? -1 : 1) * this.dv * this.scale;
    const [a, b, c, d] = turned ? [0, u, v, 0] : [u, 0, 0, v];
    const e = this.screen.width / 2 - a * this.middle.x - c * this.middle.y;
    const f = this.screen.height / 2 - b * this.middle.x - d * this.middle.y;
    return [a, b, c, d, e, f];
  }

  toScreen(u: number, v: number): Spot {
    const [a, b, c, d, e, f] = this.matrix;
    return { x: a * u + c * v + e, y: b * u + d * v + f };
  }

  toPlane(x: number, y: number): Spot {
    const [a, b, c, d, e, f] = this.matrix;
    const [dx, dy, det] = [x - e, y - f, a * d - b * c];
    return { x: (d * dx - c * dy) / det, y: (a * dy - b * dx) / det };
  }

  /** Zoom by `factor`, with the point at x, y of the screen staying where it is. */
  zoom(factor: number, x: number, y: number): void {
    const before = this.toPlane(x, y);
    const least = this.fitting();
    this.scale = Math.min(MOST / Math.min(this.du, this.dv), Math.max(least, this.scale * factor));
    this.fitted = this.scale === least;
    if (this.fitted) return this.fit();
    const after = this.toPlane(x, y);
    this.middle = this.kept(this.middle.x + before.x - after.x, this.middle.y + before.y - after.y);
  }

  /** Move the plane by dx, dy pixels of the screen. */
  pan(dx: number, dy: number): void {
    if (this.fitted) return;
    const from = this.toPlane(0, 0);
    const to = this.toPlane(dx, dy);
    this.middle = this.kept(this.middle.x + from.x - to.x, this.middle.y + from.y - to.y);
  }

  /** Bring a point of the plane into sight. Return whether it was out of it. */
  reveal(u: number, v: number): boolean {
    const { x, y } = this.toScreen(u, v);
    if (x >= 0 && y >= 0 && x <= this.screen.width && y <= this.screen.height) return false;
    this.middle = this.kept(u, v);
    return true;
  }

  /** Screen pixels of one pixel of the plane, along its columns and rows. */
  get pixel(): { u: number; v: number } {
    return { u: this.du * this.scale, v: this.dv * this.scale };
  }

  /** Return the step along the plane, in pixels of it, of a move to the right or down the screen. */
  step(right: number, down: number): { du: number; dv: number } {
    const { turned, flipU, flipV } = this.placing;
    const [u, v] = turned ? [down, right] : [right, down];
    return { du: flipU ? -u : u, dv: flipV ? -v : v };
  }

  private fitting(): number {
    const { width, height } = this.screen;
    const [w, h] = [this.width * this.du, this.height * this.dv];
    return this.placing.turned ? Math.min(width / h, height / w) : Math.min(width / w, height / h);
  }

  private kept(u: number, v: number): Spot {
    return { x: Math.min(this.width, Math.max(0, u)), y: Math.min(this.height, Math.max(0, v)) };
  }
}
