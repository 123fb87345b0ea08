/** How labels are drawn. What is to be told is told by line, not by colour alone: dashes, dots, width, handles. */
import type Feature from "ol/Feature.js";
import type OlGeometry from "ol/geom/Geometry.js";
import CircleStyle from "ol/style/Circle.js";
import Fill from "ol/style/Fill.js";
import RegularShape from "ol/style/RegularShape.js";
import Stroke from "ol/style/Stroke.js";
import Style from "ol/style/Style.js";
import Text from "ol/style/Text.js";
import type { Look } from "./labels";
import { drawPin, HEAD } from "./pin";

/** `picked`: selected, or just being drawn. `hovered`: under the cursor. */
export type Emphasis = "passive" | "hovered" | "picked";

const DASHES: Record<Look, number[] | undefined> = {
  open: [7, 4],
  wrong: [2.5, 3.5],
  unsure: [10, 4, 1.5, 4],
  settled: undefined,
};
const WIDTHS: Record<Emphasis, number> = { passive: 1.5, hovered: 2.5, picked: 3 };
const RED = "#ff2d2d";
const DARK = "rgba(0, 0, 0, 0.65)";
const WHITE = "#ffffff";
const FONT = "600 12px system-ui, sans-serif";
const LONGEST = 60;

const cache = new Map<string, Style[]>();

/** How much of the picture the area of a shape covers, 0 to 1; a polygon that nobody asks about is nearly clear. */
export function fillOf(kind: string, open: boolean): number {
  return kind === "mask" ? 0.38 : kind === "polygon" ? (open ? 0.18 : 0.06) : 0;
}

/** Return the styles of a label. The same ones are given for the same arguments. */
export function labelStyles(color: string, look: Look, emphasis: Emphasis, fill: number): Style[] {
  const id = `${color} ${look} ${emphasis} ${fill}`;
  let styles = cache.get(id);
  if (!styles) cache.set(id, (styles = build(color, look, emphasis, fill)));
  return styles;
}

/** Return the style of a caption next to a point. */
export function captionStyle(text: string, color: string): Style {
  return new Style({
    text: new Text({
      text: shortened(text),
      font: FONT,
      textAlign: "left",
      textBaseline: "bottom",
      offsetX: 2,
      offsetY: -6,
      fill: new Fill({ color: WHITE }),
      backgroundFill: new Fill({ color: "rgba(0, 0, 0, 0.8)" }),
      backgroundStroke: new Stroke({ color, width: 1.5 }),
      padding: [3, 5, 2, 5],
      overflow: true,
    }),
    zIndex: 5,
  });
}

export const HANDLE = [squareStyle(4.5, WHITE, "#111111", 1.5)];
export const ACTIVE_HANDLE = [squareStyle(6.5, "#ffd400", "#111111", 2)];
export const KNOB_STYLE = [dotStyle(5.5, WHITE, "#111111", 1.5)];
export const GHOST = [dotStyle(4, "rgba(255, 255, 255, 0.6)", "#111111", 1)];
export const CROSS = [crossStyle(14, 4, "#111111"), crossStyle(14, 1.8, WHITE)];
export const STEM = [line(DARK, 3), line(WHITE, 1.2)];
export const CIRCLE = [line(DARK, 3), line(WHITE, 1.4)];
export const ERASER = [line(DARK, 3), line(WHITE, 1.4, [5, 4])];

/** Return the styles of a label that is too small on the screen to show its shape. */
export function speckStyles(color: string, look: Look, emphasis: Emphasis): Style[] {
  const id = `${color} ${look} ${emphasis} speck`;
  let styles = cache.get(id);
  if (!styles) {
    const ink = look === "wrong" ? RED : color;
    const rim = emphasis === "passive" ? 1.5 : 3;
    styles = [part("spot", dotStyle(3, look === "settled" ? ink : "rgba(0, 0, 0, 0.15)", ink, rim))];
    cache.set(id, styles);
  }
  return styles;
}

/** Return the styles of a single point: a pin, whose tip is the point, with a name beside its head. */
export function pinStyles(color: string, look: Look, emphasis: Emphasis, name: string): Style[] {
  const id = `${color} ${look} ${emphasis} pin ${name}`;
  let styles = cache.get(id);
  if (!styles) {
    const ink = look === "wrong" ? RED : color;
    const renderer = (at: unknown, state: { context: CanvasRenderingContext2D; pixelRatio: number }): void =>
      drawPin(state.context, at as [number, number], ink, look, state.pixelRatio * (emphasis === "passive" ? 1 : 1.2));
    styles = [part("tip", new Style({ renderer: renderer as never, zIndex: 3 })), part("tip", nameStyle(name))];
    cache.set(id, styles);
  }
  return styles;
}

function nameStyle(name: string): Style {
  return new Style({
    text: new Text({
      text: shortened(name),
      font: FONT,
      textAlign: "left",
      offsetX: HEAD.radius + 4,
      offsetY: -HEAD.up,
      fill: new Fill({ color: WHITE }),
      stroke: new Stroke({ color: DARK, width: 3.5 }),
      overflow: true,
    }),
    zIndex: 4,
  });
}

function shortened(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}

function build(color: string, look: Look, emphasis: Emphasis, fill: number): Style[] {
  const width = WIDTHS[emphasis] + (look === "wrong" ? 1 : 0);
  const ink = look === "wrong" ? RED : color;
  const loud = emphasis !== "passive";
  const styles: Style[] = [];
  if (fill) styles.push(part("area", new Style({ renderer: evenOdd(translucent(color, fill)) })));
  if (loud) {
    styles.push(part("area", line(DARK, width + 2.5)), part("line", line(DARK, width + 2.5)));
    styles.push(part("area", line(ink, width, DASHES[look])), part("line", line(ink, width, DASHES[look])));
  } else {
    styles.push(part("area", line(ink, width, DASHES[look])), part("line", line(ink, width, DASHES[look])));
  }
  const size = loud ? 4.5 : 3.5;
  styles.push(part("dots", dotStyle(size, ink, loud ? WHITE : DARK, loud ? 1.5 : 1)));
  styles.push(part("rims", dotStyle(size, "rgba(0, 0, 0, 0.15)", ink, 2)));
  return styles;
}

/** Draw one part of a feature; see `reshape`. */
function part(name: string, style: Style): Style {
  style.setGeometry((feature) => (feature as Feature).get(name) as OlGeometry | undefined);
  return style;
}

function line(color: string, width: number, lineDash?: number[]): Style {
  const lineCap = "butt";
  return new Style({ stroke: new Stroke({ color, width, lineCap, lineJoin: "bevel", ...(lineDash && { lineDash }) }) });
}

/** Fill rings by the even-odd rule, as Hyla reads them; OpenLayers would fill a shape that crosses itself by another. */
function evenOdd(color: string): (rings: unknown, state: { context: CanvasRenderingContext2D }) => void {
  return (rings, { context }) => {
    context.beginPath();
    for (const ring of rings as number[][][]) {
      ring.forEach(([x, y], i) => (i ? context.lineTo(x!, y!) : context.moveTo(x!, y!)));
      context.closePath();
    }
    context.fillStyle = color;
    context.fill("evenodd");
  };
}

function dotStyle(radius: number, fill: string, stroke: string, width: number): Style {
  return new Style({
    image: new CircleStyle({
      declutterMode: "none",
      radius,
      fill: new Fill({ color: fill }),
      stroke: new Stroke({ color: stroke, width }),
    }),
  });
}

function squareStyle(radius: number, fill: string, stroke: string, width: number): Style {
  return new Style({
    image: new RegularShape({
      points: 4,
      radius: radius * Math.SQRT2,
      angle: Math.PI / 4,
      fill: new Fill({ color: fill }),
      stroke: new Stroke({ color: stroke, width }),
    }),
    zIndex: 2,
  });
}

function crossStyle(radius: number, width: number, color: string): Style {
  return new Style({
    image: new RegularShape({ points: 4, radius, radius2: 0, angle: 0, stroke: new Stroke({ color, width }) }),
    zIndex: 4,
  });
}

/** `color` is #rrggbb. */
function translucent(color: string, alpha: number): string {
  const [r, g, b] = [1, 3, 5].map((i) => Number.parseInt(color.slice(i, i + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}
