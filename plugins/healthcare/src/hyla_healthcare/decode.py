"""Put a volume together in HU: every slice is decoded on a thread, straight into its place."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from pydicom import Dataset, uid

from hyla.errors import BadItem
from hyla_healthcare.geometry import Volume, volumes
from hyla_healthcare.instance import Instance, Source, quiet, read
from hyla_healthcare.pixel_data import Array, described, fragments, frame, read_into, value_of
from hyla_healthcare.slices import Slice
from hyla_healthcare.syntaxes import NATIVE, aligned, decoded

MAX_VOXELS = 2**30  # 1024 slices of 1024 x 1024: 2 GiB as 16-bit numbers


class _TooWideError(Exception):
    """Tell that a value does not fit into int16."""


def volume(sources: Sequence[Source], threads: int | None = None, max_voxels: int = MAX_VOXELS) -> tuple[Array, Volume]:
    """Return (D, H, W) in HU (or what the Modality LUT gives), and its geometry, of files or datasets that make one volume.

    Raises:
        BadItem: if they make none, or more than one, or can't be decoded.
    """
    quiet()
    objects = [Instance.of(s, number=n) if isinstance(s, Dataset) else read(s, n) for n, s in enumerate(sources, 1)]
    found = volumes(objects, same_pixels)
    if len(found) != 1:
        raise BadItem(f"the series holds {len(found)} volumes, not one")
    by_instance = {id(one): source for one, source in zip(objects, sources, strict=True)}
    return pixels(found[0], [by_instance[id(s.instance)] for s in found[0].slices], threads, max_voxels), found[0]


def pixels(
    of: Volume, sources: Sequence[Source] | None = None, threads: int | None = None, max_voxels: int = MAX_VOXELS
) -> Array:
    """Return the pixels of a volume (D, H, W): int16 where slope and intercept keep whole numbers that fit, else float32.

    Decoding needs little more memory than the result. `sources` gives where each slice is, if not where it was scanned.

    Raises:
        BadItem: for a slice that is cut off, damaged, changed since the scan, coded in an unknown way, or of another size; or a
            volume with more than `max_voxels`.
    """
    first = of.slices[0].instance
    shape = (len(of.slices), first.rows, first.columns)
    if 0 in shape:
        raise BadItem("Rows or Columns is 0")
    if np.prod(shape, dtype=object) > max_voxels:
        raise BadItem(
            f"the volume has {' x '.join(map(str, shape))} voxels, more than max_voxels={max_voxels}",
            "raise max_voxels of the loader if the files are to be trusted",
        )
    whole = all(float(s.slope).is_integer() and float(s.intercept).is_integer() and s.instance.allocated <= 16 for s in of.slices)
    where = [s.instance.source for s in of.slices] if sources is None else sources
    if whole:
        try:
            return _fill(np.empty(shape, np.int16), of.slices, where, threads)
        except _TooWideError:
            pass
    return _fill(np.empty(shape, np.float32), of.slices, where, threads)


def same_pixels(one: Slice, other: Slice) -> bool:
    """Tell whether two slices are stored with the same bytes and the same rescaling; False where the pixels are not at hand."""
    a, b = one.instance, other.instance
    if (a.syntax, a.length, a.rows, a.columns, one.slope, one.intercept) != (
        b.syntax, b.length, b.rows, b.columns, other.slope, other.intercept,
    ):  # fmt: skip
        return False
    if a.frames > 1 or b.frames > 1 or not (a.at_hand and b.at_hand):
        return False
    with value_of(a, a.source) as (left, length), value_of(b, b.source) as (right, _):
        size = -1 if length == 0xFFFFFFFF else length
        return left.read(size) == right.read(size)


def _fill(out: Array, slices: Sequence[Slice], sources: Sequence[Source], threads: int | None) -> Array:
    quiet()
    workers = threads or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[None]] = deque()
        try:
            for job in _jobs(out, slices, sources):
                waiting.append(pool.submit(job))
                if len(waiting) > 2 * workers:
                    waiting.popleft().result()
            while waiting:
                waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
    return out


def _jobs(out: Array, slices: Sequence[Slice], sources: Sequence[Source]) -> Iterator[Callable[[], None]]:
    """Yield one job per slice; the frames of a compressed multi-frame object are cut out of its file in turn, once."""
    encoded: dict[int, list[tuple[int, Slice]]] = {}
    for z, (one, source) in enumerate(zip(slices, sources, strict=True)):
        if one.instance.frames > 1 and described(one.instance, source).syntax not in NATIVE:
            encoded.setdefault(id(source), []).append((z, one))
        else:
            yield partial(_place, out[z], one, source)
    by_id = {id(source): source for source in sources}
    for key, wanted in encoded.items():
        instance = described(wanted[0][1].instance, by_id[key])
        at = {one.frame: (z, one) for z, one in wanted}
        with value_of(instance, by_id[key]) as (stream, _):
            for index, data in enumerate(fragments(instance, stream)):
                if index in at:
                    z, one = at[index]
                    yield partial(_decode, out[z], instance, data, one)


def _decode(into: Array, instance: Instance, data: bytes, one: Slice) -> None:
    _rescale(into, _checked(instance, decoded(instance, data)), one)


def _place(into: Array, one: Slice, source: Source) -> None:
    instance = described(one.instance, source)
    if (instance.rows, instance.columns, instance.samples) != (*into.shape, 1):
        raise BadItem(f"file {instance.number} is of another size than the rest of the volume")
    if instance.syntax in NATIVE and instance.allocated == 16 and into.dtype == np.int16:
        with value_of(instance, source) as (stream, length):  # no copy: from the file into its place
            raw = into.view(np.uint16)
            read_into(instance, stream, length, one.frame, raw)
            if (instance.syntax == uid.ExplicitVRBigEndian) != (sys.byteorder == "big"):
                raw.byteswap(inplace=True)
            _rescale(into, aligned(instance, raw), one)
        return
    _rescale(into, _checked(instance, frame(instance, one.frame, source)), one)


def _rescale(into: Array, raw: Array, one: Slice) -> None:
    """Write slope * raw + intercept into a slice, which may share its memory with `raw`."""
    if into.dtype != np.int16:
        np.add(np.multiply(raw, one.slope, dtype=np.float64) if raw.itemsize > 2 else raw * np.float32(one.slope),
               one.intercept, out=into, casting="unsafe")  # fmt: skip
        return
    slope, intercept = int(one.slope), int(one.intercept)
    ends = [int(raw.min()) * slope + intercept, int(raw.max()) * slope + intercept]
    if min(ends) < -32768 or max(ends) > 32767:
        raise _TooWideError
    if slope != 1 or raw.itemsize == 1 or abs(intercept) > 32767:
        into[...] = raw.astype(np.int32) * slope + intercept
    else:  # 16 bits wrap around, and what results fits, so that the sum is right
        np.add(raw.view(np.int16), np.int16(intercept), out=into)


def _checked(instance: Instance, raw: Array) -> Array:
    if raw.shape != (instance.rows, instance.columns):
        raise BadItem(f"file {instance.number} decodes to another size than its header says")
    return raw
