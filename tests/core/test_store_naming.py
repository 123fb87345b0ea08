"""Names in the store: a column that follows from the labels, and questions that never open one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.store.naming import Called, KnownName, identity_of, may_have, names_of, titles_of, value_of
from hyla.types import Flag, Labels, Verdict
from store_kit import SCHEMA, raw, record, start

SHOP = Schema.from_config(
    {
        "name": "shop",
        "kinds": ["box"],
        "classes": {"pack": {}, "drink": {"parent": "pack"}, "gap": {}},
        "attributes": {
            "place": {"type": "text", "scope": "image", "identity": True},
            "colour": {"type": "text"},
            "product": {"type": "text", "identity": True, "classes": ["pack"]},
            "brand": {"type": "text", "identity": True},
            "name": {"type": "text"},
        },
    }
)
LOOK = Flag("look", "look")


def labels(*names: str | None, score: float = 0.5, class_id: int = 1) -> Labels:
    boxes = [[10 * i, 5, 10 * i + 8, 40] for i in range(len(names))]
    return Labels.of([class_id] * len(names), boxes, score=[score] * len(names), attributes={"product": list(names)})


def waiting(name: str, *names: str | None, score: float = 0.5, class_id: int = 1, flags: tuple[Flag, ...] = (LOOK,)):
    return record(name, labels(*names, score=score, class_id=class_id), flags, Verdict.REVIEW)


def store(project: Project, *records) -> None:
    project.write([Stored(one, i, 0.0) for i, one in enumerate(records)])


@pytest.fixture
def shop(tmp_path: Path):
    with Project.create(tmp_path) as project:
        start(project, schema=SHOP)
        yield project


def test_a_name_is_the_first_identity_of_labels_as_text() -> None:
    identity = identity_of(SHOP)
    assert identity is not None
    assert identity.name == "product"
    assert identity_of(SCHEMA) is None
    assert [may_have(SHOP, identity, one) for one in range(3)] == [True, True, False]
    assert names_of(labels("a", None, ""), "product") == ["a", "", ""]
    assert names_of(labels("a", "b"), "brand") == ["", ""]
    assert names_of(labels("a", "b"), None) == [None, None]
    numbers = Labels.of([0] * 4, np.zeros((4, 4)), attributes={"number": [4711.0, np.nan, 2.5, 0.0]})
    assert names_of(numbers, "number") == ["4711", "", "2.5", "0"]
    schema = Schema.from_config(
        {"name": "n", "kinds": ["box"], "classes": {"a": {}}, "attributes": {"number": {"type": "integer", "identity": True}}}
    )
    number = identity_of(schema)
    assert number is not None
    assert (value_of(number, "4711"), value_of(number, ""), value_of(identity, "4711")) == (4711, None, "4711")
    with pytest.raises(ValueError, match="many"):
        value_of(number, "many")


def test_names_that_wait_are_counted_with_their_mean_score(shop: Project) -> None:
    low = Flag("low", "low", rows=(0,))
    store(
        shop,
        waiting("a", "cola", "cola", None, score=0.4),
        waiting("b", "cola", "lime", score=0.8),
        waiting("c", "cola", "tea", flags=(low,)),
        waiting("d", None, class_id=2),
        record("e", labels("cola", "water")),
    )
    found = {(one.class_name, one.name): (one.waiting, one.score) for one in shop.names_waiting()}
    assert found == {
        ("drink", "cola"): (4, pytest.approx((0.4 + 0.4 + 0.8 + 0.5) / 4)),
        ("drink", ""): (1, 0.4),
        ("drink", "lime"): (1, 0.8),
        ("gap", ""): (1, 0.5),
    }
    shop.decide("a", "accept", who="ann", key="1", rows=[0])
    shop.decide("a", "repair", who="ann", key="2", rows=[1])
    shop.decide("b", "unsure", who="ann", key="3")
    found = {(one.class_name, one.name): one.waiting for one in shop.names_waiting()}
    assert found == {("drink", "cola"): 1, ("drink", ""): 1, ("gap", ""): 1}
    assert shop.verify().ok


def test_known_names_are_those_that_hold(shop: Project) -> None:
    store(shop, waiting("a", "Cola 330 ml", "cola 33", "Diet cola 330"), waiting("b", "50% off", "a_b", "Lime"))
    assert shop.names_known("cola") == [KnownName(name, "drink") for name in ("cola 33", "Cola 330 ml", "Diet cola 330")]
    assert [one.name for one in shop.names_known("330 cola")] == ["Cola 330 ml", "Diet cola 330"]
    assert [one.name for one in shop.names_known("%")] == ["50% off"]
    assert [one.name for one in shop.names_known("_")] == ["a_b"]
    assert len(shop.names_known("", limit=2)) == 2
    shop.decide("a", "edit", who="ann", key="1", labels=labels("Cola 330 ml", "Cola 330 ml", "Tea"))
    assert [one.name for one in shop.names_known("cola")] == ["Cola 330 ml"]
    assert [one.name for one in shop.names_known("tea")] == ["Tea"]


def test_a_code_is_found_by_its_title(shop: Project) -> None:
    coded = labels("4711", "4712", None)
    coded.attributes["name"] = np.array(["Cola 330 ml", None, "Cola 1 l"], dtype=object)
    assert titles_of(coded, "product") == ["Cola 330 ml", "", "Cola 1 l"]
    assert titles_of(coded, "name") == ["", "", ""]
    assert titles_of(coded, None) == [None] * 3
    store(shop, record("a", coded, (LOOK,), Verdict.REVIEW))
    assert shop.names_known("col 330") == [KnownName("4711", "drink", "Cola 330 ml")]
    assert [one.name for one in shop.names_known("47")] == ["4712", "4711"]  # by what people see
    assert {(one.name, one.title) for one in shop.names_waiting()} == {
        ("4711", "Cola 330 ml"),
        ("4712", ""),
        ("", ""),
    }  # no title without a name
    assert [(one.name, one.title) for one in shop.open_labels("drink", name="4711")] == [("4711", "Cola 330 ml")]
    assert shop.verify().ok


def test_examples_are_what_people_said_newest_first(shop: Project) -> None:
    store(shop, waiting("a", "cola", "lime"), waiting("b", "cola"), record("c", labels("cola")))
    assert shop.examples("cola") == []
    shop.decide("b", "accept", who="ann", key="1")
    assert [one.item_id for one in shop.examples("cola")] == ["b"]
    named = labels("cola", "lime")
    named.score[0] = 1.0
    edited = shop.decide("a", "edit", who="ann", key="2", labels=named, open=[1])
    assert shop.examples("cola")[0] == Called("a", edited.after["annotation"], 0)
    assert shop.examples("lime") == []  # still open
    shop.decide("a", "undo", who="ann", key="3", undoes=edited.seq)
    assert [one.item_id for one in shop.examples("cola")] == ["b"]


def test_all_labels_of_a_name_come_item_by_item(shop: Project) -> None:
    store(shop, *(waiting(f"i{n}", "cola", "lime", "cola") for n in range(5)))
    first = shop.called("cola", 0, 2)
    assert [[one.row for one in rows] for rows in first.values()] == [[0, 2], [0, 2]]
    rest = shop.called("cola", max(rows[0].annotation for rows in first.values()), 99)
    assert [*first, *rest] == [f"i{n}" for n in range(5)]
    assert shop.called("tea") == {}


def test_another_spelling_answers_nothing(shop: Project) -> None:
    store(shop, waiting("a", "cola", "lime", "cola"))
    shop.decide("a", "accept", who="ann", key="1", rows=[0], mode="grid")
    shop.decide("a", "edit", who="bob", key="2", labels=labels("Cola", "lime", "Cola"), open=[1, 2], mode="grid")
    found = shop.answered(["a"])["a"]
    assert {row: one.who for row, one in found.by.items()} == {0: "ann"}
    one, two = labels("Cola", "Lime", "Cola"), labels("Cola", "Lime", "tea")
    one.score[1:2] = two.score[1:] = 1  # what a person said
    shop.decide("a", "edit", who="bob", key="3", labels=one, rows=[1], open=[2], mode="grid")
    shop.decide("a", "edit", who="cy", key="4", labels=two, rows=[2], mode="grid")
    found = shop.answered(["a"])["a"]
    assert {row: one.who for row, one in found.by.items()} == {0: "ann", 1: "bob", 2: "cy"}
    assert not found.looked
    state = shop.state("a")
    assert (state["lane"], state["outcome"]) == ("", "accept")
    assert [one.looked for one in shop.standings()] == [False]
    assert shop.verify().ok


def test_labels_without_such_an_attribute_have_no_name(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        store(project, record("a", flags=(LOOK,), verdict=Verdict.REVIEW))
        assert project.names_waiting() == project.names_known() == project.examples("x") == []
        with project._db.read() as connection:
            assert connection.exec_driver_sql("SELECT DISTINCT name FROM labels").all() == [(None,)]
            assert (
                connection.exec_driver_sql("SELECT count(*) FROM labels INDEXED BY labels_by_name WHERE name > ''").scalar() == 0
            )


def test_a_name_is_written_once_and_proved(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project, schema=SHOP)
        store(project, waiting("a", "cola", "lime"))
    with pytest.raises(Exception, match="written once"):
        raw(tmp_path, "UPDATE labels SET name = 'tea' WHERE row = 0")
    raw(tmp_path, "UPDATE labels SET name = 'tea' WHERE row = 0", free=True)
    with Project.open(tmp_path) as project:
        report = project.verify()
        assert not report.ok
        assert "differ from their rows" in report.problems[0]


@pytest.mark.parametrize(
    "ask",
    [
        lambda p: p.open_labels("drink", name="n3"),
        lambda p: p.open_labels("drink", name="n3", doubtful=True, without=["i00003"]),
        lambda p: p.names_waiting(),
        lambda p: p.names_known("n1"),
        lambda p: p.examples("n3"),
        lambda p: p.called("n3"),
    ],
)
def test_no_question_about_names_reads_all_labels(shop: Project, ask) -> None:
    asked = {}

    def note(connection, cursor, text, values, context, many) -> None:
        if text.startswith("SELECT") and "FROM runs" not in text:
            asked[text] = values

    store(shop, *(waiting(f"i{n:05d}", f"n{n % 20}", "cola") for n in range(300)))
    event.listen(shop._db.engine, "before_cursor_execute", note)
    ask(shop)
    event.remove(shop._db.engine, "before_cursor_execute", note)
    assert asked
    with shop._db.read() as connection:
        for text, values in asked.items():
            steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            scans = [step for step in steps if "SCAN" in step]
            assert all("USING COVERING INDEX labels_" in step for step in scans), steps
