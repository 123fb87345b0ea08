/** Tracks of a clip: where they exist, their keyframes and gaps, what is asked about them, and in which order. */
import { grouped, NO_TRACK, TAG, times } from "./clip";
import type { Box, Film, Mark } from "./clip";

/** How far a box may lie from the line between two keyframes without being one, in pixels. */
export const TOLERANCE = 0.01;

/** A label of a track, in a frame that is counted from 0 in the clip. */
export interface Spot {
  readonly frame: number;
  readonly mark: Mark;
}

export interface Track {
  readonly id: number;
  /** It is no thing but something that happens: a tag on each of its frames. */
  readonly event: boolean;
  /** In the order of frames, one a frame. */
  readonly spots: readonly Spot[];
  /** First and last frame of each stretch without a gap. */
  readonly runs: readonly (readonly [number, number])[];
  /** Frames whose box is no linear interpolation. */
  readonly keyframes: readonly number[];
  /** Classes with how many labels they have, the most frequent first. */
  readonly classes: readonly (readonly [number, number])[];
  /** How many labels a person still has to answer. */
  readonly open: number;
  /** The lowest score of a label that is open, else of any. */
  readonly lowest: number;
  readonly suspects: readonly TrackSuspect[];
  /** Frames in which the track stands twice. */
  readonly twice: readonly number[];
}

/** A stretch of frames, from the first to the last, that a rule doubts for the same reason. */
export interface TrackSuspect {
  readonly frame: number;
  readonly last: number;
  readonly reason: string;
  readonly open: boolean;
}

/** Return all labels of a track, of `from` to `to`, those in frames where it stands twice included. */
export function spotsOf(film: Film, track: number, from = 0, to = film.frames.length - 1): Spot[] {
  const spots: Spot[] = [];
  for (let frame = Math.max(0, from); frame <= Math.min(to, film.frames.length - 1); frame++)
    for (const mark of film.frames[frame]!.marks) if (mark.track === track) spots.push({ frame, mark });
  return spots;
}

/** Return the label of a track in a frame. */
export function markAt(film: Film, track: number, frame: number): Mark | undefined {
  return track === NO_TRACK ? undefined : film.frames[frame]?.marks.find((mark) => mark.track === track);
}

/**
 * Return the tracks and the events of a clip by their first frame; labels without a track belong to none. Only what waits in `lane`
 * counts as open, if one is given.
 */
export function tracksOf(film: Film, lane: string | null = null): Track[] {
  const asked = ({ frame, mark }: Spot) => mark.open && (lane === null || film.frames[frame]!.lane === lane);
  const all = film.frames.flatMap((frame, i) => frame.marks.map((mark): Spot => ({ frame: i, mark })));
  const found = grouped(
    all.filter(({ mark }) => mark.track !== NO_TRACK),
    ({ mark }) => mark.track,
  );
  const suspects = grouped(
    film.frames.flatMap((frame, i) => frame.suspects.map((suspect) => ({ ...suspect, frame: i }))),
    (suspect) => suspect.track,
  );
  const clock = times(film);
  const tracks = [...found].map(([id, all]) => {
    const spots = all.filter((spot, i) => i === 0 || spot.frame !== all[i - 1]!.frame);
    const open = all.filter(asked);
    const at = new Map(spots.map((spot) => [spot.frame, spot]));
    return {
      id,
      event: all.every((spot) => spot.mark.kind === TAG),
      spots,
      runs: runsOf(spots),
      keyframes: keyframesOf(spots, clock),
      classes: counted(all.map((spot) => spot.mark.class)),
      open: open.length,
      lowest: (open.length ? open : all).reduce((low, spot) => Math.min(low, spot.mark.score), 1),
      suspects: stretches(
        (suspects.get(id) ?? [])
          .filter((suspect) => at.has(suspect.frame))
          .map(({ frame, reason }) => ({ frame, last: frame, reason, open: asked(at.get(frame)!) })),
      ),
      twice: [...new Set(all.filter((spot, i) => i > 0 && spot.frame === all[i - 1]!.frame).map((spot) => spot.frame))],
    };
  });
  return tracks.sort((a, b) => a.spots[0]!.frame - b.spots[0]!.frame || a.id - b.id);
}

/** Return the tracks with something open, in the order to ask: with open suspects first, then the least sure. */
export function asking(tracks: readonly Track[]): Track[] {
  const doubtful = (track: Track) => track.suspects.filter((suspect) => suspect.open).length;
  return tracks
    .filter((track) => track.open > 0)
    .sort((a, b) => Number(doubtful(b) > 0) - Number(doubtful(a) > 0) || a.lowest - b.lowest || a.id - b.id);
}

function runsOf(spots: readonly Spot[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const { frame } of spots) {
    const last = runs.at(-1);
    if (last && last[1] === frame - 1) last[1] = frame;
    else runs.push([frame, frame]);
  }
  return runs;
}

/**
 * Return the frames whose boxes give all others by linear interpolation, to TOLERANCE.
 *
 * From a keyframe the line goes on as long as one slope fits all boxes passed; the ends of a run are keyframes always.
 */
export function keyframesOf(spots: readonly Spot[], clock: readonly number[]): number[] {
  const keys: number[] = [];
  let low: number[] = [];
  let high: number[] = [];
  let key: Spot | undefined;
  let last: Spot | undefined;
  const begin = (spot: Spot) => {
    key = spot;
    [low, high] = [Array(4).fill(-Infinity), Array(4).fill(Infinity)];
    keys.push(spot.frame);
  };
  const constrain = (spot: Spot) => {
    const dt = clock[spot.frame]! - clock[key!.frame]!;
    for (let i = 0; i < 4; i++) {
      const rise = spot.mark.box[i]! - key!.mark.box[i]!;
      low[i] = Math.max(low[i]!, (rise - TOLERANCE) / dt);
      high[i] = Math.min(high[i]!, (rise + TOLERANCE) / dt);
    }
  };
  const fits = (spot: Spot) => {
    const dt = clock[spot.frame]! - clock[key!.frame]!;
    return spot.mark.box.every((v, i) => {
      const slope = (v - key!.mark.box[i]!) / dt;
      return slope >= low[i]! && slope <= high[i]!;
    });
  };
  for (const spot of spots) {
    if (!key || !last || last.frame !== spot.frame - 1) {
      if (last && keys.at(-1) !== last.frame) keys.push(last.frame);
      begin(spot);
    } else {
      if (!fits(spot)) begin(last);
      constrain(spot);
    }
    last = spot;
  }
  if (last && keys.at(-1) !== last.frame) keys.push(last.frame);
  return keys;
}

/** Return the box at `time` on the line from `a` at `from` to `b` at `to`. */
export function between(a: Box, b: Box, from: number, to: number, time: number): Box {
  const share = (time - from) / (to - from);
  return a.map((v, i) => v + (b[i]! - v) * share) as unknown as Box;
}

/**
 * Return the frames to interpolate between: the boxes next to `frame` that were set by hand, if there is one on either side, else the
 * keyframes next to it.
 */
export function span(track: Track, frame: number): [number, number] | null {
  const around = (of: readonly Spot[]): [number, number] | null => {
    const before = of.findLast((spot) => spot.frame < frame);
    const after = of.find((spot) => spot.frame > frame);
    return before && after ? [before.frame, after.frame] : null;
  };
  const keys = new Set(track.keyframes);
  return (
    around(track.spots.filter((spot) => spot.mark.hand)) ?? around(track.spots.filter((spot) => keys.has(spot.frame)))
  );
}

/** Return the nearest keyframe before (-1) or after (1) a frame. */
export function nextKeyframe(track: Track, frame: number, way: 1 | -1): number | undefined {
  return way > 0 ? track.keyframes.find((key) => key > frame) : track.keyframes.findLast((key) => key < frame);
}

function stretches(suspects: readonly TrackSuspect[]): TrackSuspect[] {
  const joined: TrackSuspect[] = [];
  for (const one of suspects) {
    const before = joined.findLastIndex(({ reason }) => reason === one.reason);
    const same = joined[before];
    if (same && same.open === one.open && same.last >= one.frame - 1) joined[before] = { ...same, last: one.frame };
    else joined.push(one);
  }
  return joined;
}

/** Return the track that seems to go on where this one ends, or to end where it begins. */
export function successor(tracks: readonly Track[], track: Track): number | null {
  const [first, last] = [track.spots[0]!.frame, track.spots.at(-1)!.frame];
  const distance = (other: Track) => {
    const [begins, ends] = [other.spots[0]!.frame, other.spots.at(-1)!.frame];
    return begins > last ? begins - last : ends < first ? first - ends : Infinity;
  };
  const others = tracks.filter((other) => other.id !== track.id);
  return (
    others.reduce<Track | null>((best, other) => (!best || distance(other) < distance(best) ? other : best), null)
      ?.id ?? null
  );
}

function counted(values: readonly number[]): [number, number][] {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}
