/**
 * The slices of each structure that a person has looked at and found right, one by one or as a range. Once these are all that the
 * structure has, it can be accepted. They last as long as the volume is open: what is stored is the decision.
 */
import type { Bits } from "../mask/bits";
import type { Key } from "../work/work";
import type { Masks, Touch } from "./masks";

export class Checked {
  private readonly slices = new Map<Key, Set<number>>();
  /** The slice of each structure that was marked last: where a range begins. */
  private readonly last = new Map<Key, number>();
  private readonly listeners = new Set<() => void>();
  private readonly end: () => void;

  constructor(private readonly masks: Masks) {
    // What is painted on must be looked at again.
    this.end = masks.onchange((touches) => this.forget(touches));
  }

  /** Mark a slice as right, or take the mark back; a slice without a voxel of the structure has nothing to mark. */
  toggle(key: Key, z: number): void {
    const marks = this.of(key);
    this.set(key, marks.has(z) ? [...marks].filter((other) => other !== z) : [...marks, z], z);
  }

  /** Mark all slices from the one marked last (else the structure's first) to this one. */
  range(key: Key, z: number): void {
    const bits = this.masks.get(key);
    if (!bits) return;
    const from = this.last.get(key) ?? bits.voxels.findIndex((n) => n > 0);
    const [low, high] = from < z ? [from, z] : [z, from];
    const all = Array.from({ length: high - low + 1 }, (_, i) => low + i);
    this.set(key, [...this.of(key), ...all], z);
  }

  /** Slices of a structure that are right. */
  of(key: Key): ReadonlySet<number> {
    return this.slices.get(key) ?? new Set();
  }

  /** How many slices of a structure are right, of how many that it has. */
  count(key: Key): { right: number; all: number } {
    const bits = this.masks.get(key);
    return { right: this.of(key).size, all: bits ? bits.voxels.filter((n) => n > 0).length : 0 };
  }

  /** Tell whether every slice of a structure is right. */
  whole(key: Key): boolean {
    const { right, all } = this.count(key);
    return all > 0 && right === all;
  }

  on(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.end();
  }

  private set(key: Key, marks: readonly number[], last: number): void {
    const bits: Bits | null = this.masks.get(key);
    if (!bits) return;
    this.slices.set(key, new Set(marks.filter((z) => bits.voxels[z])));
    this.last.set(key, last);
    this.tell();
  }

  private forget(touches: readonly Touch[]): void {
    let found = false;
    for (const { key, axis, k, area } of touches) {
      const marks = this.slices.get(key);
      const [low, high] = axis === "axial" ? [k, k + 1] : [area.y0, area.y1];
      for (const z of [...(marks ?? [])]) if (z >= low && z < high) found = marks!.delete(z) || found;
    }
    if (found) this.tell();
  }

  private tell(): void {
    for (const listener of [...this.listeners]) listener();
  }
}
