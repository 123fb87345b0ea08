"""Read what things are called: the values of the attribute that says what an object is, where a schema has one.

A label's name is the value of the first of `Schema.identities`, as text; empty where nobody knows it. If that is a code, an
attribute `name` may hold its title, what people call it. Both stand in columns of their own, so that what waits can be counted by
name, and found, without opening a label.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, func, select, true

from hyla.schema import Attribute, Schema
from hyla.store.database import Database
from hyla.store.tables import NAMED, OWN, PENDING, TITLED, annotated, items, labels, runs
from hyla.types import Labels, Verdict

_DONE = (Verdict.ACCEPT.value, Verdict.REJECT.value)
TITLE = "name"  # the attribute that holds a title
MANY = 4000  # names that a search looks at
EXAMPLES = 8  # labels that may stand for a name: some of them are not for everybody


@dataclass(frozen=True, slots=True)
class NameCount:
    """Count the labels of one class and one name that wait, with the mean of their scores."""

    name: str
    class_name: str
    waiting: int
    score: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class KnownName:
    """Name something that labels are called, with the class of one of them."""

    name: str
    class_name: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Called:
    """Name a label that holds: row `row` of `annotation`."""

    item_id: str
    annotation: int
    row: int


def identity_of(schema: Schema) -> Attribute | None:
    """Return the attribute that names a label; None where a schema has none."""
    return schema.attributes_of("label")[schema.identities[0]] if schema.identities else None


def stored_identity(connection: Connection) -> str | None:
    """Return the name of that attribute in a project; its runs have one schema."""
    found = connection.scalar(select(runs.c.schema).order_by(runs.c.id.desc()).limit(1))
    return None if found is None else _identity(found)


@lru_cache(maxsize=16)
def _identity(schema: str) -> str | None:
    values = json.loads(schema).get("attributes") or {}
    found = (name for name, one in values.items() if one.get("identity") and one.get("scope", "label") == "label")
    return next(found, None)


def names_of(given: Labels, identity: str | None) -> list[str | None]:
    """Return the names (n,) of labels; None where the schema has no attribute that names them."""
    if identity is None:
        return [None] * len(given)
    column = given.attributes.get(identity)
    return [""] * len(given) if column is None else [_text(value) for value in column.tolist()]


def titles_of(given: Labels, identity: str | None) -> list[str | None]:
    """Return the titles (n,) of labels, empty where there is none; None where the schema has no attribute that names them."""
    return names_of(given, identity and TITLE) if identity != TITLE else [""] * len(given)


def value_of(attribute: Attribute, name: str) -> Any:
    """Return the value that `name` stands for, None for an empty one; raise ValueError where it is no such value."""
    if not name:
        return None
    return {"integer": int, "number": float}.get(attribute.type, str)(name)


def may_have(schema: Schema, attribute: Attribute, class_id: int) -> bool:
    """Tell whether labels of a class have an attribute."""
    return not attribute.classes or class_id in schema.under(*attribute.classes)


def waiting(database: Database, schema: Schema, one: tuple[int, str] | None) -> list[NameCount]:
    """Return how many open labels of each class and name, or of this class and name, wait in the lane review, in no order."""
    what = (labels.c.class_id, labels.c.name, func.count(), func.sum(labels.c.score), func.max(labels.c.title))
    everywhere = select(*what).where(NAMED, PENDING).group_by(labels.c.class_id, labels.c.name)
    # All open labels less the few that wait elsewhere, as `queue.classes_waiting` counts them.
    elsewhere = select(*what).join_from(items, labels, labels.c.annotation_id == items.c.best)
    elsewhere = elsewhere.where(NAMED, items.c.lane.in_(("repair", "second")), labels.c.verdict.not_in(_DONE))
    if one is not None:
        everywhere, elsewhere = (
            asked.where(labels.c.class_id == one[0], labels.c.name == one[1]) for asked in (everywhere, elsewhere)
        )
    counts: dict[tuple[int, str], tuple[int, float, str]] = {}
    with database.read() as connection:
        counts.update({(c, name): (n, score, title) for c, name, n, score, title in connection.execute(everywhere)})
        for c, name, n, score, _ in connection.execute(elsewhere.group_by(labels.c.class_id, labels.c.name)):
            held = counts[c, name]
            counts[c, name] = held[0] - n, held[1] - score, held[2]
    found = ((schema.names[c], name, held) for (c, name), held in counts.items())
    return [NameCount(name, of, n, score / n, title if name else "") for of, name, (n, score, title) in found if n > 0]


def known(database: Database, schema: Schema, words: str, limit: int) -> list[KnownName]:
    """Return up to `limit` names that labels have now, in which, or in their titles, all of `words` are: what begins so first."""
    found = select(labels.c.name, func.max(labels.c.title).label("title")).where(TITLED).group_by(labels.c.name)
    for part in words.split():
        found = found.having((labels.c.name + " " + func.max(labels.c.title)).icontains(part, autoescape=True))
    first = words.strip().casefold()
    answer: list[KnownName] = []
    with database.read() as connection:
        rows = connection.execute(found.order_by(labels.c.name).limit(MANY)).all()
        begins = {row.name: any(word.casefold().startswith(first) for word in (row.name, row.title)) for row in rows}
        for row in sorted(rows, key=lambda row: (not begins[row.name], (row.title or row.name).casefold())):
            classes = _held(row.name, labels.c.class_id).group_by(labels.c.class_id)
            held = connection.execute(classes.order_by(func.count().desc(), labels.c.class_id).limit(1)).first()
            if held is not None:
                answer.append(KnownName(row.name, schema.names[held.class_id], row.title))
            if len(answer) == limit:
                break
    return answer


def examples(database: Database, name: str) -> list[Called]:
    """Return labels of a name that people said or found to be right, newest first: a few, of which one can be shown."""
    said = (annotated.c.role == "human") & (labels.c.score == 1)
    found = _held(name, items.c.id, labels.c.annotation_id, labels.c.row)
    found = found.where(labels.c.verdict == Verdict.ACCEPT.value, said | (items.c.outcome == Verdict.ACCEPT.value))
    with database.read() as connection:
        return [Called(*row) for row in connection.execute(found.order_by(labels.c.annotation_id.desc()).limit(EXAMPLES))]


def called(database: Database, name: str, after: int, limit: int) -> dict[str, list[Called]]:
    """Return item id -> labels of a name that hold, of up to `limit` items whose labels are numbered above `after`, by number."""
    page = _held(name, labels.c.annotation_id, own=False).where(labels.c.annotation_id > after)
    page = page.distinct().order_by(labels.c.annotation_id).limit(limit)
    found = _held(name, items.c.id, labels.c.annotation_id, labels.c.row, own=False)
    found = found.order_by(labels.c.annotation_id, labels.c.row)
    answer: dict[str, list[Called]] = defaultdict(list)
    with database.read() as connection:
        numbers = list(connection.scalars(page))
        if numbers:
            for row in connection.execute(found.where(labels.c.annotation_id.between(numbers[0], numbers[-1]))):
                answer[row.id].append(Called(*row))
    return answer


def _held(name: str, *columns: Any, own: bool = True) -> Select[Any]:
    """Ask for labels of a name that hold; of planted copies too, if not `own`."""
    join = labels.join(annotated, annotated.c.id == labels.c.annotation_id)
    join = join.join(items, (items.c.id == annotated.c.item_id) & (items.c.best == annotated.c.id))
    return select(*columns).select_from(join).where(labels.c.name == name, TITLED, OWN if own else true())


def _text(value: Any) -> str:
    if value is None or value != value:  # NaN
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
