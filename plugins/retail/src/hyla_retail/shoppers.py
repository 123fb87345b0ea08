"""Draw shoppers whose tastes follow true tags: a SIMULATED shop, to see what right tags are worth to a recommender.

Nothing here is measured on people. Each shopper likes a few tags, and buys a product with a chance that grows with the liked
tags it really carries, whatever a machine said of it, and with how common it is. Nobody bought the new products before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyla.types import Bools, Floats, Ints

TASTES = 3  # tags that a shopper likes
KEEN = 1.6  # by how much each of them raises the log-odds that a product is bought
COMMON = 0.7  # standard deviation of the log of how common products are
BOUGHT, NEXT = 20, 6  # products that a shopper buys before, and after, the day on which is recommended
CLAIMED = 0.15  # share of the products that carry a claim
SECOND = 0.25  # share of them that have a second colour


@dataclass(frozen=True, eq=False)
class Shop:
    """Hold a simulated shop.

    Args:
        tags: names of the t tags.
        truth: (n, t) which tags products carry.
        new: (n,) products that nobody could buy before.
        before: (m, 2) shopper and product of what was bought before.
        after: (k, 2) likewise of what was bought next, none of it bought before.
    """

    tags: tuple[str, ...]
    truth: Bools
    new: Bools
    before: Ints
    after: Ints


def shop(groups: Mapping[str, Sequence[str]], products: int, users: int, share_new: float, seed: int) -> Shop:
    """Draw a shop.

    Args:
        groups: name -> tags. Of `colour` a product has one, or two; of `packaging` one; of any other group each now and then.
        products: how many.
        users: how many.
        share_new: share of products that are new.
        seed: of everything drawn.
    """
    rng = np.random.default_rng(seed)
    tags = tuple(tag for some in groups.values() for tag in some)
    truth = np.zeros((products, len(tags)), dtype=bool)
    at = 0
    for name, some in groups.items():
        part = truth[:, at : at + len(some)]
        if name in ("colour", "packaging"):
            part[np.arange(products), rng.integers(0, len(some), products)] = True
            if name == "colour":
                second = np.flatnonzero(rng.random(products) < SECOND)
                part[second, rng.integers(0, len(some), len(second))] = True
        else:
            part |= rng.random(part.shape) < CLAIMED
        at += len(some)
    new = np.zeros(products, dtype=bool)
    new[rng.permutation(products)[: round(products * share_new)]] = True
    common = rng.normal(0, COMMON, products)
    before, after = [], []
    for user in range(users):
        likes = rng.choice(len(tags), TASTES, replace=False)
        odds = common + KEEN * truth[:, likes].sum(axis=1)
        known = _drawn(np.where(new, -np.inf, odds), BOUGHT, rng)
        odds[known] = -np.inf
        rest = _drawn(odds, NEXT, rng)
        before += [(user, int(product)) for product in known]
        after += [(user, int(product)) for product in rest]
    return Shop(tags, truth, new, np.array(before), np.array(after))


def _drawn(odds: Floats, n: int, rng: np.random.Generator) -> Ints:
    """Return n products drawn without replacement by their log-odds: with noise of Gumbel, the largest are such a draw."""
    return np.argsort(-(odds + rng.gumbel(size=len(odds))))[:n]


def machine(truth: Bools, groups: Mapping[str, Sequence[str]], rate: float, seed: int) -> Floats:
    """Return the probabilities (n, t) that a machine gives tags, of which a share is wrong.

    With chance `rate` the tag of a colour or packaging is another of its group, and a claim is overlooked; as many are made up.
    Right tags get a probability around 0.8, wrong ones around 0.65, so that a score helps to tell them apart, not more.
    """
    rng = np.random.default_rng(seed)
    said = truth.copy()
    at = 0
    for name, some in groups.items():
        part = said[:, at : at + len(some)]
        if name in ("colour", "packaging"):
            for row, column in zip(*np.nonzero(truth[:, at : at + len(some)]), strict=True):
                if rng.random() < rate:
                    part[row, column] = False
                    part[row, (column + rng.integers(1, len(some))) % len(some)] = True
        else:
            made_up = rng.random(part.shape) < rate * CLAIMED
            part[:] = np.where(part, rng.random(part.shape) >= rate, made_up)
        at += len(some)
    right = said & truth
    return np.where(right, rng.beta(8, 2, truth.shape), np.where(said, rng.beta(6.5, 3.5, truth.shape), 0.0))


def scored(ranked: Ints, after: Ints, users: int, k: int = 10) -> tuple[Floats, Floats]:
    """Return recall and NDCG at k of each user with something to find, NaN for the others.

    Args:
        ranked: (users, k or more) products, best first, -1 for none.
        after: (m, 2) user and product of what is to be found.
        users: how many.
        k: how many of the ranked products count.
    """
    gain = 1 / np.log2(np.arange(2, k + 2))
    wanted: list[set[int]] = [set() for _ in range(users)]
    for user, product in after.tolist():
        wanted[user].add(product)
    recall, ndcg = np.full(users, np.nan), np.full(users, np.nan)
    for user, some in enumerate(wanted):
        if some:
            hit = np.array([product in some for product in ranked[user, :k].tolist()])
            recall[user] = hit.sum() / min(len(some), k)
            ndcg[user] = (hit * gain[: len(hit)]).sum() / gain[: min(len(some), k)].sum()
    return recall, ndcg


def interval(values: Floats, seed: int = 0, draws: int = 2000) -> tuple[float, float, float]:
    """Return the mean and a 95 % interval: percentiles of a bootstrap over users, NaN left out."""
    known = values[~np.isnan(values)]
    rng = np.random.default_rng(seed)
    means = known[rng.integers(0, len(known), (draws, len(known)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(known.mean()), float(low), float(high)
