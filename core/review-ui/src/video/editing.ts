/**
 * A clip while somebody works on it: gestures are shown at once, sent in order, and follow what the server says.
 *
 * `film` is what the server confirmed with the gestures that it has not confirmed yet on top. A gesture names rows and annotations of
 * those before it, so that it leaves only after they are made. If the server refuses one, those after it are void too, and the clip
 * is asked anew. Nothing goes unsaid: of what is void the person is told.
 */
import type { Changes, Clip, Decide, Item, LabelRow, Made, SchemaInfo } from "../api/types";
import { renumbered, type Numbers } from "./mentions";
import { apply, filmOf, isEdit, KINDS, Refusal, settle } from "./clip";
import type { EditStep, Film, Fresh, Gesture, Held } from "./clip";
import { changed, fitted } from "./fit";

const TOGETHER = 8; // items asked at once
const REMEMBER = 4000; // labels of frames, so that an edit of what was edited needs no request

export interface Parts {
  schema: SchemaInfo;
  item(id: string): Promise<Item>;
  clip(): Promise<Clip>;
  /** Hand decisions over; made when the server has them. */
  send(decisions: Decide[], label: string, frame: number): Promise<Made[]>;
  /** Active milliseconds since the last gesture. */
  lap(): number;
  /** Tell the person why the server did not take something. */
  refused(error: unknown): void;
}

/** The labels of a frame are not those any more that the clip was made of. */
class Moved extends Error {}

export class Editing {
  #parts: Parts;
  #base: Film;
  #film: Film;
  #pending: Gesture[] = [];
  #tail: Promise<void> = Promise.resolve();
  #handed: Promise<unknown> = Promise.resolve();
  #held = new Map<number, Held>();
  #labels = new Map<number, Promise<LabelRow[]>>();
  #own = new WeakSet<readonly Made[]>();
  #round = 0;
  #known = new WeakSet<Gesture>(); // what became of it: it was made, or the person was told that it was not
  #asking: Promise<void> | null = null;
  #listeners = new Set<() => void>();

  constructor(clip: Clip, parts: Parts) {
    this.#parts = parts;
    this.#base = this.#film = filmOf(clip);
    this.#remember(this.#base);
  }

  get film(): Film {
    return this.#film;
  }

  /** How many gestures the server has not confirmed. */
  get pending(): number {
    return this.#pending.length;
  }

  /** Show a gesture and send it; `frame` is where it was made, for undo to go back to. */
  do(gesture: Gesture, frame: number): void {
    const ms = this.#parts.lap();
    this.#pending.push(gesture);
    this.#film = apply(this.#film, gesture);
    this.#tell();
    const round = this.#round;
    let handed = () => {};
    this.#handed = new Promise<void>((resolve) => (handed = resolve));
    this.#tail = this.#tail.then(() => this.#make(gesture, frame, ms, round, handed)).finally(handed);
  }

  /** Wait until all gestures are on their way, in their order, so that an undo comes after them. */
  async handed(): Promise<void> {
    await this.#handed;
  }

  /** Wait until the server has answered everything. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  /** Follow what the server made of something else than the gestures here: an undo, a redo. Returns whether the clip changed. */
  async heard(made: readonly Made[]): Promise<boolean> {
    // Of a gesture of ours the promise of `send` tells, right after this.
    await new Promise((resolve) => setTimeout(resolve));
    const items = new Set(made.map((one) => one.item));
    if (this.#own.has(made) || !this.#base.frames.some((frame) => items.has(frame.item))) return false;
    // Gestures on their way name rows that this may have moved.
    const base = this.#pending.length ? null : settle(this.#base, made, (annotation) => this.#held.get(annotation));
    if (base) this.#rebase(base);
    else await this.reload();
    return true;
  }

  /** Ask for the clip anew while nothing is on its way; what is done meanwhile is sent, and then the clip is asked for again. */
  async refresh(): Promise<void> {
    this.#asking ??= this.#refreshed().finally(() => (this.#asking = null));
    await this.#asking;
  }

  /** Ask for the clip anew, once what is on its way was answered; what was not sent is dropped, and the person told so. */
  async reload(): Promise<void> {
    this.#round += 1;
    this.#tail = this.#tail.then(() => this.#begin());
    await this.#tail;
  }

  /** Call `listener` when the clip changed; return what ends that. */
  onchange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #make(gesture: Gesture, frame: number, ms: number, round: number, handed: () => void): Promise<void> {
    if (round !== this.#round) return;
    try {
      const { decisions, labels } = await this.#prepared(gesture, ms);
      if (!decisions.length) throw new Refusal("Nothing changes by that.");
      const sent = this.#parts.send(decisions, gesture.label, frame);
      handed();
      const made = await sent;
      this.#own.add(made);
      this.#known.add(gesture);
      if (round !== this.#round) return;
      this.#pending.shift();
      const base = settle(apply(this.#base, gesture), made)!;
      made.forEach((one) => {
        const after = labels.get(one.item);
        if (after) this.#labels.set(one.state.annotation, Promise.resolve(after));
      });
      this.#rebase(base);
    } catch (error) {
      if (round !== this.#round) return;
      for (const one of this.#pending) this.#known.add(one);
      this.#parts.refused(error instanceof Moved ? new Refusal("The labels of this clip changed meanwhile.") : error);
      await this.#begin();
    }
  }

  async #refreshed(): Promise<void> {
    try {
      for (;;) {
        const tail = this.#tail;
        await tail;
        const base = this.#base;
        const film = filmOf(await this.#parts.clip());
        if (tail === this.#tail && base === this.#base) return this.#rebase(film);
      }
    } catch (error) {
      this.#parts.refused(error);
    }
  }

  // What was done before the clip is here, or while it is asked for, was done to labels that hold no longer.
  async #begin(): Promise<void> {
    try {
      const film = filmOf(await this.#parts.clip());
      const lost = this.#pending.some((one) => !this.#known.has(one));
      this.#round += 1;
      this.#pending = [];
      this.#rebase(film);
      if (lost) this.#parts.refused(new Refusal("The clip was loaded again meanwhile."));
    } catch (error) {
      this.#parts.refused(error);
    }
  }

  /** Return what to send for a gesture, and the labels that edited items will have. */
  async #prepared(gesture: Gesture, ms: number): Promise<{ decisions: Decide[]; labels: Map<string, LabelRow[]> }> {
    const base = this.#base;
    const labels = new Map<string, LabelRow[]>();
    const steps = [...gesture.steps].sort((a, b) => a[0] - b[0]);
    const each = Math.floor(ms / Math.max(1, steps.length));
    const decisions = await pooled(TOGETHER, steps, async ([at, step], i): Promise<Decide> => {
      const { item, annotation } = base.frames[at]!;
      const active = { active_ms: i === 0 ? ms - each * (steps.length - 1) : each };
      if (!isEdit(step)) {
        const known = await this.#labels.get(annotation)?.catch(() => undefined);
        if (known && step.action === "reject") labels.set(item, without(known, step.rows));
        return { item, action: step.action, annotation, rows: [...step.rows], ...active };
      }
      const renumber = step.renumber && { renumber: Object.fromEntries(step.renumber) };
      if (!step.put.size && !step.add.length) {
        const known = await this.#labels.get(annotation)?.catch(() => undefined);
        if (known) labels.set(item, named(without(known, step.drop), step.renumber));
        const changes = { drop: [...step.drop], ...renumber };
        return { item, action: step.action, annotation, changes, done: false, ...active };
      }
      const before = await this.#labelsOf(base, at);
      const changes = { ...(await this.#changes(base, before, step)), ...renumber };
      const kept = before.map((label, row) => changes.put?.[String(row)] ?? label);
      labels.set(item, named([...without(kept, step.drop), ...(changes.add ?? [])], step.renumber));
      return { item, action: "edit", annotation, changes, done: false, ...active };
    });
    return { decisions, labels };
  }

  async #changes(base: Film, before: readonly LabelRow[], { put, add, drop }: EditStep): Promise<Changes> {
    const rows = [...put].map(([row, change]) => [String(row), changed(before[row]!, change, this.#parts.schema)]);
    const added = await Promise.all(add.map((fresh) => this.#fresh(base, fresh)));
    return { put: Object.fromEntries(rows) as Record<string, LabelRow>, add: added, drop: [...drop] };
  }

  async #fresh(base: Film, fresh: Fresh): Promise<LabelRow> {
    const { class: cls, track, kind, box, shape = null, like, attributes = {} } = fresh;
    const plain: LabelRow = {
      class: this.#parts.schema.classes[cls]!.name,
      kind: KINDS[kind]!,
      box: [...box],
      score: 1,
      shape,
      track,
      attributes: { ...attributes },
    };
    if (!like) return plain;
    const model = (await this.#labelsOf(base, like.frame))[like.row]!;
    const placed = shape === null ? fitted(model, box) : { ...model, box: plain.box, shape };
    const facts = { ...placed.attributes, ...attributes };
    return { ...plain, ...placed, track, score: 1, attributes: facts, evidence: {} };
  }

  #labelsOf(film: Film, at: number): Promise<LabelRow[]> {
    const { item, annotation } = film.frames[at]!;
    const known = this.#labels.get(annotation);
    if (known) return known;
    const labels = this.#parts.item(item).then((found) => {
      if (found.state.annotation !== annotation) throw new Moved();
      return found.labels;
    });
    this.#labels.set(annotation, labels);
    labels.catch(() => this.#labels.delete(annotation));
    for (const oldest of this.#labels.keys()) {
      if (this.#labels.size <= REMEMBER) break;
      this.#labels.delete(oldest);
    }
    return labels;
  }

  #rebase(base: Film): void {
    this.#base = base;
    this.#film = this.#pending.reduce(apply, base);
    this.#remember(base);
    this.#tell();
  }

  #remember(film: Film): void {
    for (const { annotation, marks, suspects } of film.frames) this.#held.set(annotation, { marks, suspects });
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function without(labels: readonly LabelRow[], rows: readonly number[]): LabelRow[] {
  return labels.filter((_, row) => !rows.includes(row));
}

function named(labels: LabelRow[], numbers?: Numbers): LabelRow[] {
  if (!numbers) return labels;
  return labels.map((label) => ({
    ...label,
    attributes: { ...label.attributes, ...renumbered(label.attributes ?? {}, numbers) },
  }));
}

/** Do something with each value, at most `n` at a time, and return the results in order. */
async function pooled<T, R>(n: number, values: readonly T[], act: (value: T, i: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < values.length; i = next++) results[i] = await act(values[i]!, i);
  };
  await Promise.all(Array.from({ length: Math.min(n, values.length) }, worker));
  return results;
}
