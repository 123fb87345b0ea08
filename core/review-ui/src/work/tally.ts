/** How far the labels that were asked about are. */
import type { Entry } from "./work";

export interface Tally {
  right: number;
  wrong: number;
  unsure: number;
  /** Taken away, or changed since. */
  gone: number;
  open: number;
}

/** Count the labels of an item by their answers. `asked`: how many were open when the item came. */
export function tally(entries: readonly Entry[], asked: number): Tally {
  const count = (test: (entry: Entry) => boolean): number => entries.filter(test).length;
  const [right, wrong, unsure] = (["accepted", "wrong", "unsure"] as const).map((mark) =>
    count((entry) => entry.mark === mark),
  ) as [number, number, number];
  const open = count((entry) => entry.open);
  return { right, wrong, unsure, open, gone: Math.max(0, asked - right - wrong - unsure - open) };
}
