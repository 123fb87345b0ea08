"""Load on threads, predict in batches on the device of this machine."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyla import device
from hyla.engine import Done, Event, Failed, GroupEnd, Task
from hyla.engine.following import Following
from hyla.errors import BadItem, ConfigError, HylaError, StageError
from hyla.lazy import LazyPixels
from hyla.plugins import Pipeline
from hyla.types import Image, Item, Labels

END = None
POLL = 0.1  # s between looks at the stop sign while a queue is full or empty
LATENCY = 0.5  # s that the first image of a batch waits for it to be filled, while streams are followed


@dataclass(slots=True)
class _Loaded:
    ordinal: int
    item: Item
    image: Image
    seconds: float
    replay: bool


class Local:
    """Run loading threads beside the model, with bounded queues in between, so that memory does not grow with the source.

    Args:
        workers: loading threads; 0 for one per core, at most 8. The items of one group stay on one thread, in order.
    """

    def __init__(self, workers: int = 0) -> None:
        self.workers = workers or min(8, os.cpu_count() or 1)
        self._seconds = {"load": 0.0, "predict": 0.0, "wait": 0.0}
        self._lock = threading.Lock()
        self._batch = 1
        self._running = 0  # threads that load or follow
        self._live = False

    def seconds(self) -> dict[str, float]:
        """Return how long each part worked, summed over threads."""
        return dict(self._seconds)

    def stream(self, pipeline: Pipeline, tasks: Iterable[Task], batch: int) -> Iterator[Event]:
        """Yield what becomes of every item; see `hyla.engine.Engine`."""
        self._batch = batch
        stop = threading.Event()
        todo: queue.Queue[Task | BaseException | None] = queue.Queue(2 * self.workers)
        ready: queue.Queue[_Loaded | Failed | GroupEnd | BaseException | None] = queue.Queue(batch + self.workers)
        self._running = self.workers
        following = self._following(pipeline, ready, stop)
        scan = (tasks, todo, stop, following)
        threads = [threading.Thread(target=self._scan, args=scan, name="hyla-scan", daemon=True)]
        threads += [
            threading.Thread(target=self._load, args=(pipeline, todo, ready, stop), name=f"hyla-load-{i}", daemon=True)
            for i in range(self.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._predict(pipeline, ready)
        finally:
            stop.set()
            for thread in [*threads, *following.threads]:
                thread.join()

    def _following(self, pipeline: Pipeline, ready: queue.Queue[Any], stop: threading.Event) -> Following:
        def arrived(ordinal: int, image: Image) -> bool:
            try:
                _prove(image)
            except HylaError as error:
                return _put(ready, Failed(ordinal, image.item, "load", error.line), stop)
            return _put(ready, _Loaded(ordinal, image.item, image, 0.0, False), stop)

        return Following(pipeline, arrived, lambda event: _put(ready, event, stop), stop)

    def _scan(
        self, tasks: Iterable[Task], todo: queue.Queue[Task | BaseException | None], stop: threading.Event, following: Following
    ) -> None:
        end: BaseException | None = END
        try:
            for task in tasks:
                if task.until is not None:
                    self._live = True
                    with self._lock:  # before the workers can end, which they do when the scan has
                        self._running += following.start(task)
                elif not _put(todo, task, stop):
                    return
        except BaseException as error:  # carried to the thread of the caller, which raises it
            end = error
        for _ in range(self.workers):
            _put(todo, end, stop)

    def _load(
        self,
        pipeline: Pipeline,
        todo: queue.Queue[Task | BaseException | None],
        ready: queue.Queue[_Loaded | Failed | GroupEnd | BaseException | None],
        stop: threading.Event,
    ) -> None:
        end: BaseException | None = END
        try:
            while isinstance(task := _get(todo, stop), Task):
                for ordinal, item in task.items:
                    if not _put(ready, self._load_one(pipeline, ordinal, item, item.id in task.replay), stop):
                        return
                if task.group:
                    pipeline.close(task.group)
                    if not _put(ready, GroupEnd(task.group), stop):
                        return
            end = task
        except BaseException as error:  # carried to the thread of the caller, which raises it
            end = error
        _put(ready, end, stop)

    def _load_one(self, pipeline: Pipeline, ordinal: int, item: Item, again: bool) -> _Loaded | Failed:
        start = time.perf_counter()
        try:
            image = pipeline.load(item)
            if image is None:
                raise StageError(f"no loader could load {item.uri}")
            _prove(image)
            return _Loaded(ordinal, item, image, time.perf_counter() - start, again)
        except ConfigError:
            raise
        except HylaError as error:
            return Failed(ordinal, item, "load", error.line, again)
        except MemoryError:
            return Failed(ordinal, item, "load", "does not fit in memory", again)
        finally:
            with self._lock:
                self._seconds["load"] += time.perf_counter() - start

    def _predict(
        self, pipeline: Pipeline, ready: queue.Queue[_Loaded | Failed | GroupEnd | BaseException | None]
    ) -> Iterator[Event]:
        waiting: list[_Loaded] = []
        after: list[Failed | GroupEnd] = []  # what came in between: it must not overtake the items before it
        running, due = True, 0.0
        while running:
            start = time.perf_counter()
            try:
                got = ready.get(timeout=max(0.0, due - start) if self._live and waiting else None)
            except queue.Empty:
                yield from self._batch_of(pipeline, waiting)
                yield from _release(pipeline, after)
                waiting, after = [], []
                continue
            self._seconds["wait"] += time.perf_counter() - start
            if isinstance(got, BaseException):
                raise got
            if got is END:
                with self._lock:
                    self._running -= 1
                    running = self._running > 0
            elif isinstance(got, _Loaded):
                due = due if waiting else time.perf_counter() + LATENCY
                waiting.append(got)
            else:
                after.append(got)
            if len(waiting) >= self._batch or (not running and waiting):
                yield from self._batch_of(pipeline, waiting)
                waiting = []
            if not waiting:
                yield from _release(pipeline, after)
                after = []

    def _batch_of(self, pipeline: Pipeline, loaded: Sequence[_Loaded]) -> Iterator[Done | Failed]:
        start = time.perf_counter()
        results = self._halving(pipeline, loaded)
        spent = time.perf_counter() - start
        self._seconds["predict"] += spent
        for one, result in zip(loaded, results, strict=True):
            if isinstance(result, str):
                yield Failed(one.ordinal, one.item, "predict", result, one.replay)
            else:
                image, seconds = one.image, one.seconds + spent / len(loaded)
                yield Done(one.ordinal, one.item, result, image.size, image.frame, image.context, seconds, one.replay)

    def _halving(self, pipeline: Pipeline, loaded: Sequence[_Loaded]) -> list[Labels | str]:
        """Predict a batch; after a failure try its halves, down to the one item that can't be predicted.

        Running out of memory also halves the batches to come.
        """
        try:
            return list(pipeline.predict([one.image for one in loaded]))
        except ConfigError:
            raise
        except HylaError as error:
            full = device.is_oom(error.__cause__ or error)
            if len(loaded) == 1:
                return ["out of memory even alone; give a smaller input size" if full else error.line]
        if full:
            device.free()
            self._batch = max(1, min(self._batch, len(loaded) // 2))
        middle = len(loaded) // 2
        return self._halving(pipeline, loaded[:middle]) + self._halving(pipeline, loaded[middle:])


def _release(pipeline: Pipeline, after: Sequence[Failed | GroupEnd]) -> Iterator[Failed | GroupEnd]:
    for event in after:
        if isinstance(event, GroupEnd):
            pipeline.forget(event.group)
        yield event


def _prove(image: Image) -> None:
    """Raise BadItem for pixels that no model could read."""
    pixels = image.pixels
    if not isinstance(pixels, (np.ndarray, LazyPixels)) or pixels.ndim != 3:
        raise StageError(
            f"a loader must give pixels of 3 axes, (H, W, C) or (D, H, W), got {getattr(pixels, 'shape', type(pixels))}"
        )
    if 0 in pixels.shape:
        raise BadItem(f"{image.item.uri} has no pixels: {pixels.shape}")


def _put(to: queue.Queue[Any], value: Any, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            to.put(value, timeout=POLL)
            return True
        except queue.Full:
            continue
    return False


def _get(source: queue.Queue[Any], stop: threading.Event) -> Any:
    while not stop.is_set():
        try:
            return source.get(timeout=POLL)
        except queue.Empty:
            continue
    return END
