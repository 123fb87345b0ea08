/** Compare two sets of labels of one item: what one did to the other, and how to do it again on a third. */
import type { Changes, LabelRow } from "../api/types";
import { same, sameValue, tidy } from "./labels";
import type { Mark } from "./work";

/** What somebody did to an annotation and the server did not take: `answers` are rows of `base`. */
export interface Draft {
  annotation: number;
  base: LabelRow[];
  changes: Changes | null;
  answers: { row: number; mark: Mark }[];
}

export interface Difference {
  added: LabelRow[];
  removed: LabelRow[];
  changed: { before: LabelRow; after: LabelRow }[];
}

const OVERLAP = 0.5; // boxes that share this much are the same object

/** Return for each row of `a` its row of `b`, or null: equal labels first, then those that lie on each other. */
export function match(a: readonly LabelRow[], b: readonly LabelRow[]): (number | null)[] {
  const found: (number | null)[] = a.map(() => null);
  const free = new Set(b.keys());
  const places = new Map<string, number[]>();
  b.forEach((label, row) => places.set(spot(label), [...(places.get(spot(label)) ?? []), row]));
  a.forEach((label, row) => {
    const twin = places.get(spot(label))?.find((other) => free.has(other) && equal(label, b[other]!));
    if (twin === undefined) return;
    found[row] = twin;
    free.delete(twin);
  });
  const pairs = a.flatMap((label, row) =>
    found[row] !== null
      ? []
      : [...free]
          .map((other) => ({ row, other, near: nearness(label, b[other]!) }))
          .filter((pair) => pair.near >= OVERLAP),
  );
  for (const { row, other } of pairs.sort((x, y) => y.near - x.near)) {
    if (found[row] !== null || !free.has(other)) continue;
    found[row] = other;
    free.delete(other);
  }
  return found;
}

/** Say what turned `before` into `after`. A score is no difference. */
export function difference(before: readonly LabelRow[], after: readonly LabelRow[]): Difference {
  const found = match(before, after);
  const taken = new Set(found);
  return {
    added: after.filter((_, row) => !taken.has(row)),
    removed: before.filter((_, row) => found[row] === null),
    changed: before.flatMap((label, row) => {
      const other = found[row] === null ? undefined : after[found[row]!];
      return other && !equal(label, other) ? [{ before: label, after: other }] : [];
    }),
  };
}

/** Return the changes that turn `base` into `target`, in whatever order. */
export function changesTo(base: readonly LabelRow[], target: readonly LabelRow[]): Changes {
  const found = match(base, target);
  const taken = new Set(found);
  const put = base.flatMap((label, row) => {
    const wanted = found[row] === null ? undefined : target[found[row]!];
    return wanted && !equal(label, wanted) ? [[String(row), tidy(wanted)] as const] : [];
  });
  return {
    put: Object.fromEntries(put),
    add: target.filter((_, row) => !taken.has(row)).map(tidy),
    drop: [...base.keys()].filter((row) => found[row] === null),
  };
}

/** Return what somebody did, as it is to be done on `theirs`: a label that is gone there and was changed here is added. */
export function onTop(draft: Draft, theirs: readonly LabelRow[]): Pick<Draft, "changes" | "answers"> {
  const found = match(draft.base, theirs);
  const { put = {}, add = [], drop = [], context } = draft.changes ?? {};
  const puts = Object.entries(put).map(([row, label]) => ({ row: found[Number(row)] ?? null, label }));
  const changes: Changes = {
    put: Object.fromEntries(puts.filter(({ row }) => row !== null).map(({ row, label }) => [String(row), label])),
    add: [...puts.filter(({ row }) => row === null).map(({ label }) => label), ...add],
    drop: drop.flatMap((row) => found[row] ?? []),
  };
  if (context) changes.context = context;
  const answers = draft.answers.flatMap(({ row, mark }) => (found[row] === null ? [] : [{ row: found[row]!, mark }]));
  return { changes, answers };
}

/** Return the overlap of two boxes over their union, 0 to 1; boxes without area count as one pixel wide. */
export function iou(a: LabelRow["box"], b: LabelRow["box"]): number {
  const [p, q] = [widened(a), widened(b)];
  const width = Math.min(p[2], q[2]) - Math.max(p[0], q[0]);
  const height = Math.min(p[3], q[3]) - Math.max(p[1], q[1]);
  if (width <= 0 || height <= 0) return 0;
  return (width * height) / (area(p) + area(q) - width * height);
}

function nearness(a: LabelRow, b: LabelRow): number {
  if (a.kind !== b.kind || (a.kind === "tag" && a.class !== b.class)) return 0;
  if (a.kind === "cuboid") return a.class === b.class && a.track === b.track && (a.track ?? -1) >= 0 ? 1 : 0;
  const bonus = (a.class === b.class ? 0.5 : 0) + ((a.track ?? -1) >= 0 && a.track === b.track ? 1 : 0);
  const overlap = iou(a.box, b.box);
  return overlap >= OVERLAP || bonus >= 1 ? overlap + bonus : 0;
}

function equal(a: LabelRow, b: LabelRow): boolean {
  return same(tidy(a), tidy(b));
}

function spot(label: LabelRow): string {
  return `${label.kind} ${label.class} ${label.box.join(" ")}`;
}

function area(box: readonly number[]): number {
  return (box[2]! - box[0]!) * (box[3]! - box[1]!);
}

function widened([x0, y0, x1, y1]: LabelRow["box"]): [number, number, number, number] {
  return [x0, y0, Math.max(x1, x0 + 1), Math.max(y1, y0 + 1)];
}

/** Say in a few words how a label differs from what it was. */
export function wordsOf({ before, after }: { before: LabelRow; after: LabelRow }): string {
  const words = [
    before.class === after.class ? "" : `was ${before.class}`,
    sameValue([before.kind, before.box, before.shape], [after.kind, after.box, after.shape]) ? "" : "moved or reshaped",
    (before.track ?? -1) === (after.track ?? -1) ? "" : "other track",
    sameValue(before.attributes ?? {}, after.attributes ?? {}) ? "" : "attributes",
  ];
  return words.filter(Boolean).join(", ");
}
