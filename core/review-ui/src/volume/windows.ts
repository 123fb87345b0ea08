/** Windows: which values of a volume run from black to white. */

/** Hold the value at the middle of the greys and how many values they span. */
export interface Window {
  center: number;
  width: number;
}

/** The usual windows of CT, in Hounsfield units, and one found from the values (width 0 stands for that). */
export const PRESETS: readonly (Window & { name: string })[] = [
  { name: "Soft tissue", center: 40, width: 400 },
  { name: "Lung", center: -600, width: 1500 },
  { name: "Bone", center: 400, width: 1800 },
  { name: "Brain", center: 40, width: 80 },
  { name: "Liver", center: 30, width: 150 },
  { name: "Auto", center: 0, width: 0 },
];

/**
 * Return the preset of key `digit` (1 to 7); those of CT are only for Hounsfield units. The last is the one that came with the
 * volume: of its file, if that has one.
 */
export function preset(
  digit: number,
  { unit, window }: { unit: string; window: readonly [number, number] },
): (Window & { name: string }) | undefined {
  if (digit === PRESETS.length + 1) return { name: "As stored", center: window[0], width: window[1] };
  const found = PRESETS[digit - 1];
  return found && (unit === "HU" || found.width === 0) ? found : undefined;
}

/** Return the grey (0 to 255) of each of the 65,536 values, at its bits read as unsigned (DICOM PS3.3 C.11.2.1.2.1, linear). */
export function greys({ center, width }: Window): Uint8Array {
  const table = new Uint8Array(65536);
  const span = Math.max(width, 2) - 1;
  for (let value = -32768; value < 32768; value++) {
    const share = (value - (center - 0.5)) / span + 0.5;
    table[value & 0xffff] = share <= 0 ? 0 : share >= 1 ? 255 : Math.round(share * 255);
  }
  return table;
}

/** Return the window from the 1st to the 99th percentile of values. */
export function auto(values: Int16Array): Window {
  const histogram = new Uint32Array(65536);
  for (const value of values) histogram[value + 32768]!++;
  const at = (share: number): number => {
    let left = share * values.length;
    for (let i = 0; i < histogram.length; i++) if ((left -= histogram[i]!) <= 0) return i - 32768;
    return 32767;
  };
  const [low, high] = [at(0.01), at(0.99)];
  return { center: (low + high) / 2, width: Math.max(2, high - low) };
}

/** Return a window after a drag by `dx`, `dy` pixels of the screen: to the right is wider, down is brighter. */
export function dragged(from: Window, dx: number, dy: number): Window {
  const step = Math.max(1, from.width / 400);
  return { center: Math.round(from.center - dy * step), width: Math.max(2, Math.round(from.width + dx * step)) };
}
