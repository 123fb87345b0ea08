/**
 * Clicks on one structure of a volume, and what the project's model makes of them: each answer is one step of the history. Undo
 * takes back the mask and with it the clicks that it was made from.
 */
import { ApiError } from "../api/error";
import type { ClickPoint, MaskShape } from "../api/types";
import { Bits } from "../mask/bits";
import { ALONG, type Axis, voxelAt } from "../mask/planes";
import { said } from "../ui/format";
import type { Key, Work } from "../work/work";
import { isMask, type Masks } from "./masks";

/** What the server is asked: the mask of one object of a class. */
export interface Asked {
  class: string;
  clicks: ClickPoint[];
  mask: MaskShape | null;
}
export type Ask = (asked: Asked) => Promise<MaskShape | null>;

/** What Clicks tells the person. */
export interface Hearing {
  say: (text: string) => void;
  fail: (text: string) => void;
  /** A structure has a new mask. */
  done: (name: string) => void;
}

const MOST = 64; // of one structure, as the server takes them

export class Clicks {
  /** The server is working. */
  running = false;
  private key: Key | null = null;
  /** Clicks that were answered, each with the run lengths of the mask made from it and all before. */
  private answered: { click: ClickPoint; counts: string }[] = [];
  /** How many of them hold: the others were undone. */
  private holding = 0;
  private pending: ClickPoint[] = [];
  /** Run lengths of the mask before the first click. */
  private base = "";
  private round = 0;
  private turn: Promise<unknown> = Promise.resolve();
  private readonly listeners = new Set<() => void>();
  private readonly end: () => void;

  constructor(
    private readonly work: Work,
    private readonly masks: Masks,
    private readonly ask: Ask,
    private readonly hearing: Hearing,
  ) {
    this.end = work.onchange(() => this.follow());
  }

  /** The clicks that hold, those on their way included. */
  get shown(): readonly ClickPoint[] {
    return [...this.answered.slice(0, this.holding).map(({ click }) => click), ...this.pending];
  }

  /** Click on a structure; clicks on another one are forgotten. */
  add(key: Key | null, click: ClickPoint): void {
    if (key === null || !isMask(this.work.get(key)?.label))
      return this.hearing.say("Select a structure to outline, or add a new one.");
    this.only(key);
    if (this.shown.length >= MOST) return this.hearing.say(`${MOST} clicks are all that one structure takes.`);
    if (this.key === null) {
      this.key = key;
      this.masks.sync();
      this.base = this.shape()!.counts;
    }
    this.answered.length = this.holding;
    this.pending.push(click);
    this.tell();
    if (!this.running) void this.run();
  }

  /** Forget the clicks unless they are on this structure. */
  only(key: Key | null): void {
    if (this.key !== null && this.key !== key) this.clear();
  }

  /** Forget the clicks, and what the server may still answer. */
  clear(): void {
    this.round++;
    this.key = null;
    this.answered = [];
    this.pending = [];
    this.holding = 0;
    this.running = false;
    this.tell();
  }

  /** Hear of changes; returns what ends that. */
  on(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.listeners.clear();
    this.end();
    this.clear();
  }

  private async run(): Promise<void> {
    const round = this.round;
    this.running = true;
    this.tell();
    try {
      while (this.pending.length && round === this.round) await this.once(round);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (round !== this.round) return;
      this.pending = [];
      this.hearing.fail(said(error));
    } finally {
      if (round === this.round) {
        this.running = false;
        this.tell();
      }
    }
  }

  /** Send the clicks that hold, and take the answer if the mask is still the one that it was made from. */
  private async once(round: number): Promise<void> {
    this.masks.sync();
    const shape = this.shape()!;
    const asked = [...this.pending];
    const label = this.work.get(this.key!)!.label;
    const empty = !this.masks.get(this.key!)?.total();
    const body = { class: label.class, clicks: [...this.shown], mask: empty ? null : shape };
    // The server takes one request of a person at a time: one that was abandoned must end first.
    const turn = this.turn.then(() => this.ask(body));
    this.turn = turn.catch(() => undefined);
    const found = await turn;
    if (round !== this.round) return;
    this.masks.sync();
    this.pending.splice(0, asked.length);
    if (this.shape()?.counts !== shape.counts) {
      this.pending = [];
      this.hearing.say("The mask was changed meanwhile: click again.");
    } else if (!found) this.hearing.say(`The model finds no ${label.class} there.`);
    else this.take(asked, found);
  }

  private take(asked: readonly ClickPoint[], found: MaskShape): void {
    const { label } = this.work.get(this.key!)!;
    const box = Bits.fromRle(found.counts, this.masks.size).bounds() ?? [0, 0, 0, 0];
    for (const click of asked) this.answered.push({ click, counts: found.counts });
    this.holding = this.answered.length;
    this.work.set(this.key!, { ...label, box, shape: { ...found } });
    this.hearing.done(label.class);
  }

  /** Follow undo and redo: as many clicks hold as the mask was made from. A mask that was changed by hand keeps them all. */
  private follow(): void {
    if (this.key === null) return;
    const shape = this.shape();
    if (!shape) return this.clear();
    const last = this.answered.findLastIndex(({ counts }) => counts === shape.counts);
    if (last < 0 && shape.counts !== this.base) return;
    this.holding = last + 1;
    this.tell();
  }

  private shape(): MaskShape | null {
    const label = this.key === null ? undefined : this.work.get(this.key)?.label;
    return isMask(label) ? (label!.shape as MaskShape) : null;
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Return the click at column u and row v of a plane, in pixels of the volume. */
export function clickAt(axis: Axis, u: number, v: number, k: number, inside: boolean): ClickPoint {
  const { x, y, z } = voxelAt(axis, u, v, k + 0.5);
  return { x, y, z: Math.floor(z), inside };
}

/** Return where a click is on plane k, in pixels of the plane; null if it is on another one. */
export function onPlane(axis: Axis, k: number, { x, y, z }: ClickPoint): { u: number; v: number } | null {
  const at = { x, y, z: z + 0.5 };
  const along = ALONG[axis];
  return Math.floor(at[along.k]) === k ? { u: at[along.u], v: at[along.v] } : null;
}
