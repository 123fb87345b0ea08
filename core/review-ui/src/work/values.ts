/** Write attributes for people: a readable name, and the value with its unit. */
import type { AttributeInfo, LabelRow, SchemaInfo } from "../api/types";
import { attributesFor } from "./schema";

// Units of the schema (UCUM) that are not written as people do.
const UNITS: Record<string, string> = {
  har: "ha",
  Cel: "°C",
  m2: "m²",
  km2: "km²",
  m3: "m³",
  d: "days",
  deg: "°",
  ms: "ms",
  "[degF]": "°F",
};
const SHORT = new Set(
  "bbch bsi evi lai mndwi msavi nbr ndmi ndre ndvi ndwi savi spi3 tci vci vhi".split(" "), // known by their capitals
);

/** One line of what is known. */
export interface Fact {
  name: string;
  text: string;
}

/** Return the attributes of a label that are known, in the order of the schema. */
export function factsOf(schema: SchemaInfo, label: LabelRow): Fact[] {
  return attributesFor(schema, label.class).flatMap((attribute) => {
    const value: unknown = label.attributes?.[attribute.name];
    return value === undefined || value === null || value === ""
      ? []
      : [{ name: nameText(attribute), text: valueText(attribute, value) }];
  });
}

/** Write the name of an attribute: `area_ha` in hectares is "area", `ndvi` is "NDVI". */
export function nameText({ name, unit }: AttributeInfo): string {
  const shown = unitText(unit).toLowerCase();
  const plain = shown && name.toLowerCase().endsWith(`_${shown}`) ? name.slice(0, -shown.length - 1) : name;
  return SHORT.has(plain) ? plain.toUpperCase() : plain.replaceAll("_", " ");
}

/** Write a value with its unit: "3.24 ha", "48 %", "Yes"; without one that the name says already, as of "days". */
export function valueText({ name, type, unit }: AttributeInfo, value: unknown): string {
  if (type === "boolean") return value ? "Yes" : "No";
  if (typeof value !== "number") return String(value);
  const number = Number.isInteger(value) ? value : Number(value.toPrecision(value >= 1000 || value <= -1000 ? 6 : 3));
  const text = number.toLocaleString("en", { maximumFractionDigits: 6 }).replace("-", "−");
  const shown = unitText(unit);
  return shown && shown !== name ? `${text}${shown.startsWith("°") && shown.length === 1 ? "" : " "}${shown}` : text;
}

function unitText(unit: string): string {
  return UNITS[unit] ?? (unit === "1" ? "" : unit.replace(/[{}]/g, ""));
}
