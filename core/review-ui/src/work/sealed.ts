/** Labels with their keys at one moment: as they hold, as they were sent, or as they are to be. */
import type { Changes, LabelRow } from "../api/types";
import { differs, sameValue } from "./labels";

export interface Sealed {
  readonly labels: readonly { readonly key: number; readonly label: LabelRow }[];
  readonly context: Readonly<Record<string, unknown>>;
}

/** Return what turns the annotation `base` into `target`, as little as says it; null for nothing. */
export function changesBetween(base: Sealed, target: Sealed): Changes | null {
  const wanted = new Map(target.labels.map(({ key, label }) => [key, label]));
  const held = new Set(base.labels.map(({ key }) => key));
  const put = base.labels.flatMap(({ key, label }, row) => {
    const now = wanted.get(key);
    return now && differs(label, now) ? [[String(row), now] as const] : [];
  });
  const add = target.labels.filter(({ key }) => !held.has(key)).map(({ label }) => label);
  const drop = base.labels.flatMap(({ key }, row) => (wanted.has(key) ? [] : [row]));
  const context = sameValue(target.context, base.context) ? {} : { context: { ...target.context } };
  if (!put.length && !add.length && !drop.length && !("context" in context)) return null;
  return { put: Object.fromEntries(put), add, drop, ...context };
}

/** Return the annotation that these changes make: what was kept in its order, then what was added. */
export function merged(base: Sealed, target: Sealed): Sealed {
  const wanted = new Map(target.labels.map((one) => [one.key, one]));
  const held = new Set(base.labels.map(({ key }) => key));
  const kept = base.labels.flatMap(({ key }) => wanted.get(key) ?? []);
  return { labels: [...kept, ...target.labels.filter(({ key }) => !held.has(key))], context: target.context };
}
