/** What goes in and out of the viewer. Geometry is in image pixels, y down, as in `hyla.types`; nothing outside knows of OpenLayers. */
import type { LabelRow } from "../api/types";

export type Key = number;
export type Point = [number, number];
export type Box = [number, number, number, number];
export type RotatedBox = [number, number, number, number, number];
export type Keypoint = [number, number, number];
export type Rle = { size: number[]; counts: string };
export type Matrix3 = readonly (readonly number[])[];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A label to show; the entries of `Work` fit. `mark`: what was answered about a label that was open. */
export interface Entry {
  readonly key: Key;
  readonly label: LabelRow;
  readonly open: boolean;
  readonly mark?: "accepted" | "wrong" | "unsure" | null;
}

/** A shape as the wire has it; `shape` is null for a box and a tag. */
export type Geometry =
  | { kind: "tag"; box: Box; shape: null }
  | { kind: "box"; box: Box; shape: null }
  | { kind: "rotated_box"; box: Box; shape: RotatedBox }
  | { kind: "polygon"; box: Box; shape: Point[][] }
  | { kind: "polyline"; box: Box; shape: Point[] }
  | { kind: "keypoints"; box: Box; shape: Keypoint[] }
  | { kind: "mask"; box: Box; shape: Rle }
  | { kind: "cuboid"; box: Box; shape: number[] };

/** `point` draws keypoints that are a single one. */
export type Tool = "select" | "box" | "rotated_box" | "polygon" | "polyline" | "keypoints" | "point" | "mask";

/** `class`: what is drawn, for its colour. `keypoints`: names in order, if not the schema's. `brush`: radius in image pixels. */
export interface ToolOptions {
  class: string;
  keypoints?: string[];
  brush?: number;
}

/** `intrinsics`: camera matrix (3 x 3, pixels), to draw cuboids; `bands`, `stretch`: what tiles are asked for. */
export interface ShowOptions {
  intrinsics?: Matrix3 | null;
  bands?: number[];
  stretch?: string;
}

/** What the tool is doing: `hint` says in plain words what the next click or key does. */
export interface ToolState {
  tool: Tool;
  class: string;
  brush: number;
  snapping: boolean;
  drawing: boolean;
  hint: string;
}

/**
 * select: the person chose a label, or none.
 * draw: a shape is done. Add a label for it and call `select(key)` inside the handler, so that the brush goes on with that mask.
 * edit: a gesture on a label is done. Edits with the same `step` are one gesture (arrow keys in a row) and may be one step of undo.
 * pointer: image coordinates under the cursor, once a frame; null when it left.
 * tool: the tool or what it does changed, by itself too (Escape goes back to select).
 */
export interface ViewerEvents {
  select: { key: Key | null };
  draw: Geometry;
  edit: Geometry & { key: Key; step: number };
  pointer: Point | null;
  tool: ToolState;
}
