"""Name what people say: what they ask for, and the decision it became."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

from hyla import codec
from hyla.errors import StoreError, did_you_mean
from hyla.store.rows import canonical, role_of
from hyla.types import Labels

ACTIONS = ("accept", "reject", "repair", "unsure", "edit", "opinion", "adjudicate", "undo")
CARRYING = ("edit", "opinion", "adjudicate")  # labels
MODES = ("single", "grid", "blind", "import", "simulated")  # simulated: a program answered from truth
NOBODY = ("import", "simulated")  # modes in which nobody sat before the page
AGAIN = "load the item again, and decide on what is there now"


class Stale(StoreError):
    """Report a decision on labels that hold no longer: somebody changed them meanwhile."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Say what a person decided; see `Project.decide`. `part`: an edit says nothing of the labels that it leaves as they were."""

    item_id: str
    action: str
    who: str
    key: str
    rows: tuple[int, ...] = ()
    labels: Labels | None = None
    annotation: int | None = None
    undoes: int | None = None
    active_ms: int = 0
    mode: str = "single"
    note: str = ""
    open: tuple[int, ...] = ()
    part: bool = False

    def prove(self) -> None:
        """Raise StoreError if this makes no sense, whatever the item."""
        for what, word, choices in (("action", self.action, ACTIONS), ("mode", self.mode, MODES)):
            if word not in choices:
                raise StoreError(f"unknown {what} {word!r}", did_you_mean(word, choices), choices)
        role_of(f"human:{self.who}")
        if not self.key:
            raise StoreError("a decision needs a key, the same whenever it is sent again", "key=str(uuid4())")
        try:
            f"{self.key}{self.note}".encode()
        except UnicodeEncodeError as e:
            raise StoreError(f"the key or the note is not Unicode: {e}") from e
        if (self.action in CARRYING) != (self.labels is not None):
            raise StoreError("an edit, an opinion and an adjudication carry labels, and nothing else does")
        if (self.action == "undo") != (self.undoes is not None):
            raise StoreError("an undo, and nothing else, names the decision that it undoes")
        if self.part and self.action != "edit":
            raise StoreError("only an edit is about a part of the labels without naming their rows")
        if self.open:
            if self.action != "edit":
                raise StoreError("only an edit says which labels stay open")
            check_rows(self.open, 0 if self.labels is None else len(self.labels))

    @property
    def digest(self) -> str:
        """Return the sha256 of all that was asked."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values["labels"] = None if self.labels is None else sha256(codec.pack(self.labels)).hexdigest()
        values["rows"], values["open"] = [int(r) for r in self.rows], [int(r) for r in self.open]
        if not self.part:  # as it was before there was such a thing: what was sent then is known again
            del values["part"]
        return sha256(canonical(values).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold what a person said once.

    Args:
        seq: 1, 2, 3, ... over the whole project.
        item_id: of the item.
        action: accept, reject, repair, unsure, edit, opinion, adjudicate or undo.
        rows: the labels it is about, counted in the annotation of `before`; empty for the item as a whole.
        who: said it.
        at: when, in UTC.
        before: state of the item before; see `hyla.store.answers`.
        after: state of the item since.
        undoes: seq of the decision that an undo takes back.
        active_ms: time that the person spent on it.
        mode: single, grid, blind, import or simulated.
        note: what the person wrote.
        key: what makes sending it twice one decision.
        request: sha256 of what was asked for.
        prev_hash: hash of the decision before it; of the project's id for the first.
        hash: sha256 of all of the above as canonical JSON.
    """

    seq: int
    item_id: str
    action: str
    rows: tuple[int, ...]
    who: str
    at: str
    before: dict[str, Any]
    after: dict[str, Any]
    undoes: int | None
    active_ms: int
    mode: str
    note: str
    key: str
    request: str
    prev_hash: str
    hash: str = ""

    def reckon(self) -> str:
        """Return the hash that this decision must have."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "hash"}
        return sha256(canonical(values).encode()).hexdigest()


def person(who: str) -> str:
    """Return what a person is known by: names that differ in nothing but case, spaces or width are one."""
    return "".join(unicodedata.normalize("NFKC", who).casefold().split())


def genesis(project: str) -> str:
    """Return what the first decision of a project is chained to."""
    return sha256(f"hyla ledger of {project}".encode()).hexdigest()


def decision_of(row: Any) -> Decision:
    """Return the decision that a row of the table holds."""
    values = dict(row._mapping)
    values["key"] = values.pop("idempotency_key")
    values["rows"] = tuple(json.loads(values["rows"]))
    values["before"], values["after"] = json.loads(values["before"]), json.loads(values["after"])
    return Decision(**values)


def row_of(made: Decision) -> dict[str, Any]:
    """Return the row of the table that holds a decision; the inverse of `decision_of`."""
    values = {f.name: getattr(made, f.name) for f in fields(made)}
    values["idempotency_key"] = values.pop("key")
    return values | {name: canonical(values[name]) for name in ("rows", "before", "after")}


def check_rows(rows: tuple[int, ...], n: int) -> None:
    """Raise StoreError if `rows` are not rows of n labels."""
    if rows and not (min(rows) >= 0 and max(rows) < n):
        raise StoreError(f"rows must be {f'0 to {n - 1}' if n else 'none'}, got {list(rows)}", AGAIN)
