"""Measure fields as they are swept over: means of indices over what is clear, spread, what is hidden, and the zones in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats, Ints
from hyla_agriculture.footprints import UNKNOWN
from hyla_agriculture.history import Pixels
from hyla_agriculture.indices import Evaluator
from hyla_agriculture.patches import Patch, Wanted, centre_and_spread, patches
from hyla_agriculture.scene import CLEAR, CLOUD, MISSING, SATURATED, SHADOW, SNOW, Fields
from hyla_agriculture.sweep import Batch

LEAST_PIXELS = 4  # of a zone, however large pixels are
Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Thresholds:
    """Hold what makes pixels of a field a zone.

    Args:
        depth: robust standard deviations below the field's own median.
        floor: NDVI that the standard deviation is taken to be at least, since an even field has almost none.
        step: NDVI below the median, however even the field is.
        change: NDVI by which a pixel changed more, or less, than its field.
        least_ha: hectares of a zone.
        bare: NDVI of a field's median below which it has no stress zones, since little grows there.
    """

    depth: float = 2.5
    floor: float = 0.02
    step: float = 0.1
    change: float = 0.2
    least_ha: float = 0.05
    bare: float = 0.25


@dataclass
class Measures:
    """Hold what was measured of n fields, in the order of `Fields`.

    Args:
        names: of the indices.
        means: (indices, n) over the clear full pixels.
        inside: (n,) pixels whose centre lies in the field.
        full: (n,) pixels wholly in it after the inward buffer.
        seen: (n,) full pixels that are clear and have an NDVI (or, where the scene has none, the first index that it has).
        cloud, missing, saturated, snow: (n,) shares of the pixels inside; cloud with its shadow.
        edge, lost: (n,) see `Footprints`.
        middle, spread, least, most: (n,) of NDVI over those seen.
        pixel: (n, 2) metres.
        stress, changed: number of a field -> its zones.
        pixels: number of a field -> the NDVI of its full pixels, for the next date.
    """

    names: tuple[str, ...]
    means: Floats
    inside: Ints
    full: Ints
    seen: Ints
    cloud: Floats
    missing: Floats
    saturated: Floats
    snow: Floats
    edge: Floats
    lost: Floats
    middle: Floats
    spread: Floats
    least: Floats
    most: Floats
    pixel: Floats
    stress: dict[int, list[Patch]] = field(default_factory=dict)
    changed: dict[int, list[Patch]] = field(default_factory=dict)
    pixels: dict[int, Pixels] = field(default_factory=dict)

    @classmethod
    def empty(cls, names: tuple[str, ...], n: int) -> Measures:
        """Return measures of n fields of which nothing is known."""
        inside, full, seen = np.zeros((3, n), np.int64)
        cloud, missing, saturated, snow, edge, lost, middle, spread, least, most = np.full((10, n), np.nan)
        return cls(
            *(names, np.full((len(names), n), np.nan), inside, full, seen, cloud, missing, saturated, snow),
            *(edge, lost, middle, spread, least, most, np.full((n, 2), np.nan)),
        )

    def mean(self, name: str) -> Floats:
        """Return the means (n,) of an index; NaN where the scene does not allow it."""
        return self.means[self.names.index(name)] if name in self.names else np.full(len(self.seen), np.nan)

    @property
    def unseen(self) -> Floats:
        """Return the share (n,) of each field that is hidden, missing, saturated or under snow; NaN for one without pixels."""
        return np.asarray(self.cloud + self.missing + self.saturated + self.snow)

    @property
    def severity(self) -> Floats:
        """Return the share (n,) in percent of the clear full pixels that is in stress zones; NaN where none were seen."""
        bad = np.zeros(len(self.seen))
        for number, found in self.stress.items():
            bad[number] = sum(one.pixels for one in found)
        out: Floats = np.divide(100 * bad, self.seen, out=np.full(len(bad), np.nan), where=self.seen > 0)
        return out


def measure(
    batches: Iterable[Batch],
    fields: Fields,
    evaluator: Evaluator,
    limits: Thresholds,
    before: Mapping[str, Pixels] | None = None,
    keep: bool = False,
    hidden: float = 0.3,
) -> Measures:
    """Return the measures of all fields.

    Args:
        batches: of the sweep.
        fields: of the scene.
        evaluator: of the indices in the batches; zones are found by `ndvi`.
        limits: of zones.
        before: id of a field -> its pixels at the last clear date.
        keep: whether to keep pixels for the next date.
        hidden: share of a field above which it is not judged: neither zones nor pixels to keep.
    """
    names, known = evaluator.names, evaluator.known
    out = Measures.empty(names, len(fields))
    main = names.index("ndvi" if "ndvi" in known else known[0]) if known else None
    for batch in batches:
        seen = _sums(out, batch, main)
        if main is not None and "ndvi" in known:
            _zones(out, batch, seen, main, fields.ids, limits, before or {}, keep, hidden)
    return out


def _sums(out: Measures, batch: Batch, main: int | None) -> Ints:
    """Fill in counts, shares and means of a batch; return the positions (k,) of its clear full pixels."""
    numbers, starts = batch.numbers, batch.prints.starts
    inside = np.flatnonzero(batch.prints.inside)
    bounds = np.searchsorted(inside, starts)
    out.inside[numbers] = np.diff(bounds)
    out.full[numbers] = np.diff(np.searchsorted(np.flatnonzero(batch.prints.full), starts))
    out.edge[numbers], out.lost[numbers], out.pixel[numbers] = batch.prints.edge, batch.prints.lost, batch.pixel
    known = np.ones(batch.quality.shape, np.bool_) if main is None else np.isfinite(batch.values[main])
    codes = np.where(known, batch.quality, np.where(batch.quality == CLEAR, np.uint8(MISSING), batch.quality))
    ours = codes[inside]
    total = out.inside[numbers]
    shares = ((out.cloud, (CLOUD, SHADOW)), (out.missing, (MISSING,)), (out.saturated, (SATURATED,)), (out.snow, (SNOW,)))
    odd = bool((ours != CLEAR).any())
    for share, wanted in shares:
        counts = np.diff(np.searchsorted(np.flatnonzero(np.isin(ours, wanted)), bounds)) if odd else np.zeros(len(numbers))
        share[numbers] = np.divide(counts, total, out=np.full(len(numbers), np.nan), where=total > 0)
    seen = np.flatnonzero(batch.prints.full & (codes == CLEAR))
    cuts = np.searchsorted(seen, starts)
    out.seen[numbers] = counts = np.diff(cuts)
    some = counts > 0
    if some.any():
        for row, values in enumerate(batch.values):
            out.means[row, numbers[some]] = _means(values[seen].astype(np.float64), cuts[:-1][some])
    return seen


def _means(values: Floats, starts: Ints) -> Floats:
    """Return the mean of each run of values (k,), which begin at `starts` and none of which is empty, without NaN."""
    known = np.isfinite(values)
    if known.all():
        return np.asarray(np.add.reduceat(values, starts) / np.diff(np.append(starts, len(values))))
    count = np.add.reduceat(known.astype(np.int64), starts)
    total = np.add.reduceat(np.where(known, values, 0), starts)
    out: Floats = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
    return out


def _zones(
    out: Measures,
    batch: Batch,
    seen: Ints,
    main: int,
    ids: Sequence[str],
    limits: Thresholds,
    before: Mapping[str, Pixels],
    keep: bool,
    hidden: float,
) -> None:
    """Fill in what is told by single pixels of each field: spread, zones, what is kept of it."""
    ndvi = batch.values[main]
    ours = ndvi[seen]
    cuts = np.searchsorted(seen, batch.prints.starts)
    hides = (out.unseen > hidden).tolist()
    area = np.where(batch.pixel > 0, batch.pixel, UNKNOWN).prod(axis=1)
    leasts = np.maximum(LEAST_PIXELS, np.ceil(limits.least_ha * 1e4 / area - 1e-9)).astype(np.int64).tolist()
    tasks: list[tuple[list[Patch], Wanted]] = []
    for row, number in enumerate(batch.numbers.tolist()):
        values = ours[cuts[row] : cuts[row + 1]]
        if not len(values):
            continue
        values = np.sort(values)
        middle, spread = centre_and_spread(values)
        out.middle[number], out.spread[number] = middle, spread
        out.least[number], out.most[number] = values[0], values[-1]
        if hides[number]:
            continue
        place, past, least = batch.windows[row], before.get(ids[number]), leasts[row]
        limit = middle - max(limits.depth * max(spread, limits.floor), limits.step)
        low = middle >= limits.bare and least <= len(values) and bool(values[least - 1] < limit)
        if not (low or keep or past is not None):
            continue
        here = slice(int(batch.prints.starts[row]), int(batch.prints.starts[row + 1]))
        full = batch.prints.full[here].reshape(place.size)
        clear = np.zeros(full.size, np.bool_)
        clear[seen[cuts[row] : cuts[row + 1]] - here.start] = True
        clear = clear.reshape(place.size)
        now = ndvi[here].reshape(place.size)
        if keep:
            out.pixels[number] = Pixels.of(place.size, np.where(clear, now, np.float32(np.nan))[full])
        then = _then(past, full)
        if not low and then is None:
            continue
        one = Wanted(batch.of(row), now, clear, clear & (now < limit), least, middle, then)
        if low:
            tasks.append((out.stress.setdefault(number, []), one))
        if then is not None:
            found = out.changed.setdefault(number, [])
            tasks += [(found, one._replace(mask=mask)) for mask in _changes(one, limits.change)]
    for (found, _), more in zip(tasks, patches([one for _, one in tasks]), strict=True):
        found += more


def _then(past: Pixels | None, full: Bools) -> Values | None:
    """Return NDVI (h, w) of the last clear date, NaN where it is not known; None if there is none, or the outline changed."""
    if past is None or past.size != full.shape or len(past.ndvi) != np.count_nonzero(full):
        return None
    out = np.full(full.shape, np.nan, np.float32)
    out[full] = past.values()
    return out


def _changes(one: Wanted, limit: float) -> Iterator[Bools]:
    """Yield the mask (h, w) of the pixels that lost more NDVI than the field as a whole, and of those that gained more."""
    assert one.before is not None
    both = one.seen & np.isfinite(one.before)
    apart = np.where(both, one.ndvi - one.before, np.float32(np.nan))
    common, _ = centre_and_spread(np.sort(apart[both]))
    for mask in (apart - common < -limit, apart - common > limit):
        if np.count_nonzero(mask) >= one.least:
            yield mask
