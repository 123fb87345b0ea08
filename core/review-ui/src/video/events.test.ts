import { describe, expect, it } from "vitest";
import type { Clip, SchemaInfo } from "../api/types";
import { apply, filmOf, type Film } from "./clip";
import * as edits from "./edits";
import * as events from "./events";
import { cropsOf, CROPS } from "./walk";
import { tracksOf } from "./tracks";

const about = { parent: "", keypoints: [], skeleton: [], color: "", abstract: false };
const fact = { scope: "label" as const, choices: [], unit: "", minimum: null, maximum: null, identity: false };
const schema: SchemaInfo = {
  name: "yard",
  version: "1",
  kinds: ["box", "tag", "track"],
  classes: [
    { ...about, name: "person", kinds: ["box"], confirmations: 0 },
    { ...about, name: "loitering", kinds: ["tag"], confirmations: 1 },
    { ...about, name: "handover", kinds: ["tag"], confirmations: 2 },
  ],
  attributes: [
    { ...fact, name: "start", type: "number", classes: ["loitering", "handover"] },
    { ...fact, name: "end", type: "number", classes: ["loitering", "handover"] },
    { ...fact, name: "participants", type: "text", classes: ["loitering", "handover"] },
  ],
};
const PERSON = 0;
const LOITERING = 1;
const HANDOVER = 2;
const FPS = 8;

interface Made {
  track: number;
  class: number;
  from: number;
  to: number;
  open?: boolean;
}
interface Way {
  lane?: (frame: number) => string;
  second?: (frame: number) => boolean;
  asks?: "second" | "adjudicate";
  told?: Partial<Clip["events"][number]>[];
  suspects?: Clip["suspects"];
  without?: number[];
}

/** A clip of n frames at 8 a second, with people and events over stretches of frames. */
function film(n: number, all: Made[], way: Way = {}): Film {
  const boxes: Clip["boxes"] = [];
  const kinds: number[] = [];
  for (let frame = 0; frame < n; frame++) {
    const here = all.filter(({ from, to }) => frame >= from && frame <= to && !way.without?.includes(frame));
    here.forEach(({ track, class: cls, open = cls !== PERSON }, row) => {
      boxes.push([frame, row, cls, track, 0, 0, cls === PERSON ? 10 : 640, 10, 0.7, open ? 1 : 0]);
      kinds.push(cls === PERSON ? 1 : 0);
    });
  }
  const told = { attributes: {}, denied: false, said: [], first: 0, last: 0, class: "loitering", track: 0 };
  return filmOf({
    group: "clip",
    size: [360, 640],
    frames: Array.from({ length: n }, (_, i) => ({
      item: `f${i}`,
      index: i,
      seconds: i / FPS,
      annotation: 100 + i,
      lane: way.lane?.(i) ?? "review",
      outcome: null,
      image: "",
      asks: way.second?.(i) ? (way.asks ?? "second") : "",
    })),
    boxes,
    kinds,
    suspects: way.suspects ?? [],
    events: (way.told ?? []).map((one) => ({ ...told, ...one })),
    next_track: 1 + Math.max(...all.filter((one) => one.class === PERSON).map((one) => one.track), -1),
    next_event: 1 + Math.max(...all.map((one) => one.track), -1),
    crop: "/media/{item}/crop/{annotation}/{row}.jpg",
  });
}

const found = (of: Film, lane = "review") => events.eventsOf(of, tracksOf(of, lane), schema, lane, "ann");
const states = (of: Film) => found(of).map(({ track, state, said }) => [track, state, [...said]]);
const walker: Made = { track: 3, class: PERSON, from: 0, to: 199 };
const one: Made = { track: 50, class: LOITERING, from: 80, to: 120 };
const two: Made = { track: 51, class: HANDOVER, from: 110, to: 140 };

describe("events", () => {
  it("are no tracks, and know when, who and how many must say so", () => {
    const attributes = { start: 9, end: 15, participants: "3, 7,x,3", place: "gate" };
    const of = film(200, [walker, two, one], { told: [{ track: 50, attributes }] });
    expect(tracksOf(of).map(({ id, event }) => [id, event])).toEqual([[3, false], [50, true], [51, true]]); // prettier-ignore
    const [a, b] = found(of);
    expect(a).toMatchObject({ track: 50, class: "loitering", first: 80, last: 120, start: 9, end: 15, place: "gate" });
    expect(a).toMatchObject({ participants: [3, 7], state: "candidate", said: [], asked: true, needs: 1 });
    expect(b).toMatchObject({ track: 51, start: 110 / FPS, end: 140 / FPS, participants: [], needs: 2 });
    expect(events.cast(of, a!, 85).map(({ mark }) => mark.track)).toEqual([3]);
  });

  it("are confirmed in all frames at once, and denied in all", () => {
    const of = film(200, [walker, one, two], {
      told: [
        { track: 50, first: 80, last: 120 },
        { track: 51, class: "handover", first: 110, last: 140 },
      ],
    });
    const [a, b] = found(of);
    const yes = events.confirmEvent(of, a!, "review");
    expect([...yes.steps.keys()]).toEqual(Array.from({ length: 41 }, (_, i) => 80 + i));
    expect(yes.steps.get(115)).toEqual({ action: "accept", rows: [1] });
    const confirmed = apply(of, yes);
    expect(states(confirmed)).toEqual([[50, "confirmed", ["ann"]], [51, "candidate", []]]); // prettier-ignore
    const denied = apply(confirmed, events.denyEvent(b!));
    expect(states(denied)).toEqual([[50, "confirmed", ["ann"]], [51, "denied", ["ann"]]]); // prettier-ignore
    expect(() => events.denyEvent(found(denied)[1]!)).toThrow("denied already");
    expect(() => events.confirmEvent(confirmed, found(confirmed)[0]!, "review")).toThrow("Nobody is asked");
  });

  it("of two people wait for the second one", () => {
    const closed = { ...two, open: false };
    const told = [{ track: 51, class: "handover", said: ["ann"] }];
    const waits = film(200, [walker, closed], { told, lane: (i) => (i >= 110 && i <= 140 ? "second" : "") });
    expect(states(waits)).toEqual([[51, "second", ["ann"]]]);
    const done = film(200, [walker, closed], { told: [{ ...told[0]!, said: ["ann", "ben"] }], lane: () => "" });
    expect(states(done)).toEqual([[51, "confirmed", ["ann", "ben"]]]);
    const differ = film(200, [walker, closed], { told, lane: (i) => (i === 120 ? "adjudicate" : "") });
    expect(states(differ)).toEqual([[51, "differ", ["ann"]]]);
  });

  it("that nobody was asked about are accepted, and those that people took away denied", () => {
    const plain: SchemaInfo = { ...schema, classes: schema.classes.map((cls) => ({ ...cls, confirmations: 0 })) };
    const of = film(99, [{ ...one, open: false, to: 90 }], { lane: () => "", told: [{ track: 50 }, { track: 60, denied: true, said: ["ben"], first: 5, last: 9 }] }); // prettier-ignore
    const all = events.eventsOf(of, tracksOf(of), plain, "review", "ann");
    expect(all.map(({ track, state, said }) => [track, state, said])).toEqual([
      [60, "denied", ["ben"]],
      [50, "accepted", []],
    ]);
  });
});

describe("the loop", () => {
  it("goes from 5 s before the start to 5 s after, and is doubled", () => {
    const of = film(400, [{ ...one, from: 200, to: 300 }], { told: [{ track: 50, attributes: { start: 25 } }] });
    const [event] = found(of);
    expect(events.loopOf(of, event!)).toEqual([160, 240]);
    expect(events.loopOf(of, event!, 1)).toEqual([120, 280]);
    expect(events.loopOf(of, event!, 6)).toEqual([0, 399]);
  });

  it("stays in the clip, and is right where nobody knows the time", () => {
    const of = film(30, [{ ...one, from: 4, to: 20 }]);
    expect(events.loopOf(of, found(of)[0]!)).toEqual([0, 29]);
    const timeless = { ...of, frames: of.frames.map((frame) => ({ ...frame, seconds: null })) };
    expect(events.loopOf(timeless, found(timeless)[0]!)).toEqual([0, 29]);
  });
});

describe("a second opinion", () => {
  const second = (i: number) => i >= 80 && i <= 140;
  const of = film(200, [walker, one, two], { second, lane: (i) => (second(i) ? "second" : "") });
  const all = found(of, "second");

  it("is sent with the events that share frames", () => {
    expect(all.map(({ state, asked, said }) => [state, asked, said])).toEqual([["second", true, []], ["second", true, []]]); // prettier-ignore
    expect(events.bound(of, all, all[0]!).map((event) => event.track)).toEqual([50, 51]);
    const far = film(200, [walker, one, { ...two, from: 130 }], { second, lane: (i) => (second(i) ? "second" : "") });
    const apart = found(far, "second");
    expect(events.bound(far, apart, apart[0]!).map((event) => event.track)).toEqual([50]);
  });

  it("is about whole frames: accepted as they are, or without what was denied", () => {
    const { steps, opinion } = events.opinion(of, all, new Map([[50, true], [51, false]])); // prettier-ignore
    expect(opinion).toBe(true);
    expect(steps.size).toBe(61);
    expect(steps.get(80)).toEqual({ action: "accept", rows: [] });
    expect(steps.get(115)).toEqual({ action: "edit", put: new Map(), add: [], drop: [2] });
  });
});

describe("the choice between two opinions", () => {
  const asked = (i: number) => i >= 110 && i <= 140;
  const way: Way = { second: asked, asks: "adjudicate", lane: (i) => (asked(i) ? "adjudicate" : "") };
  const of = film(200, [walker, two], way);
  const [event] = found(of, "adjudicate");

  it("is asked once for all frames, and takes the labels that are shown, with or without the event", () => {
    expect(event).toMatchObject({ state: "differ", asked: true, asks: "adjudicate" });
    const yes = events.opinion(of, [event!], new Map([[51, true]]));
    expect(yes.label).toBe("Confirm handover as adjudicator");
    expect([...yes.steps.keys()].length).toBe(31);
    expect(yes.steps.get(120)).toEqual({ action: "adjudicate", put: new Map(), add: [], drop: [] });
    const no = events.opinion(of, [event!], new Map([[51, false]]));
    expect(no.steps.get(120)).toEqual({ action: "adjudicate", put: new Map(), add: [], drop: [1] });
  });
});

describe("mending an event", () => {
  const of = film(200, [walker, one], { told: [{ track: 50, attributes: { start: 10, end: 15 } }] });
  const [event] = found(of);

  it("moves its start, earlier or later, with its time", () => {
    const earlier = apply(of, events.moveEvent(of, event!, "start", 70, schema));
    expect(found(earlier)[0]).toMatchObject({ first: 70, last: 120, start: 70 / FPS });
    expect(tracksOf(earlier).find((track) => track.id === 50)!.runs).toEqual([[70, 120]]);
    const later = apply(of, events.moveEvent(of, event!, "start", 100, schema));
    expect(found(later)[0]).toMatchObject({ first: 100, last: 120, start: 100 / FPS });
    expect(later.frames[90]!.marks.map((mark) => mark.track)).toEqual([3]);
  });

  it("moves its end, and never beyond its start", () => {
    const longer = apply(of, events.moveEvent(of, event!, "end", 130, schema));
    expect(found(longer)[0]).toMatchObject({ first: 80, last: 130, end: 130 / FPS });
    expect(() => events.moveEvent(of, event!, "end", 79, schema)).toThrow("begins after");
    expect(() => events.moveEvent(of, event!, "start", 121, schema)).toThrow("ends before");
  });

  it("adds one with the tracks that take part, numbered above all others", () => {
    const cls = events.eventClasses(schema)[1]!;
    const added = apply(of, events.addEvent(of, cls, 40, [7, 3, 3], schema));
    const [fresh] = found(added);
    expect(fresh).toMatchObject({ class: "handover", track: 51, first: 40, last: 40, start: 5, participants: [3, 7] });
    expect(fresh!.said).toEqual(["ann"]);
    expect(added.nextEvent).toBe(52);
    expect(added.nextTrack).toBe(of.nextTrack);
  });
});

describe("a track of another number", () => {
  const told = [{ track: 50, attributes: { participants: "3,7" } }, { track: 51, attributes: { participants: "7" } }]; // prettier-ignore
  const other: Made = { track: 7, class: PERSON, from: 0, to: 199 };
  const of = film(200, [walker, other, one, two], { told, without: [118] });
  const says = (film: Film, frame: number, track: number) =>
    film.frames[frame]!.marks.find((mark) => mark.track === track)?.attributes?.["participants"];
  const cast = (film: Film) => found(film).map(({ track, participants }) => [track, [...participants]]);

  it("takes the place of the old one in events, from where a track is split", () => {
    const split = edits.splitTrack(of, 3, 100);
    const apart = apply(of, split);
    expect([says(apart, 99, 50), says(apart, 100, 50), says(apart, 120, 50)]).toEqual([undefined, "7,8", "7,8"]);
    expect(says(apart, 130, 51)).toBeUndefined();
    expect(cast(apart)).toEqual([[50, [3, 7, 8]], [51, [7]]]); // prettier-ignore
    expect(found(apart)[0]!.state).toBe("candidate");
    const before = apply(of, edits.splitTrack(of, 3, 40));
    expect(cast(before)[0]).toEqual([50, [7, 8]]);
    const back = apply(apart, edits.mergeTracks(apart, 3, 8));
    expect(cast(back)[0]).toEqual([50, [3, 7]]);
  });

  it("is named once where two tracks are one, whichever box stays", () => {
    for (const keep of [3, 7]) {
      const merged = apply(of, edits.mergeTracks(of, 3, 7, keep));
      expect(cast(merged)).toEqual([[50, [3]], [51, [3]]]); // prettier-ignore
      expect(found(merged).map(({ state }) => state)).toEqual(["candidate", "candidate"]);
    }
  });

  it("is followed where the track has no box, but not where one is asked for an opinion", () => {
    const late = { ...walker, from: 90, to: 110 };
    const some = film(200, [{ ...walker, to: 60 }, { ...other, from: 0, to: 85 }, one, late], { told, second: (i) => i > 115 }); // prettier-ignore
    const { steps } = edits.splitTrack(some, 7, 50);
    expect([...steps.keys()]).toEqual(Array.from({ length: 66 }, (_, i) => 50 + i));
    expect(steps.get(100)).toEqual({ action: "edit", put: new Map(), add: [], drop: [], renumber: new Map([[7, 8]]) });
  });

  it("is not followed for its own sake where people's answers are compared, or nothing is said to be there", () => {
    const lanes: Record<number, string> = { 70: "second", 90: "second", 100: "adjudicate" };
    const film_ = film(200, [{ ...other, to: 80 }, one], { told, lane: (i) => lanes[i] ?? "review" });
    const frames = film_.frames.map((frame, i) => (i === 110 ? { ...frame, outcome: "reject" } : frame));
    const { steps } = edits.splitTrack({ ...film_, frames }, 7, 60);
    const left = [90, 100, 110];
    expect([...steps.keys()]).toEqual(Array.from({ length: 61 }, (_, i) => 60 + i).filter((i) => !left.includes(i)));
  });
});

describe("what was said of an event", () => {
  const told = [{ track: 50, said: ["ben", "kim"], attributes: { participants: "3" } }];
  const closed = film(200, [walker, { ...one, open: false }], { told, lane: () => "" });

  it("is no yes of who is unsure, or calls it wrong", () => {
    const of = film(200, [walker, one], { told: [{ track: 50 }] });
    const unsure = apply(of, events.unsureEvent(of, found(of)[0]!, "review"));
    expect(states(unsure)).toEqual([[50, "candidate", []]]);
    const other = film(200, [walker, two], { told: [{ track: 51, class: "handover" }] });
    expect(states(apply(other, events.unsureEvent(other, found(other)[0]!, "review")))).toEqual([[51, "candidate", []]]); // prettier-ignore
    const steps = new Map([[90, { action: "repair" as const, rows: [1] }]]);
    expect(states(apply(of, { label: "", steps }))).toEqual([[50, "candidate", []]]);
    const yes = new Map(Array.from({ length: 41 }, (_, i) => [80 + i, { action: "accept" as const, rows: [1] }]));
    expect(states(apply(unsure, { label: "", steps: yes }))).toEqual([[50, "confirmed", ["ann"]]]);
  });

  it("is the word of who changed who takes part, alone", () => {
    expect(states(closed)).toEqual([[50, "confirmed", ["ben", "kim"]]]);
    const split = apply(closed, edits.splitTrack(closed, 3, 100));
    expect(states(split)).toEqual([[50, "confirmed", ["ann"]]]);
    expect(states(apply(closed, edits.splitTrack(closed, 3, 150)))).toEqual([[50, "confirmed", ["ben", "kim"]]]);
  });
});

describe("an event that others confirmed", () => {
  it("is theirs to keep unless one is asked", () => {
    const closed = { ...one, open: false };
    const by = (...said: string[]) => found(film(200, [closed], { lane: () => "", told: [{ track: 50, said }] }))[0]!;
    expect(by("ben").state).toBe("confirmed");
    expect([by("ben"), by("ann", "ben"), by("ann")].map((event) => events.othersSaid(event, "ann"))).toEqual([true, true, false]); // prettier-ignore
    expect(events.othersSaid(found(film(200, [one]))[0]!, "ann")).toBe(false);
  });
});

describe("the crops of a walk", () => {
  const track = (of: Film) => tracksOf(of).find((one) => one.id === 3)!;

  it("are spread evenly over all frames", () => {
    const of = film(200, [walker, one]);
    const crops = cropsOf(of, track(of));
    const frames = crops.map((crop) => crop.frame);
    expect(crops.length).toBe(CROPS);
    expect([frames[0], frames.at(-1)]).toEqual([0, 199]);
    const steps = frames.slice(1).map((frame, i) => frame - frames[i]!);
    expect(Math.max(...steps)).toBeLessThanOrEqual(2 * Math.min(...steps) + 1);
    expect(crops[0]!.url).toBe("/media/f0/crop/100/0.jpg");
    expect(cropsOf(film(4, [{ ...walker, to: 3 }]), track(film(4, [{ ...walker, to: 3 }]))).length).toBe(4);
  });

  it("show both sides of each place in doubt", () => {
    const of = film(200, [walker], { suspects: [[3, 90, "identity_switch"]], without: [130, 131, 132, 133] });
    const crops = cropsOf(of, track(of), 8);
    const at = new Map(crops.map((crop) => [crop.frame, crop.doubts]));
    expect(at.get(90)).toEqual(["identity switch"]);
    expect(at.get(134)).toEqual(["after 0.6 s away"]);
    expect([at.has(89), at.has(129)]).toEqual([true, true]);
    expect(crops.filter((crop) => crop.doubts.length).length).toBe(2);
    expect(crops.length).toBe(8);
  });
});
