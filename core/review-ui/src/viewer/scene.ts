/** What the live layer shows: which labels, how, and with what caption. */
import { classColor } from "../colors";
import { withGeometry } from "./geometry";
import { type Labels, lookOf, type Shown, visible } from "./labels";
import type { LiveShape } from "./live";
import { type Emphasis, fillOf } from "./styles";
import type { Entry, Key } from "./types";
import type { Mark, ToolInHand } from "./world";

export interface Focus {
  selected: Key | null;
  /** Labels that the bitmap below shows as they were. */
  stale: ReadonlySet<Key>;
  /** The mask that the brush shows itself. */
  painted: Key | null;
  /** Of what is drawn. */
  class: string;
}

/** Return the shapes of the live layer, the last on top. */
export function compose(labels: Labels, tool: ToolInHand, marks: readonly Mark[], focus: Focus): LiveShape[] {
  const { selected, stale, painted } = focus;
  const shapes: LiveShape[] = [];
  const add = (shown: Shown | undefined, emphasis: Emphasis): void => {
    if (!shown || shown.key === painted || !visible(shown.drawing)) return;
    shapes.push(shapeOf(labels, shown.entry, shown.drawing, emphasis));
  };
  for (const key of stale) if (key !== selected && key !== tool.hovered) add(labels.get(key), "passive");
  if (tool.hovered !== null && tool.hovered !== selected) add(labels.get(tool.hovered), "hovered");
  const draft = tool.draft;
  const shown = selected === null ? undefined : labels.get(selected);
  if (draft && shown) {
    const entry = { ...shown.entry, label: withGeometry(shown.entry.label, draft.geometry) };
    shapes.push(shapeOf(labels, entry, labels.draw(entry), "picked"));
  } else add(shown, "picked");
  for (const mark of marks) {
    if (mark.type !== "sketch") continue;
    const { kind, box, shape } = mark.geometry;
    const entry: Entry = { key: -1, open: false, label: { class: focus.class, kind, box, ...(shape && { shape }) } };
    shapes.push({ ...shapeOf(labels, entry, labels.draw(entry), "picked"), caption: "" });
  }
  return shapes;
}

function shapeOf(labels: Labels, entry: Entry, drawing: Shown["drawing"], emphasis: Emphasis): LiveShape {
  return {
    drawing,
    color: classColor(labels.schema, entry.label.class),
    look: lookOf(entry),
    emphasis,
    fill: fillOf(entry.label.kind, entry.open),
    caption: emphasis === "passive" ? "" : captionOf(entry),
  };
}

/** Return a line about a label: its class, its track, and the score unless a person gave it. */
function captionOf({ label }: Entry): string {
  const track = (label.track ?? -1) >= 0 ? ` #${label.track}` : "";
  const score = label.score !== undefined && label.score < 1 ? ` ${label.score.toFixed(2)}` : "";
  return `${label.class}${track}${score}`;
}
