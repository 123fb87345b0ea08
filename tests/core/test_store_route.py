"""Flags become verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from hyla.decide.route import item_verdict, label_verdicts, raised
from hyla.errors import StageError
from hyla.types import Flag, Severity, Verdict

A, R, X = Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT
ORDER = {A: 0, R: 1, X: 2}


def flag(severity: str, *rows: int) -> Flag:
    return Flag("rule", "reason", Severity(severity), rows)


@pytest.mark.parametrize(
    ("flags", "item", "labels"),
    [
        ([], A, "accept accept accept"),
        ([flag("note")], A, "accept accept accept"),
        ([flag("note", 1)], A, "accept accept accept"),
        ([flag("review", 1)], R, "accept review accept"),
        ([flag("review")], R, "review review review"),
        ([flag("human", 0)], R, "review accept accept"),
        ([flag("second", 0, 2)], R, "review accept review"),
        ([flag("reject", 1)], A, "accept reject accept"),
        ([flag("reject")], X, "reject reject reject"),
        ([flag("review", 1), flag("reject", 1)], A, "accept reject accept"),
        ([flag("review", 0), flag("reject", 1)], R, "review reject accept"),
        ([flag("review"), flag("reject")], X, "reject reject reject"),
        ([flag("review"), flag("reject", 0, 1, 2)], R, "reject reject reject"),
        # What a rule calls always-human stays so, whatever else is said.
        ([flag("human", 1), flag("reject", 1)], R, "accept review accept"),
        ([flag("human", 1), flag("reject")], R, "reject review reject"),
    ],
)
def test_flags_give_verdicts(flags: list[Flag], item: Verdict, labels: str) -> None:
    verdict = item_verdict(range(3), flags)
    assert verdict is item
    assert " ".join(label_verdicts(range(3), flags, verdict)) == labels


def test_an_opinion_replaces_the_verdict_of_the_flags() -> None:
    assert item_verdict(range(2), [flag("review", 0)], A) is A
    assert item_verdict(range(2), [], X) is X
    assert item_verdict(range(2), [flag("reject")], R) is R


@pytest.mark.parametrize("severity", ["human", "second"])
@pytest.mark.parametrize("rows", [(), (1,)])
def test_no_opinion_takes_an_item_from_the_people_a_flag_calls(severity: str, rows: tuple[int, ...]) -> None:
    for opinion in (None, A, R, X):
        assert item_verdict(range(2), [flag(severity, *rows), flag("reject")], opinion, default=A) is R
        assert label_verdicts(range(2), [flag(severity, *rows)], X)[1] == "review"


def test_the_default_counts_where_no_flag_asks() -> None:
    assert item_verdict(range(2), [], default=R) is R
    assert item_verdict(range(2), [flag("note", 0)], default=R) is R
    assert item_verdict(range(2), [flag("reject")], default=R) is X


def test_labels_follow_a_verdict_that_the_flags_do_not_explain() -> None:
    assert label_verdicts(range(2), [flag("review", 0)], A).tolist() == ["accept", "accept"]
    assert label_verdicts(range(2), [flag("reject", 0)], A).tolist() == ["reject", "accept"]
    assert label_verdicts(range(2), [], R).tolist() == ["review", "review"]
    assert label_verdicts(range(2), [flag("reject", 0)], R).tolist() == ["reject", "review"]
    assert label_verdicts(range(2), [flag("review", 0)], X).tolist() == ["reject", "reject"]


def test_an_item_without_labels_has_a_verdict() -> None:
    assert item_verdict(range(0), [flag("review")]) is R
    assert label_verdicts(range(0), [flag("review")], R).tolist() == []


@pytest.mark.parametrize("row", [-1, 2])
def test_a_flag_about_a_row_that_is_not_there_names_its_rule(row: int) -> None:
    for work in (lambda f: item_verdict(range(2), f), lambda f: label_verdicts(range(2), f, R)):
        with pytest.raises(StageError, match=f"rule 'rule' flagged row {row} of 2 labels"):
            work([flag("note", 0, row)])


def test_later_flags_raise_a_verdict_and_never_lower_it() -> None:
    assert raised(A, range(2), [], [flag("review", 0)]) is R
    assert raised(A, range(2), [], [flag("note", 0)]) is A
    assert raised(R, range(2), [], [flag("note")]) is R
    assert raised(R, range(2), [flag("review")], [flag("reject")]) is X
    assert raised(R, range(2), [flag("human")], [flag("reject")]) is R
    assert raised(X, range(2), [flag("reject")], [flag("review")]) is X
    assert raised(X, range(2), [flag("reject")], [flag("human", 0)]) is R


@given(st.data(), st.integers(0, 5), st.sampled_from(Verdict))
def test_verdicts_hold_together(data: st.DataObject, n: int, default: Verdict) -> None:
    flags = data.draw(st.lists(strategies.flags(n), max_size=4))
    verdict = item_verdict(range(n), flags, default=default)
    words = label_verdicts(range(n), flags, verdict)
    always = {row for f in flags if f.severity in ("human", "second") for row in f.rows or range(n)}
    assert all(words[row] == "review" for row in always)
    if verdict == A:
        assert "review" not in words
    if verdict == X:
        assert set(words) <= {"reject"}
    later = data.draw(st.lists(strategies.flags(n), max_size=2))
    after = raised(verdict, range(n), flags, later)
    assert ORDER[after] >= ORDER[verdict] or any(f.severity in ("human", "second") for f in later)
