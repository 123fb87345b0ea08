"""What a project hides is hidden wherever a picture is shown or written, for good, and from no model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hyla
from hyla import Image, Item, Labels, Redactor, draw, hookimpl
from hyla.codec import pack
from hyla.errors import BadItem, ConfigError, StageError, StoreError
from hyla.lazy import LazyPixels
from hyla.pictures import Pictures, draw_project
from hyla.plugins import Pipeline
from hyla.store import Project
from hyla.weights import examples
from redact_kit import hide, install
from store_kit import raw

PLACE = (slice(4, 8), slice(4, 8))  # of every picture: inside the box that the toy model gives
AWAY = (slice(21, 23), slice(24, 28))


@pytest.fixture
def source(toy: Path, tmp_path: Path) -> Path:
    """Return a source of six pictures, with the redactor installed."""
    install(toy)
    path = tmp_path / "some.toy"
    path.write_text("clip 4\n- one\n- two\n")
    return path


def run(source: Path, *words: str) -> Path:
    out = source.parent / "out"
    hyla.run(hyla.compose("toy", *words, source=str(source), out=str(out), progress=False, workers=1))
    return out


@pytest.fixture
def covered(source: Path) -> Iterator[Project]:
    with Project.open(run(source, "redact=cover")) as project:
        yield project


# The stage


class Fixed(Redactor):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    @hookimpl
    def redact(self, image: Image, labels: Labels) -> Image | None:
        return self.answer(image)  # type: ignore[no-any-return]


class Large(LazyPixels):
    def read(self, *_: Any) -> Any:
        raise AssertionError("nothing may be read")


IMAGE = Image(np.full((6, 8, 3), 9, np.uint8), Item("a", "a.png"))


def scrawl(image: Image) -> Image:
    image.pixels[0] = 0
    return image


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda image: None, "gave nothing"),
        (lambda image: image.pixels, "gave a ndarray"),
        (lambda image: replace(image, pixels=image.pixels[1:]), "turned pixels"),
        (lambda image: replace(image, pixels=image.pixels.astype(np.float32)), "turned pixels"),
        (lambda image: replace(image, pixels=image.pixels[..., 0], volume=True), "turned pixels"),
        (scrawl, "read-only"),
        (lambda image: 1 / 0, "redact failed in redact: ZeroDivisionError"),
    ],
)
def test_what_is_no_redacted_picture_is_refused(answer: Any, said: str) -> None:
    with pytest.raises(StageError, match=said):
        Pipeline({"redact": Fixed(answer)}).redact(IMAGE, Labels.empty())
    assert (IMAGE.pixels == 9).all()
    assert IMAGE.pixels.flags.writeable


def test_a_picture_that_is_never_whole_in_memory_is_refused_unread() -> None:
    with pytest.raises(StageError, match="too large to be redacted"):
        Pipeline({"redact": Fixed(lambda image: image)}).redact(replace(IMAGE, pixels=Large((9, 9, 3), np.uint8)), Labels.empty())


def test_nobody_answers_and_nothing_is_shown() -> None:
    with pytest.raises(StageError, match="gave nothing"):
        Pipeline({}).redact(IMAGE, Labels.empty())


# The settings


@pytest.mark.parametrize("words", [(), ("redact=none",)])
def test_nothing_is_hidden_unless_it_is_asked_for(source: Path, words: tuple[str, ...]) -> None:
    with Project.open(run(source, *words)) as project:
        assert "redact" not in project.settings()  # so that projects made before there were redactors go on
        assert Pictures.of(project).redaction is None
    run(source)


def test_a_redactor_that_can_not_be_built_stops_the_run_before_any_work(source: Path) -> None:
    with pytest.raises(ConfigError, match="no redact is named 'clover'"):
        run(source, "redact=clover")
    with pytest.raises(ConfigError, match="has no setting 'size'"):
        run(source, "redact=cover", "+redact.size=3")
    assert not (source.parent / "out").exists()


@pytest.mark.parametrize(
    "words", [(), ("redact=cover", "redact.value=7"), ("redact=cover", "redact._target_=hyla_toy.cover.Other")]
)
def test_what_was_hidden_stays_hidden(covered: Project, source: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(StoreError, match="made with other settings"):
        run(source, *words)
    run(source, "redact=cover")


def test_what_was_shown_can_not_be_called_hidden_afterwards(source: Path) -> None:
    run(source)
    with pytest.raises(StoreError, match=r"redact\._target_: \(not set\)"):
        run(source, "redact=cover")


# The pictures


def test_a_run_labels_pictures_as_they_are(source: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Project.open(run(source, "redact=cover", f"redact.log={log}")) as project:
        hidden = [(record.item.id, record.labels.score.tolist()) for record in project.records()]
    assert not log.exists()
    other = tmp_path / "bare"
    hyla.run(hyla.compose("toy", source=str(source), out=str(other), progress=False))
    with Project.open(other) as project:
        assert [(record.item.id, record.labels.score.tolist()) for record in project.records()] == hidden


def test_pictures_are_read_redacted_and_a_model_learns_from_bare_ones(covered: Project) -> None:
    pictures = Pictures.of(covered)
    records = list(covered.records())
    for record, (learned, _) in zip(records, examples(records, pictures), strict=True):
        image, bare = pictures.load(record.item), pictures.original(record.item)
        assert not image.pixels[PLACE].any()
        assert bare.pixels[PLACE].any()
        assert np.array_equal(image.pixels[AWAY], bare.pixels[AWAY])
        assert np.array_equal(learned.pixels, bare.pixels)


def test_drawn_pictures_are_redacted(covered: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, on = [], draw.draw
    monkeypatch.setattr(draw, "draw", lambda pixels, *more: (drawn.append(pixels), on(pixels, *more))[1])
    assert len(draw_project(covered, tmp_path / "drawn", 6)) == len(drawn) == 6
    assert all(not pixels[PLACE].any() and pixels[AWAY].any() for pixels in drawn)


def test_what_can_not_be_redacted_is_not_shown_and_says_nothing_of_this_machine(covered: Project, tmp_path: Path) -> None:
    hide(covered.path, "hyla_toy", fail="one")
    pictures = Pictures.of(covered)
    items = {record.item.uri: record.item for record in covered.records()}
    with pytest.raises(BadItem, match="can't be redacted, so it is not shown") as refused:
        pictures.load(items["one"])
    assert "secret" not in str(refused.value)
    assert not pictures.load(items["two"]).pixels[PLACE].any()
    assert pictures.original(items["one"]).pixels[PLACE].any()
    with pytest.raises(BadItem):
        draw_project(covered, tmp_path / "drawn", 6)
    assert not [path for path in (tmp_path / "drawn").iterdir() if path.stem.startswith("one")]


def test_a_redactor_that_can_not_be_built_any_more_hides_everything(covered: Project) -> None:
    hide(covered.path, "hyla_toy_gone")
    with pytest.raises(BadItem):
        Pictures.of(covered).load(next(covered.records()).item)


# The labels it goes by


def boxed(*boxes: tuple[int, int, int, int]) -> Labels:
    return Labels.of([0] * len(boxes), list(boxes))


def black(project: Project, item: Item) -> set[str]:
    """Return which corners of a picture are hidden: that of the machine's box, and two that people may draw."""
    pixels = Pictures.of(project).load(item).pixels
    places = {"machine": PLACE, "low": (slice(20, 23), slice(1, 4)), "right": (slice(2, 5), slice(27, 30))}
    return {name for name, place in places.items() if not pixels[place].any()}


LOW, RIGHT = (0, 19, 5, 24), (26, 1, 31, 6)


def test_what_anybody_saw_is_hidden(covered: Project) -> None:
    item = next(covered.records()).item
    assert black(covered, item) == {"machine"}
    covered.decide(item.id, "edit", who="ann", key="1", labels=boxed(LOW))
    assert black(covered, item) == {"machine", "low"}  # she took the machine's labels out, and they still hide
    covered.decide(item.id, "edit", who="ben", key="2", labels=boxed(RIGHT))
    assert black(covered, item) == {"machine", "low", "right"}  # and he took hers out
    covered.decide(item.id, "edit", who="ann", key="3", labels=boxed())
    assert black(covered, item) == {"machine", "right"}  # a slip of the hand can be mended by who made it
    covered.add([replace(next(covered.records()), labels=boxed(LOW))], "truth:survey")
    assert black(covered, item) == {"machine", "right"}  # truth is for measuring


def test_an_item_that_was_deleted_is_not_shown_and_one_without_a_label_is(covered: Project) -> None:
    first, second, *_ = covered.records()
    pictures = Pictures.of(covered)
    covered.remove({first.item.id: None}, [], "ann", "past")
    assert covered.spoken(first.item.id) == []
    with pytest.raises(BadItem, match="not in the project any more"):
        pictures.load(first.item)
    redaction = pictures.redaction
    assert redaction is not None
    with pytest.raises(BadItem):
        redaction(pictures.original(first.item), also=boxed(LOW))
    empty = pack(Labels.empty()).hex()
    raw(covered.path, f"UPDATE annotations SET n = 0, blob = x'{empty}' WHERE item_id = '{second.item.id}'", free=True)
    assert pictures.load(second.item).pixels[PLACE].any()


def test_a_planted_copy_hides_what_it_leaves_out(covered: Project) -> None:
    first, second, *_ = covered.records()
    raw(
        covered.path,
        f"UPDATE items SET twin = '{second.item.id}' WHERE id = '{first.item.id}'",
        free=True,
    )
    assert covered.spoken(first.item.id) == sorted(covered.machine_annotation(one.item.id) for one in (first, second))
    assert covered.spoken(second.item.id) == [covered.machine_annotation(second.item.id)]
