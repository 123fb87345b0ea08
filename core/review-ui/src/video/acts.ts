/** What a person does to the selected track or label, or draws; each is one gesture. */
import { app } from "../app.svelte";
import { called } from "../work/schema";
import { KINDS, Refusal } from "./clip";
import type { Box } from "./clip";
import * as edits from "./edits";
import { rowKey, trackKey } from "./selection";
import type { ClipState } from "./state.svelte";
import { span } from "./tracks";

/** Take the selected box in this frame away. */
export function remove(clip: ClipState): void {
  const { mark, track } = clip;
  if (!mark) return app.toast(track ? `Track ${track.id} has no box in this frame.` : "Select a label first.");
  clip.act((film) =>
    track ? edits.removeAt(film, track.id, clip.frame) : edits.answerRow(clip.frame, mark.row, "reject"),
  );
  if (!track) clip.key = null;
}

/** Make what follows from this frame on a track of its own. */
export function split(clip: ClipState): void {
  clip.withTrack((film, track) => edits.splitTrack(film, track.id, clip.frame));
}

/** Draw the boxes around this frame along a line between keyframes. */
export function interpolate(clip: ClipState): void {
  clip.withTrack((film, track) => {
    const between = span(track, clip.frame);
    if (!between) throw new Refusal(`Track ${track.id} has no keyframe on one side of this frame.`);
    return edits.interpolate(film, track.id, ...between);
  });
}

/** A label was drawn; returns the key to select. */
export function drawn(clip: ClipState, kind: string, box: Box, shape: unknown): number | null {
  const { track } = clip;
  const look = { kind: KINDS.indexOf(kind as (typeof KINDS)[number]), ...(shape !== null && { shape }) };
  const cls = app.schema.classes.findIndex((one) => one.name === clip.drawing);
  const tracked = app.schema.kinds.includes("track");
  const next = clip.film.nextTrack;
  const rows = clip.here.marks.length;
  const adds = track !== null && !clip.mark;
  const done = clip.act((film) =>
    adds
      ? edits.addKeyframe(film, track.id, clip.frame, box, look)
      : edits.newTrack(film, cls, new Map([[clip.frame, box]]), look, tracked),
  );
  if (!done) return null;
  clip.key = adds ? trackKey(track.id) : tracked ? trackKey(next) : rowKey(rows);
  return clip.key;
}

/** Give the selected track or label a class, or say what is drawn next. */
export function classify(clip: ClipState, name: string): void {
  const cls = app.schema.classes.findIndex((one) => one.name === name);
  const { mark, kind } = clip;
  const whole = clip.track?.id ?? clip.events.selected?.track;
  if ((mark || whole !== undefined) && !app.schema.classes[cls]!.kinds.includes(kind))
    return app.toast(`The class ${called(name)} is not for ${kind === "tag" ? "events" : `a ${called(kind)}`}.`);
  if (kind !== "tag") clip.drawing = name;
  if (whole !== undefined) clip.act((film) => edits.setClass(film, whole, cls));
  else if (mark) clip.act((film) => edits.changeRow(film, clip.frame, mark.row, { class: cls }));
}

/** Give the selected label another shape and box, in this frame alone. */
export function recut(clip: ClipState, box: Box, shape: unknown): void {
  const { mark } = clip;
  if (mark) clip.act((film) => edits.changeRow(film, clip.frame, mark.row, { box, shape, hand: true }));
}

/** Say from this frame on whether the track is hidden by something, if the schema knows that. */
export function occlude(clip: ClipState): void {
  const known = app.schema.attributes.some(
    (one) => one.name === "occluded" && one.type === "boolean" && one.scope === "label",
  );
  if (!known) return app.toast("The schema has no attribute called occluded.");
  const entry = clip.entries.find((one) => one.key === clip.key);
  const value = entry?.label.attributes?.["occluded"] !== true;
  clip.withTrack((film, track) =>
    edits.setAttribute(film, track.id, "occluded", value, clip.frame, film.frames.length - 1),
  );
}
