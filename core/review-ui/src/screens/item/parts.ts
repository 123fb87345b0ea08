/** What the bench is made of: the picture of an item, its labels to work on, and words. */
import { ApiError } from "../../api/client";
import type { Item, Queue } from "../../api/types";
import { app } from "../../app.svelte";
import { imageOf } from "../../images";
import { Work } from "../../work/work";
import { worklist } from "../../worklist";

export interface Picture {
  bitmap: ImageBitmap | null;
  problem: ApiError | null;
}

/** The picture, or why there is none; tiles are fetched by the viewer. */
export async function pictureOf(item: Item): Promise<Picture> {
  try {
    return { bitmap: item.media.image ? await imageOf(item.media.image) : null, problem: null };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { bitmap: null, problem: error };
  }
}

/** The labels to work on: the item's, or those of each opinion where one has to choose. */
export function worksOf(item: Item): Work[] {
  if (item.mode !== "adjudicate") return [new Work(item)];
  return item.opinions.map(
    ({ labels, annotation }) => new Work({ ...item, labels, state: { ...item.state, annotation, open: [] } }),
  );
}

let counted: { queue: Queue; lane: string; total: number } | null = null;

/** Say where this item stands in the lane. What waits is counted anew with every answer about the queue, not with every item. */
export function placeOf(): string {
  const at = worklist.position + 1;
  const { lane, reason } = worklist.filter;
  const { queue } = app;
  if (!queue) return `Item ${at}`;
  const name = `${lane} ${reason}`;
  if (counted?.queue !== queue || counted.lane !== name) {
    const lanes = queue.lanes.filter((one) => one.lane === lane && (reason === null || one.reason === reason));
    counted = { queue, lane: name, total: worklist.position + lanes.reduce((sum, one) => sum + one.yours, 0) };
  }
  return `Item ${at} of ${Math.max(at, counted.total)}`;
}

/** Say what the server said, with what to do. */
export function said({ message, hint }: ApiError): string {
  if (!hint) return message;
  return /[.!?]$/.test(message) ? `${message} ${hint}` : `${message}: ${hint}`;
}

/** Write a reason code for people. */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}
