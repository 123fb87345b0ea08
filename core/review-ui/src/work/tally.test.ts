import { expect, test } from "vitest";
import { tally } from "./tally";
import type { Entry } from "./work";

const entry = (key: number, open: boolean, mark: Entry["mark"] = null): Entry => ({
  key,
  row: key,
  open,
  mark,
  label: { class: "field", kind: "box", box: [0, 0, 1, 1] },
});

test("counts the labels that were asked about by their answers", () => {
  const entries = [
    entry(1, false, "accepted"),
    entry(2, false, "accepted"),
    entry(3, false, "wrong"),
    entry(4, false, "unsure"),
    entry(5, true),
    entry(6, false), // nobody asked about it
  ];
  expect(tally(entries, 6)).toEqual({ right: 2, wrong: 1, unsure: 1, open: 1, gone: 1 });
  expect(tally([], 0)).toEqual({ right: 0, wrong: 0, unsure: 0, open: 0, gone: 0 });
});
