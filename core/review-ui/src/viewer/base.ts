/** The picture below the labels: an ImageBitmap drawn as it is, or tiles fetched as they come into view. */
import Layer from "ol/layer/Layer.js";
import TileLayer from "ol/layer/Tile.js";
import type { FrameState } from "ol/Map.js";
import Projection from "ol/proj/Projection.js";
import TileImage from "ol/source/TileImage.js";
import TileGrid from "ol/tilegrid/TileGrid.js";
import ViewHint from "ol/ViewHint.js";
import type { Tiles } from "../api/types";
import { extentOf, flip } from "./flip";
import type { ShowOptions, Size } from "./types";

const TILE = 256;
const MAGNIFIED = 4; // from here on pixels are shown as squares
export const CLASS = "viewer-base";

/** Draws things in image coordinates on a canvas of its own; `paint` gets a context in which a unit is an image pixel. */
export class CanvasLayer extends Layer {
  readonly element = document.createElement("div");
  readonly #canvas = document.createElement("canvas");
  readonly #context: CanvasRenderingContext2D;
  #painted = "";

  constructor(
    className: string,
    readonly paint: (context: CanvasRenderingContext2D, scale: number, settled: boolean) => void,
  ) {
    super({});
    this.element.className = className;
    Object.assign(this.element.style, { position: "absolute", inset: "0", pointerEvents: "none" });
    Object.assign(this.#canvas.style, { position: "absolute", inset: "0", width: "100%", height: "100%" });
    this.element.append(this.#canvas);
    this.#context = this.#canvas.getContext("2d")!;
  }

  override render(frame: FrameState | null): HTMLElement {
    if (!frame) return this.element;
    const { size, pixelRatio, viewState, viewHints } = frame;
    const [width, height] = size.map((n) => Math.round(n * pixelRatio)) as [number, number];
    const scale = pixelRatio / viewState.resolution;
    const [x, y] = flip(viewState.center);
    const settled = !viewHints[ViewHint.ANIMATING] && !viewHints[ViewHint.INTERACTING];
    // The map is drawn anew whenever the live layer changes, while this one seldom does.
    const state = [width, height, scale, x, y, settled, this.getRevision()].join();
    if (state === this.#painted) return this.element;
    this.#painted = state;
    const canvas = this.#canvas;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(scale, 0, 0, scale, width / 2 - x * scale, height / 2 - y * scale);
    this.paint(context, scale, settled);
    return this.element;
  }
}

/** Return the layer of a bitmap that stands for an image of `size`, be it as large or a smaller copy. */
export function imageLayer(what: () => { image: ImageBitmap | null; size: Size; tiled: boolean }): CanvasLayer {
  return new CanvasLayer(CLASS, (context, scale, settled) => {
    const { image: bitmap, size, tiled } = what();
    const { width, height } = size;
    if (!bitmap?.width) {
      if (tiled) return;
      context.fillStyle = "#777777"; // a picture that is not there (a bitmap that was closed has no width)
      context.fillRect(0, 0, width, height);
      return;
    }
    const larger = (scale * width) / bitmap.width;
    context.imageSmoothingEnabled = larger <= MAGNIFIED;
    context.imageSmoothingQuality = settled && larger < 0.6 ? "medium" : "low";
    context.drawImage(bitmap, 0, 0, width, height);
  });
}

/** Return the layer of a pyramid of tiles. */
export function tileLayer(tiles: Tiles, size: Size, options: ShowOptions): TileLayer<TileImage> {
  const extent = extentOf(size);
  const source = new TileImage({
    projection: projectionOf(size),
    tileGrid: new TileGrid({
      extent,
      origin: [extent[0], extent[3]],
      tileSize: TILE,
      resolutions: Array.from({ length: tiles.levels }, (_, z) => 2 ** (tiles.levels - 1 - z)),
    }),
    tileUrlFunction: ([z, x, y]) => tileUrl(tiles.url, z!, x!, y!, options),
    transition: 0,
    wrapX: false,
  });
  const layer = new TileLayer({ className: CLASS, source, extent, preload: 2 });
  layer.on("prerender", ({ context, frameState }) => {
    const larger = frameState ? frameState.pixelRatio / frameState.viewState.resolution : 1;
    if (context && "imageSmoothingEnabled" in context) context.imageSmoothingEnabled = larger <= MAGNIFIED;
  });
  return layer;
}

/** Return the address of a tile. */
export function tileUrl(url: string, z: number, x: number, y: number, { bands, stretch }: ShowOptions): string {
  const place = url.replace("{z}", String(z)).replace("{x}", String(x)).replace("{y}", String(y));
  const query = [
    bands?.length ? `bands=${bands.join(",")}` : "",
    stretch ? `stretch=${encodeURIComponent(stretch)}` : "",
  ];
  const given = query.filter(Boolean).join("&");
  return given ? `${place}${place.includes("?") ? "&" : "?"}${given}` : place;
}

export function projectionOf(size: Size): Projection {
  return new Projection({ code: "image", units: "pixels", extent: extentOf(size) });
}

/** Return the CSS filter that stretches what a canvas shows from its 2nd to its 98th percentile; "none" if there is nothing. */
export function stretchFilter(canvas: HTMLCanvasElement): string {
  const small = document.createElement("canvas");
  [small.width, small.height] = [96, 96];
  const context = small.getContext("2d", { willReadFrequently: true });
  if (!context || !canvas.width || !canvas.height) return "none";
  context.drawImage(canvas, 0, 0, small.width, small.height);
  const { data } = context.getImageData(0, 0, small.width, small.height);
  const grey: number[] = [];
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] === 255) grey.push((data[i]! + data[i + 1]! + data[i + 2]!) / 765);
  }
  return grey.length ? filterOf(grey) : "none";
}

/** Return the CSS filter that maps the 2nd and 98th percentile of `grey` (0 to 1) to black and white. */
export function filterOf(grey: readonly number[]): string {
  const sorted = [...grey].sort((a, b) => a - b);
  const [low, high] = [0.02, 0.98].map((share) => sorted[Math.round(share * (sorted.length - 1))]!) as [number, number];
  // contrast(c) is c v + (1 - c) / 2, after brightness(b), b v; together they must be (v - low) / (high - low).
  const gain = 1 / Math.max(high - low, 0.02);
  const contrast = 1 + 2 * low * gain;
  return `brightness(${(gain / contrast).toFixed(4)}) contrast(${contrast.toFixed(4)})`;
}
