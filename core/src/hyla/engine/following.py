"""Follow live streams, each on a thread of its own: images as they come, and the ends of their groups."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from hyla.engine import Failed, GroupEnd, Task
from hyla.errors import ConfigError, HylaError
from hyla.plugins import Pipeline
from hyla.types import Image, Item

SESSION = 1 << 24  # ordinals of one group: 24 days at 8 frames per second, and 2 ** 29 groups fit what JSON holds exactly
Event = Failed | GroupEnd | BaseException | None


class Following:
    """Follow the streams of a run.

    Args:
        pipeline: whose loader knows the streams.
        arrived: takes (ordinal, image) of each image, and waits if there is no room; False if the run was broken off.
        put: takes what else becomes of a stream, in order with its images; None at its end; False as above.
        stop: set when the run is broken off.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        arrived: Callable[[int, Image], bool],
        put: Callable[[Event], bool],
        stop: threading.Event,
    ) -> None:
        self._pipeline, self._arrived, self._put, self._stop = pipeline, arrived, put, stop
        self._groups = itertools.count()  # shared by all threads: next() of it is atomic
        self.threads: list[threading.Thread] = []

    def start(self, task: Task) -> int:
        """Follow each stream of `task` until its `until` is set; return how many were started."""
        assert task.until is not None
        for ordinal, item in task.items:
            work = threading.Thread(
                target=self._work, args=(ordinal, item, task.until), name=f"hyla-follow-{item.uri}", daemon=True
            )
            self.threads.append(work)
            work.start()
        return len(task.items)

    def _work(self, first: int, item: Item, until: threading.Event) -> None:
        opened: dict[str, int] = {}  # group -> its first ordinal
        end: Event = None
        try:
            try:
                self._follow(first, item, until, opened)
            except ConfigError as error:  # carried to the thread of the caller, which raises it
                end = error
            except HylaError as error:  # this stream can't be followed; the others go on
                self._put(Failed(first, item, "load", error.line))
            except BaseException as error:
                end = error
            for group in list(opened):
                self._end(first, item, group, opened)
        finally:
            self._put(end)

    def _follow(self, first: int, item: Item, until: threading.Event, opened: dict[str, int]) -> None:
        images = self._pipeline.follow(item)
        try:
            for got in images:
                if isinstance(got, str):
                    self._end(first, item, got, opened)
                elif got is not None:
                    group = got.item.group
                    if group not in opened:
                        opened[group] = first + next(self._groups) * SESSION
                    if not self._arrived(opened[group] + got.item.index, got):
                        return
                if until.is_set() or self._stop.is_set():
                    return
        finally:
            images.close()

    def _end(self, first: int, item: Item, group: str, opened: dict[str, int]) -> None:
        if opened.pop(group, None) is None:
            return
        try:
            self._pipeline.close(group)
        except HylaError as error:  # told of the stream, which goes on: its images are all here
            self._put(Failed(first, item, "load", error.line))
        finally:
            self._put(GroupEnd(group))
