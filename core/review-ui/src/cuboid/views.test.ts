import fc from "fast-check";
import { expect, it } from "vitest";
import { axes, centre, newCuboid, turned, yaw, type Vec } from "./project";
import { dragged, flat, handles, solid, VIEWS, type Spot } from "./views";

const real = (min: number, max: number) => fc.double({ min, max, noNaN: true });
const turn = real(-3, 3);
const spot = fc.tuple(real(-3, 3), real(-3, 3));
const origin: Vec = [1, 2, 3];
const start = newCuboid(null, [100, 100]);

it("goes from space to a view and back", () => {
  fc.assert(
    fc.property(fc.constantFrom(...VIEWS), spot, (view, by) => {
      const [x, y] = flat(solid(by, view), view, [0, 0, 0]);
      expect([x, y]).toEqual(by.map((v) => expect.closeTo(v, 12)));
    }),
  );
});

it("moves with the pointer", () => {
  fc.assert(
    fc.property(fc.constantFrom(...VIEWS), spot, (view, by) => {
      const after = dragged(start, { what: "move" }, view, [0, 0], by, origin);
      const [x, y] = flat(centre(after), view, centre(start));
      expect([x, y]).toEqual(by.map((v) => expect.closeTo(v, 9)));
    }),
  );
});

it("keeps the handle of a face under the pointer that moves along its axis", () => {
  fc.assert(
    fc.property(fc.constantFrom(...VIEWS), turn, real(-0.5, 3), (view, angle, metres) => {
      const c = turned(start, angle);
      for (const { handle, at } of handles(c, view, origin)) {
        if (handle.what !== "face") continue;
        const axis = axes(c)[handle.axis].map((v) => v * metres * handle.side) as Vec;
        const by = flat(axis, view, [0, 0, 0]);
        const to: Spot = [at[0] + by[0], at[1] + by[1]];
        const after = dragged(c, handle, view, at, to, origin);
        const now = handles(after, view, origin).find((one) => JSON.stringify(one.handle) === JSON.stringify(handle))!;
        expect(now.at).toEqual(to.map((v) => expect.closeTo(v, 6)));
      }
    }),
  );
});

it("turns so that the handle points where the pointer is", () => {
  const top = VIEWS[0]!;
  fc.assert(
    fc.property(turn, turn, (angle, to) => {
      const c = turned(start, angle);
      const middle = flat(centre(c), top, origin);
      // A turn of `to` points the first axis to cos to, -sin to on x and z; up on the screen is z.
      const pointer: Spot = [middle[0] + 5 * Math.cos(to), middle[1] + 5 * Math.sin(to)];
      const after = dragged(c, { what: "turn" }, top, [0, 0], pointer, origin);
      expect(Math.cos(yaw(after) - to)).toBeCloseTo(1, 9);
      const at = handles(after, top, origin).find((one) => one.handle.what === "turn")!.at;
      expect(Math.atan2(at[1] - middle[1], at[0] - middle[0])).toBeCloseTo(Math.atan2(Math.sin(to), Math.cos(to)), 6);
    }),
  );
});

it("has no handle for a face that looks at us", () => {
  const faces = (name: string) =>
    handles(
      start,
      VIEWS.find((view) => view.name === name)!,
      origin,
    ).flatMap(({ handle }) => (handle.what === "face" ? handle.axis : []));
  expect(faces("top")).toEqual([0, 0, 2, 2]);
  expect(faces("front")).toEqual([0, 0, 1, 1]);
  expect(faces("side")).toEqual([1, 1, 2, 2]);
});
