import { expect, test } from "vitest";
import type { AttributeInfo, SchemaInfo } from "../api/types";
import {
  asClass,
  attributesFor,
  bounds,
  classesFor,
  classOfDigit,
  called,
  fault,
  fittingFirst,
  imageAttributes,
  kindOf,
} from "./schema";

const one = (name: string, kinds: string[], parent = "", abstract = false) => ({
  name,
  kinds,
  parent,
  abstract,
  confirmations: 0,
  keypoints: [],
  skeleton: [],
  color: "",
});
const attribute = (name: string, over: Partial<AttributeInfo> = {}): AttributeInfo => ({
  name,
  type: "boolean",
  scope: "label",
  choices: [],
  classes: [],
  unit: "",
  minimum: null,
  maximum: null,
  identity: false,
  ...over,
});
const schema: SchemaInfo = {
  name: "s",
  version: "1",
  kinds: ["box", "tag"],
  classes: [one("vehicle", ["box"], "", true), one("car", ["box"], "vehicle"), one("scene", ["tag"])],
  attributes: [
    attribute("occluded"),
    attribute("wheels", { classes: ["vehicle"] }),
    attribute("wet", { scope: "image" }),
  ],
};
const names = (list: { name: string }[]) => list.map(({ name }) => name);

test("classes that only group others are never chosen, and digits stay the same for every kind", () => {
  expect(names(classesFor(schema, null))).toEqual(["car", "scene"]);
  expect(names(classesFor(schema, "tag"))).toEqual(["scene"]);
  expect(classOfDigit(schema, 2)?.name).toBe("scene");
  expect(classOfDigit(schema, 3)).toBeUndefined();
});

test("where those that fit come first, digits reach them", () => {
  expect(names(fittingFirst(schema, "tag"))).toEqual(["scene", "car"]);
  expect(classOfDigit(schema, 1, "tag")?.name).toBe("scene");
  expect(classOfDigit(schema, 1, "box")?.name).toBe("car");
  const crowded = { ...schema, classes: [...Array.from({ length: 12 }, (_, i) => one(`car${i}`, ["box"])), one("line_crossing", ["tag"])] }; // prettier-ignore
  expect(classOfDigit(crowded, 1, "tag")?.name).toBe("line_crossing");
  expect(called("line_crossing")).toBe("line crossing");
});

test("a class that names no two keypoints has a point", () => {
  const person = { ...one("person", ["keypoints"]), keypoints: ["head", "foot"] };
  const nose = { ...one("nose", ["keypoints"]), keypoints: ["tip"] };
  const all = { ...schema, classes: [person, nose, one("stake", ["keypoints", "box"]), one("car", ["box"])] };
  expect(names(classesFor(all, "keypoints"))).toEqual(["person"]);
  expect(names(classesFor(all, "point"))).toEqual(["nose", "stake"]);
  expect(kindOf({ kind: "keypoints", shape: [[1, 2, 2]] })).toBe("point");
  expect(kindOf({ kind: "keypoints", shape: [[1, 2, 2], [3, 4, 2]] })).toBe("keypoints"); // prettier-ignore
  expect(kindOf({ kind: "box" })).toBe("box");
});

test("attributes come down from the more general class", () => {
  expect(names(attributesFor(schema, "car"))).toEqual(["occluded", "wheels"]);
  expect(names(attributesFor(schema, "scene"))).toEqual(["occluded"]);
  expect(names(imageAttributes(schema))).toEqual(["wet"]);
  const label = { class: "car", kind: "box", box: [0, 0, 1, 1] as [number, number, number, number] };
  expect(asClass(schema, { ...label, attributes: { wheels: 4, occluded: true } }, "scene")).toEqual({
    ...label,
    class: "scene",
    attributes: { occluded: true },
  });
});

test("a number is checked as the server checks it", () => {
  const count = attribute("count", { type: "integer", minimum: 0, maximum: 9 });
  expect([0, 9].map((n) => fault(count, n))).toEqual(["", ""]);
  expect(fault(count, 10)).toBe("This must be from 0 to 9.");
  expect(fault(count, 1.5)).toBe("This must be a whole number.");
  expect(fault(count, NaN)).toBe("This must be a number.");
  expect(fault(attribute("n", { type: "number", minimum: 2, unit: "m" }), 1)).toBe("This must be from 2 m.");
  expect(bounds(attribute("n", { type: "number" }))).toBe("");
});
