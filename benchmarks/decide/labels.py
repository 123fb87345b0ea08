"""Compare ways to decide which recorded labels need a person: python benchmarks/decide/labels.py [DATA] [--reps 1000].

DATA holds the CSV files of github.com/tijana-zrnic/pac-labels (MIT): predictions of models with confidence, and the truth. If it
is not given, they are looked for in ../shared/data/pac-labels. One row per data set and eps, delta = 5 %. Each repetition is an
audit of its own, answered with the truth. What is asked, audited, or answered before the lot is frozen needs a person. Arms:

- PAC: probably approximately correct labels (Candes, Ilyas, Zrnic 2025; arXiv 2506.10908): m draws with replacement, m = n/10 for
  pictures and 500 for texts, betting bound (Waudby-Smith and Ramdas), thresholds scanned upwards to the first failure; equal
  confidences are told apart by chance.
- exact: as many draws, without replacement, with the hypergeometric bound on what the accepted held.
- Hyla: planned, drawn and tested as `hyla certify` does, in the order of the confidence.
- learned: the same, after 100 answers drawn evenly and the less certain half of what would be asked anyway; P(wrong) is learned
  from these as `hyla` does (`hyla.decide.risk.Learned`), and what is left is ordered by it.
- early: Hyla's anytime test (ALPHA) at the end of its audit, on 60 of the cuts; a third of the repetitions for 50,000 items.
- naive: confidence of 0.9 and more. No promise, but what many do.
- oracle: the longest beginning of the order that holds no more errors than allowed, known only to who knows the truth.

Of the other two files, sentiment.csv and alphafold.csv, the labels are numbers, neither right nor wrong: the paper bounds their
squared error; there is no 0/1 loss to certify, so they are left out.

Results go to labels.json beside this file, and a table to the terminal.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy.stats import beta, binom, hypergeom
from threadpoolctl import threadpool_limits

from hyla.decide.bounds import most_found
from hyla.decide.drawing import draw, orders, route
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.planning import Plan, plan
from hyla.decide.risk import Learned
from hyla.decide.sequential import alpha_e
from hyla.decide.threshold import Test, test

DELTA = 0.05
PILOT = 100  # answers before the freeze, drawn evenly
PROVED = 3  # audits of each lot that are also drawn and tested by the product itself, from a seed, and must agree
EARLY_CUTS = 60
ROWS = [
    ("imagenet", (0.05, 0.02, 0.01)),
    ("imagenetv2", (0.05, 0.02)),
    ("stance", (0.05, 0.02)),
    ("misinfo", (0.05, 0.02)),
    ("calibrated", (0.02,)),
    ("overconfident", (0.02,)),
    ("adversarial", (0.02,)),
]
SYNTHETIC = 20_000


@dataclass
class Data:
    """Hold wrong (n,), score (n,), the class said (n,), more numbers (n, k); of synthetic ones the chance (n,) to be wrong."""

    name: str
    wrong: np.ndarray
    score: np.ndarray
    said: np.ndarray
    more: np.ndarray
    chance: np.ndarray | None = None

    def __len__(self):
        return len(self.wrong)


def read(folder, name):
    with (Path(folder) / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    said = next(key for key in rows[0] if key.startswith("Yhat"))
    wrong = np.array([row["Y"] != row[said] for row in rows])
    score = np.clip([float(row["confidence"]) for row in rows], 0, 1)
    classes = np.unique([row[said] for row in rows], return_inverse=True)[1]
    more = []
    if classes.max() >= 20:  # what a class is like is told by how often and how surely it is said
        count = np.bincount(classes)
        mean = np.clip(np.bincount(classes, weights=score) / count, 1e-3, 1 - 1e-3)
        more += [np.log(count)[classes], np.log(mean / (1 - mean))[classes]]
    else:
        odds = np.clip(score, 0.01, 0.999) / (1 - np.clip(score, 0.01, 0.999))
        more += [column for c in range(classes.max() + 1) for column in (classes == c, (classes == c) * np.log(odds))]
    for key in ("source", "topic"):
        words = np.array([row.get(key, "") for row in rows])
        more += [words == word for word, n in zip(*np.unique(words, return_counts=True), strict=True) if 20 <= n < len(rows)]
    return Data(name, wrong, score, classes, np.column_stack([np.empty((len(rows), 0)), *more]).astype(float))


def synthetic(name, rng):
    """Return scores whose truth is drawn anew for each audit: P(wrong) is beta(0.75, 4.2); half have a confidence above 0.9."""
    chance = beta(0.75, 4.2).rvs(SYNTHETIC, random_state=rng)
    score = 1 - chance
    if name != "calibrated":
        odds = 1.8 * np.log(score / np.maximum(chance, 1e-12))
        score = 1 / (1 + np.exp(-odds))
    if name == "adversarial":  # 3 % are surely wrong, with the confidence of the surest
        fooled = rng.random(SYNTHETIC) < 0.03
        chance, score = np.where(fooled, 1.0, chance), np.where(fooled, 1 - 0.1 * rng.random(SYNTHETIC), score)
    nothing = np.zeros(SYNTHETIC)
    return Data(name, rng.random(SYNTHETIC) < chance, score, nothing.astype(int), np.empty((SYNTHETIC, 0)), chance)


class Tally:
    """Collect of each audit the share of the lot that needs no person, and the share of errors left."""

    def __init__(self):
        self.saved, self.left, self.draws = [], [], []

    def add(self, saved, left, draws=0):
        self.saved.append(saved)
        self.left.append(left)
        self.draws.append(draws)

    def result(self, eps):
        saved, left = np.array(self.saved), np.array(self.left)
        bad = int((left > eps + 1e-12).sum())
        return {
            "saved": float(saved.mean()),
            "spread": float(saved.std()),
            "q95": float(np.quantile(left, 0.95)),
            "violations": bad,
            "reps": len(left),
            "draws": float(np.mean(self.draws)),
            "within": bool(bad <= binom.ppf(0.999, len(left), DELTA)),
        }


def make_lot(data, risk, settled, salt):
    n = len(data)
    names = [f"{salt}-{i}".encode() for i in range(n)]
    return Lot(
        items=np.array(names),
        digests=np.array([sha256(name).hexdigest().encode() for name in names]),
        unit=np.arange(n),
        size=np.ones(n),
        stratum=np.zeros(n, dtype=np.int64),
        settled=settled,
        strata=("",),
        item=np.arange(n),
        row=np.full(n, WHOLE),
        risk=risk,
        seconds=np.full(n, 1.8),
        always=np.zeros(n, dtype=bool),
    )


def truth(data, rng):
    return data.wrong if data.chance is None else rng.random(len(data)) < data.chance


def audits(data, lot, eps, reps, rng, tally, mode="planned", known=None):
    """Audit a frozen lot `reps` times. The first few are drawn and tested by the product too, and must come out the same."""
    part = plan(lot, eps, DELTA, mode=mode).strata[0]
    order = orders(lot)[0]
    n, population = len(data), len(order)
    allowed = int(np.floor(eps * n + 1e-9))
    cuts = np.array(part.cuts, dtype=np.int64)
    most = most_found(allowed, population, part.draws, part.delta) if mode == "planned" and part.draws else -1
    if mode == "early":
        cuts = cuts[cuts < 1.2 * part.accepted_asks / (1 - part.draws / population)]
        cuts = cuts[np.unique(np.linspace(0, len(cuts) - 1, EARLY_CUTS).astype(int))] if len(cuts) else cuts
    for rep in range(reps):
        wrong = truth(data, rng)
        if known is not None and data.chance is not None:
            wrong = np.where(lot.settled, data.wrong, wrong)  # what was answered stays as it was
        bad = wrong[order]
        if not part.draws:
            tally.add(0.0, 0.0)
            continue
        seeded = rep < PROVED and mode == "planned"
        if seeded:
            drawn = draw(lot, Plan(eps, DELTA, mode, (part,)), str(rep))[0]
            rank = np.full(n, -1)
            rank[order] = np.arange(population)
            place = rank[drawn]
        else:
            place = rng.choice(population, part.draws, replace=False)
        within = np.searchsorted(np.sort(place), cuts)
        if mode == "planned":
            found = np.sort(place[bad[place]])
            stop = found[most] if most < len(found) else population
            passes = ((cuts <= stop) & (most >= 0)) | (cuts - within <= allowed)
        else:
            inside = place[place < cuts[-1]]
            passes = alpha_e(bad[inside], inside, cuts, allowed).max(axis=0) >= -np.log(part.delta)
        kept = int(np.argmin(passes)) if not passes.all() else len(cuts)
        cut = int(cuts[kept - 1]) if kept else 0
        if seeded:
            proves(lot, part, drawn, wrong, cut)
        audited = np.zeros(population, dtype=bool)
        audited[place] = True
        tally.add((cut - audited[:cut].sum()) / n, (bad & ~audited)[:cut].sum() / n, part.draws)


def proves(lot, part, drawn, wrong, cut):
    answers = np.full(len(wrong), np.nan)
    answers[drawn] = wrong[drawn]
    tested = test(lot, Test(0, part.name, part.method, part.eps, part.delta, part.cuts), drawn, answers)
    asked = route(lot, [tested.cut], [drawn])
    assert tested.cut == cut, f"the product stops at {tested.cut}, the benchmark at {cut}"
    assert tested.accepted_units == int((~asked & ~lot.settled).sum())


def hyla(data, eps, reps, rng, mode="planned", lots=0):
    """Order by confidence. Ties are broken by hash, so that several lots are tried, each with its share of the audits."""
    tally, lots = Tally(), lots or (4 if len(data) > 10_000 else 20)
    for salt in range(lots):
        lot = make_lot(data, 1 - data.score, np.zeros(len(data), dtype=bool), f"{data.name}{salt}")
        audits(data, lot, eps, -(-reps // lots), rng, tally, mode)
    return tally.result(eps)


def learned(data, eps, reps, rng, lots=0):
    tally, best, lots = Tally(), [], lots or (5 if len(data) > 10_000 else 20)
    for salt in range(lots):
        name = f"{data.name}{salt}"
        known = before_the_freeze(data, eps, rng, name)
        risk = learn(data, known, all_numbers=True)
        lot = make_lot(data, risk, known, name)
        audits(data, lot, eps, -(-reps // lots), rng, tally, known=known)
        best.append(longest(data.wrong[orders(lot)[0]], eps, len(data)))
    return tally.result(eps) | {"oracle": float(np.mean(best))}


def before_the_freeze(data, eps, rng, salt):
    """Return which units are answered before the freeze: a pilot, and the less certain half of what would be asked anyway."""
    known = np.zeros(len(data), dtype=bool)
    known[rng.choice(len(data), PILOT, replace=False)] = True
    first = make_lot(data, learn(data, known, all_numbers=False), known, salt)
    part = plan(first, eps, DELTA).strata[0]
    order = orders(first)[0]
    order = order[np.argsort(-data.score[order], kind="stable")]
    accepted = part.accepted_asks / (1 - part.draws / len(order))
    known[order[len(order) - int(0.5 * (len(order) - accepted)) :]] = True
    return known


def learn(data, known, all_numbers):
    numbers = np.column_stack([data.score, data.more]) if all_numbers else data.score[:, None]
    classes = data.said if all_numbers else np.zeros(len(data), dtype=np.int64)
    model = Learned()
    model.fit(numbers[known], data.wrong[known].astype(float), classes[known])
    return model.predict(numbers, classes) + 1e-3 * (
        1 - data.score
    )  # trees tell less apart than scores do: where equal, by these


def samples(data):
    return len(data) // 10 if data.said.max() >= 20 else 1000 if data.chance is not None else 500


def pac(data, eps, reps, rng):
    tally, n, m = Tally(), len(data), samples(data)
    top = longest(data.wrong[np.argsort(-data.score, kind="stable")], eps, n)  # fine where it matters, in favour of this arm
    levels = np.unique(np.r_[np.linspace(0, 0.5 * top, 10), np.linspace(0.5 * top, 1.1 * top, 60)] * (n - 1)).astype(int)
    for _ in range(reps):
        doubt = np.empty(n, dtype=int)
        doubt[np.lexsort((rng.random(n), -data.score))] = np.arange(n)
        wrong, drawn = truth(data, rng), rng.integers(n, size=m)
        loss = (wrong[drawn, None] & (doubt[drawn, None] <= levels)).astype(float)
        count = np.arange(1, m + 1)[:, None]
        total = np.cumsum(loss, axis=0)
        mean = (0.5 + total) / (count + 1)
        spread = np.cumsum((loss - mean) ** 2, axis=0)
        variance = np.vstack([np.full((1, len(levels)), 0.25), ((0.25 + spread) / (count + 1))[:-1]])
        bet = np.minimum(np.sqrt(2 * np.log(1 / DELTA) / (m * variance)), 0.75 / (1 - eps))
        passes = np.cumsum(np.log1p(-bet * (loss - eps)), axis=0).max(axis=0) >= -np.log(DELTA)
        kept = int(np.argmin(passes)) if not passes.all() else len(levels)
        accepted = doubt <= levels[kept - 1] if kept else np.zeros(n, dtype=bool)
        accepted[drawn] = False
        tally.add(accepted.mean(), (wrong & accepted).mean(), m)
    return tally.result(eps)


def exact(data, eps, reps, rng):
    tally, n, m = Tally(), len(data), samples(data)
    allowed = int(np.floor(eps * n + 1e-9))
    cuts = np.unique(np.linspace(allowed + 1, n, 200).astype(int))
    for _ in range(reps):
        order = np.lexsort((rng.random(n), -data.score))
        bad, audited = truth(data, rng)[order], np.zeros(n, dtype=bool)
        audited[rng.choice(n, m, replace=False)] = True
        errors, within = np.cumsum(bad & audited)[cuts - 1], np.cumsum(audited)[cuts - 1]
        passes = hypergeom.cdf(errors, cuts, allowed + 1, within) <= DELTA
        kept = int(np.argmin(passes)) if not passes.all() else len(cuts)
        cut = cuts[kept - 1] if kept else allowed
        tally.add((cut - audited[:cut].sum()) / n, (bad & ~audited)[:cut].sum() / n, m)
    return tally.result(eps)


def naive(data, eps, reps, rng):
    tally, accepted = Tally(), data.score >= 0.9
    for _ in range(reps if data.chance is not None else 1):
        tally.add(accepted.mean(), (truth(data, rng) & accepted).mean())
    return tally.result(eps)


def oracle(data, eps, reps, rng):
    tally = Tally()
    for _ in range(min(reps, 50)):
        saved = longest(truth(data, rng)[np.lexsort((rng.random(len(data)), -data.score))], eps, len(data))
        tally.add(saved, eps)
    return tally.result(eps)


def longest(bad, eps, n):
    return np.searchsorted(np.cumsum(bad), int(np.floor(eps * n + 1e-9)) + 1) / n


def early(data, eps, reps, rng):
    return hyla(data, eps, -(-reps // 3) if len(data) > 20_000 else reps, rng, mode="early")


ARMS = {"PAC": pac, "exact": exact, "Hyla": hyla, "learned": learned, "early": early, "naive": naive, "oracle": oracle}


def study(data, eps, reps, arms=tuple(ARMS), seed=0):
    """Return the result of each arm on one data set."""
    found = {}
    for arm in arms:
        started = time.perf_counter()
        found[arm] = ARMS[arm](data, eps, reps, np.random.default_rng(seed)) | {"seconds": time.perf_counter() - started}
    return found


def table(results):
    """Return the results in Markdown: % needing no person; in brackets violations per thousand and the 95 % quantile of error."""
    lines = ["| data, eps | " + " | ".join(ARMS) + " | learned oracle |", "|---|" + "---|" * (len(ARMS) + 1)]
    for row in results:
        cells = [f"{row['data']} {100 * row['eps']:g}%"]
        for arm in ARMS:
            got = row["arms"].get(arm)
            if got is None:
                cells.append("")
            elif arm in ("oracle",):
                cells.append(f"{100 * got['saved']:.1f}")
            else:
                rate = 1000 * got["violations"] / got["reps"]
                cells.append(f"{100 * got['saved']:.1f} (v {rate:.0f}‰, {100 * got['q95']:.2f})")
        cells.append(f"{100 * row['arms']['learned']['oracle']:.1f}" if "learned" in row["arms"] else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    here = Path(__file__).resolve()
    parser = argparse.ArgumentParser(description="Compare ways to decide which recorded labels need a person.")
    parser.add_argument("data", nargs="?", type=Path, default=here.parents[3] / "shared/data/pac-labels")
    parser.add_argument("--reps", type=int, default=1000)
    parser.add_argument("--only", action="append", choices=[name for name, _ in ROWS])
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--out", type=Path, default=here.with_suffix(".json"))
    args = parser.parse_args()
    results = []
    threadpool_limits(1)  # the problems are small and many: threads would only wait for each other
    for name, levels in ROWS:
        if args.only and name not in args.only:
            continue
        recorded = (args.data / f"{name}.csv").exists()
        data = read(args.data, name) if recorded else synthetic(name, np.random.default_rng(1))
        for eps in levels:
            results.append({"data": name, "n": len(data), "eps": eps, "arms": study(data, eps, args.reps, args.arms.split(","))})
            print(table(results[-1:]).splitlines()[-1], flush=True)
    args.out.write_text(json.dumps({"delta": DELTA, "reps": args.reps, "rows": results}, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
