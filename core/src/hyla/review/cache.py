"""Keep what was made lately, within a bound, and make each thing once however many threads want it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """Keep the values that were used last.

    Args:
        limit: sum of the weights that is kept. The newest value stays even if it alone weighs more.
        weigh: weight of a value: its bytes, or 1 to count values.
    """

    def __init__(self, limit: int, weigh: Callable[[V], int]) -> None:
        self.limit, self._weigh = limit, weigh
        self.weight = 0
        self._kept: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._making: dict[Hashable, Future[V]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def clear(self) -> None:
        """Keep nothing of what was made so far, nor of what is being made: who asks from now on gets what is made from now on."""
        with self._lock:
            self._kept.clear()
            self._making.clear()
            self.weight = 0

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return what is kept under `key`, or make it.

        Of several threads that want it at once, one makes it and the others wait; what it raises, they all raise, and nothing
        is kept.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            waiting = self._making.get(key)
            if waiting is None:
                mine = self._making[key] = Future[V]()
        if waiting is not None:
            return waiting.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                self._made(key, mine)
            mine.set_exception(error)
            raise
        with self._lock:
            if self._made(key, mine):
                self._keep(key, value)
        mine.set_result(value)
        return value

    def _made(self, key: Hashable, mine: Future[V]) -> bool:
        """Tell whether what was made may be kept: not if `clear` was called meanwhile."""
        good = self._making.get(key) is mine
        if good:
            del self._making[key]
        return good

    def _keep(self, key: Hashable, value: V) -> None:
        weight = self._weigh(value)
        self._kept[key] = value, weight
        self.weight += weight
        while self.weight > self.limit and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self.weight -= gone
