"""Read what holds of items before and while people decide on them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from hyla.decide.route import Route
from hyla.store.answers import State, words_of
from hyla.store.routing import first_state, first_words, read_route
from hyla.store.rows import flag_of
from hyla.store.tables import annotated, decisions, flags, items
from hyla.types import Flag, Verdict

CHUNK = 500  # things of one question
SOME: Any = bindparam("some", expanding=True)  # in a statement for `ask_all`
_ITEMS = (
    select(items.c.id, items.c.verdict, items.c.size, items.c.best, items.c.machine, items.c.route)
    .add_columns(annotated.c.digest, annotated.c.n, decisions.c.after)
    .join_from(items, annotated, annotated.c.id == items.c.machine)
    .outerjoin(decisions, decisions.c.seq == items.c.decided)  # a state follows from the decision that stands, undone or redone
    .where(items.c.id.in_(SOME))
)
_FLAGS = select(flags).where(flags.c.item_id.in_(SOME)).order_by(flags.c.id)


@dataclass(slots=True)
class Held:
    """Hold what is known of one item while decisions are made on it. `machine`, `digest` and `n`: of the machine's labels."""

    state: State
    verdict: str
    machine: int
    digest: str
    n: int
    size: tuple[int, ...]
    flags: list[Flag]
    route: Route | None

    def start(self) -> State:
        """Return the state while no decision stands."""
        return first_state(self.machine, self.digest, self.n, self.flags, self.verdict, self.route)

    def words(self) -> dict[int, str]:
        """Return the words that the labels which hold must have, by row, where it is not accept."""
        if self.state["decision"]:
            return words_of(self.state)
        words = first_words(self.n, self.flags, self.verdict, self.route).tolist()
        return {row: word for row, word in enumerate(words) if word != Verdict.ACCEPT}


def load(connection: Connection, ids: Iterable[str]) -> dict[str, Held]:
    """Return what holds of those of `ids` that are stored."""
    rows = ask_all(connection, _ITEMS, ids)
    flagged: dict[str, list[Flag]] = defaultdict(list)
    for row in ask_all(connection, _FLAGS, [row.id for row in rows]):
        flagged[row.item_id].append(flag_of(row))
    found = {}
    for row in rows:
        size, route = tuple(json.loads(row.size)), read_route(row.id, row.route)
        held = Held({}, row.verdict, row.machine, row.digest, row.n, size, flagged[row.id], route)
        held.state = json.loads(row.after) if row.after else held.start()
        found[row.id] = held
    return found


def ask_all(connection: Connection, question: Any, some: Iterable[Any]) -> list[Row[Any]]:
    """Return the rows of a question about many things, named SOME in it, asked a part at a time."""
    rest, found = iter(dict.fromkeys(some)), list[Row[Any]]()
    while chunk := list(islice(rest, CHUNK)):
        found += connection.execute(question, {"some": chunk}).all()
    return found
