/** All that belongs to one volume while somebody works on it, put together: labels, masks, scene, tools and the flow of decisions. */
import type { Item, SchemaInfo } from "../api/types";
import { classColor } from "../colors";
import { history } from "../history";
import type { Axis, Voxel } from "../mask/planes";
import { Flow, type FlowParts } from "../work/flow";
import { type Key, Work } from "../work/work";
import type { SliceCache } from "./cache";
import { Checked } from "./checked";
import { type Ask, clickAt, Clicks, type Hearing } from "./clicks";
import { Editor } from "./editor";
import { isMask, Masks } from "./masks";
import { depth, place, world } from "./measure";
import { Scene } from "./scene";

/** What a Bench tells its screen. */
export type BenchParts = Omit<FlowParts, "where" | "take" | "selected"> &
  Hearing & {
    /** Asks the model for the mask of what was clicked on, where it can do that. */
    ask: Ask | null;
  };

export class Bench {
  readonly work: Work;
  readonly masks: Masks;
  readonly scene: Scene;
  readonly editor: Editor;
  readonly clicks: Clicks | null;
  readonly checked: Checked;
  readonly flow: Flow;
  private readonly ends: (() => void)[];
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `opinion`: which of two answers to begin with, where two people differ. */
  constructor(
    readonly item: Item,
    readonly schema: SchemaInfo,
    cache: SliceCache,
    opinion: number,
    parts: BenchParts,
  ) {
    const where = { screen: "volume", id: item.id } as const;
    const work = new Work(asGiven(item, opinion), { where, push: (step) => this.masks.quiet || history.push(step) });
    this.work = work;
    this.masks = new Masks(work, cache.size, where, (step) => history.push(step));
    this.scene = new Scene(cache, this.masks, (name) => classColor(schema, name));
    this.editor = new Editor(this.scene, this.masks, (key) => work.get(key)?.label.class ?? "", parts.say);
    this.clicks = parts.ask && new Clicks(work, this.masks, parts.ask, parts);
    this.checked = new Checked(this.masks);
    const selected = (key: Key | null): void => {
      this.scene.label(work.entries(), key);
      this.clicks?.only(key);
      this.reveal();
    };
    this.flow = new Flow(item, work, { ...parts, where, take: () => history.take(item.id), selected });
    this.ends = [
      work.onchange(() => this.scene.label(work.entries(), this.flow.selected)),
      // The labels hear of a stroke a moment later, so that no stroke waits for it.
      this.masks.onchange((_, done) => {
        clearTimeout(this.timer);
        if (done) this.timer = setTimeout(() => this.masks.sync(), 700);
      }),
    ];
  }

  /** Begin: select what is asked about, and show it where it is largest. */
  begin(): void {
    this.flow.begin();
    if (this.flow.selected === null) this.select(this.work.entries()[0]?.key ?? null);
    this.scene.label(this.work.entries(), this.flow.selected);
    this.scene.start();
  }

  select(key: Key | null): void {
    this.flow.select(key);
  }

  /** Show the selected mask, if the slice that is shown does not. */
  private reveal(): void {
    const bits = this.flow.selected === null ? null : this.masks.get(this.flow.selected);
    if (bits && !bits.voxels[this.scene.at.z]) this.scene.goTo(bits);
  }

  /** Do something that decides: the labels hear of every stroke before. */
  decide(act: (flow: Flow) => void): void {
    this.editor.end();
    this.clicks?.clear();
    this.masks.flush();
    act(this.flow);
  }

  /** Add a structure of a class, and take the brush, unless one clicks. */
  add(name: string): void {
    this.select(this.work.add(this.masks.blank(name)));
    if (this.editor.settings.tool !== "click") this.editor.change({ tool: "brush" });
  }

  /** Click at column u and row v of plane k, on what belongs to the selected structure or does not. */
  click(axis: Axis, u: number, v: number, k: number, inside: boolean): void {
    const { selected, invisible } = this.scene;
    if (selected !== null && invisible.has(selected)) this.scene.see(selected, true);
    this.clicks?.add(selected, clickAt(axis, u, v, k, inside));
  }

  /** Click at the cross, for who works by keys. */
  clickHere(inside: boolean): void {
    const { axis, k, u, v } = this.editor.cross();
    this.editor.change({ tool: "click" });
    this.click(axis, u + 0.5, v + 0.5, k, inside);
  }

  /**
   * Mark the axial slice that is shown, or all from the one marked last, as right. Once all are, a structure that waits is
   * accepted.
   */
  right(range: boolean): void {
    const key = this.flow.selected;
    if (key === null || !this.masks.get(key)) return;
    this.editor.end();
    if (range) this.checked.range(key, this.scene.at.z);
    else this.checked.toggle(key, this.scene.at.z);
    if (this.checked.whole(key) && this.work.get(key)?.open) this.decide((flow) => flow.accept());
  }

  /** Say where the cross is: "axial slice 21 of 40, 51.2 mm, 43 HU, liver". */
  status(): string {
    const { scene } = this;
    const { axis, k } = this.editor.cross();
    const { name } = scene.placings[axis];
    const count = { axial: scene.size[0], coronal: scene.size[1], sagittal: scene.size[2] }[axis];
    const mm = depth(axis, name, scene.at, this.item.frame, scene.slices.spacing);
    const parts = [
      `${name} slice ${k + 1} of ${count}`,
      mm === null ? "" : `${mm.toFixed(1)} mm`,
      ...this.about(scene.at),
    ];
    return parts.filter(Boolean).join(", ");
  }

  /** Say what is at a voxel: where in the patient, the value, the structures. */
  readout(at: Voxel): string {
    const point = world(this.item.frame, at);
    const parts = [`x ${at.x} y ${at.y} z ${at.z}`, point ? place(point) : "", ...this.about(at)];
    return parts.filter(Boolean).join(" · ");
  }

  private about(at: Voxel): string[] {
    const value = this.scene.cache.value(at.x, at.y, at.z);
    const { unit } = this.scene.slices;
    const names = this.scene.under(at).map((entry) => entry.label.class);
    return [value === null ? "" : unit ? `${value} ${unit}` : `value ${value}`, names.join(", ")];
  }

  close(): void {
    clearTimeout(this.timer);
    this.clicks?.close();
    this.checked.close();
    for (const end of this.ends) end();
    this.scene.close();
  }
}

/** Return the item with the labels to begin with. */
function asGiven(item: Item, opinion: number): Item {
  const given = item.mode === "adjudicate" ? item.opinions[opinion] : undefined;
  if (!given) return item;
  return { ...item, labels: given.labels, state: { ...item.state, annotation: given.annotation, open: [] } };
}

/** Return what is wrong with the masks of labels, as one sentence; nothing if they fit the volume. */
export function misfit(bench: Bench): string {
  for (const { key, label } of bench.work.entries()) {
    if (!isMask(label)) continue;
    try {
      bench.masks.get(key);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return `The mask of ${label.class} cannot be shown: ${error.message}.`;
    }
  }
  return "";
}
