"""Walk people over a square before a camera, and detect them as badly as detectors do: a long sequence with truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZE = (720, 1280)  # height, width of the picture
FOCAL, HEIGHT, TILT = 1100.0, 5.0, 0.32  # pixels, metres above the ground, radians downwards


@dataclass(frozen=True)
class Frame:
    """Hold a frame: truth as boxes and people, detections as boxes and scores."""

    seconds: float
    truth: np.ndarray  # (n, 4)
    people: np.ndarray  # (n,) counted from 1
    box: np.ndarray  # (m, 4)
    score: np.ndarray  # (m,)


def walk(people: int, seconds: float, fps: float, seed: int) -> list[Frame]:
    """Return a sequence of about so many people at a time: they cross, stop, turn, walk in pairs, run, leave and come anew."""
    rng = np.random.default_rng(seed)
    place = np.column_stack([rng.uniform(-12, 12, people), rng.uniform(6, 40, people)])
    goal = np.column_stack([rng.uniform(-12, 12, people), rng.uniform(6, 40, people)])
    speed, rest = rng.normal(1.35, 0.25, people), np.zeros(people)
    tall, name = rng.normal(1.72, 0.08, people), np.arange(1, people + 1)
    frames, step, last = [], 1 / fps, people
    for k in range(round(seconds * fps)):
        to = goal - place
        far = np.hypot(*to.T)
        for i in np.flatnonzero(far < 0.5):
            there = rng.random()
            rest[i] = rng.uniform(2, 20) if there < 0.4 else 0.0
            goal[i] = rng.uniform(-12, 12), rng.uniform(6, 40)
            speed[i] = rng.normal(3.8, 0.4) if rng.random() < 0.08 else rng.normal(1.35, 0.25)
            if there > 0.8:  # leaves, and somebody else comes
                last += 1
                side = rng.choice([-1.0, 1.0])
                place[i], name[i], tall[i], rest[i] = (side * 30.0, rng.uniform(8, 35)), last, rng.normal(1.72, 0.08), 0.0
        i = rng.integers(people)
        if rng.random() < 0.2 * step:  # somebody joins another's way
            goal[i], speed[i] = goal[(i + 1) % people] + rng.normal(0, 0.6, 2), speed[(i + 1) % people]
        going = (rest <= 0) & (far > 1e-6)
        rest = np.maximum(rest - step, 0)
        stride = np.clip(speed, 0.4, 5) * step
        place[going] += (to / np.maximum(far, 1e-6)[:, None] * stride[:, None])[going] + rng.normal(0, 0.02, (going.sum(), 2))
        frames.append(_seen(place, tall, name, k * step, rng))
    return frames


def _seen(place: np.ndarray, tall: np.ndarray, name: np.ndarray, seconds: float, rng: np.random.Generator) -> Frame:
    foot, head = (_project(place, z) for z in (np.zeros_like(tall), tall))
    high = foot[:, 1] - head[:, 1]
    swing = 0.38 + 0.06 * np.sin(2 * np.pi * 1.8 * seconds + name)
    box = np.column_stack([foot[:, 0] - swing * high / 2, head[:, 1], foot[:, 0] + swing * high / 2, foot[:, 1]])
    inside = (box[:, 2] > 8) & (box[:, 0] < SIZE[1] - 8) & (box[:, 3] > 8) & (box[:, 1] < SIZE[0] - 8)
    box[:, [0, 2]], box[:, [1, 3]] = np.clip(box[:, [0, 2]], 0, SIZE[1]), np.clip(box[:, [1, 3]], 0, SIZE[0])
    rows = np.flatnonzero(inside)
    near = rows[np.argsort(-foot[rows, 1])]
    hidden = np.zeros(len(box))
    for at, i in enumerate(near):
        for j in near[:at]:
            w = min(box[i, 2], box[j, 2]) - max(box[i, 0], box[j, 0])
            h = min(box[i, 3], box[j, 3]) - max(box[i, 1], box[j, 1])
            hidden[i] = max(hidden[i], max(w, 0) * max(h, 0) / max(np.prod(box[i, 2:] - box[i, :2]), 1))
    sure = np.clip(rng.normal(0.8, 0.1, len(box)) - 0.9 * hidden, 0, 0.98)
    found = rows[(rng.random(len(rows)) > 0.04) & (sure[rows] > 0.1)]
    noise = rng.normal(0, 0.03, (len(found), 4)) * high[found, None]
    n = rng.poisson(0.3)
    corner = rng.uniform(0, 1, (n, 2)) * (SIZE[1] - 60, SIZE[0] - 140)
    wrong = np.column_stack([corner, corner + rng.uniform((20, 50), (50, 130), (n, 2))])
    return Frame(
        seconds,
        box[rows],
        name[rows],
        np.concatenate([box[found] + noise, wrong]),
        np.concatenate([sure[found], rng.uniform(0.1, 0.45, n)]),
    )


def _project(place: np.ndarray, z: np.ndarray) -> np.ndarray:
    down = HEIGHT - z
    depth = place[:, 1] * np.cos(TILT) + down * np.sin(TILT)
    low = -place[:, 1] * np.sin(TILT) + down * np.cos(TILT)
    return np.column_stack([SIZE[1] / 2 + FOCAL * place[:, 0] / depth, SIZE[0] / 2 + FOCAL * low / depth])
