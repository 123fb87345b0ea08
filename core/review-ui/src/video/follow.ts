/** Let what names a track follow it to another number; see `mentions.ts`. */
import { factsOf, TAG } from "./clip";
import type { EditStep, Film, Mark, Step } from "./clip";
import { participantsOf, PARTICIPANTS } from "./mentions";

const NOTHING: EditStep = { action: "edit", put: new Map(), add: [], drop: [] };

/**
 * Add to `steps` that what names track `old` names `now`: in their frames, and where an event from frame `from` on may name it. Of an
 * event it is only known who takes part in any of its frames: the server passes over the others.
 */
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
  film.frames.forEach(({ marks, asks, lane, outcome }, i) => {
    // Where people's answers are compared, or nothing is said to be there, nothing changes for the sake of a number alone.
    const free = !asks && lane !== "adjudicate" && lane !== "second" && outcome !== "reject";
    const step = steps.get(i) ?? (i >= from && free && marks.some(names) ? NOTHING : null);
    if (step) all.set(i, { ...step, renumber });
  });
  return all;
}
