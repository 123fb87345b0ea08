"""Write src/mask/golden.json: masks and what `hyla.geometry` makes of them, for the tests of the page.

Run it from core/review-ui: `python scripts/golden.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hyla import geometry
from hyla.types import Rle

SIZES = [(1, 1), (1, 7), (7, 1), (5, 4), (16, 33), (40, 61), (0, 3), (1, 1, 1), (2, 3, 4), (3, 5, 16), (4, 17, 13), (2, 0, 3)]


def main() -> None:
    """Draw masks of every size: empty, full, scattered, and blobs with long runs."""
    draw = np.random.default_rng(7)
    cases = []
    for size in SIZES:
        blob = np.zeros(size, bool)
        blob[tuple(slice(s // 4, s - s // 3) for s in size)] = True
        for mask in (np.zeros(size, bool), np.ones(size, bool), draw.random(size) < 0.5, draw.random(size) < 0.04, blob):
            rle = geometry.encode(mask)
            bits = "".join(map(str, mask.astype(int).ravel()))
            box = geometry.rle_bounds(rle).astype(int).tolist()
            cases.append({"size": size, "mask": bits, "counts": rle.counts.decode(), "area": geometry.rle_area(rle), "box": box})
    # Too large a mask to make here: its string follows maskApi.c by hand, and Hyla reads it back.
    runs = [0, 4_000_000_000, 5, 40, 3_000_000_000]
    large = {"runs": runs, "counts": _string(runs)}
    assert geometry.runs(Rle((1, 1), large["counts"].encode())).tolist() == runs
    lines = ",\n    ".join(json.dumps(case) for case in cases)
    text = f'{{\n  "masks": [\n    {lines}\n  ],\n  "large": {json.dumps(large)}\n}}\n'
    Path(__file__).parent.parent.joinpath("src/mask/golden.json").write_text(text, encoding="utf-8")


def _string(runs: list[int]) -> str:
    out = []
    for i, run in enumerate(runs):
        x, more = run - (runs[i - 2] if i > 2 else 0), True
        while more:
            low, x = x & 0x1F, x >> 5
            more = x != (-1 if low & 0x10 else 0)
            out.append(chr(48 + low + (0x20 if more else 0)))
    return "".join(out)


if __name__ == "__main__":
    main()
