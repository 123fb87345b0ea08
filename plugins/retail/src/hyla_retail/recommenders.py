"""Score products for shoppers: by what others bought with them, by their tags, by how popular they are, or by two of these.

Each scorer has `scores(users)`, which returns (m, products) float32, -inf for products that it knows nothing of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints
from hyla_retail.orders import Orders

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

METHODS = ("bm25", "cosine", "als")
KEEP = 100  # neighbours of a product, and products that each of two lists brings when they are joined
BLOCK = 512  # shoppers at once
FUSION = 60.0  # of reciprocal rank fusion: 1 / (FUSION + rank) (Cormack, Clarke and Buettcher 2009)
BOUGHT = pa.schema(
    [
        ("product", pa.string()),
        ("rank", pa.int32()),
        ("neighbour", pa.string()),
        ("similarity", pa.float32()),
        ("basis", pa.string()),
    ]
)
Scores = npt.NDArray[np.float32]


class Scorer(Protocol):
    """Score products for some users, by their rows in the counts of purchases."""

    def scores(self, users: Ints) -> Scores:
        """Return (m, products), higher for what fits better, -inf for products of which nothing is known."""


def matrix(orders: Orders, keys: Sequence[str]) -> tuple[csr_matrix, list[str]]:
    """Return how often (users, products) float32 each user bought each product, and the users in the order of their names.

    A basket counts once, however many pieces: ln(1 + quantity) would favour what is bought by the dozen. Products that are not
    among `keys` are left out.
    """
    from scipy.sparse import csr_matrix

    at = {key: n for n, key in enumerate(keys)}
    users = sorted(set(orders.user.tolist()))
    row_of = {user: n for n, user in enumerate(users)}
    pairs = [(row_of[u], at[i]) for u, i in zip(orders.user.tolist(), orders.item.tolist(), strict=True) if i in at]
    rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    made = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(users), len(keys)))
    made.sum_duplicates()
    return made, users


class Bought:
    """Score products by what others bought who bought the same, with the library implicit.

    Args:
        bought: (users, products) counts.
        method: bm25 or cosine (item-item lists of 100 neighbours), or als (factors of alternating least squares).
        factors: of als.
        seed: of als.

    Raises:
        ConfigError: for an unknown method, or where implicit is not installed.
    """

    def __init__(self, bought: csr_matrix, method: str = "bm25", factors: int = 64, seed: int = 0) -> None:
        if method not in METHODS:
            raise ConfigError(f"method={method} is not a choice", choices=METHODS)
        self.bought, self.method = bought, method
        self._model: Any = _fitted(bought, method, factors, seed)
        self.known = np.asarray(bought.sum(axis=0)).reshape(-1) > 0

    def scores(self, users: Ints) -> Scores:
        """Return (m, products), -inf for products that nobody bought, of which purchases say nothing."""
        if self.method == "als":
            found = self._model.user_factors[users] @ self._model.item_factors.T
        else:
            found = (self.bought[users] @ self._model.similarity).toarray()
        return np.where(self.known, found, -np.inf).astype(np.float32)

    def neighbours(self, keys: Sequence[str], k: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of `BOUGHT`: the k products most often bought by the same people, for each that was bought."""
        rows = np.flatnonzero(self.known)
        ids, values = self._model.similar_items(rows, N=min(k + 1, len(keys)))
        for row, others, some in zip(rows.tolist(), ids.tolist(), values.tolist(), strict=True):
            near = [(o, v) for o, v in zip(others, some, strict=True) if o not in (row, -1) and v > 0][:k]
            for rank, (other, value) in enumerate(near, 1):
                yield {"product": keys[row], "rank": rank, "neighbour": keys[other], "similarity": value, "basis": self.method}


class Tagged:
    """Score products by their tags: the sum of what a shopper bought, times the product, both as `contents` has them.

    Args:
        bought: (users, products) counts.
        vectors: (products, t); see `contents`.
    """

    def __init__(self, bought: csr_matrix, vectors: Floats) -> None:
        self.bought, self.vectors = bought, vectors
        self.known = np.abs(vectors).sum(axis=1) > 0

    def scores(self, users: Ints) -> Scores:
        """Return (m, products), -inf for products without tags."""
        found = (self.bought[users] @ self.vectors) @ self.vectors.T
        return np.where(self.known, found, -np.inf).astype(np.float32)


class Popular:
    """Score products by how many people bought them, the same for all: what the others are measured against."""

    def __init__(self, bought: csr_matrix) -> None:
        self.buyers = np.asarray((bought > 0).sum(axis=0), dtype=np.float32).reshape(-1)

    def scores(self, users: Ints) -> Scores:
        """Return (m, products)."""
        return np.repeat(np.where(self.buyers > 0, self.buyers, -np.inf)[None], len(users), axis=0).astype(np.float32)


class Joined:
    """Join two lists by their ranks: (1 - weight) / (60 + rank) + weight / (60 + rank), over the first 100 of each.

    Of a product that one of them knows nothing of, such as a new one that nobody bought, the rank in the other counts whole.

    Args:
        first, second: the scorers.
        bought: (users, products) counts.
        weight: of the second, above 0 and below 1.
    """

    def __init__(self, first: Scorer, second: Scorer, bought: csr_matrix, weight: float = 0.5) -> None:
        self.parts, self.bought, self.weight = (first, second), bought, weight

    def scores(self, users: Ints) -> Scores:
        """Return (m, products), -inf for products that neither list holds."""
        first, second = (part.scores(users) for part in self.parts)
        total, rows = np.zeros(first.shape, np.float32), np.arange(len(users))[:, None]
        for own, other, weight in ((first, second, 1 - self.weight), (second, first, self.weight)):
            products, scores = best(own, self.bought[users], KEEP)
            counts = np.where(np.isfinite(other[rows, products]), weight, 1.0) * np.isfinite(scores)
            total[rows, products] += counts / (FUSION + 1 + np.arange(scores.shape[1]))
        return np.where(total > 0, total, -np.inf).astype(np.float32)


def contents(probability: Floats, verified: Bools, trust: float) -> Floats:
    """Return vectors (n, t): by how much the probability of each tag lies above its mean over all products, times a weight.

    The weight is 1 where a person verified the tag, `trust` elsewhere: what a machine says tells less than it seems to, so it
    is drawn towards what is usual (as a regression on a measurement with errors is), and a product of which nothing is known lies
    at 0. A probability that is calibrated says so by itself, and wants a trust of 1.

    Args:
        probability: (n, t), NaN where nothing tells.
        verified: (n, t).
        trust: from 0 to 1.
    """
    known = ~np.isnan(probability)
    p = np.where(known, probability, 0)
    mean = p.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.where(known, (p - mean) * np.where(verified, 1.0, trust), 0), dtype=np.float64)


def split(bought: csr_matrix, seed: int = 0) -> tuple[csr_matrix, Ints]:
    """Return the purchases without one product of each shopper who bought two or more, and that product (users,), -1 for none."""
    rng = np.random.default_rng(seed)
    rest, held = bought.copy().tolil(), np.full(bought.shape[0], -1)
    for user in np.flatnonzero(np.diff(bought.indptr) > 1):
        held[user] = rng.choice(bought.indices[bought.indptr[user] : bought.indptr[user + 1]])
        rest[user, held[user]] = 0
    return rest.tocsr(), held


def hits(of: Scorer, bought: csr_matrix, held: Ints, k: int = 10) -> float:
    """Return the mean NDCG at k of finding the one product that was held back from each shopper: 1 / log2(1 + rank)."""
    users = np.flatnonzero(held >= 0)
    gain, total = 1 / np.log2(np.arange(2, k + 2)), 0.0
    for start in range(0, len(users), BLOCK):
        some = users[start : start + BLOCK]
        products, scores = best(of.scores(some), bought[some], k)
        found = (products == held[some][:, None]) & np.isfinite(scores)
        total += float((found * gain[: found.shape[1]]).sum())
    return total / max(len(users), 1)


def best(scores: Scores, bought: csr_matrix, k: int) -> tuple[Ints, Scores]:
    """Return products and scores (m, k), best first, of those that a shopper has not bought; -inf behind the last. Of equals the
    first product comes first.
    """
    scores = scores.copy()
    scores[bought.nonzero()] = -np.inf
    k = min(k, scores.shape[1])
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(scores, order, axis=1)


def _fitted(bought: csr_matrix, method: str, factors: int, seed: int) -> Any:
    try:
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight, normalize
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ConfigError(
            "recommending from purchases needs implicit", "pip install 'hyla-retail[recommend]', or go by tags"
        ) from error
    if not bought.nnz:
        raise ConfigError("no purchase is of one of the products", "orders must name products by SKU, GTIN or key")
    model: Any
    with threadpool_limits(1, "blas"):  # implicit has threads of its own, which those of BLAS would slow down tenfold
        if method == "als":
            model = AlternatingLeastSquares(factors=factors, random_state=seed, num_threads=1, use_gpu=False)
            model.fit(bought, show_progress=False)
        else:  # as its BM25Recommender and CosineRecommender do, which warn of their own weighting
            weighted = bm25_weight(bought.T, 1.2, 0.75) if method == "bm25" else normalize(bought.T)
            model = ItemItemRecommender(K=KEEP + 1, num_threads=1)
            model.fit(weighted.T.tocsr(), show_progress=False)
    return model
