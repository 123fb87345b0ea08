import { expect, test } from "vitest";
import type { AttributeInfo, SchemaInfo } from "../api/types";
import { factsOf, nameText, valueText } from "./values";

const attribute = (name: string, type: AttributeInfo["type"] = "number", unit = ""): AttributeInfo => ({
  name,
  type,
  unit,
  scope: "label",
  choices: [],
  classes: [],
  minimum: null,
  maximum: null,
  identity: false,
});

test.each([
  ["area_ha", "har", "area"],
  ["declared_ha", "har", "declared"],
  ["ndvi", "", "NDVI"],
  ["spi3", "", "SPI3"],
  ["previous_crop", "", "previous crop"],
  ["resolution_m", "m", "resolution"],
  ["change", "", "change"],
])("the name of %s in %s is %s", (name, unit, text) => {
  expect(nameText(attribute(name, "number", unit))).toBe(text);
});

test.each([
  [3.23999, "har", "3.24 ha"],
  [48, "%", "48 %"],
  [-0.123456, "", "−0.123"],
  [12345.678, "m", "12,345.7 m"],
  [21.5, "Cel", "21.5 °C"],
  [41.25, "deg", "41.3°"],
  [35, "d", "35 days"],
  [0.5, "1", "0.5"],
  [1234567, "", "1,234,567"],
])("writes %s %s as %s", (value, unit, text) => {
  expect(valueText(attribute("a", "number", unit), value)).toBe(text);
});

test("a unit that is the name is not said twice", () => {
  expect(valueText(attribute("days", "integer", "d"), 32)).toBe("32");
});

test("tells what is known, and leaves out what is not", () => {
  const schema = {
    classes: [
      {
        name: "field",
        parent: "",
        kinds: ["polygon"],
        keypoints: [],
        skeleton: [],
        color: "",
        abstract: false,
        confirmations: 0,
      },
    ],
    attributes: [
      attribute("ndvi"),
      attribute("crop", "text"),
      attribute("wet", "boolean"),
      attribute("area_ha", "number", "har"),
    ],
  } as unknown as SchemaInfo;
  const label = { class: "field", kind: "polygon", box: [0, 0, 1, 1] as [number, number, number, number] };
  expect(factsOf(schema, { ...label, attributes: { ndvi: 0.78123, crop: "", wet: false, area_ha: null } })).toEqual([
    { name: "NDVI", text: "0.781" },
    { name: "wet", text: "No" },
  ]);
  expect(factsOf(schema, label)).toEqual([]);
});
