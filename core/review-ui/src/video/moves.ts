/** Go about a clip: to other tracks, to keyframes, to what a rule doubts. */
import { app } from "../app.svelte";
import { nextKeyframe } from "./tracks";
import { trackKey } from "./selection";
import type { ClipState } from "./state.svelte";

/** Go to the next track, least sure first; false after the last one, so that Tab leaves the picture. */
export function cycle(clip: ClipState, way: 1 | -1): false | void {
  const order = clip.left.length ? clip.left : clip.tracks;
  const at = order.findIndex((track) => track.id === clip.track?.id);
  const next = at >= 0 ? order[at + way] : way > 0 ? order[0] : order.at(-1);
  if (!next) return false;
  clip.choose(next);
}

/** Go to the keyframe of the selected track before or after this frame. */
export function keyframe(clip: ClipState, way: 1 | -1): void {
  const to = clip.track ? nextKeyframe(clip.track, clip.frame, way) : undefined;
  if (to !== undefined) clip.seek(to);
  else app.announce(clip.track ? "No further keyframe." : "Select a track first.");
}

/** Go to the next frame that a rule doubts, open ones first: of the selected track, else of any. */
export function suspect(clip: ClipState, way: 1 | -1): void {
  const all = clip.tracks.flatMap((track) => track.suspects.map((one) => ({ ...one, track: track.id })));
  const open = all.filter((one) => one.open);
  const list = (open.length ? open : all).sort((a, b) => a.frame - b.frame || a.track - b.track);
  const here = clip.track?.id ?? -1;
  const order = (one: { frame: number; track: number }) => one.frame - clip.frame || one.track - here;
  const next = way > 0 ? list.find((one) => order(one) > 0) : list.findLast((one) => order(one) < 0);
  const found = next ?? (way > 0 ? list[0] : list.at(-1));
  if (!found) return app.toast("No rule doubts a track of this clip.");
  clip.select(trackKey(found.track));
  clip.seek(found.frame);
  app.announce(`${found.reason.replaceAll("_", " ")}, track ${found.track}, frame ${found.frame}`);
}

/** Mark the next track to merge with. */
export function candidate(clip: ClipState, way: 1 | -1): void {
  const others = clip.tracks.filter((track) => track.id !== clip.track?.id);
  const at = others.findIndex((track) => track.id === clip.partner);
  if (others.length) clip.partner = others[(at + way + others.length) % others.length]!.id;
}
