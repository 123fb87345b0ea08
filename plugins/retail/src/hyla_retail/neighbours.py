"""Write item-item lists: products that look alike, products with the same tags, and products that stand side by side.

What stands side by side is the shop's doing and says nothing of what is bought together: it has a file, and a name, of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hyla.schema import Schema
from hyla.types import Floats, Kind
from hyla_retail import seen
from hyla_retail.seen import Seen

Matrix = npt.NDArray[np.float32]
NEIGHBOURS = pa.schema(
    [
        ("product", pa.string()),
        ("basis", pa.string()),  # picture: cosine of embeddings; tags: cosine of tag probabilities, rare tags counting more
        ("rank", pa.int32()),  # from 1
        ("neighbour", pa.string()),
        ("similarity", pa.float32()),
    ]
)
TOGETHER = pa.schema(
    [
        ("product", pa.string()),
        ("neighbour", pa.string()),
        ("side_by_side", pa.int64()),  # photos in which a facing of one stands next to a facing of the other
        ("photos", pa.int64()),  # photos in which both stand on one shelf
        ("photos_of_product", pa.int64()),
        ("photos_of_neighbour", pa.int64()),
    ]
)


def nearest(keys: Sequence[str], vectors: Matrix, k: int, basis: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of `NEIGHBOURS` for n products with vectors (n, d) of length 1 (or 0: without neighbours)."""
    from hyla_retail.index import Index

    known = np.flatnonzero(np.linalg.norm(vectors, axis=1) > 0)
    if len(known) < 2:
        return
    index = Index(vectors[known])
    for start in range(0, len(known), 1024):
        some = known[start : start + 1024]
        similarity, rows = index.search(vectors[some], k + 1)
        for at, values, places in zip(some.tolist(), similarity.tolist(), known[rows].tolist(), strict=True):
            others = [(other, value) for other, value in zip(places, values, strict=True) if other != at][:k]
            for rank, (other, value) in enumerate(others, 1):
                own = {"product": keys[at], "basis": basis, "rank": rank}
                yield own | {"neighbour": keys[other], "similarity": min(max(value, -1.0), 1.0)}


def tag_vectors(probability: Floats, weight: Floats | None = None) -> Matrix:
    """Return vectors (n, t) of length 1 from probabilities (n, t) of tags, NaN where unknown.

    A tag counts by its inverse document frequency, log((1 + n) / (1 + sum of p)) + 1, and by `weight` (n, t), if given.
    """
    p = np.nan_to_num(probability)
    vectors = p * (np.log((1 + len(p)) / (1 + p.sum(axis=0))) + 1) * (1.0 if weight is None else weight)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float32)


class Together:
    """Count which products stand on one shelf, and which side by side; what is held grows with pairs that were met."""

    def __init__(self, schema: Schema) -> None:
        self._products = seen.products(schema)
        self._photos: Counter[str] = Counter()
        self._shelf: Counter[tuple[str, str]] = Counter()
        self._beside: Counter[tuple[str, str]] = Counter()

    def add(self, one: Seen) -> None:
        """Count the facings of a photo of shelves."""
        facing = np.isin(one.labels.class_id, self._products) & (one.labels.kind == Kind.BOX)
        shelves: dict[Any, list[tuple[float, str]]] = defaultdict(list)
        middles = one.labels.box[:, [0, 2]].mean(axis=1)
        for row in np.flatnonzero(facing).tolist():
            if (shelf := one.value("shelf", row)) is not None:
                shelves[shelf].append((float(middles[row]), one.value(seen.PRODUCT, row) or ""))
        rows = [[key for _, key in sorted(facings)] for facings in shelves.values()]
        self._photos.update({key for row in rows for key in row if key})
        self._shelf.update({pair for row in rows for pair in _pairs((a, b) for a in set(row) for b in set(row))})
        self._beside.update({pair for row in rows for pair in _pairs(pairwise(row))})

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of `TOGETHER`, each pair both ways."""
        both = sorted(pair for a, b in self._shelf for pair in ((a, b), (b, a)))
        for a, b in both:
            pair = (a, b) if a < b else (b, a)
            counts = {"side_by_side": self._beside[pair], "photos": self._shelf[pair]}
            photos = {"photos_of_product": self._photos[a], "photos_of_neighbour": self._photos[b]}
            yield {"product": a, "neighbour": b, **counts, **photos}


def _pairs(pairs: Any) -> set[tuple[str, str]]:
    """Return each pair of two named products once, in order."""
    return {(a, b) if a < b else (b, a) for a, b in pairs if a and b and a != b}
