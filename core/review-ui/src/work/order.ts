/** The order in which labels are asked about: open first, least sure first. */
import type { Entry, Key } from "./work";

/** Return the entries in that order; equal ones keep the order of their rows. */
export function byDoubt(entries: readonly Entry[]): Entry[] {
  return [...entries].sort((a, b) => Number(b.open) - Number(a.open) || score(a) - score(b));
}

/** Return the next open label after `key` in that order, from the start again at the end; null when none is open. */
export function nextOpen(entries: readonly Entry[], key: Key | null): Key | null {
  const line = entries.filter((entry) => entry.open || entry.key === key).sort((a, b) => score(a) - score(b));
  const at = line.findIndex((entry) => entry.key === key);
  const next = [...line.slice(at + 1), ...line.slice(0, at + 1)].find((entry) => entry.open);
  return next?.key ?? null;
}

/** Return the neighbour of `key` in that order, the first or last one for none; null beyond the ends. */
export function neighbour(entries: readonly Entry[], key: Key | null, step: 1 | -1): Key | null {
  const sorted = byDoubt(entries);
  const at = sorted.findIndex((entry) => entry.key === key);
  const next = at < 0 ? (step > 0 ? 0 : sorted.length - 1) : at + step;
  return sorted[next]?.key ?? null;
}

function score(entry: Entry): number {
  return entry.label.score ?? 1;
}
