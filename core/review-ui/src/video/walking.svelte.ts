/** The walk through the crops of a track: is it the same all the way? */
import { app } from "../app.svelte";
import * as edits from "./edits";
import type { ClipState } from "./state.svelte";
import { cropsOf, type Crop } from "./walk";

export class Walking {
  readonly #clip: ClipState;
  /** The track that is walked through, or null. */
  track = $state<number | null>(null);
  crops = $state.raw<readonly Crop[]>([]);
  /** Which crop is in hand. */
  at = $state(0);

  constructor(clip: ClipState) {
    this.#clip = clip;
  }

  /** Begin to walk through the selected track, or end it. */
  async toggle(): Promise<void> {
    if (this.track !== null) return this.close();
    const { track } = this.#clip;
    if (!track) return app.toast("Select a track first.");
    // The rows that crops are named by are those that the server has.
    await this.#clip.editing.settled();
    const now = this.#clip.tracks.find((one) => one.id === track.id);
    const crops = now ? cropsOf(this.#clip.film, now) : [];
    if (!crops.length) return app.toast(`Track ${track.id} is gone.`);
    [this.crops, this.track] = [crops, track.id];
    this.go(
      Math.max(
        0,
        crops.findIndex((crop) => crop.doubts.length),
      ),
    );
  }

  close(): void {
    this.track = null;
    this.crops = [];
  }

  /** Take a crop in hand, and show its frame behind. */
  go(at: number): void {
    this.at = Math.max(0, Math.min(this.crops.length - 1, at));
    this.#clip.seek(this.crops[this.at]!.frame);
  }

  /** Go to the next place that is in doubt. */
  doubt(way: 1 | -1): void {
    const doubtful = this.crops.flatMap((crop, i) => (crop.doubts.length ? [i] : []));
    const next = way > 0 ? doubtful.find((i) => i > this.at) : doubtful.findLast((i) => i < this.at);
    if (next !== undefined) this.go(next);
    else app.announce("No further place is in doubt.");
  }

  /** It is the same all the way: the track is accepted. */
  yes(): void {
    const { track } = this;
    if (track === null) return;
    const open = this.#clip.track?.open ?? 0;
    this.close();
    if (open) this.#clip.answer("accept");
    else app.toast(`Track ${track} is answered.`);
  }

  /** It is another one from the crop in hand on: the track is split there. */
  no(): void {
    const { track } = this;
    const crop = this.crops[this.at];
    if (track === null || !crop) return;
    if (this.#clip.act((film) => edits.splitTrack(film, track, crop.frame))) this.close();
  }
}
