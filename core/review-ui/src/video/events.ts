/**
 * Events of a clip: what happens in it, as tags with a track, one on each frame of the event; what people said of them, the loop that
 * shows one, and what can be done to it, each as one gesture over all of its frames.
 */
import type { ClassInfo, SchemaInfo } from "../api/types";
import { attributesFor, called } from "../work/schema";
import { factsOf, NO_TRACK, Refusal, TAG } from "./clip";
import type { EditStep, Film, Fresh, Gesture, Step, Told } from "./clip";
import { listed, participantsOf, PARTICIPANTS } from "./mentions";
import { spotsOf } from "./tracks";
import type { Spot, Track } from "./tracks";

/** candidate: nobody said yet; second: another person must say so too; differ: two people do; accepted: nobody was asked. */
export type EventState = "candidate" | "confirmed" | "denied" | "second" | "differ" | "accepted";

export interface ClipEvent {
  readonly track: number;
  readonly class: string;
  readonly spots: readonly Spot[];
  /** First and last frame; of a denied one those that it had. */
  readonly first: number;
  readonly last: number;
  /** Seconds of the clip; null where no time is known. */
  readonly start: number | null;
  readonly end: number | null;
  /** Tracks that take part. */
  readonly participants: readonly number[];
  readonly place: string;
  readonly state: EventState;
  /** Who confirmed or denied it, as far as it may be known. */
  readonly said: readonly string[];
  /** This person is asked about it now. */
  readonly asked: boolean;
  /** It was asked about when the clip was opened. */
  readonly wasAsked: boolean;
  /** The answer is a second opinion, or the choice between two. */
  readonly asks: "" | "second" | "adjudicate";
  /** Somebody else is still to be heard on it. */
  readonly waits: boolean;
  /** How many different people must say so. */
  readonly needs: number;
}

const FALLBACK_FPS = 25;
export const BEFORE_S = 5; // of a loop that nobody widened, before the start and after it

/** Return the events of a clip by their start. `tracks`: as `tracksOf` finds them; `me`: who answers here. */
export function eventsOf(
  film: Film,
  tracks: readonly Track[],
  schema: SchemaInfo,
  lane: string,
  me: string,
): ClipEvent[] {
  const held = tracks.filter((track) => track.event).map((track) => ofTrack(film, track, schema, lane, me));
  const known = new Set(tracks.map((track) => track.id));
  const gone = [...film.told.values()]
    .filter((told) => !known.has(told.track))
    .map((told) => ofDenied(film, told, schema, me));
  return [...held, ...gone].sort((a, b) => when(film, a) - when(film, b) || a.track - b.track);
}

function ofTrack(film: Film, track: Track, schema: SchemaInfo, lane: string, me: string): ClipEvent {
  const { id, spots, open } = track;
  const told = film.told.get(id);
  const info = schema.classes[track.classes[0]![0]];
  const needs = info?.confirmations ?? 0;
  const frames = spots.map((spot) => film.frames[spot.frame]!);
  const waits = spots.some((spot) => spot.mark.open);
  const asks = frames.find((frame) => frame.asks)?.asks ?? "";
  const pending = frames.some((frame) => frame.lane !== "");
  const doubted = spots.some((spot) => spot.mark.doubted);
  // With other people in it, it is another event: it counts who changed them.
  const changed = needs > 0 && spots.some((spot) => spot.mark.attributes?.[PARTICIPANTS] !== undefined);
  const mine = !waits && !doubted && (!told || told.open || changed);
  const others = changed ? [] : (told?.said ?? []);
  const said = mine ? [...new Set([...others, me])] : others;
  const state = (): EventState => {
    if (waits && asks === "adjudicate") return "differ";
    if (waits) return asks ? "second" : "candidate";
    if (frames.some((frame) => frame.lane === "adjudicate")) return "differ";
    if (needs && !said.length) return "candidate"; // called wrong, or somebody was unsure
    if (needs > 1 && pending) return "second";
    return said.length ? "confirmed" : "accepted";
  };
  const facts: Record<string, unknown> = Object.assign(
    {},
    told?.attributes,
    ...spots.map((spot) => spot.mark.attributes),
  );
  // Who takes part may be another from some frame on.
  const everyone = spots.flatMap(({ mark }) => participantsOf(factsOf(film.told, mark)[PARTICIPANTS]));
  facts[PARTICIPANTS] = listed(everyone);
  return {
    ...timesOf(film, spots[0]!.frame, spots.at(-1)!.frame, facts),
    track: id,
    class: info?.name ?? "?",
    spots,
    state: state(),
    said: waits && asks === "second" ? [] : said,
    asked: open > 0 && frames.some((frame) => frame.lane === lane),
    wasAsked: told?.open ?? false,
    asks,
    waits: needs > 1 && pending,
    needs,
  };
}

function ofDenied(film: Film, told: Told, schema: SchemaInfo, me: string): ClipEvent {
  const { track, first, last, said, denied } = told;
  const needs = schema.classes.find((one) => one.name === told.class)?.confirmations ?? 0;
  return {
    ...timesOf(film, first, last, told.attributes),
    track,
    class: told.class,
    spots: [],
    state: "denied",
    said: denied ? said : [me],
    asked: false,
    wasAsked: told.open,
    asks: "",
    waits: film.frames.slice(first, last + 1).some((frame) => frame.lane === "second"),
    needs,
  };
}

function timesOf(film: Film, first: number, last: number, facts: Readonly<Record<string, unknown>>) {
  const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null);
  return {
    first,
    last,
    start: number(facts["start"]) ?? film.frames[first]!.seconds,
    end: number(facts["end"]) ?? film.frames[last]!.seconds,
    participants: participantsOf(facts[PARTICIPANTS]),
    place: typeof facts["place"] === "string" ? facts["place"] : "",
  };
}

const secondsAt = (film: Film, frame: number) =>
  film.frames[frame]!.seconds ?? film.frames[frame]!.index / FALLBACK_FPS;
const when = (film: Film, event: ClipEvent) => event.start ?? secondsAt(film, event.first);

/** Return the first and last frame of the loop that shows an event: from 5 s before its start to 5 s after; each step wider doubles it. */
export function loopOf(film: Film, event: ClipEvent, wider = 0): [number, number] {
  const reach = BEFORE_S * 2 ** wider;
  const start = when(film, event);
  const inside = film.frames.flatMap((_, i) => (Math.abs(secondsAt(film, i) - start) <= reach ? [i] : []));
  const first = inside[0] ?? event.first;
  const last = inside.at(-1) ?? event.first;
  // Of frames far apart, at least those of the event's own beginning.
  return [Math.min(first, event.first, film.frames.length - 1), last > first ? last : Math.max(last, event.first)];
}

/** Say that an event happened: its open labels are right, in all frames that wait in `lane`, at once. */
export function confirmEvent(film: Film, event: ClipEvent, lane: string): Gesture {
  const open = event.spots.filter(({ frame, mark }) => mark.open && film.frames[frame]!.lane === lane);
  if (!open.length) throw new Refusal(`Nobody is asked about this ${called(event.class)}.`);
  return { label: `Confirm ${called(event.class)}`, steps: answers(open, "accept") };
}

/** Tell whether others said that an event happened, and nobody is asked about it here. */
export function othersSaid({ asked, state, said }: ClipEvent, me: string): boolean {
  const counts = state === "confirmed" || state === "second" || state === "differ";
  return counts && !asked && said.join() !== me;
}

/** Say that an event did not happen: its labels go, in all frames at once. */
export function denyEvent(event: ClipEvent, word = "Deny"): Gesture {
  if (!event.spots.length) throw new Refusal(`This ${called(event.class)} was denied already.`);
  return { label: `${word} ${called(event.class)}`, steps: answers(event.spots, "reject") };
}

/** Say that one can't tell whether an event happened. */
export function unsureEvent(film: Film, event: ClipEvent, lane: string): Gesture {
  return {
    label: `${called(event.class)} unsure`,
    steps: new Map([...confirmEvent(film, event, lane).steps].map(unsure)),
  };
}
const unsure = ([frame, step]: [number, Step]): [number, Step] => [frame, { ...step, action: "unsure" } as Step];

function answers(spots: readonly Spot[], action: "accept" | "reject"): Map<number, Step> {
  return new Map(spots.map(({ frame, mark }) => [frame, { action, rows: [mark.row] }]));
}

/** Return the events whose opinion must be sent with that on `event`: a frame is answered as a whole. */
export function bound(film: Film, events: readonly ClipEvent[], event: ClipEvent): ClipEvent[] {
  const asked = events.filter((one) => one.asked && one.asks);
  const group = new Set([event]);
  const frames = new Set<number>();
  for (const one of group) {
    for (const { frame } of one.spots) if (film.frames[frame]!.asks) frames.add(frame);
    for (const other of asked) if (other.spots.some((spot) => frames.has(spot.frame))) group.add(other);
  }
  return asked.filter((one) => group.has(one));
}

/** Give an opinion on whole frames: all that is shown is right, but for the events that were denied. `said`: by track, whether it is so. */
export function opinion(film: Film, events: readonly ClipEvent[], said: ReadonlyMap<number, boolean>): Gesture {
  const drop = new Map<number, number[]>();
  for (const { spots, track } of events) {
    for (const { frame, mark } of spots) {
      if (!film.frames[frame]!.asks) continue;
      drop.set(frame, [...(drop.get(frame) ?? []), ...(said.get(track) ? [] : [mark.row])]);
    }
  }
  const steps = [...drop].map(([frame, rows]): [number, Step] => {
    if (film.frames[frame]!.asks === "adjudicate") return [frame, { ...edit([], rows), action: "adjudicate" }];
    return [frame, rows.length ? edit([], rows) : { action: "accept", rows: [] }];
  });
  const words = events.map((one) => `${said.get(one.track) ? "Confirm" : "Deny"} ${called(one.class)}`);
  const as = events.some((one) => one.asks === "adjudicate") ? "as adjudicator" : "as second person";
  return { label: `${words.slice(0, 3).join(", ")} ${as}`, steps: new Map(steps), opinion: true };
}

/** Let an event begin, or end, in another frame: labels before, or after it, go, those missing are added, and its times follow. */
export function moveEvent(
  film: Film,
  event: ClipEvent,
  side: "start" | "end",
  frame: number,
  schema: SchemaInfo,
): Gesture {
  if (!event.spots.length) throw new Refusal(`This ${called(event.class)} was denied.`);
  const [first, last] = side === "start" ? [frame, event.last] : [event.first, frame];
  if (first > last) throw new Refusal(`The event ${side === "start" ? "ends before" : "begins after"} this frame.`);
  const { seconds } = film.frames[frame]!;
  const timed = attributesFor(schema, event.class).some((one) => one.name === side && one.type === "number");
  const attributes = timed && seconds !== null ? { [side]: seconds } : {};
  const steps = new Map<number, Step>();
  const at = new Map(event.spots.map((spot) => [spot.frame, spot.mark]));
  const model = event.spots[side === "start" ? 0 : event.spots.length - 1]!;
  for (let i = Math.min(first, event.first); i <= Math.max(last, event.last); i++) {
    const mark = at.get(i);
    if (i < first || i > last) {
      if (mark) steps.set(i, { action: "reject", rows: [mark.row] });
    } else if (mark) {
      if (timed) steps.set(i, { action: "edit", put: new Map([[mark.row, { attributes }]]), add: [], drop: [] });
    } else if (i < event.first || i > event.last) {
      const { class: cls, track, kind, box, row } = model.mark;
      steps.set(i, edit([{ class: cls, track, kind, box, attributes, like: { frame: model.frame, row } }], []));
    }
  }
  if (!steps.size) throw new Refusal(`The event ${side === "start" ? "begins" : "ends"} here already.`);
  return { label: `${side === "start" ? "Start" : "End"} of ${called(event.class)}`, steps };
}

/** Add an event at a frame, with the tracks that take part; its end can be moved from there. */
export function addEvent(
  film: Film,
  cls: ClassInfo,
  frame: number,
  tracks: readonly number[],
  schema: SchemaInfo,
): Gesture {
  const [height, width] = [film.size.at(-2)!, film.size.at(-1)!];
  const { seconds } = film.frames[frame]!;
  const known = new Set(attributesFor(schema, cls.name).map((one) => one.name));
  const attributes: Record<string, unknown> = {};
  if (known.has("start") && seconds !== null) attributes["start"] = seconds;
  if (known.has("end") && seconds !== null) attributes["end"] = seconds;
  const everyone = listed(tracks.filter((track) => track !== NO_TRACK));
  if (known.has(PARTICIPANTS) && everyone) attributes[PARTICIPANTS] = everyone;
  const id = schema.classes.findIndex((one) => one.name === cls.name);
  const fresh: Fresh = { class: id, track: film.nextEvent, kind: TAG, box: [0, 0, width, height], attributes };
  return { label: `Add ${called(cls.name)}`, steps: new Map([[frame, edit([fresh], [])]]) };
}

/** Return the classes that an event may have. */
export function eventClasses(schema: SchemaInfo): ClassInfo[] {
  if (!schema.kinds.includes("track")) return [];
  return schema.classes.filter((one) => !one.abstract && one.kinds.includes("tag"));
}

function edit(add: readonly Fresh[], drop: readonly number[]): EditStep {
  return { action: "edit", put: new Map(), add, drop };
}

/** Return the boxes of those who take part, in a frame. */
export function cast(film: Film, event: ClipEvent, frame: number): Spot[] {
  return event.participants.flatMap((track) =>
    spotsOf(film, track, frame, frame).filter(({ mark }) => mark.kind !== TAG),
  );
}
