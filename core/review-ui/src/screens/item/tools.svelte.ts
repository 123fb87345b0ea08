/** The tool in hand, and the class that it draws. */
import type { SchemaInfo } from "../../api/types";
import { app } from "../../app.svelte";
import type { Command } from "../../keys";
import type { Geometry, Tool, ToolState, Viewer } from "../../viewer/viewer";
import type { Flow } from "../../work/flow";
import { classesFor, kindOf } from "../../work/schema";
import type { Key } from "../../work/work";

export interface ToolInfo {
  tool: Tool;
  command: Command;
  text: string;
}

export const TOOLS: readonly ToolInfo[] = [
  { tool: "box", command: "box", text: "Box" },
  { tool: "rotated_box", command: "rotatedBox", text: "Rotated box" },
  { tool: "polygon", command: "polygon", text: "Polygon" },
  { tool: "polyline", command: "polyline", text: "Line" },
  { tool: "keypoints", command: "keypoints", text: "Keypoints" },
  { tool: "point", command: "point", text: "Point" },
  { tool: "mask", command: "mask", text: "Brush" },
];

/** The class drawn last, by kind of geometry; it is kept from item to item. */
const last = new Map<string, string>();

export class Tools {
  state = $state.raw<ToolState | null>(null);
  /** The chooser of classes is open. */
  choosing = $state(false);
  /** Only classes that may have this kind are offered; null: those of the selected label, or all. */
  kind = $state<string | null>(null);
  /** Class to draw, by kind. */
  #drawn = $state.raw(new Map(last));
  #viewer: Viewer | null = null;
  readonly offered: readonly ToolInfo[];

  constructor(readonly schema: SchemaInfo) {
    this.offered = TOOLS.filter(({ tool }) => classesFor(schema, tool).length > 0);
  }

  attach(viewer: Viewer): () => void {
    this.#viewer = viewer;
    return viewer.on("tool", (state) => {
      this.state = state;
      if (state.tool === "select") this.kind = null;
    });
  }

  /** The tool in hand draws. */
  get drawing(): boolean {
    return this.state !== null && this.state.tool !== "select";
  }

  /** The class that a new label of this kind gets. */
  classOf(kind: string): string {
    const allowed = classesFor(this.schema, kind);
    return allowed.find((one) => one.name === this.#drawn.get(kind))?.name ?? allowed[0]?.name ?? "";
  }

  take(tool: Tool): void {
    if (tool === "select") return this.#viewer?.tool("select");
    if (!classesFor(this.schema, tool).length)
      return app.announce(`No class here is drawn as ${tool.replace("_", " ")}.`);
    this.kind = tool;
    this.#viewer?.tool(tool, { class: this.classOf(tool) });
  }

  /** Add what was drawn as a label, and let the person name it where that is not clear. */
  drawn(flow: Flow, { kind, box, shape }: Pick<Geometry, "kind" | "box" | "shape">): Key {
    const drawn = kindOf({ kind, shape });
    const key = flow.work.add({ class: this.classOf(drawn), kind, box, shape });
    flow.select(key);
    if (!this.#drawn.has(drawn) && classesFor(this.schema, drawn).length > 1) this.ask(drawn);
    return key;
  }

  ask(kind: string | null): void {
    this.kind = kind;
    this.choosing = true;
  }

  /** Use a class for the next labels of a kind. */
  use(kind: string, name: string): void {
    last.set(kind, name);
    this.#drawn = new Map(last);
    const tool = this.state?.tool;
    if (tool === kind) this.#viewer?.tool(tool, { class: name });
  }
}
