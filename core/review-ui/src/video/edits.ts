/** What a person can do to tracks, each as one gesture; see `clip.ts`. What can't be done is a Refusal that says why. */
import { grouped, KINDS, NO_TRACK, Refusal, times } from "./clip";
import type { AnswerStep, Box, Change, EditStep, Film, Fresh, Gesture, Mark, Step } from "./clip";
import { followed } from "./follow";
import { between, keyframesOf, markAt, spotsOf } from "./tracks";
import type { Spot } from "./tracks";

const MOVES: ReadonlySet<number> = new Set([1, 2, 3, 4, 5]); // kinds whose shape can be moved and stretched

/** Both tracks have a box in these frames, so that merging them needs the choice which to keep. */
export class Overlap extends Refusal {
  constructor(
    readonly frames: readonly number[],
    a: number,
    b: number,
  ) {
    super(`Tracks ${a} and ${b} both have a box in ${count(frames.length, "frame")}.`);
  }
}

/** Give the boxes of a track from `frame` on to a new track, and its number to what names it there. */
export function splitTrack(film: Film, track: number, frame: number): Gesture {
  const after = spotsOf(film, track, frame);
  if (!after.length) throw new Refusal(`Track ${track} ends before this frame.`);
  if (after.length === spotsOf(film, track).length)
    throw new Refusal(`Track ${track} does not exist before this frame.`);
  const steps = put(after, () => ({ track: film.nextTrack }));
  return { label: `Split track ${track}`, steps: followed(film, steps, track, film.nextTrack, frame) };
}

/** Give the boxes of track `b`, and what names it, to track `a`; `keep` names the track whose box stays where both have one. */
export function mergeTracks(film: Film, a: number, b: number, keep?: number): Gesture {
  if (a === b) throw new Refusal("Choose another track to merge with.");
  const [mine, other] = [spotsOf(film, a), spotsOf(film, b)];
  if (!mine.length || !other.length) throw new Refusal(`There is no track ${mine.length ? b : a}.`);
  const taken = new Set(mine.map((spot) => spot.frame));
  const both = new Set(other.filter((spot) => taken.has(spot.frame)).map((spot) => spot.frame));
  if (both.size && keep !== a && keep !== b) throw new Overlap([...both], a, b);
  const steps = put(
    other.filter((spot) => keep === b || !both.has(spot.frame)),
    () => ({ track: a }),
  );
  for (const { frame, mark } of (keep === a ? other : mine).filter((spot) => both.has(spot.frame))) {
    const step = steps.get(frame) ?? { action: "edit", put: new Map(), add: [], drop: [] };
    steps.set(frame, { ...step, drop: [...step.drop, mark.row] });
  }
  return { label: `Merge tracks ${a} and ${b}`, steps: followed(film, steps, b, a) };
}

/**
 * Put the box of a track in one frame elsewhere. It becomes a keyframe: boxes that lay on the lines to the keyframes before and after
 * follow it; boxes that lay on no line stay.
 */
export function moveBox(film: Film, track: number, frame: number, box: Box, shape?: unknown): Gesture {
  const mark = markAt(film, track, frame);
  if (!mark) throw new Refusal(`Track ${track} has no box in this frame.`);
  if (shape === undefined) movable(mark);
  const clock = times(film);
  const spots = singles(spotsOf(film, track));
  const keys = keyframesOf(spots, clock);
  const here: Spot = { frame, mark: { ...mark, box: inside(film, box) } };
  const changes = new Map<Spot, Change>([
    [here, { box: here.mark.box, hand: true, ...(shape !== undefined && { shape }) }],
  ]);
  const at = new Map(spots.map((spot) => [spot.frame, spot]));
  for (const key of [keys.findLast((k) => k < frame), keys.find((k) => k > frame)]) {
    const [first, last] = key === undefined ? [0, 0] : [Math.min(key, frame) + 1, Math.max(key, frame) - 1];
    for (let i = first; i <= last && key !== undefined; i++) {
      const spot = at.get(i);
      // A gap lies between: nothing was on a line.
      if (!spot) break;
      changes.set(spot, { box: between(at.get(key)!.mark.box, here.mark.box, clock[key]!, clock[frame]!, clock[i]!) });
    }
  }
  return { label: `Move track ${track}`, steps: put([...changes.keys()], (spot) => changes.get(spot)!) };
}

/** Draw the boxes of a track between two frames that have one along a line: those there move, those missing are added. */
export function interpolate(film: Film, track: number, from: number, to: number): Gesture {
  const [a, b] = [markAt(film, track, from), markAt(film, track, to)];
  if (!a || !b || to - from < 1) throw new Refusal(`Track ${track} has no two keyframes to interpolate between.`);
  if (to - from < 2) throw new Refusal("There is no frame between these two.");
  movable(a);
  const clock = times(film);
  const steps = new Map<number, Step>();
  for (let frame = from + 1; frame < to; frame++) {
    const box = between(a.box, b.box, clock[from]!, clock[to]!, clock[frame]!);
    const mark = markAt(film, track, frame);
    if (mark) {
      movable(mark);
      if (mark.box.some((v, i) => v !== box[i])) steps.set(frame, edit(new Map([[mark.row, { box }]])));
    } else {
      const fresh = { class: a.class, track, kind: a.kind, box, like: { frame: from, row: a.row } };
      steps.set(frame, edit(new Map(), [fresh]));
    }
  }
  if (!steps.size) throw new Refusal("The boxes between lie on a line already.");
  return { label: `Interpolate track ${track}`, steps };
}

/** Take the boxes of a track away from `frame` on: it left the picture. */
export function removeFrom(film: Film, track: number, frame: number): Gesture {
  return dropped(`End track ${track}`, spotsOf(film, track, frame), `Track ${track} ends before this frame.`);
}

/** Take the box of a track in one frame away. */
export function removeAt(film: Film, track: number, frame: number): Gesture {
  return dropped(
    `Remove a box of track ${track}`,
    spotsOf(film, track, frame, frame),
    `Track ${track} has no box in this frame.`,
  );
}

/** Change one label, of whatever track. */
export function changeRow(film: Film, frame: number, row: number, change: Change): Gesture {
  const mark = film.frames[frame]?.marks.find((one) => one.row === row);
  if (!mark) throw new Refusal("There is no such label.");
  if (change.box && change.shape === undefined) movable(mark);
  // A cuboid lies in space; its box may be none.
  const flat = KINDS[mark.kind] !== "cuboid";
  const whole = change.box && flat ? { ...change, box: inside(film, change.box) } : change;
  return { label: "Change a label", steps: put([{ frame, mark }], () => whole) };
}

/** Answer one label, of whatever track. */
export function answerRow(frame: number, row: number, action: AnswerStep["action"]): Gesture {
  const words = {
    accept: "Accept a label",
    reject: "Remove a label",
    repair: "Label to repair",
    unsure: "Label unsure",
  };
  return { label: words[action], steps: new Map([[frame, { action, rows: [row] }]]) };
}

export function deleteTrack(film: Film, track: number): Gesture {
  return dropped(`Delete track ${track}`, spotsOf(film, track), `There is no track ${track}.`);
}

/** Give a class to all boxes of a track. */
export function setClass(film: Film, track: number, cls: number): Gesture {
  const spots = spotsOf(film, track).filter((spot) => spot.mark.class !== cls);
  if (!spots.length) throw new Refusal(`Track ${track} has this class already.`);
  return { label: `Class of track ${track}`, steps: put(spots, () => ({ class: cls })) };
}

/** Set an attribute of a track from one frame to another, both included; undefined takes it away. */
export function setAttribute(
  film: Film,
  track: number,
  name: string,
  value: unknown,
  from: number,
  to: number,
): Gesture {
  const spots = spotsOf(film, track, from, to);
  if (!spots.length) throw new Refusal(`Track ${track} has no box in these frames.`);
  return { label: `${name} of track ${track}`, steps: put(spots, () => ({ attributes: { [name]: value } })) };
}

/** Begin a track with boxes drawn in some frames; those between lie on lines. Where the schema has no tracks it is a label alone. */
export function newTrack(
  film: Film,
  cls: number,
  drawn: ReadonlyMap<number, Box>,
  shape: Shape = BOX,
  tracked = true,
): Gesture {
  const keys = [...drawn.keys()].sort((a, b) => a - b);
  if (!keys.length) throw new Refusal("Draw a box first.");
  if (keys.length > 1 && shape.kind !== BOX.kind)
    throw new Refusal("Only boxes can be interpolated before they are there.");
  const clock = times(film);
  const boxes = new Map(keys.map((key) => [key, inside(film, drawn.get(key)!)]));
  const track = tracked ? film.nextTrack : NO_TRACK;
  const steps = new Map<number, Step>();
  for (let frame = keys[0]!; frame <= keys.at(-1)!; frame++) {
    const before = keys.findLast((key) => key <= frame)!;
    const after = keys.find((key) => key > before) ?? before;
    const [a, b] = [boxes.get(before)!, boxes.get(after)!];
    const box = frame === before ? a : between(a, b, clock[before]!, clock[after]!, clock[frame]!);
    steps.set(frame, edit(new Map(), [{ class: cls, track, box, hand: drawn.has(frame), ...shape }]));
  }
  return { label: tracked ? `Draw track ${track}` : "Draw a label", steps };
}

/** Give a track a box in a frame in which it has none. */
export function addKeyframe(film: Film, track: number, frame: number, box: Box, shape: Shape = BOX): Gesture {
  if (markAt(film, track, frame)) throw new Refusal(`Track ${track} has a box in this frame already.`);
  const near = spotsOf(film, track).reduce<Spot | null>(
    (best, spot) => (best && Math.abs(best.frame - frame) <= Math.abs(spot.frame - frame) ? best : spot),
    null,
  );
  if (!near) throw new Refusal(`There is no track ${track}.`);
  // Its attributes go on, but its shape only where the kind is the same.
  const like = near.mark.kind === shape.kind ? { like: { frame: near.frame, row: near.mark.row } } : {};
  const fresh: Fresh = { class: near.mark.class, track, box: inside(film, box), hand: true, ...shape, ...like };
  return { label: `Draw track ${track}`, steps: new Map([[frame, edit(new Map(), [fresh])]]) };
}

/** Say that all open labels of a track are right. `lane`: only where frames wait in it. */
export function acceptTrack(film: Film, track: number, lane: string | null = null): Gesture {
  const open = openOf(film, track, lane);
  if (!open.length) throw new Refusal(`Nothing of track ${track} is open.`);
  return { label: `Accept track ${track}`, steps: answer("accept", open) };
}

/** Say that a track is wrong, to be mended later: its open labels, or all of them where all are answered. */
export function repairTrack(film: Film, track: number, lane: string | null = null): Gesture {
  const open = openOf(film, track, lane);
  const all = spotsOf(film, track);
  if (!open.length && all.some((spot) => spot.mark.open)) throw new Refusal(`Track ${track} waits already.`);
  const spots = open.length ? open : all;
  if (!spots.length) throw new Refusal(`There is no track ${track}.`);
  return { label: `Track ${track} to repair`, steps: answer("repair", spots) };
}

/** Say that one cannot tell, of the open labels of a track. */
export function unsureTrack(film: Film, track: number, lane: string | null = null): Gesture {
  const open = openOf(film, track, lane);
  if (!open.length) throw new Refusal(`Nothing of track ${track} is open.`);
  return { label: `Track ${track} unsure`, steps: answer("unsure", open) };
}

/** Answer a whole frame. */
export function answerFrame(film: Film, frame: number, action: "accept" | "repair" | "unsure"): Gesture {
  if (!film.frames[frame]) throw new Refusal("There is no such frame.");
  const words = { accept: "Accept a frame", repair: "Frame to repair", unsure: "Frame unsure" };
  return { label: words[action], steps: new Map([[frame, { action, rows: [] }]]) };
}

/** How a new label looks; `shape` is absent for a box. */
export type Shape = { readonly kind: number; readonly shape?: unknown };
const BOX: Shape = { kind: 1 };

function openOf(film: Film, track: number, lane: string | null): Spot[] {
  return spotsOf(film, track).filter(
    ({ frame, mark }) => mark.open && (lane === null || film.frames[frame]!.lane === lane),
  );
}

function put(spots: readonly Spot[], change: (spot: Spot) => Change): Map<number, EditStep> {
  const steps = new Map<number, EditStep>();
  for (const spot of spots) {
    const rows = new Map(steps.get(spot.frame)?.put ?? []).set(spot.mark.row, change(spot));
    steps.set(spot.frame, edit(rows));
  }
  return steps;
}

function edit(rows: ReadonlyMap<number, Change>, add: readonly Fresh[] = []): EditStep {
  return { action: "edit", put: rows, add, drop: [] };
}

function answer(action: AnswerStep["action"], spots: readonly Spot[]): Map<number, Step> {
  const rows = grouped(spots, (spot) => spot.frame);
  return new Map([...rows].map(([frame, here]) => [frame, { action, rows: here.map((spot) => spot.mark.row) }]));
}

function dropped(label: string, spots: readonly Spot[], none: string): Gesture {
  if (!spots.length) throw new Refusal(none);
  return { label, steps: answer("reject", spots) };
}

function movable(mark: Mark): void {
  if (MOVES.has(mark.kind)) return;
  throw new Refusal(
    `A ${KINDS[mark.kind] ?? "label"} cannot be moved by its box. Open the frame as a picture to edit it.`,
  );
}

function singles(spots: readonly Spot[]): Spot[] {
  return spots.filter((spot, i) => i === 0 || spot.frame !== spots[i - 1]!.frame);
}

/** Return the part of a box that lies in the picture. */
function inside(film: Film, box: Box): Box {
  const [height, width] = [film.size.at(-2)!, film.size.at(-1)!];
  const [x0, y0, x1, y1] = box;
  const x = (v: number) => Math.min(width, Math.max(0, v));
  const y = (v: number) => Math.min(height, Math.max(0, v));
  const cut: Box = [x(Math.min(x0, x1)), y(Math.min(y0, y1)), x(Math.max(x0, x1)), y(Math.max(y0, y1))];
  if (cut[0] >= cut[2] || cut[1] >= cut[3])
    throw new Refusal("The box must have a width and a height inside the picture.");
  return cut;
}

/** Return "1 frame", "3 frames". */
export function count(n: number, word: string): string {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

/** Return "00:40.133". */
export function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${String(minutes).padStart(2, "0")}:${(seconds - minutes * 60).toFixed(3).padStart(6, "0")}`;
}
