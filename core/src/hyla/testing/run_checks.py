"""What holds of a whole run and of its files: nothing is lost, neither in a format nor when the power goes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hyla import codec
from hyla.hooks import Format
from hyla.schema import KINDS
from hyla.testing.base import Checks, NotApplicableError, check, demand
from hyla.testing.model_checks import differs
from hyla.types import Kind, Record

MOMENTS = (1 / 3, 2 / 3)  # shares of the source after which a run is killed
REGIONS = ("polygon", "mask")  # what regions of a raster come back as
ROUNDING = 1.0  # pixels that a format may round coordinates by
FLAT = tuple(kind for kind in Kind if kind is not Kind.CUBOID)


class RunChecks(Checks):
    """Check the store, the formats of the plugin, and the run as a whole."""

    @check("test_predictions_fit_the_schema")
    def test_records_round_trip(self) -> None:
        """Records come back from bytes and from JSON as they were."""
        schema = self.subject().schema
        for record in self.subject().records:
            stored = codec.unpack(codec.pack(record.labels))
            demand(stored == record.labels, f"the labels of {record.item.id} change when stored", "use the plain types of Labels")
            read = codec.record_from_dict(json.loads(json.dumps(codec.record_to_dict(record, schema))), schema)
            demand(read.item == record.item, f"the item {record.item.id} changes in JSON", "keep plain values in meta")
            demand(read.frame == record.frame, f"the frame of {record.item.id} changes in JSON", "keep plain numbers in it")

    @check("test_predictions_fit_the_schema")
    def test_exports_are_deterministic(self) -> None:
        """The same records give the same files, byte for byte."""
        for name, form in self._formats().items():
            files = [_files(self._export(form, self.subject().folder / f"{name}-{n}")[0]) for n in range(2)]
            demand(files[0], f"format {name} writes nothing", "write at least one file under `out`")
            changed = sorted(str(p) for p in files[0].keys() | files[1].keys() if files[0].get(p) != files[1].get(p))
            demand(not changed, f"format {name} writes {', '.join(changed[:3])} otherwise each time", "leave times out, and sort")

    @check("test_exports_are_deterministic")
    def test_exports_read_back(self) -> None:
        """What a format does not name in its loss comes back when its files are read."""
        schema = self.subject().schema
        readable = 0
        for name, form in self._formats().items():
            out, loss = self._export(form, self.subject().folder / f"{name}-back")
            found = form.read(out, schema)
            if found is None:
                continue
            readable += 1
            read, written = list(found), self._written()
            for problem in compare(written, read, loss):
                demand(
                    False,
                    f"format {name} loses {problem} without naming it",
                    "count it in what export returns: hyla.formats.Loss",
                )
        if not readable:
            raise NotApplicableError("the plugin's formats can only be written")

    @check("test_labels_do_not_depend_on_what_came_before", "test_rules_are_pure", "test_records_round_trip")
    def test_a_run_stores_every_item(self) -> None:
        """A whole run, without network, stores or sets aside each item, with the labels that the model gives by itself."""
        from hyla import privacy
        from hyla.loop import run
        from hyla.store import Project

        subject = self.subject()
        settings = subject.settings
        with privacy.no_network():
            summary = run(settings)
        demand(summary.state == "finished", f"the run is {summary.state}", "see the error above")
        assert settings.out is not None
        with Project.open(settings.out) as project:
            stored = {r.item.id: r for r in project.records(source="model")}
            aside = {q.item.id: q for q in project.quarantined()}
            report = project.verify()
        demand(report.ok, f"the project does not verify: {report}", "nothing but the run may write to the store")
        lost = [i.id for i in subject.scanned if i.id not in stored and i.id not in aside]
        demand(not lost, f"{len(lost)} items are neither stored nor set aside: {', '.join(lost[:3])}", "see `hyla status`")
        for image, labels in zip(subject.images, subject.labels, strict=True):
            why = f"{image.item.id} is set aside at {aside[image.item.id].stage}: " if image.item.id in aside else ""
            reason = aside[image.item.id].reason if why else ""
            demand(not why, f"{why}{reason}", "it can be loaded and predicted by itself: which stage fails in a run?")
            found = differs(labels, stored[image.item.id].labels, self.tolerance())
            todo = "loading threads work on several groups at once: keep what belongs to a group apart, by its name"
            demand(not found, f"{image.item.id} has other labels in a run: {found}", todo)

    @check("test_a_run_stores_every_item", "test_a_replayed_group_gives_the_same_labels", "test_group_rules_stream")
    def test_a_killed_run_ends_with_the_same_rows(self) -> None:
        """Killed twice and started again, in processes of their own, a run ends with the rows of an undisturbed one."""
        from hyla.loop import run

        subject = self.subject()
        whole = subject.settings
        settings = subject.compose("killed", subject.source)
        assert whole.out is not None
        assert settings.out is not None
        moments = sorted({max(1, int(len(subject.scanned) * share)) for share in MOMENTS})
        for seed, moment in enumerate(moments, 2):
            done = subject.child(seed, source=subject.source, out=settings.out, kill_after=moment)
            killed = done.returncode < 0 or done.returncode > 127
            demand(
                killed, f"a run in another process ends before its {moment}th item: {done.stderr[-800:]}", "see the error above"
            )
        run(settings)
        before, after = rows(whole.out), rows(settings.out)
        todo = "labels and flags may depend on the picture (with memory: on its group) and on nothing else"
        demand(len(before) == len(after), f"after a kill there are {len(after)} rows, not {len(before)}", todo)
        for a, b in zip(before, after, strict=True):
            demand(a == b, f"after a kill the rows differ: {_difference(a, b)}", todo)

    def _formats(self) -> Mapping[str, Format]:
        if not self.subject().formats:
            raise NotApplicableError("the plugin offers no format")
        return self.subject().formats

    def _written(self) -> list[Record]:
        """Return one record per item: by turns as the model labelled it, and with every class and kind."""
        records = self.subject().records
        middle = len(records) // 2
        return [records[n] if n % 2 else records[middle + n] for n in range(middle)]

    def _export(self, form: Format, out: Path) -> tuple[Path, dict[str, int]]:
        out.mkdir(exist_ok=True)
        loss = form.export(iter(self._written()), self.subject().schema, out)
        counted = isinstance(loss, Mapping) and all(isinstance(k, str) and type(v) is int for k, v in loss.items())
        demand(counted, f"export returned {loss!r}", "return what could not be carried: {'polyline': 3}, or {}")
        return out, dict(loss or {})


def compare(written: Sequence[Record], read: Sequence[Record], loss: Mapping[str, int]) -> list[str]:
    """Return in words what is missing from `read`, of `written` less what `loss` names."""
    before, after = _by_kind(written), _by_kind(read)
    problems: list[str] = []
    whole: list[Kind] = []  # kinds that the format carries without exception
    for kind in KINDS:
        word = kind.replace("_", " ")
        if kind in REGIONS and any(what.endswith(" as region") for what in loss):
            continue  # in what number and shape they come back nobody can say
        became = sum(n for what, n in loss.items() if what.startswith(f"{word} as "))
        gained = sum(n for what, n in loss.items() if what.endswith((f" as {word}", f" as cut {word}")))
        wanted = before[kind] - loss.get(word, 0) - became + gained
        if after[kind] != wanted:
            problems.append(f"{wanted - after[kind]} of {wanted} {word} labels")
        elif not became and not gained and word not in loss:
            whole.append(KINDS[kind])
            problems += _places(written, read, KINDS[kind])
    had, has = _beside(written, whole), _beside(read, whole)
    gone = {what: n - has[what] - loss.get(what, 0) for what, n in had.items()}
    return problems + [f"{n} values of {what}" for what, n in gone.items() if n > 0]


def _beside(records: Iterable[Record], kinds: Sequence[Kind]) -> Counter[str]:
    """Count what labels of `kinds` hold beside their geometry, and what is said of the images."""
    found: Counter[str] = Counter(track=0, score=0, attribute=0, context=0)
    for record in records:
        labels = record.labels[np.isin(record.labels.kind, kinds)]
        found["track"] += int((labels.track >= 0).sum())
        found["score"] += int((labels.score != 1).sum())
        found["attribute"] += sum(v is not None and v == v for column in labels.attributes.values() for v in column.tolist())
        found["context"] += sum(v is not None for v in labels.context.values())
    return found


def _by_kind(records: Iterable[Record]) -> Counter[str]:
    return Counter(Kind(int(k)).word for record in records for k in record.labels.kind)


def _places(written: Sequence[Record], read: Sequence[Record], kind: Kind) -> list[str]:
    """Return a problem for a class of which a box that was written has none near it among those read."""
    problems = []
    for class_id in sorted({int(c) for r in written for c in r.labels.class_id[r.labels.kind == kind]}):
        a, b = (np.concatenate([_boxes(r, kind, class_id) for r in records]) for records in (written, read))
        if len(a) != len(b):
            problems.append(f"{len(a) - len(b)} of {len(a)} {kind.word} labels of class {class_id}")
        elif kind in FLAT and len(a) and np.abs(a[:, None] - b[None]).max(axis=2).min(axis=1).max() > ROUNDING:
            problems.append(f"the place of a {kind.word} of class {class_id}")
    return problems


def _boxes(record: Record, kind: Kind, class_id: int) -> Any:
    labels = record.labels
    return labels.box[(labels.kind == kind) & (labels.class_id == class_id)]


def rows(out: str) -> list[dict[str, Any]]:
    """Return all that a project holds of its items, in the order of the scan."""
    from hyla.store import Project

    with Project.open(out) as project:
        schema = project.schema()
        found = [codec.record_to_dict(record, schema) for record in project.records(source="model")]
        return found + [{"set aside": q.item.id, "stage": q.stage, "reason": q.reason} for q in project.quarantined()]


def _difference(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    keys = [key for key in a.keys() | b.keys() if a.get(key) != b.get(key)]
    return f"{a.get('item', a)}: {', '.join(f'{k} {a.get(k)!r} and {b.get(k)!r}' for k in sorted(keys))}"[:600]


def _files(folder: Path) -> dict[Path, bytes]:
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
