/**
 * A clip as values: frames with the boxes in them, and gestures that change many frames at once.
 *
 * Nothing here is changed in place. A gesture applied to a clip gives another clip, in which frames that it does not touch are the
 * same objects, so that undo is to go back to what was.
 */
import type { Clip, ClipEvent, ItemState, LabelRow, Made } from "../api/types";
import { renumbered, type Numbers } from "./mentions";

export type Box = readonly [number, number, number, number];

/** Names of kinds, in the order of their numbers on the wire. */
export const KINDS = ["tag", "box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "cuboid"] as const;
export const NO_TRACK = -1;
export const TAG = 0;

/**
 * One label of a frame, as far as the timeline needs it. `class` and `kind` are numbers; `open`: a person still has to answer;
 * `hand`: its box was set by hand since the clip was opened; `shape` and `attributes`: what was set of them since then; `doubted`:
 * somebody called it wrong or was unsure since then.
 */
export interface Mark {
  readonly row: number;
  readonly class: number;
  readonly track: number;
  readonly kind: number;
  readonly box: Box;
  readonly score: number;
  readonly open: boolean;
  readonly hand?: boolean;
  readonly shape?: unknown;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly doubted?: boolean;
}

/** A rule questions a track in this frame. */
export interface Suspect {
  readonly track: number;
  readonly reason: string;
}

/** What the labels of a frame are: its marks in the order of their rows. */
export interface Held {
  readonly marks: readonly Mark[];
  readonly suspects: readonly Suspect[];
}

export interface Frame extends Held {
  readonly item: string;
  readonly index: number;
  readonly seconds: number | null;
  readonly annotation: number;
  readonly lane: string;
  readonly outcome: string | null;
  readonly image: string;
  /** This person is asked for a second opinion on it, or to choose between two, and sees other labels than those that hold. */
  readonly asks: "" | "second" | "adjudicate";
}

/** What the server said of an event when the clip was opened; `open`: somebody still had to answer it. */
export interface Told extends ClipEvent {
  readonly open: boolean;
}

export interface Film {
  readonly group: string;
  /** Height, width. */
  readonly size: readonly number[];
  readonly frames: readonly Frame[];
  /** The first number that no track has, above those of tracks; and the first above those of events too. */
  readonly nextTrack: number;
  readonly nextEvent: number;
  readonly told: ReadonlyMap<number, Told>;
  /** The address of the crop of a label, with {item}, {annotation} and {row} in it. */
  readonly crop: string;
}

/**
 * What becomes of a label; what is absent stays. A box without its shape moves and stretches the shape that is there. `hand` goes with
 * a box: whether it was set by hand, and not computed.
 */
export interface Change {
  readonly box?: Box;
  readonly shape?: unknown;
  readonly hand?: boolean;
  readonly track?: number;
  readonly class?: number;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

/** A label to add: as given, or a copy of one in another frame, fitted into `box`, with other attributes where some are given. */
export interface Fresh {
  readonly class: number;
  readonly track: number;
  readonly kind: number;
  readonly box: Box;
  readonly shape?: unknown;
  readonly hand?: boolean;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly like?: { readonly frame: number; readonly row: number };
}

export interface EditStep {
  readonly action: "edit" | "adjudicate";
  readonly put: ReadonlyMap<number, Change>;
  readonly add: readonly Fresh[];
  readonly drop: readonly number[];
  /** Tracks that have another number: whatever the labels say of them, those that wait go on waiting. */
  readonly renumber?: Numbers;
}

/** An answer about rows, or about the whole frame where there are none. */
export interface AnswerStep {
  readonly action: "accept" | "reject" | "repair" | "unsure";
  readonly rows: readonly number[];
}

export type Step = EditStep | AnswerStep;

export const isEdit = (step: Step): step is EditStep => step.action === "edit" || step.action === "adjudicate";

/** All that one gesture does, by frame: it is sent, made and undone as one. */
export interface Gesture {
  readonly label: string;
  readonly steps: ReadonlyMap<number, Step>;
  /** A second opinion, or the choice between two: where one is asked for, nothing else can be done here. */
  readonly opinion?: boolean;
}

/** Say why a gesture can't be done, in words for the person. */
export class Refusal extends Error {
  override name = "Refusal";
}

export function filmOf(clip: Clip): Film {
  const marks: Mark[][] = clip.frames.map(() => []);
  clip.boxes.forEach(([frame, row, cls, track, x0, y0, x1, y1, score, open], i) => {
    marks[frame]?.push({
      row,
      class: cls,
      track,
      kind: clip.kinds[i] ?? 1,
      box: [x0, y0, x1, y1],
      score,
      open: open === 1,
    });
  });
  const suspects = grouped(clip.suspects, ([, frame]) => frame);
  const frames = clip.frames.map((frame, i) => ({
    ...frame,
    marks: marks[i]!.sort((a, b) => a.row - b.row),
    suspects: (suspects.get(i) ?? []).map(([track, , reason]) => ({ track, reason })),
  }));
  const open = new Set(marks.flat().flatMap((mark) => (mark.open && mark.kind === TAG ? [mark.track] : [])));
  const told = new Map(clip.events.map((one) => [one.track, { ...one, open: open.has(one.track) }]));
  const { group, size, next_track: nextTrack, next_event: nextEvent, crop } = clip;
  return { group, size, frames, nextTrack, nextEvent, told, crop };
}

/** Return the times of the frames: seconds, if they are known and run forwards, else their numbers. */
export function times(film: Film): number[] {
  const seconds = film.frames.map((frame) => frame.seconds);
  const rising = seconds.every((s, i) => s !== null && (i === 0 || s > seconds[i - 1]!));
  return rising ? (seconds as number[]) : film.frames.map((frame) => frame.index);
}

/** Return the clip after a gesture, as the server will have it, but for the numbers of annotations and the lanes. */
export function apply(film: Film, gesture: Gesture): Film {
  const frames = [...film.frames];
  let { nextTrack, nextEvent } = film;
  for (const [at, step] of gesture.steps) {
    const frame = frames[at];
    if (!frame) continue;
    const { marks: left, suspects } = isEdit(step) ? edited(frame, step, film.told) : answered(frame, step);
    // An opinion is about the whole frame, whatever it drops.
    const marks = gesture.opinion ? left.map((mark) => (mark.open ? { ...mark, open: false } : mark)) : left;
    // Where nothing is open the frame waits no more, as far as is known here.
    frames[at] = { ...frame, marks, suspects, lane: marks.some((mark) => mark.open) ? frame.lane : "" };
    for (const { kind, track } of marks) {
      nextEvent = Math.max(nextEvent, track + 1);
      // Events may be numbered from far above; what is new among tracks is numbered as they are.
      if (kind !== TAG) nextTrack = Math.max(nextTrack, track + 1);
      else if (track === nextTrack) nextTrack += 1;
    }
  }
  return { ...film, frames, nextTrack, nextEvent };
}

/**
 * Return the clip with what the server says of the frames that it decided on.
 *
 * `held` gives the labels of an annotation, where they may be others than those here, after an undo; if it does not know them, there
 * is no answer.
 */
export function settle(
  film: Film,
  made: readonly Made[],
  held?: (annotation: number) => Held | undefined,
): Film | null {
  const at = new Map(film.frames.map((frame, i) => [frame.item, i]));
  const frames = [...film.frames];
  for (const { item, state } of made) {
    const i = at.get(item);
    if (i === undefined) continue;
    const labels = held ? held(state.annotation) : {};
    if (!labels) return null;
    frames[i] = withState({ ...frames[i]!, ...labels }, state);
  }
  return { ...film, frames };
}

function withState(frame: Frame, state: ItemState): Frame {
  const open = new Set(state.open);
  const marks = frame.marks.map((mark) =>
    mark.open === open.has(mark.row) ? mark : { ...mark, open: open.has(mark.row) },
  );
  return { ...frame, marks, annotation: state.annotation, lane: state.lane, outcome: state.outcome };
}

// As the server does it: rows put are replaced, rows dropped go, what is added comes last; all but what was untouched is answered.
// A suspect follows its label to another track, and goes with it.
function edited(frame: Frame, { put, add, drop, renumber }: EditStep, told: Film["told"]): Held {
  const gone = new Set(drop);
  const kept = frame.marks
    .filter((mark) => !gone.has(mark.row))
    .map((mark) => {
      const change = put.get(mark.row);
      if (change) return { ...settled(mark), ...known(mark, change) };
      const said = renumber && renumbered(factsOf(told, mark), renumber);
      return said && Object.keys(said).length ? { ...mark, attributes: { ...mark.attributes, ...said } } : mark;
    });
  const fresh = add.map(({ class: cls, track, kind, box, attributes, hand = false }) => {
    return { row: 0, class: cls, track, kind, box, score: 1, open: false, hand, ...(attributes && { attributes }) };
  });
  const suspects = frame.suspects.flatMap((suspect) => {
    const row = frame.marks.find((mark) => mark.track === suspect.track)?.row ?? -1;
    return gone.has(row) ? [] : [{ ...suspect, track: put.get(row)?.track ?? suspect.track }];
  });
  return { marks: numbered([...kept, ...fresh]), suspects };
}

/** Return what is known of the attributes of a label: those set here, and of an event those that it had. */
export function factsOf(told: Film["told"], mark: Mark): Readonly<Record<string, unknown>> {
  return { ...(mark.kind === TAG && told.get(mark.track)?.attributes), ...mark.attributes };
}

// What a person changed has score 1, whatever was changed.
function known(mark: Mark, { box, hand = false, shape, track, class: cls, attributes }: Change): Partial<Mark> {
  return {
    score: 1,
    ...((shape ?? box) !== undefined && { shape }), // one that was set before moves with the box
    ...(attributes && { attributes: { ...mark.attributes, ...attributes } }),
    ...(box && { box, hand }),
    ...(track !== undefined && { track }),
    ...(cls !== undefined && { class: cls }),
  };
}

function answered(frame: Frame, { action, rows }: AnswerStep): Held {
  const named = new Set(rows);
  if (action === "reject" && rows.length) {
    const marks = frame.marks.filter((mark) => !named.has(mark.row));
    const left = new Set(marks.map((mark) => mark.track));
    return { marks: numbered(marks), suspects: frame.suspects.filter((suspect) => left.has(suspect.track)) };
  }
  const done = (mark: Mark) => (mark.open || mark.doubted) && (!rows.length || named.has(mark.row));
  const doubts = action === "unsure" || action === "repair";
  const after = (mark: Mark) => (doubts ? { ...mark, open: false, doubted: true } : settled(mark));
  return { ...frame, marks: frame.marks.map((mark) => (done(mark) ? after(mark) : mark)) };
}

const settled = ({ doubted: _, ...mark }: Mark): Mark => ({ ...mark, open: false });

function numbered(marks: Mark[]): Mark[] {
  return marks.map((mark, row) => (mark.row === row ? mark : { ...mark, row }));
}

/** Return a mark as a label of the wire, which it is for a box; of other kinds it is the bounds. */
export function roughLabel(mark: Mark, className: (id: number) => string): LabelRow {
  const { box, score, track, attributes = {} } = mark;
  return { class: className(mark.class), kind: "box", box: [...box], score, track, attributes: { ...attributes } };
}

/** Put values together by a key, in the order in which they come. */
export function grouped<K, V>(values: readonly V[], key: (value: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group) group.push(value);
    else groups.set(key(value), [value]);
  }
  return groups;
}
