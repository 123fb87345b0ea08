"""Say what verified tags are worth to a recommender, in a SIMULATED shop: recall and NDCG of the next purchases, with intervals.

    python benchmarks/retail/recommend.py [--rate 0.2] [--products 600] [--users 1000]

Shoppers, their tastes and the machine's errors are drawn (hyla_retail/shoppers.py): the figures compare ways of recommending, and
say nothing of any real shop.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from hyla_retail import shoppers
from hyla_retail.orders import Orders
from hyla_retail.recommend import BOTH, POPULAR, PURCHASES, TAGS, Items, recommender
from hyla_retail.recommenders import best, matrix

GROUPS = {
    "colour": ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"),
    "packaging": ("bottle", "can", "carton", "jar", "bag", "box", "tube", "tray", "loose"),
    "claim": ("organic", "vegan", "gluten_free", "lactose_free", "sugar_free", "fairtrade"),
}
NEW = 0.15  # share of the products that nobody bought before


def items(shop: shoppers.Shop, machine: np.ndarray, verified: np.ndarray) -> Items:
    """Return the products with true tags where a person verified them, with the machine's elsewhere."""
    keys = np.array([f"P{n:04d}" for n in range(len(machine))], dtype=object)
    known = np.broadcast_to(verified[:, None], machine.shape)
    no_gtin = np.full(len(keys), "", dtype=object)
    return Items(keys, keys, no_gtin, shop.tags, np.where(known, shop.truth, machine), known.copy())


def orders(shop: shoppers.Shop) -> Orders:
    """Return what was bought before, as a table of orders."""
    user = np.array([f"u{n:05d}" for n in shop.before[:, 0]], dtype=object)
    item = np.array([f"P{n:04d}" for n in shop.before[:, 1]], dtype=object)
    return Orders(user, item, np.zeros(len(user)), np.ones(len(user)))


def main() -> None:
    """Print a row for each way of recommending."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=0.2, help="share of the machine's tags that is wrong")
    parser.add_argument("--products", type=int, default=600)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--certain", action="store_true", help="the machine is sure of all that it says: 0.97, right or wrong")
    given = parser.parse_args()
    shop = shoppers.shop(GROUPS, given.products, given.users, NEW, given.seed)
    machine = shoppers.machine(shop.truth, GROUPS, given.rate, given.seed + 1)
    machine = np.where(machine > 0, 0.97, 0) if given.certain else machine
    none, all_ = np.zeros(given.products, bool), np.ones(given.products, bool)
    half = np.random.default_rng(given.seed + 2).random(given.products) < 0.5
    wrong = ((machine > 0) & ~shop.truth).sum() / (machine > 0).sum()
    sys.stdout.write(
        f"SIMULATED: {given.users} shoppers, {given.products} products, {int(shop.new.sum())} of them new, "
        f"{len(shop.tags)} tags, of the machine's {int((machine > 0).sum())} tags {100 * wrong:.1f} % wrong; "
        f"95 % intervals: bootstrap over shoppers, 2000 draws\n"
    )
    arms = {
        "popularity": (POPULAR, none, 1.0),
        "purchases (BM25)": (PURCHASES, none, 1.0),
        "tags, unverified": (TAGS, none, None),
        "tags, half verified, flag not used": (TAGS, half, 1.0),
        "tags, half verified, flag as weight": (TAGS, half, None),
        "tags, verified": (TAGS, all_, None),
        "purchases and unverified tags": (BOTH, none, None),
        "purchases and verified tags": (BOTH, all_, None),
    }
    for title, new in (("all products", False), ("new products only, which nobody has bought", True)):
        after = shop.after[shop.new[shop.after[:, 1]]] if new else shop.after
        sys.stdout.write(f"\n{title}: {len(np.unique(after[:, 0]))} shoppers with a next purchase, {len(after)} purchases\n")
        sys.stdout.write(f"{'':36} {'Recall@10':>24} {'NDCG@10':>24}\n")
        base: dict[str, np.ndarray] = {}
        for name, (basis, verified, trust) in arms.items():
            if new and basis in (POPULAR, PURCHASES):
                continue  # they know nothing of what nobody has bought
            bought, _ = matrix(orders(shop), [f"P{n:04d}" for n in range(given.products)])
            scores = recommender(basis, bought, items(shop, machine, verified), trust=trust).scores(np.arange(given.users))
            if new:
                scores = np.where(shop.new, scores, -np.inf)
            ranked, found = best(scores, bought, 10)
            recall, ndcg = shoppers.scored(np.where(np.isfinite(found), ranked, -1), after, given.users)
            base[name] = ndcg
            cells = ["{:.3f} ({:.3f} to {:.3f})".format(*shoppers.interval(values)) for values in (recall, ndcg)]
            sys.stdout.write(f"{name:36} {cells[0]:>24} {cells[1]:>24}\n")
        if new:
            chance = 10 / max(int(shop.new.sum()), 10)
            sys.stdout.write(f"{'by chance':36} {chance:>24.3f}\n")
        for one, other in (
            ("tags, verified", "tags, unverified"),
            ("tags, half verified, flag as weight", "tags, half verified, flag not used"),
        ):
            gain, low, high = shoppers.interval(base[one] - base[other])
            sys.stdout.write(f"NDCG@10, {one} less {other}, of the same shoppers: {gain:+.3f} ({low:+.3f} to {high:+.3f})\n")


if __name__ == "__main__":
    main()
