/** Coordinates and lengths on a map, from the frame of an item; see `hyla.frame.MapFrame`. */

export interface MapFrame {
  /** x = a * column + b * row + c, y = d * column + e * row + f. */
  transform: readonly [number, number, number, number, number, number];
  crs: string;
}

type Unit = "metre" | "degree" | "";

const METRES_PER_DEGREE = 111_320; // of the equator, and within 0.6 % of a meridian
const NUMBER = /^EPSG:(\d+)$/i;

/** Return the frame of a map, or null for any other item. */
export function mapFrame(frame: Record<string, unknown>): MapFrame | null {
  const { kind, transform, crs } = frame;
  if (kind !== "map" || !Array.isArray(transform) || transform.length !== 6) return null;
  return { transform: transform as unknown as MapFrame["transform"], crs: String(crs ?? "") };
}

/** Return where a pixel is in the map's own coordinates. */
export function toMap({ transform: [a, b, c, d, e, f] }: MapFrame, x: number, y: number): [number, number] {
  return [a * x + b * y + c, d * x + e * y + f];
}

/** Return which pixel lies at a place in the map's own coordinates; null for a frame that can't say. */
export function toPixel({ transform: [a, b, c, d, e, f] }: MapFrame, x: number, y: number): [number, number] | null {
  const whole = a * e - b * d;
  if (!whole) return null;
  const [dx, dy] = [x - c, y - f];
  return [(e * dx - b * dy) / whole, (a * dy - d * dx) / whole];
}

/** Tell what the map's coordinates count; empty where that is not known for sure. */
export function unitOf(crs: string): Unit {
  const code = Number(NUMBER.exec(crs)?.[1] ?? NaN);
  if (code >= 4000 && code < 5000) return "degree"; // EPSG keeps geographic systems there
  if ((code > 32600 && code < 32661) || (code > 32700 && code < 32761) || (code > 25827 && code < 25839))
    return "metre"; // UTM
  if ([2056, 2154, 3003, 3004, 3006, 3035, 3067, 21781, 27700, 28992, 31370, 31466, 31467, 31468, 31469].includes(code))
    return "metre"; // national grids of Europe
  if (/^GEOG(CS|CRS)\[/i.test(crs.trim())) return "degree";
  if (!/^(PROJCS|PROJCRS)\[/i.test(crs.trim())) return "";
  // The last unit of a projected system is that of its axes.
  const units = [...crs.matchAll(/(?:LENGTHUNIT|UNIT)\["([^"]+)",\s*([\d.eE+-]+)/gi)].filter(
    (one) => !/degree|radian/i.test(one[1]!),
  );
  const last = units.at(-1);
  return last && Number(last[2]) === 1 ? "metre" : "";
}

/** Return how many metres a pixel is wide about (x, y), along rows; null where that is not known. */
export function metresPerPixel(frame: MapFrame, x: number, y: number): number | null {
  const [a, , , d] = frame.transform;
  const unit = unitOf(frame.crs);
  if (unit === "metre") return Math.hypot(a, d);
  if (unit !== "degree") return null;
  const [, latitude] = toMap(frame, x, y);
  if (Math.abs(latitude) > 90) return null;
  return Math.hypot(a * Math.cos((latitude * Math.PI) / 180), d) * METRES_PER_DEGREE;
}

/** Return the area of a pixel in square metres where the map is projected in metres, else null. */
export function pixelArea(frame: MapFrame | null): number | null {
  if (!frame || unitOf(frame.crs) !== "metre") return null;
  const [a, b, , d, e] = frame.transform;
  return Math.abs(a * e - b * d);
}

/** Return the longest round length (1, 2 or 5 times a power of ten) that is no longer than `most`. */
export function roundLength(most: number): number {
  if (!(most > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((n) => n * power).find((length) => length <= most * (1 + 1e-9))!;
}

/** Write a longitude or latitude for people: 13.405000° E. */
export function degreesText(value: number, positive: string, negative: string): string {
  return `${Math.abs(value).toFixed(6)}° ${value < 0 ? negative : positive}`;
}

/** Write a length in metres for people. */
export function lengthText(metres: number): string {
  if (metres >= 1000) return `${+(metres / 1000).toPrecision(3)} km`;
  return metres >= 1 ? `${+metres.toPrecision(3)} m` : `${+(metres * 100).toPrecision(3)} cm`;
}
