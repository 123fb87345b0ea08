/** Fetch and decode pictures, and keep those used last: at most 10, at most 400 MB of pixels. */
import { ApiError } from "./api/client";

/** The one that is shown, five ahead of it and three behind, and one to spare. */
const MOST = 10;
const MOST_BYTES = 400e6;
/** The pictures asked for last may be on the screen, so they are never closed. */
const SHOWN = 3;

interface Kept {
  bitmap: Promise<ImageBitmap>;
  bytes: number;
}

const kept = new Map<string, Kept>();
let shown: string[] = [];

/**
 * Return a decoded picture.
 *
 * @throws ApiError when the server has none, 415 when the browser cannot read it
 */
export function imageOf(url: string): Promise<ImageBitmap> {
  shown = [url, ...shown.filter((other) => other !== url)].slice(0, SHOWN);
  return load(url, "high");
}

/** Fetch a picture that will be wanted soon; never fails. */
export function ahead(url: string): void {
  load(url, "low").catch(() => undefined);
}

function load(url: string, priority: RequestPriority): Promise<ImageBitmap> {
  const known = kept.get(url);
  if (known) {
    kept.delete(url);
    kept.set(url, known);
    return known.bitmap;
  }
  const entry: Kept = { bitmap: decoded(url, priority), bytes: 0 };
  kept.set(url, entry);
  entry.bitmap.then(
    (bitmap) => {
      entry.bytes = bitmap.width * bitmap.height * 4;
      evict();
    },
    () => kept.delete(url),
  );
  return entry.bitmap;
}

async function decoded(url: string, priority: RequestPriority): Promise<ImageBitmap> {
  let answer: Response;
  try {
    answer = await fetch(url, { credentials: "same-origin", priority });
  } catch {
    throw new ApiError(0, "not_connected", "The picture cannot be fetched: the server is not reached.");
  }
  if (!answer.ok) throw new ApiError(answer.status, "no_image", "The picture of this item cannot be read.");
  try {
    return await createImageBitmap(await answer.blob());
  } catch {
    throw new ApiError(415, "bad_image", "The picture of this item cannot be decoded.");
  }
}

function evict(): void {
  let bytes = 0;
  for (const entry of kept.values()) bytes += entry.bytes;
  for (const [url, entry] of kept) {
    if (kept.size <= MOST && bytes <= MOST_BYTES) return;
    if (shown.includes(url) || entry.bytes === 0) continue; // on the screen, or still on its way
    kept.delete(url);
    bytes -= entry.bytes;
    void entry.bitmap.then((bitmap) => bitmap.close());
  }
}
