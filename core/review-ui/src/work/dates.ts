/** The dates of the place that a map shows: which to compare with, and how to show it alike. */
import type { SceneInfo, Tiles } from "../api/types";

/** Return the index of the date to compare with: the nearest earlier one, else the nearest later one; null if there is none. */
export function baseline(scenes: readonly SceneInfo[]): number | null {
  const here = scenes.findIndex((scene) => scene.here);
  const found =
    scenes.slice(0, here).findLast((scene) => scene.same) ?? scenes.slice(here + 1).find((scene) => scene.same);
  return found?.index ?? null;
}

/** Return the index of the next date that can be compared with, before (-1) or after (1) `chosen`; `chosen` at the ends. */
export function neighbourDate(scenes: readonly SceneInfo[], chosen: number | null, by: 1 | -1): number | null {
  const able = scenes.filter((scene) => scene.same && !scene.here);
  const at = able.findIndex((scene) => scene.index === chosen);
  return able[at + by]?.index ?? chosen;
}

/** Return the bands, from 1, of `to` that show what `bands` of `from` do: those of the same names, else of the same places. */
export function sameBands(bands: readonly number[], from: Tiles, to: Tiles): number[] {
  const named = bands.map((band) => to.bands.indexOf(from.bands[band - 1] ?? "") + 1);
  if (named.every((band) => band > 0)) return named;
  return bands.every((band) => band <= to.bands.length) ? [...bands] : to.default_bands;
}

/** Write the date of a scene for people: 5 Jun 2024; what is no date as it is, and of what has none the file and the number. */
export function dateText({ date, index, name }: Pick<SceneInfo, "date" | "index" | "name">): string {
  if (!date) return `${name.split("/").at(-1)} (${index + 1})`;
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)/.exec(date) ?? [];
  const short = MONTHS[Number(month) - 1];
  return short ? `${Number(day)} ${short} ${year}` : date;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
