"""Show a 2-D picture as a reader sees it: CR, DX, MG, US, XA, RF, and captures of screens.

The steps are those of PS3.4 N.2: Modality LUT, VOI LUT or window, photometric interpretation. Overlays are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from hyla.errors import BadItem
from hyla_healthcare import burned_in
from hyla_healthcare.facts import window
from hyla_healthcare.instance import Instance, Source, numbers, value
from hyla_healthcare.pixel_data import frame

Array = npt.NDArray[Any]

MAX_PIXELS = 200_000_000
STORAGE = "1.2.840.10008.5.1.4.1.1."
# SOP classes that often have text in their pixels: captures, ultrasound, angiography, fluoroscopy.
TEXT_CLASSES = tuple(f"{STORAGE}{tail}" for tail in ("7", "3.1", "6.1", "6.2", "12.1", "12.2", "77.1"))


def picture(
    instance: Instance, header: Dataset, index: int = 0, source: Source | None = None, max_pixels: int = MAX_PIXELS
) -> Array:
    """Return one frame as (H, W, 1) uint8 or uint16, or (H, W, 3) uint8 RGB: dark is dark, whatever the header calls it.

    Raises:
        BadItem: for a picture that is damaged, in unknown colours, or larger than `max_pixels`.
    """
    if instance.rows * instance.columns > max_pixels:
        raise BadItem(
            f"the picture has {instance.columns} x {instance.rows} pixels, more than max_pixels={max_pixels}",
            "raise max_pixels of the loader if the file is to be trusted",
        )
    if 0 in (instance.rows, instance.columns):
        raise BadItem("Rows or Columns is 0")
    raw = frame(instance, index, source)
    if instance.photometric == "PALETTE COLOR":
        return _palette(raw, header)
    if raw.ndim == 3:
        return _colours(instance, raw)
    if instance.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise BadItem("PhotometricInterpretation and SamplesPerPixel do not go together")
    return _grey(instance, raw, header)[:, :, None]


def spacing(header: Dataset) -> dict[str, Any]:
    """Return mm between rows and columns: in the patient where the header is calibrated, else at the detector (PS3.3 10.7)."""
    calibrated, detector = numbers(header, "PixelSpacing", 2), numbers(header, "ImagerPixelSpacing", 2)
    found: dict[str, Any] = {}
    if calibrated is not None and min(calibrated) > 0:
        found["pixel_spacing_mm"] = list(calibrated)
    if detector is not None and min(detector) > 0:
        found["detector_spacing_mm"] = list(detector)
    return found


def without_text(pixels: Array, instance: Instance, header: Dataset, ocr: str) -> tuple[Array, dict[str, Any]]:
    """Return pixels with the text blacked out that OCR finds in them, and the context that says so.

    Args:
        pixels: (H, W, C).
        instance: the object they are of.
        header: of it.
        ocr: `auto` looks where the header does not say NO, or the SOP class is one that often has text, if rapidocr is installed;
            `always` looks at every picture, and needs it; `never` looks at none.
    """
    said = str(value(header, "BurnedInAnnotation", str) or "").upper()
    doubtful = said != "NO" or instance.sop_class.startswith(TEXT_CLASSES)
    if ocr == "never" or (ocr == "auto" and not (doubtful and burned_in.available())):
        return pixels, {}
    boxes = burned_in.regions(pixels)
    if not boxes:
        return pixels, {"burned_in_text": "none found"}
    plural = "" if len(boxes) == 1 else "s"
    told = {
        "burned_in_text": f"{len(boxes)} region{plural} blacked out",
        "text_regions": [[int(v) for v in box] for box in boxes],
    }
    return burned_in.redact(pixels, boxes), told


def _grey(instance: Instance, raw: Array, header: Dataset) -> Array:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    try:
        values = apply_modality_lut(raw, header)
        table = value(header, "VOILUTSequence", list)
        if table:
            shown = apply_voi(values.astype(np.int64, copy=False), header).astype(np.float32)
            ends = (0.0, float(2 ** int(table[0].LUTDescriptor[2]) - 1))
        else:
            shown, ends = _windowed(values, raw, header)
    except Exception as error:  # tables of a damaged header may fail in any way: AttributeError, IndexError, struct.error...
        raise BadItem(f"the lookup tables or the window of the picture can't be used: {type(error).__name__}") from None
    top = 255 if instance.stored <= 8 else 65535
    low, high = ends
    scaled = (np.clip(shown, low, high) - low) * (top / max(high - low, 1e-9))
    if instance.photometric == "MONOCHROME1":
        scaled = top - scaled
    return np.asarray(np.rint(scaled), np.uint8 if top == 255 else np.uint16)


def _windowed(values: Array, raw: Array, header: Dataset) -> tuple[Array, tuple[float, float]]:
    """Return values and the ends of what is shown: by the window (PS3.3 C.11.2.1.2), else from the lowest to the highest."""
    shown = values.astype(np.float32)
    chosen = window(header)
    if chosen is None:
        padding = numbers(header, "PixelPaddingValue", 1)
        real = shown[raw != padding[0]] if padding is not None else shown
        real = real if real.size else shown
        return shown, (float(real.min()), float(real.max()))
    centre, width = chosen
    shape = str(value(header, "VOILUTFunction", str) or "LINEAR").upper()
    if shape == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (shown - centre) / width, -60, 60))), (0.0, 1.0)
    if shape == "LINEAR_EXACT":
        return shown, (centre - width / 2, centre + width / 2)
    return shown, (centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _palette(raw: Array, header: Dataset) -> Array:
    from pydicom.pixels.processing import apply_color_lut

    try:
        colours = apply_color_lut(raw, header)
    except Exception as error:  # as above
        raise BadItem(f"the colour table of the picture can't be used: {type(error).__name__}") from None
    return _eight(colours[:, :, :3], 8 * colours.dtype.itemsize)


def _colours(instance: Instance, raw: Array) -> Array:
    from pydicom.pixels.processing import convert_color_space

    if raw.shape[2] != 3:
        raise BadItem(f"the picture has {raw.shape[2]} samples per pixel: 1 or 3 are read")
    kind = instance.photometric
    if kind in ("YBR_FULL", "YBR_FULL_422"):
        return convert_color_space(_eight(raw, instance.stored), "YBR_FULL", "RGB")
    if kind not in ("RGB", "YBR_RCT", "YBR_ICT"):  # of the latter two JPEG 2000 makes RGB itself
        raise BadItem("the picture has colours of an unknown kind: PhotometricInterpretation")
    return _eight(raw, instance.stored)


def _eight(raw: Array, bits: int) -> Array:
    if bits <= 8:
        return np.ascontiguousarray(raw.astype(np.uint8))
    return np.ascontiguousarray((raw >> (bits - 8)).astype(np.uint8))
