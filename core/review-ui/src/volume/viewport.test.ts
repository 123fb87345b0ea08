import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Placing } from "./orientation";
import { Viewport } from "./viewport";

const letters = { left: "", right: "", top: "", bottom: "" };
const placings = fc.record<Placing>({
  name: fc.constant("axial"),
  turned: fc.boolean(),
  flipU: fc.boolean(),
  flipV: fc.boolean(),
  letters: fc.constant(letters),
});
const plain: Placing = { name: "axial", turned: false, flipU: false, flipV: false, letters };
const number = fc.double({ min: -500, max: 1500, noNaN: true });

test("a point comes back from the screen, however the plane lies, is zoomed and moved", () => {
  fc.assert(
    fc.property(
      placings,
      fc.double({ min: 0.5, max: 20, noNaN: true }),
      number,
      number,
      number,
      (placing, factor, u, v, at) => {
        const view = new Viewport(512, 40, 0.7, 5, placing);
        view.resize(800, 600);
        view.zoom(factor, at, at);
        view.pan(at, -at);
        const { x, y } = view.toScreen(u, v);
        const back = view.toPlane(x, y);
        expect(back.x).toBeCloseTo(u, 5);
        expect(back.y).toBeCloseTo(v, 5);
      },
    ),
  );
});

describe("a plane", () => {
  test("fills the screen in the right proportions", () => {
    const view = new Viewport(100, 20, 1, 10, plain);
    view.resize(300, 300);
    expect(view.toScreen(0, 0)).toEqual({ x: 75, y: 0 });
    expect(view.toScreen(100, 20)).toEqual({ x: 225, y: 300 });
  });

  test("stays under the pointer while it is zoomed, and fills the screen again", () => {
    const view = new Viewport(100, 100, 1, 1, plain);
    view.resize(400, 400);
    const before = view.toPlane(120, 300);
    view.zoom(3, 120, 300);
    expect(view.toPlane(120, 300).x).toBeCloseTo(before.x, 9);
    expect(view.pixel.u).toBe(12);
    view.zoom(0.1, 5, 5);
    expect(view.toScreen(50, 50)).toEqual({ x: 200, y: 200 });
  });

  test("brings a point back into sight", () => {
    const view = new Viewport(100, 100, 1, 1, plain);
    view.resize(400, 400);
    expect(view.reveal(1, 1)).toBe(false);
    view.zoom(8, 400, 400);
    expect(view.reveal(1, 1)).toBe(true);
    expect(view.toScreen(1, 1)).toEqual({ x: 200, y: 200 });
  });

  test("steps as the screen goes", () => {
    const view = new Viewport(9, 9, 1, 1, { ...plain, turned: true, flipV: true });
    expect(view.step(1, 0)).toEqual({ du: 0, dv: -1 });
    expect(view.step(0, 1)).toEqual({ du: 1, dv: -0 });
  });
});
