"""What the tests of the review share: a project in which things wait, the server on it, and people who talk to it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import numpy as np
from starlette.testclient import TestClient

from hyla.frame import VideoFrame
from hyla.review.app import STATIC, make
from hyla.review.desk import Desk
from hyla.review.leases import Hold, Leases
from hyla.review.media import Media
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Item, Labels, Record, Severity, Verdict
from store_kit import start

PORT = 8484
OWN = f"http://127.0.0.1:{PORT}"
SIZE = (100, 200)
KINDS = ["tag", "box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "cuboid", "track"]
SCHEMA = Schema.from_config(
    {
        "name": "street",
        "kinds": KINDS,
        "classes": {"vehicle": {"abstract": True}, "lorry": {"parent": "vehicle"}, "walker": {"keypoints": ["head", "foot"]}},
        "attributes": {
            "occluded": {"type": "boolean"},
            "speed": {"type": "number", "minimum": 0, "maximum": 300},
            "weather": {"type": "choice", "scope": "image", "choices": ["dry", "wet"]},
        },
    }
)
LORRY, WALKER = SCHEMA.class_id("lorry"), SCHEMA.class_id("walker")
SCORE = 0.8171
LOW = Flag("min_score", "low_score", Severity.REVIEW, (0,), "score 0.8171 is below 0.9")
TWICE = Flag("risky", "two_readers", Severity.SECOND, (), "this needs two readers")


def box_labels(n: int = 3, score: float = SCORE, class_id: int = LORRY, track: bool = False) -> Labels:
    """Return n boxes side by side, each with an attribute, evidence and, if asked, a track."""
    return Labels.of(
        [class_id] * n,
        [[10 * i, 5, 10 * i + 8, 40] for i in range(n)],
        score=[score] * n,
        track=range(n) if track else None,
        attributes={"occluded": [bool(i % 2) for i in range(n)]},
        evidence={"margin": [0.25] * n},
        context={"weather": "dry"},
    )


def waiting(name: str, labels: Labels | None = None, flags: Sequence[Flag] = (LOW,), **item: Any) -> Record:
    """Return a record that waits for a person because of `flags`."""
    made = Item(name, f"{name}.jpg", **item)
    frame = VideoFrame(seconds=item["index"] / 10, index=item["index"]) if item.get("kind") == "video_frame" else None
    more = {} if frame is None else {"frame": frame}
    return Record(made, box_labels() if labels is None else labels, tuple(flags), Verdict.REVIEW, "model:toy@0f", SIZE, **more)


def clip_of(n: int, group: str = "clip", flags: Sequence[Flag] = (LOW,), each: int = 3) -> list[Record]:
    """Return the frames of a clip with tracks."""
    labels = box_labels(each, track=True)
    return [waiting(f"{group}{i:04d}", labels, flags, group=group, index=i, kind="video_frame") for i in range(n)]


class Person:
    """Somebody logged in, in one tab of a browser."""

    def __init__(self, room: Room, name: str, role: str, tab: str) -> None:
        self.room, self.name, self.role, self.tab = room, name, role, tab
        self.http = TestClient(room.app, base_url=OWN, headers={"origin": OWN, "content-type": "application/json"})
        token = room.project.invite(name, role)
        answer = self.http.post("/api/v1/session", json={"token": token}, headers={"x-hyla-csrf": "login"})
        assert answer.status_code == 204
        self.http.headers["x-hyla-csrf"] = self.get("/session").json()["csrf"]

    def in_tab(self, tab: str) -> Person:
        """Return the same person in another tab."""
        return Person(self.room, self.name, self.role, tab)

    def get(self, path: str) -> Any:
        return self.http.get(f"/api/v1{path}")

    def post(self, path: str, body: Any, key: str | None = None) -> Any:
        headers = {} if key is None else {"idempotency-key": key}
        return self.http.post(f"/api/v1{path}", content=json.dumps(body), headers=headers)

    # What the page does most.

    def take(self, n: int = 5, **how: Any) -> list[str]:
        answer = self.post("/leases", {"tab": self.tab, "n": n, **how})
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]

    def take_one(self, item: str, mode: str = "single") -> Any:
        return self.post(f"/items/{item}/lease", {"tab": self.tab, "mode": mode})

    def item(self, item: str) -> dict[str, Any]:
        answer = self.get(f"/items/{item}?tab={self.tab}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def decide(self, *decisions: dict[str, Any], key: str | None = None, **how: Any) -> Any:
        """Decide, each on the labels that this person is shown unless the decision says otherwise."""
        given = [
            one if "annotation" in one else {**one, "annotation": self.item(one["item"])["state"]["annotation"]}
            for one in decisions
        ]
        return self.post("/decisions", {"decisions": given, "tab": self.tab, **how}, key or str(uuid4()))

    def done(self, item: str, action: str = "accept", **more: Any) -> dict[str, Any]:
        """Decide on one item, and return what was made."""
        how = {name: more.pop(name) for name in ("mode", "note", "key") if name in more}
        answer = self.decide({"item": item, "action": action, **more}, **how)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["made"][0])

    def undo(self, *seqs: int, key: str | None = None) -> Any:
        return self.post("/undo", {"decisions": list(seqs), "tab": self.tab}, key or str(uuid4()))


class Room:
    """A project with its server; `time` is what the leases take for the time."""

    def __init__(self, project: Project, run: int = 0) -> None:
        self.time = 0.0
        self.project, self.run = project, run
        self.stored = 0
        self.open()

    def open(self) -> None:
        """Start the server, or another one in its place, which remembers no lease."""
        self.desk = Desk(self.project, Leases(lambda: self.time), Media(self.project), PORT)
        page = self.project.path / "page"
        page.mkdir(exist_ok=True)
        (page / "index.html").write_text("<!doctype html>")
        with patch.dict(os.environ, {STATIC: str(page)}):  # a checkout in which the page was not built will do
            self.app = make(self.desk)

    def hold(self, item: str) -> Hold | None:
        """Return who holds an item, or the clip that it is of."""
        return self.desk.leases.holder(self.desk.units([item])[item])

    def mode(self, item: str, person: Person) -> str | None:
        """Return the mode in which a person's tab holds an item, or None if it does not."""
        hold = self.hold(item)
        return hold.mode if hold and hold.of(person.name, person.tab) else None

    def store(self, *records: Record) -> None:
        self.project.write([Stored(one, self.stored + i, 0.0) for i, one in enumerate(records)])
        self.stored += len(records)

    def person(self, name: str, role: str = "reviewer", tab: str = "tab-1") -> Person:
        return Person(self, name, role, tab)


@contextmanager
def open_room(folder: Path, *records: Record) -> Iterator[Room]:
    """Give a room with these records in it."""
    with Project.create(folder) as project:
        run = start(project, schema=SCHEMA)
        room = Room(project, run)
        room.store(*records)
        yield room


def code(answer: Any) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


def label(**how: Any) -> dict[str, Any]:
    """Return a label as the page sends it."""
    return {"class": "lorry", "kind": "box", "box": [50, 50, 70, 80], **how}


def mask_of(*box: int) -> np.ndarray:
    """Return the mask of a box in a picture of SIZE."""
    mask = np.zeros(SIZE, dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask
