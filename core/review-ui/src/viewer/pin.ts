/** The pin that stands on a single point. What is known of it is told by its form, not by colour alone. */
import type { Look } from "./labels";

/** The head of a pin in CSS pixels: its radius, and how far its centre is above the tip. */
export const HEAD = { radius: 7, up: 17 };

const RIM = "#ffffff";
const EDGE = "rgba(0, 0, 0, 0.75)";

/** Draw a pin with its tip at (x, y): a full head for what is settled, a white one for what is open, with a sign for a doubt. */
export function drawPin(
  context: CanvasRenderingContext2D,
  [x, y]: readonly [number, number],
  color: string,
  look: Look,
  scale: number,
): void {
  const [r, up] = [HEAD.radius * scale, HEAD.up * scale];
  const path = new Path2D();
  path.moveTo(x, y);
  path.lineTo(x - r * 0.91, y - up + r * 0.42);
  path.arc(x, y - up, r, Math.PI - 0.43, 0.43);
  path.closePath();
  context.save();
  context.lineJoin = "round";
  context.setLineDash([]);
  context.strokeStyle = EDGE;
  context.lineWidth = 4 * scale;
  context.stroke(path);
  context.strokeStyle = RIM;
  context.lineWidth = 2 * scale;
  context.stroke(path);
  context.fillStyle = color;
  context.fill(path);
  const hollow = look === "open" || look === "unsure";
  context.beginPath();
  context.arc(x, y - up, r * (hollow ? 0.68 : 0.36), 0, 2 * Math.PI);
  context.fillStyle = RIM;
  if (look !== "wrong") context.fill();
  const sign = { open: "", settled: "", wrong: "×", unsure: "?" }[look];
  if (sign) {
    context.fillStyle = look === "wrong" ? RIM : "#111111";
    context.font = `700 ${10 * scale}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(sign, x, y - up);
  }
  context.restore();
}
