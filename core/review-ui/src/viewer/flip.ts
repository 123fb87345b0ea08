/**
 * The one place where y is turned over.
 *
 * Images count y downwards from the top edge, OpenLayers upwards. The top-left corner of the image is the origin of both, so that
 * the image lies below the x axis of the map, and turning over is the same in both directions and needs no size.
 */
import type { Box, Point, Size } from "./types";

/** Return the map coordinate of an image point, or the image point of a map coordinate. */
export function flip(point: readonly number[]): Point {
  return [point[0]!, 0 - point[1]!];
}

/** Return map coordinates of image points, or the reverse. */
export function flipAll(points: readonly (readonly number[])[]): Point[] {
  return points.map(flip);
}

/** Return the map extent (min x, min y, max x, max y) of an image box, or the reverse. */
export function flipBox(box: readonly number[]): Box {
  return [box[0]!, 0 - box[3]!, box[2]!, 0 - box[1]!];
}

/** Return the map extent of a whole image. */
export function extentOf(size: Size): Box {
  return flipBox([0, 0, size.width, size.height]);
}
