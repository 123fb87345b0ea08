import { expect, test } from "vitest";
import { ApiError } from "../api/error";
import { count, duration, percent, plural, said, seconds, words } from "./format";

test("codes become words", () => {
  expect(words("low_score")).toBe("Low score");
  expect(words("<b>x</b>")).toBe("<b>x</b>");
  expect(words("")).toBe("");
  expect(words("lot")).toBe("To be checked");
});

test("numbers", () => {
  expect(count(1234567)).toBe("1,234,567");
  expect(plural(1, "class", "classes")).toBe("1 class");
  expect(plural(0, "label")).toBe("0 labels");
  expect(percent(0.98123)).toBe("98.1 %");
});

test.each([
  [0.049, "0.05 s"],
  [1.84, "1.8 s"],
  [12.4, "12 s"],
  [119.6, "2 min 0 s"],
  [125, "2 min 5 s"],
])("%d seconds are %s", (value, text) => expect(seconds(value)).toBe(text));

test.each([
  [20, "under a minute"],
  [1260, "21 min"],
  [3599, "1 h 0 min"],
  [11_100, "3 h 5 min"],
  [6 * 86_400, "6 days"],
])("%d seconds take %s", (value, text) => expect(duration(value)).toBe(text));

test("errors become sentences", () => {
  expect(said(new ApiError(409, "taken", "Ben works on it", "take another one"))).toBe(
    "Ben works on it. Take another one.",
  );
  expect(said(new ApiError(0, "not_connected", "The server cannot be reached."))).toBe("The server cannot be reached.");
});
