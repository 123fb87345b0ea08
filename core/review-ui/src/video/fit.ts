/** Move and stretch a label so that its bounds become a given box, and complete a label that a gesture changed. */
import type { LabelRow, SchemaInfo } from "../api/types";
import { sameValue, tidy } from "../work/labels";
import { asClass } from "../work/schema";
import type { Box, Change, Mark } from "./clip";

type Points = number[][];

/** Return a label stretched into `box`; a rotated box gets as near as its angle allows. Masks, tags and cuboids stay as they are. */
export function fitted(label: LabelRow, box: Box): LabelRow {
  const [x0, y0, x1, y1] = label.box;
  const sx = x1 > x0 ? (box[2] - box[0]) / (x1 - x0) : 1;
  const sy = y1 > y0 ? (box[3] - box[1]) / (y1 - y0) : 1;
  const move = (p: number[]) => [box[0] + (p[0]! - x0) * sx, box[1] + (p[1]! - y0) * sy, ...p.slice(2)];
  switch (label.kind) {
    case "box":
      return { ...label, box: [...box] };
    case "polygon":
      return { ...label, box: [...box], shape: (label.shape as Points[]).map((ring) => ring.map(move)) };
    case "polyline":
    case "keypoints":
      return { ...label, box: [...box], shape: (label.shape as Points).map(move) };
    case "rotated_box": {
      const [cx, cy, w, h, angle] = label.shape as [number, number, number, number, number];
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const centre = move([cx, cy]) as [number, number];
      const shape = [...centre, w * Math.hypot(cos * sx, sin * sy), h * Math.hypot(sin * sx, cos * sy), angle];
      return { ...label, box: around(shape), shape };
    }
    default:
      return label;
  }
}

/** Return a label after a change, which is a person's word: score 1, and no evidence of a model. */
export function changed(label: LabelRow, change: Change, schema: SchemaInfo): LabelRow {
  let after = label;
  if (change.box)
    after =
      change.shape === undefined ? fitted(after, change.box) : { ...after, box: [...change.box], shape: change.shape };
  if (change.class !== undefined) after = asClass(schema, after, schema.classes[change.class]!.name);
  if (change.attributes) {
    const attributes = { ...after.attributes, ...change.attributes };
    for (const [name, value] of Object.entries(attributes)) if (value === undefined) delete attributes[name];
    after = { ...after, attributes };
  }
  return tidy(change.track === undefined ? after : { ...after, track: change.track });
}

function around(shape: number[]): [number, number, number, number] {
  const [cx, cy, w, h, angle] = shape as [number, number, number, number, number];
  const x = (Math.abs(w * Math.cos(angle)) + Math.abs(h * Math.sin(angle))) / 2;
  const y = (Math.abs(w * Math.sin(angle)) + Math.abs(h * Math.cos(angle))) / 2;
  return [cx - x, cy - y, cx + x, cy + y];
}

/** Return a label as a mark says that it is now, itself if that is the same. */
export function current(label: LabelRow, mark: Mark, schema: SchemaInfo): LabelRow {
  const { box, shape, track, attributes = {} } = mark;
  const cls = schema.classes[mark.class]!.name;
  const moved = box.some((v, i) => v !== label.box[i]) || (shape !== undefined && !sameValue(shape, label.shape));
  const told = Object.entries(attributes).some(([name, value]) => !sameValue(value, label.attributes?.[name]));
  if (!moved && !told && track === (label.track ?? -1) && cls === label.class) return label;
  const change = {
    track,
    class: mark.class,
    attributes,
    ...(moved && { box }),
    ...(moved && shape !== undefined && { shape }),
  };
  return changed(label, change, schema);
}
