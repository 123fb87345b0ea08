"""Make one name of what several sources claim, each with its own certainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hyla.types import Bools, Floats, Ints

LEAST = 1e-4  # no source is so sure that the others can't be heard


@dataclass(frozen=True, eq=False, slots=True)
class Claims:
    """Hold k claims that a label is a product.

    Args:
        row: (k,) which label.
        product: (k,) which product, numbered from 0.
        source: (k,) which source says so, numbered from 0.
        likeness: (k,) from 0 to 1: of claims such as this, the share that is right.
    """

    row: Ints
    product: Ints
    source: Ints
    likeness: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Names:
    """Hold what the claims come to for n labels.

    Args:
        best, second: (n,) the two likeliest products, or -1.
        probability: (n,) of the best; 0 where nothing is claimed.
        margin: (n,) of the best above the second; NaN where there is no second.
        conflict: (n,) True where two sources, each by itself, hold another product for the likeliest.
    """

    best: Ints
    second: Ints
    probability: Floats
    margin: Floats
    conflict: Bools


def fuse(claims: Claims, n: int, known: int) -> Names:
    """Return the likeliest product of each of `n` labels.

    The sources are pooled by their logarithms with equal weights, which is Bayes' rule for sources that err independently and
    products that are equally likely beforehand (Genest and Zidek 1986, Statistical Science 1:114). What a source leaves of
    certainty is spread evenly over the `known` products that it does not name. So two that agree are surer than each, and of two
    that differ the surer wins, with little left.

    Args:
        claims: of one picture. Where the claims of one source about one label sum to more than 1, they are scaled to 1.
        n: labels.
        known: products that there are to choose from, 2 or more.
    """
    best, second = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
    probability, margin, conflict = np.zeros(n), np.full(n, np.nan), np.zeros(n, dtype=bool)
    if not len(claims.row):
        return Names(best, second, probability, margin, conflict)
    row, product, source, likeness = _unique(claims)
    products, sources = int(product.max()) + 1, int(source.max()) + 1
    known = max(known, products + 1, 2)

    # What each source leaves, over the products that it does not name.
    pair, at = np.unique(row * sources + source, return_inverse=True)
    total = np.bincount(at, likeness)
    likeness = likeness / np.maximum(total, 1)[at]
    rest = np.maximum(1 - np.bincount(at, likeness), LEAST) / (known - np.bincount(at))
    floor = np.bincount(pair // sources, np.log(rest), n)

    # The logarithm of each product that anybody names, less what it had if nobody named it; and of all others together.
    named, of = np.unique(row * products + product, return_inverse=True)
    gain = np.bincount(of, np.log(np.maximum(likeness, rest[at])) - np.log(rest[at]))
    rows, codes = named // products, named % products
    others = np.log(known - np.bincount(rows, minlength=n)[rows])
    weight = floor[rows] + gain
    top = np.full(n, -np.inf)
    np.maximum.at(top, rows, np.maximum(weight, floor[rows] + others))
    mass = np.exp(weight - top[rows])
    whole = np.bincount(rows, mass, n)
    some = np.flatnonzero(np.isfinite(top))
    left = np.zeros(n)
    left[rows] = np.exp(floor[rows] + others - top[rows])
    share = mass / (whole + left)[rows]

    order = np.lexsort((codes, -share, rows))
    first = np.searchsorted(rows[order], some)
    best[some], probability[some] = codes[order[first]], share[order[first]]
    next_one = first + 1
    has = (next_one < len(order)) & (rows[order[np.minimum(next_one, len(order) - 1)]] == some)
    second[some[has]] = codes[order[next_one[has]]]
    margin[some[has]] = probability[some[has]] - share[order[next_one[has]]]
    conflict[_differing(row, product, source, likeness)] = True
    return Names(best, second, probability, margin, conflict)


def _unique(claims: Claims) -> tuple[Ints, Ints, Ints, Floats]:
    """Return the claims with the surest of those that one source makes twice, sorted."""
    order = np.lexsort((-claims.likeness, claims.product, claims.source, claims.row))
    row, product, source = (values[order] for values in (claims.row, claims.product, claims.source))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(row) != 0) | (np.diff(product) != 0) | (np.diff(source) != 0)
    return row[new], product[new], source[new], np.clip(claims.likeness[order][new], 0.0, 1.0)


def _differing(row: Ints, product: Ints, source: Ints, likeness: Floats) -> Ints:
    """Return the rows on which sources have different favourites."""
    order = np.lexsort((product, -likeness, source, row))
    row, product, source = row[order], product[order], source[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(row) != 0) | (np.diff(source) != 0)
    row, product = row[first], product[first]
    return np.unique(row[1:][(np.diff(row) == 0) & (np.diff(product) != 0)])
