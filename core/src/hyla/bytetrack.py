"""Join boxes into tracks by overlap, in two rounds, all tracks at once in arrays.

ByteTrack (Zhang et al. 2022, https://arxiv.org/abs/2110.06864) with the state of BoT-SORT (centre and size, Aharon et al. 2022,
https://arxiv.org/abs/2206.14651), in seconds instead of frames, and a last round of grown boxes (Yang et al. 2023,
https://arxiv.org/abs/2211.14317), since at a few frames per second whoever runs no longer overlaps where they were.
"""

from __future__ import annotations

import numpy as np

from hyla.camera_motion import CameraMotion
from hyla.types import Bools, Floats, Image, Ints

RATE = 10.0  # frames per second that the noise below is of; at 30 speeds are too loose to cross others by
POSITION, VELOCITY = 1 / 20, 1 / 160  # standard deviations per frame, in heights of the box: DeepSORT's, and everybody's since
WEAK = 0.1  # score below which a box says nothing; this and the limits are ultralytics' defaults
FIRST, SECOND, NEW = 0.8, 0.5, 0.7  # most that a match may cost (1 - overlap) in each round; FIRST and NEW weigh in the score
REACH, MOST = 2.4, 0.4  # heights per second by which a box grows in the last round (4 m/s for a person), and heights at most
SLOW = 1 / 15  # seconds between frames, from which on that round is for tracks with a known speed too, and grants more
GROWN = 0.8  # most that a match of grown boxes may cost
PLACE, SPEED, PP, PV, VV = range(5)  # of a track's state, for each axis: the axes are independent of each other


class ByteTrack:
    """Hold the tracks of one clip.

    Args:
        threshold: score from which a box may start a track, and is matched first.
        confirm: frames in a row that confirm a track.
        instant: whether tracks of the first frame need none.
        camera: whether the motion of the camera is taken out, by the pictures.
    """

    def __init__(self, threshold: float = 0.25, confirm: int = 2, instant: bool = False, camera: bool = False) -> None:
        self.threshold, self.confirm, self.instant = threshold, confirm, instant
        self._camera = CameraMotion() if camera else None
        self._state = np.zeros((0, 5, 4))  # centre x, centre y, width, height
        self._known = np.zeros((0, 3), dtype=np.int64)  # family, identity (0 until confirmed), frames in a row
        self._seen = np.zeros(0)  # seconds of the last frame that each was seen in
        self._count, self._begun = 0, False
        self.smoothed: Floats | None = None  # the boxes of the last frame, without their noise

    def update(
        self, box: Floats, score: Floats, family: Ints, seconds: float, step: float, lost: float, image: Image | None = None
    ) -> Ints:
        """Return the identity (n,) of each box in the next frame, counted from 1; 0 for none yet. See `hyla.tracking.Engine`."""
        self._predict(step, None if self._camera is None or image is None else self._camera.update(image, box))
        self._keep(seconds - self._seen <= lost)
        out = np.zeros(len(box), dtype=np.int64)
        track_of = np.full(len(box), -1, dtype=np.int64)
        old = self._known[:, 1] > 0
        fresh = seconds - self._seen <= 1.5 * step  # seen in the frame before
        strong, weak = score >= self.threshold, (score >= WEAK) & (score < self.threshold)
        alike = self._known[:, 0][:, None] == family[None, :]
        cost = 1 - np.where(alike, overlap(self.box, box), 0.0)
        weighed = 1 - (1 - cost) * score
        free = np.ones(len(old), dtype=np.bool_)
        for tracks, boxes, price, limit in (
            (old, strong, weighed, FIRST),
            (old & fresh, weak, cost, SECOND),
            (~old, strong, weighed, NEW),
        ):
            _match(price, np.flatnonzero(tracks & free), np.flatnonzero(boxes & (track_of < 0)), limit, track_of, free)
        slow = step > SLOW or ~old  # of a new track the speed is not known yet
        late, rest = np.flatnonzero(free & fresh & slow), np.flatnonzero(strong & (track_of < 0))
        if len(late) and len(rest):
            reach = min(REACH * step, MOST)
            grown = np.ones_like(cost)
            near = overlap(_grown(self.box[late], reach), _grown(box[rest], reach))
            grown[np.ix_(late, rest)] = 1 - np.where(alike[np.ix_(late, rest)], near, 0.0) * score[rest]
            _match(grown, late, rest, GROWN if step > SLOW else NEW, track_of, free)
        seen = np.flatnonzero(track_of >= 0)
        self._correct(track_of[seen], box[seen], seconds)
        # Whoever was seen once and not again was noise; a track that was lost comes back with the frames it had.
        keep = old | ~free
        place = np.cumsum(keep) - 1
        self._keep(keep)
        track_of[seen] = place[track_of[seen]]
        starts = np.flatnonzero(strong & (track_of < 0))
        track_of[starts] = len(self._known) + np.arange(len(starts))
        self._begin(box[starts], family[starts], seconds)
        rows = np.flatnonzero(track_of >= 0)
        out[rows] = self._known[track_of[rows], 1]
        self.smoothed = box.copy()
        self.smoothed[rows] = self.box[track_of[rows]]
        self._begun = True
        return out

    @property
    def box(self) -> Floats:
        """Return where each track is expected, (n, 4) x0, y0, x1, y1."""
        centre, half = self._state[:, PLACE, :2], np.maximum(self._state[:, PLACE, 2:], 1e-3) / 2
        return np.concatenate([centre - half, centre + half], axis=1)

    def _predict(self, step: float, camera: Floats | None) -> None:
        state, n = self._state, step * RATE
        state[self._seen < self._seen.max(initial=-np.inf), SPEED, 2:] = 0.0  # nobody grows while out of sight
        noise = np.maximum(state[:, PLACE, 3:], 1.0) ** 2
        state[:, PLACE] += step * state[:, SPEED]
        state[:, PP] += 2 * step * state[:, PV] + step**2 * state[:, VV] + noise * POSITION**2 * n
        state[:, PV] += step * state[:, VV]
        state[:, VV] += noise * (VELOCITY * RATE) ** 2 * n
        if camera is not None:
            turn = camera[:, :2]
            state[:, PLACE, :2] = state[:, PLACE, :2] @ turn.T + camera[:, 2]
            state[:, SPEED, :2] = state[:, SPEED, :2] @ turn.T
            state[:, PLACE:PP, 2:] *= np.sqrt(abs(np.linalg.det(turn)))

    def _correct(self, rows: Ints, box: Floats, seconds: float) -> None:
        state = self._state[rows]
        measured = _centred(box)
        noise = np.maximum(measured[:, 3:], 1.0) ** 2 * POSITION**2
        off = measured - state[:, PLACE]
        sure = 1 / (state[:, PP] + noise)
        gain, pull = state[:, PP] * sure, state[:, PV] * sure
        state[:, PLACE] += gain * off
        state[:, SPEED] += pull * off
        state[:, VV] -= pull * state[:, PV]
        state[:, PP] *= 1 - gain
        state[:, PV] *= 1 - gain
        self._state[rows] = state
        self._seen[rows] = seconds
        self._known[rows, 2] += 1
        self._name(rows)

    def _begin(self, box: Floats, family: Ints, seconds: float) -> None:
        state = np.zeros((len(box), 5, 4))
        state[:, PLACE] = _centred(box)
        tall = np.maximum(state[:, PLACE, 3:], 1.0) ** 2
        state[:, PP], state[:, VV] = tall * (2 * POSITION) ** 2, tall * (10 * VELOCITY * RATE) ** 2
        hits = np.full(len(box), self.confirm if self.instant and not self._begun else 1)
        self._state = np.concatenate([self._state, state])
        self._known = np.concatenate([self._known, np.column_stack([family, np.zeros(len(box), np.int64), hits])])
        self._seen = np.concatenate([self._seen, np.full(len(box), seconds)])
        self._name(np.arange(len(self._known) - len(box), len(self._known)))

    def _name(self, rows: Ints) -> None:
        new = rows[(self._known[rows, 1] == 0) & (self._known[rows, 2] >= self.confirm)]
        self._known[new, 1] = self._count + 1 + np.arange(len(new))
        self._count += len(new)

    def _keep(self, rows: Bools) -> None:
        if not rows.all():
            self._state, self._known, self._seen = self._state[rows], self._known[rows], self._seen[rows]


def overlap(a: Floats, b: Floats) -> Floats:
    """Return the intersection over union (n, m) of boxes (n, 4) and (m, 4)."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.maximum(high - low, 0.0).prod(axis=2)
    areas = [(one[:, 2:] - one[:, :2]).prod(axis=1) for one in (a, b)]
    return np.asarray(inter / np.maximum(areas[0][:, None] + areas[1][None, :] - inter, 1e-9))


def _match(cost: Floats, tracks: Ints, boxes: Ints, limit: float, track_of: Ints, free: Bools) -> None:
    """Give `boxes` the `tracks` that cost least together; what costs more than `limit` stays alone."""
    from scipy.optimize import linear_sum_assignment

    if not len(tracks) or not len(boxes):
        return
    price = np.minimum(cost[np.ix_(tracks, boxes)], limit)
    rows, columns = linear_sum_assignment(price)
    good = price[rows, columns] < limit
    track_of[boxes[columns[good]]] = tracks[rows[good]]
    free[tracks[rows[good]]] = False


def _centred(box: Floats) -> Floats:
    return np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], axis=1)


def _grown(box: Floats, share: float) -> Floats:
    by = share * (box[:, 3:] - box[:, 1:2])
    return np.asarray(box + by * np.array([-1.0, -1.0, 1.0, 1.0]))
