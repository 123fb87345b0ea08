/** Which tool is in hand, with what options. */
import { classColor } from "../colors";
import { BrushTool } from "./brushing";
import { DrawTool } from "./draw";
import type { Labels } from "./labels";
import type { Overlay } from "./overlay";
import { SelectTool } from "./select";
import type { Key, Tool, ToolOptions } from "./types";
import type { ToolInHand, World } from "./world";

export class Tools {
  name: Tool = "select";
  options: ToolOptions = { class: "" };
  current: ToolInHand;
  #select: SelectTool;

  constructor(
    readonly world: World,
    readonly labels: Labels,
    readonly overlay: Overlay,
  ) {
    this.current = this.#select = new SelectTool(world);
  }

  /** The mask that the brush shows itself. */
  get painted(): Key | null {
    return this.current instanceof BrushTool ? this.current.painted : null;
  }

  /** Names of the keypoints of the class that is drawn, or of the label that is selected. */
  get keypoints(): readonly string[] {
    const drawing = this.name !== "select";
    if (drawing && this.options.keypoints) return this.options.keypoints;
    const name = this.#className(drawing ? null : this.world.selected);
    return this.labels.schema.classes.find((one) => one.name === name)?.keypoints ?? [];
  }

  /** Take a tool, or the same one with other options: what is being drawn goes on, if it can. */
  use(name: Tool, options?: ToolOptions): void {
    const other = options !== undefined && options.class !== this.options.class;
    if (options) this.options = options;
    if (options?.brush) this.world.brush = options.brush;
    if (name !== this.name || (other && name === "keypoints")) this.take(name);
    else if (other && this.current instanceof BrushTool) this.current.repaint();
  }

  /** Take a tool anew. */
  take(name: Tool): void {
    this.current.drop();
    this.overlay.clear();
    this.name = name;
    this.current = name === "select" ? this.#select : name === "mask" ? this.#brush() : new DrawTool(this.world, name);
    this.current.sync();
  }

  #brush(): BrushTool {
    const brush: BrushTool = new BrushTool(this.world, (area) =>
      this.overlay.paint(brush.bitmap, area, classColor(this.labels.schema, this.#className(brush.painted))),
    );
    return brush;
  }

  #className(key: Key | null): string {
    return (key === null ? undefined : this.labels.get(key)?.entry.label.class) ?? this.options.class;
  }
}
