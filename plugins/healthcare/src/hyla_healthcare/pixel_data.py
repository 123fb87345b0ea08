"""Reach the stored values of one frame: in a file or a dataset, plain, deflated, or cut into fragments."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, uid
from pydicom.encaps import generate_frames, get_frame
from pydicom.pixels.utils import expand_ybr422

from hyla.errors import BadItem
from hyla_healthcare.instance import HEADER_LIMIT, UNDEFINED, Instance, Source, inflated
from hyla_healthcare.syntaxes import AGAIN, NATIVE, aligned, decoded

Array = npt.NDArray[Any]


def frame(instance: Instance, index: int = 0, source: Source | None = None) -> Array:
    """Return the stored values of one frame, (H, W) or (H, W, C), with the sign of the header and none but the stored bits.

    Raises:
        BadItem: as `pixels` does.
    """
    source = instance.source if source is None else source
    about = described(instance, source)
    with value_of(about, source) as (stream, length):
        if about.syntax in NATIVE:
            return _native(about, stream, length, index)
        return decoded(about, fragment(about, stream, index))


@contextmanager
def value_of(instance: Instance, source: Source) -> Iterator[tuple[BinaryIO, int]]:
    """Give a stream that stands at the value of Pixel Data, and its length (0xFFFFFFFF if it is in fragments).

    Raises:
        BadItem: if the file is gone, or not the one that was scanned.
    """
    if isinstance(source, Dataset):
        value = source.get("PixelData")
        if not isinstance(value, (bytes, bytearray)):
            raise BadItem(f"object {instance.number} has no pixels")
        yield BytesIO(value), len(value) if instance.syntax in NATIVE else UNDEFINED
        return
    try:
        stream = source.open("rb")
    except OSError as error:
        raise BadItem(f"file {instance.number} can't be read: {error.strerror}", "was it moved since the scan?") from None
    with stream:
        info = os.fstat(stream.fileno())
        if (info.st_size, info.st_mtime_ns) != instance.stamp:
            raise BadItem(f"file {instance.number} changed since it was scanned", "run again")
        opened: BinaryIO = stream
        if instance.syntax == uid.DeflatedExplicitVRLittleEndian:
            try:
                opened = inflated(stream, instance.offset + _size(instance) * instance.frames + HEADER_LIMIT)[0]
            except (zlib.error, struct.error):
                raise BadItem(f"file {instance.number} is damaged: it can't be inflated", AGAIN) from None
        opened.seek(instance.offset)
        yield opened, instance.length


def fragments(instance: Instance, stream: BinaryIO) -> Iterator[bytes]:
    """Yield the encoded frames of a stream that stands at the value; raise BadItem where they end too early."""
    count = 0
    try:
        for data in generate_frames(stream, number_of_frames=instance.frames):
            count += 1
            yield data
    except Exception as error:  # pydicom's parser may fail on damage in any way
        raise BadItem(f"file {instance.number} is damaged after frame {count}: {type(error).__name__}", AGAIN) from None
    if count < instance.frames:
        raise BadItem(f"file {instance.number} holds {count} of {instance.frames} frames", AGAIN)


def fragment(instance: Instance, stream: BinaryIO, index: int) -> bytes:
    """Return one encoded frame of a stream that stands at the value."""
    try:
        return get_frame(stream, index, number_of_frames=instance.frames)
    except Exception as error:  # pydicom's parser may fail on damage in any way
        raise BadItem(f"file {instance.number}, frame {index + 1} is damaged: {type(error).__name__}", AGAIN) from None


def read_into(instance: Instance, stream: BinaryIO, length: int, index: int, into: Array) -> None:
    """Fill a contiguous array with the bytes of one uncompressed frame; raise BadItem if they end before."""
    size = into.nbytes
    _enough(instance, length, (index + 1) * size)
    stream.seek(index * size, 1)
    got = stream.readinto(into.reshape(-1).view(np.uint8).data)  # type: ignore[attr-defined]
    if got != size:
        raise BadItem(f"file {instance.number} is cut off: {got} of the {size} bytes of frame {index + 1} are there", AGAIN)


def described(instance: Instance, source: Source) -> Instance:
    """Return what says how pixels are coded: for a fetched dataset, itself."""
    if isinstance(source, Dataset) and source is not instance.source:
        return Instance.of(source, number=instance.number)
    return instance


def _native(instance: Instance, stream: BinaryIO, length: int, index: int) -> Array:
    if instance.allocated not in (8, 16, 32):
        raise BadItem(f"file {instance.number}: pixels of {instance.allocated} bits are not read")
    _enough(instance, length, (index + 1) * _size(instance))
    order = ">" if instance.syntax == uid.ExplicitVRBigEndian else "<"
    raw = np.empty(_size(instance) * 8 // instance.allocated, f"{order}u{instance.allocated // 8}")
    read_into(instance, stream, length, index, raw)
    if not raw.dtype.isnative:
        raw = raw.byteswap().view(raw.dtype.newbyteorder("="))
    if instance.photometric == "YBR_FULL_422":
        raw = np.frombuffer(expand_ybr422(raw.tobytes(), instance.allocated), raw.dtype).copy()
    shape = (instance.rows, instance.columns)
    if instance.samples == 1:
        return aligned(instance, raw.reshape(shape))
    if instance.planar == 1:
        return aligned(instance, np.ascontiguousarray(raw.reshape(instance.samples, *shape).transpose(1, 2, 0)))
    return aligned(instance, raw.reshape(*shape, instance.samples))


def _enough(instance: Instance, length: int, needed: int) -> None:
    if length == UNDEFINED:
        raise BadItem(f"file {instance.number} says that its pixels are uncompressed, and keeps them in fragments", AGAIN)
    if length < needed:
        raise BadItem(f"file {instance.number} holds {length} bytes of pixels, at least {needed} are needed", AGAIN)


def _size(instance: Instance) -> int:
    """Return how many bytes an uncompressed frame takes."""
    size = instance.rows * instance.columns * instance.samples * instance.allocated // 8
    return size * 2 // 3 if instance.photometric == "YBR_FULL_422" else size
