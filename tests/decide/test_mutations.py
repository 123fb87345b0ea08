"""Each way of getting it wrong that people are known to take, seen to break the promise where the right one keeps it.

Every test holds a wrong variant, plays many audits of one population, and asks that its false claims are far above delta; the
right way, on the same audits, stays within what chance allows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from audit_kit import box_lot, draw_by_size, single_lot
from hyla.decide import bounds, threshold
from hyla.types import Floats, Ints

N, M, EPS, DELTA, REPS = 2000, 300, 0.05, 0.05, 400
CUTS = tuple(range(20, N + 1, 20))
ALLOWED = int(EPS * N)
MOST = int(binom.ppf(0.999, REPS, DELTA))


@pytest.fixture(scope="module")
def wrong() -> Floats:
    """Return the errors of a population, most sure first: few at first, then more and more."""
    rng = np.random.default_rng(0)
    return (rng.random(N) < np.linspace(0, 0.6, N) ** 2).astype(float)


def remaining(wrong: Floats, audit: Ints, cut: int) -> float:
    """Return the errors that remain among the first `cut`, those of the audit put right."""
    return float(wrong[:cut].sum() - wrong[audit[audit < cut]].sum())


def right(wrong: Floats, audit: Ints) -> int:
    """Return the cut of the real test."""
    lot = single_lot(np.arange(N))
    return threshold.test(lot, threshold.Test(0, "", "hypergeometric", EPS, DELTA, CUTS), audit, wrong).cut


def false_claims(wrong: Floats, way: Callable[[Floats, Ints], int], seed: int = 1) -> int:
    rng, count = np.random.default_rng(seed), 0
    for _ in range(REPS):
        audit = rng.choice(N, M, replace=False)
        count += remaining(wrong, audit, way(wrong, audit)) > ALLOWED
    return count


def test_the_right_way_keeps_its_promise(wrong: Floats) -> None:
    claims = false_claims(wrong, right)
    assert 0 < claims <= MOST  # it is not that it never claims anything


def test_a_threshold_read_off_the_sample(wrong: Floats) -> None:
    def plug_in(wrong: Floats, audit: Ints) -> int:
        d = np.searchsorted(np.sort(audit[wrong[audit] > 0]), CUTS)
        passed = threshold.first_failure((d / M) <= EPS)
        return CUTS[passed - 1] if passed else 0

    assert false_claims(wrong, plug_in) > 2 * MOST


def test_looking_again_and_again_at_a_test_of_fixed_size() -> None:
    """One cut, with as many errors as are hardest to tell from too many: each look is a new chance to pass."""
    rng, looks, once, reps = np.random.default_rng(2), 0, 0, 1000
    errors = ALLOWED + 1 + bounds.most_found(ALLOWED, N, M, DELTA)
    sizes = np.arange(60, M + 1, 8)
    allowed = np.array([bounds.most_found(ALLOWED, N, m, DELTA) for m in sizes])
    for _ in range(reps):
        d = np.cumsum(rng.permutation(N)[:M] < errors)[sizes - 1]
        false = (d <= allowed) & (errors - d > ALLOWED)
        looks += false.any()
        once += false[-1]
    assert looks > 1.3 * binom.ppf(0.999, reps, DELTA)
    assert 0 < once <= binom.ppf(0.999, reps, DELTA)


def test_auditing_the_most_uncertain_alone() -> None:
    """Errors sit where the model is most sure: an audit of what it is least sure of never meets them."""
    sure_and_wrong = np.zeros(N)
    sure_and_wrong[: ALLOWED + 60] = 1

    def uncertain(wrong: Floats, audit: Ints) -> int:
        return right(wrong, np.arange(N - M, N))

    assert false_claims(sure_and_wrong, uncertain) == REPS
    assert false_claims(sure_and_wrong, right) <= MOST


def test_using_the_pilot_again_in_the_test(wrong: Floats) -> None:
    """The order is learned from a pilot: what the pilot saw to be right goes first, and then the pilot is counted as an audit."""
    rng, reused, apart = np.random.default_rng(3), 0, 0
    noise = (rng.random(N) < 0.12).astype(float)  # errors that no score foretells
    for _ in range(REPS):
        pilot = rng.choice(N, M, replace=False)
        rest = np.setdiff1d(np.arange(N), pilot)
        clean = pilot[noise[pilot] == 0]
        order = np.r_[clean, rng.permutation(rest), pilot[noise[pilot] == 1]]
        place = np.argsort(order)
        moved = noise[order]
        reused += remaining(moved, place[pilot], right(moved, place[pilot])) > ALLOWED
        fresh = rng.choice(N, M, replace=False)
        apart += remaining(moved, fresh, right(moved, fresh)) > ALLOWED
    assert reused > 10 * MOST
    assert apart <= MOST


def test_auditing_boxes_and_never_what_is_missing() -> None:
    rng, reps = np.random.default_rng(5), 80
    boxes = rng.integers(2, 10, 600)
    n_boxes = int(boxes.sum())
    lot = box_lot(boxes, rng.random(n_boxes), np.full(600, 0.01))
    is_box = lot.row >= 0
    wrong = np.where(is_box, rng.random(len(lot.item)) < 0.02, 0).astype(float)
    wrong[~is_box] = rng.poisson(0.07 * boxes)  # objects that the machine missed
    boxes_alone = np.where(is_box, wrong, 0.0)
    cuts = tuple(range(60, len(lot.item) + 1, 60))
    assert wrong.sum() / lot.size.sum() > EPS > boxes_alone.sum() / lot.size.sum()
    test, order, false = threshold.Test(0, "", "betting", EPS, DELTA, cuts), lot.order(), {"boxes": 0, "whole": 0}
    for _ in range(reps):
        draws = draw_by_size(rng, lot.size, 200)
        for name, seen in (("boxes", boxes_alone), ("whole", wrong)):
            cut = threshold.test(lot, test, draws, seen, order=order).cut
            accepted = order[:cut][~np.isin(lot.ask_unit[order[:cut]], draws)]
            false[name] += wrong[accepted].sum() > EPS * lot.size.sum()
    most = binom.ppf(0.999, reps, DELTA)
    assert false["boxes"] > 4 * most
    assert false["whole"] <= most


def test_taking_the_last_crossing_instead_of_the_first() -> None:
    """A test for each cut by its own sample: the errors come in steps, and each step is a new chance to pass."""
    steps = np.zeros(N)
    steps[: ALLOWED + 4] = 1  # too much from here on
    rng, last, first = np.random.default_rng(6), 0, 0
    cuts = np.array(CUTS[6:])
    for _ in range(REPS):
        # a sample of its own for each cut makes the tests independent, as those far apart in a large lot nearly are
        d = np.array([rng.hypergeometric(ALLOWED + 4, N - ALLOWED - 4, M) for _ in cuts])
        passes = bounds.hypergeometric_p(d, ALLOWED + 1, N, M) <= DELTA
        last += passes.any()
        first += threshold.first_failure(passes) > 0
    assert last > 5 * MOST
    assert first <= MOST


def test_choosing_the_grid_after_the_sample() -> None:
    """Ten scores to cut along, none of them any good: the one that the sample likes best is taken after it is seen."""
    rng, after, before, reps = np.random.default_rng(7), 0, 0, 100
    noise = np.zeros(N)
    noise[: 4 * ALLOWED] = 1
    for _ in range(reps):
        audit = rng.choice(N, M, replace=False)
        orders = [rng.permutation(N) for _ in range(10)]
        cuts = [right(noise[order], np.argsort(order)[audit]) for order in orders]
        left = [remaining(noise[o], np.argsort(o)[audit], cut) for o, cut in zip(orders, cuts, strict=True)]
        after += left[int(np.argmax(cuts))] > ALLOWED
        before += left[0] > ALLOWED
    assert after > 1.3 * binom.ppf(0.999, reps, DELTA)
    assert before <= binom.ppf(0.999, reps, DELTA)


def test_refining_the_cuts_after_the_sample_is_harmless_while_the_last_one_stands(wrong: Floats) -> None:
    """Where counts are tested, one number of errors serves every cut: the finest grid claims no more than it may."""
    most = bounds.most_found(ALLOWED, N, M, DELTA)

    def finest(wrong: Floats, audit: Ints) -> int:
        hits = np.sort(audit[wrong[audit] > 0])
        return int(hits[most]) if len(hits) > most else N  # just before the first error found too many

    assert 0 < false_claims(wrong, finest) <= MOST
