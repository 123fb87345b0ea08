import { expect, test } from "vitest";
import {
  lengthText,
  mapFrame,
  metresPerPixel,
  pixelArea,
  roundLength,
  toMap,
  toPixel,
  unitOf,
  type MapFrame,
} from "./ground";

const utm: MapFrame = { transform: [0.5, 0, 500000, 0, -0.5, 4650000], crs: "EPSG:32633" };

test("a pixel is where hyla.frame.MapFrame puts it", () => {
  expect(toMap(utm, 605, 399)).toEqual([500302.5, 4649800.5]);
  const turned: MapFrame = { transform: [0, 2, 10, 3, 0, 20], crs: "" };
  expect(toMap(turned, 5, 7)).toEqual([2 * 7 + 10, 3 * 5 + 20]);
});

test("a place of the map leads back to its pixel", () => {
  const turned: MapFrame = { transform: [0.5, 0.25, 10, 0.125, -0.5, 20], crs: "" };
  for (const frame of [utm, turned]) expect(toPixel(frame, ...toMap(frame, 605.25, 399.5))).toEqual([605.25, 399.5]);
  expect(toPixel({ transform: [1, 1, 0, 1, 1, 0], crs: "" }, 1, 2)).toBe(null);
});

test("only the frame of a map is one", () => {
  expect(mapFrame({ kind: "map", transform: [1, 0, 0, 0, 1, 0], crs: "EPSG:4326" })).not.toBeNull();
  expect(mapFrame({ kind: "pixel" })).toBeNull();
  expect(mapFrame({ kind: "map", transform: [1], crs: "" })).toBeNull();
});

test("units are told where they are known, and else not", () => {
  expect(unitOf("EPSG:32633")).toBe("metre");
  expect(unitOf("epsg:25832")).toBe("metre");
  expect(unitOf("EPSG:4326")).toBe("degree");
  expect(unitOf("EPSG:2263")).toBe(""); // feet
  expect(unitOf("EPSG:3857")).toBe(""); // not true to size
  expect(unitOf('GEOGCS["WGS 84",UNIT["degree",0.0174]]')).toBe("degree");
  expect(unitOf('PROJCS["x",GEOGCS["y",UNIT["degree",0.0174]],UNIT["metre",1]]')).toBe("metre");
  expect(unitOf('PROJCS["x",GEOGCS["y",UNIT["degree",0.0174]],UNIT["US survey foot",0.3048006]]')).toBe("");
  expect(unitOf("")).toBe("");
});

test("a pixel has a size on the ground", () => {
  expect(pixelArea(utm)).toBe(0.25);
  expect(pixelArea({ ...utm, crs: "EPSG:4326" })).toBeNull();
  expect(metresPerPixel(utm, 0, 0)).toBe(0.5);
  const north: MapFrame = { transform: [0.001, 0, 10, 0, -0.001, 60], crs: "EPSG:4326" };
  expect(metresPerPixel(north, 0, 0)).toBeCloseTo(55.66, 1); // half of what it is at the equator
  expect(metresPerPixel({ ...utm, crs: "" }, 0, 0)).toBeNull();
});

test("a scale bar is round and short enough", () => {
  expect([0.7, 1, 4.9, 5, 99, 120, 260].map(roundLength)).toEqual([0.5, 1, 2, 5, 50, 100, 200]);
  expect(roundLength(0)).toBe(0);
  expect(roundLength(NaN)).toBe(0);
  expect([0.02, 0.5, 5, 50, 2000].map(lengthText)).toEqual(["2 cm", "50 cm", "5 m", "50 m", "2 km"]);
});
