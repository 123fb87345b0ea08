/** Pointer events of the map, handed to the tool that is in use; what the tool does not take moves the view. */
import Interaction from "ol/interaction/Interaction.js";
import type MapBrowserEvent from "ol/MapBrowserEvent.js";
import { flip } from "./flip";
import type { Pointer, ToolInHand } from "./world";

const DOUBLE_MS = 350;
const DOUBLE_PX = 6;

export class Hand extends Interaction {
  /** A drag that the tool took is under way. */
  busy = false;
  #still = true;
  /** The click that follows belongs to a press that the tool took. */
  #taken = false;
  #clicked = { x: 0, y: 0, at: -Infinity };

  /** `ongesture`: a drag that the tool takes begins or ends. */
  constructor(
    readonly tool: () => ToolInHand,
    readonly ongesture: (on: boolean) => void,
  ) {
    super();
  }

  /** Forget the drag that is under way. */
  release(): void {
    if (!this.busy) return;
    this.busy = false;
    this.ongesture(false);
  }

  override handleEvent(event: MapBrowserEvent): boolean {
    const from = event.originalEvent as PointerEvent | undefined;
    if (!from || !("pointerId" in from)) return true;
    const tool = this.tool();
    const at: Pointer = { p: flip(event.coordinate), shift: from.shiftKey, alt: from.altKey };
    switch (event.type) {
      case "pointerdown":
        this.#taken = false;
        if (this.busy && !from.isPrimary) {
          tool.cancel(); // a second finger: they zoom
          this.release();
        }
        if (from.button !== 0 || !from.isPrimary || from.ctrlKey || !tool.down(at)) return true;
        this.busy = this.#still = this.#taken = true;
        this.ongesture(true);
        return false;
      case "pointerdrag":
        if (!this.busy) return true;
        this.#still = false;
        tool.drag(at);
        return false;
      case "pointerup":
        if (!this.busy) return true;
        if (from.type === "pointercancel") tool.cancel();
        else tool.up(at, this.#still);
        this.release();
        return false;
      case "click":
        if (!this.#taken) tool.click(at);
        if (this.#isDouble(from)) tool.double(at);
        return true;
      case "pointermove":
        if (!this.busy && !event.dragging) tool.hover(at);
        return true;
      default:
        return true;
    }
  }

  /** Say whether this click follows another on the same place: OpenLayers asks for the time only. */
  #isDouble({ clientX: x, clientY: y, timeStamp: at }: PointerEvent): boolean {
    const last = this.#clicked;
    const double = at - last.at < DOUBLE_MS && Math.hypot(x - last.x, y - last.y) < DOUBLE_PX;
    this.#clicked = { x, y, at: double ? -Infinity : at };
    return double;
  }
}
