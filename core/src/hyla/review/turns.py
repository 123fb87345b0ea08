"""Turn a decision that a person sent into what the ledger is asked, as it follows from what that person was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hyla.review import mentions, wire
from hyla.review.access import Visitor
from hyla.review.changes import Changed, apply
from hyla.review.desk import Desk
from hyla.review.items import judged, record_of
from hyla.review.problems import Refused
from hyla.review.sight import BLIND_LANES, Sight, is_barred, open_sight
from hyla.store.answers import ANSWERS, State
from hyla.store.asks import CARRYING
from hyla.store.ranges import from_ranges
from hyla.types import Labels

CHANGED = "the labels of this item changed meanwhile"


class Behind(Refused):
    """Refuse a decision on labels that hold no longer."""

    def __init__(self, item_id: str, code: str = "stale", what: str = CHANGED, hint: str = "look again and decide") -> None:
        super().__init__(409, code, what, hint)
        self.item_id = item_id


def numbers_alone(one: wire.Decide) -> dict[int, int] | None:
    """Return the new numbers of tracks, of an edit of a part that brings nothing else: it may change nothing."""
    given = one.changes
    if one.action != "edit" or one.done or one.rows or given is None or given.context is not None:
        return None
    return None if given.put or given.add or given.drop or given.rename else given.renumber or None


@dataclass(frozen=True, slots=True)
class Turn:
    """Hold a decision that a person sent, with the state of the item in which it is judged.

    Args:
        desk: what the endpoints share.
        who: sent it.
        one: what was sent.
        blind: whether it is an answer given blind.
        state: of the item, of the ledger.
    """

    desk: Desk
    who: Visitor
    one: wire.Decide
    blind: bool
    state: State

    def parts(self) -> dict[str, Any] | None:
        """Return the action, rows, labels and open rows of the Ask; None for an edit that changes nothing.

        Raises:
            Refused: for what can't be asked here, or labels that can't be.
        """
        one = self.one
        if one.changes is not None and one.action not in CARRYING:
            raise Refused(422, "changes", f"{one.action} carries no changes", "send an edit")
        if self.blind:
            return self._blind()
        match self._sight:
            case "second":
                return self._second()
            case "adjudicate":
                return self._adjudicate()
        if one.action == "adjudicate" and not self.who.may("adjudicator"):
            raise Refused(403, "role", "to adjudicate needs the role adjudicator", "ask an admin")
        doubted = self.state["lane"] == "second" and self.state["outcome"] not in ANSWERS
        if doubted and is_barred(self.desk, self.who, self.state):
            raise Refused(403, "second", "you were unsure about this item", "somebody else answers it; or undo your answer")
        self._current(self.state["annotation"])
        if one.action not in CARRYING:
            return {"action": one.action, "rows": tuple(one.rows)}
        self._answerable()
        base = self.desk.project.labels_of(one.annotation)[2]
        numbers = numbers_alone(one)
        if numbers is not None and mentions.renumbered(base, numbers, self.desk.schema) is base:
            return None
        changed, part = self._changed(base), one.action == "edit" and not one.done
        stay = changed.rows(from_ranges(self.state["open"])) if part else ()
        return {"action": one.action, "rows": tuple(one.rows), "labels": changed.labels, "open": stay, "part": part}

    def _blind(self) -> dict[str, Any]:
        """Return a blind answer: all labels of the person's own, which is an opinion where a first answer stands."""
        one = self.one
        if one.rows or one.action not in ("edit", "opinion", "unsure") or not one.done:
            raise Refused(422, "mode", "a blind answer is about the whole item", "send an edit with all labels, or unsure")
        if self.state["lane"] not in BLIND_LANES:  # somebody answered meanwhile
            raise Behind(one.item)
        self._current(judged(self.desk, record_of(self.desk, one.item), self.state, "blind")[1].annotation)
        if one.action == "unsure":
            return {"action": "unsure"}
        return {"action": "opinion" if self._sight == "second" else "edit", "labels": self._changed(Labels.empty()).labels}

    def _second(self) -> dict[str, Any]:
        """Return a second opinion, whatever word it came in: the first answer stays, and the two are compared."""
        one = self.one
        record = record_of(self.desk, one.item)
        labels, shown = judged(self.desk, record, self.state, "second")
        self._current(shown.annotation)
        part = bool(one.rows) and not set(shown.open) <= set(one.rows)
        if part or one.action not in ("accept", "reject", "edit", "opinion", "unsure") or (one.action == "reject" and one.rows):
            what = "a second opinion is about the whole item"
            raise Refused(422, "second", what, "accept it, change its labels, reject it as a whole, or be unsure")
        if one.action == "unsure":
            return {"action": "unsure"}
        if one.action == "reject":
            return {"action": "opinion", "labels": Labels.empty(labels.context)}
        return {"action": "opinion", "labels": self._changed(labels).labels}

    def _adjudicate(self) -> dict[str, Any]:
        """Return what an adjudicator chose, beginning from either opinion."""
        if self.one.action != "adjudicate":
            raise Refused(422, "adjudicate", "two opinions on this item differ", "choose one of them, or give labels of your own")
        self._current(self.state["annotation"], self.state["second"])
        return {"action": "adjudicate", "labels": self._changed(self.desk.project.labels_of(self.one.annotation)[2]).labels}

    def _changed(self, base: Labels) -> Changed:
        record = record_of(self.desk, self.one.item)
        if self.one.changes is None and self.one.action == "edit":
            raise Refused(422, "changes", "an edit says what it changes", "or accept the labels as they are")
        return apply(base, self.one.changes or wire.Changes(), self.desk.schema, record.size, self.one.rows)

    def _answerable(self) -> None:
        """Raise Refused for a new name of a label that somebody called wrong or doubtful, which nobody looked at again."""
        renamed = set() if self.one.changes is None else self.one.changes.rename.keys() - set(self.one.rows)
        wrong = from_ranges(self.state["mend"]) | from_ranges(self.state["doubt"])
        if self.state["lane"] == "repair":
            wrong |= from_ranges(self.state["open"])
        if renamed & wrong:
            raise Refused(422, "labels", "changes: somebody called this label wrong or doubtful", "answer it first")

    @property
    def _sight(self) -> Sight:
        return open_sight(self.desk, self.who, self.state)

    def _current(self, *held: int) -> None:
        if self.one.annotation not in held:
            raise Behind(self.one.item)
