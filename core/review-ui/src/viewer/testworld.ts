/** A world for tests of the tools: labels in a Map, a view of 1 image pixel per CSS pixel, and a record of what happened. */
import type { LabelRow } from "../api/types";
import { geometryOf, inside, withGeometry } from "./geometry";
import { hits } from "./hit";
import { drawingOf } from "./shapes";
import type { Entry, Geometry, Key, Point } from "./types";
import type { Pointer, Press, ToolInHand, World } from "./world";

export interface Fake extends World {
  scale: number;
  selected: Key | null;
  keypoints: string[];
  entries: Map<Key, Entry>;
  drawn: Geometry[];
  edits: { key: Key; geometry: Geometry; step: number }[];
  left: number;
  tool: ToolInHand | null;
  /** What to do with a shape that was drawn: by default nothing. */
  ondraw: (g: Geometry) => void;
}

export function fakeWorld(labels: Partial<LabelRow>[] = []): Fake {
  const row = (label: Partial<LabelRow>): LabelRow => ({ class: "a", kind: "box", box: [0, 0, 0, 0], ...label });
  const world: Fake = {
    size: { width: 400, height: 300 },
    scale: 1,
    selected: null,
    keypoints: ["nose", "left_eye", "right_eye"],
    brush: 5,
    entries: new Map(labels.map((label, i) => [i + 1, { key: i + 1, open: false, label: row(label) }])),
    drawn: [],
    edits: [],
    left: 0,
    tool: null,
    ondraw: () => {},
    view: () => ({ centre: [200, 150], width: 400, height: 300 }),
    entry: (key) => world.entries.get(key),
    at: (p) =>
      [...world.entries.values()]
        .map((entry) => ({
          entry,
          hit: hits(drawingOf(geometryOf(entry.label), { bones: [], intrinsics: null }), p, 6),
        }))
        .filter(({ hit }) => hit)
        .sort((a, b) => a.hit!.area - b.hit!.area)
        .map(({ entry }) => entry.key),
    snap: (p) => inside(p, world.size),
    select: (key) => {
      world.selected = key;
      world.tool?.sync();
    },
    edit: (key, geometry, step) => {
      world.edits.push({ key, geometry, step });
      const entry = world.entries.get(key)!;
      world.entries.set(key, { ...entry, label: withGeometry(entry.label, geometry) });
      world.tool?.sync();
    },
    draw: (geometry) => {
      world.drawn.push(geometry);
      world.ondraw(geometry);
    },
    leave: () => {
      world.left++;
    },
    reveal: () => {},
    changed: () => {},
  };
  return world;
}

const at = (p: Point, more: Partial<Pointer> = {}): Pointer => ({ p, shift: false, alt: false, ...more });

/** Click as the map does: what the tool does not take as a press is a click. */
export function click(tool: ToolInHand, p: Point, more: Partial<Pointer> = {}): void {
  tool.hover(at(p, more));
  if (tool.down(at(p, more))) tool.up(at(p, more), true);
  else tool.click(at(p, more));
}

export function drag(tool: ToolInHand, path: Point[], more: Partial<Pointer> = {}): boolean {
  const taken = tool.down(at(path[0]!, more));
  if (!taken) return false;
  for (const p of path.slice(1)) tool.drag(at(p, more));
  tool.up(at(path[path.length - 1]!, more), false);
  return true;
}

/** Press keys as "Ctrl+ArrowUp"; return what the last one came to. */
export function press(tool: ToolInHand, ...keys: string[]): boolean {
  return keys.reduce((_, combination) => {
    const parts = combination.toLowerCase().split("+");
    const one: Press = {
      key: parts[parts.length - 1]!,
      shift: parts.includes("shift"),
      alt: parts.includes("alt"),
      ctrl: parts.includes("ctrl"),
    };
    return tool.key(one);
  }, false);
}
