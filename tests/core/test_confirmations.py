"""Labels that people must confirm stay inside until enough different people did, whoever asks for them and however."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confirm_kit import EVENT, ITEM, KIN, MATCH, SCHEMA, THING, Yard, labels, record
from hyla import cli, formats
from hyla.decide.route import confirming
from hyla.errors import ConfigError, StoreError
from hyla.geometry import iou
from hyla.schema import Schema
from hyla.store import Project
from hyla.store.asks import Ask, person
from hyla.store.confirming import PLAYED
from hyla.types import Flag, Labels, Severity
from store_kit import held, raw


@pytest.fixture
def yard(tmp_path: Path):
    """Give an empty project, of which all that was said holds at the end."""
    with Project.create(tmp_path / "out") as project:
        yield Yard(project)
        report = project.verify()
        assert report.ok, report.problems


def test_a_class_asks_for_no_fewer_people_than_its_parents() -> None:
    assert SCHEMA.confirmations.tolist() == [0, 1, 2, 2]
    assert SCHEMA.confirms
    assert not Schema.from_config({"classes": {"thing": {}}}).confirms
    assert Schema.from_config(SCHEMA.to_dict()) == SCHEMA
    for wrong in (-1, 3):
        with pytest.raises(ConfigError, match=f"confirmations is {wrong}"):
            Schema.from_config({"classes": {"match": {"confirmations": wrong}}})


def test_flags_of_the_schema_stand_above_any_verdict(yard: Yard) -> None:
    one, two = confirming(labels(THING, EVENT, MATCH, KIN), SCHEMA)
    assert (one.severity, one.rows, one.rule, one.reason) == (Severity.HUMAN, (1,), "schema", "needs_confirmation")
    assert (two.severity, two.rows) == (Severity.SECOND, (2, 3))
    assert confirming(labels(THING), SCHEMA) == ()
    # Stored as accepted, and with a rule that would drop them: whoever wrote the record, the store asks.
    yard.hold(THING, EVENT, MATCH, flags=(Flag("r", "dropped", Severity.REJECT),))
    assert held(yard.project, ITEM)[::2][:2] == ("review", "1-2")
    assert yard.out == ["thing"]


def test_one_person_confirms_what_asks_for_one(yard: Yard) -> None:
    yard.hold(EVENT)
    assert yard.out == []
    assert yard.say("ann", "accept") == ""
    assert yard.out == ["event"]
    assert yard.undo() == "review"
    assert yard.out == []
    assert yard.undo() == ""
    assert yard.out == ["event"]


def test_two_different_people_confirm_what_asks_for_two(yard: Yard) -> None:
    yard.hold(THING, MATCH)
    assert yard.say("ann", "accept") == "second"
    assert yard.out == ["thing"]
    for same in ("ann", "Ann", "a n n", "\uff41nn"):
        with pytest.raises(StoreError, match="gave the first answer"):
            yard.say(same, "opinion", labels(THING, MATCH))
    assert yard.say("ANN", "accept") == "second"  # again, in another spelling
    assert yard.out == ["thing"]
    assert yard.say("ben", "opinion", labels(THING, MATCH)) == ""
    assert yard.out == ["thing", "match"]
    assert yard.undo("ben") == "second"
    assert yard.out == ["thing"]
    assert yard.undo("ben") == ""
    assert yard.out == ["thing", "match"]


def test_answers_on_different_rows_by_two_are_not_two_on_each(yard: Yard) -> None:
    yard.hold(MATCH, MATCH)
    assert yard.say("ann", "accept", rows=[0], mode="grid") == "review"
    assert yard.say("ben", "accept", rows=[1], mode="grid") == "second"
    # ann reads it a second time, and has then said the first twice herself.
    assert yard.say("ann", "opinion", labels(MATCH, MATCH)) == "second"
    assert yard.project.confirmations([ITEM])[ITEM].tolist() == [1, 2]
    assert yard.out == ["match"]
    with pytest.raises(StoreError, match="gave the first answer"):
        yard.say("ann", "opinion", labels(MATCH, MATCH))
    assert yard.say("ben", "opinion", labels(MATCH, MATCH)) == ""
    assert yard.out == ["match", "match"]


def test_a_grid_of_one_person_is_one_person(yard: Yard) -> None:
    yard.hold(MATCH, KIN)
    yard.say("ann", "accept", rows=[0], mode="grid")
    assert yard.say("ann", "accept", rows=[1], mode="grid") == "second"
    assert yard.say("ann", "accept", rows=[0, 1], mode="grid") == "second"
    assert yard.out == []


def test_an_edit_that_changes_a_label_confirms_the_new_one_alone(yard: Yard) -> None:
    yard.hold(MATCH)
    yard.say("ann", "accept")
    assert yard.say("ben", "edit", labels(MATCH, shift=1.0)) == "second"
    assert yard.project.confirmations([ITEM])[ITEM].tolist() == [1]
    assert yard.out == []
    assert yard.say("cat", "edit", labels(MATCH, shift=1.0, entry="18")) == "second"
    assert yard.project.confirmations([ITEM])[ITEM].tolist() == [1]
    assert yard.out == []
    assert yard.say("dan", "edit", labels(THING, MATCH, shift=1.0, entry="18")) == "second"  # elsewhere it is another label
    assert yard.out == ["thing"]


def test_an_edit_of_a_part_confirms_what_it_changes(yard: Yard) -> None:
    yard.hold(MATCH, MATCH, EVENT)
    yard.say("ann", "accept")
    changed = labels(MATCH, MATCH, EVENT)
    changed.box[1] += 1.0
    yard.project.decide_all([Ask(ITEM, "edit", "ben", "part", labels=changed, part=True)])
    assert yard.project.state(ITEM)["said"] == {"ann": "0,2", "ben": "1"}
    added = Labels.concat([changed, labels(KIN)])
    yard.project.decide_all([Ask(ITEM, "edit", "cat", "more", labels=added, part=True)])
    assert yard.project.state(ITEM)["said"] == {"ann": "0,2", "ben": "1", "cat": "3"}
    assert yard.say("dan", "edit", added) == "second"
    assert yard.project.state(ITEM)["said"] == {"ann": "0,2", "ben": "1", "cat": "3", "dan": "0-3"}
    assert "part" not in yard.project.state(ITEM)


def test_what_was_asked_before_there_were_edits_of_a_part_is_known_again() -> None:
    edit = Ask(ITEM, "edit", "ann", "k", labels=labels(MATCH))
    assert Ask(ITEM, "accept", "ann", "k").digest == "32a645e1c4fabfaafa521f44ec3b21c057e3942a8337a49e2ecc6a6fce356697"
    assert edit.digest != replace(edit, part=True).digest
    with pytest.raises(StoreError, match="only an edit"):
        Ask(ITEM, "accept", "ann", "k", part=True).prove()


def test_a_label_added_to_what_was_settled_waits_for_its_people(yard: Yard) -> None:
    yard.hold(THING)
    assert held(yard.project, ITEM)[0] == ""
    assert yard.say("ann", "edit", labels(THING, MATCH)) == "second"
    assert yard.out == ["thing"]
    # Who sees what the machine said, and does not find it there, differs: a third chooses.
    assert yard.say("ben", "opinion", labels(THING)) == "adjudicate"
    assert yard.out == ["thing"]
    assert yard.say("cat", "adjudicate", labels(THING, MATCH)) == ""
    assert yard.out == ["thing", "match"]
    assert yard.say("ann", "edit", labels(THING, MATCH, KIN)) == "second"  # and again, by hand, on what is done
    assert yard.out == ["thing", "match"]


def test_two_who_name_different_entries_do_not_agree(yard: Yard) -> None:
    yard.hold(MATCH)
    yard.say("ann", "accept")
    assert yard.say("ben", "opinion", labels(MATCH, entry="18")) == "adjudicate"
    assert yard.out == []
    # An adjudicator who agrees with neither has said it alone.
    assert yard.say("cat", "adjudicate", labels(MATCH, entry="19")) == "second"
    assert yard.out == []
    with pytest.raises(StoreError, match="gave the first answer"):
        yard.say("cat", "opinion", labels(MATCH, entry="19"))
    assert yard.say("ann", "opinion", labels(MATCH, entry="19")) == ""
    assert yard.out == ["match"]


def test_another_track_is_another_label(yard: Yard) -> None:
    yard.hold(MATCH)
    yard.say("ann", "accept")
    other = labels(MATCH)
    other.track[:] = 5
    assert yard.say("ben", "opinion", other) == "adjudicate"
    assert yard.say("cat", "adjudicate", other) == ""  # ben and cat
    assert yard.out == ["match"]


def test_no_setting_makes_people_agree_on_labels_apart(yard: Yard) -> None:
    yard.hold(MATCH)
    yard.project.remember("agree_iou", 0.01)
    yard.say("ann", "accept")
    assert yard.say("ben", "opinion", labels(MATCH, shift=14.0)) == "adjudicate"
    assert yard.out == []


def test_who_calls_it_wrong_takes_it_from_everybody(yard: Yard) -> None:
    yard.hold(EVENT, MATCH)
    yard.say("ann", "accept")
    assert yard.out == ["event"]
    yard.say("ben", "repair", rows=[0])
    assert yard.out == []
    yard.undo("ben")
    yard.say("ann", "unsure", rows=[1])
    assert yard.project.confirmations([ITEM])[ITEM].tolist() == [1, 0]
    yard.say("ben", "reject")
    assert yard.out == []
    assert yard.project.confirmations([ITEM])[ITEM].tolist() == [0, 0]


def test_rows_move_when_others_are_dropped(yard: Yard) -> None:
    yard.hold(THING, EVENT, EVENT)
    yard.say("ann", "accept", rows=[2])
    yard.say("ben", "reject", rows=[0])
    assert yard.project.confirmations([ITEM])[ITEM].tolist() == [0, 1]
    assert yard.out == ["event"]


def test_while_two_differ_nothing_leaves(yard: Yard) -> None:
    yard.hold(EVENT, flags=(Flag("r", "twice", Severity.SECOND),))
    assert yard.say("ann", "accept") == "second"
    assert yard.out == ["event"]
    assert yard.say("ben", "opinion", Labels.empty()) == "adjudicate"
    assert yard.out == []
    assert yard.say("cat", "adjudicate", labels(EVENT)) == ""
    assert yard.out == ["event"]


@pytest.mark.parametrize("name", ["ann", "ben"])
def test_a_file_confirms_nothing(yard: Yard, name: str) -> None:
    yard.hold(THING)
    for who in ("ann", "ben", "cat"):
        assert yard.project.add([record(labels(EVENT, MATCH))], f"human:{who}") == 1
        assert held(yard.project, ITEM)[0] == "review"
        assert yard.out == []
    assert yard.say(name, "accept") == "second"  # who brought the file in is a person like any other
    assert yard.out == ["event"]
    assert yard.say("cat" if name == "ann" else "ann", "opinion", labels(EVENT, MATCH)) == ""
    assert yard.out == ["event", "match"]
    yard.project.add([record(labels(MATCH, entry="99"))], "human:dan")  # over what two people confirmed
    assert held(yard.project, ITEM)[0] == "review"
    assert yard.out == []


def test_a_program_confirms_only_in_the_copy_that_it_plays_in(yard: Yard) -> None:
    yard.hold(EVENT)
    assert yard.say("reader", "accept", mode="simulated") == "review"
    assert yard.out == []
    yard.undo()
    yard.project.remember(PLAYED, True)
    assert yard.say("reader", "accept", mode="simulated") == ""  # the play goes on to its end
    assert yard.out == []  # and nothing leaves on its word


def test_truth_is_data_to_measure_against(yard: Yard) -> None:
    yard.hold(MATCH)
    yard.project.add([record(labels(MATCH, EVENT))], "truth:survey")
    assert [len(one.labels) for one in yard.project.released("truth:survey")] == [2]


def test_flags_follow_the_labels_that_are_left(yard: Yard) -> None:
    told = (Flag("r", "near", rows=(0, 3)), Flag("r", "alike", rows=(1,), message="looks like entry 17"), Flag("r", "dark"))
    yard.hold(THING, MATCH, EVENT, THING, flags=told)
    (one,) = yard.project.released()
    assert [(flag.reason, flag.rows) for flag in one.flags] == [("near", (0, 1)), ("dark", ())]


def test_what_says_who_it_is_goes_nowhere_else(yard: Yard) -> None:
    """A model can't smuggle the entry of a match out on a label that nobody must confirm."""
    yard.hold(THING)
    smuggled = labels(THING, MATCH)
    smuggled.attributes["entry"][:] = "17"
    yard.say("ann", "edit", smuggled)
    released = yard.project.released()
    (one,) = released
    assert one.labels.attributes["entry"].tolist() == [None]
    assert released.left_out == 2


def test_names_are_people() -> None:
    assert len({person(name) for name in ("Ann Lee", "ann lee", "ANN  LEE", "annlee", "\uff21nn Lee")}) == 1
    assert person("ann") != person("ben")


def exported(project: Path, to: Path, name: str, *more: str) -> tuple[str, list[int], dict[str, int]]:
    """Return all that a format wrote, as text and as classes read back, and what it says that it left out."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert cli.main(["export", str(project), "--format", name, "--to", str(to), "--json", *more]) == 0
    written = b"".join(p.read_bytes() for p in sorted(to.rglob("*")) if p.is_file() and p.name != "schema.json")
    back = [c for one in formats.get(name, SCHEMA).read(to, SCHEMA) or () for c in one.labels.class_id.tolist()]
    return written.decode("utf-8", "replace"), back, json.loads(said.getvalue())["loss"]


@pytest.mark.parametrize("name", ["jsonl", "coco", "parquet"])
@pytest.mark.parametrize("source", ["best", "model", "human", "human:ann"])
def test_no_format_writes_what_one_person_said(yard: Yard, tmp_path: Path, name: str, source: str) -> None:
    yard.hold(THING, MATCH)
    given = labels(THING, MATCH, entry="SECRET")
    yard.say("ann", "edit", given)
    written, back, loss = exported(yard.project.path, tmp_path / "to", name, "--source", source)
    assert (back, loss["unconfirmed"]) == ([THING], 1)
    assert "SECRET" not in written
    assert '"17"' not in written
    assert "1 unconfirmed" in formats.describe(name, loss)
    assert "2 unconfirmed labels" in formats.describe(name, {"unconfirmed": 2})
    yard.say("ben", "edit", given)
    written, back, loss = exported(yard.project.path, tmp_path / "done", name, "--source", source)
    if source == "model":  # what people confirmed has another entry
        assert (back, loss["unconfirmed"]) == ([THING], 1)
    else:
        assert (back, "unconfirmed" in loss) == ([THING, MATCH], False)
        assert "SECRET" in written


def test_tampering_with_who_said_it_is_seen(tmp_path: Path) -> None:
    with Project.create(tmp_path / "out") as project:
        yard = Yard(project)
        yard.hold(MATCH)
        yard.say("ann", "accept")
        assert project.verify().ok
    raw(tmp_path / "out", """UPDATE decisions SET after = replace(after, '"ann":"0"', '"ann":"0","ben":"0"')""", free=True)
    with Project.open(tmp_path / "out") as project:
        assert any("does not follow from decision 1" in problem for problem in project.verify().problems)


def test_a_flag_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    with Project.create(tmp_path / "out") as project:
        Yard(project).hold(MATCH)
    raw(tmp_path / "out", "DELETE FROM flags", free=True)
    with Project.open(tmp_path / "out") as project:
        assert any("no flag says so" in problem for problem in project.verify().problems)


WHO = st.sampled_from(["ann", "Ann", "ben", "cat"])
GIVEN = st.sampled_from(
    [labels(MATCH), labels(MATCH, shift=1.0), labels(MATCH, entry="18"), labels(THING, MATCH), Labels.empty()]
)
WORDS = st.sampled_from(["accept", "reject", "repair", "unsure", "edit", "opinion", "adjudicate", "undo", "import"])


def alike(one: Labels, other: Labels) -> bool:
    same = one.attributes["entry"][0] == other.attributes["entry"][0] and one.track[0] == other.track[0]
    return bool(same and one.class_id[0] == other.class_id[0] and iou(one.box, other.box)[0, 0] >= 0.5)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(WHO, WORDS, GIVEN, st.booleans()), min_size=3, max_size=9))
def test_whatever_people_do_two_of_them_stand_behind_what_leaves(tmp_path_factory: pytest.TempPathFactory, acts: Any) -> None:
    with Project.create(tmp_path_factory.mktemp("any") / "out") as project:
        yard = Yard(project)
        yard.hold(MATCH)
        spoke: list[tuple[str, Labels]] = []  # who ever said that a label is there
        for who, word, given, some in acts:
            before = project.record(ITEM)
            assert before is not None
            try:
                if word == "undo":
                    state = project.state(ITEM)
                    yard.say(who, "undo", undoes=state["decision"] or 1)
                elif word == "import":
                    project.add([record(given)], f"human:{who}")
                else:
                    carried = given if word in ("edit", "opinion", "adjudicate") else None
                    yard.say(who, word, carried, rows=[0] if some and carried is None and word != "undo" else ())
            except StoreError:
                continue
            if word not in ("undo", "import"):
                spoke.append((person(who), before.labels if word == "accept" else given))
            for one in project.released():
                for match in (one.labels[[row]] for row in (one.labels.class_id == MATCH).nonzero()[0]):
                    assert len({name for name, told in spoke if any(alike(match, told[[k]]) for k in range(len(told)))}) >= 2
            now = project.state(ITEM)
            current = project.record(ITEM)
            assert current is not None
            if not now["lane"] and now["outcome"] == "accept":  # done with: then all that holds has its people
                least = SCHEMA.confirmations[current.labels.class_id]
                assert (project.confirmations([ITEM])[ITEM] >= least).all()
        report = project.verify()
        assert report.ok, report.problems
