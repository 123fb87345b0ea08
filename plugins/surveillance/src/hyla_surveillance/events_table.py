"""Write events as tables: one line per event, joined over the frames of its clip; JSON Lines and CSV.

clip, camera, site       where
event, id, state         class, number in its clip, and `confirmed`, `truth`, or `told` where the class asks nobody
start_s, end_s           seconds of the clip, by presentation time; duration_s is what lies between
start_utc, end_utc       ISO 8601 in UTC, empty where nothing tells when the clip was recorded
participants             tracks of who takes part (CSV: with spaces between)
place, direction         zone or line; in or out
score, evidence          of the machine: how far beyond the threshold, and what it measured (CSV: a column each)
frames                   how many frames carry it; first_item and last_item name the first and the last
answered                 who confirmed it, and when (CSV: answered_by, answered_at)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hyla.errors import ConfigError
from hyla.formats import Loss, inside, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_surveillance.events import EVIDENCE, rows_of
from hyla_surveillance.happenings import Happening, confirm, denied, happenings, iso

if TYPE_CHECKING:
    from hyla.pictures import Pictures

PLAIN = (
    *("clip", "camera", "site", "event", "id", "state", "start_s", "end_s", "duration_s", "start_utc", "end_utc"),
    *("participants", "place", "direction", "score", "frames", "first_item", "last_item"),
)
COLUMNS = (*PLAIN, *EVIDENCE, "answered_by", "answered_at")
RISKY = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take a text that begins so for a formula


class EventsTable(Format):
    """Write the events of clips, one line each. What fewer people confirmed than its class asks for is never written.

    Args:
        file: name of the files, without the ending: .jsonl and .csv.
        denied: list also the events that people took out of every frame, as state `denied`. By itself what was denied is
            gone: a table of suspicions that did not hold is rarely lawful to keep.
        pictures: of the project, which knows who confirmed what.
    """

    name = "events"

    def __init__(self, file: str = "events", denied: bool = False, pictures: Pictures | None = None) -> None:
        self.file = inside(file, "export.events.file")
        self.denied, self.project = denied, pictures.project if pictures else None
        if not isinstance(denied, bool):
            raise ConfigError(f"export.events.denied={denied!r} is not a choice", choices=("true", "false"))

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `out`/events.jsonl and `out`/events.csv as the clips come. Return what is lost."""
        loss = Loss()
        with ExitStack() as stack:
            lines = stack.enter_context(writing(out / f"{self.file}.jsonl"))
            table = stack.enter_context(writing(out / f"{self.file}.csv"))
            table.write(_csv(COLUMNS))
            for found in happenings(counted(records, schema, loss), schema):
                kept, others = confirm(found, schema, self.project)
                loss.count("unconfirmed event", others)
                for one in kept:
                    lines.write(msgspec.json.encode(line(one)) + b"\n")
                    table.write(_csv(row(one)))
            for one in denied(self.project, schema) if self.denied and self.project else ():
                lines.write(msgspec.json.encode(line(one)) + b"\n")
                table.write(_csv(row(one)))
        return dict(loss)


def line(one: Happening) -> dict[str, Any]:
    """Return an event as JSON has it."""
    event = one.event
    return {
        "clip": one.group,
        "camera": one.camera,
        "site": one.site,
        "event": event.name,
        "id": event.track,
        "state": one.state,
        "start_s": round(event.start, 6),
        "end_s": round(event.end, 6),
        "duration_s": round(event.seconds, 6),
        "start_utc": iso(one.begin),
        "end_utc": iso(one.end),
        "participants": list(event.participants),
        "place": event.place,
        "direction": event.direction,
        "score": event.score,
        "frames": len(one.items),
        "first_item": one.first.id,
        "last_item": one.last.id,
        "evidence": dict(event.evidence),
        "answered": [{"who": said.who, "at": said.at} for said in one.said],
    }


def row(one: Happening) -> list[Any]:
    """Return an event as a row of the CSV."""
    values = line(one)
    values["participants"] = " ".join(map(str, one.event.participants))
    measured = [one.event.evidence.get(name, "") for name in EVIDENCE]
    said = ["; ".join(said.who for said in one.said), "; ".join(said.at for said in one.said)]
    return [*(values[name] for name in PLAIN), *measured, *said]


def counted(records: Iterable[Record], schema: Schema, loss: Loss) -> Iterable[Record]:
    """Yield the records, and count what they hold beside events."""
    for one in records:
        events = rows_of(one.labels, schema)
        taken = loss.take(
            one, ("tag",), ("track", "score", "attribute", "evidence", "context.camera", "context.site", "meta", "frame")
        )
        loss.count("tag", len(taken) - int(events.sum()))
        yield one


def _csv(values: Iterable[Any]) -> bytes:
    """Return one line of CSV (RFC 4180), in which no text begins as a formula does."""
    text = io.StringIO()
    safe = (f"'{v}" if isinstance(v, str) and v.startswith(RISKY) else v for v in values)
    csv.writer(text).writerow(safe)
    return text.getvalue().encode()
