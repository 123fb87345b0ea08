/** Names of steps, as the history shows them. */
import type { LabelRow } from "../api/types";
import { sameValue } from "./labels";

/** Say what was done to a label; null stands for a label that is not there. */
export function wordsFor(before: LabelRow | null, after: LabelRow | null): string {
  if (!before) return after ? `Added ${after.class}` : "";
  if (!after) return `Removed ${before.class}`;
  if (before.class !== after.class) return `Changed ${before.class} to ${after.class}`;
  if (before.kind !== after.kind || !sameValue(before.shape, after.shape) || !sameValue(before.box, after.box))
    return `Reshaped ${after.class}`;
  if ((before.track ?? -1) !== (after.track ?? -1)) return `Gave ${after.class} another track`;
  const names = new Set([...Object.keys(before.attributes ?? {}), ...Object.keys(after.attributes ?? {})]);
  const changed = [...names].filter((name) => !sameValue(before.attributes?.[name], after.attributes?.[name]));
  return `Set ${changed.join(", ")} of ${after.class}`;
}
