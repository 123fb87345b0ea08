/** Let what names a track follow it to another number; see `mentions.ts`. */
import { factsOf, TAG } from "./clip";
import type { EditStep, Film, Mark, Step } from "./clip";
import { participantsOf, PARTICIPANTS } from "./mentions";

const NOTHING: EditStep = { action: "edit", put: new Map(), add: [], drop: [] };

/** Add to `steps` that what names track `old` names `now`: in their frames, and where an event from frame `from` on names it. */
export function followed(
  film: Film,
  steps: ReadonlyMap<number, EditStep>,
  old: number,
  now: number,
  from = 0,
): Map<number, Step> {
  const renumber = new Map([[old, now]]);
  const names = (mark: Mark) =>
    mark.kind === TAG && participantsOf(factsOf(film.told, mark)[PARTICIPANTS]).includes(old);
  const all = new Map<number, Step>();
  film.frames.forEach(({ marks, asks }, i) => {
    // Who is asked for an opinion there changes nothing.
    const step = steps.get(i) ?? (i >= from && !asks && marks.some(names) ? NOTHING : null);
    if (step) all.set(i, { ...step, renumber });
  });
  return all;
}
