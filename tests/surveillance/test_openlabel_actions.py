"""OpenLABEL with actions: valid under the standard's schema, in agreement with itself, and read back."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import numpy as np
import pytest

from evidence_kit import Watched
from hyla import formats
from hyla.errors import FormatError
from hyla.formats.openlabel import OpenLabel, json_schema
from hyla.formats.openlabel_checks import problems
from hyla.formats.openlabel_data import Root
from hyla.types import Labels
from hyla_surveillance.events import FIRST_EVENT, Event, from_labels, to_labels
from hyla_surveillance.openlabel_actions import OpenLabelActions
from surveillance_kit import SCHEMA, boxes, clip

VALID = jsonschema.Draft7Validator(json_schema())
SIZE = (480, 640)
UID = str(FIRST_EVENT)


def happens(end, name="intrusion", who=(3, 4), track=FIRST_EVENT):
    return to_labels([Event(name, track, 0.5, end, who, "yard", score=0.75)], SCHEMA, SIZE)


def people(*tracks):
    return boxes(*(("person", t, 10 * t, 5, 10 * t + 8, 30) for t in tracks))


FRAMES = clip(
    people(3),
    Labels.concat([people(3, 4), happens(0.5)]),
    Labels.concat([people(3, 4), happens(0.75)]),
    people(4),
    Labels.concat([people(4), happens(1.0, who=(4,))]),
)


def written(out, records, form=None):
    """Return what one file holds, proved valid and in agreement with itself, and the loss."""
    loss = (form or OpenLabelActions()).export(iter(records), SCHEMA, out)
    (path,) = out.glob("*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    VALID.validate(document)
    assert list(problems(msgspec.convert(document["openlabel"], Root))) == []
    return document["openlabel"], loss


def back(out, form=None):
    return list((form or OpenLabelActions()).read(out, SCHEMA))


def test_an_event_is_an_action_with_its_frames(tmp_path):
    root, _ = written(tmp_path, FRAMES)
    assert set(root["actions"]) == {UID}
    assert root["actions"][UID] == {
        "name": f"intrusion {UID}",
        "type": "intrusion",
        "ontology_uid": "1",
        "frame_intervals": [{"frame_start": 1, "frame_end": 2}, {"frame_start": 4, "frame_end": 4}],
    }
    assert set(root["objects"]) == {"3", "4"}
    data = root["frames"]["2"]["actions"][UID]["action_data"]
    assert {entry["name"]: entry["val"] for some in data.values() for entry in some} == {
        "confidence": 0.75,
        "start": 0.5,
        "end": 0.75,
        "participants": "3,4",
        "place": "yard",
    }
    assert "actions" not in root["frames"]["3"]


def test_participants_are_related_to_it(tmp_path):
    root, _ = written(tmp_path, FRAMES)
    pairs = [(r["rdf_subjects"], r["type"], r["rdf_objects"]) for r in root["relations"].values()]
    assert pairs == [
        ([{"type": "object", "uid": who}], "isSubjectOfAction", [{"type": "action", "uid": UID}]) for who in ("3", "4")
    ]


def test_frames_that_were_not_kept_do_not_break_it_up(tmp_path):
    apart = [one for one in clip(*(Labels.concat([people(3), happens(i / 8)]) for i in range(9))) if one.item.index % 3 == 0]
    root, _ = written(tmp_path, apart)
    assert root["actions"][UID]["frame_intervals"] == [{"frame_start": 0, "frame_end": 6}]
    assert [len(one.labels) for one in back(tmp_path)] == [2, 2, 2]


def test_records_come_back(tmp_path):
    _, loss = written(tmp_path, FRAMES)
    assert loss == {}
    for one, other in zip(FRAMES, back(tmp_path), strict=True):
        assert (other.item, other.size, other.frame) == (one.item, one.size, one.frame)
        assert from_labels(other.labels, SCHEMA) == from_labels(one.labels, SCHEMA)
        assert sorted(other.labels.track.tolist()) == sorted(one.labels.track.tolist())
        np.testing.assert_allclose(np.sort(other.labels.box, axis=0), np.sort(one.labels.box, axis=0), atol=1e-9)


def test_without_actions_an_event_is_an_object_as_ever(tmp_path):
    root, _ = written(tmp_path, FRAMES, OpenLabel())
    assert "actions" not in root
    assert set(root["objects"]) == {"3", "4", UID}


def test_an_event_whose_class_changes_says_so_in_the_frame(tmp_path):
    frames = clip(happens(0.5), happens(0.75, "wrong_way"))
    root, _ = written(tmp_path, frames)
    assert root["actions"][UID]["type"] == "intrusion"
    assert [from_labels(one.labels, SCHEMA)[0].name for one in back(tmp_path)] == ["intrusion", "wrong_way"]


def test_a_track_and_an_event_of_one_number_stay_two(tmp_path):
    frames = clip(Labels.concat([people(7), happens(0.5, who=(7,), track=7)]))
    root, _ = written(tmp_path, frames)
    assert (set(root["objects"]), set(root["actions"])) == ({"7"}, {"7"})
    assert back(tmp_path)[0].labels.track.tolist() == [7, 7]


def test_a_file_of_others_with_whole_actions_is_read(tmp_path):
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    root = {
        "metadata": {"schema_version": "1.0.0"},
        "objects": {"5": {"name": "p", "type": "HumanPedestrian"}},
        "actions": {
            uuid: {
                "name": "a",
                "type": "loitering",
                "frame_intervals": [{"frame_start": 1, "frame_end": 2}],
                "action_data": {"text": [{"name": "place", "val": "gate"}]},
            }
        },
        "relations": {
            "0": {
                "name": "r",
                "type": "isSubjectOfAction",
                "rdf_subjects": [{"type": "object", "uid": "5"}],
                "rdf_objects": [{"type": "action", "uid": uuid}],
            }
        },
        "frames": {str(i): {"objects": {"5": {"object_data": {"bbox": [{"name": "b", "val": [9, 9, 4, 6]}]}}}} for i in range(3)},
    }
    (tmp_path / "x.json").write_text(json.dumps({"openlabel": root}))
    VALID.validate({"openlabel": root})
    read = back(tmp_path)
    assert [len(one.labels) for one in read] == [1, 2, 2]
    (found,) = from_labels(read[1].labels, SCHEMA)
    assert (found.name, found.place, found.participants, found.track) == ("loitering", "gate", (5,), 10**9)
    root["relations"]["0"]["rdf_subjects"][0]["uid"] = "6"
    (tmp_path / "x.json").write_text(json.dumps({"openlabel": root}))
    with pytest.raises(FormatError, match="relation 0 is about object 6"):
        back(tmp_path)


def test_unknown_actions_are_refused_or_skipped(tmp_path):
    root, _ = written(tmp_path, FRAMES)
    root["actions"][UID]["type"] = "dancing"
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps({"openlabel": root}))
    with pytest.raises(FormatError, match="dancing"):
        back(tmp_path)
    read = back(tmp_path, OpenLabelActions(unknown="skip"))
    assert [len(one.labels) for one in read] == [1, 2, 2, 1, 1]


def test_only_confirmed_events_leave_a_project(tmp_path):
    yard = Watched(tmp_path, frames=50)
    yard.answer("ann", "loitering")
    form = formats.get("openlabel_actions", schema=SCHEMA)
    yard.export(form, tmp_path / "out")
    root = json.loads((tmp_path / "out" / "gate.mp4.json").read_text())["openlabel"]
    assert [one["type"] for one in root["actions"].values()] == ["loitering"]
    VALID.validate({"openlabel": root})
    yard.project.close()
