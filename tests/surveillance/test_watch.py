"""The joined model: tracks, whose face is whose, events, and the same answer whatever the batch and however often it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from hyla.errors import BadItem, ConfigError, StageError
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import Image
from hyla_surveillance.events import FIRST_EVENT, Event, rows_of
from hyla_surveillance.watch import Watch, subjects
from surveillance_kit import SCHEMA, boxes, frame


@dataclass
class Walker:
    """Find one who walks to the right, from what the frame's number says; fail once where asked to."""

    fails: dict[int, int] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)
    memory: bool = False

    def predict(self, images):
        for image in images:
            if self.fails.get(image.item.index, 0):
                self.fails[image.item.index] -= 1
                raise BadItem("no")
        self.calls += [image.item.index for image in images]
        return [boxes(("person", -1, 100 + 3 * i.item.index, 100, 140 + 3 * i.item.index, 220, 0.9)) for i in images]


@dataclass
class Remembers(Walker):
    memory: bool = True
    forgotten: list[str] = field(default_factory=list)

    def forget(self, group):
        self.forgotten.append(group)


class Faces:
    def predict(self, images):
        return [boxes(("face", -1, 112 + 3 * i.item.index, 102, 128 + 3 * i.item.index, 120, 0.8)) for i in images]


@dataclass
class Counts:
    """Tell an event from the third frame on, and count the frames of a clip."""

    seen: dict[str, int] = field(default_factory=dict)

    def update(self, item, labels, seconds, size):
        n = self.seen[item.group] = self.seen.get(item.group, 0) + 1
        who = tuple(labels.track[labels.track >= 0].tolist())
        return [Event("running", FIRST_EVENT, 0.0, seconds, who)] if n > 2 else []

    def forget(self, group):
        self.seen.pop(group, None)


def watch(finder=None, **parts):
    parts = {"tracker": Tracker(schema=SCHEMA), "behaviour": Counts(), **parts}
    return Watch(SCHEMA, finder or Walker(), **parts)


def test_frames_get_tracks_faces_with_their_owner_and_events():
    labels = watch(faces=Faces()).predict([frame(i) for i in range(5)])
    last = labels[-1]
    assert [SCHEMA.names[c] for c in last.class_id] == ["person", "face", "running"]
    assert last.track[0] == 1
    assert last.attributes["subject"][1] == 1
    assert last.track[2] == FIRST_EVENT
    assert last.attributes["participants"][2] == "1"
    assert [int(rows_of(one, SCHEMA).sum()) for one in labels] == [0, 0, 1, 1, 1]
    for one in labels:
        SCHEMA.check(one, (480, 640))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_batch_does_not_matter(size):
    frames = [frame(i) for i in range(7)]
    one = watch(faces=Faces())
    found = [labels for at in range(0, 7, size) for labels in one.predict(frames[at : at + size])]
    assert found == watch(faces=Faces()).predict(frames)


def test_a_frame_that_comes_twice_in_a_batch_is_labelled_once():
    one, other = watch().predict([frame(0), frame(0)])
    assert one == other
    assert len(one) == 1


@pytest.mark.parametrize("finder", [Walker, Remembers])
def test_a_batch_that_fails_and_is_tried_in_halves_changes_nothing(finder):
    frames = [frame(i) for i in range(6)]
    part = finder(fails={3: 1})
    one = watch(part)
    with pytest.raises(BadItem):
        one.predict(frames)
    found = [*one.predict(frames[:3]), *one.predict(frames[3:])]
    assert found == watch(finder()).predict(frames)
    if part.memory:
        assert part.calls == list(range(6))  # what remembers saw each frame once


def test_a_clip_that_starts_again_gives_the_same_labels():
    frames = [frame(i) for i in range(5)]
    one = watch(Remembers())
    assert one.predict(frames) == one.predict(frames)


def test_cameras_in_one_batch_do_not_mix():
    mixed = [frame(i, group=name) for i in range(5) for name in ("a.mp4", "b.mp4")]
    found = watch().predict(mixed)
    alone = watch().predict([frame(i, group="a.mp4") for i in range(5)])
    assert found[::2] == alone
    assert found[1::2] == alone


def test_forgetting_a_clip_is_passed_on_and_another_goes_on():
    part = Remembers()
    one = watch(part)
    one.predict([frame(i) for i in range(3)])
    one.forget("gate.mp4")
    assert part.forgotten == ["gate.mp4"]
    assert one.behaviour.seen == {}


def test_a_picture_that_stands_alone_has_no_tracks_and_no_events():
    picture = frame(0)
    alone = Image(picture.pixels, type(picture.item)("a", "a.jpg"))
    labels = watch(faces=Faces()).predict([alone])[0]
    assert labels.track.tolist() == [-1, -1]
    assert np.isnan(labels.attributes["subject"][1])


def test_parts_can_be_left_out():
    labels = Watch(SCHEMA, Walker()).predict([frame(0)])[0]
    assert labels.track.tolist() == [-1]


def test_a_part_that_can_not_do_its_work_is_refused():
    with pytest.raises(ConfigError, match=r"model\.faces is no model"):
        watch(faces=object())
    with pytest.raises(ConfigError, match="there is no tracker"):
        watch(tracker=None)
    plain = Schema.from_config({"classes": {"person": {}}})
    with pytest.raises(ConfigError, match="has no tracks"):
        Watch(plain, Walker(), tracker=Tracker())


def test_a_member_that_answers_with_too_few_is_named():
    class Silent:
        def predict(self, images):
            return []

    with pytest.raises(StageError, match="'faces' gave 0 answers for 1 images"):
        watch(faces=Silent()).predict([frame(0)])


def test_a_face_belongs_to_whose_head_it_is():
    people = boxes(("person", 7, 0, 0, 100, 300), ("person", 9, 40, 60, 140, 360))
    faces = np.array([[35.0, 5, 65, 40], [80, 65, 100, 95], [500, 5, 520, 30]])
    assert subjects(faces, people)[:2].tolist() == [7, 9]
    assert np.isnan(subjects(faces, people)[2])


def test_provenance_names_every_member():
    class Named(Walker):
        def provenance(self):
            return {"name": "net", "digest": "ab" * 32}

    facts = watch(Named()).provenance()
    assert facts["name"] == "net"
    assert facts["finder.digest"] == "ab" * 32
    assert len(facts["digest"]) == 64
    assert facts["tracker"] == "bytetrack"


@pytest.mark.parametrize("bad", range(8))
def test_whichever_frame_fails_the_others_are_as_if_it_were_not_there(bad):
    """As the engine does: halves of a batch that fails, down to the frame that can't be labelled."""

    def run(one, frames):
        try:
            return dict(zip([f.item.index for f in frames], one.predict(frames), strict=True))
        except BadItem:
            if len(frames) == 1:
                return {}
            middle = len(frames) // 2
            return run(one, frames[:middle]) | run(one, frames[middle:])

    frames = [frame(i) for i in range(8)]
    part = Remembers(fails={bad: 99})
    one = watch(part)
    found = run(one, frames[:4]) | run(one, frames[4:])
    alone = watch(Remembers())
    assert found == {f.item.index: alone.predict([f])[0] for f in frames if f.item.index != bad}
    assert part.forgotten == []
    one.forget("gate.mp4")
    assert not one._told
    assert not one._said


def test_a_finder_whose_silence_says_nothing_makes_the_whole_so():
    class Blind(Walker):
        partial = True

    assert watch(Blind()).partial
    assert not watch().partial
    assert not Watch(SCHEMA, Blind(), objects=Walker()).partial
    assert Watch(SCHEMA, None).partial


def test_what_was_put_down_is_told_once():
    class Same(Walker):
        def predict(self, images):
            return [boxes(("bag", -1, 300, 300, 330, 340, 0.8), ("bag", -1, 10, 300, 40, 340, 0.8)) for _ in images]

    class Things:
        def predict(self, images):
            return [boxes(("object", -1, 302, 301, 331, 342, 0.7), ("object", -1, 500, 300, 530, 340, 0.7)) for _ in images]

    labels = watch(Same(), objects=Things()).predict([frame(0)])[0]
    assert [SCHEMA.names[c] for c in labels.class_id] == ["bag", "bag", "object"]
    assert labels.box[2].tolist() == [500, 300, 530, 340]
