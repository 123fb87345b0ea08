"""Decode one frame of each compressed Transfer Syntax with the fastest permissive decoder.

JPEG-LS goes to CharLS (pyjpegls), JPEG 2000 and HTJ2K to OpenJPEG, RLE to pylibjpeg-rle, JPEG baseline to Pillow, JPEG
lossless and JPEG with 12 bits to GDCM. OpenJPEG (for large frames) and GDCM run in processes of their own: see gdcm_process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.encaps import encapsulate

from hyla.errors import BadItem
from hyla_healthcare import gdcm_process
from hyla_healthcare.instance import Instance

Array = npt.NDArray[Any]
NATIVE = frozenset(
    (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian)
)
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
LARGE = 1 << 16  # pixels of a frame from which another process is worth its while
AGAIN = "copy it again from where it came"
# ISO 10918-1 table B.1 and ISO 14495-1: the markers that give the size of a picture.
SIZES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7))


def decoded(instance: Instance, data: bytes) -> Array:
    """Return the stored values of an encoded frame: (H, W), or (H, W, C) for colours.

    The size that the data themselves declare is compared with the header before anything is decoded.

    Raises:
        BadItem: for a Transfer Syntax that nothing here decodes, and data that are damaged or of another size.
    """
    decode = DECODERS.get(instance.syntax)
    if decode is None:
        raise BadItem(f"file {instance.number} is coded in a way that is not read: {_name(instance.syntax)}", "convert it first")
    try:
        return decode(instance, data)
    except BadItem:
        raise
    except Exception as error:  # a decoder may fail on damage anywhere: ValueError, RuntimeError, struct.error, MemoryError...
        name = type(error).__name__
        raise BadItem(f"a frame of file {instance.number} ({_name(instance.syntax)}) can't be decoded: {name}", AGAIN) from None


def aligned(instance: Instance, raw: Array, bits: int = 0) -> Array:
    """Return unsigned `raw`, changed in place, with only the stored bits, as signed numbers if the header says so.

    `bits` is the precision that compressed data declare, which counts more than the header.
    """
    width = raw.itemsize * 8
    kept = min(bits or instance.stored or width, width)
    above = width - kept if bits or not kept <= instance.high_bit + 1 <= width else width - 1 - instance.high_bit
    values = raw.view(f"{'i' if instance.signed else 'u'}{raw.itemsize}")
    if kept < width:
        np.left_shift(values, above, out=values)
        np.right_shift(values, width - kept, out=values)
    return values


def _jpeg_ls(instance: Instance, data: bytes) -> Array:
    import jpeg_ls  # type: ignore[import-untyped]

    bits = _declared(instance, data)
    plain, _ = jpeg_ls.decode_pixel_data(data)
    raw = np.frombuffer(plain, np.uint8 if bits <= 8 else np.uint16)
    return aligned(instance, _shaped(instance, raw), bits)


def _jpeg_2000(instance: Instance, data: bytes) -> Array:
    from openjpeg.utils import decode_pixel_data, get_parameters

    about = get_parameters(data)
    _same_size(instance, int(about["rows"]), int(about["columns"]), int(about["samples_per_pixel"]))
    bits = int(about["precision"])
    if instance.rows * instance.columns < LARGE:
        plain = decode_pixel_data(data, version=2)
    else:  # it holds the interpreter's lock: in processes of their own frames are decoded side by side
        plain = bytearray(gdcm_process.decode({"decoder": "openjpeg"}, data))
    raw = np.frombuffer(plain, f"u{1 if bits <= 8 else 2 if bits <= 16 else 4}")
    return aligned(instance, _shaped(instance, raw), bits)


def _rle(instance: Instance, data: bytes) -> Array:
    from rle.rle import decode_frame  # type: ignore[import-not-found]

    try:
        plain = decode_frame(data, instance.rows * instance.columns, instance.allocated, "<")
    except BaseException as error:  # Rust panics on some damage, which is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise BadItem(f"a frame of file {instance.number} (RLE Lossless) is damaged", AGAIN) from None
    raw = np.frombuffer(plain, f"<u{instance.allocated // 8}")
    if instance.samples > 1:  # one plane after the other (PS3.5 G.2)
        planes = raw.reshape(instance.samples, instance.rows, instance.columns)
        return aligned(instance, np.ascontiguousarray(planes.transpose(1, 2, 0)))
    return aligned(instance, _shaped(instance, raw))


def _deflated(instance: Instance, data: bytes) -> Array:
    size = instance.rows * instance.columns * instance.samples * instance.allocated // 8
    plain = bytearray(zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, size))
    return aligned(instance, _shaped(instance, np.frombuffer(plain, f"<u{instance.allocated // 8}")))


def _jpeg(instance: Instance, data: bytes) -> Array:
    """Decode JPEG baseline and extended: of 8 bits with Pillow, of 12 with GDCM."""
    return _gdcm(instance, data) if _declared(instance, data) > 8 else _pillow(instance, data)


def _jpeg_lossless(instance: Instance, data: bytes) -> Array:
    _declared(instance, data)
    return _gdcm(instance, data)


def _gdcm(instance: Instance, data: bytes) -> Array:
    if b"\xff\xd9" not in data[-16:]:  # the end of the image, before padding; GDCM does not say that it failed
        raise BadItem(f"a frame of file {instance.number} is cut off", AGAIN)
    names = ("rows", "columns", "samples", "allocated", "stored", "signed", "syntax", "photometric")
    plain = gdcm_process.decode({name: getattr(instance, name) for name in names}, data)
    raw = np.frombuffer(bytearray(plain), f"<u{instance.allocated // 8}")
    return aligned(instance, _shaped(instance, raw))


def _pillow(instance: Instance, data: bytes) -> Array:
    from pydicom.pixels.decoders.base import get_decoder

    options: dict[str, Any] = {
        "rows": instance.rows,
        "columns": instance.columns,
        "samples_per_pixel": instance.samples,
        "bits_allocated": instance.allocated,
        "bits_stored": instance.stored,
        "pixel_representation": int(instance.signed),
        "photometric_interpretation": instance.photometric,
        "planar_configuration": 0,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    decoder = get_decoder(uid.JPEGBaseline8Bit)
    raw, _ = decoder.as_array(encapsulate([data]), index=0, raw=True, decoding_plugin="pillow", **options)
    return np.array(raw)


DECODERS: dict[str, Callable[[Instance, bytes], Array]] = {
    **dict.fromkeys(uid.JPEGLSTransferSyntaxes, _jpeg_ls),
    **dict.fromkeys((uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K), _jpeg_2000),
    **dict.fromkeys((uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit), _jpeg),
    **dict.fromkeys((uid.JPEGLossless, uid.JPEGLosslessSV1), _jpeg_lossless),
    uid.RLELossless: _rle,
    DEFLATED_FRAME: _deflated,
}


def _declared(instance: Instance, data: bytes) -> int:
    """Return the bits per sample that JPEG or JPEG-LS data declare, once their size is that of the header."""
    at = 2
    while at + 9 < len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in SIZES:
            rows, columns = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            _same_size(instance, rows, columns, data[at + 9])
            return data[at + 4]
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise BadItem(f"a frame of file {instance.number} is no JPEG", AGAIN)


def _same_size(instance: Instance, rows: int, columns: int, samples: int) -> None:
    if (rows, columns, samples) != (instance.rows, instance.columns, instance.samples):
        raise BadItem(
            f"file {instance.number} holds a frame of {rows} x {columns} x {samples}, "
            f"its header says {instance.rows} x {instance.columns} x {instance.samples}"
        )


def _shaped(instance: Instance, raw: Array) -> Array:
    shape = (instance.rows, instance.columns) + ((instance.samples,) if instance.samples > 1 else ())
    return np.require(raw.reshape(shape), requirements="W")


def _name(syntax: str) -> str:
    """Return the name of a Transfer Syntax of the standard; nothing else of a header may be told."""
    name = uid.UID(syntax).name  # the UID itself where it is not known
    return "an unknown Transfer Syntax" if name == syntax else name
