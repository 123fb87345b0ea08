"""Measure how well exemplars name real products, and how much of a person's time that saves.

    python benchmarks/retail/exemplars.py ../shared/data/retail --weights ../shared/weights/mobilenet_v2-b0353104.pth

grocery_store: 324 photos of 81 products (fruit, vegetables, packs), 4 each, taken in shops; iconic: packshots of 31 of them.

- k: k photos of each product are exemplars, the rest are named. REPEATS random splits; accuracy is the mean over photos, its 95 %
  interval by drawing photos again (2000 times), n the photos. Likeness is compared with what was right at k = 3.
- unknown: 20 products have no exemplar; the area under the ROC curve of `novelty` between their photos and those of the others,
  which are compared with the other photos only. Mean over REPEATS draws of the 20 products, with the 2.5 and 97.5 % quantiles.
- colours: how often the colour that everybody knows of 43 of the products (KNOWN) is among those that `tags` gives, and how many
  others it gives, which may be right as well: of the print, a leaf, or what lies around. The settings for photos in shops were
  chosen on these photos, so that others must be expected to do worse.
- packshots: the iconic pictures are the only exemplars, the photos of these 31 products are named.
- seconds: simulated. Photos come in steps of STEP, the most doubtful first. A name is proposed where it pays, likeness times
  NAMING above the seconds of a look; a person says yes to it (effort.Effort.verify, 1.8 s) or, after that look, gives another:
  NAMING seconds, an assumption, since no published figure is of choosing among 81 names. Without a proposal they name at once.
  Each answer becomes an exemplar. It ends when 98 % of all labels, a person's and the machine's, are right, which truth tells
  here; in use `hyla certify` has to tell it, with an audit on top. `label all` is naming every photo, without proposals. Over
  SEEDS orders: mean and range. The same with NAMING = 1.8 s (a key press, effort.FIX["tag"]) stands beside it: no proposal
  pays then, and what is saved are the photos that nobody has to look at.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from hyla.decide.effort import FIX, Effort
from hyla.images import read_image
from hyla_retail.colours import light, shares
from hyla_retail.embeddings import Appearance, Embedding, Joined, Network
from hyla_retail.exemplar_files import Gallery, Known
from hyla_retail.matching import Matcher

REPEATS, SEEDS, HELD = 30, 5, 20
KNOWN = {
    "yellow": "Banana Lemon Yellow-Bell-Pepper",
    "orange": "Orange Satsumas Carrots Orange-Bell-Pepper Bravo-Orange-Juice",
    "red": "Red-Delicious Regular-Tomato Vine-Tomato Beef-Tomato Red-Bell-Pepper Red-Beet",
    "green": "Lime Granny-Smith Cucumber Zucchini Green-Bell-Pepper Avocado Leek Cabbage Asparagus Watermelon"
    " Tropicana-Apple-Juice",
    "brown": "Floury-Potato Solid-Potato Sweet-Potato Kiwi Brown-Cap-Mushroom Ginger Yellow-Onion",
    "black": "Aubergine God-Morgon-Apple-Juice God-Morgon-Orange-Juice God-Morgon-Orange-Red-Grapefruit-Juice"
    " God-Morgon-Red-Grapefruit-Juice",
    "white": "Garlic Arla-Standard-Milk Arla-Medium-Fat-Milk Arla-Sour-Cream Arla-Ecological-Sour-Cream Arla-Natural-Yoghurt",
}
NAMING, STEP, WANTED = 8.0, 9, 0.98


def subset(gallery: Gallery, rows: Any) -> Gallery:
    """Return some pictures of a gallery."""
    names = ("product", "category", "picture", "origin", "vectors", "hashes")
    return replace(gallery, **{name: getattr(gallery, name)[rows] for name in names})


def ranks(matcher: Matcher, gallery: Gallery, rows: Any) -> Any:
    """Return at which place, from 0, the product of each photo is among those that are proposed; 99 if it is not."""
    found = []
    for row, one in zip(rows, matcher.match(gallery.vectors[rows]), strict=True):
        said = matcher.gallery.product[one.row].tolist()
        found.append(said.index(gallery.product[row]) if gallery.product[row] in said else 99)
    return np.array(found)


def interval(values: Any, random: Any) -> str:
    """Return a mean with its 95 % interval over the photos."""
    known = values[~np.isnan(values)]
    means = random.choice(known, (2000, len(known))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{known.mean():.3f} [{low:.3f}, {high:.3f}]"


def accuracy(gallery: Gallery) -> None:
    """Print accuracy against k, and how sure the likeness was."""
    n, products = len(gallery), np.unique(gallery.product)
    for k in (1, 2, 3):
        random = np.random.default_rng(k)
        top = np.full((2, REPEATS, n), np.nan)
        sure, right = [], []
        for repeat in range(REPEATS):
            chosen = np.concatenate([random.permutation(np.flatnonzero(gallery.product == one))[:k] for one in products])
            rest = np.setdiff1d(np.arange(n), chosen)
            matcher = Matcher(subset(gallery, np.sort(chosen)))
            place = ranks(matcher, gallery, rest)
            top[0, repeat, rest], top[1, repeat, rest] = place == 0, place < 5
            found = matcher.match(gallery.vectors[rest])
            similarity, margin = np.array([one.similarity[0] for one in found]), np.array([one.margin for one in found])
            sure += matcher.calibration.likeness(similarity, margin).tolist()
            right += (place == 0).tolist()
        first, five = (interval(np.nanmean(one, axis=0), random) for one in top)
        error = expected_error(np.array(sure), np.array(right))
        print(
            f"  k = {k}: top-1 {first}, top-5 {five}, n = {n}; mean likeness {np.mean(sure):.3f}, calibration error {error:.3f}"
        )


def expected_error(sure: Any, right: Any, bins: int = 10) -> float:
    """Return the expected calibration error: mean distance of likeness and share right, over 10 bins of equal numbers."""
    order = np.array_split(np.argsort(sure), bins)
    return float(sum(len(some) * abs(sure[some].mean() - right[some].mean()) for some in order) / len(sure))


def unknown(gallery: Gallery) -> None:
    """Print how well novelty tells products that have no exemplar."""
    products, areas, called, missed = np.unique(gallery.product), [], [], []
    for repeat in range(REPEATS):
        held = np.random.default_rng(repeat).permutation(products)[:HELD]
        new = np.isin(gallery.product, held)
        matcher = Matcher(subset(gallery, np.flatnonzero(~new)))
        nearest = [
            matcher.match(gallery.vectors[[row]], [] if new[row] else [gallery.origin[row]])[0].nearest for row in range(len(new))
        ]
        novelty = matcher.calibration.novelty(np.array(nearest))
        areas.append(roc_auc_score(new, novelty))
        called.append((novelty[new] > 0.95).mean())
        missed.append((novelty[~new] > 0.95).mean())
    low, high = np.quantile(areas, [0.025, 0.975])
    n = f"{HELD * 4} photos of {HELD} unknown products, {len(gallery) - HELD * 4} of known ones"
    print(f"  unknown: AUROC {np.mean(areas):.3f} ({low:.3f} to {high:.3f}); above 0.95: {np.mean(called):.3f} of unknown ones,")
    print(f"    {np.mean(missed):.3f} of known ones; {n}, {REPEATS} draws")


def packshots(gallery: Gallery, iconic: Gallery) -> None:
    """Print how well packshots alone name photos."""
    rows = np.flatnonzero(np.isin(gallery.product, iconic.product))
    place, random = ranks(Matcher(iconic), gallery, rows), np.random.default_rng(0)
    first, five = interval((place == 0).astype(float), random), interval((place < 5).astype(float), random)
    print(f"  packshots: top-1 {first}, top-5 {five}, n = {len(rows)} photos of {len(iconic)} products")


def seconds(gallery: Gallery, doubtful: bool, naming: float, seed: int) -> tuple[float, int, int]:
    """Return the seconds until 98 % of labels are right, and how many photos were confirmed and named."""
    effort, n = Effort(), len(gallery)
    random = np.random.default_rng(seed)
    told: list[int] = []
    rest = list(random.permutation(n))
    spent, confirmed, named = 0.0, 0, 0
    while rest:
        if told:
            matcher = Matcher(subset(gallery, np.array(told)))
            found = matcher.match(gallery.vectors[rest])
            said = np.array([matcher.gallery.product[one.row[0]] for one in found])
            right = said == gallery.product[rest]
            if len(told) + right.sum() >= WANTED * n:
                break
            similarity, margin = np.array([one.similarity[0] for one in found]), np.array([one.margin for one in found])
            sure = matcher.calibration.likeness(similarity, margin)
        else:
            right, sure = np.zeros(len(rest), dtype=bool), np.zeros(len(rest))
        order = np.argsort(sure, kind="stable") if doubtful else np.arange(len(rest))
        for place in order[:STEP]:
            proposed = sure[place] * naming > effort.verify
            agreed = bool(proposed and right[place])
            spent += effort.verify * proposed + naming * (not agreed)
            confirmed, named = confirmed + agreed, named + (not agreed)
            told.append(int(rest[place]))
        asked = set(order[:STEP].tolist())
        rest = [row for place, row in enumerate(rest) if place not in asked]
    return spent, confirmed, named


def effort(gallery: Gallery) -> None:
    """Print the seconds that a person needs."""
    for naming in (NAMING, FIX["tag"]):
        whole = naming * len(gallery)
        for word, doubtful in (("most doubtful first", True), ("in any order", False)):
            runs = np.array([seconds(gallery, doubtful, naming, seed) for seed in range(SEEDS)])
            spent, confirmed, named = runs.mean(axis=0)
            low, high = runs[:, 0].min(), runs[:, 0].max()
            told = f"{spent:.0f} ({low:.0f} to {high:.0f}), {confirmed:.0f} confirmed and {named:.0f} named of {len(gallery)}"
            print(f"  seconds, naming {naming:g} s, {word}: {told}; label all {whole:.0f}, {spent / whole:.2f}")


def colours(paths: list[Path]) -> None:
    """Print how often colours that are known were named."""
    known = {name: colour for colour, names in KNOWN.items() for name in names.split()}
    some = [(known[path.parent.name], read_image(path)) for path in paths if path.parent.name in known]
    found = [(colour, {name for name, p in shares(pixels, None, light(pixels)).items() if p >= 0.5}) for colour, pixels in some]
    right = np.array([colour in named for colour, named in found], dtype=float)
    others = np.mean([len(named - {colour}) for colour, named in found])
    print(f"colours: {interval(right, np.random.default_rng(0))} are named, with {others:.2f} others, n = {len(right)} photos")
    for colour in KNOWN:
        mine = np.array([one == colour for one, _ in found])
        print(f"  {colour}: {right[mine].mean():.2f} of {mine.sum()}")


def gallery_of(paths: list[Path], products: list[str], embedding: Embedding) -> Gallery:
    """Describe pictures of known products."""
    some = zip(paths, products, strict=True)
    return Gallery.of([Known(read_image(path), product, "", path.name, str(path)) for path, product in some], embedding)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with grocery_store/labels.csv and iconic/")
    parser.add_argument("--weights", type=Path, help="of mobilenet_v2")
    asked = parser.parse_args()
    with (asked.data / "grocery_store/labels.csv").open() as file:
        paths = [asked.data / "grocery_store" / row["path"] for row in csv.DictReader(file)]
    colours(paths)
    look = Appearance()
    ways: list[Embedding] = [look]
    if asked.weights:
        network = Network(str(asked.weights), device="cpu")
        ways += [network, Joined(network, look)]
    shots = sorted((asked.data / "iconic").glob("*_Iconic.jpg"))
    for way in ways:
        gallery = gallery_of(paths, [path.parent.name for path in paths], way)
        print(f"{way.name}: {way.size} numbers, {len(gallery)} photos of {len(set(gallery.product))} products")
        accuracy(gallery)
        unknown(gallery)
        packshots(gallery, gallery_of(shots, [path.stem.removesuffix("_Iconic") for path in shots], way))
        effort(gallery)
    return 0


if __name__ == "__main__":
    sys.exit(main())
