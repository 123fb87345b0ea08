"""What the tests of confirmations share: a schema that asks for people, one item, and what may be done to it."""

from __future__ import annotations

from itertools import count
from typing import Any

from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Item, Kind, Labels, Record, Verdict
from store_kit import SETTINGS, held, raw, start

CLASSES: dict[str, Any] = {
    "thing": {"kinds": ["box"]},
    "event": {"kinds": ["tag"], "confirmations": 1},
    "match": {"kinds": ["box", "tag"], "confirmations": 2},
    "kin": {"kinds": ["box"], "parent": "match"},
}
SCHEMA = Schema.from_config(
    {
        "name": "yard",
        "kinds": ["box", "tag", "track"],
        "classes": CLASSES,
        "attributes": {"entry": {"type": "text", "classes": ["match"]}},
    }
)
THING, EVENT, MATCH, KIN = range(4)
ITEM = "item00000"
SIZE = (100, 200)


def labels(*classes: int, entry: str = "17", shift: float = 0.0) -> Labels:
    """Return one label per class, side by side; an event is a tag."""
    tags = [c == EVENT for c in classes]
    whole, n = [0.0, 0.0, 200.0, 100.0], range(len(classes))
    return Labels.of(
        list(classes),
        [whole if tag else [20 * i + shift, 10, 20 * i + 16 + shift, 40] for i, tag in zip(n, tags, strict=True)],
        kind=[Kind.TAG if tag else Kind.BOX for tag in tags],
        score=[0.5] * len(classes),
        track=n,
        attributes={"entry": [entry if c == MATCH else None for c in classes]},
    )


def record(given: Labels, flags: tuple[Flag, ...] = (), verdict: Verdict = Verdict.ACCEPT, name: str = ITEM) -> Record:
    return Record(Item(name, f"{name}.jpg"), given, flags, verdict, "model:toy@0f", SIZE)


class Yard:
    """A project with one item, and what may be done to it."""

    def __init__(self, project: Project) -> None:
        self.project, self.keys = project, count()

    def hold(self, *given: int, **how: Any) -> None:
        """Store the item as the machine labelled it: accepted, with no flag of any rule."""
        start(self.project, schema=SCHEMA, settings={**SETTINGS, "loader": {}})
        self.project.write([Stored(record(labels(*given), **how), 0, 0.0)])

    def say(self, who: str, action: str, given: Labels | None = None, **how: Any) -> str:
        """Decide, and return the lane in which the item waits now."""
        self.last = self.project.decide(ITEM, action, who=who, key=f"k{next(self.keys)}", labels=given, **how)
        return str(held(self.project, ITEM)[0])

    def undo(self, who: str = "ann") -> str:
        return self.say(who, "undo", undoes=self.last.seq)

    @property
    def out(self) -> list[str]:
        """Return the classes of what leaves the project, once every source and the counts agree on it."""
        best = self.of("best")
        counts = self.project.confirmations([ITEM])[ITEM]
        now = self.project.record(ITEM)
        assert now is not None
        least = SCHEMA.confirmations[now.labels.class_id]
        assert best == [SCHEMA.names[c] for c in now.labels.class_id[counts >= least]]
        sources = {source for (source,) in raw(self.project.path, "SELECT DISTINCT source FROM annotations")}
        for source in ("model", "human", *sources):
            for name in set(self.of(source)) - {"thing"}:
                assert name in best, source
        return best

    def of(self, source: str) -> list[str]:
        return [SCHEMA.names[c] for one in self.project.released(source) for c in one.labels.class_id]
