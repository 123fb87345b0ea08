import { describe, expect, test } from "vitest";
import { ALONG, AXES, type Axis } from "../mask/planes";
import { depth, place, world } from "./measure";
import { type Directions, letters, type Placing, placings } from "./orientation";

const STANDARD: Directions = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];

function turn(directions: Directions, degrees: number, about: 0 | 1 | 2): Directions {
  const angle = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [i, j] = [(about + 1) % 3, (about + 2) % 3];
  return directions.map((vector) => {
    const out = [...vector];
    [out[i], out[j]] = [vector[i]! * cos - vector[j]! * sin, vector[i]! * sin + vector[j]! * cos];
    return out;
  }) as unknown as Directions;
}

/** Return the patient's direction towards the right and the bottom of the screen, worked out the long way round. */
function onScreen(axis: Axis, placing: Placing, directions: Directions): { right: number[]; down: number[] } {
  const index = { x: 0, y: 1, z: 2 };
  const u = directions[index[ALONG[axis].u]]!.map((part) => (placing.flipU ? -part : part));
  const v = directions[index[ALONG[axis].v]]!.map((part) => (placing.flipV ? -part : part));
  return placing.turned ? { right: v, down: u } : { right: u, down: v };
}

function edges(placing: Placing): string {
  const { left, right, top, bottom } = placing.letters;
  return [left, right, top, bottom].join(" ");
}

describe("letters", () => {
  test("of a volume from feet to head", () => {
    const shown = placings(STANDARD);
    expect(edges(shown.axial)).toBe("R L A P");
    expect(edges(shown.coronal)).toBe("R L H F");
    expect(edges(shown.sagittal)).toBe("A P H F");
    expect(shown.axial).toMatchObject({ name: "axial", turned: false, flipU: false, flipV: false });
    expect(shown.coronal).toMatchObject({ flipU: false, flipV: true });
    expect(shown.sagittal).toMatchObject({ flipU: false, flipV: true });
  });

  test("of a volume from head to feet: nothing turns over on the screen", () => {
    const shown = placings([STANDARD[0], STANDARD[1], [0, 0, -1]]);
    expect(edges(shown.coronal)).toBe("R L H F");
    expect(shown.coronal.flipV).toBe(false);
  });

  test("of a patient lying on the face, scanned with rows and columns reversed", () => {
    const shown = placings([
      [-1, 0, 0],
      [0, -1, 0],
      [0, 0, 1],
    ]);
    expect(edges(shown.axial)).toBe("R L A P");
    expect(shown.axial).toMatchObject({ flipU: true, flipV: true });
  });

  test("of a series acquired in sagittal slices, its planes named by what they show", () => {
    const shown = placings([
      [0, 1, 0],
      [0, 0, -1],
      [-1, 0, 0],
    ]);
    expect([shown.axial.name, shown.coronal.name, shown.sagittal.name]).toEqual(["sagittal", "axial", "coronal"]);
    expect(edges(shown.axial)).toBe("A P H F");
    expect(edges(shown.coronal)).toBe("R L A P");
    expect(shown.coronal.turned).toBe(true);
    expect(edges(shown.sagittal)).toBe("R L H F");
  });

  test("of an oblique volume name the second direction too", () => {
    const shown = placings(turn(STANDARD, 30, 0));
    expect(edges(shown.axial)).toBe("R L AF PH");
    expect(edges(shown.coronal)).toBe("R L HA FP");
  });

  test("of a slightly oblique one do not", () => {
    expect(edges(placings(turn(STANDARD, 8, 0)).axial)).toBe("R L A P");
  });

  test("unknown", () => {
    const shown = placings(null);
    expect(AXES.map((axis) => edges(shown[axis]).trim())).toEqual(["", "", ""]);
    expect(shown.coronal.name).toBe("coronal");
  });
});

const flips = [1, -1].flatMap((x) => [1, -1].flatMap((y) => [1, -1].map((z) => [x, y, z] as const)));
const orders = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;
const volumes = orders.flatMap((order) =>
  flips.flatMap((flip) =>
    [0, 20].map((tilt) => {
      const straight = order.map((axis, i) =>
        [0, 1, 2].map((j) => (j === axis ? flip[i]! : 0)),
      ) as unknown as Directions;
      return [`${order.join("")} ${flip.join(",")} tilted ${tilt}`, turn(turn(straight, tilt, 1), tilt, 2)] as const;
    }),
  ),
);

test.each(volumes)("%s is shown the radiological way, with letters where its axes point", (_, directions) => {
  const shown = placings(directions);
  expect(new Set(AXES.map((axis) => shown[axis].name)).size).toBe(3);
  for (const axis of AXES) {
    const { right, down } = onScreen(axis, shown[axis], directions);
    const placed = shown[axis];
    expect(placed.letters.right[0]).toBe(placed.name === "sagittal" ? "P" : "L");
    expect(placed.letters.left[0]).toBe(placed.name === "sagittal" ? "A" : "R");
    expect(placed.letters.top[0]).toBe(placed.name === "axial" ? "A" : "H");
    expect(placed.letters.right).toBe(letters(right as [number, number, number]));
    expect(placed.letters.bottom).toBe(letters(down as [number, number, number]));
  }
});

describe("measures", () => {
  const frame = {
    kind: "patient",
    reference: "1.2.3",
    affine: [
      [0.7, 0, 0, -100],
      [0, 0.7, 0, -80],
      [0, 0, 5, 12],
      [0, 0, 0, 1],
    ],
  };

  test("a voxel's centre in the patient, as hyla.frame.PatientFrame has it", () => {
    const point = world(frame, { x: 10, y: 200, z: 4 })!;
    expect(point.map((mm) => +mm.toFixed(6))).toEqual([-93, 60, 32]);
    expect(place(point)).toBe("R 93.0 P 60.0 H 32.0 mm");
    expect(place([0, -1.25, -3])).toBe("L 0.0 A 1.3 F 3.0 mm");
  });

  test("the depth of a plane", () => {
    expect(depth("axial", "axial", { x: 0, y: 0, z: 4 }, frame, null)).toBeCloseTo(32);
    expect(depth("sagittal", "sagittal", { x: 3, y: 0, z: 0 }, { kind: "pixel" }, [5, 0.8, 0.7])).toBeCloseTo(2.1);
    expect(depth("axial", "axial", { x: 0, y: 0, z: 4 }, { kind: "pixel" }, null)).toBeNull();
  });
});
