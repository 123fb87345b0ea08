/** The small layer on top: the label under the hand, what the bitmap below does not show yet, and what the tool draws. */
import Feature from "ol/Feature.js";
import LineString from "ol/geom/LineString.js";
import MultiPoint from "ol/geom/MultiPoint.js";
import OlPoint from "ol/geom/Point.js";
import VectorLayer from "ol/layer/Vector.js";
import VectorSource from "ol/source/Vector.js";
import type Style from "ol/style/Style.js";
import { flip, flipAll } from "./flip";
import type { Look } from "./labels";
import { type Drawing, featureOf, isSpot } from "./shapes";
import * as styles from "./styles";
import type { Point } from "./types";
import type { Mark, World } from "./world";

type InView = ReturnType<World["view"]>;

/** A label on the live layer. */
export interface LiveShape {
  drawing: Drawing;
  color: string;
  look: Look;
  emphasis: styles.Emphasis;
  fill: number;
  caption: string;
}

// CSS pixels around, across and down that a caption needs
const MARGIN = 6;
const ROOM = 90;
const LINE = 22;
const ROUND = 48; // corners of the brush's circle

export class Live {
  readonly layer: VectorLayer<VectorSource>;
  #source = new VectorSource({ useSpatialIndex: false, wrapX: false });

  constructor() {
    this.layer = new VectorLayer({
      className: "viewer-live",
      source: this.#source,
      updateWhileAnimating: true,
      updateWhileInteracting: true,
      renderOrder: null as never, // as they come: the last is on top
    });
  }

  get size(): number {
    return this.#source.getFeatures().length;
  }

  /** Show these and nothing else; captions stay in `view`. `scale`: image pixels per CSS pixel. */
  paint(shapes: readonly LiveShape[], marks: readonly Mark[], view: InView, scale: number): void {
    this.#source.clear(true);
    const features = shapes.flatMap((shape) => shapeFeatures(shape, view, scale));
    this.#source.addFeatures([...features, ...marks.flatMap(markFeatures)]);
    this.#source.changed();
  }
}

function shapeFeatures(shape: LiveShape, view: InView, scale: number): Feature[] {
  const { drawing, color, look, emphasis, fill, caption } = shape;
  const feature = featureOf(drawing);
  feature.setStyle((_, resolution) =>
    drawing.pin
      ? styles.pinStyles(color, look, emphasis, caption)
      : isSpot(drawing, resolution)
        ? styles.speckStyles(color, look, emphasis)
        : styles.labelStyles(color, look, emphasis, fill),
  );
  if (!caption || drawing.pin) return [feature];
  const text = new Feature(new OlPoint(flip(captionPlace(drawing, view, scale))));
  text.setStyle(styles.captionStyle(caption, color));
  return [feature, text];
}

function markFeatures(mark: Mark): Feature[] {
  switch (mark.type) {
    case "sketch":
      return []; // drawn as a shape, in the colour of its class
    case "handles": {
      const { points, active, knob, stem } = mark;
      return [
        ...(knob && stem ? [styled(new LineString(flipAll([stem, knob])), styles.STEM)] : []),
        styled(new MultiPoint(flipAll(points)), styles.HANDLE),
        ...(knob ? [styled(new OlPoint(flip(knob)), styles.KNOB_STYLE)] : []),
        ...(active ? [styled(new OlPoint(flip(active)), styles.ACTIVE_HANDLE)] : []),
      ];
    }
    case "ghost":
      return [styled(new OlPoint(flip(mark.at)), styles.GHOST)];
    case "cross":
      return [styled(new OlPoint(flip(mark.at)), styles.CROSS)];
    case "circle":
      return [
        styled(new LineString(flipAll(circle(mark.at, mark.radius))), mark.erase ? styles.ERASER : styles.CIRCLE),
      ];
  }
}

function styled(geometry: LineString | MultiPoint | OlPoint, style: Style[]): Feature {
  const feature = new Feature<LineString | MultiPoint | OlPoint>(geometry);
  feature.setStyle(style);
  return feature;
}

/** Where a caption goes: to the left end of the top, or to the edge of the view if that is outside. */
function captionPlace(drawing: Drawing, { centre, width, height }: InView, scale: number): Point {
  const [x, y] = highest(drawing);
  const { box } = drawing;
  const [left, top] = [centre[0] - width / 2, centre[1] - height / 2];
  const seen = box[2] > left && box[0] < left + width && box[3] > top && box[1] < top + height;
  if (!seen) return [x, y];
  return [
    Math.min(Math.max(x, left + MARGIN * scale), left + width - ROOM * scale),
    Math.max(y, top + (MARGIN + LINE) * scale),
  ];
}

/** The left end of the top. */
function highest({ rings, lines, seen, hidden, box }: Drawing): Point {
  const upright = rings.length === 1 && rings[0]!.length === 4;
  if (upright) return [...rings[0]!].sort((a, b) => a[1] - b[1] || a[0] - b[0])[0]!;
  const all = [...rings.flat(), ...lines.flat(), ...seen, ...hidden];
  return all.reduce((best, p) => (p[1] < best[1] ? p : best), all[0] ?? [box[0], box[1]]);
}

function circle([x, y]: Point, radius: number): Point[] {
  return Array.from({ length: ROUND + 1 }, (_, i): Point => {
    const angle = (2 * Math.PI * i) / ROUND;
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  });
}
