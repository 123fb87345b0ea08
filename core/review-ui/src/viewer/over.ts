/** Tiles that lie over the picture: the same place at another date, all of it or what is left of a divider. */
import type TileLayer from "ol/layer/Tile.js";
import type OlMap from "ol/Map.js";
import { getRenderPixel } from "ol/render.js";
import type RenderEvent from "ol/render/Event.js";
import type { Tiles } from "../api/types";
import { tileLayer } from "./base";
import { flip } from "./flip";
import type { Point, ShowOptions, Size } from "./types";

const PLACE = 2; // among the layers: over the picture and its tiles, under all labels

export class Over {
  #shown: { layer: TileLayer; id: string } | null = null;
  #share = 0;
  #size: Size = { width: 0, height: 0 };

  constructor(readonly map: OlMap) {}

  /** Show these tiles, or none. Those that come into view are fetched, also while no part of them is seen. */
  show(tiles: Tiles | null, size: Size, options: ShowOptions): void {
    const id = tiles ? JSON.stringify([tiles, size, options.bands, options.stretch]) : "";
    if (id === (this.#shown?.id ?? "")) return;
    if (this.#shown) this.map.removeLayer(this.#shown.layer);
    this.#size = size;
    this.#shown = tiles ? { layer: tileLayer(tiles, size, options), id } : null;
    if (!this.#shown) return;
    const { layer } = this.#shown;
    layer.on("prerender", (event) => this.#cut(event));
    layer.on("postrender", ({ context }) => (context as CanvasRenderingContext2D).restore());
    const layers = this.map.getLayers();
    layers.insertAt(Math.min(PLACE, layers.getLength()), layer);
  }

  /** Show what is left of a divider, at this share of the width of the view. */
  part(share: number): void {
    if (share === this.#share) return;
    this.#share = share;
    this.map.render();
  }

  // What was not fetched yet is grey, since the other date below would be taken for it.
  #cut(event: RenderEvent): void {
    const context = event.context as CanvasRenderingContext2D;
    const [width = 0, height = 0] = this.map.getSize() ?? [];
    const picture = [flip([0, 0]), flip([this.#size.width, this.#size.height])];
    const [near, far] = picture.map((corner) => this.map.getPixelFromCoordinate(corner) ?? [0, 0]) as [Point, Point];
    context.save();
    outline(context, event, [0, 0], [width * this.#share, height]);
    context.clip();
    context.fillStyle = "#808080";
    outline(context, event, near, far);
    context.fill();
  }
}

/** Make a rectangle the path of a canvas; its corners are in CSS pixels of the map. */
function outline(context: CanvasRenderingContext2D, event: RenderEvent, [x0, y0]: Point, [x1, y1]: Point): void {
  context.beginPath();
  for (const corner of [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ]) {
    const [x, y] = getRenderPixel(event, corner);
    context.lineTo(x!, y!);
  }
  context.closePath();
}
