"""What the tests of retention share: clips of a yard, of which every frame knows when it was taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hyla.frame import VideoFrame
from hyla.retain import Outcome, retain
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Item, Kind, Labels, Record, Severity, Verdict
from store_kit import SETTINGS, start

NOW = 1_750_000_000.0  # seconds since 1970
HOUR = 3600.0
SIZE = (100, 200)
SECRET = "Zylberquist in the red coat"
SCHEMA = Schema.from_config(
    {
        "name": "yard",
        "kinds": ["box", "tag", "track"],
        "classes": {"person": {"kinds": ["box"]}, "event": {"kinds": ["tag"], "confirmations": 2}},
        "attributes": {"seen": {"type": "text"}, "light": {"type": "text", "scope": "image"}},
    }
)
PERSON, EVENT = 0, 1


def frame(
    group: str,
    index: int,
    taken: float | None,
    hours: float | None = None,
    event: int | None = None,
    each: float = 1.0,
    uri: str | None = None,
) -> Record:
    """Return a frame, `each` seconds after the one before it, with a person and, if given, an event of that number."""
    meta: dict[str, Any] = {"seconds": index * each}
    meta |= {} if taken is None else {"utc": taken}
    meta |= {} if hours is None else {"retention_hours": hours}
    item = Item(
        f"{group}{index:04d}" if group else f"one{index:04d}", uri or f"{group or index}.mp4", group, index, "video_frame", meta
    )
    classes = [PERSON] if event is None else [PERSON, EVENT]
    labels = Labels.of(
        classes,
        [[10, 10, 30, 60], [0, 0, 200, 100]][: len(classes)],
        kind=[Kind.BOX, Kind.TAG][: len(classes)],
        track=[3, event or 0][: len(classes)],
        attributes={"seen": [SECRET] * len(classes)},
        context={"light": SECRET},
    )
    flags = (Flag("watch", "odd", Severity.REVIEW, (0,), SECRET),)
    return Record(item, labels, flags, Verdict.REVIEW, "model:toy@0f", SIZE, VideoFrame(index * each, index))


def clip(group: str, n: int, begin: float, events: Sequence[int] = (), each: float = 1.0, **how: Any) -> list[Record]:
    """Return the frames of a clip that begins at `begin`; those of `events` show an event."""
    return [frame(group, i, begin + i * each, event=7 if i in events else None, each=each, **how) for i in range(n)]


def store(project: Project, *records: Record, finish: bool = True) -> None:
    """Store records after those that are there, and finish their clips."""
    first = project.last_ordinal() + 1
    project.write([Stored(one, first + i, 0.0) for i, one in enumerate(records)])
    for group in dict.fromkeys(one.item.group for one in records) if finish else ():
        if group:
            project.finish_group(group, [])


@contextmanager
def sound(folder: Path) -> Iterator[Project]:
    """Hold an empty project, which must verify in the end."""
    with Project.create(folder) as made:
        yield made
        report = made.verify()
        assert report.ok, report.problems


def begin(project: Project, source: Path | str = "/data/yard") -> None:
    start(project, schema=SCHEMA, source=str(source), settings=SETTINGS)


def confirm(project: Project, *ids: str, people: Sequence[str] = ("ann", "ben")) -> None:
    """Let people say that all is right."""
    for who in people:
        for item in ids:
            action, more = "accept", {}
            if project.state(item)["lane"] == "second" and project.state(item)["outcome"]:
                action, more = "opinion", {"labels": project.record(item).labels}  # type: ignore[union-attr]
            project.decide(item, action, who=who, key=f"{who} {item}", note=SECRET, **more)


def written(folder: Path, *names: str) -> None:
    """Write files of five bytes."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"12345")


def gone(project: Project, **how: Any) -> Outcome:
    """Delete what is older than a day."""
    return retain(project, "ann", **{"hours": 24.0, "now": NOW, **how})


def ids(project: Project) -> list[str]:
    return [one.item.id for one in project.records()]


OLD, YOUNG = NOW - 25 * HOUR, NOW - 23 * HOUR
