/** Walk through the items of a lane: five are leased and fetched ahead, so that the next one is there when the key is pressed. */
import { api, ApiError } from "./api/client";
import type { Head, Item, LaneName, Lease, Made, Mode, Renewed, Take } from "./api/types";
import { onmade, outbox, settled } from "./decide";
import { ahead } from "./images";
import { current, onroute, type Where } from "./router";

export interface Filter {
  lane: LaneName;
  reason: string | null;
  mode: Mode;
}

const AHEAD = 5;
/** Items kept behind the current one, so that "previous" is as quick. */
const BEHIND = 3;
const RENEW_MS = 180_000;
const STORE = "hyla.worklist";
/** Lanes in which a clip is worked on as a whole, as the server has it. */
const WHOLE: readonly LaneName[] = ["review", "repair"];

/** What is leased of an item: a frame of a clip stands for all of it. */
const unitOf = (head: Head): string => (head.view === "video" ? `clip ${head.group}` : `item ${head.id}`);

/** What a worklist needs of the server. */
export interface Source {
  take(take: Omit<Take, "tab">): Promise<Lease>;
  takeOne(item: string, mode: Mode): Promise<Lease>;
  renew(items: string[]): Promise<Renewed>;
  release(items: string[]): Promise<void>;
  item(item: string): Promise<Item>;
  settled(item: string): Promise<void>;
  /** A decision about the item is on its way, so that the server may still think that it waits. */
  holds(item: string): boolean;
  ahead(url: string): void;
}

type Listener = () => void;

export class Worklist {
  #filter: Filter = { lane: "review", reason: null, mode: "single" };
  #heads: Head[] = [];
  #at = -1;
  /** Items by what is leased of them. */
  #leased = new Map<string, string>();
  #items = new Map<string, Promise<Item>>();
  #filling: Promise<void> | null = null;
  #passed: { group: string; last: string } | null = null;
  #round = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #listeners = new Set<Listener>();

  constructor(private readonly source: Source) {}

  /** The item in hand. */
  get current(): Head | null {
    return this.#heads[this.#at] ?? null;
  }

  get filter(): Readonly<Filter> {
    return this.#filter;
  }

  /** How many items came before the current one since the list was opened. */
  get position(): number {
    return Math.max(this.#at, 0);
  }

  /** The item after the current one, if it is here already. */
  peek(): Head | null {
    return this.#heads[this.#at + 1] ?? null;
  }

  get hasPrevious(): boolean {
    return this.#at > 0;
  }

  /** Begin a lane; gives the first item, null when nothing waits there. */
  async open(filter: Filter): Promise<Head | null> {
    await this.close();
    this.#filter = filter;
    sessionStorage.setItem(STORE, JSON.stringify(filter));
    return this.next();
  }

  /** Go on to the next item; null when nothing more waits. */
  async next(): Promise<Head | null> {
    if (!this.peek()) await this.#fill();
    if (!this.peek()) return null;
    this.#at += 1;
    this.#settle();
    return this.current;
  }

  /** Go on to the next item that is not of this clip, of which `last` is the last frame. */
  async beyond(group: string, last: string): Promise<Head | null> {
    this.#passed = { group, last };
    this.#heads = this.#heads.filter((head, at) => at <= this.#at || head.group !== group);
    return this.next();
  }

  /** Go back to the item before; null at the first. */
  previous(): Head | null {
    if (this.#at <= 0) return null;
    this.#at -= 1;
    this.#settle();
    return this.current;
  }

  /**
   * Return an item, from what was fetched ahead if possible. An item that is not in the list is taken, and becomes the current
   * one: what comes next is what follows it. `fresh` asks the server again, after an undo or a conflict.
   *
   * @throws ApiError when it is gone, or somebody else has it
   */
  async item(id: string, fresh = false): Promise<Item> {
    const round = this.#round;
    if (fresh) this.forget(id);
    await this.source.settled(id);
    const at = this.#heads.findIndex((head) => head.id === id);
    if (at >= 0 && this.#has(this.#heads[at]!)) this.#at = at;
    else {
      const head = await this.#takeOne(id);
      if (head && round === this.#round) this.#place(head);
    }
    this.#settle();
    return this.#fetch(id);
  }

  /** Forget what was fetched of an item: it changed. */
  forget(id: string): void {
    this.#items.delete(id);
  }

  /** Hear what a decision left: an item that left its lane is no longer held by this tab; a clip is, while any of it waits. */
  made(one: Made): void {
    this.forget(one.item);
    const head = this.#heads.find((known) => known.id === one.item);
    if (head && head.view !== "video" && one.state.lane !== head.lane) this.#leased.delete(unitOf(head));
  }

  /** Give everything back. */
  async close(): Promise<void> {
    this.#round += 1;
    clearInterval(this.#timer);
    this.#timer = undefined;
    const leased = [...this.#leased.values()];
    this.#leased.clear();
    this.#items.clear();
    this.#passed = null;
    this.#heads = [];
    this.#at = -1;
    this.#filling = null;
    this.#changed();
    if (leased.length) await this.source.release(leased).catch(offline);
  }

  /** Take up the lane of before a reload, without an item yet. */
  restore(): void {
    const kept = sessionStorage.getItem(STORE);
    if (kept) this.#filter = JSON.parse(kept) as Filter;
  }

  /** Hear when the current item or what is ahead changes; returns how to stop. */
  onchange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // Who may only look takes nothing.
  async #takeOne(id: string): Promise<Head | undefined> {
    try {
      return (await this.source.takeOne(id, this.#filter.mode)).items[0];
    } catch (error) {
      if (error instanceof ApiError && error.code === "role") return undefined;
      throw error;
    }
  }

  // Of a clip that was decided on, nothing may wait any more, and then it was given back: it is taken anew.
  #has(head: Head): boolean {
    return this.#leased.has(unitOf(head)) && (head.view !== "video" || this.#items.has(head.id));
  }

  #isWhole(head: Head): boolean {
    return head.view === "video" && this.#filter.mode === "single" && WHOLE.includes(this.#filter.lane);
  }

  /** How many more are wanted ahead; a clip is long work, and the next one is left to others until then. */
  get #wanted(): number {
    const ahead = this.#heads.slice(this.#at + 1);
    return ahead.some((head) => this.#isWhole(head)) ? 0 : AHEAD - ahead.length;
  }

  #place(head: Head): void {
    this.#leased.set(unitOf(head), head.id);
    const at = this.#heads.findIndex((known) => known.id === head.id);
    if (at >= 0) {
      this.#heads[at] = head;
      this.#at = at;
    } else {
      this.#heads.splice(this.#at + 1, 0, head);
      this.#at += 1;
    }
  }

  #fetch(id: string): Promise<Item> {
    const known = this.#items.get(id);
    if (known) return known;
    const item = this.source.item(id);
    this.#items.set(id, item);
    item.catch(() => {
      if (this.#items.get(id) === item) this.#items.delete(id);
    });
    return item;
  }

  // Bring what surrounds the current item in order: fetched ahead of it, given back behind it.
  #settle(): void {
    this.#timer ??= setInterval(() => void this.renew(), RENEW_MS);
    const near = this.#heads.slice(Math.max(this.#at - BEHIND, 0), this.#at + AHEAD + 1);
    const names = new Set(near.map((head) => head.id));
    const units = new Set(near.map(unitOf));
    const far = [...this.#leased].filter(([unit]) => !units.has(unit));
    for (const [unit] of far) this.#leased.delete(unit);
    for (const id of this.#items.keys()) if (!names.has(id)) this.#items.delete(id);
    if (far.length) void this.source.release(far.map(([, id]) => id)).catch(offline);
    for (const head of this.#heads.slice(this.#at + 1, this.#at + AHEAD + 1)) {
      if (!this.#leased.has(unitOf(head))) continue;
      this.#fetch(head.id).catch(() => undefined); // asked again, and told, when its turn comes
      if (head.image) this.source.ahead(head.image);
    }
    this.#changed();
    if (this.#wanted > 0) void this.#fill().catch(offline);
  }

  #fill(): Promise<void> {
    this.#filling ??= this.#take(this.#round).finally(() => (this.#filling = null));
    return this.#filling;
  }

  async #take(round: number): Promise<void> {
    const { lane, reason, mode } = this.#filter;
    const n = this.#wanted;
    if (n <= 0) return;
    const tail = this.#heads.at(-1);
    const last = (tail && tail.group === this.#passed?.group ? this.#passed.last : tail?.id) ?? null;
    const keyOf = (head: Head) => (this.#isWhole(head) ? unitOf(head) : head.id);
    const known = new Set(this.#heads.map(keyOf));
    let fresh: Head[] = [];
    // After the last one; at the end of the lane once more from its start, where others may have given something back.
    for (const after of last ? [last, null] : [null]) {
      const lease = await this.source.take({ lane, reason, mode, n, after });
      if (round !== this.#round) {
        const taken = lease.items.map((head) => head.id);
        if (taken.length) await this.source.release(taken);
        return;
      }
      fresh = lease.items.filter(
        (head) => !known.has(keyOf(head)) && !this.source.holds(head.id) && head.group !== this.#passed?.group,
      );
      if (fresh.length) break;
    }
    if (!fresh.length) return;
    for (const head of fresh) this.#leased.set(unitOf(head), head.id);
    this.#heads.push(...fresh);
    if (this.#at >= 0) this.#settle();
  }

  /** Renew the leases; what was lost is fetched anew when its turn comes. */
  async renew(): Promise<void> {
    const leased = [...this.#leased];
    if (!leased.length) return;
    try {
      const { lost } = await this.source.renew(leased.map(([, id]) => id));
      const units = new Set(leased.filter(([, id]) => lost.includes(id)).map(([unit]) => unit));
      for (const unit of units) this.#leased.delete(unit);
      for (const head of this.#heads) if (units.has(unitOf(head))) this.#items.delete(head.id);
      const here = this.current?.id;
      this.#heads = this.#heads.filter((head, at) => at <= this.#at || !units.has(unitOf(head)));
      this.#at = this.#heads.findIndex((head) => head.id === here);
      if (lost.length) this.#changed();
    } catch (error) {
      offline(error);
    }
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

// Leases end by themselves, so that a lost call about them needs no more than patience.
function offline(error: unknown): void {
  if (!(error instanceof ApiError)) throw error;
}

export const worklist = new Worklist({ ...api, settled, holds: (item) => outbox.holds(item), ahead });
worklist.restore();

onmade((made) => {
  for (const one of made) worklist.made(one);
});

const WORKING: readonly Where["screen"][] = ["item", "volume", "video"];
onroute((now) => {
  if (!WORKING.includes(now.screen)) void worklist.close();
});
window.addEventListener("pagehide", () => {
  if (WORKING.includes(current.screen)) void worklist.close();
});
