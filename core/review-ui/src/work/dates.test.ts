import { expect, test } from "vitest";
import type { SceneInfo, Tiles } from "../api/types";
import { baseline, dateText, neighbourDate, sameBands } from "./dates";

/** Dates as a word: h is this item, s one on the same grid, o one on another. */
const scenes = (word: string): SceneInfo[] =>
  [...word].map((letter, index) => ({
    index: 10 * index,
    date: `2024-0${index + 1}-15`,
    sensor: "",
    name: "",
    here: letter === "h",
    same: letter !== "o",
  }));
const tiles = (bands: string[], shown = [1, 2, 3]): Tiles => ({ url: "", levels: 1, bands, default_bands: shown });

test.each([
  ["ssh", 10],
  ["soh", 0],
  ["hss", 10],
  ["ohos", 30],
  ["h", null],
  ["oh", null],
])("of %s, the date to compare with is %s", (word, index) => {
  expect(baseline(scenes(word))).toBe(index);
});

test("steps over what can't be compared, and stays at the ends", () => {
  const line = scenes("sohs");
  expect(neighbourDate(line, 0, 1)).toBe(30);
  expect(neighbourDate(line, 30, 1)).toBe(30);
  expect(neighbourDate(line, 30, -1)).toBe(0);
  expect(neighbourDate(scenes("h"), null, -1)).toBe(null);
});

test("shows the bands of the same names, else the same numbers, else what the other date begins with", () => {
  const here = tiles(["blue", "green", "red", "nir"]);
  expect(sameBands([4, 3, 2], here, tiles(["red", "green", "blue", "nir"]))).toEqual([4, 1, 2]);
  expect(sameBands([4, 3, 2], here, tiles(["1", "2", "3", "4"]))).toEqual([4, 3, 2]);
  expect(sameBands([4, 3, 2], here, tiles(["red"], [1]))).toEqual([1]);
});

test.each([
  ["2024-06-05", "5 Jun 2024"],
  ["2024-12-31T10:10:31Z", "31 Dec 2024"],
  ["2024-13-01", "2024-13-01"],
  ["spring", "spring"],
  ["", "1985.tif (3)"],
])("writes %s as %s", (date, text) => {
  expect(dateText({ index: 2, date, name: "place/1985.tif" })).toBe(text);
});
