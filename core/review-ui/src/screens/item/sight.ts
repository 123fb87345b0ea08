/** Whether a label can be judged in the present view. */
import type { Viewer } from "../../viewer/viewer";

/** How large a label must be to be judged, as a share of the shorter side of the view. */
export const LEAST = 0.04;
/** And where one goes from one to the next on a map. */
export const CLOSE = 0.25;
const HALF = 0.5; // of the label, or of the view that it fills

/** Tell whether a box is large enough and mostly inside the view. */
export function inSight(
  viewer: Pick<Viewer, "element" | "pixelOf">,
  box: readonly [number, number, number, number],
  least = LEAST,
): boolean {
  const view = viewer.element.getBoundingClientRect();
  const [x0, y0] = viewer.pixelOf(box[0], box[1]);
  const [x1, y1] = viewer.pixelOf(box[2], box[3]);
  return judged({ x0, y0, x1, y1 }, { x0: view.left, y0: view.top, x1: view.right, y1: view.bottom }, least);
}

interface Rect {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

/** As `inSight`, of rectangles in pixels of the page. */
export function judged(label: Rect, view: Rect, least = LEAST): boolean {
  const [width, height] = [Math.max(label.x1 - label.x0, 1), Math.max(label.y1 - label.y0, 1)];
  const [wide, high] = [view.x1 - view.x0, view.y1 - view.y0];
  if (Math.max(width, height) < least * Math.min(wide, high)) return false;
  const across = Math.min(label.x0 + width, view.x1) - Math.max(label.x0, view.x0);
  const down = Math.min(label.y0 + height, view.y1) - Math.max(label.y0, view.y0);
  if (across <= 0 || down <= 0) return false;
  // A label larger than the view is judged by its outline, which must be in it.
  if (width > wide * 1.5 || height > high * 1.5) return false;
  return across * down >= HALF * Math.min(width, wide) * Math.min(height, high);
}
