/** Some boxes in full light, each with a thick line around it, and the rest of the picture dimmed. */
import { CanvasLayer } from "./base";
import type { Box, Size } from "./types";

export interface Lit {
  readonly box: Box;
  readonly color: string;
  readonly name: string;
}

const DIM = "rgba(0, 0, 0, 0.55)";
const MARGIN = 6; // CSS pixels around a box
const LINE = 3;
const TEXT = 13;

export class Spotlight {
  readonly layer: CanvasLayer;
  #lit: readonly Lit[] = [];
  #size: Size = { width: 0, height: 0 };

  constructor() {
    this.layer = new CanvasLayer("viewer-spotlight", (context, scale) => this.#paint(context, scale));
  }

  /** Light these; none means that all is in full light. */
  show(lit: readonly Lit[], size: Size): void {
    if (!lit.length && !this.#lit.length) return;
    this.#lit = lit;
    this.#size = size;
    this.layer.changed();
  }

  #paint(context: CanvasRenderingContext2D, scale: number): void {
    if (!this.#lit.length) return;
    const px = devicePixelRatio / scale; // image pixels that a CSS pixel covers
    const { width, height } = this.#size;
    context.fillStyle = DIM;
    context.fillRect(0, 0, width, height);
    for (const { box } of this.#lit) {
      const [x0, y0, x1, y1] = box;
      const room = MARGIN * px;
      const [left, top] = [Math.max(0, x0 - room), Math.max(0, y0 - room)];
      context.clearRect(left, top, Math.min(width, x1 + room) - left, Math.min(height, y1 + room) - top);
    }
    for (const { box, color, name } of this.#lit) {
      const [x0, y0, x1, y1] = box;
      const room = (MARGIN - LINE / 2) * px;
      const frame = [x0 - room, y0 - room, x1 - x0 + 2 * room, y1 - y0 + 2 * room] as const;
      for (const [line, ink] of [
        [LINE + 3, "rgba(0, 0, 0, 0.7)"],
        [LINE, color],
      ] as const) {
        // prettier-ignore
        context.lineWidth = line * px;
        context.strokeStyle = ink;
        context.strokeRect(...frame);
      }
      context.font = `600 ${TEXT * px}px system-ui, sans-serif`;
      const wide = context.measureText(name).width;
      const [x, y] = [frame[0], Math.max((TEXT + 6) * px, frame[1] - 3 * px)];
      context.fillStyle = "rgba(0, 0, 0, 0.8)";
      context.fillRect(x, y - (TEXT + 4) * px, wide + 10 * px, (TEXT + 6) * px);
      context.fillStyle = "#ffffff";
      context.fillText(name, x + 5 * px, y - 2 * px);
    }
  }
}
