/**
 * The masks of a volume while somebody works on them. They live as bits, which strokes change at once; the labels of the work hear
 * of it when `flush` is called, before they are sent.
 */
import type { LabelRow } from "../api/types";
import type { Step } from "../history";
import { Bits } from "../mask/bits";
import type { Axis, Rect, Size3 } from "../mask/planes";
import { apply, type Patch } from "../mask/undo";
import type { Where } from "../router";
import type { Key, Work } from "../work/work";

/** Tell that an area of a plane of a mask changed. */
export interface Touch {
  key: Key;
  axis: Axis;
  k: number;
  area: Rect;
}

interface MaskShape {
  size: number[];
  counts: string;
}

export class Masks {
  private readonly kept = new Map<Key, { bits: Bits; shape: unknown }>();
  /** How many steps each mask is away from its label; undo counts down. */
  private readonly steps = new Map<Key, number>();
  private readonly listeners = new Set<(touches: readonly Touch[], done: boolean) => void>();
  /** Called before a step is undone or redone: a gesture that is under way must not mix with it. */
  interrupt: () => void = () => {};
  /** What the work does now is no step of its own. */
  quiet = false;

  constructor(
    private readonly work: Work,
    readonly size: Size3,
    private readonly where: Where,
    private readonly push: (step: Step) => void,
  ) {}

  /** Return the mask of a label; null for a label that is none. Throws RangeError for one that does not fit the volume. */
  get(key: Key): Bits | null {
    const label = this.work.get(key)?.label;
    if (!label || !isMask(label)) return null;
    const kept = this.kept.get(key);
    if (kept && kept.shape === label.shape) return kept.bits;
    // The label has another shape than the one these bits were made from: what was painted on that is void.
    this.steps.delete(key);
    const bits = Bits.fromRle((label.shape as MaskShape).counts, this.size);
    this.kept.set(key, { bits, shape: label.shape });
    return bits;
  }

  /** Return a new label of a class, without a voxel yet. */
  blank(name: string): LabelRow {
    const shape: MaskShape = { size: [...this.size], counts: new Bits(this.size).toRle() };
    return { class: name, kind: "mask", box: [0, 0, 0, 0], shape };
  }

  /** Show a change that is not finished: part of a stroke. */
  touched(touches: readonly Touch[], done = false): void {
    for (const listener of [...this.listeners]) listener(touches, done);
  }

  /** Make a finished change a step of the history. */
  commit(key: Key, text: string, patches: readonly Patch[]): void {
    if (!patches.length) return;
    const touches = patches.map(({ axis, k, area }) => ({ key, axis, k, area }));
    const turn = (to: "before" | "after", step: 1 | -1) => () => {
      this.interrupt();
      this.steps.set(key, (this.steps.get(key) ?? 0) + step);
      const bits = this.get(key);
      if (!bits) return;
      apply(bits, patches, to);
      this.touched(touches, true);
    };
    this.steps.set(key, (this.steps.get(key) ?? 0) + 1);
    this.push({ label: text, where: this.where, undo: turn("before", -1), redo: turn("after", 1) });
    this.touched(touches, true);
  }

  /** Tell whether a mask may differ from its label; one whose every change was undone does not. */
  edited(key: Key): boolean {
    return (this.steps.get(key) ?? 0) !== 0;
  }

  get dirty(): boolean {
    return [...this.steps.values()].some((steps) => steps !== 0);
  }

  /** Write the masks that changed into their labels, so that the work knows. This is no step: the strokes were. */
  sync(): void {
    for (const { key, label } of [...this.work.entries()]) {
      if (!isMask(label) || !this.edited(key)) continue;
      const bits = this.get(key)!;
      const shape: MaskShape = { size: [...this.size], counts: bits.toRle() };
      this.steps.delete(key);
      this.kept.set(key, { bits, shape });
      this.quietly(() => this.work.set(key, { ...label, box: bits.bounds() ?? [0, 0, 0, 0], shape }));
    }
  }

  /** Do that before the labels are sent; a mask without a voxel is no label. */
  flush(): void {
    this.sync();
    for (const { key, row, label } of [...this.work.entries()]) {
      const changed = row === null || this.work.changedKeys().includes(key);
      if (changed && isMask(label) && !this.get(key)?.total()) this.quietly(() => this.work.drop(key));
    }
  }

  /** Hear of every change of voxels, `done` at the end of a gesture; returns what ends that. */
  onchange(listener: (touches: readonly Touch[], done: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private quietly(act: () => void): void {
    this.quiet = true;
    try {
      act();
    } finally {
      this.quiet = false;
    }
  }
}

/** Tell whether a label is a mask of a volume. */
export function isMask(label: LabelRow | undefined): boolean {
  const shape = label?.shape as MaskShape | null | undefined;
  return label?.kind === "mask" && shape?.size?.length === 3;
}
