"""One answer of several."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hyla.decide.consensus import dawid_skene, joined, majority, staple
from hyla.decide.matching import ABSENT, clusters
from hyla.errors import ConfigError, StageError
from hyla.geometry import decode, encode, rle_bounds
from hyla.schema import KINDS, Schema
from hyla.types import Kind, Labels

SCHEMA = Schema.from_config({"name": "all", "kinds": [*KINDS], "classes": {"one": {}, "two": {}}})
_ = np.nan


def crowd(skill: list[float], objects: int, classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return what is true of objects, and the answers of readers who are right with a chance of `skill`."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, objects)
    wrong = (truth + rng.integers(1, classes, (len(skill), objects))) % classes
    return truth, np.where(rng.random((len(skill), objects)) < np.array(skill)[:, None], truth, wrong).astype(float)


def test_the_majority_wins_and_a_tie_is_nobodys() -> None:
    found = majority([[0, 0, 1, ABSENT, _], [0, 1, _, ABSENT, _], [1, _, _, 2, _]])
    assert np.array_equal(found.value, [0, _, 1, ABSENT, _], equal_nan=True)
    assert np.array_equal(found.sure, [2 / 3, 0.5, 1, 2 / 3, _], equal_nan=True)
    assert majority(np.zeros((3, 0))).value.shape == (0,)
    with pytest.raises(StageError, match="readers, objects"):
        majority([1, 2])


def own_em(value: np.ndarray, k: int, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and tables after some rounds of Dawid's and Skene's equations 2.3 to 2.5, from the majority."""
    said = value.T[:, :, None] == np.arange(k)  # object, reader, class
    p = said.sum(axis=1) / said.sum(axis=(1, 2))[:, None]
    for _round in range(rounds + 1):
        table = np.einsum("jrs,jt->rst", said, p) + 1e-12
        table /= table.sum(axis=1, keepdims=True)
        if _round == rounds:
            break
        prior = p.mean(axis=0)
        log = np.log(prior) + np.einsum("jrs,rst->jt", said, np.log(table))
        p = np.exp(log - log.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    return p, table


def test_dawid_skene_is_that_of_the_paper() -> None:
    truth, value = crowd([0.9, 0.8, 0.7, 0.6], 150, 3)
    value[3, ::4] = _
    found = dawid_skene(value, rounds=6)
    p, table = own_em(value, 3, 6)
    assert np.allclose(found.sure, p.max(axis=1), atol=1e-6)
    assert (found.value == p.argmax(axis=1)).all()
    assert found.confusion is not None
    assert np.allclose(found.confusion, table, atol=1e-6)
    assert (found.value == truth).mean() > 0.85


def test_one_who_knows_outweighs_three_who_guess() -> None:
    truth, value = crowd([0.97, 0.9, 0.55, 0.55, 0.55], 400)
    found = dawid_skene(value)
    right = (found.value == truth).mean()
    assert right > (majority(value).value == truth).mean() + 0.05
    assert found.confusion is not None
    assert found.confusion[0].diagonal().min() > 0.9 > 0.7 > found.confusion[2].diagonal().max()
    assert "err independently" in found.warnings[0]
    assert len(found.warnings) == 1


def test_what_is_not_identified_is_refused_and_known_answers_help() -> None:
    truth, value = crowd([0.9, 0.6], 300)
    with pytest.raises(ConfigError, match="not identified with 2 readers") as e:
        dawid_skene(value)
    assert "known answers" in e.value.hint
    alone = np.where(np.arange(300) % 3 == np.arange(3)[:, None], crowd([0.9, 0.9, 0.9], 300)[1], _)
    with pytest.raises(ConfigError, match="readers who share no object"):
        dawid_skene(alone)
    known = np.where(np.arange(300) < 100, truth, _)
    found = dawid_skene(value, known)
    assert (found.value[:100] == truth[:100]).all()
    assert (found.value[100:] == value[0, 100:]).mean() > 0.95  # the one who was right where it is known
    assert "2.0 answers per object" in found.warnings[1]
    with pytest.raises(ConfigError, match=r"now 9\)"):
        dawid_skene(value, np.where(np.arange(300) < 9, truth, _))
    with pytest.raises(StageError, match="one answer per object"):
        dawid_skene(value, [0])


def test_absent_and_what_nobody_rated_go_through() -> None:
    value = np.array([[ABSENT, 0, 1, _], [ABSENT, 0, 1, _], [ABSENT, 0, 0, _]])
    found = dawid_skene(value, [_, _, 5, _])  # nobody ever said 5
    assert np.array_equal(found.value, [ABSENT, 0, 1, _], equal_nan=True)
    assert np.isnan(found.sure[3])


def test_dawid_skene_needs_no_network() -> None:
    code = """
import socket
def refuse(*_): raise SystemExit("it asked for the network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
import sys, numpy as np
from hyla.decide.consensus import dawid_skene
assert dawid_skene(np.array([[0.0, 1, 0, 1]] * 3)).value.tolist() == [0, 1, 0, 1]
assert not {"torch", "transformers"} & set(sys.modules), "it loads what is not needed"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def mask(y: slice, x: slice, size: tuple[int, ...] = (200, 300)) -> np.ndarray:
    found = np.zeros(size, dtype=bool)
    found[..., y, x] = True
    return found


def own_staple(drawn: np.ndarray, rounds: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probability, sensitivity and specificity by Warfield's equations, the prior being the mean of all masks."""
    prior, p, q = drawn.mean(), np.full(len(drawn), 0.99999), np.full(len(drawn), 0.99999)
    for _round in range(rounds):
        on = prior * np.prod(np.where(drawn, p[:, None], 1 - p[:, None]), axis=0)
        off = (1 - prior) * np.prod(np.where(drawn, 1 - q[:, None], q[:, None]), axis=0)
        w = on / (on + off)
        p, q = (drawn * w).sum(axis=1) / w.sum(), (~drawn * (1 - w)).sum(axis=1) / (1 - w).sum()
    return w, p, q


def test_staple_is_warfields_on_the_box_around_all_masks() -> None:
    rng = np.random.default_rng(0)
    truth = mask(slice(40, 80), slice(50, 110))
    drawn = np.stack(
        [truth ^ (mask(slice(30, 90), slice(40, 120)) & (rng.random(truth.shape) < rate)) for rate in (0.05, 0.1, 0.3)]
    )
    found = staple([encode(one) for one in drawn])
    inside = tuple(slice(axis.min() - 1, axis.max() + 2) for axis in np.nonzero(drawn.any(axis=0)))
    cut = drawn[(slice(None), *inside)]
    w, p, q = own_staple(cut.reshape(3, -1))
    assert np.allclose(found.sensitivity, p, atol=1e-3)
    assert np.allclose(found.specificity, q, atol=1e-3)
    assert (decode(found.mask)[inside].ravel() == (w >= 0.5)).mean() > 0.999
    assert (decode(found.mask) != truth).mean() < 0.005
    assert found.sensitivity[2] < 0.75 < 0.9 < found.sensitivity[0]


def test_staple_of_the_same_mask_is_that_mask_in_two_and_three_dimensions() -> None:
    for one in (mask(slice(5, 9), slice(3, 7), (4, 20, 20)), mask(slice(0, 20), slice(0, 20), (20, 20)), np.zeros((9, 9), bool)):
        found = staple([encode(one)] * 3)
        assert (decode(found.mask) == one).all()
        assert found.sensitivity.tolist() == found.specificity.tolist() == [1, 1, 1]


def test_staple_refuses_what_it_can_not_join(monkeypatch: pytest.MonkeyPatch) -> None:
    one = encode(mask(slice(0, 5), slice(0, 5)))
    with pytest.raises(ConfigError, match="STAPLE needs 3 masks"):
        staple([one, one])
    with pytest.raises(StageError, match="different sizes"):
        staple([one, one, encode(np.ones((5, 5), bool))])
    for name, call in (("SimpleITK", lambda: staple([one] * 3)), ("crowdkit", lambda: dawid_skene(np.zeros((3, 2))))):
        for module in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ConfigError, match="needs the package") as e:
            call()
        assert e.value.hint == "pip install 'hyla[decide]'"


def test_joined_boxes_lie_in_the_middle_and_the_majority_decides_what_is_there() -> None:
    readers = [
        Labels.of([0, 1], [[0, 0, 10, 10], [50, 50, 60, 60]], score=[0.2, 0.9]),
        Labels.of([1], [[1, 0, 11, 10]]),
        Labels.of([1, 0], [[4, 0, 14, 10], [80, 80, 90, 90]]),
    ]
    found = joined(readers, clusters(readers, SCHEMA, 0.4))
    assert found.box.tolist() == [[1, 0, 11, 10]]
    assert (found.class_id.tolist(), found.score.tolist()) == ([1], [1.0])
    heavy = joined(readers, clusters(readers, SCHEMA, 0.4), [4, 1, 1])
    assert heavy.class_id.tolist() == [0, 1]  # of so much weight, the first has a majority alone
    assert heavy.box[0].tolist() == pytest.approx([5 / 6, 0, 65 / 6, 10])
    assert heavy.score.tolist() == pytest.approx([1, 4 / 6])
    assert len(joined([readers[0], Labels.empty()], [(0, -1), (1, -1)])) == 0  # a half is no majority
    for bad in ([1, 1], [1, 1, 0]):
        with pytest.raises(StageError, match="weights must be above 0"):
            joined(readers, [], bad)


def test_joined_masks_have_the_pixels_of_most_and_other_shapes_are_one_of_theirs() -> None:
    drawn = [mask(slice(10, 20), slice(x, x + 10)) for x in (30, 31, 33)]
    readers = [Labels.of([0], kind=Kind.MASK, shape=[encode(one)]) for one in drawn]
    found = joined(readers, [(0, 0, 0)])
    assert (decode(found.shape[0]) == (np.sum(drawn, axis=0) >= 2)).all()
    assert found.box[0].tolist() == rle_bounds(found.shape[0]).tolist() == [31, 10, 41, 20]
    lines = [np.array([[0.0, y], [100, y + 10]]) for y in (0, 2, 9)]
    one = joined([Labels.of([0], kind=Kind.POLYLINE, shape=[line]) for line in lines], [(0, 0, 0)])
    assert one.shape[0] is lines[1]
    SCHEMA.check(found)
    SCHEMA.check(one)
