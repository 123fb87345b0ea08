"""Measure the ground under people's feet in metres: by the camera's homography, else by how tall people are."""

from __future__ import annotations

import numpy as np

from hyla.types import Bools, Floats
from hyla_surveillance.camera import Camera
from hyla_surveillance.perspective import PERSON, Perspective

UPRIGHT = 1.5  # height by width of a box from which its height is that of a standing person
SPEED = 12.0  # metres per second that no person reaches
OFTEN, SAMPLE = 1.0, 20  # seconds between lessons once the scale is known, and boxes in one


class Ground:
    """Give each foot point a place on a plane, and the metres that one unit of the plane is long there.

    With a homography the plane is the ground in metres. Without, it is the picture, and a unit is as long as people are tall: a
    person of 1.7 m is as many pixels high as the row of the feet says, learnt from boxes (Hoiem, Efros and Hebert, "Putting
    objects in perspective", IJCV 2008). Such lengths are right across the view; along it they are too short, since the camera's
    tilt is not known. A place never changes later, only lengths get better.

    Args:
        camera: for pictures of `size`.
        size: (height, width) of the picture in pixels.
    """

    def __init__(self, camera: Camera, size: tuple[int, int]) -> None:
        self.camera, self.size = camera, size
        self.calibrated = camera.homography is not None
        self._people = None if self.calibrated else Perspective(size)
        self._taught = -np.inf
        self._typical = 0.25 * size[0]  # pixels, of a person; what it is until there are people

    def plane(self, feet: Floats) -> Floats:
        """Return places (n, 2) of foot points (n, 2) in pixels; NaN at and above the horizon."""
        return self.camera.to_ground(feet) if self.calibrated else np.asarray(feet, dtype=np.float64)

    def scale(self, feet: Floats, tall: Floats | float = 0.0) -> Floats:
        """Return (n,) metres per unit of the plane at foot points (n, 2).

        Args:
            feet: in pixels.
            tall: (n,) heights of the boxes of people there, 0 for other things. Who is taller than was learnt is believed, so
                that metres are too few rather than too many where little was learnt yet; who is not may be cut.
        """
        if self._people is None:
            return np.ones(len(feet))
        learnt = self._people.height(feet[:, 1]) if self._people.known else self._typical
        return np.asarray(PERSON / np.maximum(np.maximum(learnt, tall), np.ones(len(feet))))

    def learn(self, box: Floats, seconds: float) -> None:
        """Learn from boxes (n, 4) of people who are whole: once a second, when the scale is known."""
        people = self._people
        if people is None or not len(box) or (people.known and seconds - self._taught < OFTEN):
            return
        upright = box[:, 3] - box[:, 1] > UPRIGHT * (box[:, 2] - box[:, 0])
        whole = box[upright][:: 1 + int(upright.sum()) // SAMPLE]
        if not len(whole):
            return
        self._taught = seconds
        height = whole[:, 3] - whole[:, 1]
        if not people.known:
            self._typical = max(float(np.median(height)), 1.0)
        people.learn(whole[:, 3], height)

    def area(self, polygon: Floats) -> float:
        """Return the square metres of a polygon (k, 2) given in pixels; NaN for one that reaches the horizon."""
        at = self.plane(polygon)
        x, y = at[:, 0], at[:, 1]
        twice = float(np.abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))
        return 0.5 * twice * float(np.mean(self.scale(polygon)) ** 2)


def uncut(box: Floats, size: tuple[int, int]) -> Bools:
    """Return (n,) which boxes (n, 4) lie wholly in a picture of `size`: what touches its edge may go on beyond."""
    height, width = size
    edge = max(1.0, 0.005 * height)
    low, high = (box[:, :2] > edge).all(axis=1), (box[:, 2:] < (width - edge, height - edge)).all(axis=1)
    return np.asarray(low & high)
