/** The mask that is being painted, as a bitmap over the picture. Only what the brush touched is drawn anew. */
import { CanvasLayer } from "./base";
import type { Bitmap } from "./bitmap";
import type { Box } from "./types";

const ALPHA = 128;

export class Overlay {
  readonly layer: CanvasLayer;
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d")!;
  #at: { x: number; y: number } | null = null;
  #ink: [number, number, number] = [255, 255, 255];

  constructor() {
    this.layer = new CanvasLayer("viewer-overlay", (context) => {
      if (!this.#at || !this.#canvas.width) return;
      context.imageSmoothingEnabled = false;
      context.drawImage(this.#canvas, this.#at.x, this.#at.y);
    });
  }

  /** Draw the mask, or an area of it (image pixels), in `color` (#rrggbb). */
  paint(bitmap: Bitmap, area: Box | null, color: string): void {
    const ink = [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16)) as [number, number, number];
    const whole = area === null || ink.some((v, i) => v !== this.#ink[i]);
    this.#ink = ink;
    const { x, y, width, height } = bitmap;
    if (whole) [this.#canvas.width, this.#canvas.height] = [width, height];
    this.#at = { x, y };
    const [x0, y0, x1, y1] = whole ? [0, 0, width, height] : [area[0] - x, area[1] - y, area[2] - x, area[3] - y];
    if (x1 > x0 && y1 > y0) this.#put(bitmap, x0, y0, x1, y1);
    this.layer.changed();
  }

  clear(): void {
    if (!this.#at) return;
    this.#at = null;
    this.#canvas.width = this.#canvas.height = 0;
    this.layer.changed();
  }

  #put({ width, bits }: Bitmap, x0: number, y0: number, x1: number, y1: number): void {
    const image = new ImageData(x1 - x0, y1 - y0);
    const [r, g, b] = this.#ink;
    for (let y = y0, i = 0; y < y1; y++) {
      for (let x = x0; x < x1; x++, i += 4) {
        if (!bits[y * width + x]) continue;
        image.data[i] = r;
        image.data[i + 1] = g;
        image.data[i + 2] = b;
        image.data[i + 3] = ALPHA;
      }
    }
    this.#context.putImageData(image, x0, y0);
  }
}
