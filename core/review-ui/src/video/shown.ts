/** What is drawn of the labels of a frame. */
import type { Item, LabelRow, SchemaInfo } from "../api/types";
import { KINDS, NO_TRACK, roughLabel, type Frame, type Mark } from "./clip";
import { current } from "./fit";
import { TOLERANCE } from "./tracks";

const BOX = KINDS.indexOf("box");

/**
 * Return a label in full, with what was changed since its item came, from the item of this frame or of the one before; a box needs
 * none. Null where the shape is not known yet: nothing is better than a box that is none.
 */
export function shownLabel(detail: Item | null, here: Frame, mark: Mark, schema: SchemaInfo): LabelRow | null {
  const rough = mark.kind === BOX ? roughLabel(mark, (cls) => schema.classes[cls]?.name ?? "?") : null;
  if (detail?.id !== here.item) return rough;
  const alike = (label: LabelRow) => label.kind === KINDS[mark.kind];
  const row = detail.labels[mark.row];
  if (detail.state.annotation === here.annotation && row && alike(row)) return current(row, mark, schema);
  // The labels changed since: what has no track is known by where it is.
  const near = ({ box }: LabelRow) => box.every((v, i) => Math.abs(v - mark.box[i]!) < TOLERANCE);
  const known = detail.labels.find(
    (label) => alike(label) && (mark.track === NO_TRACK ? near(label) : label.track === mark.track),
  );
  return known ? current(known, mark, schema) : rough;
}
