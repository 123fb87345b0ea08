"""Read the barcodes of any photo with zxing-cpp, each as a label of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, did_you_mean
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Labels
from hyla_retail import gtin
from hyla_retail.pictures import bytes_of

SYMBOLOGIES = (
    "EAN-13",
    "EAN-8",
    "UPC-A",
    "UPC-E",
    "DataBar",
    "DataBar Expanded",
    "DataBar Limited",
    "ITF",
    "Code 128",
    "QR Code",
)
EAN = frozenset({"EAN-13", "EAN-8", "UPC-A", "UPC-E"})
SURE = 0.98  # of codes with a right check digit, the share that is right
STRIP, OVERLAP = 512, 96  # rows: zxing-cpp looks at fewer lines of a higher picture, and oversees low codes in it

Box = tuple[float, float, float, float]


class Code(NamedTuple):
    """Hold a barcode that was read.

    Args:
        text: its content; element strings of GS1 as (01)05449000000996(17)270131.
        symbology: as zxing-cpp names it: EAN-13, EAN-8, UPC-A, UPC-E, QR Code, ...
        gtin: the 14 digits that it names, or empty.
        box: x0, y0, x1, y1 in pixels; of a linear code, what was seen of its bars.
        wrong: True if its check digit is wrong; then nothing of it can be relied on.
    """

    text: str
    symbology: str
    gtin: str
    box: Box
    wrong: bool = False


class Reader:
    """Read the barcodes of pictures, each once, however often it is seen.

    Args:
        symbologies: that are looked for, by the names of zxing-cpp.

    Raises:
        ConfigError: for a symbology that zxing-cpp does not know, or none at all.
    """

    def __init__(self, symbologies: Sequence[str] = SYMBOLOGIES) -> None:
        import zxingcpp

        known = [str(one) for one in zxingcpp.barcode_formats_list()]
        for name in symbologies:
            if name not in known:
                raise ConfigError(f"zxing-cpp reads no symbology {name!r}", did_you_mean(name, known), known)
        if not symbologies:
            raise ConfigError("no symbology is left to read", f"choose some: {', '.join(SYMBOLOGIES)}")
        self._all = zxingcpp.barcode_formats_from_str(",".join(symbologies))
        few = ",".join(name for name in symbologies if name in EAN)
        self._few = zxingcpp.barcode_formats_from_str(few) if few else None

    def read(self, pixels: npt.NDArray[Any], boxes: Floats | None = None) -> list[Code]:
        """Return the codes of a picture, from top to bottom.

        Args:
            pixels: (H, W, C) of any type.
            boxes: (n, 4) places in pixels that are looked at by themselves as well.
        """
        grey = _grey(pixels)
        height = len(grey)
        found = self._codes(grey, self._all, 0, 0)
        if height > STRIP + OVERLAP and self._few is not None:
            for top in range(0, height - OVERLAP, STRIP - OVERLAP):
                found += self._codes(grey[top : top + STRIP], self._few, 0, top)
        for x0, y0, x1, y1 in [] if boxes is None else np.asarray(boxes, dtype=np.float64).clip(0).astype(int).tolist():
            part = grey[y0:y1, x0:x1]
            if min(part.shape) > 2 and part.shape != grey.shape:
                found += self._codes(part, self._all, x0, y0)
        return _once(found)

    def _codes(self, grey: npt.NDArray[np.uint8], formats: Any, left: int, top: int) -> list[Code]:
        import zxingcpp

        out = []
        for one in zxingcpp.read_barcodes(np.ascontiguousarray(grey), formats=formats, return_errors=True):
            symbology = str(one.format)
            wrong = one.error is not None and one.error.type == zxingcpp.ErrorType.Checksum
            if one.valid or (wrong and symbology in EAN):
                corners = [one.position.top_left, one.position.top_right, one.position.bottom_right, one.position.bottom_left]
                xs, ys = [corner.x for corner in corners], [corner.y for corner in corners]
                high, wide = grey.shape
                box = (min(xs), min(ys), max(max(xs), min(xs) + 1), max(max(ys), min(ys) + 1))
                x0, y0, x1, y1 = (min(max(v, 0), limit) for v, limit in zip(box, (wide - 1, high - 1, wide, high), strict=True))
                code = gtin_of(one.text, symbology) if one.valid else ""
                out.append(Code(one.text, symbology, code, (left + x0, top + y0, left + x1, top + y1), not one.valid))
        return out


class Codes(Model):
    """Label the barcodes of photos, whatever else is on these: class `barcode`, attributes `text`, `symbology` and `gtin`.

    The score is that of the check digit or error correction, which leaves few misread codes: 0.98 for EAN and UPC, 1 for others.

    Args:
        schema: with the class `barcode`.
        symbologies: that are looked for, by the names of zxing-cpp.

    Raises:
        ConfigError: for a symbology that is none, or a schema without the class.
    """

    partial = True

    def __init__(self, schema: Schema, symbologies: Sequence[str] = SYMBOLOGIES) -> None:
        self._class = schema.class_id("barcode")
        self._attributes = [name for name in ("text", "symbology", "gtin") if name in schema.attributes_of("label")]
        self._reader = Reader(tuple(symbologies))

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return a box around each code that was read; one whose check digit is wrong is left out."""
        return [self._one(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name, with the version of the library that reads."""
        return {"name": "barcodes", "zxing-cpp": library_version()}

    def _one(self, image: Image) -> Labels:
        codes = [code for code in self._reader.read(np.asarray(image.pixels)) if not code.wrong]
        values = {
            "text": [c.text for c in codes],
            "symbology": [c.symbology for c in codes],
            "gtin": [c.gtin or None for c in codes],
        }
        return Labels.of(
            [self._class] * len(codes),
            [code.box for code in codes],
            score=[SURE if code.symbology in EAN else 1.0 for code in codes],
            attributes={name: np.array(values[name], dtype=object) for name in self._attributes},
            evidence={"restricted_prefix": [float(gtin.restricted_prefix(c.gtin)) if c.gtin else np.nan for c in codes]},
        )


def library_version() -> str:
    """Return the version of zxing-cpp."""
    from importlib.metadata import version

    return version("zxing-cpp")


def gtin_of(text: str, symbology: str) -> str:
    """Return the 14 digits that a code's content names, or empty.

    Plain digits are a GTIN in a symbology that holds nothing else (EAN, UPC, and ITF of 14 digits); in others only an element
    string of GS1, (01) and 14 digits, or a GS1 Digital Link is.
    """
    plain = symbology in EAN or (symbology.startswith("ITF") and re.fullmatch(r"\d{14}", text))
    return gtin.normalise(text) if plain or "(01)" in text or re.search(r"https?://\S+/(?:01|gtin)/\d", text) else ""


def _grey(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return (H, W) brightness."""
    import cv2

    part = bytes_of(pixels)
    if part.shape[2] < 3:
        return np.ascontiguousarray(part[:, :, 0])
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(part[:, :, :3]), cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _once(codes: list[Code]) -> list[Code]:
    """Return each code once: its largest box; one that was misread only if nothing was read in its place; from top to bottom."""
    kept: list[Code] = []
    for code in sorted(codes, key=lambda c: (c.wrong, -_area(c.box), c.box, c.text)):
        if not any(_meet(code.box, other.box) and (code.wrong or code.text == other.text) for other in kept):
            kept.append(code)
    return sorted(kept, key=lambda c: (c.box[1], c.box[0], c.text))


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _meet(a: Sequence[float], b: Sequence[float]) -> bool:
    """Tell whether two boxes are of one code: bars that are seen in two places, above each other, are."""
    wide = min(a[2], b[2]) - max(a[0], b[0]) > 0.5 * min(a[2] - a[0], b[2] - b[0])
    near = max(a[1], b[1]) - min(a[3], b[3]) < 0.5 * max(a[2] - a[0], b[2] - b[0])
    return wide and near
