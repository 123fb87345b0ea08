/** What is selected, and what is asked about it. */
import { KINDS, NO_TRACK, type Mark } from "./clip";
import type { ClipEvent } from "./events";
import type { Track } from "./tracks";

/** Selected labels have keys as in the viewer: of a track one above its number, of a label without a track below 0. */
export const trackKey = (track: number): number => track + 1;
export const rowKey = (row: number): number => -1 - row;
export const trackOf = (key: number | null): number => (key !== null && key > 0 ? key - 1 : NO_TRACK);
export const rowOf = (key: number | null): number => (key !== null && key < 0 ? -1 - key : -1);

/** Deny an event that others confirmed, or remove it. */
export type Denial = "Deny" | "Remove";

/** What the person is asked now. */
export type Question =
  | { about: "event"; event: ClipEvent }
  | { about: "denial"; event: ClipEvent; word: Denial }
  | { about: "track"; track: Track }
  | { about: "label"; mark: Mark }
  | { about: "frame"; open: number }
  | { about: "nothing" }
  | { about: "done" };

/** Return the kind of the label that is selected, of any frame of its track; of what is drawn next where none is. */
export function kindNow(mark: Mark | null, rows: readonly Track[], key: number | null): string {
  const one = mark ?? rows.find(({ id }) => id === trackOf(key))?.spots[0]?.mark;
  return one ? (KINDS[one.kind] ?? "box") : "box";
}

/** Merging: the other track is to be chosen, or which boxes to keep. */
export type Merging = null | { step: "choose" } | { step: "keep"; a: number; b: number; frames: readonly number[] };
