/** What the bench is made of: the picture of an item, its labels to work on, and words. */
import { ApiError } from "../../api/client";
import type { Item } from "../../api/types";
import { app } from "../../app.svelte";
import { imageOf } from "../../images";
import { plural } from "../../ui/format";
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

/** Say how many items of the lane wait for this person. */
export function placeOf(): string {
  const { lane, reason } = worklist.filter;
  if (!app.queue) return "";
  const lanes = app.queue.lanes.filter((one) => one.lane === lane && (reason === null || one.reason === reason));
  const left = lanes.reduce((sum, one) => sum + one.yours, 0);
  return `${plural(left, "item")} to go`;
}

/** Say what the server said, with what to do. */
export function said({ message, hint }: ApiError): string {
  if (!hint) return message;
  return /[.!?]$/.test(message) ? `${message} ${hint}` : `${message}: ${hint}`;
}
