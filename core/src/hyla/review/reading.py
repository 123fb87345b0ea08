"""Read the items of a project in any order, on many threads, with a loader that wants them in order."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hyla.errors import BadItem, ConfigError, StageError
from hyla.pictures import Pictures
from hyla.review.problems import Refused
from hyla.store import Project
from hyla.types import Image, Item

AHEAD = 60  # frames that are decoded on the way to the wanted one; a jump further ahead seeks
OPEN = 8  # clips that are kept open
log = logging.getLogger("hyla.review")


class Reading:
    """Load items through the project's own loader.

    The loader is promised that the items of a group come in order and from one thread at a time. Here they are asked for in any
    order: a jump back, or far ahead, closes the group first, so that the loader seeks.

    Args:
        project: whose source is read; it is looked for when the first item is.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._pictures: Pictures | None = None
        self._groups: OrderedDict[str, _Group] = OrderedDict()  # the one used last at the end
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(min(8, os.cpu_count() or 1))  # decoding more at once only costs memory

    def load(self, item: Item) -> Image:
        """Return the pixels of `item` as the loader gives them; raise Refused (410, gone) if they can't be read any more."""
        try:
            with self._turn(item), self._slots:
                return self._source().original(item)
        except (BadItem, ConfigError, StageError) as error:
            log.warning("%s: %s", item.uri, error.line)
            raise gone(item) from error

    def reference(self, attributes: Mapping[str, Any]) -> Image | None:
        """Return the loader's picture of what a label with these attributes is; None if there is none, or it can't be read."""
        try:
            with self._slots:
                return self._source().reference(attributes)
        except (BadItem, ConfigError, StageError) as error:
            log.warning("no reference: %s", error.line)
            return None

    def _source(self) -> Pictures:
        with self._lock:
            if self._pictures is None:
                self._pictures = Pictures.of(self._project)
            return self._pictures

    @contextmanager
    def _turn(self, item: Item) -> Iterator[None]:
        """Wait until this item's group is free, and place the loader before the item."""
        if not item.group:
            yield
            return
        with self._lock:
            group = self._groups.setdefault(item.group, _Group())
            self._groups.move_to_end(item.group)
            group.users += 1
        try:
            with group.turn(item.index):
                if group.over or (group.last is not None and not group.last < item.index <= group.last + AHEAD):
                    self._source().close(item.group)
                group.last, group.over = item.index, False
                yield
        finally:
            with self._lock:
                group.users -= 1
                self._shut()

    def forget(self) -> None:
        """Close every clip that is kept open, and one that is being read as soon as it is not, or before its next frame."""
        with self._lock:
            for group in self._groups.values():
                group.over = True
            self._shut()

    def _shut(self) -> None:
        """Close what is to be closed of the clips that nobody reads, under the lock: so nobody else can begin to load them."""
        idle = [name for name, one in self._groups.items() if not one.users]
        many = max(0, len(self._groups) - OPEN)
        for n, name in enumerate(idle):
            if n >= many and not self._groups[name].over:
                continue
            del self._groups[name]
            try:
                if self._pictures:
                    self._pictures.close(name)
            except StageError as error:  # of a clip that nobody asked for just now
                log.warning("%s: %s", name, error.line)


@dataclass
class _Group:
    """Let one thread at a time read a clip: of those that wait, the one whose frame comes next.

    Args:
        last: index loaded last; None before the first.
        users: threads that load or wait.
        over: it is to be closed before it is read again.
    """

    last: int | None = None
    users: int = 0
    over: bool = False
    _busy: bool = False
    _waiting: list[tuple[int, int]] = field(default_factory=list)
    _count: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def turn(self, index: int) -> Iterator[None]:
        with self._changed:
            self._count += 1
            mine = (index, self._count)
            self._waiting.append(mine)
            self._changed.wait_for(lambda: not self._busy and self._next() == mine)
            self._waiting.remove(mine)
            self._busy = True
        try:
            yield
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> tuple[int, int]:
        """Return who is next: the nearest frame ahead of the last one, else the first of all."""
        ahead = [one for one in self._waiting if self.last is None or one[0] > self.last]
        return min(ahead or self._waiting)


def gone(item: Item) -> Refused:
    """Return the error for an item whose pixels can't be read any more."""
    hint = "bring the source back to where it was during the run, or pass this item over"
    return Refused(410, "gone", f"{item.uri} can't be read any more", hint)
