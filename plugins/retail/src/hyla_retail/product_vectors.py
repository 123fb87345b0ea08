"""Describe each product by the mean of the vectors of its crops: those that a person verified where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla.formats import Loss
from hyla_retail.crops import cut, trim
from hyla_retail.seen import Seen

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla_retail.embeddings import Embedding

Vector = npt.NDArray[np.float32]


class Vectors:
    """Collect the vectors of crops as pictures pass by; what is held grows with products and not with crops.

    Args:
        embedding: turns crops into vectors; None for no vectors.
        pictures: that the crops are cut from; a picture that can't be read is passed over and counted in `loss`.
        most: crops of a product that are looked at: those that come first, and as many again of verified ones.
        loss: of the export.
    """

    def __init__(self, embedding: Embedding | None, pictures: Pictures | None, most: int, loss: Loss) -> None:
        self.embedding, self.pictures, self.most, self.loss = embedding, pictures, most, loss
        self._sums: tuple[dict[str, Vector], dict[str, Vector]] = {}, {}  # of crops as the machine named them, and verified
        self._times: tuple[dict[str, int], dict[str, int]] = {}, {}
        self._group = ""

    @property
    def about(self) -> dict[str, str]:
        """Return what the metadata of a table say of the vectors: those of other digests can't be compared."""
        if self.embedding is None:
            return {}
        one = self.embedding
        return {"embedding": one.name, "embedding_digest": one.digest, "embedding_size": str(one.size), "embedding_norm": "l2"}

    def add(self, one: Seen, named: Sequence[tuple[int, str]]) -> None:
        """Look at the crops of the labels of a picture that name a product."""
        if self.embedding is None or self.pictures is None:
            return
        self._close(one.record.item.group)
        wanted = [(row, key) for row, key in named if self._times[one.words[row].verified].get(key, 0) < self.most]
        if not wanted:
            return
        try:
            pixels = self.pictures.load(one.record.item).pixels
        except BadItem:
            self.loss.count("unreadable picture")
            return
        crops = [trim(crop) for crop in cut(np.asarray(pixels), one.labels.box[[row for row, _ in wanted]])]
        for (row, key), vector in zip(wanted, self.embedding(crops), strict=True):
            sums, times = self._sums[one.words[row].verified], self._times[one.words[row].verified]
            if times.get(key, 0) < self.most:
                sums[key] = sums[key] + vector if key in sums else vector
                times[key] = times.get(key, 0) + 1

    def of(self, key: str) -> Vector | None:
        """Return the vector (size,) float32 of a product, of length 1; None for one that no crop shows."""
        auto, verified = self._sums
        found = verified.get(key, auto.get(key))
        length = 0.0 if found is None else float(np.linalg.norm(found))
        return None if found is None or not length > 0 else found / np.float32(length)

    def close(self) -> None:
        """Release the last picture."""
        self._close("")

    def _close(self, group: str) -> None:
        if self._group and self._group != group and self.pictures is not None:
            self.pictures.close(self._group)
        self._group = group
