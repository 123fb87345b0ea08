"""Label fields with their condition, and the zones of stress and change in them, by robust statistics and without weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Labels
from hyla_agriculture import drought
from hyla_agriculture.conditions import Against, Rules, against_dates, against_neighbours, judge, usable
from hyla_agriculture.footprints import windows
from hyla_agriculture.formulas import STANDARD
from hyla_agriculture.history import History, Pixels, Seen, Years, ordinal
from hyla_agriculture.indices import Evaluator
from hyla_agriculture.labelling import Zone, assemble, overlap_and_compactness, standard_schema
from hyla_agriculture.measures import Measures, Thresholds, measure
from hyla_agriculture.scene import Fields, Scene, view
from hyla_agriculture.sweep import batches

SOURCES = ("delineate", "none")
SUSPECTED = ("suspected_drought", "suspected_pest")


class Zones(Model):
    """Label each field with its condition, and the parts of it that are under stress or changed.

    One polygon for each field, of class healthy, stressed, suspected_drought, suspected_pest, bare, unusable, or field where no
    condition can be told; `conditions` says when, and what a score means. In it are polygons of class stress_zone, or
    suspected_pest_zone if compact with an abrupt edge: clear full pixels with NDVI far below the field's own median; and
    change_zone, which gained or lost more NDVI than the field did since its last clear date in the group. A satellite sees no
    pest and no thirst: what is suspected is for somebody to look at on the spot.

    Of outlines that were only found in the pixels nobody says that they are fields: a roof is dry, too. Without parcels nothing
    is suspected, and what would be is called stressed.

    Pixels under cloud, shadow or snow, saturated ones and those at the border of a field are never counted. Everything is
    relative to the field, to what is near it, and to its own past, so that the labels of a field depend on neither the extent
    of the scene nor the blocks it is read in; but a field near the border of the scene has fewer neighbours.

    Args:
        schema: of the project; classes and attributes that it lacks are left out. None takes all.
        indices: names of attributes -> keys of spyndex, or expressions in the common names of bands. `ndvi` is what conditions
            and zones need most.
        constants: of the indices; see `Evaluator`.
        required: indices without which a scene is refused.
        fields: what to do with a scene that has no parcels: `delineate` finds them, `none` leaves it without labels.
        history: a file of earlier years; see `Years`.
        rainfall: a CSV file with the rain of each month near the scenes, for SPI; see `drought.rainfall`.
        thresholds: of zones; see `Thresholds`.
        rules: of conditions; see `Rules`.
        device: that indices are computed on.
        threads: that read the scene; None for one per core, at most 8.

    Raises:
        ConfigError: for an unknown index or setting, or a history that can't be read.
    """

    memory = True

    def __init__(
        self,
        schema: Schema | None = None,
        indices: Mapping[str, str] | None = None,
        constants: Mapping[str, Any] | None = None,
        required: Sequence[str] = (),
        fields: str = "delineate",
        history: str | None = None,
        rainfall: str | None = None,
        thresholds: Mapping[str, float] | None = None,
        rules: Mapping[str, float] | None = None,
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        if fields not in SOURCES:
            raise ConfigError(f"zones.fields is {fields!r}", choices=SOURCES)
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}", "give at least 1, or null for one per core")
        self.schema = schema or standard_schema()
        self.known = None if schema is None else set(schema.attributes_of("label"))
        self.evaluator = Evaluator(STANDARD if indices is None else indices, device, constants)
        if lacking := [name for name in required if name not in self.evaluator.names]:
            raise ConfigError(f"zones.required names {lacking[0]!r}, which is not computed", choices=self.evaluator.names)
        self.required = tuple(required)
        self.source = fields
        self.years = Years(history)
        self.rain = None if rainfall is None else drought.rainfall(rainfall)
        self.limits = settings(Thresholds, "thresholds", thresholds)
        self.rules = settings(Rules, "rules", rules)
        self.threads = threads
        self._past: dict[str, History] = {}

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return fields and zones of each scene; what is remembered changes only after the last of them."""
        past = dict(self._past)
        out = []
        for image in images:
            group = image.item.group
            labels, history = self.label(image, past.get(group, History()))
            out.append(labels)
            if group:
                past[group] = history
        self._past = past
        return out

    @hookimpl
    def forget(self, group: str) -> None:
        """Drop the dates of `group`."""
        self._past.pop(group, None)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "zones"}

    def label(self, image: Image, past: History) -> tuple[Labels, History]:
        """Return the labels of a scene, and the history with this date in it."""
        scene = view(image)
        found = past.fields if scene.fields is None else None
        fields = fields_of(scene, image, self.source) if found is None else found
        if not len(fields):
            return Labels.empty(), past
        evaluator = self.evaluator.on(scene.bands, self.required)
        alone = not image.item.group
        measures = measure(
            batches(scene, fields, evaluator, image.frame, self.threads),
            fields,
            evaluator,
            self.limits,
            past.pixels,
            keep=not alone,
            hidden=self.rules.hidden,
        )
        day = ordinal(image.item.meta.get("date"))
        labels, judged = self._labels(image, fields, measures, past, day)
        if alone:
            return labels, past
        seen, pixels = _remembered(fields, measures, judged, day)
        return labels, past.after(seen, pixels, fields if scene.fields is None else None)

    def means(self, image: Image) -> Labels:
        """Return the fields of a scene with the means of indices, as class `field`."""
        scene = view(image)
        fields = fields_of(scene, image, self.source)
        if not len(fields):
            return Labels.empty()
        evaluator = self.evaluator.on(scene.bands, self.required)
        found = batches(scene, fields, evaluator, image.frame, self.threads)
        measures = measure(found, fields, evaluator, self.limits, hidden=-1.0)
        none = Against.nothing(len(fields))
        evidence = _evidence(fields, measures, none, none, np.full(len(fields), np.nan))
        seen = np.clip(1 - np.nan_to_num(measures.unseen), 0, 1)
        attributes = _attributes(fields, measures, [()] * len(fields), None)
        return assemble(self.schema, self.known, fields, ["field"] * len(fields), seen, attributes, evidence)

    def _labels(self, image: Image, fields: Fields, measures: Measures, past: History, day: int | None) -> tuple[Labels, Any]:
        ndvi = measures.mean("ndvi")
        before = [past.seen.get(name, ()) for name in fields.ids]
        own = against_dates(ndvi, [np.array([one.ndvi for one in dates]) for dates in before])
        vci, years = self._vci(fields, ndvi, day, before)
        columns = [measures.middle, measures.mean("ndre"), measures.mean("ndmi")]
        places = windows(fields, image.size)
        good, radius, least = usable(measures, self.rules), self.rules.radius, self.rules.neighbours
        beside = against_neighbours(columns, good, fields, places, image.frame, radius, least)
        classes, scores = judge(measures, self.rules, beside, own, vci)
        if fields.found:
            classes = np.where(np.isin(classes, SUSPECTED), "stressed", classes)
        silent = np.isin(classes, ("bare", "unusable", "field"))
        for number in np.flatnonzero(silent).tolist():
            measures.stress.pop(number, None)
        attributes = _attributes(fields, measures, before, day)
        attributes["severity"] = np.where(silent, np.nan, measures.severity)
        attributes["vci"], attributes["drought"] = vci, drought.drought_class(vci)
        if self.rain is not None:
            attributes["spi3"] = np.full(len(fields), drought.spi_at(self.rain, str(image.item.meta.get("date", ""))))
        zones = [*self._stress(measures, not fields.found), *self._changes(measures, attributes["change"])]
        evidence = _evidence(fields, measures, own, beside[0], years)
        labels = assemble(self.schema, self.known, fields, classes.tolist(), scores, attributes, evidence, zones, measures)
        return labels, classes != "unusable"

    def _stress(self, measures: Measures, suspect: bool) -> Iterator[Zone]:
        for number, found in sorted(measures.stress.items()):
            limit = max(self.limits.depth * max(float(measures.spread[number]), self.limits.floor), self.limits.step)
            for patch in found:
                pest = suspect and self.rules.like_pest(patch, measures.pixel[number])
                name = "suspected_pest_zone" if pest else "stress_zone"
                yield Zone(number, name, _score(patch.depth / limit - 1) * _share_seen(measures, number), patch)

    def _changes(self, measures: Measures, change: Floats) -> Iterator[Zone]:
        for number, found in sorted(measures.changed.items()):
            common = float(np.nan_to_num(change[number]))
            for patch in found:
                sure = abs(patch.change - common) / self.limits.change - 1
                yield Zone(number, "change_zone", _score(sure) * _share_seen(measures, number), patch)

    def _vci(self, fields: Fields, ndvi: Floats, day: int | None, before: Sequence[tuple[Seen, ...]]) -> tuple[Floats, Floats]:
        """Return VCI (n,) in percent, NaN with fewer years than the rules ask for, and the number of years (n,)."""
        low, high, years = (np.full(len(fields), np.nan) for _ in range(3))
        for row, name in enumerate(fields.ids):
            found = self.years.earlier(name, day, before[row])
            years[row] = len(found)
            if len(found) >= self.rules.years:
                low[row], high[row] = found.min(), found.max()
        return drought.vci(ndvi, low, high), years


def fields_of(scene: Scene, image: Image, source: str) -> Fields:
    """Return the fields of a scene: those of its source, else those that can be seen, or none, as `source` says."""
    if scene.fields is not None:
        return scene.fields
    if source == "none":
        return Fields()
    from hyla_agriculture.boundaries import delineate

    return delineate(scene, image.frame)


def settings(kind: type[Any], name: str, given: Mapping[str, float] | None) -> Any:
    """Return thresholds with those that are given; raise ConfigError for one that there is not, or that is no number."""
    known = kind.__dataclass_fields__
    for key, value in (given or {}).items():
        if key not in known:
            raise ConfigError(f"there is no setting {name}.{key}", choices=known)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{name}.{key} is {value!r}", "give a number")
    return kind(**(given or {}))


def _share_seen(measures: Measures, number: int) -> float:
    return float(np.clip(1 - np.nan_to_num(measures.unseen[number]), 0, 1))


def _score(distance: float) -> float:
    return 1 - 0.5 * float(np.exp(-max(distance, 0.0)))


def _attributes(fields: Fields, measures: Measures, before: Sequence[tuple[Seen, ...]], day: int | None) -> dict[str, Any]:
    """Return the columns (n,) of attributes that fields have by themselves."""
    last = [dates[-1] if dates else None for dates in before]
    then = np.array([np.nan if one is None else one.ndvi for one in last])
    days = [np.nan if one is None or one.day is None or day is None else float(day - one.day) for one in last]
    change = measures.mean("ndvi") - then
    return {
        "field": fields.ids,
        "crop": fields.crops,
        "previous_crop": fields.previous,
        "area_ha": fields.hectares,
        "declared_ha": fields.declared,
        **{name: measures.means[row] for row, name in enumerate(measures.names)},
        "change": change,
        "days": np.where(np.isfinite(change), days, np.nan),
    }


def _evidence(fields: Fields, measures: Measures, own: Against, beside: Against, years: Floats) -> dict[str, Floats]:
    return {
        "pixels": measures.full.astype(np.float64),
        "lost": measures.lost,
        "cloud": measures.cloud,
        "missing": measures.missing,
        "saturated": measures.saturated,
        "edge": measures.edge,
        "spread": measures.spread,
        "least": measures.least,
        "most": measures.most,
        "zneighbours": beside.z,
        "zhistory": own.z,
        "years": years,
        "inside": fields.inside,
        **overlap_and_compactness(fields),
    }


def _remembered(fields: Fields, measures: Measures, judged: Any, day: int | None) -> tuple[dict[str, Seen], dict[str, Pixels]]:
    """Return what to remember of the fields on which something could be said."""
    ndvi, spread, clear = measures.mean("ndvi"), measures.spread, 1 - measures.unseen
    rows = np.flatnonzero(judged & np.isfinite(ndvi)).tolist()
    seen = {fields.ids[n]: Seen(day, float(ndvi[n]), float(spread[n]), float(clear[n])) for n in rows}
    return seen, {fields.ids[n]: measures.pixels[n] for n in rows if n in measures.pixels}
