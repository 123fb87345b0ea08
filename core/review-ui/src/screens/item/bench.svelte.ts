/** What is on the bench: one item, its labels, the flow of its decisions, and what went wrong with it. */
import { api, ApiError } from "../../api/client";
import type { Item } from "../../api/types";
import { app } from "../../app.svelte";
import { send } from "../../decide";
import { history } from "../../history";
import { go, screenOf } from "../../router";
import { ActiveTimer } from "../../timer";
import { difference, onTop, type Draft } from "../../work/compare";
import { Flow } from "../../work/flow";
import { words } from "../../ui/format";
import { question } from "../../work/question";
import type { Key, Work } from "../../work/work";
import { worklist } from "../../worklist";
import { pictureOf, placeOf, worksOf, type Picture } from "./parts";

/** Somebody else changed the labels that one's own draft is about. */
export interface Clash {
  draft: Draft;
  item: Item;
  who: string;
  at: string;
}

const PATIENCE_MS = 80; // for a picture; after that the labels come first

/** What was done on an item that was left, and who had changed it meanwhile, as far as that is known. */
type Kept = Pick<Clash, "draft" | "who" | "at">;

/** What was done on items that were left and could not be sent, by item and opinion. */
const drafts = new Map<string, Kept>();
/** Active milliseconds on items that were left before anything was decided. */
const spent = new Map<string, number>();

export class Bench {
  item = $state.raw<Item | null>(null);
  picture = $state.raw<Picture>({ bitmap: null, problem: null });
  /** One flow, or one for each of two opinions. */
  flows = $state.raw<Flow[]>([]);
  /** Which of the opinions is shown. */
  shown = $state(0);
  selected = $state<Key | null>(null);
  note = $state("");
  /** Why there is no item. */
  problem = $state.raw<ApiError | null>(null);
  clash = $state.raw<Clash | null>(null);
  /** Why a decision was refused, when it was no clash. */
  refusal = $state.raw<ApiError | null>(null);
  /** Nothing more waits in the lane. */
  ended = $state(false);
  place = $state("");
  /** This person may decide. */
  readonly may = app.session.role !== "viewer";

  #timer = new ActiveTimer();
  #opening = 0;
  #busy = false;

  get flow(): Flow | null {
    return this.flows[this.shown] ?? null;
  }

  /** Camera matrix (3 x 3, pixels), where it is known. */
  get camera(): number[][] | null {
    return (this.item?.frame.intrinsics as number[][] | null | undefined) ?? null;
  }

  /** A decision can be made now. */
  get ready(): boolean {
    return this.may && this.flow !== null && !this.#busy && !this.clash && !this.refusal;
  }

  /** Show an item. `fresh` asks the server again. */
  async open(id: string, fresh = false): Promise<void> {
    const opening = this.#begin();
    try {
      const item = this.may ? await worklist.item(id, fresh) : await api.item(id);
      if (opening !== this.#opening) return;
      // A frame that is answered blind, or as a second reader, is answered as a picture of its own.
      const apart = item.view === "video" && item.mode !== "single";
      if (screenOf(item.view) !== "item" && !apart) return go(screenOf(item.view), id);
      const coming = pictureOf(item);
      const picture = await Promise.race([coming, new Promise<null>((late) => setTimeout(late, PATIENCE_MS, null))]);
      if (opening !== this.#opening) return;
      this.picture = picture ?? { bitmap: null, problem: null };
      this.#put(item);
      this.#busy = false;
      if (picture) return;
      const late = await coming;
      if (opening === this.#opening) this.picture = late;
    } catch (error) {
      this.#stuck(error, opening);
    }
  }

  /** Go on to the next item of the lane, or back to the one before. */
  async move(step: 1 | -1): Promise<void> {
    if (step < 0 && !worklist.hasPrevious) return app.announce("This is the first item.");
    const opening = this.#begin();
    try {
      const head = step > 0 ? await worklist.next() : worklist.previous();
      if (opening !== this.#opening) return;
      if (head && head.id === this.item?.id) await this.open(head.id, true);
      else if (head) go(screenOf(head.view), head.id);
      else this.#end();
    } catch (error) {
      this.#stuck(error, opening);
    }
  }

  /** Leave the item: what was done is sent, or kept for later where it cannot be a decision yet. */
  leave(): void {
    if (!this.item || !this.may) return;
    this.flows.forEach((flow, i) => {
      const clash = i === this.shown ? this.clash : null;
      const draft = clash?.draft ?? flow.leave();
      if (draft) drafts.set(`${flow.item.id}/${i}`, { draft, who: clash?.who ?? "", at: clash?.at ?? "" });
    });
    history.take(this.item.id);
    spent.set(this.item.id, this.#lap(this.item.id));
  }

  /** Something was done that is lost if the page goes now; what can be sent is sent then. */
  get unsafe(): boolean {
    return this.clash !== null || this.refusal !== null || this.flows.some((flow) => !flow.stepwise && flow.work.dirty);
  }

  /** Take the labels of others and forget one's own, or do one's own again on top of them. */
  resolve(mine: boolean): void {
    const { clash } = this;
    if (!clash) return;
    worklist.forget(clash.item.id);
    history.take(clash.item.id);
    this.flows = [];
    this.#put(clash.item);
    if (mine) this.flow?.apply(onTop(clash.draft, clash.item.labels));
  }

  /** Go on after a refusal: what was refused is there, and not sent. */
  resume(): void {
    this.refusal = null;
    for (const flow of this.flows) flow.resume();
  }

  /** Enter: the item is right as it is shown. */
  acceptItem(): void {
    const { flow } = this;
    if (this.item?.mode === "adjudicate") flow?.adjudicate(flow.work.entries().map((entry) => entry.label));
    else flow?.acceptItem();
  }

  /** Show one of two opinions. */
  show(opinion: number): void {
    if (opinion >= this.flows.length) return;
    this.shown = opinion;
    this.selected = this.flow?.selected ?? null;
    app.announce(`Answer ${opinion + 1}, of ${this.item?.opinions[opinion]?.who ?? "nobody"}.`);
  }

  destroy(): void {
    this.leave();
    this.#opening++;
    this.#timer.stop();
  }

  #lap(id: string): number {
    const before = spent.get(id) ?? 0;
    spent.delete(id);
    return before + this.#timer.lap();
  }

  #begin(): number {
    this.leave();
    this.#busy = true;
    this.ended = false;
    return ++this.#opening;
  }

  #put(item: Item): void {
    this.problem = this.clash = this.refusal = null;
    this.shown = 0;
    this.selected = null;
    this.note = "";
    this.item = item;
    this.flows = worksOf(item).map((work) => this.#flow(item, work));
    this.place = placeOf();
    this.#timer.start();
    const flow = this.flow;
    if (!flow) return;
    this.flows.forEach((one, i) => this.#restore(one, `${item.id}/${i}`));
    if (item.mode === "adjudicate") this.#differ(item);
    else flow.begin();
    const asks = question(flow);
    app.announce(
      [this.place, `${asks.text} ${asks.subject}${asks.rest}`, scoreWords(flow), words(item.reason)]
        .filter(Boolean)
        .join(". "),
    );
  }

  // Each answer begins at a label that the other one does not have.
  #differ(item: Item): void {
    const [one = [], two = []] = item.opinions.map((opinion) => opinion.labels);
    const { added, removed, changed } = difference(one, two);
    const first = [removed[0] ?? changed[0]?.before, added[0] ?? changed[0]?.after];
    this.flows.forEach((flow, i) => {
      const entry = flow.work.entries().find(({ label }) => label === first[i]);
      if (entry) flow.select(entry.key);
    });
  }

  #restore(flow: Flow, name: string): void {
    const kept = drafts.get(name);
    drafts.delete(name);
    if (!kept) return;
    if (kept.draft.annotation === flow.work.annotation) flow.apply(kept.draft);
    else this.clash = { ...kept, item: flow.item };
  }

  #flow(item: Item, work: Work): Flow {
    const flow: Flow = new Flow(item, work, {
      where: { screen: "item", id: item.id },
      send,
      take: () => history.take(item.id),
      lap: () => this.#lap(item.id),
      note: () => {
        const { note } = this;
        this.note = "";
        return note;
      },
      selected: (key) => {
        if (this.flow === flow) this.selected = key;
      },
      finished: () => void this.move(1),
      failed: (error, draft) => void this.#failed(flow, error, draft),
    });
    return flow;
  }

  async #failed(flow: Flow, error: unknown, draft: Draft): Promise<void> {
    if (!(error instanceof ApiError)) throw error;
    const { id, name } = flow.item;
    worklist.forget(id);
    const { who = "", at = "" } = error.stale ?? {};
    if (!this.flows.includes(flow)) {
      drafts.set(`${id}/0`, { draft, who, at });
      return app.toast(`${name}: ${error.message}. Go back to it: what you did is kept.`, { error: true });
    }
    if (error.stale) {
      const item = error.stale.item ?? (await api.item(id));
      this.clash = { draft, item, who, at };
    } else this.refusal = error;
    app.announce(error.message);
  }

  #stuck(error: unknown, opening: number): void {
    if (!(error instanceof ApiError)) throw error;
    if (opening !== this.#opening) return;
    this.#clear();
    this.problem = error;
    app.announce(error.message);
  }

  #end(): void {
    this.#clear();
    this.ended = true;
    app.announce("Nothing more waits here.");
  }

  #clear(): void {
    this.#busy = false;
    this.item = this.problem = this.clash = this.refusal = null;
    this.picture = { bitmap: null, problem: null };
    this.flows = [];
    this.selected = null;
  }
}

function scoreWords(flow: Flow): string {
  const score = flow.entry?.label.score;
  return score === undefined || score === 1 ? "" : score.toFixed(2);
}
