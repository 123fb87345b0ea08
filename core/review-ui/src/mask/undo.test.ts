import fc from "fast-check";
import { expect, test } from "vitest";
import { Bits } from "./bits";
import { fill, paint } from "./brush";
import { AXES, planeSize, type Size3 } from "./planes";
import { apply, type Patch, PlaneEdit } from "./undo";

const size: Size3 = [6, 20, 30];
const share = fc.double({ min: 0, max: 1, noNaN: true });
const gesture = fc.record({
  axis: fc.constantFrom(...AXES),
  at: fc.array(share, { minLength: 5, maxLength: 5 }),
  value: fc.constantFrom(0 as const, 1 as const),
  fills: fc.boolean(),
});

test("any gestures on any planes are undone and redone", () => {
  fc.assert(
    fc.property(fc.array(gesture, { minLength: 1, maxLength: 8 }), (gestures) => {
      const bits = new Bits(size);
      const states = [bits.toRle()];
      const done: Patch[] = [];
      for (const { axis, at, value, fills } of gestures) {
        const { width, height, planes } = planeSize(size, axis);
        const edit = new PlaneEdit(bits, axis, Math.min(planes - 1, Math.floor(at[0]! * planes)));
        const [x0, y0, x1, y1] = [at[1]! * width, at[2]! * height, at[3]! * width, at[4]! * height] as const;
        if (fills) edit.touched(fill(edit.bytes, width, height, x0, y0, value) ?? { x0: 0, y0: 0, x1: 0, y1: 0 });
        else edit.touched(paint(edit.bytes, width, height, x0, y0, x1, y1, 3, value));
        const patch = edit.finish();
        if (!patch) continue;
        done.push(patch);
        states.push(bits.toRle());
      }
      for (let i = done.length - 1; i >= 0; i--) {
        apply(bits, [done[i]!], "before");
        expect(bits.toRle()).toBe(states[i]);
      }
      apply(bits, done, "after");
      expect(bits.toRle()).toBe(states.at(-1));
      apply(bits, done, "before");
      expect(bits.toRle()).toBe(states[0]);
    }),
  );
});
