/**
 * How the planes of a volume lie in the patient, and how to show them: radiological convention, the patient's right at the left of
 * the screen, the head up. Directions are unit vectors in LPS: x to the patient's left, y to the back, z to the head.
 */
import { ALONG, AXES, type Axis } from "../mask/planes";

type Vector = readonly [number, number, number];

/** The directions of the volume along x, y and slice. */
export type Directions = readonly [x: Vector, y: Vector, z: Vector];

/** Say how to draw a plane: columns run down the screen if `turned`, and each of its two axes may run backwards. */
export interface Placing {
  /** What the plane is of the patient, whatever the axes of the array are called. */
  name: Axis;
  turned: boolean;
  /** Columns run to the left (or up, if turned). */
  flipU: boolean;
  /** Rows run up (or to the left, if turned). */
  flipV: boolean;
  /** Letters at the edges of the screen; empty where nothing is known of the patient. */
  letters: { left: string; right: string; top: string; bottom: string };
}

const SCREEN: Record<Axis, { right: Vector; down: Vector }> = {
  axial: { right: [1, 0, 0], down: [0, 1, 0] },
  coronal: { right: [1, 0, 0], down: [0, 0, -1] },
  sagittal: { right: [0, 1, 0], down: [0, 0, -1] },
};
const NORMAL: Record<Axis, number> = { axial: 2, coronal: 1, sagittal: 0 };
const LETTERS = ["LR", "PA", "HF"] as const;
const SLIGHT = 0.25; // a part of a direction that is not worth a letter: about 15 degrees off

/** Return the way to show each plane. */
export function placings(directions: Directions | null): Record<Axis, Placing> {
  const names = namesOf(directions);
  return Object.fromEntries(AXES.map((axis) => [axis, placing(axis, names[axis], directions)])) as Record<
    Axis,
    Placing
  >;
}

/** Return the letters that a direction points to, the strongest first: "L", or "AH" for an oblique one. */
export function letters(direction: Vector): string {
  return direction
    .map((part, i) => ({ size: Math.abs(part), letter: LETTERS[i]![part > 0 ? 0 : 1]! }))
    .filter(({ size }) => size > SLIGHT)
    .sort((a, b) => b.size - a.size)
    .map(({ letter }) => letter)
    .join("");
}

function placing(axis: Axis, name: Axis, directions: Directions | null): Placing {
  if (!directions) {
    const flipV = axis !== "axial"; // slices are mostly counted from the feet
    return { name, turned: false, flipU: false, flipV, letters: { left: "", right: "", top: "", bottom: "" } };
  }
  const index = { x: 0, y: 1, z: 2 };
  const u = directions[index[ALONG[axis].u]]!;
  const v = directions[index[ALONG[axis].v]]!;
  const { right, down } = SCREEN[name];
  const straight = Math.abs(dot(u, right)) + Math.abs(dot(v, down));
  const turned = straight < Math.abs(dot(u, down)) + Math.abs(dot(v, right));
  const flipU = dot(u, turned ? down : right) < 0;
  const flipV = dot(v, turned ? right : down) < 0;
  const columns = flipU ? opposite(u) : u;
  const rows = flipV ? opposite(v) : v;
  const [across, along] = turned ? [rows, columns] : [columns, rows];
  return {
    name,
    turned,
    flipU,
    flipV,
    letters: {
      left: letters(opposite(across)),
      right: letters(across),
      top: letters(opposite(along)),
      bottom: letters(along),
    },
  };
}

/** Name each plane by the patient's axis that crosses it most nearly, each name once. */
function namesOf(directions: Directions | null): Record<Axis, Axis> {
  let best = { axial: "axial", coronal: "coronal", sagittal: "sagittal" } as Record<Axis, Axis>;
  if (!directions) return best;
  const [a, b, c] = AXES;
  const across = { axial: directions[2], coronal: directions[1], sagittal: directions[0] };
  let most = -1;
  for (const order of [
    [a, b, c],
    [a, c, b],
    [b, a, c],
    [b, c, a],
    [c, a, b],
    [c, b, a],
  ] as const) {
    const fit = AXES.reduce((sum, axis, i) => sum + Math.abs(across[axis][NORMAL[order[i]!]]!), 0);
    if (fit <= most + 1e-9) continue;
    most = fit;
    best = { axial: order[0], coronal: order[1], sagittal: order[2] };
  }
  return best;
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function opposite([x, y, z]: Vector): Vector {
  return [-x, -y, -z];
}
