/** Three orthographic views of a cuboid, and what dragging a handle in one of them does. */
import { axes, centre, lengths, moved, stretched, turned, yaw } from "./project";
import type { Cuboid, Vec } from "./project";

/** A view: which axes of the camera point to the right and down on the screen, and which way. */
export interface View {
  readonly name: "top" | "side" | "front";
  readonly right: 0 | 2;
  readonly down: 1 | 2;
  readonly sign: 1 | -1;
}

export const VIEWS: readonly View[] = [
  { name: "top", right: 0, down: 2, sign: -1 }, // ahead is up
  { name: "side", right: 2, down: 1, sign: 1 },
  { name: "front", right: 0, down: 1, sign: 1 },
];

/** What can be dragged: the middle, the turn, or the face at one end of an own axis. */
export type Handle = { what: "move" } | { what: "turn" } | { what: "face"; axis: 0 | 1 | 2; side: 1 | -1 };
export type Spot = [number, number];

const SHORT = 0.3; // of an axis as it is seen, below which its faces have no handle
const AHEAD = 0.75; // of the length, from the middle to the handle that turns

/** Return where a point lies in a view, in metres from `origin`, to the right and down. */
export function flat(point: Vec, view: View, origin: Vec): Spot {
  return [point[view.right] - origin[view.right], view.sign * (point[view.down] - origin[view.down])];
}

/** Return a movement in a view as one in space. */
export function solid([right, down]: Spot, view: View): Vec {
  const by: Vec = [0, 0, 0];
  by[view.right] = right;
  by[view.down] = view.sign * down;
  return by;
}

/** Return the handles that a view has, with where they are. */
export function handles(c: Cuboid, view: View, origin: Vec): { handle: Handle; at: Spot }[] {
  const [middle, own, size] = [centre(c), axes(c), lengths(c)];
  const along = (axis: 0 | 1 | 2, metres: number): Spot =>
    flat(middle.map((v, i) => v + own[axis][i]! * metres) as Vec, view, origin);
  const faces = ([0, 1, 2] as const)
    .filter((axis) => Math.hypot(own[axis][view.right], own[axis][view.down]) > SHORT)
    .flatMap((axis) =>
      ([1, -1] as const).map((side) => ({
        handle: { what: "face", axis, side } as Handle,
        at: along(axis, (side * size[axis]) / 2),
      })),
    );
  const turn = view.name === "top" ? [{ handle: { what: "turn" } as Handle, at: along(0, size[0] * AHEAD) }] : [];
  return [...faces, ...turn, { handle: { what: "move" }, at: flat(middle, view, origin) }];
}

/** Return the cuboid after a handle was dragged from `from` to `to`, places in a view. */
export function dragged(c: Cuboid, handle: Handle, view: View, from: Spot, to: Spot, origin: Vec): Cuboid {
  const by: Spot = [to[0] - from[0], to[1] - from[1]];
  switch (handle.what) {
    case "move":
      return moved(c, solid(by, view));
    case "face": {
      // As far along the axis as the pointer went along its picture.
      const axis = axes(c)[handle.axis];
      const [x, y] = [axis[view.right], view.sign * axis[view.down]];
      const metres = (by[0] * x + by[1] * y) / (x * x + y * y);
      return stretched(c, handle.axis, handle.side, handle.side * metres);
    }
    case "turn": {
      const [x, y] = flat(centre(c), view, origin);
      // Seen from above, ahead is up, so that an angle on the screen is a turn about the vertical.
      return turned(c, Math.atan2(to[1] - y, to[0] - x) - yaw(c));
    }
  }
}
