/** How a label stands, in one word that the lists show. */
import type { Entry } from "./work";

export type Standing = "open" | "right" | "wrong" | "unsure" | "new" | "changed" | "settled";

/** Return how a label stands; `changed` tells whether it is not what the annotation says. */
export function standing(entry: Entry, changed: boolean): Standing {
  if (entry.mark) return ({ accepted: "right", wrong: "wrong", unsure: "unsure" } as const)[entry.mark];
  if (changed) return entry.row === null ? "new" : "changed";
  return entry.open ? "open" : "settled";
}
