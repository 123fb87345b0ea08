/** What a shape looks like as lines, points and areas, in image pixels; and as an OpenLayers feature. */
import Feature from "ol/Feature.js";
import type OlGeometry from "ol/geom/Geometry.js";
import { douglasPeucker } from "ol/geom/flat/simplify.js";
import MultiLineString from "ol/geom/MultiLineString.js";
import MultiPoint from "ol/geom/MultiPoint.js";
import OlPoint from "ol/geom/Point.js";
import Polygon from "ol/geom/Polygon.js";
import type { SchemaInfo } from "../api/types";
import { wireframe } from "../cuboid/project";
import { bitmapOf, outlines } from "./bitmap";
import { flip, flipAll } from "./flip";
import { bounds, HIDDEN, VISIBLE } from "./geometry";
import { corners } from "./rotated";
import type { Box, Geometry, Keypoint, Matrix3, Point } from "./types";

/** A shape as it is drawn and hit: areas (even-odd) with their outline, open lines, points seen and points hidden. */
export interface Drawing {
  rings: readonly (readonly Point[])[];
  lines: readonly (readonly Point[])[];
  seen: readonly Point[];
  hidden: readonly Point[];
  /** It is a single point, which is drawn as a pin. */
  pin?: boolean;
  /** The box around all of it. */
  box: Box;
}

/** What is needed besides the label: the bones between keypoints, by index, and the camera. */
export interface Setting {
  bones: readonly (readonly [number, number])[];
  intrinsics: Matrix3 | null;
}

const NOTHING: Drawing = { rings: [], lines: [], seen: [], hidden: [], box: [0, 0, 0, 0] };

/** Return what to draw for a shape; nothing for a tag, and for a mask whose runs are broken. */
export function drawingOf(g: Geometry, { bones, intrinsics }: Setting): Drawing {
  switch (g.kind) {
    case "tag":
      return NOTHING;
    case "box":
      return { ...NOTHING, rings: [boxRing(g.box)], box: g.box };
    case "rotated_box":
      return around({ rings: [corners(g.shape)] });
    case "polygon":
      return around({ rings: g.shape });
    case "polyline":
      return around({ lines: [g.shape] });
    case "keypoints":
      return keypoints(g.shape, bones);
    case "mask":
      try {
        return around({ rings: outlines(bitmapOf(g.shape)) });
      } catch (error) {
        if (error instanceof RangeError) return NOTHING;
        throw error;
      }
    case "cuboid": {
      const lines = intrinsics
        ? wireframe(
            g.shape,
            intrinsics.map((row) => [...row]),
          )
        : [];
      if (lines.length)
        return around({
          lines: lines.map(([a, b, c, d]): Point[] => [
            [a, b],
            [c, d],
          ]),
        });
      return g.box[2] > g.box[0] ? { ...NOTHING, rings: [boxRing(g.box)], box: g.box } : NOTHING;
    }
  }
}

/** Return how many points a drawing has. */
export function pointsOf({ rings, lines, seen, hidden }: Drawing): number {
  return [...rings, ...lines].reduce((sum, path) => sum + path.length, seen.length + hidden.length);
}

/** Return the bones of a class as pairs of indices. */
export function bonesOf(schema: SchemaInfo, name: string): [number, number][] {
  const found = schema.classes.find((one) => one.name === name);
  const index = new Map(found?.keypoints.map((point, i) => [point, i]));
  return (found?.skeleton ?? []).flatMap(([a, b]): [number, number][] => {
    const [i, j] = [index.get(a), index.get(b)];
    return i === undefined || j === undefined ? [] : [[i, j]];
  });
}

/** Return the features of a drawing: one for areas, lines and points seen and hidden each, where there are any. */
export function featureOf(drawing: Drawing): Feature {
  const feature = new Feature<OlGeometry>();
  reshape(feature, drawing);
  return feature;
}

const SPECK = 4; // pixels of the screen, below which a shape is a spot

/** Say whether a shape is too small to be seen at this many image pixels per pixel of the screen. */
export function isSpot({ box, seen, hidden }: Drawing, resolution: number): boolean {
  const points = seen.length + hidden.length > 0;
  return !points && Math.max(box[2] - box[0], box[3] - box[1]) < SPECK * resolution;
}

const DENSE = 100; // points of an area, from which it is worth leaving some out

/** Leave out the points of a dense area that are not seen at this many image pixels per pixel of the screen. */
export function thin(feature: Feature, { rings }: Drawing, resolution: number): void {
  const level = Math.floor(Math.log2(resolution));
  if (feature.get("level") === level) return;
  if (rings.reduce((sum, ring) => sum + ring.length, 0) < DENSE) return;
  const tolerance = 2 ** level / 2;
  const thinned = rings.map((ring) => simplified(closed(flipAll(ring)), tolerance));
  const seen = thinned.filter((ring, i) => ring.length > 3 || i === 0);
  feature.setProperties({ level, area: new Polygon(seen) }, true);
}

/** Give a feature another drawing. Its geometry is the largest part; the others are properties, see `parts`. */
export function reshape(feature: Feature, { rings, lines, seen, hidden, pin, box }: Drawing): void {
  const area = rings.length ? new Polygon(rings.map((ring) => closed(flipAll(ring)))) : undefined;
  const line = lines.length ? new MultiLineString(lines.map(flipAll)) : undefined;
  const dots = seen.length ? new MultiPoint(flipAll(seen)) : undefined;
  const rims = hidden.length ? new MultiPoint(flipAll(hidden)) : undefined;
  const all = seen.length || hidden.length ? new MultiPoint(flipAll([...seen, ...hidden])) : undefined;
  const tip = pin && all ? new OlPoint(all.getFirstCoordinate()) : undefined;
  const spot = new OlPoint(flip([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]));
  feature.setProperties({ area, line, dots, rims, tip, spot, level: undefined }, true);
  // The geometry itself says where the feature is. Points bound their bones, so they stand for both.
  feature.setGeometry(area ?? all ?? line);
}

function simplified(ring: readonly Point[], tolerance: number): Point[] {
  const kept: number[] = new Array<number>(ring.length * 2);
  const length = douglasPeucker(ring.flat(), 0, ring.length * 2, 2, tolerance * tolerance, kept, 0);
  return Array.from({ length: length / 2 }, (_, i) => [kept[2 * i]!, kept[2 * i + 1]!]);
}

function boxRing([x0, y0, x1, y1]: Box): Point[] {
  return [
    [x0, y0],
    [x1, y0],
    [x1, y1],
    [x0, y1],
  ];
}

function keypoints(points: readonly Keypoint[], bones: Setting["bones"]): Drawing {
  const at = ([x, y]: Keypoint): Point => [x, y];
  const lines = bones
    .map(([i, j]) => [points[i], points[j]] as const)
    .filter((bone): bone is [Keypoint, Keypoint] => Boolean(bone[0]?.[2] && bone[1]?.[2]))
    .map(([a, b]) => [at(a), at(b)]);
  const seen = points.filter((p) => p[2] >= VISIBLE).map(at);
  const hidden = points.filter((p) => p[2] === HIDDEN).map(at);
  return around({ lines, seen, hidden, pin: points.length === 1 });
}

function around(parts: Partial<Drawing>): Drawing {
  const all = { ...NOTHING, ...parts };
  return { ...all, box: bounds([...all.rings, ...all.lines, all.seen, all.hidden].flat()) };
}

function closed(ring: Point[]): Point[] {
  return ring.length ? [...ring, ring[0]!] : ring;
}
