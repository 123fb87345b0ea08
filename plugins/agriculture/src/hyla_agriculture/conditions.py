"""Say in which condition a field is, from its measures, its neighbours and its past.

The first of these that holds (thresholds are settings, see `Rules`):

unusable           more than 30 % of it is hidden (cloud, shadow, snow), missing or saturated, or it has no clear full pixel
field              no condition can be told: the scene allows no NDVI, or it stands under water (NDVI below 0.35, MNDWI above 0.2)
bare               NDVI below 0.35 and BSI above 0.05; or, where BSI is not known, NDVI below 0.2
suspected_pest     at least 3 % of it in compact patches with an abrupt edge, which lie below -2 robust standard deviations of its
                   neighbours, or of its own earlier dates
suspected_drought  low vigour, and NDMI below 0 or low against neighbours; or VCI below 40 with at least 3 years on record
stressed           low vigour, or NDREI low against neighbours, or at least 10 % of it in stress zones; the cause is not known
healthy            what is left

Low vigour is NDVI below 0.4; or a robust z of its median NDVI below -2 against at least 5 neighbours, or of its mean against at
least 3 earlier dates of its own. What counts as low against others is also at least 0.08 below their median; and NDMI by no less
than NDVI, since thin leaves lower both. Nothing is relative to the scene, only to the field, to what lies within 2 km and to its
own past.

A score is 0.5 where a value stands at a threshold, and grows to 1 with its distance from the nearest one that would change the
class, in units of what such a value is sure to: 1 - 0.5 exp(-distance). It is multiplied by the share of the field that was seen,
and by k / (k + 2) for k clear full pixels. It orders fields; it is no probability as long as nobody calibrated it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyla.frame import Frame, MapFrame
from hyla.types import Bools, Floats, Ints, Objects
from hyla_agriculture.footprints import UNKNOWN, degrees
from hyla_agriculture.measures import Measures
from hyla_agriculture.patches import MAD, Patch
from hyla_agriculture.scene import Fields, Window

EARTH = 6_371_008.8  # m, mean radius (IUGG); distances of some kilometres are within 0.6 %
SURE = {"ndvi": 0.05, "bsi": 0.05, "ndmi": 0.05, "vci": 10.0, "z": 1.0, "severity": 5.0, "hidden": 0.1}  # one unit of distance
FLOOR = 0.03  # of an index: what the robust standard deviation of neighbours is taken to be at least
DATES_FLOOR = 0.05  # of NDVI, the same of a field's own earlier dates, between which it grows
LEAST_DATES = 3  # of a field's own past for a robust z
PAIRS = 1 << 21  # of neighbours that are looked at in one go


@dataclass(frozen=True)
class Rules:
    """Hold the thresholds that the docstring of this module names.

    Args:
        hidden: share of a field.
        bare, bare_bsi, bare_alone: NDVI, BSI, and NDVI where BSI is not known.
        flooded: MNDWI.
        low: NDVI.
        dry: NDMI.
        z: robust z, against neighbours and dates.
        drop: of an index, below the neighbours or earlier dates.
        vci: percent.
        years: least number of them for VCI.
        severity: percent of a field in stress zones.
        patch: percent of a field in patches that look like those of a pest.
        compact, abrupt: of a patch; see `Patch.compactness` and `Patch.step`.
        pixel: metres of a pixel, in coarser ones than which patches tell nothing of pests.
        neighbours: least number of them.
        radius: metres within which fields are neighbours.
    """

    hidden: float = 0.3
    bare: float = 0.35
    bare_bsi: float = 0.05
    bare_alone: float = 0.2
    flooded: float = 0.2
    low: float = 0.4
    dry: float = 0.0
    z: float = -2.0
    drop: float = 0.08
    vci: float = 40.0
    years: int = 3
    severity: float = 10.0
    patch: float = 3.0
    compact: float = 0.3
    abrupt: float = 0.5
    pixel: float = 30.0
    neighbours: int = 5
    radius: float = 2000.0

    def like_pest(self, patch: Patch, pixel: Floats) -> bool:
        """Tell whether a stress zone looks like what a pest eats, in pixels of (2,) metres. An older one does not."""
        fresh = not patch.change > -self.drop  # or not known
        fine = not pixel.max() > self.pixel
        return patch.compactness >= self.compact and patch.step >= self.abrupt and fresh and fine


@dataclass(frozen=True)
class Against:
    """Hold what the values of n fields are against others: robust z, and the difference from the median; NaN where too few."""

    z: Floats
    apart: Floats
    middle: Floats
    spread: Floats

    @classmethod
    def nothing(cls, n: int) -> Against:
        """Return what is known where nothing is."""
        return cls(*(np.full(n, np.nan) for _ in range(4)))


def against_neighbours(
    columns: Sequence[Floats], usable: Bools, fields: Fields, windows: Sequence[Window], frame: Frame, radius: float, least: int
) -> list[Against]:
    """Return what columns of values (n,) are against those of the usable fields of the same crop around each.

    Fields are neighbours if the centres of their windows are less than `radius` metres apart on the ground; there must be at
    least `least` of them. Where crops are not known, all fields count as of one crop. A pixel is taken to have 10 m in a scene
    that is on no map.
    """
    from scipy.spatial import cKDTree

    out = [Against.nothing(len(fields)) for _ in columns]
    places = _places(windows, frame)
    crops = np.array([crop or "" for crop in fields.crops], dtype=str)
    good = usable & np.isfinite(places).all(axis=1)
    for crop in np.unique(crops[good]):
        rows = np.flatnonzero(good & (crops == crop))
        tree = cKDTree(places[rows])
        most = tree.query_ball_point(places[rows], radius, return_length=True)
        for part in np.array_split(np.argsort(most, kind="stable"), max(1, int(most.sum()) // PAIRS)):
            width = int(most[part].max(initial=0)) + 1  # with the field itself
            if width <= least:
                continue
            _, near = tree.query(places[rows[part]], width, distance_upper_bound=radius)
            near = np.where(near == part[:, None], len(rows), near)  # what is further off has the number len(rows)
            for values, found in zip(columns, out, strict=True):
                _fill(found, rows[part], values[rows[part]], np.append(values[rows], np.nan)[near], FLOOR, least)
    return out


def _places(windows: Sequence[Window], frame: Frame) -> Floats:
    """Return the centres (n, 3 or 2) of windows in metres: in space, where a straight line is as good as the ground."""
    corners = np.array(windows, dtype=np.float64).reshape(-1, 4)
    middle = np.stack([corners[:, 2] + corners[:, 3], corners[:, 0] + corners[:, 1]], axis=1) / 2
    if not isinstance(frame, MapFrame) or not frame.crs:
        return UNKNOWN * middle
    lon, lat = np.radians(degrees(frame, middle)).T
    return EARTH * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)


def against_dates(values: Floats, earlier: Sequence[Floats]) -> Against:
    """Return what values (n,) are against the same field's earlier ones."""
    out = Against.nothing(len(values))
    width = max((len(one) for one in earlier), default=0)
    if width >= LEAST_DATES:
        others = np.array([np.pad(one, (0, width - len(one)), constant_values=np.nan) for one in earlier])
        _fill(out, np.arange(len(values)), values, others, DATES_FLOOR, LEAST_DATES)
    return out


def _fill(out: Against, rows: Ints, values: Floats, others: Floats, floor: float, least: int) -> None:
    """Fill in what values (m,) are against the others (m, k) in their row, of which NaN do not count."""
    count = np.isfinite(others).sum(axis=1)
    known = (count >= least) & np.isfinite(values)
    if not known.any():
        return
    rows, values, others, count = rows[known], values[known], others[known], count[known]
    middle = _medians(others, count)
    spread = np.maximum(MAD * _medians(np.abs(others - middle[:, None]), count), floor)
    out.middle[rows], out.spread[rows] = middle, spread
    out.apart[rows] = values - middle
    out.z[rows] = (values - middle) / spread


def _medians(values: Floats, count: Ints) -> Floats:
    """Return the medians (m,) of the `count` values in each row (m, k) that are not NaN."""
    ordered = np.sort(values, axis=1)  # NaN come last
    at = np.arange(len(values))
    return np.asarray((ordered[at, (count - 1) // 2] + ordered[at, count // 2]) / 2)


def usable(measures: Measures, rules: Rules) -> Bools:
    """Return the fields (n,) of which enough was seen for a word on them."""
    return np.asarray((measures.unseen <= rules.hidden) & (measures.seen > 0))


def judge(measures: Measures, rules: Rules, beside: Sequence[Against], own: Against, vci: Floats) -> tuple[Objects, Floats]:
    """Return the class (n,) of each field and its score (n,).

    Args:
        measures: of the fields.
        rules: thresholds.
        beside: what its NDVI, NDREI and NDMI are against its neighbours.
        own: what its NDVI is against its earlier dates.
        vci: (n,) percent, NaN where the years on record are too few.
    """
    ndvi, ndmi, bsi, mndwi = (measures.mean(name) for name in ("ndvi", "ndmi", "bsi", "mndwi"))
    severity = np.nan_to_num(measures.severity)
    with np.errstate(invalid="ignore"):
        unusable = ~usable(measures, rules)
        red, edge, wet = beside
        low = (ndvi < rules.low) | _below(red, rules) | _below(own, rules)
        flooded = (ndvi < rules.bare) & (mndwi > rules.flooded)
        bare = np.where(np.isfinite(bsi), (ndvi < rules.bare) & (bsi > rules.bare_bsi), ndvi < rules.bare_alone)
        drought = (low & ((ndmi < rules.dry) | (_below(wet, rules) & ~(wet.apart > red.apart)))) | (vci < rules.vci)
        eaten = _eaten(measures, rules, red, own)
        stressed = low | _below(edge, rules) | (severity >= rules.severity)
    names = ["unusable", "field", "bare", "suspected_pest", "suspected_drought", "stressed"]
    holds = [unusable, ~np.isfinite(ndvi) | flooded, bare, eaten, drought, stressed]
    found = np.array(np.select(holds, names, "healthy"), dtype=object)
    return found, _scores(found, measures, rules, red, own, vci)


def _below(one: Against, rules: Rules) -> Bools:
    return (one.z < rules.z) & (one.apart <= -rules.drop)


def _eaten(measures: Measures, rules: Rules, beside: Against, own: Against) -> Bools:
    """Return the fields (n,) with enough patches like those of a pest, far below neighbours or the field's own past."""
    out = np.zeros(len(measures.seen), np.bool_)
    for number, found in measures.stress.items():
        patches = [one for one in found if rules.like_pest(one, measures.pixel[number])]
        count = sum(one.pixels for one in patches)
        if not count or 100 * count < rules.patch * measures.seen[number]:
            continue
        main = measures.names.index("ndvi")
        mean = sum(one.pixels * float(one.means[main]) for one in patches) / count
        z = [(mean - one.middle[number]) / one.spread[number] for one in (beside, own)]
        out[number] = any(value < rules.z for value in z)
    return out


def _scores(found: Objects, measures: Measures, rules: Rules, beside: Against, own: Against, vci: Floats) -> Floats:
    """Return how far (n,) each field is from being something else; see the docstring of the module."""
    ndvi, ndmi, bsi = (measures.mean(name) for name in ("ndvi", "ndmi", "bsi"))
    severity = measures.severity
    far = {
        "ndvi": np.abs(ndvi - rules.low) / SURE["ndvi"],
        "ndmi": np.abs(ndmi - rules.dry) / SURE["ndmi"],
        "bare": np.fmax((rules.bare - ndvi) / SURE["ndvi"], 0),
        "bsi": np.fmax((bsi - rules.bare_bsi) / SURE["bsi"], 0),
        "beside": np.abs(beside.z - rules.z) / SURE["z"],
        "own": np.abs(own.z - rules.z) / SURE["z"],
        "vci": np.abs(vci - rules.vci) / SURE["vci"],
        "severity": np.abs(severity - rules.severity) / SURE["severity"],
    }
    with np.errstate(invalid="ignore"):
        # Any one reason is enough for stress, so the clearest counts; to be healthy there must be none, so the nearest does.
        low = np.fmax(
            np.where(ndvi < rules.low, far["ndvi"], 0),
            np.fmax(np.where(_below(beside, rules), far["beside"], 0), np.where(_below(own, rules), far["own"], 0)),
        )
        dry = np.fmax(np.where(ndmi < rules.dry, far["ndmi"], 0), np.where(vci < rules.vci, far["vci"], 0))
        bad = np.where(severity >= rules.severity, far["severity"], 0)
        least = np.fmin(np.fmin(far["ndvi"], far["beside"]), np.fmin(np.fmin(far["own"], far["vci"]), far["severity"]))
        hidden = np.where(measures.seen == 0, np.inf, (measures.unseen - rules.hidden) / SURE["hidden"])
    distance = np.select(
        [found == name for name in ("unusable", "field", "bare", "suspected_drought", "suspected_pest", "stressed")],
        [
            np.nan_to_num(hidden, nan=np.inf, posinf=np.inf),
            np.zeros(len(found)),
            np.fmin(far["bare"], far["bsi"]),
            np.fmin(np.where(vci < rules.vci, np.inf, low), dry),
            np.fmax(low, bad),
            np.fmax(low, bad),
        ],
        least,
    )
    score = 1 - 0.5 * np.exp(-np.nan_to_num(np.maximum(distance, 0), posinf=np.inf))
    seen = np.clip(1 - np.nan_to_num(measures.unseen), 0, 1) * measures.seen / (measures.seen + 2.0)
    return np.asarray(np.where(found == "unusable", score, score * seen))
