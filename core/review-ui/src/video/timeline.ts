/**
 * Paint the rows of tracks: bars where a track exists, filled where a person still has to answer and hollow where not; diamonds at
 * keyframes; a thin dashed line through gaps; how sure the model was below each bar; signs where a rule doubts the track.
 */
import type { Track } from "./tracks";

/** The frames shown: from the first to before the last; fractions while zooming. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface Look {
  readonly ink: string;
  readonly muted: string;
  readonly line: string;
  readonly panel: string;
  readonly warn: string;
  readonly selected: string;
  readonly partner: string;
  color(track: Track): string;
}

export interface Rows {
  readonly tracks: readonly Track[];
  /** The first row shown, with fractions, and how high a row is in CSS pixels. */
  readonly top: number;
  readonly height: number;
  readonly selected: number | null;
  readonly partner: number | null;
}

const LEAST_GAP = 5; // pixels between keyframes that are drawn
const BAR = 0.42; // of the height of a row
const FEWEST = 8; // frames shown at most zoom

/** Return where a frame begins, in pixels. */
export function xOf(frame: number, range: Range, width: number): number {
  return ((frame - range.from) / (range.to - range.from)) * width;
}

/** Return the frame under a pixel, within the clip. */
export function frameAt(x: number, range: Range, width: number, frames: number): number {
  const frame = Math.floor(range.from + (x / width) * (range.to - range.from));
  return Math.max(0, Math.min(frames - 1, frame));
}

/** Zoom by a factor around a frame; never beyond the clip. */
export function zoomed(range: Range, factor: number, around: number, frames: number): Range {
  const span = Math.min(frames, Math.max(Math.min(FEWEST, frames), (range.to - range.from) * factor));
  const share = (around - range.from) / (range.to - range.from);
  const from = Math.max(0, Math.min(frames - span, around - span * share));
  return { from, to: from + span };
}

/** Move a range so that it shows a frame, if it does not. */
export function follow(range: Range, frame: number, frames: number): Range {
  const span = range.to - range.from;
  if (frame >= range.from && frame + 1 <= range.to) return range;
  const from = Math.max(0, Math.min(frames - span, frame - span * 0.1));
  return { from, to: from + span };
}

/** Return frames at which to write a number, as round as fits `most` of them. */
export function ticks({ from, to }: Range, most: number): number[] {
  const rough = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const step = Math.max(1, power * ([1, 2, 5, 10].find((k) => k * power >= rough) ?? 10));
  const first = Math.ceil(from / step) * step;
  return Array.from({ length: Math.max(0, Math.ceil((to - first) / step)) }, (_, i) => first + i * step);
}

/** Paint the rows that are seen. The context is scaled to CSS pixels. */
export function paint(
  ctx: CanvasRenderingContext2D,
  width: number,
  height: number,
  rows: Rows,
  range: Range,
  look: Look,
): void {
  ctx.clearRect(0, 0, width, height);
  const first = Math.max(0, Math.floor(rows.top));
  const last = Math.min(rows.tracks.length, Math.ceil(rows.top + height / rows.height));
  for (let i = first; i < last; i++) {
    const track = rows.tracks[i]!;
    const y = (i - rows.top) * rows.height;
    const back = track.id === rows.selected ? look.selected : track.id === rows.partner ? look.partner : "";
    if (back) {
      ctx.fillStyle = back;
      ctx.fillRect(0, y, width, rows.height);
    }
    ctx.fillStyle = look.line;
    ctx.fillRect(0, y + rows.height - 1, width, 1);
    paintRow(ctx, width, y, rows.height, track, range, look);
  }
}

function paintRow(
  ctx: CanvasRenderingContext2D,
  width: number,
  y: number,
  height: number,
  track: Track,
  range: Range,
  look: Look,
): void {
  const color = look.color(track);
  const x = (frame: number) => xOf(frame, range, width);
  const [top, bar] = [y + height * 0.16, height * BAR];
  const middle = top + bar / 2;

  const [begin, end] = [x(track.runs[0]![0]), x(track.runs.at(-1)![1] + 1)];
  ctx.strokeStyle = look.muted;
  ctx.lineWidth = 1;
  ctx.setLineDash([2, 3]);
  line(ctx, Math.max(0, begin), middle, Math.min(width, end), middle);
  ctx.setLineDash([]);

  for (const [from, to] of track.runs) {
    const [x0, x1] = [Math.max(-9, x(from)), Math.min(width + 9, x(to + 1))];
    if (x1 < 0 || x0 > width) continue;
    ctx.fillStyle = look.panel;
    ctx.fillRect(x0, top, Math.max(1.5, x1 - x0), bar);
    ctx.strokeStyle = color;
    ctx.strokeRect(x0 + 0.5, top + 0.5, Math.max(1, x1 - x0 - 1), bar - 1);
  }
  ctx.fillStyle = color;
  for (const [from, to] of openRuns(track)) {
    const [x0, x1] = [Math.max(0, x(from)), Math.min(width, x(to + 1))];
    if (x1 > x0) ctx.fillRect(x0, top, Math.max(1.5, x1 - x0), bar);
  }
  paintScores(ctx, width, y + height * 0.66, height * 0.26, track, range, look);
  paintKeyframes(ctx, width, middle, bar * 0.38, track, range, look);
  for (const { frame, last, open } of track.suspects) {
    const [from, to] = [x(frame + 0.5), x(last + 0.5)];
    if (to < -9 || from > width + 9) continue;
    ctx.strokeStyle = look.warn;
    ctx.lineWidth = 2;
    if (last > frame) line(ctx, from, y + 1.5, to, y + 1.5);
    sign(ctx, from, top - 1, open, look);
  }
}

/** Return the stretches of frames in which a track is open. */
export function openRuns(track: Track): [number, number][] {
  const runs: [number, number][] = [];
  for (const { frame, mark } of track.spots) {
    if (!mark.open) continue;
    const last = runs.at(-1);
    if (last && last[1] === frame - 1) last[1] = frame;
    else runs.push([frame, frame]);
  }
  return runs;
}

// The lowest score of each pixel, so that one doubtful frame among thousands is seen.
function paintScores(
  ctx: CanvasRenderingContext2D,
  width: number,
  y: number,
  height: number,
  track: Track,
  range: Range,
  look: Look,
): void {
  ctx.strokeStyle = look.muted;
  ctx.lineWidth = 1;
  ctx.beginPath();
  let [column, low, before] = [NaN, 1, NaN];
  const put = () => {
    if (Number.isNaN(column)) return;
    const at = y + (1 - low) * height;
    if (column - before > step + 1) ctx.moveTo(column, at);
    else ctx.lineTo(column, at);
    before = column;
  };
  const step = width / (range.to - range.from);
  before = -Infinity;
  for (const { frame, mark } of track.spots) {
    const here = Math.round(xOf(frame + 0.5, range, width));
    if (here < -step || here > width + step) continue;
    if (here !== column) {
      put();
      [column, low] = [here, 1];
    }
    low = Math.min(low, mark.score);
  }
  put();
  ctx.stroke();
}

function paintKeyframes(
  ctx: CanvasRenderingContext2D,
  width: number,
  y: number,
  size: number,
  track: Track,
  range: Range,
  look: Look,
): void {
  ctx.fillStyle = look.panel;
  ctx.strokeStyle = look.ink;
  ctx.lineWidth = 1;
  // Where most boxes are keyframes, as of a tracker, diamonds would say nothing but where somebody set one by hand.
  const dense = track.keyframes.length > track.spots.length / 2;
  const hand = new Set(dense ? track.spots.filter((spot) => spot.mark.hand).map((spot) => spot.frame) : []);
  let last = -Infinity;
  for (const frame of track.keyframes) {
    const x = xOf(frame + 0.5, range, width);
    if (x < -size || x > width + size || x - last < LEAST_GAP || (dense && !hand.has(frame))) continue;
    last = x;
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
}

// A triangle: filled while a person has to answer, hollow after that.
function sign(ctx: CanvasRenderingContext2D, x: number, y: number, open: boolean, look: Look): void {
  ctx.beginPath();
  ctx.moveTo(x - 5, y - 3);
  ctx.lineTo(x + 5, y - 3);
  ctx.lineTo(x, y + 6);
  ctx.closePath();
  ctx.fillStyle = open ? look.warn : look.panel;
  ctx.strokeStyle = open ? look.ink : look.warn;
  ctx.lineWidth = 1;
  ctx.fill();
  ctx.stroke();
}

function line(ctx: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}
