"""A lot made of a project: units, asks, strata, what must be asked and what is settled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hyla import config
from hyla.decide.assemble import Assembled, assemble
from hyla.decide.effort import Effort
from hyla.decide.losses import Objects, Pictures, Pixels, Tags
from hyla.decide.lot import WHOLE
from hyla.decide.objectlab import ObjectLab
from hyla.decide.risk import Fixed, Learned, Score
from hyla.decide.stages import build_decide
from hyla.errors import ConfigError, StoreError
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Item, Kind, Labels, Record, Severity, Verdict
from store_kit import CAR, PERSON, SCHEMA, boxes, fill, record, start

HUMAN, SECOND, REJECT, REVIEW = Severity.HUMAN, Severity.SECOND, Severity.REJECT, Severity.REVIEW


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as one:
        start(one)
        yield one


def put(project: Project, *records: Record) -> None:
    project.write([Stored(one, i, 0.0) for i, one in enumerate(records)])


def lot_of(project: Project, **how: object) -> Assembled:
    given = {"loss": Objects(), "risk": Score(), "effort": Effort(), **how}
    return assemble(project, **given)


def asks(found: Assembled) -> dict[str, list[int]]:
    lot, out = found.lot, {}
    for item, row in zip(lot.item.tolist(), lot.row.tolist(), strict=True):
        out.setdefault(lot.id(item), []).append(row)
    return out


def always(found: Assembled) -> set[tuple[str, int]]:
    lot = found.lot
    return {(lot.id(i), r) for i, r, must in zip(lot.item, lot.row, lot.always, strict=True) if must}


def test_each_label_and_each_picture_is_an_ask(project: Project) -> None:
    put(project, record("a"), record("b", Labels.empty()), record("c", boxes((CAR,))))
    found = lot_of(project)
    assert asks(found) == {"a": [WHOLE, 0, 1], "b": [WHOLE], "c": [WHOLE, 0]}
    lot = found.lot
    assert lot.size.tolist() == [3, 1, 2]
    assert lot.strata == ("",)
    assert not lot.settled.any()
    assert not lot.always.any()
    assert [d.decode() for d in lot.digests.tolist()] == [project.machine_digests()[i] for i in "abc"]
    assert lot.risk[1:3] == pytest.approx([0.5, 0.5])
    assert lot.seconds[1] == pytest.approx(1.8 + 0.5 * 7)
    assert lot.seconds[0] == pytest.approx(2.5 + 0.4 + 0.3 * 7)
    assert lot.seconds[3] == pytest.approx(2.5 + 0.1 * 7)


def test_a_loss_of_pictures_has_one_ask_each(project: Project) -> None:
    put(project, record("a"), record("b", Labels.empty()))
    for loss in (Pictures(), Tags(), Pixels()):
        found = lot_of(project, loss=loss)
        assert asks(found) == {"a": [WHOLE], "b": [WHOLE]}
        assert found.lot.single
    assert lot_of(project, loss=Pictures()).lot.seconds[0] == pytest.approx(2.5 + 2 * (0.2 + 1.8) + 0.75 * 7)


def test_what_people_answered_is_settled(project: Project) -> None:
    fill(project, 7)
    project.decide("item00000", "accept", who="ann", key="0")
    project.decide("item00001", "edit", who="ann", key="1", labels=boxes((CAR,)))
    project.decide("item00002", "reject", who="ann", key="2")
    project.decide("item00003", "accept", who="ann", key="3")
    project.decide("item00003", "undo", who="ann", key="3u", undoes=project.recent(1)[0].seq)
    project.decide("item00004", "repair", who="ann", key="4", rows=[0])
    project.decide("item00005", "accept", who="ann", key="5", rows=[0], mode="grid")
    found = lot_of(project)
    assert found.lot.settled.tolist() == [True, True, True, False, False, False, False]
    assert found.lot.size.tolist() == [3] * 7  # of the machine's labels, whatever people left of them
    assert set(asks(found)) == {"item00003", "item00004", "item00005", "item00006"}
    assert always(found) == {("item00004", row) for row in (WHOLE, 0, 1)}  # at work on it


def test_crops_of_labels_do_not_settle_a_picture(project: Project) -> None:
    """In a grid nobody sees what is missing: the whole is still open, though no lane holds the item."""
    put(project, record("a", flags=(Flag("r", "small", REVIEW, (0,)),), verdict=Verdict.REVIEW))
    project.decide("a", "accept", who="ann", key="0", rows=[0], mode="grid")
    assert project.state("a")["lane"] == ""
    assert asks(lot_of(project)) == {"a": [WHOLE, 0, 1]}
    project.decide("a", "accept", who="ann", key="1")
    assert lot_of(project).lot.settled.all()


def test_a_rule_that_wants_a_person_is_heard(project: Project) -> None:
    put(
        project,
        record("a", flags=(Flag("r", "x", HUMAN, (1,)),), verdict=Verdict.REVIEW),
        record("b", flags=(Flag("r", "x", SECOND),), verdict=Verdict.REVIEW),
        record("c", flags=(Flag("r", "x", REVIEW, (0,)), Flag("r", "y", REVIEW)), verdict=Verdict.REVIEW),
    )
    assert always(lot_of(project)) == {("a", 1), ("b", WHOLE), ("b", 0), ("b", 1)}
    assert always(lot_of(project, loss=Pictures())) == {("a", WHOLE), ("b", WHOLE)}


def test_what_a_rule_would_drop_is_asked_first(project: Project) -> None:
    """An export holds it until a person agrees, so it is not left out of what is promised."""
    put(
        project,
        record("a", boxes(score=0.99), (Flag("r", "x", REJECT, (1,)),)),
        record("b", boxes(score=0.99), (Flag("r", "x", REJECT),), verdict=Verdict.REJECT),
    )
    found = lot_of(project)
    assert asks(found) == {"a": [WHOLE, 0, 1], "b": [WHOLE, 0, 1]}
    order = [(found.lot.id(found.lot.item[i]), int(found.lot.row[i])) for i in found.lot.order()]
    assert set(order[-2:]) == {("a", 1), ("b", WHOLE)}
    assert not found.lot.always.any()


def test_groups_are_units_that_settle_together(project: Project) -> None:
    put(project, *(record(f"{g}{i}", group=g, index=i) for g in "ab" for i in range(2)), record("alone"), record("other"))
    for name in ("a0", "a1", "b0"):
        project.decide(name, "accept", who="ann", key=name)
    lot = lot_of(project, loss=Objects(unit="group")).lot
    assert lot.unit.tolist() == [0, 0, 1, 1, 2, 3]
    assert lot.size.tolist() == [6, 6, 3, 3]
    assert lot.settled.tolist() == [True, False, False, False]
    assert {lot.id(i) for i in lot.item.tolist()} == {"b1", "alone", "other"}


def test_strata_come_from_meta_and_context(project: Project) -> None:
    def at(name: str, meta: dict, group: str = "", index: int = 0) -> Record:
        return Record(Item(name, name, group, index, meta=meta), boxes(), source="model:toy@0f", size=(100, 200))

    put(project, at("a", {"site": "north", "n": 3}), at("b", {"site": "south"}), at("c", {}), at("d", {"site": "north"}, "g"))
    lot = lot_of(project, strata=["site"]).lot
    assert lot.strata == ("site=north", "site=south", "site=unknown")
    assert lot.stratum.tolist() == [0, 1, 2, 0]
    both = lot_of(project, strata=["site", "kind"]).lot
    assert both.strata[0] == "site=north, kind=image"
    assert lot_of(project, strata=["group"]).lot.strata == ("group=g", "group=unknown")
    with pytest.raises(ConfigError) as caught:
        lot_of(project, strata=["sight"])
    assert "did you mean 'site'" in caught.value.hint
    assert {"site", "n", "class", "group", "kind"} <= set(caught.value.choices)


def test_groups_of_several_strata_are_mixed(project: Project) -> None:
    put(
        project,
        *(Record(Item(f"{i}", f"{i}", "g", i, meta={"site": s}), boxes(), source="model:toy") for i, s in enumerate("nns")),
    )
    assert lot_of(project, loss=Objects(unit="group"), strata=["site"]).lot.strata == ("site=mixed",)


def test_strata_of_context_and_tags(tmp_path: Path) -> None:
    schema = Schema.from_config(
        {
            "name": "s",
            "kinds": ["tag"],
            "classes": {"cat": {}, "dog": {}},
            "attributes": {"night": {"type": "boolean", "scope": "image"}},
        }
    )
    with Project.create(tmp_path / "tags") as project:
        start(project, schema=schema)
        tag = [[0, 0, 200, 100]]
        given = [
            Labels.of([0, 1], tag * 2, kind=Kind.TAG, score=[0.2, 0.8], context={"night": True}),
            Labels.of([0], tag, kind=Kind.TAG, score=[0.7], context={"night": False}),
            Labels.empty(),
        ]
        put(project, *(record(f"{i}", labels) for i, labels in enumerate(given)))
        lot = lot_of(project, loss=Tags(), strata=["class"]).lot
        assert lot.strata == ("class=cat", "class=dog", "class=unknown")
        assert lot.stratum.tolist() == [1, 0, 2]
        assert lot_of(project, loss=Tags(), strata=["night"]).lot.strata == ("night=false", "night=true", "night=unknown")
        assert lot.risk == pytest.approx([1 - 0.16, 0.3, 1])
        assert lot.seconds[1] == pytest.approx(1.8 + 0.3 * 1.8)


def test_too_many_strata_are_refused(project: Project) -> None:
    put(project, *(Record(Item(f"{i}", f"{i}", meta={"at": i / 7}), boxes((CAR,)), source="model:toy") for i in range(1001)))
    with pytest.raises(ConfigError, match="1001 parts"):
        lot_of(project, strata=["at"])


def test_what_another_lot_covers_is_learned_from_but_not_in_this_one(project: Project) -> None:
    fill(project, 80)
    for i in range(40):
        name = f"item{i:05d}"
        given = {"labels": boxes((CAR,))} if i % 2 else {}
        project.decide(name, "edit" if i % 2 else "accept", who="ann", key=name, **given)
    covered = {f"item{i:05d}" for i in range(50)}
    found = lot_of(project, risk=Learned(), without=covered)
    assert [found.lot.id(i) for i in range(len(found.lot.items))] == [f"item{i:05d}" for i in range(50, 80)]
    assert not found.lot.settled.any()
    assert (found.trained_on, found.left_out) == (40, 50)
    second = found.lot.risk[found.lot.row == 1]
    assert second == pytest.approx(0.5, abs=0.12)  # of each person people took half away
    assert found.lot.risk[found.lot.row == 0].max() < 0.1
    with pytest.raises(ConfigError, match="covered by another lot"):
        lot_of(project, without={f"item{i:05d}" for i in range(80)})


def test_a_project_without_items_is_refused(project: Project) -> None:
    with pytest.raises(ConfigError, match="no labelled item"):
        lot_of(project)


def test_rejected_by_a_person_means_that_nothing_is_there(project: Project) -> None:
    fill(project, 60)
    for i in range(40):
        project.decide(f"item{i:05d}", "reject", who="ann", key=str(i))
    found = lot_of(project, risk=Learned())
    assert found.calibrations[0].errors == 80
    assert found.lot.risk[found.lot.row != WHOLE].min() > 0.9


def test_a_second_model_is_read_beside_the_first(project: Project) -> None:
    fill(project, 4)
    project.add(
        [record(f"item{i:05d}", boxes((CAR, PERSON), score=0.9)[[0]] if i == 2 else boxes()) for i in (0, 2)], "truth:other"
    )
    found = lot_of(project, risk=ObjectLab("truth:other"))
    rows = {(found.lot.id(i), r): x for i, r, x in zip(found.lot.item, found.lot.row, found.lot.risk, strict=True)}
    assert rows["item00000", 0] < 0.5
    assert rows["item00001", 0] == rows["item00003", WHOLE] == 1  # it did not see these
    with pytest.raises(StoreError):
        lot_of(project, second="truth:nobody")


def test_times_of_the_project_replace_what_is_assumed(project: Project) -> None:
    fill(project, 6)
    for i in range(5):
        project.decide(f"item{i:05d}", "accept", who="ann", key=str(i), active_ms=4000)
    found = lot_of(project)
    assert found.effort.basis["scan"] == {"seconds": 4.0, "measured": True, "n": 5}
    assert found.lot.seconds[0] == pytest.approx(4 + 0.3 * 7)


def test_the_lot_is_the_same_each_time(project: Project) -> None:
    fill(project, 70)
    for i in range(35):
        project.decide(f"item{i:05d}", "edit", who="ann", key=str(i), labels=boxes((CAR,) if i % 3 else (CAR, PERSON)))
    assert lot_of(project, risk=Learned()).lot.digest == lot_of(project, risk=Learned()).lot.digest


def test_a_run_remembers_how_it_is_judged_and_goes_on_whatever_that_is(tmp_path: Path) -> None:
    from hyla.loop import run

    (tmp_path / "pictures").mkdir()
    source = _pictures(tmp_path / "pictures")
    out = tmp_path / "out"
    for words, iou in ((("decide.loss.iou=0.7", "decide.risk=score"), 0.7), (("decide=pictures",), 0.5)):
        run(config.compose("blank", *words, source=str(source), out=str(out), progress=False))
        with Project.open(out) as project:
            loss, risk, _ = build_decide(project.recall("decide"), (), project.schema())
            assert (loss.iou, project.settings().get("decide")) == (iou, None)
    assert (loss.name, risk.name) == ("pictures", "learned")


def _pictures(folder: Path) -> Path:
    from PIL import Image

    for i in range(2):
        Image.fromarray(np.full((20, 30, 3), 50 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


def test_stages_are_built_from_words() -> None:
    loss, risk, effort = build_decide({}, ["loss.iou=0.7", "decide.loss.unit=group", "risk=fixed", "effort.verify=3"], SCHEMA)
    assert (loss.iou, loss.unit, type(risk), effort.verify) == (0.7, "group", Fixed, 3)
    loss, risk, _ = build_decide({"second": "truth:b"}, ["decide=tags", "risk.least=50"], SCHEMA)
    assert (loss.name, risk.least, risk.second) == ("tags", 50, None)
    assert build_decide({}, ["second=truth:b", "risk=objectlab"])[1].second == "truth:b"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("loss.iou=2", "iou"),
        ("loss.tau=0.5", "no setting 'tau'"),
        ("losses.iou=0.5", "no setting 'losses.iou'"),
        ("risk=guess", "guess"),
        ("decide=object", "object"),
        ("iou", "loss.iou=0.7"),
        ("colour=red", "colour"),
        ("second=3", "second"),
        ("loss={_target_: hyla.decide.effort.Effort}", "no Loss"),
        ("loss={_target_: os.system}", "not inside hyla"),
        ("loss.iou=[", "can't be read"),
    ],
)
def test_words_that_make_no_sense_are_refused(word: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_decide({}, [word], SCHEMA)
    assert says in str(caught.value)


def test_a_misspelt_decide_is_found_before_a_run_starts(toy: Path) -> None:
    with pytest.raises(ConfigError, match="no setting 'iuo'"):
        config.stages(config.compose("toy", "+decide.loss.iuo=0.7", source="."))
    with pytest.raises(ConfigError, match="no decide is named 'tag'"):
        config.compose("toy", "decide=tag", source=".")


def test_what_is_remembered_is_kept_by_name(project: Project) -> None:
    assert project.recall("decide") is None
    for value in ({"b": [1, 2.5, None]}, {"a": "ü"}):
        project.remember("decide", value)
        assert project.recall("decide") == value
    with Project.open(project.path) as again:
        assert again.recall("decide") == {"a": "ü"}
    project.remember("format", 99)  # no name of the project's own
    Project.open(project.path).close()
    with pytest.raises(StoreError, match="can't be remembered"):
        project.remember("decide", {"a": object()})
