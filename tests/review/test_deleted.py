"""What was deleted while people review is shown no more: neither from the file nor from memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hyla.pictures import Pictures
from hyla.retain import retain
from hyla.review import media
from hyla.review.problems import Refused
from hyla.store import Project
from review_kit import Room, code


def test_the_page_passes_over_what_was_deleted(gallery: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "LOOK", 0.0)
    with Project.open(gallery("photo 2 9\nclip 1 5")) as project:
        room = Room(project)
        ann = room.person("ann", "admin")
        photo, other = (one.item.id for one in project.records() if one.item.meta["made"] == "photo")
        frames = [one.item.id for one in project.records() if one.item.meta["made"] == "clip"]
        ann.take(9)
        ann.done(photo)
        addresses = [f"/media/{one}/image.jpg" for one in (photo, frames[2])]
        addresses.append(f"/media/{photo}/crop/{project.machine_annotation(photo)}/0.jpg")
        assert [ann.http.get(path).status_code for path in addresses] == [200] * 3
        project.hold(other, "ann", "to be kept")
        done = retain(project, "ann", hours=0.0)
        assert (done.items, done.held) == (6, 1)
        assert [code(ann.http.get(path)) for path in addresses] == [(404, "item")] * 3
        assert ann.get(f"/items/{photo}").status_code == ann.get(f"/clips/{frames[0]}").status_code == 404
        assert ann.get("/history").json()["events"] == []
        assert ann.get("/stats").status_code == 200
        assert ann.http.get(f"/media/{other}/image.jpg").status_code == 200
        assert {one["id"] for one in ann.post("/leases", {"tab": ann.tab, "n": 9}).json()["items"]} <= {other}
        assert project.verify().ok


def test_a_clip_of_which_something_was_deleted_is_kept_open_no_more(
    gallery: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media, "LOOK", 0.0)
    closed, close = list[str](), Pictures.close
    monkeypatch.setattr(Pictures, "close", lambda self, group: (closed.append(group), close(self, group))[1])
    with Project.open(gallery("photo 2 9\nclip 1 5")) as project:
        shown = media.Media(project)
        frames = [one.item for one in project.records() if one.item.group]
        shown.image(frames[0].id, "full")
        assert closed == []
        retain(project, "ann", hours=0.0)
        with pytest.raises(Refused, match="there is no such item"):
            shown.image(frames[0].id, "full")
        assert closed == [frames[0].group]
