/** The labels that are shown, with what they look like and where they are. */
import RBush from "ol/structs/RBush.js";
import type { SchemaInfo } from "../api/types";
import { geometryOf } from "./geometry";
import { hits, PIN, snapTo } from "./hit";
import { bonesOf, type Drawing, drawingOf, pointsOf } from "./shapes";
import type { Box, Entry, Key, Matrix3, Point } from "./types";

export interface Shown {
  readonly key: Key;
  entry: Entry;
  drawing: Drawing;
  /** When it came, so that the later of two equals lies on top. */
  readonly order: number;
}

/** What `set` changed: the shape, only how it is drawn, or nothing. */
export type Change = "shape" | "look" | "none";

export class Labels {
  #all = new Map<Key, Shown>();
  #places = new RBush<Shown>();
  #bones = new Map<string, [number, number][]>();
  #intrinsics: Matrix3 | null = null;
  #order = 0;
  #points = 0;

  constructor(readonly schema: SchemaInfo) {}

  get size(): number {
    return this.#all.size;
  }

  /** How many points all shapes have together: what it costs to draw them. */
  get points(): number {
    return this.#points;
  }

  /** Take another camera for the cuboids. */
  camera(intrinsics: Matrix3 | null): void {
    this.#intrinsics = intrinsics;
    this.reset([...this.#all.values()].map((shown) => shown.entry));
  }

  get(key: Key): Shown | undefined {
    return this.#all.get(key);
  }

  all(): IterableIterator<Shown> {
    return this.#all.values();
  }

  set(entry: Entry): Change {
    const old = this.#all.get(entry.key);
    if (old && sameShape(old.entry, entry)) {
      const look = lookOf(old.entry) !== lookOf(entry) || old.entry.label.class !== entry.label.class;
      old.entry = entry;
      return look ? "look" : "none";
    }
    const drawing = this.draw(entry);
    this.#points += pointsOf(drawing) - (old ? pointsOf(old.drawing) : 0);
    if (old) {
      [old.entry, old.drawing] = [entry, drawing];
      this.#places.update([...drawing.box], old);
      return "shape";
    }
    const shown = { key: entry.key, entry, drawing, order: this.#order++ };
    this.#all.set(entry.key, shown);
    this.#places.insert([...drawing.box], shown);
    return "shape";
  }

  drop(key: Key): boolean {
    const old = this.#all.get(key);
    if (!old) return false;
    this.#all.delete(key);
    this.#points -= pointsOf(old.drawing);
    this.#places.remove(old);
    return true;
  }

  /** Begin anew with these. */
  reset(entries: readonly Entry[]): void {
    this.#places.clear();
    this.#all = new Map(
      entries.map((entry) => [entry.key, { key: entry.key, entry, drawing: this.draw(entry), order: this.#order++ }]),
    );
    const shown = [...this.#all.values()];
    this.#points = shown.reduce((sum, { drawing }) => sum + pointsOf(drawing), 0);
    this.#places.load(
      shown.map((one) => [...one.drawing.box]),
      shown,
    );
  }

  /** Return the labels at a point, the one to select first: the smallest, then the one on top. */
  at(p: Point, reach: number): Key[] {
    return this.near(p, reach)
      .flatMap((shown) => {
        const hit = hits(shown.drawing, p, reach);
        return hit ? [{ shown, area: hit.area }] : [];
      })
      .sort((a, b) => a.area - b.area || b.shown.order - a.shown.order)
      .map(({ shown }) => shown.key);
  }

  /** Return the labels whose box is nearer than `reach`, or whose pin may be. */
  near([x, y]: Point, reach: number): Shown[] {
    return this.#places
      .getInExtent([x - PIN.side * reach, y - reach, x + PIN.side * reach, y + PIN.up * reach])
      .filter((shown) => visible(shown.drawing));
  }

  /** Return p moved to a corner or a line of another label nearer than `reach`; p itself if there is none. */
  snap(p: Point, reach: number, except: Key | null): Point {
    const others = this.near(p, reach).filter((shown) => shown.key !== except);
    return snapTo(
      others.map((shown) => shown.drawing),
      p,
      reach,
    );
  }

  /** Return what a label looks like. */
  draw(entry: Entry): Drawing {
    const name = entry.label.class;
    let bones = this.#bones.get(name);
    if (!bones) this.#bones.set(name, (bones = bonesOf(this.schema, name)));
    return drawingOf(geometryOf(entry.label), { bones, intrinsics: this.#intrinsics });
  }
}

/** How a label is drawn, by what is known of it; never by colour alone. */
export type Look = "open" | "wrong" | "unsure" | "settled";

export function lookOf(entry: Entry): Look {
  if (entry.mark === "wrong" || entry.mark === "unsure") return entry.mark;
  return entry.open ? "open" : "settled";
}

/** Say whether there is anything to see. */
export function visible({ rings, lines, seen, hidden }: Drawing): boolean {
  return rings.length + lines.length + seen.length + hidden.length > 0;
}

function sameShape(a: Entry, b: Entry): boolean {
  const [p, q] = [a.label, b.label];
  if (p === q) return true;
  if (p.kind !== q.kind || p.box.some((v, i) => v !== q.box[i])) return false;
  if (p.kind === "keypoints" && p.class !== q.class) return false; // other bones
  return p.shape === q.shape || JSON.stringify(p.shape ?? null) === JSON.stringify(q.shape ?? null);
}

/** Return a box with room around it for context, as shares of its size, and never less than `least` wide. */
export function withRoom([x0, y0, x1, y1]: Box, share: number, least: number): Box {
  const [w, h] = [Math.max(x1 - x0, least), Math.max(y1 - y0, least)];
  const [cx, cy] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const [dx, dy] = [w * (0.5 + share), h * (0.5 + share)];
  return [cx - dx, cy - dy, cx + dx, cy + dy];
}
