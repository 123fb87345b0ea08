"""Find which products of a catalogue a text may name: the text of a price label, or what was read on a pack.

A name is looked for word by word. A word counts by how rare it is among the names (its inverse document frequency, in nats), so
that `milk` says little and a brand much; letters that were misread or run together cost a part of it. What a text says besides,
as ingredients, costs nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.types import Floats, Ints
from hyla_retail import sizes

if TYPE_CHECKING:
    from hyla_retail.catalogue import Catalogue

ALIKE = 80.0  # of 100, by rapidfuzz's ratio: below, two words are different words; glas and glass are 89, milk and mild 75
LETTERS = 4  # of a word that may have been misread; words with digits are right or wrong
WITHIN = 0.9  # what a word counts that was read run together with others
LONG = 5  # letters from which a word is looked for within others: ice is in juice
WORDS = 300  # of a text that are looked at


class Names:
    """Hold the names of a catalogue, ready to be looked for in texts.

    Args:
        catalogue: whose brands, names and sizes are looked for.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __len__(self) -> int:
        return len(self._catalogue)

    def find(self, text: str, limit: int = 5) -> list[tuple[int, float]]:
        """Return (row in the catalogue, similarity from 0 to 1) of the names most like `text`, the most alike first.

        Of equals, the name comes first of which more is in the text: of both `Cola` and `Cola Zero`, the latter. What shares no
        word with the text is left out.
        """
        rows, similarity, _ = self._best(text, limit)
        return [(row, round(one, 4)) for row, one in zip(rows.tolist(), similarity.tolist(), strict=True)]

    def likely(self, text: str, limit: int = 5, least: float = 0.0) -> list[tuple[int, float]]:
        """Return (row in the catalogue, probability) of the products that `text` may name, the likeliest first.

        The similarity of the best is shared among the best by what each explains: a nat of words that are there counts for a
        name, a nat of words that are not counts against it. None is, if the best is less similar than `least`.
        """
        rows, similarity, evidence = self._best(text, limit)
        if not len(rows) or similarity[0] < least:
            return []
        share = np.exp(evidence - evidence.max())
        chance = similarity * share / share.sum()
        order = np.lexsort((rows, -chance))
        return [(int(rows[i]), round(float(chance[i]), 4)) for i in order]

    def brand(self, text: str) -> str:
        """Return the brand that is in a text, of several the one with most letters; empty if none of the catalogue's is."""
        said = f" {' '.join(words_of(text))} "
        met = [(len(brand), brand) for words, brand in self._brands if f" {words} " in said]
        return max(met)[1] if met else ""

    @cached_property
    def _brands(self) -> list[tuple[str, str]]:
        spelt = ((" ".join(words_of(brand)), brand) for brand in sorted({b for b in self._catalogue.brand.tolist() if b}))
        return [(words, brand) for words, brand in spelt if len(words) >= 3]

    def _best(self, text: str, limit: int) -> tuple[Ints, Floats, Floats]:
        """Return the best rows, their similarity, and the nats that speak for each less those against it."""
        if not len(self) or limit < 1:
            return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
        found = self._index.weights @ self._index.met(text)
        total = np.maximum(self._index.totals, 1e-9)
        # It takes log n nats to tell one of n products from the others: of less, less is known.
        similarity = found / total * np.sqrt(np.minimum(1.0, found / np.log1p(len(self))))
        rows = np.flatnonzero(similarity > 0)
        if len(rows) > limit:
            rows = rows[similarity[rows] >= np.partition(similarity[rows], -limit)[-limit] - 1e-6]
        rows = rows[np.lexsort((rows, -found[rows].round(6), -similarity[rows].round(6)))][:limit]
        return rows, similarity[rows], (2 * found - total)[rows]

    def similarity(self, text: str, row: int) -> float:
        """Return what share of the name of one product is in `text`, by weight of the words, from 0 to 1."""
        own = self._index.weights[[row]]
        return round(float((own @ self._index.met(text))[0]) / max(float(self._index.totals[row]), 1e-9), 4)

    @cached_property
    def _index(self) -> _Index:
        known = self._catalogue
        told = zip(known.brand.tolist(), known.name.tolist(), known.size.tolist(), strict=True)
        return _Index([sorted(set(words_of(" ".join(part for part in parts if part)))) for parts in told])


class _Index:
    """Hold the words of n names: `weights`, a sparse (n, words) matrix, and what is needed to meet them in a text."""

    def __init__(self, names: list[list[str]]) -> None:
        from scipy.sparse import csr_array

        self.number = {word: i for i, word in enumerate(sorted({word for words in names for word in words}))}
        columns = np.array([self.number[word] for words in names for word in words], dtype=np.int64)
        often = np.bincount(columns, minlength=len(self.number))
        weight = np.log1p(len(names) / np.maximum(often, 1))
        starts = np.cumsum([0, *map(len, names)])
        self.weights: Any = csr_array((weight[columns], columns, starts), shape=(len(names), len(self.number)))
        self.totals: Floats = np.asarray(self.weights.sum(axis=1), dtype=np.float64).ravel()
        self.long = [(word, i) for word, i in self.number.items() if len(word) >= LONG]
        self.spelt = [word for word in self.number if _may_be_misread(word)]
        self.spelt_at = np.array([self.number[word] for word in self.spelt], dtype=np.int64)

    def met(self, text: str) -> Floats:
        """Return how surely each word is in `text`, from 0 to 1."""
        from rapidfuzz.fuzz import ratio
        from rapidfuzz.process import cdist

        said = list(dict.fromkeys(words_of(text)))[:WORDS]
        met, squeezed = np.zeros(len(self.number)), "".join(said)
        met[[i for word, i in self.long if word in squeezed]] = WITHIN
        unsure = [word for word in said if word not in self.number and _may_be_misread(word)]
        if unsure and self.spelt:
            near = cdist(unsure, self.spelt, scorer=ratio, score_cutoff=ALIKE, dtype=np.float32)
            met[self.spelt_at] = np.maximum(met[self.spelt_at], near.max(axis=0) / 100.0)
        met[[self.number[word] for word in said if word in self.number]] = 1.0
        return met


def words_of(text: str) -> list[str]:
    """Return the words of a text in the order in which they stand: small letters without accents; each size as one word."""
    found = []
    if any(map(str.isdigit, text)):
        found = [sizes.words(size).replace(" ", "") for size in sizes.parse(text)]
        text = sizes.without(text)
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", letters) + found


def _may_be_misread(word: str) -> bool:
    return len(word) >= LETTERS and word.isalpha()
