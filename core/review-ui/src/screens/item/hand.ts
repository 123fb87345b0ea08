/** What keys and buttons do on an item. What changes labels waits until an item is there. */
import { app } from "../../app.svelte";
import { bounds, newCuboid } from "../../cuboid/project";
import type { Command, Handler, Press } from "../../keys";
import { go } from "../../router";
import type { Viewer } from "../../viewer/viewer";
import { neighbour } from "../../work/order";
import { classesFor, classOfDigit, kindOf } from "../../work/schema";
import type { Bench } from "./bench.svelte";
import type { Tools } from "./tools.svelte";

/** Elements that keys lead to. */
export interface Places {
  note(): HTMLElement | undefined;
  attributes(): HTMLElement | undefined;
  why(): void;
}

export class Hand {
  constructor(
    private readonly bench: Bench,
    private readonly tools: Tools,
    private readonly viewer: () => Viewer | null,
    private readonly places: Places,
  ) {}

  readonly #acts: Partial<Record<Command, () => void>> = {
    accept: () => this.bench.flow?.accept(),
    acceptItem: () => this.bench.acceptItem(),
    repair: () => this.bench.flow?.repair(),
    reject: () => this.bench.flow?.reject(),
    unsure: () => this.bench.flow?.unsure(),
    edit: () => this.#edit(),
    tag: () => this.#tag(),
    cuboid: () => this.#cuboid(),
    box: () => this.tools.take("box"),
    rotatedBox: () => this.tools.take("rotated_box"),
    polygon: () => this.tools.take("polygon"),
    polyline: () => this.tools.take("polyline"),
    keypoints: () => this.tools.take("keypoints"),
    point: () => this.tools.take("point"),
    mask: () => this.tools.take("mask"),
    classSearch: () => void (this.tools.choosing = true),
  };

  act = (command: Command): void => {
    if (this.bench.ready) this.#acts[command]?.();
  };

  /** Use a class: for the selected label, for what is drawn next, or as a tag. */
  pick = (name: string): void => {
    const { bench, tools } = this;
    const { flow } = bench;
    if (!flow || !bench.ready) return;
    if (tools.kind === "tag") {
      tools.use("tag", name);
      flow.tag(name, flow.item.size);
    } else {
      const { entry } = flow;
      // While one draws, the class is for what comes next, and for what was just drawn.
      if (entry && (!tools.drawing || entry.row === null)) flow.classify(app.schema, name);
      const kind = tools.kind ?? (entry && kindOf(entry.label));
      if (kind && classesFor(app.schema, kind).some((one) => one.name === name)) tools.use(kind, name);
    }
    if (!tools.drawing) tools.kind = null;
    this.focus();
  };

  focus(): void {
    this.viewer()?.element.focus({ preventScroll: true });
  }

  handlers(): Partial<Record<Command, Handler>> {
    const { bench, tools, places } = this;
    const acts = Object.keys(this.#acts) as Command[];
    const viewers = ["zoomIn", "zoomOut", "brushSmaller", "brushLarger"] as const;
    return {
      ...Object.fromEntries(acts.map((command) => [command, this.#first(() => this.act(command))])),
      ...Object.fromEntries(viewers.map((command) => [command, this.#first(() => false)])),
      class: (press) => this.#digit(press),
      nextObject: () => this.#step(1),
      previousObject: () => this.#step(-1),
      next: () => void bench.move(1),
      previous: () => void bench.move(-1),
      hide: (press) => this.viewer()?.hidden(press.down),
      why: places.why,
      note: () => places.note()?.focus(),
      attributes: () => places.attributes()?.querySelector<HTMLElement>("input, select, button")?.focus(),
      grid: () => {
        const name = bench.flow?.entry?.label.class;
        if (name !== undefined) go("grid", name);
      },
      fit: () => this.viewer()?.fit(),
      cancel: this.#first(() => (tools.drawing ? tools.take("select") : bench.flow?.select(null))),
    };
  }

  // The picture may want a key first: Enter closes a polygon, Backspace takes its last point back.
  #first(run: (press: Press) => void | false): Handler {
    return (press) => (this.viewer()?.key(press.event) ? undefined : run(press));
  }

  #digit({ digit }: Press): void {
    const { bench } = this;
    if (bench.item?.mode === "adjudicate" && digit <= bench.flows.length) return bench.show(digit - 1);
    const name = classOfDigit(app.schema, digit)?.name;
    if (name !== undefined) this.pick(name);
  }

  #step(by: 1 | -1): void | false {
    const { flow } = this.bench;
    if (!flow || !this.viewer()?.element.contains(document.activeElement)) return false;
    const next = neighbour(flow.work.entries(), flow.selected, by);
    if (next === null) return false; // Tab leaves the picture at the end
    flow.select(next);
    const { label } = flow.work.get(next)!;
    app.announce(`${label.class}, ${(label.score ?? 1).toFixed(2)}`);
  }

  #edit(): void {
    const entry = this.bench.flow?.entry;
    if (!entry) return app.announce("Select a label first, with Tab or a click.");
    this.tools.take(entry.label.kind === "mask" ? "mask" : "select");
    this.focus();
  }

  #tag(): void {
    const { flow } = this.bench;
    const known = classesFor(app.schema, "tag");
    if (!known.length) app.announce("No class here is a tag.");
    else if (known.length === 1) flow?.tag(known[0]!.name, flow.item.size);
    else this.tools.ask("tag");
  }

  #cuboid(): void {
    const { flow } = this.bench;
    if (!flow) return;
    if (!classesFor(app.schema, "cuboid").length) return app.announce("No class here is drawn as a cuboid.");
    const { item } = flow;
    const [height = 0, width = 0] = item.size.slice(-2);
    const camera = this.bench.camera;
    const shape = newCuboid(camera, item.size);
    this.tools.drawn(flow, {
      kind: "cuboid",
      box: (camera && bounds(shape, camera, item.size)) ?? [0, 0, width, height],
      shape,
    });
  }
}
