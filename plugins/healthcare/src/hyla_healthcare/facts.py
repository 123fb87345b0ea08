"""Say what of a header may be told: a few facts from a list, numbers and words of fixed kinds, never free text.

Descriptions, comments, names, dates and identifiers of any kind stay behind; UIDs and patients go through the gate.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydicom import Dataset

from hyla_healthcare import elements
from hyla_healthcare.geometry import Volume
from hyla_healthcare.instance import Instance, value

if TYPE_CHECKING:
    from hyla_healthcare.deidentify import Gate

STANDARD = "1.2.840.10008."
ADULT = 18  # years
POSITIONS = frozenset(f"{way}{side}" for way in ("HF", "FF") for side in ("S", "P", "DR", "DL")) | {"LFP", "LFS", "RFP", "RFS"}
NO_AGENT = frozenset(("NO", "NONE", "N", "NON", "WITHOUT", "0"))
# Makers of scanners as they are written, so that whatever else stands in Manufacturer is not told.
MAKERS = (
    *("siemens", "ge", "philips", "canon", "toshiba", "hitachi", "fujifilm", "hologic", "shimadzu", "agfa", "carestream"),
    *("konica", "united imaging", "neusoft", "samsung", "mindray", "esaote", "kodak", "varian", "elekta", "bruker", "planmeca"),
    *("picker", "marconi", "elscint", "imatron", "accuray", "tomotherapy", "neurologica", "mediso", "aloka", "acuson", "hyla"),
)
WORDS = ("kernel", "scanner", "body_part", "modality")
# What model names and kernels are written with; no run of digits as long as the number of a patient or a device.
PLAIN = re.compile(r"^(?!.*\d{5})[A-Za-z0-9][A-Za-z0-9 ._+/-]{0,31}$")


def of_series(header: Dataset, instance: Instance, gate: Gate) -> dict[str, Any]:
    """Return the facts of an object that hold for its whole series, JSON-able and de-identified; unknown ones are absent."""
    found: dict[str, Any] = {
        "modality": _word(instance.modality),
        "series": gate.uid(instance.series),
        "study": gate.uid(instance.study),
        "patient": gate.patient(instance.patient),
        "sop_class": _standard(instance.sop_class),
        "transfer_syntax": _standard(instance.syntax),
        "kernel": _word(_text(header, "ConvolutionKernel")),
        "contrast": _contrast(header, instance),
        "kvp": _number(header, "KVP"),
        "manufacturer": maker(_text(header, "Manufacturer")),
        "scanner": _word(_text(header, "ManufacturerModelName")),
        "body_part": _word(_text(header, "BodyPartExamined").upper()),
        "laterality": _one_of(_text(header, "ImageLaterality") or _text(header, "Laterality"), ("L", "R")),
        "position": _one_of(_text(header, "PatientPosition"), POSITIONS),
        "burned_in": _one_of(_text(header, "BurnedInAnnotation").upper(), ("YES", "NO")),
        "child": child(header),
        "window": window(header),
    }
    known = {name: fact for name, fact in found.items() if fact not in (None, "")}
    for name in WORDS:
        if name in known and _is_identity(header, str(known[name])):
            del known[name]
    if instance.image_type:
        known["derived"] = instance.image_type[0] == "DERIVED"
        known["localizer"] = "LOCALIZER" in instance.image_type
    if instance.modality == "CT":
        known["unit"] = "HU"
    return known


def of_volume(volume: Volume, gate: Gate) -> dict[str, Any]:
    """Return the facts of a volume's geometry."""
    found: dict[str, Any] = {
        "slices": len(volume.slices),
        "spacing_mm": [round(mm, 6) for mm in volume.spacing],
        "uneven": round(volume.uneven, 6),
        "missing": volume.missing,
        "duplicates": volume.duplicates,
        "tilt_deg": round(volume.tilt, 3),
        "localizer": "LOCALIZER" in volume.slices[0].image_type,
    }
    if reference := gate.uid(volume.slices[0].reference):
        found["reference"] = reference
    return found


def context(meta: dict[str, Any]) -> dict[str, Any]:
    """Return what of an item's meta is told of the image as well: attributes of the image, and what the review page reads."""
    names = (
        *("modality", "manufacturer", "scanner", "kernel", "contrast", "child", "body_part", "laterality", "burned_in"),
        *("window", "localizer", "derived", "unit", "kvp"),
    )
    return {name: meta[name] for name in names if name in meta}


def child(header: Dataset) -> bool | None:
    """Return whether the patient was under 18 at the study, by PatientAge or by the dates of birth and study; None if unknown."""
    age = re.fullmatch(r"(\d{1,3})([DWMY])", _text(header, "PatientAge"))
    if age:
        return int(age[1]) < ADULT * {"D": 366, "W": 53, "M": 12, "Y": 1}[age[2]]
    born = _text(header, "PatientBirthDate")
    then = next(filter(None, (_text(header, name) for name in ("StudyDate", "SeriesDate", "AcquisitionDate"))), "")
    if not (re.fullmatch(r"\d{8}", born) and re.fullmatch(r"\d{8}", then)) or born > then:
        return None
    return int(then) - int(born) < ADULT * 10000


def window(header: Dataset) -> list[float] | None:
    """Return DICOM's own window, [centre, width], the first if there are several."""
    centre, width = _number(header, "WindowCenter"), _number(header, "WindowWidth")
    return None if centre is None or width is None or width < 1 else [centre, width]


def maker(text: str) -> str:
    """Return the maker of a scanner in plain words, if it is a known one."""
    words = f" {re.sub(r'[^a-z]+', ' ', text.lower())} "
    return next((name.title() if len(name) > 2 else name.upper() for name in MAKERS if f" {name} " in words), "")


def _contrast(header: Dataset, instance: Instance) -> str:
    """Return yes or no: PS3.3 C.7.6.4 asks for ContrastBolusAgent where an agent was given; an empty one says nothing."""
    agent = _text(header, "ContrastBolusAgent").upper()
    if agent or "ContrastBolusAgentSequence" in header:
        return "no" if agent in NO_AGENT else "yes"
    return "no" if instance.modality in ("CT", "MR") and "ContrastBolusAgent" not in header else ""


def _is_identity(header: Dataset, word: str) -> bool:
    """Tell whether somebody wrote the patient, another person or a place where it does not belong, or that can't be told."""
    try:
        names = elements.identities(header)
    except Exception:  # names are parsed when they are asked for, and may fail on damage in any way
        return True
    return names is not None and names.search(word.casefold()) is not None


def _text(header: Dataset, keyword: str) -> str:
    """Return a value as text; of several the first."""
    found = value(header, keyword, lambda v: v if isinstance(v, str) else (v[0] if isinstance(v, Sequence) and v else str(v)))
    return str(found or "").strip()


def _number(header: Dataset, keyword: str) -> float | None:
    try:
        return float(_text(header, keyword))
    except ValueError:
        return None


def _word(text: str) -> str:
    return text if PLAIN.match(text) else ""


def _standard(uid: str) -> str:
    return uid if uid.startswith(STANDARD) and re.fullmatch(r"[0-9.]{1,64}", uid) else ""


def _one_of(text: str, known: Sequence[str] | frozenset[str]) -> str:
    return text if text in known else ""
