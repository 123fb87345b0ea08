/** Key presses as tools read them, and the keys that move the view. */
import type { Point } from "./types";
import { arrow, type Press } from "./world";

const ZOOM = 1.5;
const PAN = 80; // CSS pixels

/** Return a key press with letters in lower case, Meta as Ctrl. */
export function pressOf(event: KeyboardEvent): Press {
  return {
    key: event.key.toLowerCase(),
    shift: event.shiftKey,
    alt: event.altKey,
    ctrl: event.ctrlKey || event.metaKey,
  };
}

/** Say whether a held key may come again and again: only those that move something. */
export function mayRepeat({ key }: Press): boolean {
  return (
    key.startsWith("arrow") || key === "+" || key === "-" || key === "=" || key === "[" || key === "]" || key === "v"
  );
}

export interface Views {
  zoom(factor: number): void;
  pan(dx: number, dy: number): void;
  fit(): void;
}

/** Move the view: arrows, + and -, 0 for all of it. True if the key was one of these. */
export function moveView(press: Press, views: Views): boolean {
  if (press.ctrl || press.alt) return false;
  const by: Point | null = arrow(press);
  if (by) views.pan(Math.sign(by[0]) * PAN * (press.shift ? 4 : 1), Math.sign(by[1]) * PAN * (press.shift ? 4 : 1));
  else if (press.key === "+" || press.key === "=") views.zoom(ZOOM);
  else if (press.key === "-") views.zoom(1 / ZOOM);
  else if (press.key === "0") views.fit();
  else return false;
  return true;
}

/** Hand on the keys that reach an element, and where the pointer is over it: page coordinates, once a frame, null when it left. */
export function listen(
  element: HTMLElement,
  press: (event: KeyboardEvent) => boolean,
  pointer: (page: Point | null) => void,
): void {
  let at: Point | null = null;
  let frame = 0;
  const tell = (next: Point | null): void => {
    at = next;
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      pointer(at);
    });
  };
  element.addEventListener("keydown", (event) => {
    if (!press(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  element.addEventListener("pointermove", (event) => tell([event.clientX, event.clientY]));
  element.addEventListener("pointerleave", () => tell(null));
}
