"""Make a lot of a project: its units and strata, what could be asked of them, how likely it matters, and how long it takes.

What becomes of an item:

- People are done with it, all of it: settled. It counts in the denominator, and nothing of it is asked. An item of which they
  answered crops only, in a grid, is not: nobody looked for what is missing.
- They began and are not done, or a rule wants a person whatever the risk (a flag of severity human or second): its asks must be
  asked, those of the flagged labels, or all of them if the flag is about the picture.
- A rule would drop a label, or the picture: that is an opinion on the machine's labels, which an export holds until a person
  agrees. So it is asked like any other, with a high risk, and first of all.
- All else may be asked.

Items in quarantine have no labels, and are in no lot.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hyla import codec
from hyla.codec import Packed
from hyla.decide.calibration import Calibration
from hyla.decide.effort import Effort
from hyla.decide.features import Reading, Table
from hyla.decide.losses import Errors, Loss
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.risk import Asked, Known, Risk
from hyla.decide.stages import build_decide as build_decide
from hyla.decide.strata import Strata
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Kind, Labels, Verdict

if TYPE_CHECKING:
    from hyla.store import Project
    from hyla.store.standings import Scanned


@dataclass(frozen=True, eq=False)
class Assembled:
    """Hold a lot that is not frozen yet, and what it was made with.

    Args:
        lot: see hyla.decide.lot.
        calibrations: how well the risks hold on what people answered: of labels, where they are asked, and of pictures.
        trained_on: answered items that the risks were learned from; 0 where the scores are taken as they are.
        effort: with what was measured in place of what was assumed.
        left_out: items that another lot covers.
        table: what the risks were assessed from, item by item in the order of the scan.
    """

    lot: Lot
    calibrations: tuple[Calibration, ...]
    trained_on: int
    effort: Effort
    left_out: int = 0
    table: Table | None = None


def assemble(
    project: Project,
    loss: Loss,
    risk: Risk,
    effort: Effort,
    strata: Sequence[str] = (),
    second: str | None = None,
    without: Collection[str] = (),
) -> Assembled:
    """Make a lot of all that is in a project.

    Args:
        project: whose machine labels are to be judged.
        loss: what an error is, and what is asked apart.
        risk: how likely errors are; learned from the items that people are done with.
        effort: seconds per answer; what was logged in the project replaces what it assumes.
        strata: what the lot is divided by: keys of what is known of items (`item.meta`, or the context of their labels), `class`
            (of the surest tag), `group` or `kind`.
        second: labels of a second model to compare with; else those that `risk` names.
        without: ids of items that another lot covers.

    Raises:
        ConfigError: for a stratum key that no item has, a project with no item left, or a risk that needs what there is not.
        StoreError: if there are no labels of the name `second`.
    """
    schema = project.schema()
    read = _Read(schema, loss, effort.logged(project.paces()), Strata(strata, schema), frozenset(without))
    changed = _changed(project)
    for scanned, other in _beside(project, second or risk.second):
        read.add(scanned, other, changed)
    for item_id, severity, rows in project.flagged():
        read.flag(item_id, severity, rows)
    return read.assembled(risk)


def _changed(project: Project) -> dict[str, Labels]:
    """Return item id -> the labels that people gave, where they did not take the machine's as they were."""
    return {record.item.id: record.labels for record in project.records("human")}


def _beside(project: Project, second: str | None) -> Iterator[tuple[Scanned, Packed | None]]:
    """Yield what is stored of each item, with what the second model said of it if it did: both come in the order of the scan."""
    others = iter(project.records(second)) if second else iter(())
    other = next(others, None)
    for scanned in project.scan():
        if other is not None and other.item.id == scanned.standing.id:
            yield scanned, codec.peek(codec.pack(other.labels))
            other = next(others, None)
        else:
            yield scanned, None


@dataclass
class _Read:
    """Gather what a lot is made of, record by record."""

    schema: Schema
    loss: Loss
    effort: Effort
    strata: Strata
    without: frozenset[str]
    reading: Reading = field(default_factory=Reading)
    ids: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    done: list[bool] = field(default_factory=list)
    begun: list[bool] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)  # in the lot; what another lot covers is read only to learn from
    known: list[int] = field(default_factory=list)
    known_rows: list[Floats] = field(default_factory=list)
    known_whole: list[float] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    left_out: int = 0

    def add(self, scanned: Scanned, second: Packed | None, changed: Mapping[str, Labels]) -> None:
        """Take the next item, with what a second model said, and the labels that people gave where they changed any."""
        standing, place = scanned.standing, len(self.ids)
        inside = standing.id not in self.without
        self.left_out += not inside
        if not inside and not standing.settled:
            return
        packed = codec.peek(scanned.blob)
        self.reading.add(standing.group, scanned.place, _size(scanned.size), packed, second)
        self.places[standing.id] = place
        self.ids.append(standing.id.encode())
        self.digests.append(standing.digest.encode())
        self.groups.append(standing.group)
        self.done.append(standing.settled)
        self.begun.append(standing.at_work)
        self.inside.append(inside)
        if inside:
            self.strata.add(standing.group, scanned.kind, lambda: json.loads(scanned.meta), packed)
        if standing.settled:
            self.known.append(place)
            errors = self._errors(scanned, changed)
            self.known_rows.append(errors.rows)
            self.known_whole.append(errors.whole)

    def flag(self, item_id: str, severity: str, rows: str) -> None:
        """Take a flag; those of items that are not here do not count."""
        if (place := self.places.get(item_id)) is not None:
            self.reading.flag(place, severity, json.loads(rows))

    def _errors(self, scanned: Scanned, changed: Mapping[str, Labels]) -> Errors:
        machine = codec.unpack(scanned.blob)
        if scanned.standing.outcome == Verdict.REJECT:
            return self.loss.errors(machine, Labels.empty(), self.schema)  # nothing is there
        answer = changed.get(scanned.standing.id)
        return Errors(np.zeros(len(machine)), 0.0) if answer is None else self.loss.errors(machine, answer, self.schema)

    def assembled(self, risk: Risk) -> Assembled:
        """Return the lot of all that was taken."""
        inside = np.array(self.inside, dtype=bool)
        if not inside.any():
            what = "every item is covered by another lot" if len(inside) else "the project has no labelled item"
            raise ConfigError(what, "`hyla run` brings in new ones")
        table = self.reading.table()
        about, apart = self.loss.about(table.machine.kind), self.loss.apart
        assessed = risk.assess(table, self._known(table), Asked(about, apart))
        item, row, of_row = self._asks(table, about, inside)
        chance = np.where(row == WHOLE, assessed.wholes[item], assessed.rows[of_row] if len(assessed.rows) else 0)
        always = self._always(table)[item] | ((row != WHOLE) & _strong(table.row_flags)[of_row] if len(of_row) else False)
        if not apart:
            always |= (np.bincount(table.machine.item, _strong(table.row_flags), len(inside)) > 0)[item]
        return Assembled(
            self._lot(
                inside,
                self._sizes(table, about),
                item,
                row,
                chance,
                self._seconds(table, about, item, row, of_row, chance),
                always,
            ),
            assessed.calibrations,
            len(self.known) if any(one.model for one in assessed.calibrations) else 0,
            self.effort,
            self.left_out,
            table,
        )

    def _known(self, table: Table) -> Known:
        if not self.known:
            return Known.nothing()
        items = np.array(self.known)
        rows = np.concatenate([np.arange(*table.machine.start[i : i + 2]) for i in self.known]).astype(np.int64)
        return Known(items, rows, np.concatenate(self.known_rows), np.array(self.known_whole))

    def _asks(self, table: Table, about: Bools, inside: Bools) -> tuple[Ints, Ints, Ints]:
        """Return item, row and place in the columns (0 for wholes) of each ask: of each open item the whole, then its rows."""
        unanswered = inside & ~np.array(self.done, dtype=bool)
        wholes = np.flatnonzero(unanswered)
        rows = np.flatnonzero(about & unanswered[table.machine.item]) if self.loss.apart else np.zeros(0, np.int64)
        item = np.concatenate([wholes, table.machine.item[rows]])
        row = np.concatenate([np.full(len(wholes), WHOLE), table.machine.row[rows]])
        place = np.concatenate([np.zeros(len(wholes), np.int64), rows])
        order = np.lexsort((row, item))
        return item[order], row[order], place[order]

    def _sizes(self, table: Table, about: Bools) -> Floats:
        return self.loss.sizes(np.bincount(table.machine.item[about], minlength=len(self.ids)).astype(np.int64))

    def _always(self, table: Table) -> Bools:
        """Return the items (n,) of which everything must be asked."""
        return np.asarray(np.array(self.begun, dtype=bool) | _strong(table.flags))

    def _seconds(self, table: Table, about: Bools, item: Ints, row: Ints, of_row: Ints, chance: Floats) -> Floats:
        """Return the expected time of each ask: the look at it, and mending or drawing what is expected to be wrong.

        What is missing takes as long to draw as the first label of the picture would or, in one without any, as most do.
        """
        kinds = table.machine.kind.astype(np.int64)
        verify, fixes = self.effort.tables()
        picture, n = table.machine.item, len(table.machine.count)
        drawn = np.full(n, np.bincount(kinds[about]).argmax() if about.any() else Kind.BOX)
        looked, first = np.unique(picture[about], return_index=True)
        drawn[looked] = kinds[about][first]
        whole = self.effort.wholes(kinds[about], picture[about], n, self.loss.apart)[item] + chance * fixes[drawn[item]]
        if not len(kinds):
            return np.asarray(whole)
        return np.asarray(np.where(row == WHOLE, whole, verify[kinds[of_row]] + chance * fixes[kinds[of_row]]))

    def _lot(self, inside: Bools, sizes: Floats, item: Ints, row: Ints, risk: Floats, seconds: Floats, always: Bools) -> Lot:
        kept = np.flatnonzero(inside)
        new = np.full(len(inside), -1)
        new[kept] = np.arange(len(kept))
        units: dict[str, int] = {}
        names = [self.groups[i] if self.loss.unit == "group" else "" for i in kept.tolist()]
        unit = np.array([units.setdefault(f"g{name}" if name else f"i{i}", len(units)) for i, name in enumerate(names)])
        size = np.bincount(unit, sizes[kept]).astype(np.float64)
        settled = np.bincount(unit, ~np.array(self.done, dtype=bool)[kept]) == 0
        stratum, strata = self.strata.units(unit)
        held = np.array(self.ids), np.array(self.digests)
        return Lot(held[0][kept], held[1][kept], unit, size, stratum, settled, strata, new[item], row, risk, seconds, always)


def _strong(flags: np.typing.NDArray[np.float32]) -> Bools:
    """Return where there is a flag of severity human or second."""
    return np.asarray((flags[:, 2:4] > 0).any(axis=1))


@lru_cache(maxsize=256)
def _size(text: str) -> tuple[int, ...]:
    """Return the size of a picture from JSON; few pictures have one of their own."""
    return tuple(json.loads(text))
