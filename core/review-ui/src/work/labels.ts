/** Compare labels of the wire, and complete those that a person made. */
import type { LabelRow } from "../api/types";

/** Tell whether two JSON values are equal; a key without a value says as much as none. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return (a ?? null) === (b ?? null);
  if (Array.isArray(a) || Array.isArray(b))
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((one, i) => sameValue(one, b[i]));
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(x), ...Object.keys(y)])].every((name) => sameValue(x[name], y[name]));
}

/** Tell whether two labels say the same, with the defaults of the wire filled in. */
export function same(a: LabelRow, b: LabelRow): boolean {
  return a === b || sameValue(full(a), full(b));
}

/** Tell whether a label was changed. A score is no change: a label that was moved and moved back is as it was. */
export function differs(a: LabelRow, b: LabelRow): boolean {
  return a !== b && !same(tidy(a), tidy(b));
}

/** Return a label as a person made it: sure of it, and nothing that a model knew. */
export function tidy(label: LabelRow): LabelRow {
  const { evidence: _, ...rest } = label;
  return { ...rest, score: 1 };
}

function full(label: LabelRow): Required<LabelRow> {
  return { score: 1, shape: null, track: -1, attributes: {}, evidence: {}, ...label };
}
