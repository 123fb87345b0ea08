/** A volume on the screen: fetched, worked on, left for the next one; and what went wrong with it. */
import { api, ApiError } from "../api/client";
import type { Item } from "../api/types";
import { app } from "../app.svelte";
import { send } from "../decide";
import { history } from "../history";
import { go, screenOf } from "../router";
import { ActiveTimer } from "../timer";
import { said, sentence } from "../ui/format";
import { onTop, type Draft } from "../work/compare";
import { worklist } from "../worklist";
import { Bench, misfit } from "./bench";
import { SliceCache } from "./cache";

/** Somebody else changed the labels that one's own draft is about. */
export interface Clash {
  draft: Draft;
  item: Item;
  who: string;
  at: string;
}

/** What was done on items that were left and could not be sent, by item and opinion. */
const drafts = new Map<string, Draft>();

export class Session {
  bench = $state.raw<Bench | null>(null);
  /** Why nothing is shown. */
  problem = $state("");
  clash = $state.raw<Clash | null>(null);
  /** Why a decision was refused, when it was no clash. */
  refusal = $state.raw<ApiError | null>(null);
  /** Nothing more waits in the lane. */
  ended = $state(false);
  /** Which of two opinions is shown. */
  opinion = $state(0);
  note = $state("");
  /** This person may decide. */
  readonly may = app.session.role !== "viewer";
  /** The project's model outlines what is clicked on. */
  readonly refines = this.may && app.session.features.includes("refine");

  private readonly timer = new ActiveTimer();
  private cache: SliceCache | null = null;
  private round = 0;

  get item(): Item | null {
    return this.bench?.item ?? null;
  }

  /** A decision can be made now. */
  get ready(): boolean {
    return this.may && this.bench !== null && !this.clash && !this.refusal;
  }

  /** Something was done that a reload of the page would lose. */
  get unsafe(): boolean {
    return this.clash !== null || (this.bench !== null && (this.bench.masks.dirty || this.bench.work.dirty));
  }

  /** Show an item. `fresh` asks the server again. */
  async open(id: string, fresh = false): Promise<void> {
    const round = this.begin();
    try {
      const item = this.may ? await worklist.item(id, fresh) : await api.item(id);
      if (round !== this.round) return;
      if (item.view !== "volume") return go(screenOf(item.view), id);
      this.put(item);
    } catch (error) {
      this.stuck(error, round);
    }
  }

  /** Go on to the next item of the lane, or back to the one before. */
  async move(step: 1 | -1): Promise<void> {
    if (step < 0 && !worklist.hasPrevious) return app.announce("This is the first item.");
    const here = this.item?.id;
    const round = this.begin();
    try {
      const head = step > 0 ? await worklist.next() : worklist.previous();
      if (round !== this.round) return;
      if (head && head.id === here) await this.open(head.id, true);
      else if (head) go(screenOf(head.view), head.id);
      else {
        this.ended = true;
        app.announce("Nothing more waits here.");
      }
    } catch (error) {
      this.stuck(error, round);
    }
  }

  /** Take the labels of others and forget one's own, or do one's own again on top of them. */
  resolve(mine: boolean): void {
    const { clash } = this;
    if (!clash) return;
    worklist.forget(clash.item.id);
    history.take(clash.item.id);
    this.close();
    this.put(clash.item);
    if (mine) this.bench?.flow.apply(onTop(clash.draft, clash.item.labels));
  }

  /** Go on after a refusal: what was refused is there, and not sent. */
  resume(): void {
    this.refusal = null;
    this.bench?.flow.resume();
  }

  /** Show one of two opinions; what was changed of the other is kept. */
  show(opinion: number): void {
    const { item } = this;
    if (!item || opinion === this.opinion || opinion >= item.opinions.length) return;
    this.keep();
    this.close(true);
    this.opinion = opinion;
    this.put(item, opinion);
  }

  /** Enter: the item is right as it is shown; where two people differ, the answer that is shown. */
  acceptItem(): void {
    const { bench } = this;
    bench?.decide((flow) => {
      if (bench.item.mode === "adjudicate") flow.adjudicate(bench.work.entries().map((entry) => entry.label));
      else flow.acceptItem();
    });
  }

  /** Leave the item: what was done is sent, or kept for later where it cannot be a decision yet. */
  leave(): void {
    if (!this.bench || !this.may) return;
    this.keep();
    history.take(this.bench.item.id);
  }

  destroy(): void {
    this.begin();
    this.timer.stop();
  }

  private begin(): number {
    this.leave();
    this.close();
    this.problem = "";
    this.ended = false;
    return ++this.round;
  }

  private keep(): void {
    const { bench } = this;
    if (!bench) return;
    let left: Draft | null = null;
    bench.decide((flow) => (left = flow.leave()));
    const draft = this.clash?.draft ?? left;
    if (draft) drafts.set(`${bench.item.id}/${this.opinion}`, draft);
  }

  /** Free what the item holds; with `cached`, all but its slices. */
  private close(cached = false): void {
    this.bench?.close();
    if (!cached) {
      this.cache?.close();
      this.cache = null;
    }
    this.bench = null;
    this.clash = this.refusal = null;
  }

  private put(item: Item, opinion = 0): void {
    const { slices } = item.media;
    if (!slices) return void (this.problem = "The slices of this item cannot be read.");
    this.opinion = opinion;
    this.cache ??= new SliceCache(slices);
    this.cache.onerror = (message) => app.toast(message, { error: true });
    const bench = new Bench(item, app.schema, this.cache, opinion, {
      send,
      lap: () => this.timer.lap(),
      note: () => {
        const { note } = this;
        this.note = "";
        return note;
      },
      finished: () => void this.move(1),
      failed: (error, draft) => void this.failed(bench, error, draft),
      say: (text) => app.toast(text),
      fail: (text) => app.toast(text, { error: true }),
      done: (name) => app.announce(`${name} is outlined.`),
      ask: this.refines ? async (asked) => (await api.refine(item.id, asked)).mask : null,
    });
    this.problem = misfit(bench);
    if (this.problem) return bench.close();
    this.bench = bench;
    this.restore(bench, `${item.id}/${opinion}`);
    bench.begin();
    this.timer.start();
  }

  private restore(bench: Bench, name: string): void {
    const draft = drafts.get(name);
    drafts.delete(name);
    if (!draft) return;
    if (draft.annotation === bench.work.annotation) bench.flow.apply(draft);
    else this.clash = { draft, item: bench.item, who: "", at: "" };
  }

  private async failed(bench: Bench, error: unknown, draft: Draft): Promise<void> {
    if (!(error instanceof ApiError)) throw error;
    const { id, name } = bench.item;
    worklist.forget(id);
    if (this.bench !== bench) {
      drafts.set(`${id}/0`, draft);
      return app.toast(`${name}: ${sentence(error.message)} Go back to it: what you did is kept.`, { error: true });
    }
    if (error.stale) {
      const item = error.stale.item ?? (await api.item(id));
      this.clash = { draft, item, who: error.stale.who ?? "", at: error.stale.at ?? "" };
    } else this.refusal = error;
    app.announce(error.message);
  }

  private stuck(error: unknown, round: number): void {
    if (!(error instanceof ApiError)) throw error;
    if (round !== this.round) return;
    this.problem = said(error);
    app.announce(error.message);
  }
}
