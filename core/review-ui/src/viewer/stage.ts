/** The map of OpenLayers as a picture: its layers, what part of it is in view, and the way from image pixels to the page. */
import "ol/ol.css";
import "./viewer.css";
import DragPan from "ol/interaction/DragPan.js";
import type Interaction from "ol/interaction/Interaction.js";
import MouseWheelZoom from "ol/interaction/MouseWheelZoom.js";
import PinchZoom from "ol/interaction/PinchZoom.js";
import type Layer from "ol/layer/Layer.js";
import type TileLayer from "ol/layer/Tile.js";
import OlMap from "ol/Map.js";
import View from "ol/View.js";
import type { Media } from "../api/types";
import { CLASS, type CanvasLayer, imageLayer, projectionOf, stretchFilter, tileLayer } from "./base";
import { extentOf, flip, flipBox } from "./flip";
import { inside } from "./geometry";
import { Over } from "./over";
import type { Box, Point, ShowOptions, Size } from "./types";

const EDGE = 12; // CSS pixels around the whole image
const CLICK = 3; // CSS pixels that a press may move and still be a click
const CLOSEST = 1 / 64; // image pixels per CSS pixel
const CLOSEST_FIT = 1 / 16;
const FLIGHT_MS = 250;

export class Stage {
  readonly element = document.createElement("div");
  size: Size = { width: 1, height: 1 };
  /** What lies over the picture. */
  readonly over: Over;
  readonly #still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  #map: OlMap;
  #base: CanvasLayer;
  #tiles: { layer: TileLayer; id: string } | null = null;
  #image: ImageBitmap | null = null;
  #toFit = false;
  #whole = ""; // the view that shows all of the image, as long as nobody changed it
  #stretched = false;

  /** `onview`: another part of the image is in view, or at another scale. */
  constructor(
    target: HTMLElement,
    hand: Interaction,
    layers: Layer[],
    readonly onview: () => void,
  ) {
    this.element.className = "viewer";
    target.append(this.element);
    this.#base = imageLayer(() => ({ image: this.#image, size: this.size, tiled: this.#tiles !== null }));
    const buttons = (event: unknown): boolean =>
      [0, 1].includes((event as { originalEvent: PointerEvent }).originalEvent.button);
    this.#map = new OlMap({
      target: this.element,
      controls: [],
      interactions: [
        new DragPan({ condition: buttons }),
        new PinchZoom({ duration: 0 }),
        new MouseWheelZoom({ duration: this.#still ? 0 : 120, maxDelta: 2 }),
        hand,
      ],
      layers: [this.#base, ...layers],
      moveTolerance: CLICK,
    });
    this.over = new Over(this.#map);
    this.#map.on("change:size", () => (this.#toFit || this.#whole === this.#here) && this.fit());
    // The middle button moves the view and must not start the browser's own scrolling.
    this.element.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault());
  }

  /** Image pixels per CSS pixel. */
  get scale(): number {
    return this.#map.getView().getResolution() ?? 1;
  }

  /** Show another picture; return whether it is of another size, so that the view begins anew. */
  show(media: Pick<Media, "tiles">, size: Size, image: ImageBitmap | null, options: ShowOptions): boolean {
    const other = size.width !== this.size.width || size.height !== this.size.height;
    this.#image = image;
    this.size = size;
    const id = media.tiles ? JSON.stringify([media.tiles, size, options.bands, options.stretch]) : "";
    if (id !== (this.#tiles?.id ?? "")) {
      if (this.#tiles) this.#map.removeLayer(this.#tiles.layer);
      this.#tiles = media.tiles ? { layer: tileLayer(media.tiles, size, options), id } : null;
      if (this.#tiles) this.#map.getLayers().insertAt(1, this.#tiles.layer);
    }
    if (other || !this.#map.getView().isDef()) {
      const view = new View({
        projection: projectionOf(size),
        extent: extentOf(size),
        constrainOnlyCenter: true,
        smoothExtentConstraint: false,
        smoothResolutionConstraint: false,
        enableRotation: false,
        minResolution: CLOSEST,
        maxResolution: Math.max(size.width, size.height) / 64,
        center: flip([size.width / 2, size.height / 2]),
        resolution: Math.max(size.width, size.height) / 1000,
      });
      view.on(["change:resolution", "change:center"], this.onview);
      this.#map.setView(view);
      this.fit();
    }
    this.#base.changed();
    if (this.#stretched) this.#map.once("rendercomplete", () => this.contrast(this.#stretched));
    return other;
  }

  /** Show all of the image; as soon as the element has a size, if it has none yet. */
  fit(): void {
    this.#toFit = !this.#look([0, 0, this.size.width, this.size.height], EDGE, CLOSEST);
    this.#whole = this.#here;
  }

  /** Show a part of the image; with `fly`, in a moving view, unless the person wants none. */
  fitBox(box: Box, fly = false): void {
    this.#look(box, 0, CLOSEST_FIT, fly && !this.#still ? FLIGHT_MS : 0);
  }

  zoom(factor: number): void {
    this.#map.getView().adjustResolution(1 / factor);
  }

  /** Move the view by CSS pixels. */
  pan(dx: number, dy: number): void {
    const { centre } = this.view();
    this.#map.getView().setCenter(flip([centre[0] + dx * this.scale, centre[1] + dy * this.scale]));
  }

  view(): { centre: Point; width: number; height: number } {
    const [width, height] = (this.#map.getSize() ?? [0, 0]) as [number, number];
    const centre = flip(this.#map.getView().getCenter() ?? [0, 0]);
    return { centre, width: width * this.scale, height: height * this.scale };
  }

  /** Bring an image point into view, if it is not. */
  reveal(p: Point): void {
    const { centre, width, height } = this.view();
    const seen = Math.abs(p[0] - centre[0]) < width * 0.48 && Math.abs(p[1] - centre[1]) < height * 0.48;
    if (!seen && width) this.#map.getView().setCenter(flip(inside(p, this.size)));
  }

  /** While a gesture is under way, bitmaps are not drawn anew. */
  gesture(on: boolean): void {
    const view = this.#map.getView();
    if (on) view.beginInteraction();
    else if (view.getInteracting()) view.endInteraction();
  }

  /** Stretch the contrast of the picture, or show it as it is. */
  contrast(on: boolean): void {
    this.#stretched = on;
    const layers = [...this.element.querySelectorAll<HTMLElement>(`.${CLASS}`)];
    const canvas = layers.at(-1)?.querySelector("canvas");
    const filter = on && canvas ? stretchFilter(canvas) : "none";
    for (const layer of layers) layer.style.filter = filter;
  }

  /** Return where an image point is on the page, in CSS pixels. */
  pixelOf(p: Point): Point {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const { centre } = this.view();
    return [left + width / 2 + (p[0] - centre[0]) / this.scale, top + height / 2 + (p[1] - centre[1]) / this.scale];
  }

  /** Return the image point at a place of the page. */
  pointAt([x, y]: Point): Point {
    const { left, top, width, height } = this.element.getBoundingClientRect();
    const { centre } = this.view();
    return [centre[0] + (x - left - width / 2) * this.scale, centre[1] + (y - top - height / 2) * this.scale];
  }

  destroy(): void {
    this.#map.setTarget(undefined);
    this.#map.dispose();
    this.element.remove();
  }

  get #here(): string {
    return `${this.#map.getView().getCenter()?.join()} ${this.scale}`;
  }

  #look(box: Box, edge: number, minResolution: number, duration = 0): boolean {
    const size = this.#map.getSize();
    if (!size?.[0] || !size[1]) return false;
    this.#map.getView().fit(flipBox(box), { size, padding: [edge, edge, edge, edge], minResolution, duration });
    return true;
  }
}
