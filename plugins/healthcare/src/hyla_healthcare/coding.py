"""What a segment is, in codes: from classes of the schema to SNOMED CT and back (PS3.3 C.8.20.4, PS3.16 CID 7150 and 244)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hyla.schema import Class, Schema

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

OWN = "99HYLA"  # scheme for a class without a code: its name
CATEGORIES = {  # CID 7150
    "91723000": "Anatomical Structure",
    "91720002": "Body Substance",
    "49755003": "Morphologically Abnormal Structure",
    "260787004": "Physical object",
    "309825002": "Spatial and Relational Concept",
    "85756007": "Tissue",
}
SIDES = {"7771000": "left", "24028007": "right", "51440002": "bilateral"}  # CID 244
SIDE_CODES = {word: code for code, word in SIDES.items()}


@dataclass(frozen=True)
class Meaning:
    """Hold the codes of a segment.

    Args:
        category: what sort of thing it is.
        what: the thing.
        side: laterality of the thing, or of the region for one that has a region; None for neither or unknown.
        region: the organ in which it lies.
    """

    category: Code
    what: Code
    side: Code | None = None
    region: Code | None = None


def meaning(schema: Schema, class_id: int, side: str | None = None) -> Meaning:
    """Return the codes of a class; `side`, left or right of the patient, counts where the class itself has none."""
    from pydicom.sr.coding import Code

    one = schema.classes[class_id]
    codes = one.codes
    category = codes.get("snomed_category", "91723000")
    if "snomed" in codes:
        what = Code(codes["snomed"], "SCT", codes.get("snomed_meaning", _words(one.name)))
    else:
        what = Code(one.name, OWN, _words(one.name))
    modifier = codes.get("snomed_modifier") or SIDE_CODES.get(side or "")
    region = codes.get("snomed_region")
    return Meaning(
        Code(category, "SCT", CATEGORIES.get(category, "Category")),
        what,
        Code(modifier, "SCT", SIDES.get(modifier, "modifier").capitalize()) if modifier else None,
        Code(region, "SCT", _named(schema, region)) if region else None,
    )


def class_of(schema: Schema, segment: Dataset) -> tuple[int, str] | None:
    """Return (class id, side or "") of an item of a Segment Sequence, or None if the schema has no such class.

    The most precise class with its codes wins: by type, laterality and region, where a class says so. The category is not
    compared, since writers differ in it. Of several classes, and for codes that the schema lacks, the words decide: the name of
    a class as the label, with a number or without, or as the meaning of the code. SNOMED RT codes of old writers count as
    SNOMED CT (PS3.16 Annex O).
    """
    types = segment.get("SegmentedPropertyTypeCodeSequence") or []
    what = _code(types[0]) if types else None
    regions = segment.get("AnatomicRegionSequence") or []
    sides = [
        *(types[0].get("SegmentedPropertyTypeModifierCodeSequence") or [] if types else []),
        *(one for region in regions for one in region.get("AnatomicRegionModifierSequence") or []),
    ]
    side = next((code for code in SIDES for one in sides if _same(_code(one), code)), "")
    name = str(segment.get("SegmentLabel", "")).strip()
    named = {one.casefold() for one in (name, name.rpartition(" ")[0], what.meaning if what else "") if one}
    fits = [one for one in schema.classes if not one.abstract and what is not None and _fits(one, what, side, regions)]
    precise = max((_precision(one) for one in fits), default=0)
    fits = [one for one in fits if _precision(one) == precise]
    if len(fits) != 1:
        among = fits or [one for one in schema.classes if not one.abstract]
        fits = [one for one in among if one.name.casefold() in named or _words(one.name).casefold() in named][:1]
    return (schema.ids[fits[0].name], SIDES.get(side, "")) if fits else None


def _fits(one: Class, what: Code, side: str, regions: Sequence[Dataset]) -> bool:
    from pydicom.sr.coding import Code

    codes = one.codes
    if "snomed" not in codes:
        return bool(what == Code(one.name, OWN, ""))
    return (
        _same(what, codes["snomed"])
        and codes.get("snomed_modifier", side) == side
        and ("snomed_region" not in codes or any(_same(_code(r), codes["snomed_region"]) for r in regions))
    )


def _precision(one: Class) -> int:
    return ("snomed_modifier" in one.codes) + ("snomed_region" in one.codes)


def _code(dataset: Dataset) -> Code:
    from pydicom.sr.coding import Code

    value: Any = dataset.get("CodeValue") or dataset.get("LongCodeValue") or dataset.get("URNCodeValue") or ""
    return Code(str(value), str(dataset.get("CodingSchemeDesignator", "")), str(dataset.get("CodeMeaning", "")))


def _same(one: Code, snomed: str) -> bool:
    from pydicom.sr.coding import Code

    return bool(one == Code(snomed, "SCT", ""))  # pydicom maps SNOMED RT to SNOMED CT


def _named(schema: Schema, code: str) -> str:
    for one in schema.classes:
        if one.codes.get("snomed") == code:
            return one.codes.get("snomed_meaning", _words(one.name))
    return "Region"


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
