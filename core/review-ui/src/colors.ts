/** Give every class a colour: the one of the schema, or one of a palette that stays apart on photos. */
import type { SchemaInfo } from "./api/types";

const PALETTE = [
  "#e6194b", "#3cb44b", "#ffb000", "#4f7cff", "#f58231", "#b45cd6", "#22c3d6", "#e04fd0", "#a2c800", "#ff9d9d",
  "#149c94", "#c8a2ff", "#b9772e", "#ffe45c", "#ff4f4f", "#7fe0b0",
]; // prettier-ignore
const HEX = /^#[0-9a-f]{6}$/i;

/** Return the colour of a class as `#rrggbb`. */
export function classColor(schema: SchemaInfo, name: string): string {
  const index = schema.classes.findIndex((known) => known.name === name);
  const own = schema.classes[index]?.color ?? "";
  return HEX.test(own) ? own : (PALETTE[Math.max(index, 0) % PALETTE.length] ?? "#e6194b");
}
