/** The crops of a track that show whether it is the same thing all the way. */
import { TAG, type Film } from "./clip";
import type { Spot, Track } from "./tracks";

/** How many crops are shown, unless more places are in doubt. */
export const CROPS = 24;
const MOST = 96;

export interface Crop {
  readonly frame: number;
  readonly url: string;
  /** Why the identity may change from the crop before to this one: what a rule says, or how long nothing was seen. */
  readonly doubts: readonly string[];
}

/** Return crops in the order of time: the places where a rule doubts the track or a gap ends, each with what was before, then others evenly. */
export function cropsOf(film: Film, track: Track, most = CROPS): Crop[] {
  const spots = track.spots.filter((spot) => spot.mark.kind !== TAG);
  if (!spots.length) return [];
  const place = new Map(spots.map((spot, i) => [spot.frame, i]));
  const doubts = new Map<number, string[]>();
  const doubt = (i: number, why: string) => doubts.set(i, [...new Set([...(doubts.get(i) ?? []), why])]);
  for (const { frame, reason } of track.suspects) doubt(place.get(frame) ?? 0, reason.replaceAll("_", " "));
  for (const [first] of track.runs.slice(1)) {
    const i = place.get(first);
    if (i) doubt(i, `after ${away(film, spots[i - 1]!, spots[i]!)}`);
  }
  const chosen = new Set<number>();
  for (const i of [...doubts.keys()].sort((a, b) => a - b)) {
    if (chosen.size >= MOST) break;
    if (i > 0) chosen.add(i - 1);
    chosen.add(i);
  }
  const wanted = Math.min(spots.length, Math.max(most, chosen.size));
  // As even as can be: the middle of the widest stretch without a crop, again and again.
  chosen.add(0).add(spots.length - 1);
  while (chosen.size < wanted) chosen.add(widest([...chosen].sort((a, b) => a - b)));
  return [...chosen]
    .sort((a, b) => a - b)
    .map((i) => ({ frame: spots[i]!.frame, url: urlOf(film, spots[i]!), doubts: doubts.get(i) ?? [] }));
}

function widest(places: readonly number[]): number {
  let [at, width] = [0, 0];
  for (let i = 1; i < places.length; i++) {
    const between = places[i]! - places[i - 1]!;
    if (between > width) [at, width] = [places[i - 1]! + (between >> 1), between];
  }
  return at;
}

function away(film: Film, before: Spot, after: Spot): string {
  const [from, to] = [film.frames[before.frame]!.seconds, film.frames[after.frame]!.seconds];
  if (from !== null && to !== null && to > from) return `${(to - from).toFixed(1)} s away`;
  return `${after.frame - before.frame - 1} frames away`;
}

function urlOf(film: Film, { frame, mark }: Spot): string {
  const { item, annotation } = film.frames[frame]!;
  return film.crop
    .replace("{item}", encodeURIComponent(item))
    .replace("{annotation}", String(annotation))
    .replace("{row}", String(mark.row));
}
