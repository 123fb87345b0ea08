/** Another date of the place beside the one that is judged: which, how much of it is shown, and its tiles. */
import { api, ApiError } from "../../api/client";
import type { Item, SceneInfo, Tiles } from "../../api/types";
import { app } from "../../app.svelte";
import { baseline, dateText, neighbourDate } from "../../work/dates";

export class Dates {
  scenes = $state.raw<SceneInfo[]>([]);
  /** Index of the date to compare with. */
  chosen = $state<number | null>(null);
  /** The other date is shown, all over. */
  shown = $state(false);
  /** It is shown left of the divider. */
  swiping = $state(false);
  /** Where the divider is, as a share of the width of the picture. */
  divider = $state(0.5);
  tiles = $state.raw<Tiles | null>(null);
  #id = "";
  #used = $state(false);

  /** How much of the other date is shown: the share of the width, from the left. */
  readonly share = $derived(this.shown ? 1 : this.swiping ? this.divider : 0);
  readonly other = $derived(this.scenes.find((scene) => scene.index === this.chosen) ?? null);
  readonly here = $derived(this.scenes.find((scene) => scene.here) ?? null);

  /** What is shown while the other date is. */
  readonly words = $derived.by(() => {
    const { other, here, tiles } = this;
    if (!other || !here) return "";
    return tiles
      ? `This is ${dateText(other)}. The labels are of ${dateText(here)}.`
      : `${dateText(other)} is fetched.`;
  });

  /** Take another item; a divider stays from one to the next. */
  take(item: Item | null): void {
    if ((item?.id ?? "") === this.#id) return;
    this.#id = item?.id ?? "";
    this.scenes = item?.scenes ?? [];
    this.chosen = baseline(this.scenes);
    this.shown = false;
    this.tiles = null;
    this.#used = this.swiping;
    void this.#load();
  }

  choose(index: number | null): void {
    if (index === this.chosen) return;
    this.chosen = index;
    this.tiles = null;
    this.#say();
    void this.#load();
  }

  step(by: 1 | -1): void {
    this.choose(neighbourDate(this.scenes, this.chosen, by));
  }

  show(on: boolean): void {
    this.shown = on;
    if (on) this.#use();
  }

  swipe(on: boolean): void {
    this.swiping = on;
    if (on) this.#use();
    app.announce(on ? `A divider shows ${this.#name()} on the left.` : "The divider is gone.");
  }

  #use(): void {
    this.#used = true;
    void this.#load();
  }

  // Not before somebody wants to see it: who does not compare fetches nothing twice.
  async #load(): Promise<void> {
    const { chosen } = this;
    const id = this.#id;
    if (!this.#used || chosen === null || this.tiles) return;
    try {
      const tiles = await api.tiles(id, chosen);
      if (id === this.#id && chosen === this.chosen) this.tiles = tiles;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      app.toast(`The picture of ${this.#name()} cannot be shown: ${error.message}`, { error: true });
    }
  }

  #say(): void {
    app.announce(`Compared with ${this.#name()}.`);
  }

  #name(): string {
    return this.other ? dateText(this.other) : "no other date";
  }
}
