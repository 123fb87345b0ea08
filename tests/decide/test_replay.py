"""A certificate comes out of the project again to the last bit, and whatever was changed on either side is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from certificate_kit import evidence, pictures
from hyla.decide.certificate import Certificate, Evidence, issue
from hyla.decide.replay import Differs, compare, differences, recompute
from hyla.errors import StoreError
from hyla.store import Project
from hyla.store.asks import Ask
from hyla.types import Labels
from store_kit import fill, raw, start

N = 700


@pytest.fixture(scope="module")
def found() -> Evidence:
    return evidence(*pictures(N, rate=0.04), eps=0.1, delta=0.1)


@pytest.fixture
def project(tmp_path: Path, found: Evidence) -> Iterator[Project]:
    """Return a project in which people answered what is asked: wrong pictures were rejected, and the others accepted."""
    with Project.create(tmp_path) as made:
        run = start(made)
        fill(made, N, labels=Labels.empty())
        made.finish_run(run, "done", {})
        asked = np.flatnonzero(~np.isnan(found.wrong)).tolist()
        made.decide_all(
            [Ask(f"item{i:05d}", "reject" if found.wrong[i] else "accept", "ann", f"k{i}", active_ms=1500) for i in asked]
        )
        yield made


def gatherer(found: Evidence) -> object:
    """Return what reads the evidence on the lot of `found` from a project, up to a decision."""

    def gather(project: Project, number: int, head: str) -> Evidence:
        assert number == found.number
        wrong, spent, last = np.full(N, np.nan), 0, ""
        for one in project.decisions():
            wrong[int(one.item_id[4:])] = float(one.after["outcome"] == "reject")
            spent, last = spent + one.active_ms, one.hash
            if last == head:
                break
        n = int((~np.isnan(wrong)).sum())
        return replace(found, wrong=wrong, head=last, spent={"answer": (n, spent / 1000)})

    return gather


def test_it_comes_out_the_same_to_the_last_bit(project: Project, found: Evidence) -> None:
    gather = gatherer(found)
    made = issue(gather(project, 1, ""))
    assert made.issued
    again = recompute(project, made.to_dict(), gather)
    assert (again, again.text) == (made, made.text)
    assert again.seconds["spent"]["answer"] == {"n": made.asks["answered"], "seconds": 1.5 * made.asks["answered"]}


def test_what_was_said_since_changes_nothing(project: Project, found: Evidence) -> None:
    gather = gatherer(found)
    made = issue(gather(project, 1, ""))
    first = next(iter(project.decisions()))
    project.decide(first.item_id, "reject", who="ben", key="later")
    assert recompute(project, made.to_dict(), gather).text == made.text
    assert issue(gather(project, 1, "")).text != made.text


def test_it_does_not_matter_which_version_recomputes(project: Project, found: Evidence) -> None:
    made = replace(issue(gatherer(found)(project, 1, "")), version="0.0.9")
    assert recompute(project, made.to_dict(), gatherer(found)).version == "0.0.9"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("eps",), 0.01, "eps is 0.01, and 0.1 by what is stored"),
        (("strata", 0, "errors"), -1.0, r"strata\[0\].errors is -1.0, and"),
        (("strata", 0, "upper"), 0.05, r"strata\[0\].upper is 0.05"),
        (("whole", "upper"), 0.1 + 1e-17 + 1e-15, "whole.upper is 0.100000000000001"),
        (("sentence",), "All is well.", "sentence is 'All is well.'"),
        (("units", "accepted"), 700, "units.accepted is 700"),
        (("not_covered",), [], r"not_covered is \[\]"),
        (("seed",), "5eed5eed", "seed is '5eed5eed', and '5eed' by"),
        (("digest",), "00" * 32, "digest is '0000"),
    ],
)
def test_a_changed_certificate_is_named_where_it_was_changed(
    project: Project, found: Evidence, path: tuple[object, ...], value: object, said: str
) -> None:
    given = issue(gatherer(found)(project, 1, "")).to_dict()
    place = given
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    with pytest.raises(Differs, match=said) as told:
        recompute(project, given, gatherer(found))
    assert "more" not in told.value.what


def test_a_changed_ledger_is_seen_before_anything_is_recomputed(project: Project, found: Evidence) -> None:
    given = issue(gatherer(found)(project, 1, "")).to_dict()
    raw(project.path, "UPDATE decisions SET who = 'eve' WHERE seq = 3", free=True)
    with pytest.raises(StoreError, match="decision 3 was changed") as told:
        recompute(project, given, gatherer(found))
    assert "hyla verify" in told.value.hint


def test_a_ledger_that_was_cut_off_is_seen(project: Project, found: Evidence) -> None:
    project.decide("item00000", "accept", who="ann", key="one more")
    given = issue(gatherer(found)(project, 1, "")).to_dict() | {"head": "ab" * 32}
    with pytest.raises(StoreError, match="the head given is not in the chain"):
        recompute(project, given, gatherer(found))


def test_a_refusal_is_replayed_too(project: Project, found: Evidence) -> None:
    from hyla.decide.evidence import Reviewers

    careless = replace(found, reviewers=Reviewers(seeds={"swap": (50, 30)}, delta=0.02))
    given = issue(gatherer(careless)(project, 1, ""))
    assert not given.issued
    assert recompute(project, given.to_dict(), gatherer(careless)).text == given.text


def test_many_differences_are_counted(found: Evidence) -> None:
    made = issue(found)
    other = Certificate.from_dict(
        made.to_dict() | dict.fromkeys(("seed", "digest", "unit", "error", "mode", "head", "project"), "x")
    )
    with pytest.raises(Differs, match="and 2 more"):
        compare(other, made)


def test_differences_tell_numbers_from_words_and_lists_by_length() -> None:
    assert list(differences({"a": [1, {"b": 2.0}]}, {"a": [1, {"b": 2.0}]})) == []
    assert list(differences({"a": 1}, {"a": 1.0})) == ["a is 1, and 1.0 by what is stored"]
    assert list(differences({"a": [1]}, {"a": [1, 2]})) == ["a is [1], and [1, 2] by what is stored"]
    assert list(differences({"a": 1}, {"b": True})) == [
        "a is 1, and None by what is stored",
        "b is None, and True by what is stored",
    ]
