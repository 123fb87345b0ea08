/** One view of a volume: a canvas of one pixel a voxel that CSS turns, stretches and moves, and the pointer on it. */
import { ALONG, type Axis, grown, isEmpty, planeSize, type Rect, union, type Voxel, voxelAt } from "../mask/planes";
import { onPlane } from "./clicks";
import type { Bench } from "./bench";
import type { Editor } from "./editor";
import { type Layer, paintPlane } from "./painter";
import type { Redraw, Scene } from "./scene";
import { Viewport } from "./viewport";
import { dragged, type Window } from "./windows";

const NOTCH = 50; // pixels of the wheel that make a step

/** What lies over the picture, in pixels of the screen. */
export interface Overlay {
  cross: { x: number; y: number };
  ring: { x: number; y: number; rx: number; ry: number } | null;
  clicks: { x: number; y: number; inside: boolean }[];
}

export interface ViewHooks {
  overlay: (overlay: Overlay) => void;
  /** The voxel under the pointer, null when it leaves. */
  hover: (at: { axis: Axis; u: number; v: number; voxel: Voxel } | null) => void;
  /** The view was pressed while it was a small one. */
  lead: () => void;
  /** Milliseconds that a drawing took. */
  painted?: (ms: number, whole: boolean) => void;
}

type Drag =
  | { kind: "cross" | "stroke" }
  | { kind: "pan"; x: number; y: number }
  | { kind: "window"; from: Window; x: number; y: number };

export class View {
  readonly viewport: Viewport;
  private readonly scene: Scene;
  private readonly editor: Editor;
  private readonly width: number;
  private readonly height: number;
  private readonly context: CanvasRenderingContext2D;
  private readonly image: ImageData;
  private readonly pixels: Uint32Array;
  private readonly ends: (() => void)[] = [];
  private frame = 0;
  private wanted: Rect | null = null;
  private k = -1;
  private drag: Drag | null = null;
  private pointer: { x: number; y: number } | null = null;
  private wheel = 0;

  constructor(
    private readonly host: HTMLElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly bench: Bench,
    readonly axis: Axis,
    private readonly hooks: ViewHooks,
  ) {
    const { scene, editor } = bench;
    this.scene = scene;
    this.editor = editor;
    ({ width: this.width, height: this.height } = planeSize(scene.size, axis));
    canvas.width = this.width;
    canvas.height = this.height;
    this.context = canvas.getContext("2d", { alpha: false })!;
    this.image = this.context.createImageData(this.width, this.height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    const { du, dv } = editor.pixel(axis);
    this.viewport = new Viewport(this.width, this.height, du, dv, scene.placings[axis]);
    this.ends.push(
      scene.on((redraw) => this.redraw(redraw)),
      editor.on(() => this.place()),
      bench.clicks?.on(() => this.place()) ?? (() => undefined),
    );
    const sized = new ResizeObserver(() => {
      this.viewport.resize(host.clientWidth, host.clientHeight);
      this.place();
    });
    sized.observe(host);
    this.ends.push(() => sized.disconnect());
    this.listen();
    this.viewport.resize(host.clientWidth, host.clientHeight);
    this.redraw({ what: "all" });
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    for (const end of this.ends) end();
  }

  zoom(factor: number, at = { x: this.host.clientWidth / 2, y: this.host.clientHeight / 2 }): void {
    this.viewport.zoom(factor, at.x, at.y);
    this.place();
  }

  fit(): void {
    this.viewport.fit();
    this.place();
  }

  /** Set the canvas and what lies over it where they belong. */
  place(): void {
    const { matrix, pixel } = this.viewport;
    this.canvas.style.transform = `matrix(${matrix.join(",")})`;
    this.canvas.style.imageRendering = Math.min(pixel.u, pixel.v) >= 3 ? "pixelated" : "auto";
    const along = ALONG[this.axis];
    const cross = this.viewport.toScreen(this.scene.at[along.u] + 0.5, this.scene.at[along.v] + 0.5);
    const { radius, tool } = this.editor.settings;
    const { du } = this.editor.pixel(this.axis);
    const r = (radius / du) * pixel.u; // round in millimetres, so round on the screen
    const painting = this.leads && (tool === "brush" || tool === "erase") && this.pointer;
    const clicks = (this.bench.clicks?.shown ?? []).flatMap((click) => {
      const at = onPlane(this.axis, this.scene.at[along.k], click);
      return at ? [{ ...this.viewport.toScreen(at.u, at.v), inside: click.inside }] : [];
    });
    this.hooks.overlay({ cross, ring: painting ? { ...painting, rx: r, ry: r } : null, clicks });
  }

  private get leads(): boolean {
    return this.scene.main === this.axis;
  }

  private redraw(redraw: Redraw): void {
    const k = this.scene.at[ALONG[this.axis].k];
    const whole: Rect = { x0: 0, y0: 0, x1: this.width, y1: this.height };
    if (redraw.what === "area") this.want(this.part(redraw.axis, redraw.k, redraw.area, k));
    else if (redraw.what === "all" || k !== this.k) this.want(whole);
    else if (redraw.what === "planes" && redraw.axis === this.axis && k >= redraw.first && k <= redraw.last)
      this.want(whole);
    else if (redraw.what === "planes" && this.axis !== "axial" && this.scene.cache.progress === 1) this.want(whole);
    if (redraw.what !== "at") return this.place();
    const along = ALONG[this.axis];
    if (this.leads && this.drag?.kind !== "cross") this.viewport.reveal(this.scene.at[along.u], this.scene.at[along.v]);
    this.place();
  }

  /** Return the part of this view that an area of another plane crosses. */
  private part(axis: Axis, k: number, area: Rect, own: number): Rect {
    const low = voxelAt(axis, area.x0, area.y0, k);
    const high = voxelAt(axis, area.x1, area.y1, k);
    high[ALONG[axis].k] = k + 1;
    const along = ALONG[this.axis];
    const crossed = own >= low[along.k] && own < high[along.k];
    const part = { x0: low[along.u], y0: low[along.v], x1: high[along.u], y1: high[along.v] };
    return crossed ? grown(part, 1, this.width, this.height) : { x0: 0, y0: 0, x1: 0, y1: 0 };
  }

  private want(area: Rect): void {
    if (isEmpty(area)) return;
    this.wanted = this.wanted ? union(this.wanted, area) : area;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  private paint(): void {
    const area = this.wanted;
    if (!area) return;
    const start = performance.now();
    this.wanted = null;
    this.k = this.scene.at[ALONG[this.axis].k];
    const values = this.scene.cache.get(this.axis, this.k);
    const layers: Layer[] = this.scene.layers();
    paintPlane(this.pixels, this.width, this.height, values, layers, this.scene.inks, this.axis, this.k, area);
    this.context.putImageData(this.image, 0, 0, area.x0, area.y0, area.x1 - area.x0, area.y1 - area.y0);
    this.hooks.painted?.(
      performance.now() - start,
      area.x1 - area.x0 === this.width && area.y1 - area.y0 === this.height,
    );
  }

  private listen(): void {
    const on = <K extends keyof HTMLElementEventMap>(name: K, act: (event: HTMLElementEventMap[K]) => void): void => {
      this.host.addEventListener(name, act, { passive: false });
      this.ends.push(() => this.host.removeEventListener(name, act));
    };
    on("contextmenu", (event) => event.preventDefault());
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.move(event));
    on("pointerup", (event) => this.release(event));
    on("pointercancel", (event) => this.release(event));
    on("pointerleave", () => {
      this.pointer = null;
      this.hooks.hover(null);
      this.place();
    });
    on("wheel", (event) => this.turn(event));
  }

  private press(event: PointerEvent): void {
    if (this.drag) return;
    this.host.focus({ preventScroll: true });
    if (!this.leads) return event.button === 0 ? this.hooks.lead() : undefined;
    event.preventDefault();
    const { u, v } = this.under(event);
    const { tool } = this.editor.settings;
    const painting = tool === "brush" || tool === "erase";
    const across = this.scene.at[ALONG[this.axis].k];
    if (tool === "click" && event.button !== 1) {
      const inside = event.button === 0 && !event.shiftKey && !event.altKey;
      if (this.holds(u, v)) this.bench.click(this.axis, u, v, across, inside);
      return;
    }
    if (event.button === 2) this.drag = { kind: "window", from: this.scene.window, x: event.clientX, y: event.clientY };
    else if (event.button === 1 || (event.button === 0 && event.shiftKey && !painting)) {
      this.drag = { kind: "pan", x: event.clientX, y: event.clientY };
    } else if (event.button !== 0) return;
    else if (painting) {
      const erase = (tool === "erase") !== event.shiftKey;
      if (!this.editor.begin(this.axis, across, u, v, erase)) return;
      this.drag = { kind: "stroke" };
    } else {
      this.drag = { kind: "cross" };
      this.cross(u, v);
    }
    this.host.setPointerCapture(event.pointerId);
  }

  private move(event: PointerEvent): void {
    const { u, v, x, y } = this.under(event);
    this.pointer = { x, y };
    if (this.drag?.kind === "stroke") this.editor.move(u, v);
    else if (this.drag?.kind === "cross") this.cross(u, v);
    else if (this.drag?.kind === "pan") {
      this.viewport.pan(event.clientX - this.drag.x, event.clientY - this.drag.y);
      this.drag = { kind: "pan", x: event.clientX, y: event.clientY };
    } else if (this.drag?.kind === "window") {
      this.scene.window = dragged(this.drag.from, event.clientX - this.drag.x, event.clientY - this.drag.y);
    }
    const [column, row] = [Math.floor(u), Math.floor(v)];
    const voxel = voxelAt(this.axis, column, row, this.scene.at[ALONG[this.axis].k]);
    this.hooks.hover(this.holds(u, v) ? { axis: this.axis, u: column, v: row, voxel } : null);
    this.place();
  }

  private release(event: PointerEvent): void {
    if (this.drag?.kind === "stroke") this.editor.end();
    this.drag = null;
    if (this.host.hasPointerCapture(event.pointerId)) this.host.releasePointerCapture(event.pointerId);
  }

  private turn(event: WheelEvent): void {
    event.preventDefault();
    if (this.drag?.kind === "stroke") return; // a stroke stays on its plane
    const by = event.deltaY || event.deltaX; // with Shift, browsers turn the wheel sideways
    if (event.ctrlKey || event.metaKey) {
      const { x, y } = this.under(event);
      return this.zoom(Math.exp(-Math.max(-200, Math.min(200, by)) / 400), { x, y });
    }
    this.wheel += event.deltaMode === 0 ? by : by * NOTCH;
    if (Math.abs(this.wheel) < NOTCH) return;
    const steps = Math.sign(this.wheel) * (event.shiftKey ? 10 : 1);
    this.wheel = 0;
    const across = ALONG[this.axis].k;
    this.scene.move({ [across]: this.scene.at[across] + steps });
  }

  private cross(u: number, v: number): void {
    const along = ALONG[this.axis];
    this.scene.move({ [along.u]: u, [along.v]: v });
  }

  /** Tell whether a point is on the plane. */
  private holds(u: number, v: number): boolean {
    return u >= 0 && v >= 0 && u < this.width && v < this.height;
  }

  private under(event: MouseEvent): { u: number; v: number; x: number; y: number } {
    const box = this.host.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const spot = this.viewport.toPlane(x, y);
    return { u: spot.x, v: spot.y, x, y };
  }
}
