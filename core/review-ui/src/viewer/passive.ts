/**
 * The layer of all labels that nobody touches, drawn once into a bitmap that moves and scales with the view.
 *
 * Drawing it anew takes tens to hundreds of milliseconds when there are thousands of labels, so that it is put off: what changed
 * is `stale` until `flush`, and whoever draws the live layer draws it on top meanwhile. With few labels that is the next frame.
 */
import type Feature from "ol/Feature.js";
import VectorImageLayer from "ol/layer/VectorImage.js";
import VectorSource from "ol/source/Vector.js";
import { classColor } from "../colors";
import { type Labels, lookOf, type Shown, visible } from "./labels";
import { featureOf, isSpot, reshape, thin } from "./shapes";
import { fillOf, labelStyles, pinStyles, speckStyles } from "./styles";
import type { Key } from "./types";

const FEW = 12_000; // points, which are drawn within a frame
const REST_MS = 300;
const MOST_STALE = 200;

export class Passive {
  readonly layer: VectorImageLayer<VectorSource>;
  /** How often the bitmap had to be drawn anew because labels changed. */
  rebuilds = 0;
  /** Labels that the bitmap shows as they were. */
  readonly stale = new Set<Key>();
  #source = new VectorSource({ useSpatialIndex: true, wrapX: false });
  #features = new Map<Key, Feature>();
  #timer = 0;
  #frame = 0;
  #held = false;
  /** The label that is changing, and not in the bitmap at all. */
  #lifted: Key | null = null;

  /** `onflush`: the bitmap shows all labels as they are. */
  constructor(
    readonly labels: Labels,
    readonly onflush: () => void,
  ) {
    this.layer = new VectorImageLayer({
      source: this.#source,
      imageRatio: 2,
      declutter: true, // of the names of pins, those that have room
      style: (feature, resolution) => this.#styles(feature as Feature, resolution),
    });
  }

  get size(): number {
    return this.#features.size;
  }

  /** Draw all labels anew. */
  reset(): void {
    this.stale.clear();
    this.#cancel();
    this.#source.clear(true);
    this.#features.clear();
    for (const shown of this.labels.all()) if (visible(shown.drawing)) this.#features.set(shown.key, this.#make(shown));
    this.#source.addFeatures([...this.#features.values()]);
    this.#source.changed();
    this.rebuilds++;
  }

  /** A label is new, changed or gone. */
  touch(key: Key): void {
    this.stale.add(key);
    this.#plan(!this.labels.get(key) || this.stale.size > MOST_STALE);
  }

  /** Keep this label out of the bitmap as soon as it changes, until another is lifted. */
  lift(key: Key | null): void {
    if (key === this.#lifted) return;
    const old = this.#lifted;
    this.#lifted = key;
    if (old !== null && this.stale.has(old)) this.#plan(false);
  }

  /** While a gesture is under way nothing is drawn anew. */
  hold(on: boolean): void {
    this.#held = on;
    if (!on && this.stale.size) this.#plan(false);
  }

  flush(): void {
    this.#cancel();
    let changed = false;
    for (const key of [...this.stale]) {
      const feature = this.#features.get(key);
      const shown = this.labels.get(key);
      const kept = key === this.#lifted && shown !== undefined;
      if (!kept) this.stale.delete(key);
      if (kept || !shown || !visible(shown.drawing)) {
        if (!feature) continue;
        this.#source.removeFeature(feature);
        this.#features.delete(key);
      } else if (feature) {
        reshape(feature, shown.drawing);
      } else {
        const made = this.#make(shown);
        this.#features.set(key, made);
        this.#source.addFeature(made);
      }
      changed = true;
    }
    if (!changed) return;
    this.#source.changed();
    this.rebuilds++;
    this.onflush();
  }

  drop(): void {
    this.#cancel();
    this.#source.clear(true);
  }

  #make(shown: Shown): Feature {
    const feature = featureOf(shown.drawing);
    feature.set("shown", shown, true);
    return feature;
  }

  #styles(feature: Feature, resolution: number): ReturnType<typeof labelStyles> {
    const { entry, drawing } = feature.get("shown") as Shown;
    const color = classColor(this.labels.schema, entry.label.class);
    if (drawing.pin) return pinStyles(color, lookOf(entry), "passive", entry.label.class);
    if (isSpot(drawing, resolution)) return speckStyles(color, lookOf(entry), "passive");
    thin(feature, drawing, resolution);
    return labelStyles(color, lookOf(entry), "passive", fillOf(entry.label.kind, entry.open));
  }

  #plan(soon: boolean): void {
    if (this.#held) return;
    if (soon || this.labels.points < FEW) {
      this.#frame ||= requestAnimationFrame(() => this.flush());
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.flush(), REST_MS);
  }

  #cancel(): void {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    this.#frame = this.#timer = 0;
  }
}
