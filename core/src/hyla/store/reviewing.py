"""What people do with a project, and what waits for them: the half of `Project` that a review uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from hyla.decide.agree import AGREE_IOU
from hyla.schema import Schema
from hyla.store import ledger, naming, query, queue, recall, releasing, remembered
from hyla.store.answered import Answered, answered
from hyla.store.asks import Ask, Decision
from hyla.store.database import Database
from hyla.store.naming import Called, KnownName, NameCount
from hyla.store.queue import ClipItem, LaneCount, OpenLabel, Waiting
from hyla.store.recall import Opinion, Timed
from hyla.types import Bools, Flag, Ints, Labels


class Reviewing(ABC):
    """Take decisions, and tell what waits for one."""

    _db: Database

    @abstractmethod
    def schema(self) -> Schema:
        """Return the schema of the labels."""

    @property
    def agree_iou(self) -> float:
        """Return the overlap from which two people's areas count as the same, as the last run set it."""
        return float(remembered.recall(self._db, "agree_iou") or AGREE_IOU)

    # What people say

    def decide(
        self,
        item_id: str,
        action: str,
        *,
        who: str,
        key: str,
        rows: Sequence[int] = (),
        labels: Labels | None = None,
        annotation: int | None = None,
        undoes: int | None = None,
        open: Sequence[int] = (),
        active_ms: int = 0,
        mode: str = "single",
        note: str = "",
    ) -> Decision:
        """Record what a person said of an item; once this returns, it is on the disk.

        Without `rows`, accept, reject, repair and unsure are about the whole item and finish it; with them, about those labels,
        and the item is finished when no label is open any more. A finished item leaves the lanes, unless a label is to be mended
        (lane repair), somebody was unsure (lane second), or a flag of severity SECOND asks for a second opinion on the answer.

        Args:
            item_id: of the item.
            action: `accept`; `reject` (nothing is there: such rows are left out of the labels that hold from then on); `repair`
                (wrong, to be mended); `unsure`; `edit` (with all the labels of the item); `opinion`, the labels of a second
                person, kept beside the first answer: if the two differ, the item waits for `adjudicate`, the labels of a third,
                which then hold; or `undo`, which brings back what was there before the decision `undoes`.
            who: said it.
            key: names this decision: sent again, the first one is returned and nothing is written.
            rows: the labels it is about.
            labels: of an edit, an opinion or an adjudication.
            annotation: number of the labels that were judged, from `state`; if others hold by now, nothing is decided.
            undoes: number of the decision to undo: the last of the item that stands.
            open: of an edit, the rows of the new labels that somebody still has to answer. Labels that somebody called wrong or
                doubtful stay so until an edit changes them or takes them out.
            active_ms: time that the person spent.
            mode: single, grid, blind, import, or simulated (a program answered from truth).
            note: to keep with it.

        Raises:
            StoreError: if there is no such item, its labels changed meanwhile (`Stale`), it is not this person's turn, the key
                was used for another decision, or the disk is full.
            StageError: for labels that do not fit the schema.
        """
        some, left = tuple(map(int, rows)), tuple(map(int, open))
        ask = Ask(item_id, action, who, key, some, labels, annotation, undoes, active_ms, mode, note, left)
        return self.decide_all([ask])[0]

    def decide_all(self, asks: Sequence[Ask]) -> list[Decision]:
        """Record several decisions, all or none, each as `decide` does; later ones see what earlier ones left."""
        for ask in asks:
            ask.prove()
        schema, least = self.schema(), self.agree_iou
        with self._db.write(durable=True) as connection:
            return ledger.decide(connection, self._db.id, schema, asks, least)

    def decisions(self, item_id: str | None = None) -> Iterator[Decision]:
        """Return the decisions, first to last, of one item or of all."""
        return query.decisions_of(self._db, item_id)

    def decision(self, seq: int) -> Decision:
        """Return a decision by its number; raise StoreError if there is none."""
        return recall.decision(self._db, seq)

    def decisions_by(self, seqs: Iterable[int]) -> dict[int, Decision]:
        """Return seq -> decision of those of `seqs` that there are."""
        return recall.by_number(self._db, seqs)

    def decisions_of_keys(self, keys: Sequence[str]) -> list[Decision]:
        """Return the decisions that were made with `keys`, in their order, leaving out keys that were not used."""
        return recall.by_key(self._db, keys)

    def recent(self, limit: int, who: str | None = None, item_id: str | None = None) -> list[Decision]:
        """Return up to `limit` decisions, last first: of one person, or on one item, if given."""
        return recall.recent(self._db, limit, who, item_id)

    def paces(self, limit: int = 5000) -> list[Timed]:
        """Return how long decisions took that stand, of the last `limit`, last first; what was done again counts once."""
        return recall.paces(self._db, limit)

    def state(self, item_id: str) -> dict[str, Any]:
        """Return what holds of an item, as `hyla.store.answers` describes it; raise StoreError if there is no such item."""
        return recall.state(self._db, item_id)

    def states(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return item id -> state, at one moment, of those of `ids` that are stored."""
        return recall.states(self._db, ids)

    def answered(self, ids: Iterable[str]) -> dict[str, Answered]:
        """Return item id -> whose answer each label that holds rests on, of those of `ids` on which a decision stands."""
        return answered(self._db, ids)

    def confirmations(self, ids: Iterable[str]) -> dict[str, Ints]:
        """Return item id -> (n,) how many different people said each label that holds, of those of `ids` that are stored.

        Only labels whose class asks for people (`Schema.confirmations`) are counted; all others have 0. Nobody counts while two
        people differ, once somebody said that nothing is there, and where a file or a program said it.
        """
        return releasing.confirmations(self._db, ids)

    def kept(self, ids: Iterable[str]) -> dict[str, Bools]:
        """Return item id -> (n,) which labels that hold `Project.released` leaves in, of those of `ids` that are stored."""
        return releasing.kept(self._db, self.schema(), ids)

    # What waits for them

    def lanes(self) -> list[LaneCount]:
        """Count the items that wait, by lane and reason."""
        return queue.lanes(self._db)

    def classes_waiting(self) -> dict[str, int]:
        """Return class name -> open labels of items in the lane review, where there are any."""
        return queue.classes_waiting(self._db, self.schema())

    def next_items(
        self,
        lane: str,
        reason: str | None = None,
        limit: int = 5,
        without: Collection[str] = (),
        who: str = "",
        after: str | None = None,
        groups: Collection[str] = (),
    ) -> list[Waiting]:
        """Return up to `limit` items that wait in a lane, by priority, the lowest first, then in the order of the scan.

        Args:
            lane: review, repair, second or adjudicate.
            reason: only items that wait for this one.
            limit: how many.
            without: ids to leave out.
            who: leave out what this person may not answer, or should leave to another: what they answered or were unsure about.
            after: id of an item; only those that come later in that order.
            groups: to leave out.
        """
        return queue.next_items(self._db, lane, reason, limit, without, who, after, groups)

    def heads(self, ids: Iterable[str]) -> dict[str, Waiting]:
        """Return item id -> where it waits, in no lane if it does not, of those of `ids` that are stored."""
        return queue.heads(self._db, ids)

    def beside(self, group: str) -> list[Waiting]:
        """Return where the items of a group wait, in their order in it, without their labels."""
        return queue.beside(self._db, group)

    def waits(self, group: str, lanes: Collection[str], who: str) -> bool:
        """Tell whether something of a group waits in one of `lanes` and may be answered there by a person."""
        return queue.waits(self._db, group, lanes, who)

    def yours(self, lane: str, who: str, reason: str | None = None) -> int:
        """Count the items of a lane, for one reason if given, that `next_items` would offer to a person."""
        return queue.yours(self._db, lane, who, reason)

    def open_labels(
        self,
        class_name: str,
        reason: str | None = None,
        limit: int = 48,
        without: Collection[str] = (),
        groups: Collection[str] = (),
        name: str | None = None,
        doubtful: bool = False,
    ) -> list[OpenLabel]:
        """Return up to `limit` open labels of one class in the lane review, surest first.

        Args:
            class_name: of the labels; those of classes under it do not count.
            reason: only of items that wait for this one.
            limit: how many.
            without: ids of items to leave out.
            groups: to leave out.
            name: only labels that are called so, empty for those that nobody has named; see `hyla.store.naming`.
            doubtful: the most doubtful first.

        Raises:
            ConfigError: if the schema has no such class.
        """
        class_id = self.schema().class_id(class_name)
        return queue.open_labels(self._db, class_id, reason, limit, without, groups, name, doubtful)

    def names_waiting(self, class_name: str = "", name: str = "") -> list[NameCount]:
        """Return how many open labels of each class and name wait in the lane review, in no order; see `hyla.store.naming`.

        With a class, only those of this class and name.
        """
        schema = self.schema()
        return naming.waiting(self._db, schema, (schema.class_id(class_name), name) if class_name else None)

    def names_known(self, words: str = "", limit: int = 20) -> list[KnownName]:
        """Return up to `limit` names that labels have now, with all `words` in them or their titles; first what begins so."""
        return naming.known(self._db, self.schema(), words, limit)

    def examples(self, name: str) -> list[Called]:
        """Return a few labels that people said have this name, newest first."""
        return naming.examples(self._db, name)

    def called(self, name: str, after: int = 0, limit: int = 500) -> dict[str, list[Called]]:
        """Return item id -> labels of a name that hold, of up to `limit` items whose labels are numbered above `after`."""
        return naming.called(self._db, name, after, limit)

    def labels_of(self, annotation: int) -> tuple[str, str, Labels]:
        """Return item id, source and labels of an annotation; raise StoreError if there is none."""
        return queue.labels_of(self._db, annotation)

    def machine_annotation(self, item_id: str) -> int:
        """Return the number of the machine's labels of an item; raise StoreError if there is no such item."""
        return queue.machine_annotation(self._db, item_id)

    def machine_annotations(self, ids: Iterable[str]) -> dict[str, int]:
        """Return item id -> number of the machine's labels, of those of `ids` that are stored."""
        return recall.machines(self._db, ids)

    def spoken(self, item_id: str) -> list[int]:
        """Return the numbers of the machine's labels of an item and of those that each person gave last: none of the truth's."""
        return recall.spoken(self._db, item_id)

    def flags_of(self, ids: Iterable[str]) -> dict[str, list[Flag]]:
        """Return item id -> its flags, whose rows count the machine's labels, of those of `ids` that have any."""
        return recall.raised(self._db, ids)

    def opinions(self, item_id: str) -> list[Opinion]:
        """Return the answer that stands on an item, if it is accept or reject, and the second opinion on it, if there is one."""
        return recall.opinions(self._db, item_id)

    def clip(self, group: str) -> Iterator[ClipItem]:
        """Return the items of a group in the order of the scan, each with the labels that hold."""
        return queue.clip(self._db, group)
