"""Recommend products to shoppers, from what was bought before and from tags.

    python -m hyla_retail.recommend FEATURES --orders orders.csv --to OUT

FEATURES is a folder that `hyla export --format item_features` wrote. Written are

    recommendations.parquet   user, rank, product, score, basis: what each shopper may want next
    bought_together.parquet   item-item lists from purchases (needs `implicit`)

`purchases` go by what others bought who bought the same: item-item lists of BM25-weighted counts (or cosine), or factors (als).
`tags` go by what the products are: the tags and classes of what a shopper bought, where what no person verified counts less.
`both` joins the two lists by their ranks, and is what reaches products that nobody has bought yet. How much less, and how much
each list counts, is tried on purchases that are held back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hyla.errors import ConfigError, HylaError
from hyla.types import Bools, Floats, Objects
from hyla_retail.item_features import ITEMS
from hyla_retail.orders import open_orders
from hyla_retail.recommenders import (
    BLOCK,
    BOUGHT,
    METHODS,
    Bought,
    Joined,
    Popular,
    Scorer,
    Tagged,
    best,
    contents,
    hits,
    matrix,
    split,
)
from hyla_retail.table_files import KINDS, write_table

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PURCHASES, TAGS, BOTH, POPULAR = "purchases", "tags", "both", "popular"
BASES = (PURCHASES, TAGS, BOTH, POPULAR)
TRUSTS = (1.0, 0.75, 0.5, 0.25)  # of a tag that no person verified: tried on purchases that are held back, unless one is given
WEIGHTS = (0.1, 0.25, 0.5, 0.75, 0.9)  # of tags beside purchases: likewise
RECOMMENDED = pa.schema(
    [("user", pa.string()), ("rank", pa.int32()), ("product", pa.string()), ("name", pa.string()), ("score", pa.float32()),
     ("basis", pa.string())]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Items:
    """Hold n products as a recommender needs them.

    Args:
        key: of the product.
        name: empty where it is not known.
        gtin: 14 digits, empty where it is not known.
        tags: names of the t tags.
        probability: (n, t), NaN where nothing tells.
        verified: (n, t) whether a person decided on the tag.
    """

    key: Objects
    name: Objects
    gtin: Objects
    tags: tuple[str, ...]
    probability: Floats
    verified: Bools

    def __len__(self) -> int:
        return len(self.key)


def read_items(folder: Path) -> Items:
    """Return the products of items.parquet in a folder; raise ConfigError if there is none, or it lacks a column."""
    path = folder / ITEMS if folder.is_dir() else folder
    try:
        table = pq.read_table(path)
        tags = tuple(name[2:] for name in table.column_names if name.startswith("p_"))
        key, name, gtin, of = (table[name].cast(pa.string()).to_pylist() for name in ("product", "name", "gtin", "class"))
        p = np.array([table[f"p_{tag}"].cast(pa.float64()).to_numpy() for tag in tags]).T.reshape(len(key), len(tags))
        share = table["verified"].cast(pa.float64()).to_numpy()[:, None] > 0
        verified = [set(some or ()) for some in table["verified_tags"].cast(pa.list_(pa.string())).to_pylist()]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ConfigError(
            f"{path} holds no products: {error}", "write it: hyla export DIR --format item_features --to FOLDER"
        ) from error
    known = np.array([[tag in some for tag in tags] for some in verified], dtype=bool).reshape(len(key), len(tags))
    classes = sorted({one for one in of if one})
    is_of = np.array([[one == name for name in classes] for one in of], dtype=bool).reshape(len(key), -1)
    named = np.array([one is not None for one in of], dtype=bool)[:, None]
    return Items(
        np.array(key, dtype=object),
        np.array([n or "" for n in name], dtype=object),
        np.array([n or "" for n in gtin], dtype=object),
        (*tags, *classes),
        np.hstack([p, np.where(named, is_of, np.nan)]),
        np.hstack([known, np.broadcast_to(share, is_of.shape)]),
    )


def recommender(
    basis: str,
    bought: csr_matrix,
    items: Items,
    method: str = "bm25",
    trust: float | None = None,
    weight: float | None = None,
) -> Scorer:
    """Return what scores products for users.

    Args:
        basis: purchases, tags, both or popular.
        bought: (users, products) counts.
        items: the products.
        method: for purchases: bm25, cosine or als.
        trust: what an unverified tag counts, 0 to 1; by itself that of `TRUSTS` which best finds purchases that are held
            back, one of each shopper.
        weight: of tags beside purchases, for both; by itself that of `WEIGHTS` which does.

    Raises:
        ConfigError: for another basis or method, a trust that is none, or where a library is missing.
    """
    if trust is not None and not 0 <= trust <= 1:
        raise ConfigError(f"trust={trust} must lie from 0 to 1")
    if basis not in BASES:
        raise ConfigError(f"basis={basis} is not a choice", choices=BASES)
    if basis == POPULAR:
        return Popular(bought)
    if basis == PURCHASES:
        return Bought(bought, method)
    rest, held = split(bought)
    if trust is None:
        trust = max(TRUSTS, key=lambda one: hits(_tagged(rest, items, one), rest, held))
    tags = _tagged(bought, items, trust)
    if basis == TAGS:
        return tags
    if weight is None:
        parts = Bought(rest, method), _tagged(rest, items, trust)
        weight = max(WEIGHTS, key=lambda one: hits(Joined(*parts, rest, one), rest, held))
    return Joined(Bought(bought, method), tags, bought, weight)


def _tagged(bought: csr_matrix, items: Items, trust: float) -> Tagged:
    return Tagged(bought, contents(items.probability, items.verified, trust))


def recommend(of: Scorer, bought: csr_matrix, users: Sequence[str], items: Items, k: int, basis: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of `RECOMMENDED`: up to k products that a shopper has not bought, for each."""
    for start in range(0, len(users), BLOCK):
        some = np.arange(start, min(start + BLOCK, len(users)))
        products, scores = best(of.scores(some), bought[some], k)
        for user, places, values in zip(some.tolist(), products.tolist(), scores.tolist(), strict=True):
            for rank, (at, value) in enumerate(zip(places, values, strict=True), 1):
                if value > -np.inf:
                    own = {"user": users[user], "rank": rank, "product": items.key[at], "name": items.name[at] or None}
                    yield own | {"score": value, "basis": basis}


def main(words: Sequence[str] | None = None) -> int:
    """Write recommendations; return the exit code of the program."""
    parser = argparse.ArgumentParser(prog="python -m hyla_retail.recommend", description="Recommend products to shoppers.")
    parser.add_argument("features", type=Path, help="folder that `hyla export --format item_features` wrote")
    parser.add_argument("--orders", required=True, help="who bought what: CSV, TSV or Parquet")
    parser.add_argument("--to", type=Path, required=True, help="folder to write")
    parser.add_argument("--basis", choices=BASES, default=BOTH, help="what to go by (default: both)")
    parser.add_argument("--method", choices=METHODS, default="bm25", help="for purchases (default: bm25)")
    parser.add_argument("--k", type=int, default=10, help="products for each shopper (default: 10)")
    parser.add_argument(
        "--trust", type=float, help="what an unverified tag counts, 0 to 1 (default: what best finds past purchases)"
    )
    parser.add_argument("--file", choices=KINDS, default=".parquet", help="what kind of tables (default: .parquet)")
    given = parser.parse_args(words)
    try:
        sys.stdout.write(f"{_run(given)}\n")
    except HylaError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _run(given: argparse.Namespace) -> str:
    from hyla_retail.gtin import normalise

    if given.k < 1:
        raise ConfigError(f"--k {given.k} is no number of products", "ask for 1 or more")
    items = read_items(given.features)
    keys = items.key.tolist()
    gtins = {gtin: key for key, gtin in zip(keys, items.gtin.tolist(), strict=True) if gtin}
    own = frozenset(keys)
    orders = open_orders(given.orders, "", lambda word: word if word in own else gtins.get(normalise(word), word))
    if orders is None:
        raise ConfigError("--orders names no table", "give the file that says who bought what")
    bought, users = matrix(orders, keys)
    of = recommender(given.basis, bought, items, given.method, given.trust)
    write_table(given.to / f"recommendations{given.file}", RECOMMENDED, recommend(of, bought, users, items, given.k, given.basis))
    by = of.parts[0] if isinstance(of, Joined) else of
    if isinstance(by, Bought):
        write_table(given.to / f"bought_together{given.file}", BOUGHT, by.neighbours(keys, given.k))
    said = [f"{given.to}: up to {given.k} of {len(items):,} products for {len(users):,} shoppers, from {len(orders):,} purchases"]
    if unknown := len(orders) - int(bought.sum()):
        said.append(f"{unknown:,} purchases are of products that are not among them")
    if orders.problems:
        rows = ", ".join(f"row {one.row} ({one.reason})" for one in orders.problems[:5])
        said.append(f"{len(orders.problems):,} rows of {orders.file} are left out: {rows}")
    return "\n".join(said)


if __name__ == "__main__":
    raise SystemExit(main())
