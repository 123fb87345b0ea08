"""What is kept of a project, for how long, and who looked at it: the part of `Project` that retention and the access log use."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from hyla.store import accesses, dated, retention, retention_log
from hyla.store.accesses import Access, Accesses
from hyla.store.database import Database
from hyla.store.dated import Dated
from hyla.store.retention_log import Event


class Keeping(ABC):
    """Note who sees what; hold and delete items."""

    _db: Database

    @cached_property
    def _accesses(self) -> Accesses:
        return Accesses(self._db)

    # Who saw what

    def saw(self, who: str, ids: Iterable[str], how: str) -> None:
        """Note that a person sees some items now; written down within a second, and at the latest when the project is closed.

        Args:
            who: looks.
            ids: of the items; of a clip, each frame stands for the clip.
            how: picture, crop, tile, slices, draw, or `export NAME`.
        """
        self._accesses.saw(who, ids, how)

    def accesses(self, who: str | None = None, what: str | None = None, limit: int = 0) -> list[Access]:
        """Return who began to look at what, first to last: of one person, or of one clip or item, if given.

        With a limit, only the last so many.
        """
        self._accesses.flush()
        return accesses.listed(self._db, who, what, limit)

    # What is kept

    def hold(self, what: str, who: str, why: str) -> Event:
        """Keep a clip or an item whatever its age; raise StoreError if there is no such thing, or no reason."""
        return retention.hold(self._db, what, who, why)

    def release(self, what: str, who: str, why: str) -> Event:
        """Keep a clip or an item that was held no longer than others; raise StoreError if it is not held, or for no reason."""
        return retention.hold(self._db, what, who, why, keep=False)

    def held(self) -> dict[str, str]:
        """Return clip or item -> why it is held."""
        return retention_log.held(self._db)

    def retention(self) -> list[Event]:
        """Return what was held, released and deleted, first to last."""
        return retention_log.events(self._db)

    def last_event(self) -> int:
        """Return the number of the last of these events, 0 before the first; quick enough to ask often."""
        return retention_log.last(self._db)

    def dated(self) -> Iterator[Dated]:
        """Return of every item when it was taken and how long it may be kept, clip by clip, read page by page."""
        return dated.dated(self._db)

    def remove(
        self,
        decided: Mapping[str, int | None],
        refused: Iterable[str],
        who: str,
        why: str,
        groups: Sequence[str] = (),
        files: Sequence[str] = (),
        kept: Sequence[str] = (),
        facts: Mapping[str, Any] = MappingProxyType({}),
    ) -> Event | None:
        """Delete items with all that was said of them, all or none, and write down that; see `hyla.store.retention.remove`."""
        return retention.remove(self._db, decided, refused, who, why, groups, files, kept, facts)

    def swept(self, event: int, who: str, gone: Sequence[str], left: Mapping[str, str], replaced: Sequence[str] = ()) -> None:
        """Write down which files of a deletion are gone, which are left, with the reason, and which gave way to another file."""
        retention_log.swept(self._db, event, who, gone, left, replaced)

    def unswept(self, kept: bool = False) -> list[Event]:
        """Return the deletions with files that are still to be removed or, if `kept`, that stay until that is asked for.

        The body of each names only these, as `files` or `kept`, and as `left` why they could not be removed the last time.
        """
        return retention_log.pending(self._db, "kept" if kept else "files")

    def forget(self) -> str:
        """Overwrite what deleted rows left behind in the file; return what stood in the way, or nothing."""
        return retention.forget(self._db)
