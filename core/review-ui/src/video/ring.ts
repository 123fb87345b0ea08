/**
 * Frames of a clip as bitmaps: the one shown, and those around it fetched ahead, more of them in the direction of travel.
 *
 * What is far away is closed, and what is not here yet is no longer fetched once it is far away, so that scrubbing is quick.
 */

const SPAN = 60;
const MOST_BYTES = 320e6;
const TOGETHER = 4;
const AHEAD_SHARE = 2 / 3;

export type Load = (url: string, signal: AbortSignal) => Promise<ImageBitmap>;

interface Slot {
  readonly abort: AbortController;
  readonly done: Promise<ImageBitmap>;
  bitmap: ImageBitmap | null;
  failed: unknown;
}

/** Fetch and decode a picture. */
export async function loadBitmap(url: string, signal: AbortSignal): Promise<ImageBitmap> {
  const answer = await fetch(url, { credentials: "same-origin", signal });
  if (!answer.ok) throw new Error(`The picture of this frame cannot be read (${answer.status}).`);
  return createImageBitmap(await answer.blob());
}

export class Ring {
  #slots = new Map<number, Slot>();
  #at = 0;
  #way: 1 | -1 = 1;
  #bytes = 0;
  #closed = false;

  constructor(
    private readonly urls: readonly string[],
    private readonly load: Load = loadBitmap,
    /** Hears of each frame that came or went. */
    private readonly onchange: () => void = () => {},
  ) {}

  /** The bitmap of a frame, if it is here. */
  peek(frame: number): ImageBitmap | null {
    return this.#slots.get(frame)?.bitmap ?? null;
  }

  /** Tell whether a frame was asked for and cannot be had. */
  failed(frame: number): boolean {
    return (this.#slots.get(frame)?.failed ?? null) !== null;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Go to a frame; gives its bitmap, or null if another frame was asked for before it came. */
  async show(frame: number): Promise<ImageBitmap | null> {
    if (frame !== this.#at) this.#way = frame > this.#at ? 1 : -1;
    this.#at = frame;
    const near = this.#near();
    for (const [other, slot] of this.#slots) if (!near.has(other)) this.#drop(other, slot);
    if (this.#slots.get(frame)?.failed) this.#slots.delete(frame); // asked again
    const slot = this.#slots.get(frame) ?? this.#fetch(frame);
    this.#fill();
    try {
      const bitmap = slot.bitmap ?? (await slot.done);
      return this.#at === frame && !this.#closed ? bitmap : null;
    } catch (error) {
      if (slot.abort.signal.aborted || this.#at !== frame) return null;
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    for (const [frame, slot] of this.#slots) this.#drop(frame, slot);
  }

  /** How many frames are kept: fewer of large pictures. */
  get #span(): number {
    const here = [...this.#slots.values()].filter((slot) => slot.bitmap).length;
    return here ? Math.max(8, Math.min(SPAN, Math.floor(MOST_BYTES / (this.#bytes / here)))) : SPAN;
  }

  #near(): Set<number> {
    const ahead = Math.floor(this.#span * AHEAD_SHARE);
    const behind = this.#span - ahead - 1;
    const near = new Set([this.#at]);
    for (let i = 1; i <= ahead; i++) {
      near.add(this.#at + i * this.#way);
      if (i <= behind) near.add(this.#at - i * this.#way);
    }
    return near;
  }

  // The nearest first, a few at once, so that the server has time for the frame that is shown.
  #fill(): void {
    if (this.#closed) return;
    let busy = [...this.#slots.values()].filter((slot) => !slot.bitmap && slot.failed === null).length;
    for (const frame of this.#near()) {
      if (busy >= TOGETHER) return;
      if (frame < 0 || frame >= this.urls.length || this.#slots.has(frame)) continue;
      this.#fetch(frame);
      busy += 1;
    }
  }

  #fetch(frame: number): Slot {
    const abort = new AbortController();
    const slot: Slot = { abort, done: this.load(this.urls[frame]!, abort.signal), bitmap: null, failed: null };
    this.#slots.set(frame, slot);
    slot.done.then(
      (bitmap) => {
        if (this.#slots.get(frame) !== slot) return bitmap.close();
        slot.bitmap = bitmap;
        this.#bytes += bytes(bitmap);
        this.#fill();
        this.onchange();
      },
      (error: unknown) => {
        if (this.#slots.get(frame) !== slot) return;
        slot.failed = error ?? true;
        this.#fill();
        this.onchange();
      },
    );
    return slot;
  }

  #drop(frame: number, slot: Slot): void {
    this.#slots.delete(frame);
    slot.abort.abort();
    if (!slot.bitmap) return;
    this.#bytes -= bytes(slot.bitmap);
    slot.bitmap.close();
  }
}

const bytes = (bitmap: ImageBitmap) => bitmap.width * bitmap.height * 4;
