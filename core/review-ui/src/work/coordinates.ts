/** Read a place that somebody typed or pasted: longitude and latitude, or coordinates of the map. */

export interface Place {
  /** Along x: longitude, or east. */
  x: number;
  y: number;
  /** Letters or degree signs say that it is longitude and latitude. */
  degrees: boolean;
}

const NUMBER = /^[+-]?(?:\d+[.]?\d*|[.]\d+)(?:e[+-]?\d+)?$/i;
const TURNS: Record<string, { along: "x" | "y"; sign: 1 | -1 }> = {
  e: { along: "x", sign: 1 },
  w: { along: "x", sign: -1 },
  n: { along: "y", sign: 1 },
  s: { along: "y", sign: -1 },
};

/**
 * Return the two numbers of a text: `13.4 52.5`, `13.4, 52.5`, `13,4 52,5`, or in any order with letters, `52.5° N 13.4° E`;
 * null for anything else. Without letters x comes first.
 */
export function placeIn(text: string): Place | null {
  const parts = partsOf(text);
  if (parts.length !== 2) return null;
  const read = parts.map(one);
  const [a, b] = read;
  if (!a || !b) return null;
  if (a.along === null && b.along === null) return { x: a.value, y: b.value, degrees: a.degrees || b.degrees };
  const [x, y] = [read.find((part) => part!.along === "x"), read.find((part) => part!.along === "y")];
  return x && y ? { x: x.value, y: y.value, degrees: true } : null;
}

/** Tell whether two numbers can be longitude and latitude. */
export function mayBeDegrees({ x, y }: Place): boolean {
  return Math.abs(x) <= 180 && Math.abs(y) <= 90;
}

// A letter belongs to the number before it; a comma parts two numbers unless each of them has one of its own.
function partsOf(text: string): string[] {
  const plain = text
    .trim()
    .replace(/−/g, "-")
    .replace(/^[([]|[)\]]$/g, "")
    .replace(/\s*°\s*/g, "° ")
    .replace(/([\d.°])\s*([nsew])(?=[\s,;]|$)/gi, "$1$2 ");
  const words = plain.split(/[\s;]+/).filter((word) => word !== "" && word !== ",");
  if (words.length === 2 && words.every((word) => /^[+-]?\d+,\d+\D*$/.test(word)))
    return words.map((word) => word.replace(",", "."));
  return plain.split(/[\s;,]+/).filter(Boolean);
}

function one(part: string): { value: number; along: "x" | "y" | null; degrees: boolean } | null {
  const [, digits = "", sign = "", letter = ""] = /^(.*?)(°?)([nsew]?)$/i.exec(part) ?? [];
  if (!NUMBER.test(digits)) return null;
  const value = Number(digits);
  if (!Number.isFinite(value)) return null;
  const turn = TURNS[letter.toLowerCase()];
  if (!turn) return { value, along: null, degrees: sign !== "" };
  return value < 0 ? null : { value: turn.sign * value, along: turn.along, degrees: true };
}
