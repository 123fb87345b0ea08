import fc from "fast-check";
import { expect, test } from "vitest";
import type { AttributeInfo, Decide, SchemaInfo } from "./api/types";
import {
  groupOf,
  idOf,
  identityOf,
  isNamed,
  reference,
  renameAll,
  said,
  tidy,
  withRecent,
  wordOf,
  type To,
} from "./names";

const attribute = (name: string, over: Partial<AttributeInfo> = {}): AttributeInfo => ({
  name,
  type: "text",
  scope: "label",
  choices: [],
  classes: [],
  unit: "",
  minimum: null,
  maximum: null,
  identity: false,
  ...over,
});

const info = (name: string, parent = "") => ({
  name,
  parent,
  kinds: ["box"],
  keypoints: [],
  skeleton: [],
  color: "",
  abstract: false,
  confirmations: 0,
});

const schema: SchemaInfo = {
  name: "shop",
  version: "1",
  kinds: ["box"],
  classes: [info("pack"), info("drink", "pack"), info("gap")],
  attributes: [
    attribute("store", { identity: true, scope: "image" }),
    attribute("colour"),
    attribute("the_product", { identity: true, classes: ["pack"] }),
  ],
};

test("a group and its id are the same thing, whatever it is called", () => {
  const name = fc.option(fc.string({ unit: "binary" }));
  fc.assert(
    fc.property(
      fc.string().filter((one) => !one.includes("\t")),
      name,
      (of, name) => {
        expect(groupOf(idOf({ class: of, name }))).toEqual({ class: of, name });
      },
    ),
  );
  expect(said({ class: "drink", name: "" })).toBe("drink");
  expect(said({ class: "drink", name: "Lime" })).toBe("Lime");
});

test("the first attribute of labels with identity names them, where a class has it", () => {
  expect(identityOf(schema)?.name).toBe("the_product");
  expect(wordOf(identityOf(schema)!)).toBe("the product");
  expect(isNamed(schema, "drink")).toBe(true);
  expect(isNamed(schema, "gap")).toBe(false);
  const bare = { ...schema, attributes: [attribute("colour")] };
  expect(identityOf(bare)).toBeUndefined();
  expect(isNamed(bare, "drink")).toBe(false);
});

test("a name is kept without odd spaces, and travels whole in an address", () => {
  expect(tidy("  Cola \t 330  ml ")).toBe("Cola 330 ml");
  const url = new URL(reference("A&B #1?", 96, 3), "http://here");
  expect(url.searchParams.get("name")).toBe("A&B #1?");
  expect(url.searchParams.get("at")).toBe("3");
});

test("names that were given keep their keys; the oldest goes when there are nine", () => {
  let names: To[] = [];
  for (const name of "abcdefghi") names = withRecent(names, { name, class: "drink" });
  expect(withRecent(names, { name: "c", class: "gap" })[2]).toEqual({ name: "c", class: "gap" });
  expect(withRecent(names, { name: "", class: "drink" })).toEqual(names);
  names = withRecent(names, { name: "j", class: "drink" });
  expect(names.map((one) => one.name).join("")).toBe("bcdefghij");
});

test("all of a name is renamed part by part, answering nothing, and each part is given back", async () => {
  const parts = [
    { items: [{ item: "a", annotation: 7, rows: [0, 2] }], skipped: 1, next: 7, seconds: 600 },
    { items: [], skipped: 4, next: 9, seconds: 600 },
    { items: [{ item: "b", annotation: 12, rows: [1] }], skipped: 0, next: 0, seconds: 600 },
  ];
  const asked: unknown[] = [];
  const sent: Decide[][] = [];
  const released: string[] = [];
  const heard: number[] = [];
  const source = {
    take: async (take: unknown) => (asked.push(take), parts[asked.length - 1]!),
    send: async (decisions: Decide[]) => (sent.push(decisions), []),
    release: async (items: string[]) => void released.push(...items),
  };
  const to = { name: "Cola", class: "drink" };
  const done = await renameAll(source, "cola 33", to, (n) => heard.push(n));
  expect(done).toEqual({ renamed: 3, skipped: 5 });
  expect(asked).toEqual(
    [7, 9].reduce<unknown[]>((all, after) => [...all, { name: "cola 33", after }], [{ name: "cola 33", after: 0 }]),
  );
  expect(sent).toEqual([
    [{ item: "a", action: "edit", annotation: 7, rows: [], changes: { rename: { 0: to, 2: to } }, done: false }],
    [{ item: "b", action: "edit", annotation: 12, rows: [], changes: { rename: { 1: to } }, done: false }],
  ]);
  expect(released).toEqual(["a", "b"]);
  expect(heard).toEqual([2, 2, 3]);
});

test("a refused part is given back, and the refusal told", async () => {
  const released: string[] = [];
  const source = {
    take: async () => ({ items: [{ item: "a", annotation: 7, rows: [0] }], skipped: 0, next: 7, seconds: 600 }),
    send: () => Promise.reject(new Error("409")),
    release: async (items: string[]) => void released.push(...items),
  };
  await expect(renameAll(source, "x", { name: "y", class: "drink" })).rejects.toThrow("409");
  expect(released).toEqual(["a"]);
});
