"""Find the most similar of many vectors: exactly, or by faiss where it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.types import Ints

Floats32 = npt.NDArray[np.float32]
BACKENDS = ("exact", "flat", "hnsw")
FEW = 4096  # vectors: of fewer, comparing all numbers of all is quickest
SAMPLE = 8192  # vectors of which the directions are computed
HEAD = 64  # directions that are compared first
SHORTLIST = 64  # vectors that are compared whole, at first
SLACK = 1e-5  # as much as rounding may take from a similarity
TEMPORARY = 1 << 25  # similarities held at once: 128 MiB
LINKS, BREADTH = 32, 256  # of hnsw: neighbours that a vector is linked to, and candidates that a search keeps


class Index:
    """Search n vectors of length 1 for the most similar ones, by scalar product.

    `exact` gives what comparing with every vector gives. Of many vectors it compares the HEAD directions that hold most of
    them first (principal axes), which bounds the rest: by Cauchy and Schwarz, what is left of two vectors adds at most the
    product of their lengths there. Vectors whose bound lies under the k-th best found are left out; the others are compared
    whole.

    `flat` (exact) and `hnsw` (approximate: Malkov and Yashunin 2016) are those of faiss.

    Args:
        vectors: (n, d) float32 of length 1.
        backend: exact, flat or hnsw.

    Raises:
        ConfigError: for an unknown backend, or one of faiss where that is not installed.
    """

    def __init__(self, vectors: Floats32, backend: str = "exact") -> None:
        if backend not in BACKENDS:
            raise ConfigError(f"there is no index {backend!r}", choices=BACKENDS)
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        self._faiss: Any = None
        self._axes: Floats32 | None = None
        if backend != "exact" and len(vectors):
            self._faiss = _faiss(self.vectors, backend)
        elif len(vectors) >= FEW and vectors.shape[1] >= 2 * HEAD:
            self._split()

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, queries: Floats32, k: int) -> tuple[Floats32, Ints]:
        """Return similarity (m, k) float32, best first, and rows (m, k) of the k vectors most similar to each query (m, d).

        Of equals the first row comes first. Where there are fewer than k vectors, there are fewer columns.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        k = min(k, len(self.vectors))
        if not k or not len(queries):
            return np.zeros((len(queries), k), np.float32), np.zeros((len(queries), k), np.int64)
        if self._faiss is not None:
            similarity, rows = self._faiss.search(queries, k)
            return similarity, rows.astype(np.int64)
        step = max(1, TEMPORARY // len(self.vectors))
        parts = []
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            parts.append(self._all(some, k) if self._axes is None else self._bounded(some, self._axes, k))
        return np.concatenate([one for one, _ in parts]), np.concatenate([one for _, one in parts])

    def _all(self, queries: Floats32, k: int) -> tuple[Floats32, Ints]:
        similarity = queries @ self.vectors.T
        return _best(similarity, np.broadcast_to(np.arange(len(self.vectors)), similarity.shape), k)

    def _split(self) -> None:
        """Find the axes that hold most of the vectors, and how long what is left of each is."""
        sample = self.vectors[:: max(1, len(self.vectors) // SAMPLE)]
        _, axes = np.linalg.eigh(sample.T @ sample)
        axes = np.ascontiguousarray(axes[:, : -HEAD - 1 : -1], dtype=np.float32)
        head = self.vectors @ axes
        length = (head.astype(np.float64) ** 2).sum(axis=1)
        whole = np.einsum("nd,nd->n", self.vectors, self.vectors, dtype=np.float64)
        self._axes, self._head = axes, head
        self._rest = np.sqrt(np.maximum(whole - length, 0)).astype(np.float32)

    def _bounded(self, queries: Floats32, axes: Floats32, k: int) -> tuple[Floats32, Ints]:
        heads = queries @ axes
        rests = np.sqrt(np.maximum((queries**2).sum(axis=1) - (heads**2).sum(axis=1), 0))
        bound = heads @ self._head.T
        similarity, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        few = min(max(SHORTLIST, 2 * k), len(self.vectors))
        for i in range(len(queries)):
            first = np.argpartition(bound[i], -few)[-few:]
            least = np.partition(self.vectors[first] @ queries[i], -k)[-k]
            near = np.flatnonzero(bound[i] + rests[i] * self._rest >= least - SLACK)
            if len(near) > len(self.vectors) // 4:  # copying so many takes longer than comparing all
                near = np.arange(len(self.vectors))
            found = (self.vectors if len(near) == len(self.vectors) else self.vectors[near]) @ queries[i]
            one, two = _best(found[None], near[None], k)
            similarity[i], rows[i] = one[0], two[0]
        return similarity, rows


def _best(similarity: Floats32, rows: Ints, k: int) -> tuple[Floats32, Ints]:
    """Return the k largest of similarity (m, n), largest first, with their rows; of equals the first."""
    if k < similarity.shape[1]:
        some = np.argpartition(similarity, -k, axis=1)[:, -k:]
        similarity, rows = np.take_along_axis(similarity, some, 1), np.take_along_axis(rows, some, 1)
    order = np.lexsort((rows, -similarity), axis=1)
    return np.take_along_axis(similarity, order, 1), np.take_along_axis(rows, order, 1)


def _faiss(vectors: Floats32, backend: str) -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(f"index {backend!r} needs faiss", "pip install 'hyla-retail[ann]', or index=exact") from error
    size = vectors.shape[1]
    found: Any = faiss.IndexFlatIP(size)
    if backend == "hnsw":
        found = faiss.IndexHNSWFlat(size, LINKS, faiss.METRIC_INNER_PRODUCT)
        found.hnsw.efSearch = BREADTH
    found.add(vectors)
    return found
