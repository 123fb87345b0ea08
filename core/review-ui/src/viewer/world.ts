/** What a tool can see and do: the seam between the tools, which know nothing of OpenLayers, and the viewer. */
import type { Entry, Geometry, Key, Point, Size } from "./types";

export interface World {
  readonly size: Size;
  /** Image pixels per CSS pixel. */
  readonly scale: number;
  readonly selected: Key | null;
  /** Names of the keypoints of the class at hand, in order. */
  readonly keypoints: readonly string[];
  /** Radius of the brush in image pixels. */
  brush: number;
  /** The middle of what is in view, and how much of the image that is, in image pixels. */
  view(): { centre: Point; width: number; height: number };
  entry(key: Key): Entry | undefined;
  /** The labels at a point, the one to select first. */
  at(p: Point): Key[];
  /** p snapped to other shapes (if that is on) and to the border of the image; never outside. */
  snap(p: Point, except?: Key | null): Point;
  select(key: Key | null): void;
  edit(key: Key, geometry: Geometry, step: number): void;
  draw(geometry: Geometry): void;
  /** Put the tool away: back to select. */
  leave(): void;
  /** Bring an image point into view. */
  reveal(p: Point): void;
  /** What the tool draws or says has changed. */
  changed(): void;
}

/** A press of the pointer or where it is: `p` in the image, snapped by nobody. */
export interface Pointer {
  p: Point;
  shift: boolean;
  alt: boolean;
}

/** A key press; `key` as in KeyboardEvent, letters in lower case. */
export interface Press {
  key: string;
  shift: boolean;
  alt: boolean;
  /** Ctrl, or Meta on a Mac. */
  ctrl: boolean;
}

/** What a tool shows on top of the labels. */
export type Mark =
  | { type: "sketch"; geometry: Geometry }
  | { type: "handles"; points: Point[]; active: Point | null; knob: Point | null; stem: Point | null }
  | { type: "ghost"; at: Point }
  | { type: "cross"; at: Point }
  | { type: "circle"; at: Point; radius: number; erase: boolean };

export interface ToolInHand {
  readonly hint: string;
  readonly drawing: boolean;
  /** The shape of a label while it is being changed. */
  readonly draft: { key: Key; geometry: Geometry } | null;
  readonly hovered: Key | null;
  /** The CSS cursor. */
  readonly cursor: string;
  /** Return true to take the drag that begins; otherwise it moves the view. */
  down(at: Pointer): boolean;
  drag(at: Pointer): void;
  /** `still`: the pointer did not move since it went down. */
  up(at: Pointer, still: boolean): void;
  /** A press and release on one place that `down` did not take. */
  click(at: Pointer): void;
  double(at: Pointer): void;
  /** The pointer moved without a press, or left (null). */
  hover(at: Pointer | null): void;
  /** Return true if the key meant something. */
  key(press: Press): boolean;
  /** Give up what is under way. */
  cancel(): void;
  marks(): Mark[];
  /** A label was selected or changed from outside. */
  sync(): void;
  drop(): void;
}

/** Return how far an arrow key goes: `unit` pixels, ten times that with Shift; null for other keys. */
export function arrow({ key, shift }: Press, unit = 1): Point | null {
  const far = shift ? 10 * unit : unit;
  switch (key) {
    case "arrowleft":
      return [-far, 0];
    case "arrowright":
      return [far, 0];
    case "arrowup":
      return [0, -far];
    case "arrowdown":
      return [0, far];
    default:
      return null;
  }
}
