/** Show a picture with its labels, and let a person select, draw and edit them. */
import type { Media, SchemaInfo, Tiles } from "../api/types";
import { Events } from "./events";
import { middleOf, withGeometry } from "./geometry";
import { Hand } from "./hand";
import { snapToBorder } from "./hit";
import { listen, mayRepeat, moveView, pressOf } from "./keyboard";
import { Labels, withRoom } from "./labels";
import { Live } from "./live";
import { Overlay } from "./overlay";
import { Passive } from "./passive";
import { compose } from "./scene";
import { Spotlight, type Lit } from "./spotlight";
import { Stage } from "./stage";
import { Tools } from "./tools";
import type { Entry, Key, Matrix3, Point, ShowOptions, Tool, ToolOptions, ToolState, ViewerEvents } from "./types";
import type { World } from "./world";

export type * from "./types";

const REACH = 6; // CSS pixels from a line that count as on it
const SNAP = 8;
const BORDER = 5;
const CONTEXT = 0.75; // of the size of a label, around it
const LEAST = 16; // image pixels

export class Viewer {
  /** The element of the picture: focusable, it takes the keys of geometry. */
  readonly element: HTMLElement;
  #world: World;
  #labels: Labels;
  #passive: Passive;
  #live = new Live();
  #overlay = new Overlay();
  #spotlight = new Spotlight();
  #stage: Stage;
  #hand: Hand;
  #tools: Tools;
  #selected: Key | null = null;
  #snapping = true;
  #intrinsics: Matrix3 | null = null;
  #events = new Events<ViewerEvents>();
  #said = "";
  #queued = false;

  constructor(
    target: HTMLElement,
    readonly schema: SchemaInfo,
  ) {
    this.#labels = new Labels(schema);
    this.#passive = new Passive(this.#labels, () => this.#changed());
    this.#world = this.#makeWorld();
    this.#tools = new Tools(this.#world, this.#labels, this.#overlay);
    this.#hand = new Hand(
      () => this.#tools.current,
      (on) => {
        this.#passive.hold(on);
        this.#stage.gesture(on);
      },
    );
    const layers = [this.#passive.layer, this.#spotlight.layer, this.#overlay.layer, this.#live.layer];
    this.#stage = new Stage(target, this.#hand, layers, () => this.#changed());
    this.element = this.#stage.element;
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    listen(
      this.element,
      (event) => this.#press(event),
      (page) => {
        if (page === null) this.#tools.current.hover(null);
        this.#events.emit("pointer", page && this.#stage.pointAt(page));
      },
    );
  }

  /** Show another picture. The view stays if the size (it ends in height, width) is the same; call `fit` to see all of it. */
  show(
    media: Pick<Media, "tiles">,
    size: readonly number[],
    image: ImageBitmap | null,
    options: ShowOptions = {},
  ): void {
    const [height, width] = size.slice(-2) as [number, number];
    const other = this.#stage.show(media, { width, height }, image, options);
    const intrinsics = options.intrinsics ?? null;
    if (JSON.stringify(intrinsics) !== JSON.stringify(this.#intrinsics)) {
      this.#intrinsics = intrinsics;
      this.#labels.camera(intrinsics);
      this.#passive.reset();
    }
    if (other) {
      this.#hand.release();
      this.#tools.current.cancel();
      if (this.#tools.name !== "select") this.#tools.take(this.#tools.name);
    }
    this.#changed();
  }

  /** Show these labels and no others; what did not change since the last call costs nothing. */
  labels(entries: readonly Entry[]): void {
    const keys = new Set(entries.map((entry) => entry.key));
    const gone = [...this.#labels.all()].map((shown) => shown.key).filter((key) => !keys.has(key));
    const fresh = entries.filter((entry) => this.#labels.get(entry.key)?.entry.label !== entry.label);
    if (gone.length + fresh.length > Math.max(50, entries.length / 2)) {
      this.#labels.reset(entries);
      this.#passive.reset();
    } else {
      for (const key of gone) if (this.#labels.drop(key)) this.#passive.touch(key);
      for (const entry of entries) this.#put(entry);
    }
    if (this.#selected !== null && !keys.has(this.#selected)) this.#choose(null);
    this.#tools.current.sync();
    this.#changed();
  }

  /** Show one label that is new or changed. */
  update(entry: Entry): void {
    this.#put(entry);
    this.#tools.current.sync();
    this.#changed();
  }

  /** Select a label, without an event. The brush takes up the mask that is selected. */
  select(key: Key | null): void {
    this.#choose(key !== null && this.#labels.get(key) ? key : null);
    this.#tools.current.sync();
    this.#changed();
  }

  /** The label that is selected. */
  get selected(): Key | null {
    return this.#selected;
  }

  /** Take a tool in hand. A drawing tool takes the focus; the same tool again only takes the options. */
  tool(name: Tool, options?: ToolOptions): void {
    if (name !== this.#tools.name) this.#hand.release();
    this.#tools.use(name, options);
    if (name !== "select") this.element.focus({ preventScroll: true });
    this.#changed();
  }

  /** What the tool is doing; the event `tool` tells when that changes. */
  get state(): ToolState {
    const { name, options, current } = this.#tools;
    const { hint, drawing } = current;
    const { brush } = this.#world;
    return { tool: name, class: options.class, brush, snapping: this.#snapping, drawing, hint };
  }

  /** Snap to the corners and lines of other shapes, or not; the border of the image always holds. */
  snap(on: boolean): void {
    this.#snapping = on;
    this.#changed();
  }

  /** Give up what is being drawn or dragged. */
  cancel(): void {
    this.#hand.release();
    this.#tools.current.cancel();
  }

  /** Offer a key press that did not reach the element; true if it meant something here. */
  key(event: KeyboardEvent): boolean {
    return !event.composedPath().includes(this.element) && this.#press(event);
  }

  /** Put boxes into full light and dim the rest; none lights all. */
  light(lit: readonly Lit[]): void {
    this.#spotlight.show(lit, this.#stage.size);
  }

  /** Hide all that lies over the picture, or show it again. */
  hidden(on: boolean): void {
    const layers = [this.#passive.layer, this.#spotlight.layer, this.#overlay.layer, this.#live.layer];
    for (const layer of layers) layer.setVisible(!on);
  }

  /** Stretch the contrast of the picture (2nd to 98th percentile of what is in view), or show it as it is. */
  contrast(on: boolean): void {
    this.#stage.contrast(on);
  }

  /** Show the whole picture. */
  fit(): void {
    this.#stage.fit();
  }

  /** Show a label with what is around it, of a pin its place; `fly` there, so that one sees where it is. */
  zoomTo(key: Key, fly = false): void {
    const shown = this.#labels.get(key);
    if (!shown) return;
    if (shown.drawing.pin) this.reveal(middleOf(shown.drawing.box));
    else this.#stage.fitBox(withRoom(shown.drawing.box, CONTEXT, LEAST), fly);
  }

  /** Bring an image point into view. */
  reveal(p: Point): void {
    this.#stage.reveal(p);
  }

  /** Lay other tiles of the same picture over it, as at another date, from the left edge to a share of the view; see `part`. */
  over(tiles: Tiles | null, options: ShowOptions = {}): void {
    this.#stage.over.show(tiles, this.#stage.size, options);
  }

  /** Show so much of what lies over the picture: 0 nothing, 1 all, between them what is left of a divider. */
  part(share: number): void {
    this.#stage.over.part(share);
  }

  /** Listen; call what comes back to stop. */
  on<E extends keyof ViewerEvents>(event: E, listener: (value: ViewerEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  destroy(): void {
    this.#events.clear();
    this.#passive.drop();
    this.#stage.destroy();
  }

  /** For tests: where an image point is on the page, in CSS pixels. */
  pixelOf(x: number, y: number): Point {
    return this.#stage.pixelOf([x, y]);
  }

  /** For tests: the label that a click on this place of the page would select. */
  shapeAt(pixel: Point): Key | null {
    return this.#world.at(this.#stage.pointAt(pixel))[0] ?? null;
  }

  /** For tests: labels known, in the cached layer, shapes drawn live, and how often the cached layer was drawn anew. */
  counts(): { labels: number; passive: number; live: number; stale: number; rebuilds: number } {
    const { size: passive, stale, rebuilds } = this.#passive;
    return { labels: this.#labels.size, passive, live: this.#live.size, stale: stale.size, rebuilds };
  }

  #makeWorld(): World {
    const viewer = this;
    return {
      brush: 10,
      get size() {
        return viewer.#stage.size;
      },
      get scale() {
        return viewer.#stage.scale;
      },
      get selected() {
        return viewer.#selected;
      },
      get keypoints() {
        return viewer.#tools.keypoints;
      },
      view: () => this.#stage.view(),
      entry: (key) => this.#labels.get(key)?.entry,
      at: (p) => this.#labels.at(p, REACH * this.#stage.scale),
      snap: (p, except = null) => this.#snap(p, except),
      select: (key) => {
        this.select(key);
        this.#events.emit("select", { key: this.#selected });
      },
      edit: (key, geometry, step) => {
        const entry = this.#labels.get(key)?.entry;
        if (!entry) return;
        this.#put({ ...entry, label: withGeometry(entry.label, geometry) });
        this.#events.emit("edit", { ...geometry, key, step });
        this.#changed();
      },
      draw: (geometry) => this.#events.emit("draw", geometry),
      leave: () => this.tool("select"),
      reveal: (p) => this.#stage.reveal(p),
      changed: () => this.#changed(),
    };
  }

  #put(entry: Entry): void {
    if (this.#labels.set(entry) !== "none") this.#passive.touch(entry.key);
  }

  #choose(key: Key | null): void {
    this.#selected = key;
    this.#passive.lift(key);
  }

  #snap(p: Point, except: Key | null): Point {
    const snapped = this.#snapping ? this.#labels.snap(p, SNAP * this.#stage.scale, except) : p;
    return snapToBorder(snapped, this.#stage.size, snapped === p ? BORDER * this.#stage.scale : 0);
  }

  #press(event: KeyboardEvent): boolean {
    const press = pressOf(event);
    if (event.repeat && !mayRepeat(press)) return this.#tools.current.drawing;
    if (this.#tools.current.key(press)) return true;
    if (press.key === "s" && !press.ctrl && !press.alt && (this.#tools.name !== "select" || this.#hand.busy)) {
      this.snap(!this.#snapping);
      return true;
    }
    return moveView(press, this.#stage);
  }

  /** Draw the live layer anew, once for all that changes now, and tell what the tool is doing if that changed. */
  #changed(): void {
    if (this.#queued) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      const { current, options, painted } = this.#tools;
      const marks = current.marks();
      const { stale } = this.#passive;
      const focus = { selected: this.#selected, stale, painted, class: options.class };
      this.#live.paint(compose(this.#labels, current, marks, focus), marks, this.#stage.view(), this.#stage.scale);
      this.element.style.cursor = current.cursor;
      this.element.ariaLabel = `Picture with ${this.#labels.size} label${this.#labels.size === 1 ? "" : "s"}`;
      const said = JSON.stringify(this.state);
      if (said === this.#said) return;
      this.#said = said;
      this.#events.emit("tool", this.state);
    });
  }
}
