"""Time behaviour: people who walk about before a camera with zones and a line, frame by frame, on one core.

    OPENBLAS_NUM_THREADS=1 python benchmarks/surveillance/behaviour.py [--people 50] [--frames 2000] [--no-ground]

Prints the median and the 95th percentile of a frame's time in milliseconds, and of the time that the core worked on it, which
other work on the machine does not lengthen as much; with n frames, and what was told.
"""

from __future__ import annotations

import argparse
from collections import Counter
from time import perf_counter, thread_time

import numpy as np

from hyla.schema import Schema
from hyla.types import Item, Labels
from hyla_surveillance.behaviour import Behaviour
from hyla_surveillance.camera import Camera, Cameras, Line, Zone

FPS = 8.0
WIDE, HIGH, PIXELS = 30.0, 17.0, 64.0  # metres, and pixels in one: 1920 x 1088
SIZE = (int(HIGH * PIXELS), int(WIDE * PIXELS))


def camera(ground: bool) -> Camera:
    """Return a camera with one zone of each purpose and a line."""
    boxes = {
        "restricted": (1, 5, 3, 7),
        "dwell": (8, 4, 20, 15),
        "crowd": (20, 2, 29, 15),
        "one_way": (4, 10, 8, 16),
        "ignore": (0, 0, 2, 2),
    }
    zones = []
    for purpose, (x0, y0, x1, y1) in boxes.items():
        corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float) * PIXELS
        zones.append(Zone(purpose, purpose, corners, direction=np.array([1.0, 0.0]) if purpose == "one_way" else None))
    line = Line("door", np.array([[15.0, 17.0], [15.0, 0.0]]) * PIXELS)
    return Camera("a", SIZE, tuple(zones), (line,), np.diag([1 / PIXELS, 1 / PIXELS, 1.0]) if ground else None)


def scenes(people: int, frames: int, seed: int = 0) -> list[Labels]:
    """Return the boxes of people who walk at 1.3 m/s on average, turn now and then, and are missed in 3 % of frames."""
    chance = np.random.default_rng(seed)
    at = chance.uniform((1, 3), (WIDE - 1, HIGH - 1), (people, 2))
    way = chance.uniform(0, 2 * np.pi, people)
    pace = np.clip(chance.normal(1.3, 0.4, people), 0, 2.5)
    made = []
    for _ in range(frames):
        way += chance.normal(0, 0.15, people)
        at += (pace / FPS)[:, None] * np.column_stack([np.cos(way), np.sin(way)])
        low, high = np.array([1.0, 3.0]), np.array([WIDE - 1, HIGH - 1])
        way = np.where(((at < low) | (at > high)).any(axis=1), way + np.pi / 2, way)
        at = np.clip(at, low, high)
        seen = np.flatnonzero(chance.random(people) > 0.03)
        foot = at[seen] * PIXELS + chance.normal(0, 2, (len(seen), 2))
        half, tall = 0.25 * PIXELS, 1.7 * PIXELS
        made.append(
            Labels.of(
                np.zeros(len(seen)), np.column_stack([foot - np.array([half, tall]), foot + np.array([half, 0])]), track=seen + 1
            )
        )
    return made


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--no-ground", action="store_true", help="without a homography: metres from how tall people are")
    given = parser.parse_args()
    classes = {"person": {}, "vehicle": {}, "object": {}}
    behaviour = Behaviour(Schema.from_config({"name": "bench", "kinds": ["box", "track"], "classes": classes}))
    behaviour.cameras = Cameras([camera(not given.no_ground)])
    took, busy, told = [], [], {}
    for index, labels in enumerate(scenes(given.people, given.frames)):
        item = Item(f"clip-{index}", "clip", "clip", index, "video_frame", {"camera": "a"})
        began, before = perf_counter(), thread_time()
        events = behaviour.update(item, labels, index / FPS, SIZE)
        took.append(1000 * (perf_counter() - began))
        busy.append(1000 * (thread_time() - before))
        told.update({one.track: one.name for one in events})
    print(f"{given.people} people, n={len(took)} frames, milliseconds a frame:")
    for what, values in (("time", took), ("of it on the core", busy)):
        median, high = np.percentile(values, [50, 95])
        print(f"  {what}: median {median:.3f}, 95th percentile {high:.3f}")
    print("told:", ", ".join(f"{name} {n}" for name, n in sorted(Counter(told.values()).items())) or "nothing")


if __name__ == "__main__":
    main()
