/** What the schema allows. */
import type { AttributeInfo, ClassInfo, LabelRow, SchemaInfo } from "../api/types";

/** Return the name of a class as people read it: "line crossing". */
export const called = (name: string): string => name.replaceAll("_", " ");

/** Return the classes that a label of `kind` (see `kindOf`) may have; of any kind for null. */
export function classesFor(schema: SchemaInfo, kind: string | null): ClassInfo[] {
  return schema.classes.filter((one) => !one.abstract && (kind === null || has(one, kind)));
}

/** Return the kind of a label as people draw it: keypoints that are a single one are a point. */
export function kindOf(label: Pick<LabelRow, "kind" | "shape">): string {
  return label.kind === "keypoints" && (label.shape as unknown[]).length === 1 ? "point" : label.kind;
}

// A class that names several keypoints has all of them; any other one has a point.
function has(one: ClassInfo, kind: string): boolean {
  if (kind === "point") return one.kinds.includes("keypoints") && one.keypoints.length < 2;
  return one.kinds.includes(kind) && (kind !== "keypoints" || one.keypoints.length > 1);
}

/** Return all classes, those that a label of `kind` may have before the others. */
export function fittingFirst(schema: SchemaInfo, kind: string | null): ClassInfo[] {
  return [...new Set([...classesFor(schema, kind), ...classesFor(schema, null)])];
}

/** Return the class that digit `n` stands for (1 to 9): the same one whatever is selected, or those that fit `kind` first. */
export function classOfDigit(schema: SchemaInfo, n: number, kind: string | null = null): ClassInfo | undefined {
  return fittingFirst(schema, kind)[n - 1];
}

/** Return the attributes that a label of class `name` has, from its class or a more general one. */
export function attributesFor(schema: SchemaInfo, name: string): AttributeInfo[] {
  const line = new Set(ancestors(schema, name));
  return schema.attributes.filter(
    (one) => one.scope === "label" && (!one.classes.length || one.classes.some((owner) => line.has(owner))),
  );
}

/** Return the attributes of the image as a whole. */
export function imageAttributes(schema: SchemaInfo): AttributeInfo[] {
  return schema.attributes.filter((one) => one.scope === "image");
}

/** Return `label` as class `name`, without the attributes that this class does not have. */
export function asClass(schema: SchemaInfo, label: LabelRow, name: string): LabelRow {
  const known = new Set(attributesFor(schema, name).map((one) => one.name));
  const attributes = Object.entries(label.attributes ?? {}).filter(([attribute]) => known.has(attribute));
  return { ...label, class: name, attributes: Object.fromEntries(attributes) };
}

/** Say what is wrong with a value of an attribute, or nothing. */
export function fault(attribute: AttributeInfo, value: unknown): string {
  if (attribute.type !== "integer" && attribute.type !== "number") return "";
  const { minimum, maximum } = attribute;
  if (typeof value !== "number" || !Number.isFinite(value)) return "This must be a number.";
  if (attribute.type === "integer" && !Number.isInteger(value)) return "This must be a whole number.";
  if ((minimum !== null && value < minimum) || (maximum !== null && value > maximum))
    return `This must be ${bounds(attribute)}.`;
  return "";
}

/** Say between what a number must lie: `from 0 to 5 m`, or nothing. */
export function bounds({ minimum, maximum, unit }: AttributeInfo): string {
  const words = [minimum === null ? "" : `from ${minimum}`, maximum === null ? "" : `to ${maximum}`].filter(Boolean);
  return [...words, words.length ? unit : ""].filter(Boolean).join(" ");
}

function ancestors(schema: SchemaInfo, name: string): string[] {
  const line: string[] = [];
  for (let at: string | undefined = name; at && !line.includes(at);) {
    line.push(at);
    at = schema.classes.find((one) => one.name === at)?.parent;
  }
  return line;
}
