/**
 * Send the decisions on one item in order.
 *
 * The person never waits: what was decided shows at once. But a decision that comes after a change of the labels leaves only when
 * that change is acknowledged, since the rows that it names are counted in the new labels. When one is refused the rest stays, as
 * a draft.
 */
import type { Action, Changes, Decide, Item, Made, Mode } from "../api/types";
import type { Where } from "../router";
import type { Draft } from "./compare";
import type { Key, Mark, Sealed, Work } from "./work";

export interface SendAbout {
  label: string;
  where: Where;
  mode: Mode;
  note: string;
}

export interface SenderParts {
  /** Where the item is shown. */
  where: Where;
  /** Sends decisions; fails when the server refuses them for good. */
  send(decisions: Decide[], about: SendAbout): Promise<Made[]>;
  /** Active milliseconds since it was last asked. */
  lap(): number;
  /** The note for the next decision. */
  note(): string;
  /** A decision was refused; what it and the later ones said is in the draft. */
  failed(error: unknown, draft: Draft): void;
}

export interface Job {
  action: Action;
  /** What it did, for the history. */
  label: string;
  /** Labels that it is about. */
  keys: readonly Key[];
  /** What it answers about them. */
  mark: Mark | null;
  /** What it makes of the labels, if it changes them. */
  target?: Sealed;
  /** Instead of what leads to the target. */
  changes?: Changes;
  done?: boolean;
}

type Timed = Job & { active: number; note: string };

export class Sender {
  /** A decision was refused; nothing more is sent until the person has chosen. */
  stopped = false;
  #queue: Timed[] = [];
  #changing = false;
  #unconfirmed = new Map<Key, Mark>();

  constructor(
    private readonly item: Item,
    private readonly work: Work,
    private readonly parts: SenderParts,
  ) {}

  /** Take a decision: its answers show at once. */
  put(job: Job): void {
    if (job.mark) {
      this.work.answered(job.keys, job.mark);
      for (const key of job.keys) this.#unconfirmed.set(key, job.mark);
    }
    if (this.stopped) return;
    const timed = { ...job, active: this.parts.lap(), note: this.parts.note() };
    if (this.#changing) this.#queue.push(timed);
    else this.#start(timed);
  }

  /** Return what was done here and is not confirmed. */
  draft(): Draft {
    const { work } = this;
    const answers = [...this.#unconfirmed].flatMap(([key, mark]) => {
      const row = work.rowOf(key);
      return row === null ? [] : [{ row, mark }];
    });
    return { annotation: work.annotation, base: work.base(), changes: work.changes(), answers };
  }

  /** Go on after a refusal: nothing of what was refused is sent, all of it is there. */
  resume(): void {
    this.stopped = false;
    this.work.unseal();
    this.work.unanswered(this.#unconfirmed.keys());
    this.#unconfirmed.clear();
  }

  #start(job: Timed): void {
    const { work, item } = this;
    const { action, keys, target = null } = job;
    const annotation = job.changes ? item.state.annotation : work.annotation;
    const decide: Decide = { item: item.id, action, annotation, active_ms: job.active };
    if (target && action !== "reject") {
      decide.changes = job.changes ?? work.changes(target) ?? {};
      decide.done = job.done ?? false;
    } else {
      decide.rows = keys.flatMap((key) => work.rowOf(key) ?? []);
      // Without rows it would be about the whole item; these labels went with an earlier change.
      if (keys.length && !decide.rows.length) return;
    }
    if (target) this.#changing = true;
    const mode: Mode = item.mode === "blind" ? "blind" : "single";
    this.parts.send([decide], { label: job.label, where: this.parts.where, mode, note: job.note }).then(
      (made) => {
        for (const key of keys) this.#unconfirmed.delete(key);
        const state = made.find((one) => one.item === item.id)?.state;
        if (state) work.rebase(state, target);
        if (target) this.#next();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #next(): void {
    this.#changing = false;
    while (this.#queue.length && !this.#changing) this.#start(this.#queue.shift()!);
  }

  #fail(error: unknown): void {
    this.#changing = false;
    if (this.stopped) return;
    this.stopped = true;
    this.#queue = [];
    this.parts.failed(error, this.draft());
  }
}
