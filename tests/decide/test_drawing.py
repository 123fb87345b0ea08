"""An audit is drawn from the seed alone, as anybody can draw it again; what a person must answer follows from cuts and draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from scipy.stats import chisquare

from audit_kit import box_lot, single_lot
from hyla.decide.drawing import draw, drawable, orders, route
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.planning import Plan, StratumPlan
from hyla.types import Ints


def planned(draws: Sequence[int], method: str = "hypergeometric") -> Plan:
    parts = [
        StratumPlan("", 1, 1, 1.0, 0.05, 0.05, method if m else "census", m, (1,), 0.0, 0.0, 0.0, 0.0, bool(m), 0.0, "")
        for m in draws
    ]
    return Plan(0.05, 0.05, "planned", tuple(parts))


def boxes(pictures: int = 40) -> Lot:
    rng = np.random.default_rng(0)
    count = rng.integers(0, 6, pictures)
    return box_lot(count, rng.random(int(count.sum())), rng.random(pictures))


def test_without_replacement_it_is_the_smallest_hashes_of_seed_stratum_and_id() -> None:
    stratum = np.arange(60) % 2
    lot = single_lot(np.arange(60), stratum=stratum, settled=np.arange(60) < 6)
    drawn = draw(lot, planned([7, 5]), "a seed")
    for s, m in enumerate((7, 5)):
        units = [u for u in range(6, 60) if stratum[u] == s]
        units.sort(key=lambda u: sha256(f"a seed:s{s}:i{u}".encode()).digest())
        assert drawn[s].tolist() == units[:m]


def test_with_replacement_each_draw_is_a_hash_into_the_cumulative_sizes() -> None:
    lot = boxes()
    drawn = draw(lot, planned([50], "betting"), "seed")[0]
    edges = np.cumsum(lot.size)
    for j, unit in enumerate(drawn.tolist()):
        place = int.from_bytes(sha256(f"seed::{j}".encode()).digest()[:8], "big") / 2**64 * edges[-1]
        assert edges[unit] - lot.size[unit] <= place < edges[unit]


def test_a_longer_audit_goes_on_where_a_shorter_one_ended() -> None:
    for lot, method in ((single_lot(np.arange(60)), "alpha"), (boxes(), "betting")):
        assert draw(lot, planned([30], method), "x")[0][:10].tolist() == draw(lot, planned([10], method), "x")[0].tolist()


def test_another_seed_or_stratum_gives_another_audit() -> None:
    lot = single_lot(np.arange(200))
    assert draw(lot, planned([20]), "1")[0].tolist() != draw(lot, planned([20]), "2")[0].tolist()
    other = replace(lot, strata=("north",))
    assert draw(lot, planned([20]), "1")[0].tolist() != draw(other, planned([20]), "1")[0].tolist()


def test_every_unit_is_as_likely_as_its_size_says() -> None:
    lot = single_lot(np.arange(50))
    found = np.concatenate([draw(lot, planned([10]), str(k))[0] for k in range(1000)])
    assert chisquare(np.bincount(found, minlength=50)).pvalue > 1e-4
    lot = boxes()
    found = draw(lot, planned([20_000], "betting"), "y")[0]
    assert chisquare(np.bincount(found, minlength=len(lot)), 20_000 * lot.size / lot.size.sum()).pvalue > 1e-4


def test_what_is_settled_or_always_asked_is_never_drawn() -> None:
    lot = boxes()
    settled = np.arange(len(lot)) % 3 == 0
    always = lot.ask_unit % 3 == 1
    lot = replace(lot, settled=settled, always=always)
    assert drawable(lot).tolist() == (np.arange(len(lot)) % 3 == 2).tolist()
    assert set((draw(lot, planned([500], "betting"), "x")[0] % 3).tolist()) == {2}
    assert draw(lot, planned([0]), "x")[0].tolist() == []


def test_a_unit_with_one_ask_that_may_be_left_out_can_be_drawn() -> None:
    lot = boxes()
    lot = replace(lot, always=lot.row != WHOLE)
    assert drawable(lot).all()


def test_a_group_is_drawn_by_its_first_item() -> None:
    lot = single_lot(np.arange(12))
    lot = replace(lot, unit=np.arange(12) // 3, **{name: getattr(lot, name)[:4] for name in ("size", "stratum", "settled")})
    drawn = draw(lot, planned([4]), "x")[0]
    assert drawn.tolist() == sorted(range(4), key=lambda u: sha256(f"x:s0:i{3 * u}".encode()).digest())


def test_asked_is_what_is_not_left_out_and_all_of_what_was_drawn() -> None:
    lot = single_lot(np.arange(10), settled=np.arange(10) == 9)
    lot = replace(lot, always=np.arange(10) == 1)
    asked = route(lot, [4], [np.array([0, 7])])
    # the order is 0 2 3 4 5 6 7 8: left out are 0 2 3 4, of which 0 was drawn; 1 is always asked; 9 is settled
    assert np.flatnonzero(asked).tolist() == [0, 1, 5, 6, 7, 8]


def test_all_asks_of_a_drawn_picture_are_asked() -> None:
    lot = boxes()
    everything: Ints = np.array([], dtype=np.int64)
    assert not route(lot, [len(lot.item)], [everything]).any()
    assert route(lot, [0], [everything]).all()
    asked = route(lot, [len(lot.item)], [np.array([3, 8, 3])])
    assert set(lot.ask_unit[asked].tolist()) == {3, 8}
    assert asked.sum() == lot.size[[3, 8]].sum()


def test_strata_have_orders_of_their_own() -> None:
    stratum = np.array([0, 1, 0, 1, 0, 1])
    lot = single_lot([0.6, 0.5, 0.4, 0.3, 0.2, 0.1], stratum=stratum)
    assert [order.tolist() for order in orders(lot)] == [[4, 2, 0], [5, 3, 1]]
    assert np.flatnonzero(route(lot, [1, 2], [np.array([], dtype=np.int64)] * 2)).tolist() == [0, 1, 2]


def test_one_count_of_draws_is_needed_for_each_stratum() -> None:
    with pytest.raises(ValueError, match="zip"):
        draw(single_lot(np.arange(6)), planned([1, 1]), "x")
