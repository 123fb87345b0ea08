"""Read values of a header without trust, and make new elements of them: nothing but ASCII, nothing that is not of its VR."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.values import convert_value

DUMMY = "ANONYMIZED"  # the dummy text of dicom-anonymizer
DUMMIES = {
    "AS": "000Y",
    "DA": "00010101",
    "DT": "00010101000000",
    "TM": "000000",
    "DS": "0",
    "IS": "0",
    "UR": "http://anonymized.invalid",
}
UNDEFINED = 0xFFFFFFFF  # the length of encapsulated pixel data
WIDTH = {
    "US": 2,
    "SS": 2,
    "OW": 2,
    "AT": 4,
    "UL": 4,
    "SL": 4,
    "FL": 4,
    "OF": 4,
    "OL": 4,
    "FD": 8,
    "OD": 8,
    "OV": 8,
    "SV": 8,
    "UV": 8,
}
PIXELS = frozenset(tag_for_keyword(k) for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))
BYTES_KEPT = PIXELS | {
    tag_for_keyword(keyword)
    for keyword in (
        "LUTData",
        "WaveformData",
        "RedPaletteColorLookupTableData",
        "GreenPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "AlphaPaletteColorLookupTableData",
        "SegmentedRedPaletteColorLookupTableData",
        "SegmentedGreenPaletteColorLookupTableData",
        "SegmentedBluePaletteColorLookupTableData",
    )
}


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as text, and an empty text if it has none or can't be read."""
    try:
        value = dataset.get(keyword)
        value = value[0] if isinstance(value, list | MultiValue) and value else value
        return "" if value is None else str(value).strip("\0 ")
    except Exception:  # a decoder's boundary, as above
        return ""


def shifted(value: str, days: int) -> str:
    """Return a date (DA) or date and time (DT) moved by whole days, as exact as it was; raise ValueError for anything else."""
    if not value:
        return value
    match = re.fullmatch(r"(\d{4})[.]?(\d{2})?[.]?(\d{2})?(\d{0,6}(?:\.\d{1,6})?)((?:[+-]\d{4})?)", value)
    if match is None:
        raise ValueError("not a date")
    year, month, day, rest, _zone = match.groups()
    moved = date(int(year), int(month or 1), int(day or 1)) + timedelta(days=days)
    return f"{moved:%Y%m%d}".zfill(8)[: 4 + 2 * (month is not None) + 2 * (day is not None)] + rest


def time_of_day(value: str) -> str:
    """Return a time (TM) as it is; raise ValueError for anything else."""
    if not re.fullmatch(r"[\d:]{0,8}(\.\d{1,6})?", value):
        raise ValueError("not a time of day")
    return value


def class_uid(value: str) -> str:
    """Return a UID as it is; raise ValueError for anything else."""
    if not re.fullmatch(r"[0-9.]{0,64}", value):
        raise ValueError("not a UID")
    return value


def texts(element: DataElement | RawDataElement) -> list[str] | None:
    """Return the values of an element as texts; None where it is no text. Bytes that are no ASCII become U+FFFD."""
    value: Any = element.value
    if value is None:
        return []
    if isinstance(value, bytes):
        return [one.strip("\0 ") for one in value.decode("ascii", "replace").split("\\")] if value else []
    if isinstance(value, Sequence | Dataset):
        return None
    values = value if isinstance(value, list | MultiValue) else [value]
    return [str(one).strip("\0 ") for one in values]


def binary(dataset: Dataset, tag: BaseTag, vr: str, emptied: bool) -> DataElement | None:
    """Return an element of numbers or of allowed bytes, whose value is the same; None for any other."""
    element = dataset.get_item(tag)
    stated = element.VR
    if " or " in vr:  # the standard leaves a choice, by the pixel representation or the transfer syntax
        vr = stated if stated in vr.split(" or ") else vr
    elif stated not in (None, vr, "UN"):
        return None
    if emptied:
        return made(tag, vr, None)
    if tag not in BYTES_KEPT and (vr in ("OB", "UN", "OB or OW") or (vr == "OW")):
        return None
    value: Any = element.value
    if isinstance(value, bytes) and (tag not in BYTES_KEPT or not vr.startswith("O")):
        width = WIDTH.get(vr.split(" or ")[0], 1)
        if len(value) % width:
            return None
        if isinstance(element, RawDataElement):
            value = convert_value(vr, element._replace(VR=vr))
        elif " or " not in vr:
            return None
    out = made(tag, vr, value)
    out.is_undefined_length = element.length == UNDEFINED if isinstance(element, RawDataElement) else element.is_undefined_length
    return out


def dummy(vr: str, action: str) -> str | None:
    """Return the dummy value of a VR for an action with D, and nothing for one that empties."""
    return DUMMIES.get(vr, DUMMY) if "D" in action else None


def decade(age: str) -> str:
    """Return an age such as 037Y as its decade, 030Y; all from 90 years on are 090Y, and children under a year 000Y."""
    match = re.fullmatch(r"(\d{3})([DWMY])", age)
    if match is None:
        raise ValueError("not an age")
    years = int(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1}[match[2]]
    return f"{min(int(years) // 10 * 10, 90):03}Y"


def made(tag: BaseTag, vr: str, value: Any) -> DataElement:
    """Return a new element that nothing checks or warns about; an empty list is an empty value."""
    if isinstance(value, list) and len(value) < 2:
        value = value[0] if value else None
    value = empty_value_for_VR(vr) if value is None else value
    return DataElement(tag, vr, value, validation_mode=config.IGNORE)
