/** Undo and redo across items: one list of steps, be they gestures that are not sent yet or decisions that are. */
import type { Where } from "./router";

/** Undo or redo something; a promise that fails means that it stays as it was. */
type Action = () => void | Promise<void>;

export interface Step {
  /** What was done, in the past tense and for people: "Accepted bottle". */
  label: string;
  where: Where;
  undo: Action;
  redo: Action;
  /** The server has it, or will: the place shows it afresh after undo and redo ("undone"). */
  sent?: boolean;
}

/** Tell that a sent decision was taken back or made again. */
export interface Undone {
  step: Step;
  direction: "undo" | "redo";
}

type Kind = "undone" | "change";

export class StepList {
  #done: Step[] = [];
  #undone: Step[] = [];
  #turn: Promise<unknown> = Promise.resolve();
  #listeners: Record<Kind, Set<(event: Undone | null) => void>> = { undone: new Set(), change: new Set() };

  /** Show a place; the page sets it. */
  visit: (where: Where) => void = () => undefined;

  constructor(private readonly limit = 1000) {}

  /** Remember a step; what was undone before can no longer be redone. */
  push(step: Step): void {
    this.#done.push(step);
    if (this.#done.length > this.limit) this.#done.shift();
    this.#undone = [];
    this.#changed();
  }

  /** Forget the gestures of an item that were not sent: they became one decision. */
  take(id: string): void {
    const keep = (step: Step) => step.sent || step.where.id !== id;
    this.#done = this.#done.filter(keep);
    this.#undone = this.#undone.filter(keep);
    this.#changed();
  }

  /** Forget one step: it failed. */
  drop(step: Step): void {
    this.#done = this.#done.filter((other) => other !== step);
    this.#undone = this.#undone.filter((other) => other !== step);
    this.#changed();
  }

  /** Steps that undo would take back, last first. */
  get steps(): readonly Step[] {
    return this.#done.toReversed();
  }

  get canUndo(): boolean {
    return this.#done.length > 0;
  }

  get canRedo(): boolean {
    return this.#undone.length > 0;
  }

  /** Take the last step back and show where it was. Returns the step, null if there is none; fails if the server refuses. */
  undo(): Promise<Step | null> {
    return this.#move("undo");
  }

  /** Do again what was undone last. */
  redo(): Promise<Step | null> {
    return this.#move("redo");
  }

  on(kind: "undone", listener: (event: Undone) => void): () => void;
  on(kind: "change", listener: () => void): () => void;
  on(kind: Kind, listener: ((event: Undone) => void) | (() => void)): () => void {
    const listeners = this.#listeners[kind];
    listeners.add(listener as (event: Undone | null) => void);
    return () => listeners.delete(listener as (event: Undone | null) => void);
  }

  // The step moves to the other list at once, so that pressing Z three times takes back three steps; the acts keep their order.
  #move(direction: "undo" | "redo"): Promise<Step | null> {
    const step = (direction === "undo" ? this.#done : this.#undone).pop();
    if (!step) return Promise.resolve(null);
    (direction === "undo" ? this.#undone : this.#done).push(step);
    this.#changed();
    if (!step.sent) {
      this.visit(step.where);
      void step[direction]();
      return Promise.resolve(step);
    }
    const act = async () => {
      try {
        await step[direction]();
      } catch (error) {
        this.drop(step);
        throw error;
      }
      this.visit(step.where);
      for (const listener of [...this.#listeners.undone]) listener({ step, direction });
      return step;
    };
    const turn = this.#turn.then(act, act);
    this.#turn = turn;
    return turn;
  }

  #changed(): void {
    for (const listener of [...this.#listeners.change]) listener(null);
  }
}

export const history = new StepList();
