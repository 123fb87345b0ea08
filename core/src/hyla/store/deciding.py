"""What is decided of many items together, and kept: the part of `Project` that lots and certificates use."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hyla.decide.route import Route
from hyla.schema import Schema
from hyla.store import lots, twins
from hyla.store.database import Database
from hyla.store.lots import LotRow
from hyla.store.twins import Planted, Twin

if TYPE_CHECKING:
    from hyla.decide.lot import Lot


class Deciding(ABC):
    """Freeze lots, note what became of them, and say what they ask of each item."""

    _db: Database

    @abstractmethod
    def schema(self) -> Schema:
        """Return the schema of the labels."""

    def freeze(self, lot: Lot, settings: Mapping[str, Any], seed: str | None = None) -> int:
        """Store a lot for good, on the disk itself, and return its number.

        Args:
            lot: what is judged together.
            settings: JSON-able; what was asked for, the plan.
            seed: of all chance in it; without one, 128 bits are drawn once the digest of the lot is known, so that whoever made
                the lot could not know them. Give one that people rolled with dice in front of each other.

        Raises:
            StoreError: for settings that JSON can't hold, or an empty seed.
        """
        return lots.freeze(self._db, lot, settings, seed)

    def lots(self) -> list[LotRow]:
        """Return the lots, first to last, each with what became of it."""
        return lots.rows(self._db)

    def lot(self, number: int) -> Lot:
        """Return a frozen lot; raise StoreError if there is none of this number, or it is not as it was frozen."""
        return lots.unpack(self._db, number)

    def note(self, number: int, kind: str, body: Mapping[str, Any]) -> None:
        """Add to what became of a lot; once this returns, it is on the disk.

        Raises:
            StoreError: if there is no such lot, or JSON can't hold `body`.
        """
        lots.note(self._db, number, kind, body)

    def route(self, number: int, routes: Iterable[Route]) -> None:
        """Say what a lot asks of items, all or none; what it asked of them before is replaced.

        An item of which nothing is asked is accepted as the machine labelled it. Flags of severity HUMAN and SECOND stand above a
        route, rows that a flag rejects stay rejected; REVIEW flags, opinions and the default ask nothing any more. An item on
        which somebody decided stays as it is, and changes its place in the queue alone.

        Raises:
            StoreError: if there is no such lot or item, one comes twice, or a row is not there.
        """
        lots.route(self._db, number, routes)

    def routes(self, ids: Iterable[str]) -> dict[str, Route]:
        """Return item id -> what a lot asks of it, of those of `ids` that one routed."""
        return lots.routes(self._db, ids)

    def plant(self, number: int, seeds: Iterable[Twin]) -> list[str]:
        """Store copies of items with known errors, all or none, for people to find, and return their ids.

        They are reviewed like any item, under the name of the original, and are in no listing, count, clip, export or figure.

        Raises:
            StoreError: if there is no such lot or item, or the labels do not fit the schema.
        """
        return twins.plant(self._db, number, seeds, self.schema())

    def twins(self, number: int) -> list[Planted]:
        """Return the copies that a lot planted, in their order, each with what people made of it."""
        return twins.twins(self._db, number)

    def planted(self) -> dict[str, str]:
        """Return the id of each copy that was planted -> that of its original."""
        return twins.planted(self._db)

    def hiding(self) -> bool:
        """Tell whether a planted copy waits: until none does, figures that reviewers see must count copies like other items."""
        return twins.hiding(self._db)
