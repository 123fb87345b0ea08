import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clip } from "../api/types";
import { apply, filmOf, settle, times } from "./clip";
import type { Box, Film, Gesture } from "./clip";
import * as edits from "./edits";
import { asking, between, keyframesOf, markAt, nextKeyframe, span, spotsOf, TOLERANCE, tracksOf } from "./tracks";

type Row = [frame: number, track: number, box: Box, open?: number, score?: number];

/** A clip of n frames; the labels of a frame have rows in the order in which they come. */
function film(
  n: number,
  rows: Row[],
  o: { seconds?: (number | null)[]; suspects?: [number, number, string][]; lane?: string } = {},
): Film {
  const next = new Map<number, number>();
  const clip: Clip = {
    group: "clip",
    size: [1000, 1000],
    frames: Array.from({ length: n }, (_, i) => ({
      item: `f${i}`,
      index: i,
      seconds: o.seconds ? o.seconds[i]! : null,
      annotation: 100 + i,
      lane: o.lane ?? "review",
      outcome: null,
      image: `/${i}.jpg`,
      asks: "",
    })),
    boxes: rows.map(([frame, track, box, open = 1, score = 0.5]) => {
      const row = next.get(frame) ?? 0;
      next.set(frame, row + 1);
      return [frame, row, 0, track, ...box, score, open];
    }),
    kinds: rows.map(() => 1),
    suspects: o.suspects ?? [],
    events: [],
    next_track: rows.reduce((most, row) => Math.max(most, row[1] + 1), 0),
    next_event: rows.reduce((most, row) => Math.max(most, row[1] + 1), 0),
    crop: "",
  };
  return filmOf(clip);
}

const at = (x: number): Box => [x, x, x + 10, x + 10];
const track = (id: number, from: number, to: number, box: (frame: number) => Box): Row[] =>
  Array.from({ length: to - from + 1 }, (_, i): Row => [from + i, id, box(from + i)]);
const bare = (f: Film) =>
  f.frames.map((frame) => frame.marks.map(({ row, track, box, class: cls }) => [row, track, box, cls]));
const only = (f: Film, id: number) => tracksOf(f).find((one) => one.id === id)!;

const someBox = fc
  .tuple(
    fc.integer({ min: 0, max: 900 }),
    fc.integer({ min: 0, max: 900 }),
    fc.integer({ min: 1, max: 99 }),
    fc.integer({ min: 1, max: 99 }),
  )
  .map(([x, y, w, h]): Box => [x, y, x + w, y + h]);
/** Clips of 12 frames with up to three tracks with gaps, and labels of no track. */
const someFilm = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 11 }), fc.integer({ min: -1, max: 2 }), someBox), {
    minLength: 1,
    maxLength: 30,
  })
  .map((rows) =>
    film(
      12,
      rows.filter(([f, t], i) => t < 0 || rows.findIndex(([g, u]) => f === g && t === u) === i),
    ),
  );
const attempt = (make: () => Gesture): Gesture | null => {
  try {
    return make();
  } catch (error) {
    if (error instanceof Error && error.name === "Refusal") return null;
    throw error;
  }
};

describe("keyframes", () => {
  it("are the ends and the corners of a line, and what lies beside a gap", () => {
    const bent = [
      ...track(1, 0, 4, (f) => at(f * 10)),
      ...track(1, 5, 8, (f) => at(40 + (f - 4) * 30)),
      ...track(1, 11, 12, at),
    ];
    expect(only(film(13, bent), 1).keyframes).toEqual([0, 4, 8, 11, 12]);
    expect(only(film(13, bent), 1).runs).toEqual([[0, 8], [11, 12]]); // prettier-ignore
  });

  it("are all frames of a box that jumps about", () => {
    const jumps = [3, 70, 12, 50, 8].map((x, f): Row => [f, 1, at(x)]);
    expect(only(film(5, jumps), 1).keyframes).toEqual([0, 1, 2, 3, 4]);
  });

  it("give back every box, on a slow curve too", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -0.03, max: 0.03, noNaN: true }), { minLength: 2, maxLength: 60 }),
        (bends) => {
          let [x, v] = [500, 0];
          const rows = bends.map((bend, f): Row => [f, 1, at((x += v += bend))]);
          const one = film(rows.length, rows);
          const clock = times(one);
          const keys = keyframesOf(spotsOf(one, 1), clock);
          for (let f = 0; f < rows.length; f++) {
            const [a, b] = [keys.findLast((k) => k <= f)!, keys.find((k) => k >= f)!];
            const line = a === b ? rows[f]![2] : between(rows[a]![2], rows[b]![2], clock[a]!, clock[b]!, clock[f]!);
            line.forEach((value, i) => expect(Math.abs(value - rows[f]![2][i]!)).toBeLessThanOrEqual(TOLERANCE + 1e-9));
          }
        },
      ),
    );
  });

  it("are found from any frame", () => {
    const one = only(
      film(9, [...track(1, 0, 4, (f) => at(f * 10)), ...track(1, 5, 8, (f) => at(40 + (f - 4) * 30))]),
      1,
    );
    expect([nextKeyframe(one, 2, 1), nextKeyframe(one, 2, -1), nextKeyframe(one, 8, 1)]).toEqual([4, 0, undefined]);
  });
});

describe("split and merge", () => {
  it("are each other's inverse", () => {
    fc.assert(
      fc.property(someFilm, fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 11 }), (before, id, frame) => {
        const split = attempt(() => edits.splitTrack(before, id, frame));
        const [early, late] = [spotsOf(before, id, 0, frame - 1), spotsOf(before, id, frame)];
        expect(split === null).toBe(!early.length || !late.length);
        if (!split) return;
        const apart = apply(before, split);
        expect(spotsOf(apart, id).map((s) => s.frame)).toEqual(early.map((s) => s.frame));
        expect(spotsOf(apart, before.nextTrack).map((s) => s.frame)).toEqual(late.map((s) => s.frame));
        expect(bare(apply(apart, edits.mergeTracks(apart, id, before.nextTrack)))).toEqual(bare(before));
      }),
    );
  });

  it("asks which box to keep where both have one, and keeps that one", () => {
    const both = film(4, [...track(1, 0, 2, at), ...track(2, 2, 3, () => at(500))]);
    expect(() => edits.mergeTracks(both, 1, 2)).toThrow(edits.Overlap);
    for (const [keep, box] of [
      [1, at(2)],
      [2, at(500)],
    ] as const) {
      const one = apply(both, edits.mergeTracks(both, 1, 2, keep));
      expect(spotsOf(one, 1).map((s) => s.frame)).toEqual([0, 1, 2, 3]);
      expect(spotsOf(one, 2)).toEqual([]);
      expect(markAt(one, 1, 2)!.box).toEqual(box);
    }
    expect(() => edits.mergeTracks(both, 1, 1)).toThrow("another track");
    expect(() => edits.mergeTracks(both, 1, 9)).toThrow("no track 9");
  });

  it("gives the second part a number that no track has, each time", () => {
    const once = film(6, track(1, 0, 5, at));
    const twice = apply(once, edits.splitTrack(once, 1, 2));
    const thrice = apply(twice, edits.splitTrack(twice, 1, 1));
    expect(tracksOf(thrice).map((t) => [t.id, t.spots.length])).toEqual([[1, 1], [3, 1], [2, 4]]); // prettier-ignore
  });

  it("takes suspects along", () => {
    const one = film(6, track(1, 0, 5, at), { suspects: [[1, 1, "jump"], [1, 3, "id_switch"]] }); // prettier-ignore
    const two = apply(one, edits.splitTrack(one, 1, 3));
    expect(only(two, 1).suspects).toEqual([{ frame: 1, last: 1, reason: "jump", open: true }]);
    expect(only(two, 2).suspects).toEqual([{ frame: 3, last: 3, reason: "id_switch", open: false }]);
    expect(apply(two, edits.deleteTrack(two, 2)).frames.flatMap((f) => f.suspects)).toEqual([
      { track: 1, reason: "jump" },
    ]);
  });
});

describe("boxes between keyframes", () => {
  it("lie exactly on the line in seconds, and in numbers of frames where seconds are unknown", () => {
    const rising = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 12, maxLength: 12 }).map((steps) => {
      let at = 0;
      return steps.map((step) => (at += step) / 1000);
    });
    fc.assert(
      fc.property(someBox, someBox, fc.option(rising), fc.integer({ min: 2, max: 11 }), (a, b, seconds, last) => {
        const one = film(12, [[0, 1, a], [last, 1, b]], seconds ? { seconds } : {}); // prettier-ignore
        const full = apply(one, edits.interpolate(one, 1, 0, last));
        for (let f = 1; f < last; f++) {
          const share = seconds ? (seconds[f]! - seconds[0]!) / (seconds[last]! - seconds[0]!) : f / last;
          const box = markAt(full, 1, f)!.box;
          a.forEach((v, i) => expect(box[i]).toBe(v + (b[i]! - v) * share));
        }
        expect(only(full, 1).keyframes.length).toBe(2);
      }),
    );
  });

  it("follow a keyframe that is moved, and those on no line stay", () => {
    const line = film(
      11,
      track(1, 0, 10, (f) => at(f * 10)),
    );
    const bent = apply(line, edits.moveBox(line, 1, 5, at(150)));
    expect(only(bent, 1).keyframes).toEqual([0, 5, 10]);
    expect(spotsOf(bent, 1).map((s) => s.mark.box[0])).toEqual([0, 30, 60, 90, 120, 150, 140, 130, 120, 110, 100]);
    const back = apply(bent, edits.moveBox(bent, 1, 5, at(50)));
    expect(bare(back)).toEqual(bare(line));

    const noisy = film(5, [3, 70, 12, 50, 8].map((x, f): Row => [f, 1, at(x)])); // prettier-ignore
    const moved = apply(noisy, edits.moveBox(noisy, 1, 2, at(90)));
    expect(spotsOf(moved, 1).map((s) => s.mark.box[0])).toEqual([3, 70, 90, 50, 8]);
  });

  it("run between what was set by hand, else between the keyframes next to here", () => {
    const noisy = film(6, [3, 70, 12, 50, 8, 40].map((x, f): Row => [f, 1, at(x)])); // prettier-ignore
    expect(span(only(noisy, 1), 2)).toEqual([1, 3]);
    const first = apply(noisy, edits.moveBox(noisy, 1, 0, at(0)));
    expect(span(only(first, 1), 2)).toEqual([1, 3]);
    const both = apply(first, edits.moveBox(first, 1, 4, at(40)));
    expect(span(only(both, 1), 2)).toEqual([0, 4]);
    const smooth = apply(both, edits.interpolate(both, 1, 0, 4));
    expect(spotsOf(smooth, 1).map((s) => s.mark.box[0])).toEqual([0, 10, 20, 30, 40, 40]);
    expect(() => edits.interpolate(smooth, 1, 0, 4)).toThrow("on a line already");
    expect(() => edits.interpolate(smooth, 1, 0, 1)).toThrow("no frame between");
    expect(span(only(smooth, 1), 0)).toBe(null);
  });

  it("begin a track from keyframes drawn, cut to the picture", () => {
    const none = film(6, []);
    const one = apply(none, edits.newTrack(none, 0, new Map([[4, at(40)], [1, at(-5)]]))); // prettier-ignore
    expect(spotsOf(one, 0).map((s) => [s.frame, s.mark.box[0]])).toEqual([[1, 0], [2, expect.closeTo(40 / 3)], [3, expect.closeTo(80 / 3)], [4, 40]]); // prettier-ignore
    expect(one.nextTrack).toBe(1);
    expect(() => edits.newTrack(none, 0, new Map([[0, [-9, -9, -1, -1]]]))).toThrow("inside the picture");
    const more = apply(one, edits.addKeyframe(one, 0, 5, at(99)));
    expect(only(more, 0).keyframes).toEqual([1, 4, 5]);
    expect(() => edits.addKeyframe(more, 0, 5, at(1))).toThrow("already");
  });

  it("refuse masks", () => {
    const mask = { ...film(3, [[0, 1, at(0)], [2, 1, at(9)]]) }; // prettier-ignore
    const frames = mask.frames.map((f) => ({ ...f, marks: f.marks.map((m) => ({ ...m, kind: 6 })) }));
    expect(() => edits.moveBox({ ...mask, frames }, 1, 0, at(1))).toThrow("mask");
    expect(() => edits.interpolate({ ...mask, frames }, 1, 0, 2)).toThrow("mask");
  });
});

describe("answers", () => {
  it("accept or repair what is open of a track, in every frame of the lane", () => {
    const one = film(3, [[0, 1, at(0)], [1, 1, at(1), 0], [1, 2, at(9)], [2, 1, at(2)]]); // prettier-ignore
    const accept = edits.acceptTrack(one, 1, "review");
    expect([...accept.steps]).toEqual([[0, { action: "accept", rows: [0] }], [2, { action: "accept", rows: [0] }]]); // prettier-ignore
    const after = apply(one, accept);
    expect(tracksOf(after).map((t) => t.open)).toEqual([0, 1]);
    expect(() => edits.acceptTrack(after, 1, "review")).toThrow("open");
    expect([...edits.repairTrack(after, 1).steps.keys()]).toEqual([0, 1, 2]);
    expect(() => edits.acceptTrack(one, 1, "repair")).toThrow("open");
    expect([...edits.unsureTrack(one, 2).steps]).toEqual([[1, { action: "unsure", rows: [1] }]]);
    expect(apply(one, edits.answerFrame(one, 1, "accept")).frames[1]!.marks.some((m) => m.open)).toBe(false);
  });

  it("remove a box, the rest of a track, or all of it, and number the rows anew", () => {
    const one = film(3, [[1, 5, at(0)], [0, 1, at(0)], [1, 1, at(1)], [1, 2, at(9)], [2, 1, at(2)]]); // prettier-ignore
    const frames = (f: Film) => spotsOf(f, 1).map((s) => s.frame);
    const here = apply(one, edits.removeAt(one, 1, 1));
    expect(frames(here)).toEqual([0, 2]);
    expect(here.frames[1]!.marks.map((m) => [m.row, m.track])).toEqual([[0, 5], [1, 2]]); // prettier-ignore
    expect(frames(apply(one, edits.removeFrom(one, 1, 1)))).toEqual([0]);
    expect(frames(apply(one, edits.deleteTrack(one, 1)))).toEqual([]);
    expect(apply(one, edits.answerRow(1, 2, "reject")).frames[1]!.marks.map((m) => m.track)).toEqual([5, 1]);
  });

  it("asks about tracks with suspects first, then about the least sure", () => {
    const rows: Row[] = [[0, 1, at(0), 1, 0.9], [0, 2, at(0), 1, 0.2], [0, 3, at(0), 1, 0.8], [0, 4, at(0), 0, 0.1]]; // prettier-ignore
    const one = film(1, rows, { suspects: [[3, 0, "jump"]] });
    expect(asking(tracksOf(one)).map((t) => t.id)).toEqual([3, 2, 1]);
  });

  it("joins what a rule doubts in frame after frame", () => {
    const doubts: [number, number, string][] = [[1, 0, "low"], [1, 1, "low"], [1, 1, "jump"], [1, 2, "low"], [1, 4, "low"]]; // prettier-ignore
    const one = film(6, track(1, 0, 5, at), { suspects: doubts });
    const said = (f: Film) => only(f, 1).suspects.map(({ frame, last, reason, open }) => [frame, last, reason, open]);
    expect(said(one)).toEqual([[0, 2, "low", true], [1, 1, "jump", true], [4, 4, "low", true]]); // prettier-ignore
    const half = apply(one, edits.answerFrame(one, 1, "accept"));
    expect(said(half)).toEqual([[0, 0, "low", true], [1, 1, "low", false], [1, 1, "jump", false], [2, 2, "low", true], [4, 4, "low", true]]); // prettier-ignore
  });

  it("sets class and attribute of a track", () => {
    const one = film(3, track(1, 0, 2, at));
    expect(tracksOf(apply(one, edits.setClass(one, 1, 4)))[0]!.classes).toEqual([[4, 3]]);
    expect(() => edits.setClass(one, 1, 0)).toThrow("already");
    const step = edits.setAttribute(one, 1, "occluded", true, 1, 9).steps;
    expect([...step.keys()]).toEqual([1, 2]);
  });
});

describe("gestures", () => {
  it("touch no frame they do not name, and undo gives back what was", () => {
    fc.assert(
      fc.property(
        someFilm,
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 11 }),
        someBox,
        (before, id, f, box) => {
          const copy = JSON.stringify(before);
          const ways = [
            () => edits.splitTrack(before, id, f),
            () => edits.moveBox(before, id, f, box),
            () => edits.removeFrom(before, id, f),
            () => edits.deleteTrack(before, id),
            () => edits.mergeTracks(before, id, (id + 1) % 3, id),
            () => edits.addKeyframe(before, id, f, box),
          ];
          for (const way of ways) {
            const gesture = attempt(way);
            if (!gesture) continue;
            const after = apply(before, gesture);
            expect(JSON.stringify(before)).toBe(copy);
            before.frames.forEach((frame, i) => {
              expect(after.frames[i] === frame).toBe(!gesture.steps.has(i));
              expect(after.frames[i]!.marks.map((m) => m.row)).toEqual(after.frames[i]!.marks.map((_, row) => row));
            });
            // The server says that the old annotations hold again.
            const made = before.frames.map((one, i) => {
              const open = one.marks.filter((m) => m.open).map((m) => m.row);
              return {
                seq: i,
                item: one.item,
                state: { annotation: one.annotation, open, lane: one.lane, outcome: null, decision: 0 },
              };
            });
            const marks = new Map(
              before.frames.map((one) => [one.annotation, { marks: one.marks, suspects: one.suspects }]),
            );
            expect(bare(settle(after, made, (annotation) => marks.get(annotation))!)).toEqual(bare(before));
          }
        },
      ),
    );
  });

  it("are settled by what the server says, and unknown labels have to be asked for", () => {
    const one = film(1, [[0, 1, at(0)], [0, 2, at(1)]]); // prettier-ignore
    const state = { annotation: 7, open: [1], lane: "repair", outcome: "review", decision: 3 };
    const after = settle(one, [{ seq: 3, item: "f0", state }, { seq: 4, item: "elsewhere", state }])!; // prettier-ignore
    expect(after.frames[0]).toMatchObject({ annotation: 7, lane: "repair", outcome: "review" });
    expect(after.frames[0]!.marks.map((m) => m.open)).toEqual([false, true]);
    expect(settle(one, [{ seq: 3, item: "f0", state }], () => undefined)).toBe(null);
  });
});
