"""Delete what is past its time: decide what goes, take it out of the project, then its files, and see to it that nothing is left.

An item may be kept for so many hours from when it was taken: `retention_hours` and `utc` (seconds since 1970) in its meta, which
the loader gives; else for the hours of the call, and from when it was labelled. Items go one by one, but those of a clip go
together, once the last is past its time, unless it is a live session that goes on. Kept is what is held, what shows an event that
enough people confirmed, and the seconds around it. A file goes once no item of it is left.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice

import numpy as np

from hyla import footage
from hyla.errors import ConfigError
from hyla.store import Project
from hyla.store.dated import Dated
from hyla.store.lock import running
from hyla.store.retention_log import Event

AROUND = 10.0  # seconds on either side of a confirmed event: what the review page plays
AT_ONCE = 256  # items that stand alone, of one transaction


@dataclass
class Batch:
    """Hold what goes together, of one clip or of items that stand alone.

    Args:
        group: the clip; empty for items that stand alone.
        going: items past their time.
        whole: nothing of the clip is left then; True for items that stand alone.
        confirmed, held: how many are past it and are kept for a confirmed event, or since they are held.
        waiting: of those that go, how many still wait for a person.
        hours: of a clip that was not labelled to its end, the longest period of what goes; None for others.
    """

    group: str
    going: list[Dated]
    whole: bool
    confirmed: int = 0
    held: int = 0
    waiting: int = 0
    hours: float | None = None


@dataclass
class Outcome:
    """Hold what a call did, or would do.

    Args:
        items, clips: that went; a clip counts if anything of it did.
        confirmed, held: items past their time that are kept for a confirmed event, or since they are held.
        waiting: of the items that went, those that still waited for a person.
        changed: clips that somebody answered or held just then, left for the next time.
        files, bytes: removed.
        left: files that could not be removed -> why.
        oldest: when the oldest item left was taken, in UTC; empty if that is not known.
        behind: what kept deleted rows from being overwritten in the file; empty if nothing did.
    """

    items: int = 0
    clips: int = 0
    confirmed: int = 0
    held: int = 0
    waiting: int = 0
    changed: int = 0
    files: int = 0
    bytes: int = 0
    left: dict[str, str] = field(default_factory=dict)
    oldest: str = ""
    behind: str = ""


def retain(
    project: Project,
    who: str,
    hours: float | None = None,
    sources: bool = False,
    around: float = AROUND,
    dry_run: bool = False,
    now: float | None = None,
) -> Outcome:
    """Delete what is past its time.

    It may be stopped at any moment and called again: each clip is deleted as a whole or not at all, and files whose deletion was
    written down are removed by the next call.

    Args:
        project: open for writing.
        who: deletes; written down.
        hours: for which an item may be kept that names no time of its own.
        sources: remove source files too, inside the folder of the source, of which no item is left.
        around: seconds that are kept on either side of a confirmed event.
        dry_run: change nothing.
        now: seconds since 1970.

    Raises:
        ConfigError: if an item names no time and `hours` does not either, for hours or seconds below 0, and if source files are
            to go and the source is not there.
    """
    if (hours is not None and not hours >= 0) or not around >= 0:
        raise ConfigError(f"{hours if hours is not None and not hours >= 0 else around} is no length of time", "give 0 or more")
    if sources:
        footage.check_source(project)
    clock = time.time() if now is None else now
    begun = _begun(project)
    uses, groups, unnamed = Counter[str](), dict[str, bool](), 0
    for one in project.dated():
        uses[one.uri] += 1
        groups[one.group] = one.stored or groups.get(one.group, False)
        unnamed += one.hours is None
    # What ends from here on may have been read before its last frames were stored.
    ended = groups.keys() - project.open_groups()
    ended -= {name for name in ended if not groups[name] and not project.group_done(name)}
    if hours is None and unnamed:
        hint = "give --hours H, or retention_hours in the YAML of their camera before they are labelled"
        raise ConfigError(f"{unnamed} items don't say how long they may be kept", hint)
    done = Outcome()
    for kept in (False, True) if sources else (False,):
        _finish(project, who, uses, kept, clock, dry_run, done)
    lost = footage.orphans(project, groups, uses, begun)
    if lost:
        _take(project, Batch("", [], True), who, "recorded, and never labelled", lost, [], dry_run, done)
    holds, oldest = project.held(), float("inf")
    for batch, stays in _batches(project, clock, hours, around, holds, ended):
        oldest = min([oldest, *stays])
        done.confirmed, done.held = done.confirmed + batch.confirmed, done.held + batch.held
        if batch.going:
            for one in batch.going:
                uses[one.uri] -= 1
            files, later = footage.files_of(project, batch.going, batch.group, batch.whole, uses)
            if sources:
                files += (here := [name for name in later if footage.ready(project, name, batch.hours, clock)])
                later = [name for name in later if name not in here]
            if not _take(project, batch, who, "past its time", files, later, dry_run, done):
                for one in batch.going:
                    uses[one.uri] += 1
    done.oldest = "" if oldest == float("inf") else datetime.fromtimestamp(oldest, UTC).isoformat(timespec="seconds")
    if not dry_run:
        done.behind = project.forget()
    return done


def _batches(
    project: Project, clock: float, hours: float | None, around: float, holds: Collection[str], ended: Collection[str]
) -> Iterator[tuple[Batch, list[float]]]:
    """Yield what goes, clip by clip, and when what stays of it was taken. Of a clip, all is read before anything is deleted.

    Frames of a live session go one by one; a clip of the source goes as a whole, and not while a run may be labelling it.
    """
    for group, members in groupby(project.dated(), key=lambda one: one.group):
        while part := list(members if group else islice(members, AT_ONCE)):
            due = [_due(one, clock, hours) for one in part]
            is_open = bool(group) and group not in ended
            read = is_open and footage.of_source(project, part)
            if (group and not all(due) and (read or project.group_done(group))) or (read and running(project.path)):
                due = [False] * len(part)
            old = [one for one, is_due in zip(part, due, strict=True) if is_due]
            held = {one.id for one in old if one.id in holds or (group and group in holds)}
            confirmed = _confirmed(project, group, part, around) if old else set()
            going = [one for one in old if one.id not in held | confirmed]
            spared, whole = sum(one.id in confirmed - held for one in old), not group or len(going) == len(part)
            periods = [period for one in going if (period := _period(one, hours)) is not None] if is_open else []
            waiting = sum(one.waits for one in going)
            batch = Batch(group, going, whole, spared, len(held), waiting, max(periods, default=None))
            gone = {one.id for one in going}
            yield batch, [one.taken for one in part if one.id not in gone]
            if group:
                break


def _begun(project: Project) -> float:
    """Return when the run began that goes on; now, if none does: one that begins meanwhile writes its own files."""
    begun = [time.time()]
    if running(project.path):
        begun += [datetime.fromisoformat(one["started"]).timestamp() for one in project.runs()[-1:]]
    return begun[-1]


def _due(one: Dated, clock: float, hours: float | None) -> bool:
    """Tell whether an item is past its time; one that was stored since this call began may name none, and then is not."""
    period = _period(one, hours)
    return period is not None and one.taken + period * 3600 <= clock


def _period(one: Dated, hours: float | None) -> float | None:
    return hours if one.hours is None else one.hours


def _confirmed(project: Project, group: str, part: Sequence[Dated], around: float) -> set[str]:
    """Return the items that show what enough people confirmed, all frames of an event one of which is, and the seconds around.

    Items that stand alone share no event and no time.
    """
    schema = project.schema()
    stored = [one.id for one in part if one.stored]
    if not schema.confirms or not stored:
        return set()
    kept = project.kept(stored)
    events: set[tuple[int, int]] = set()
    shown: dict[str, set[tuple[int, int]]] = {}
    records = project.records(group=group) if group else (project.record(one) for one in stored)
    found: set[str] = set()
    for record in records:
        if record is None or record.item.id not in kept:
            continue
        labels = record.labels
        asked = schema.confirmations[labels.class_id] > 0
        pairs = list(zip(labels.class_id.tolist(), labels.track.tolist(), strict=True))
        shown[record.item.id] = {pair for pair in pairs if pair[1] >= 0}
        rows = np.flatnonzero(asked & kept[record.item.id]).tolist()
        if rows:
            found.add(record.item.id)
            events |= {pairs[row] for row in rows if pairs[row][1] >= 0}
    if not group:
        return found
    found |= {item_id for item_id, pairs in shown.items() if pairs & events}
    times = np.array([one.seconds for one in part if one.id in found])
    if len(times):
        found |= {one.id for one in part if np.abs(times - one.seconds).min() <= around}
    return found


def _take(
    project: Project, batch: Batch, who: str, why: str, files: Sequence[str], kept: Sequence[str], dry_run: bool, done: Outcome
) -> bool:
    """Delete one batch, and its files but those that are `kept`; False, and nothing, if somebody changed something just then."""
    if not dry_run:
        decided = {one.id: one.decided for one in batch.going if one.stored}
        refused = [one.id for one in batch.going if not one.stored]
        facts = footage.facts(project, [*files, *kept]) | ({} if batch.hours is None else {"hours": batch.hours})
        event = project.remove(decided, refused, who, why, [batch.group] if batch.group else [], files, kept, facts)
        if event is None:
            done.changed += 1
            return False
        if files:
            _sweep(project, event, files, who, done)
    else:
        _count(project, files, done)
    done.items += len(batch.going)
    done.clips += bool(batch.group)
    done.waiting += batch.waiting
    return True


def _finish(project: Project, who: str, uses: Mapping[str, int], kept: bool, clock: float, dry_run: bool, done: Outcome) -> None:
    """Remove what earlier deletions left: files they did not come to or could not remove; if `kept`, those nobody asked for then.

    What items tell of now is another file, or will go with them.
    """
    for event in project.unswept(kept):
        names = [name for name in event.body["kept" if kept else "files"] if uses[footage.uri_of(name)] <= 0]
        if kept:
            names = [name for name in names if footage.ready(project, name, event.body.get("hours"), clock)]
        if dry_run:
            _count(project, [name for name in names if footage.same(project, event, name)], done)
        elif names:
            _sweep(project, event, names, who, done)


def _sweep(project: Project, event: Event, files: Iterable[str], who: str, done: Outcome) -> None:
    removed = footage.remove(project, event, files)
    if removed.gone or removed.replaced or not removed.left.items() <= event.body.get("left", {}).items():
        project.swept(event.id, who, list(removed.gone), removed.left, removed.replaced)
    sizes = [size for size in removed.gone.values() if size is not None]
    done.files, done.bytes = done.files + len(sizes), done.bytes + sum(sizes)
    done.left |= removed.left | dict.fromkeys(removed.replaced, footage.REPLACED)


def _count(project: Project, files: Sequence[str], done: Outcome) -> None:
    done.files += len(files)
    done.bytes += sum(footage.size_of(project, one) or 0 for one in files)


def describe(done: Outcome, dry_run: bool = False) -> str:
    """Return in words what a call did, or would do."""
    would = "would be " if dry_run else ""
    lines = [f"{done.items} items of {done.clips} clips {would}deleted; {done.waiting} of them still waited for a person"]
    if done.files or dry_run:
        lines.append(f"{done.files} files {would}removed, {done.bytes / 1e6:.1f} MB")
    if done.confirmed or done.held:
        lines.append(f"past their time and kept: {done.confirmed} items of confirmed events, {done.held} that are held")
    if done.changed:
        lines.append(f"{done.changed} clips were left, since somebody answered or held them just then: run it again")
    lines += [f"left: {name}: {why}" for name, why in done.left.items()]
    lines.append(f"the oldest item left is of {done.oldest}" if done.oldest else "no item is left")
    if done.behind:
        lines.append(f"rows were overwritten, but not all of the file: {done.behind}; run it again when nobody else has it open")
    return "\n".join(lines)
