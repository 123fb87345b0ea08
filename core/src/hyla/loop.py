"""The loop: scan, load, predict, check, route, store, as a stream. The engine loads and predicts; the rest is here."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from hyla import config, plugins, privacy
from hyla.decide.route import confirming, item_verdict
from hyla.engine import Done, Engine, Event, Failed, GroupEnd, Task
from hyla.engine.following import SESSION
from hyla.errors import ConfigError, HylaError, StoreError
from hyla.live import GroupRecords, Reports, end_open_groups, without_secrets
from hyla.plugins import Pipeline
from hyla.progress import Progress
from hyla.schema import Schema
from hyla.stopping import stop_signs
from hyla.store import Counts, Project, Quarantined, Stored
from hyla.summary import Summary
from hyla.types import Flag, Item, Record, Verdict

STREAM = "stream"  # the kind of an item that is followed and never loaded
CHUNK = 8  # items that stand alone, given to one loading worker at a time
COMMIT = 64  # records of one transaction, at most
COMMIT_SECONDS = 1.0  # and at least this often, so that people see them
BACKLOG = 256  # predicted items that may wait for the rules and the store
PARTIAL = Flag("model", "partial_model", message="this model misses much of what the schema names: more may be there")


def run(settings: config.Run) -> Summary:
    """Label `settings.source` into the project folder `settings.out`, and return the summary that summary.json holds.

    Starting again continues: what is stored is not done twice, and the rows end up as if nothing had interrupted the run.

    Raises:
        ConfigError: before any work starts, for a setting that can't work.
        StoreError: if the project folder can't be written; what was stored stays.
    """
    privacy.offline()
    source = _source(settings.source)
    built, schema = config.stages(settings)
    engine: Engine = plugins.build(settings.engine, "engine", schema=schema)
    pipeline = Pipeline(built)
    items = pipeline.items(source)
    source = without_secrets(source)
    settings = replace(settings, source=source)
    if items is None:
        raise ConfigError(
            f"the loader does not recognise source {source!r}", "choose another: loader=NAME", plugins.offered("loader")
        )
    with Project.create(config.project_folder(settings)) as project:
        provenance = pipeline.provenance()
        run_id = project.start_run({**settings.settings(), "provenance": provenance}, schema, source, versions(), provenance)
        project.remember("decide", settings.decide)
        folder = settings.weights_dir and str(Path(settings.weights_dir).expanduser().resolve())
        project.remember("machine", {"device": settings.device, "weights_dir": folder})
        project.remember("agree_iou", settings.agree_iou)
        return _Loop(settings, project, pipeline, engine, schema, run_id).run(items)


def versions() -> dict[str, str]:
    """Return the versions that labels may depend on: Python, Hyla, its plugins, and the libraries that are loaded."""
    import platform
    import sys

    found = {"python": platform.python_version(), "platform": platform.platform()}
    found |= {plugin.distribution: plugin.version for plugin in plugins.installed()}
    libraries = {"numpy": "numpy", "torch": "torch", "cv2": "opencv-python", "av": "av", "ultralytics": "ultralytics"}
    libraries |= {
        "PIL": "pillow",
        "torchvision": "torchvision",
        "openvino": "openvino",
        "onnxruntime": "onnxruntime",
        "trackers": "trackers",
    }
    for module, distribution in libraries.items():
        if module in sys.modules:
            try:
                found[distribution] = metadata.version(distribution)
            except metadata.PackageNotFoundError:
                found[distribution] = str(getattr(sys.modules[module], "__version__", "unknown"))
    return found


def _source(source: str) -> str:
    if "://" in source:
        return source
    path = Path(source).expanduser()
    if not path.exists():
        raise ConfigError(f"source {source!r} does not exist", "give a file, a folder or a URL: source=/path/to/data")
    return str(path.resolve())


@dataclass
class _Loop:
    settings: config.Run
    project: Project
    pipeline: Pipeline
    engine: Engine
    schema: Schema
    run_id: int
    scanned: int = 0
    complete: bool = False
    live: bool = False  # whether streams are followed
    stage_seconds: dict[str, float] = field(default_factory=lambda: {"check": 0.0, "store": 0.0})

    def run(self, items: Iterable[Item]) -> Summary:
        start = time.perf_counter()
        before = self.project.counts()
        try:
            with Progress(self.settings.progress, before) as progress, stop_signs() as stop:
                stopped = self._stream(items, progress, stop)
        except BaseException:
            with suppress(StoreError):  # a full disk is why we are here, and the first error is the one to tell
                self._end("failed", before, time.perf_counter() - start)
            raise
        return self._end("interrupted" if stopped else "finished", before, time.perf_counter() - start)

    def _end(self, state: str, before: Counts, seconds: float) -> Summary:
        timings = {"total": seconds, **self.engine.seconds(), **self.stage_seconds}
        self.project.finish_run(self.run_id, state, timings)
        summary = Summary.of(self.project, self.settings, state, seconds, before, timings)
        summary.write(self.project.path / "summary.json")
        return summary

    def _stream(self, items: Iterable[Item], progress: Progress, stop: threading.Event) -> bool:
        """Pass every event of the engine to the writer; return True if a signal stopped the stream."""
        writer = _Writer(self, progress)
        events = self.engine.stream(self.pipeline, self._tasks(items, progress, stop), self.settings.batch)
        try:
            for event in events:
                writer.put(event)
                if stop.is_set() and not self.live:  # streams end by themselves then, with their groups
                    return True
            return stop.is_set()
        finally:
            events.close()  # type: ignore[attr-defined]  # engines are generators
            writer.close()

    def _tasks(self, items: Iterable[Item], progress: Progress, stop: threading.Event) -> Iterator[Task]:
        """Cut the source into tasks: whole groups, a few items that stand alone, without what is stored already, or streams."""
        first: int | None = None
        for group, members in _groups(enumerate(items)):
            for part in [members] if group else _chunks(members):
                if stop.is_set():
                    return
                chunk = list(part)
                if streams := [item for _, item in chunk if item.kind == STREAM]:
                    if first is None:
                        first, self.live = self._before_streams(), True
                    yield Task("", [(first, item) for item in streams], until=stop)
                    chunk = [pair for pair in chunk if pair[1].kind != STREAM]
                self.scanned += len(chunk)
                progress.scanned(self.scanned)
                known = self.project.known([item.id for _, item in chunk], quarantined=not self.settings.retry)
                fresh = [(n, item) for n, item in chunk if item.id not in known]
                if group and self.project.group_done(group) and not fresh:
                    continue
                if group and self.pipeline.memory:
                    yield Task(group, chunk, frozenset(known))
                elif fresh or group:
                    yield Task(group, fresh)
        if first is None:
            progress.total(self.scanned)

    def _before_streams(self) -> int:
        """End the groups of an earlier run, and return the ordinal of the first group of this one, after all that is stored."""
        end_open_groups(self.project, self.pipeline)
        return (self.project.last_ordinal() // SESSION + 1) * SESSION

    def record(self, done: Done) -> Record:
        """Check and route one predicted item."""
        declared = self.schema.attributes_of("image")
        context = {k: v for k, v in done.context.items() if k in declared}
        labels = replace(done.labels, context={**context, **done.labels.context})
        self.schema.check(labels, done.size)
        known = {"size": list(done.size), "intrinsics": getattr(done.frame, "intrinsics", None)}
        seen = replace(done.item, meta={**done.item.meta, **{k: v for k, v in known.items() if v}})
        flags = (*([PARTIAL] if self.pipeline.partial else []), *self.pipeline.check(seen, labels))
        flags = (*flags, *confirming(labels, self.schema))
        opinion = self.pipeline.route(seen, labels, flags)
        verdict = item_verdict(labels, flags, opinion, Verdict(self.settings.default))
        return Record(done.item, labels, flags, verdict, self.source, done.size, done.frame)

    @cached_property
    def source(self) -> str:
        """Return what machine records are signed with: `model:name@sha256`."""
        provenance = self.pipeline.provenance()
        return f"model:{provenance['name']}" + (f"@{provenance['digest'][:12]}" if provenance.get("digest") else "")


class _Writer:
    """Check, route and store in the background, in the order of the events."""

    def __init__(self, loop: _Loop, progress: Progress) -> None:
        self._loop = loop
        self._progress = progress
        self._events: queue.Queue[Event | None] = queue.Queue(BACKLOG)
        self._error: BaseException | None = None
        self._batch: list[Stored | Quarantined] = []
        self._since = time.monotonic()
        self._reports = Reports(loop.project, loop.pipeline)
        self._thread = threading.Thread(target=self._work, name="hyla-write")
        self._thread.start()

    def put(self, event: Event) -> None:
        """Queue one event, waiting while the queue is full; raise what the background raised."""
        while True:
            if self._error:
                raise self._error
            try:
                return self._events.put(event, timeout=0.1)
            except queue.Full:
                continue

    def close(self) -> None:
        """Store what is queued, and raise what the background raised."""
        while self._thread.is_alive():
            try:
                self._events.put(None, timeout=0.1)
                break
            except queue.Full:
                continue
        self._thread.join()
        if self._error:
            raise self._error

    def _work(self) -> None:
        try:
            while (event := self._next()) is not None:
                self._take(event)
            self._flush()
            self._reports.write(now=True)
        except BaseException as error:  # carried to the thread of the run, which raises it
            self._error = error

    def _next(self) -> Event | None:
        while True:
            try:
                return self._events.get(timeout=COMMIT_SECONDS)
            except queue.Empty:
                self._flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, GroupEnd):
            self._flush()
            self._end(event.group)
            return
        if event.replay:
            return
        self._batch.append(self._entry(event))
        if len(self._batch) >= COMMIT or time.monotonic() - self._since > COMMIT_SECONDS:
            self._flush()

    def _entry(self, event: Done | Failed) -> Stored | Quarantined:
        if isinstance(event, Failed):
            return Quarantined(event.item, event.ordinal, event.stage, event.reason)
        start = time.perf_counter()
        try:
            return Stored(self._loop.record(event), event.ordinal, event.seconds)
        except HylaError as error:
            return Quarantined(event.item, event.ordinal, "check", error.line)
        finally:
            self._loop.stage_seconds["check"] += time.perf_counter() - start

    def _flush(self) -> None:
        self._reports.write()
        self._since = time.monotonic()
        if not self._batch:
            return
        start = time.perf_counter()
        self._loop.project.write(self._batch)
        self._loop.stage_seconds["store"] += time.perf_counter() - start
        self._progress.stored(self._batch)
        self._batch = []

    def _end(self, group: str) -> None:
        flags: list[tuple[str, Any]] = []
        if self._loop.pipeline.answers("check_group"):
            flags = self._loop.pipeline.check_group(GroupRecords(self._loop.project, group))
        self._loop.project.finish_group(group, flags)


def _groups(items: Iterable[tuple[int, Item]]) -> Iterator[tuple[str, Iterator[tuple[int, Item]]]]:
    yield from groupby(items, key=lambda pair: pair[1].group)


def _chunks(members: Iterator[tuple[int, Item]]) -> Iterator[list[tuple[int, Item]]]:
    while chunk := list(islice(members, CHUNK)):
        yield chunk
