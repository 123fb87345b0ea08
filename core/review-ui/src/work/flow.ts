/** What a key does to an item: which decision it makes, which label comes next, when the item is done. */
import type { Changes, Item, LabelRow, SchemaInfo } from "../api/types";
import { changesTo, type Draft } from "./compare";
import { nextOpen } from "./order";
import { asClass, classesFor, kindOf } from "./schema";
import { Sender, type SenderParts } from "./sender";
import type { Entry, Key, Work } from "./work";

export interface FlowParts extends SenderParts {
  /** Forgets the gestures of the item in the history: they become one decision. */
  take(): void;
  /** Another label is selected. */
  selected(key: Key | null): void;
  /** Nothing is left to answer: the next item may come. */
  finished(): void;
}

/** What an answer means, for the history. */
const PAST = {
  accept: "Accepted",
  repair: "Called wrong",
  unsure: "Unsure of",
  reject: "Removed",
  edit: "Edited",
} as const;
const MARKS = { accept: "accepted", repair: "wrong", unsure: "unsure" } as const;
const STATED = { edit: "Labelled", opinion: "Gave an opinion on", adjudicate: "Chose for" } as const;
type Answer = keyof typeof MARKS;

export class Flow {
  readonly item: Item;
  readonly work: Work;
  readonly parts: FlowParts;
  selected: Key | null = null;
  /** Labels that were open when the item came. */
  readonly asked: number;
  /** Rows of the labels when the item came; flags count them. */
  readonly given: ReadonlyMap<Key, number>;

  #sender: Sender;

  constructor(item: Item, work: Work, parts: FlowParts) {
    this.item = item;
    this.work = work;
    this.parts = parts;
    this.#sender = new Sender(item, work, parts);
    this.given = new Map(work.entries().map((entry) => [entry.key, entry.row!]));
    this.asked = work.entries().filter((entry) => entry.open).length;
  }

  /** Answers are given label by label: not where one states all labels oneself. */
  get stepwise(): boolean {
    return this.item.mode === "single";
  }

  get open(): number {
    return this.work.entries().filter((entry) => entry.open).length;
  }

  /** Nothing asks for an answer: somebody decided, or nothing was ever asked. */
  get settled(): boolean {
    const { lane, open } = this.work.state;
    return this.stepwise && lane === "" && open.length === 0 && !this.work.dirty;
  }

  /** What the decision keys are about, now. */
  get entry(): Entry | undefined {
    return this.selected === null ? undefined : this.work.get(this.selected);
  }

  select(key: Key | null): void {
    if (key === this.selected) return;
    this.selected = key;
    this.parts.selected(key);
  }

  /** Select the first label that is asked about. */
  begin(): void {
    this.select(nextOpen(this.work.entries(), null));
  }

  /** A: the selected label is right. */
  accept(): void {
    const { mode } = this.item;
    if (mode === "blind" || mode === "adjudicate") return;
    const entry = this.entry;
    const changed = entry && this.work.changedKeys().includes(entry.key);
    if (mode === "second" && entry?.open) {
      this.work.answered([entry.key]);
      this.#move(nextOpen(this.work.entries(), entry.key), () => this.acceptItem());
    } else if (mode === "single" && entry && (entry.open || changed)) this.#answer("accept", entry);
    else if (this.open > 0) this.select(nextOpen(this.work.entries(), this.selected));
    else this.acceptItem();
  }

  /** Enter: the item is right as it is shown. */
  acceptItem(): void {
    const { mode } = this.item;
    if (mode === "adjudicate") return;
    if (!this.stepwise) {
      this.#state(mode === "second" ? "opinion" : "edit");
      return this.parts.finished();
    }
    const open = this.work.entries().filter((entry) => entry.open);
    const keys = open.map((entry) => entry.key);
    if (this.work.dirty) this.#edit(true, keys);
    else if (this.settled) return this.parts.finished();
    else this.#sender.put({ action: "accept", label: `${PAST.accept} ${this.item.name}`, keys, mark: "accepted" });
    this.parts.finished();
  }

  /** Choose between two opinions: these labels hold from now on. */
  adjudicate(labels: readonly LabelRow[]): void {
    this.#state("adjudicate", changesTo(this.item.labels, labels));
    this.parts.finished();
  }

  /** X: the selected label is wrong; somebody mends it later. Without labels: something is missing. */
  repair(): void {
    const entry = this.entry;
    if (!this.stepwise || this.work.state.lane === "repair" || entry?.row === null) return;
    if (entry) this.#answer("repair", entry);
    else this.#whole("repair");
  }

  /** Space: a second person should look. */
  unsure(): void {
    const entry = this.entry;
    if (this.stepwise && entry && entry.row !== null) this.#answer("unsure", entry);
    else if (this.stepwise || this.item.mode === "blind") this.#whole("unsure");
  }

  /** Del: nothing is there. */
  reject(): void {
    const entry = this.entry;
    if (!entry) return;
    const next = nextOpen(this.work.entries(), entry.key);
    const sent = this.stepwise && entry.row !== null;
    if (sent) {
      this.#flush(entry.key);
      this.work.remove([entry.key]);
      const label = `${PAST.reject} ${entry.label.class}`;
      this.#sender.put({ action: "reject", label, keys: [entry.key], mark: null, target: this.work.seal() });
    } else this.work.drop(entry.key);
    this.select(next === entry.key ? null : next);
    if (sent && this.open === 0 && this.asked > 0) this.parts.finished();
  }

  /** Give the selected label another class, if it may have it. */
  classify(schema: SchemaInfo, name: string): boolean {
    const entry = this.entry;
    if (!entry || !classesFor(schema, kindOf(entry.label)).some((one) => one.name === name)) return false;
    this.work.set(entry.key, asClass(schema, entry.label, name));
    return true;
  }

  /** N: tag the image with a class, or take the tag away. */
  tag(name: string, size: readonly number[]): void {
    const tagged = this.work.entries().find(({ label }) => label.kind === "tag" && label.class === name);
    if (tagged) return this.work.drop(tagged.key);
    const [height = 0, width = 0] = size.slice(-2);
    this.select(this.work.add({ class: name, kind: "tag", box: [0, 0, width, height] }));
  }

  /** Leave the item: gestures become a decision; returns what cannot be one yet, to go on with later. */
  leave(): Draft | null {
    if (this.#sender.stopped || (this.work.dirty && !this.stepwise)) return this.#sender.draft();
    this.#flush();
    return null;
  }

  /** Do what a draft says, on the labels that it is for: its changes as gestures, its answers as decisions. */
  apply({ changes, answers }: Pick<Draft, "changes" | "answers">): void {
    const keys = this.work.entries().map((entry) => entry.key);
    for (const [row, label] of Object.entries(changes?.put ?? {})) this.work.set(keys[Number(row)]!, label);
    for (const row of changes?.drop ?? []) this.work.drop(keys[row]!);
    for (const label of changes?.add ?? []) this.work.add(label);
    for (const [name, value] of Object.entries(changes?.context ?? {})) this.work.setContext(name, value);
    if (answers.length) this.#flush();
    for (const answer of ["accept", "repair", "unsure"] as const) {
      const rows = answers.filter(({ mark }) => mark === MARKS[answer]).map(({ row }) => keys[row]!);
      const open = rows.filter((key) => this.work.get(key)?.open);
      if (open.length) this.#sender.put({ action: answer, label: PAST[answer], keys: open, mark: MARKS[answer] });
    }
    this.begin();
  }

  #answer(answer: Answer, entry: Entry): void {
    const next = nextOpen(this.work.entries(), entry.key);
    this.#flush();
    // An edit answers the labels that it changes.
    const answered = answer === "accept" && !this.work.get(entry.key)?.open;
    if (!answered)
      this.#sender.put({
        action: answer,
        label: `${PAST[answer]} ${entry.label.class}`,
        keys: [entry.key],
        mark: MARKS[answer],
      });
    this.#move(next, () => this.parts.finished());
  }

  // The next label, or if none is left the next item.
  #move(next: Key | null, end: () => void): void {
    const left = next !== null && this.work.get(next)?.open ? next : nextOpen(this.work.entries(), null);
    if (left !== null) this.select(left);
    else end();
  }

  // About the item; where labels are open, one of them has to be selected first.
  #whole(action: "repair" | "unsure"): void {
    if (this.selected === null && this.open > 0) return this.begin();
    if (this.stepwise) this.#flush();
    this.#sender.put({ action, label: `${PAST[action]} ${this.item.name}`, keys: [], mark: null });
    this.parts.finished();
  }

  #flush(except?: Key): void {
    if (!this.work.dirty) return;
    const keys = this.work.changedKeys().filter((key) => key !== except && this.work.get(key)?.open);
    this.#edit(false, keys);
  }

  #edit(done: boolean, keys: readonly Key[]): void {
    const changed = this.work.changedKeys();
    const only = changed.length === 1 ? this.work.get(changed[0]!)?.label.class : undefined;
    this.parts.take();
    const label = `${PAST.edit} ${only ?? this.item.name}`;
    this.#sender.put({ action: "edit", label, keys, mark: "accepted", done, target: this.work.seal() });
  }

  // All labels at once: the answer in blind mode, a second opinion, or the choice between two.
  #state(action: "edit" | "opinion" | "adjudicate", changes?: Changes): void {
    this.parts.take();
    const label = `${STATED[action]} ${this.item.name}`;
    const target = this.work.seal();
    this.#sender.put({ action, label, keys: [], mark: null, done: true, target, ...(changes ? { changes } : {}) });
  }

  /** Go on after a refusal that had nothing to do with the labels of others. */
  resume(): void {
    this.#sender.resume();
  }
}
