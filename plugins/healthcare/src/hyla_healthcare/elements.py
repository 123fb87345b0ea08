"""Clean the elements of one data set, at every depth: what `Gate.clean` is made of.

Each element is kept, emptied, replaced or left out by the action that the table names for it. Elements that the table does not
name are kept only if they hold numbers, UIDs, codes or short technical text, and only if their value is just that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRBigEndian

from hyla_healthcare.header_values import (
    DUMMY,
    PIXELS,
    binary,
    class_uid,
    decade,
    dummy,
    made,
    shifted,
    text_of,
    texts,
    time_of_day,
)

DEPTH = 12  # of sequences within sequences; what lies deeper is left out
SHORTEST = 4  # letters or digits of an identity that is searched for in other elements
FREE_TEXT = frozenset({"LT", "ST", "UT", "UC", "UR", "PN", "AE"})  # any length, or names of people and machines
TEXT = FREE_TEXT | {"CS", "LO", "SH", "AS", "DA", "DT", "TM", "DS", "IS", "UI"}
TIMES = frozenset({"DA", "DT", "TM"})
GROUPS_OUT = frozenset({0x0000, 0x0002, 0x0004, 0x0010, 0x0032, 0x0038, 0x4008})  # unless the table names the element
CODES = frozenset(tag_for_keyword(k) for k in ("CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning"))
CODED = CODES | {tag_for_keyword("CodingSchemeDesignator"), tag_for_keyword("CodingSchemeVersion")}
ORGANISATIONS = tag_for_keyword("CodingSchemeIdentificationSequence")  # names those behind private codes
# Public coding schemes, PS3.16 table 8-1.
SCHEMES = frozenset(
    (
        *("ACR", "BI", "C4", "C5", "CD2", "CTCAE", "DC", "DCM", "DCMUID", "FDATRNS", "FMA", "I10", "I10P", "I11", "I9", "I9C"),
        *("IBSI", "IEEE10101", "ISO3166_1", "ISO639_1", "ISO639_2", "ITIS_TSN", "LN", "MA", "MDC", "MDNS", "MGI", "MSH", "MVX"),
        *("NCDR", "NCIt", "NDC", "NEU", "NICIP", "NYUMCCG", "OPCS", "PATHLEX", "POS", "PubChem_CID", "RADELEMENT", "RADLEX"),
        *("RFC3066", "RFC5646", "RO", "RXNORM", "SCT", "SNM3", "SRT", "TA", "UBERON", "UCUM", "UMLS", "UNII", "UNS"),
    )
)
PATIENT_ID = tag_for_keyword("PatientID")
CHARACTER_SET = tag_for_keyword("SpecificCharacterSet")
# Dates that do not move with the patient's: a birthday is no date of the study, and who knows when a machine was calibrated or a
# code list was published could work the shift out.
UNMOVED = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        *("PatientBirthDate", "PatientBirthTime", "LastMenstrualDate", "ContextGroupVersion", "ContextGroupLocalVersion"),
        *("TemplateVersion", "TemplateLocalVersion", "DateOfManufacture", "DateOfInstallation", "DateOfLastCalibration"),
        *("TimeOfLastCalibration", "DateTimeOfLastCalibration", "DateOfLastDetectorCalibration", "TimeOfLastDetectorCalibration"),
        *(
            "CalibrationDate",
            "CalibrationTime",
            "CalibrationDateTime",
            "ProductExpirationDateTime",
            "SourceStrengthReferenceDate",
        ),
        *("SourceStrengthReferenceTime", "HangingProtocolCreationDateTime", "EffectiveDateTime"),
        *("EthicsCommitteeApprovalEffectivenessStartDate", "EthicsCommitteeApprovalEffectivenessEndDate"),
    )
)
CHARACTERISTICS = {tag_for_keyword(k): k for k in ("PatientSex", "PatientAge", "PatientSize", "PatientWeight")}
PEOPLE = (
    *(
        "PatientID",
        "PatientBirthDate",
        "OtherPatientIDs",
        "PatientName",
        "OtherPatientNames",
        "PatientBirthName",
        "PatientMotherBirthName",
    ),
    *(
        "PatientAddress",
        "PatientTelephoneNumbers",
        "MedicalRecordLocator",
        "AccessionNumber",
        "AdmissionID",
        "ReferringPhysicianName",
    ),
    *("OperatorsName", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "PhysiciansOfRecord", "RequestingPhysician"),
    "ResponsiblePerson",
)
PLACES = ("InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber")


class Cleaner:
    """Clean data sets of one patient.

    Args:
        table: what to do with each tag: X (remove), Z (empty), D (dummy), U (replace the UID), or a choice of them.
        uid: gives the replacement of a UID.
        patient: gives the pseudonym of a patient's number.
        days: by how many days dates move, or None to treat them as the table says.
        identities: a pattern that finds words which name somebody, or None.
        keep_characteristics: keep sex, size, weight and the decade of the age.
    """

    def __init__(
        self,
        table: Mapping[int, str],
        uid: Callable[[str], str],
        patient: Callable[[str], str],
        days: int | None,
        identities: re.Pattern[str] | None,
        keep_characteristics: bool,
    ) -> None:
        self._table = table
        self._uid = uid
        self._patient = patient
        self._days = days
        self._identities = identities
        self._keep = keep_characteristics

    def clean(self, dataset: Dataset, depth: int = 0, strict: bool = False) -> Dataset:
        """Return a cleaned copy of `dataset`; with `strict`, every text outside codes becomes a dummy."""
        copy = Dataset()
        scheme = text_of(dataset, "CodingSchemeDesignator")
        local = scheme not in SCHEMES  # a hospital's or a maker's own, whose words are free text
        for tag in list(dataset.keys()):
            if tag.is_private or (tag.group in GROUPS_OUT and tag not in self._table) or not dictionary_has_tag(tag):
                continue
            if tag in (CHARACTER_SET, ORGANISATIONS) or 0x5000 <= tag.group < 0x5100 or 0x6000 <= tag.group < 0x6100:
                continue  # curves and overlays go as a whole
            try:
                element = self._element(dataset, tag, depth, strict, scheme != "", local)
            except Exception:  # noqa: S112 - a decoder's boundary: headers break in every way, and what can't be read is left out
                continue
            if element is not None:
                copy.add(element)
        return copy

    def _element(self, dataset: Dataset, tag: BaseTag, depth: int, strict: bool, coded: bool, local: bool) -> DataElement | None:
        action = self._table.get(tag, "")
        vr = dictionary_VR(tag)
        moves = vr in TIMES and tag not in UNMOVED and self._days is not None
        if action == "X" and not moves and not (self._keep and tag in CHARACTERISTICS):
            return None
        if vr == "SQ":
            return self._sequence(dataset, tag, action, depth, strict)
        if tag in PIXELS or vr not in TEXT:
            return None if "X" in action or "D" in action else binary(dataset, tag, vr, emptied=action == "Z")
        values = texts(dataset.get_item(tag))
        if values is None:
            return made(tag, vr, dummy(vr, action)) if action else None
        return self._text(tag, vr, action, values, strict and not (coded and tag in CODED), local and tag in CODES)

    def _text(self, tag: BaseTag, vr: str, action: str, values: list[str], strict: bool, local: bool) -> DataElement | None:
        if tag in CHARACTERISTICS and self._keep:
            return made(tag, vr, [decade(v) for v in values] if vr == "AS" else values)
        if vr == "UI":
            kept = "ClassUID" in keyword_for_tag(tag) and not action  # what kind of object it is, which a vendor may have named
            return made(tag, vr, [class_uid(v) if kept else self._uid(v) for v in values])
        if tag == PATIENT_ID:
            return made(tag, vr, [self._patient(v) for v in values])
        if vr in TIMES and tag not in UNMOVED and self._days is not None:
            return made(tag, vr, [time_of_day(v) if vr == "TM" else shifted(v, self._days) for v in values])
        if action or vr in TIMES or vr == "AS":
            return made(tag, vr, dummy(vr, action)) if action not in ("", "X") else None
        if vr in ("DS", "IS"):
            numbers = [v for v in values if not v or float(v) is not None]  # else ValueError
            return made(tag, vr, None if vr == "IS" and any(self._names(v, vr) for v in values) else numbers)
        if (strict or local) and vr != "CS":
            return made(tag, vr, dummy(vr, "D"))
        if vr in FREE_TEXT and tag not in CODES:
            return None
        if any(not v.isascii() or not v.isprintable() or self._names(v, vr) for v in values):
            return made(tag, vr, DUMMY) if vr in ("LO", "SH") else None
        return made(tag, vr, values)

    def _sequence(self, dataset: Dataset, tag: BaseTag, action: str, depth: int, strict: bool) -> DataElement | None:
        keyword = keyword_for_tag(tag)
        refers = keyword.startswith(("Referenced", "Source"))
        if depth >= DEPTH or keyword == "PersonIdentificationCodeSequence" or (not refers and "X" in action and "D" in action):
            return None
        if not refers and "Z" in action:
            return made(tag, "SQ", Sequence())
        items = dataset[tag].value
        return made(tag, "SQ", Sequence([self.clean(one, depth + 1, strict or "D" in action) for one in items or ()]))

    def _names(self, text: str, vr: str) -> bool:
        found = self._identities and self._identities.search(text.casefold())
        # A surname such as HEAD would take the body part away: words of a closed list count only with a digit in them.
        return bool(found) and (vr != "CS" or any(c.isdigit() for c in found[0]))  # type: ignore[index]


def identities(dataset: Dataset) -> re.Pattern[str] | None:
    """Return what finds the names and numbers of people, places and machines of `dataset` in other text, in lower case."""
    words: set[str] = set()
    made_by = text_of(dataset, "Manufacturer").casefold()  # a maker's own place, where it tests its machines, is no secret
    for keyword in (*PEOPLE, *PLACES):
        if (tag := Tag(keyword)) in dataset:
            for value in texts(dataset.get_item(tag)) or ():
                if keyword in PEOPLE:
                    words.update(part.casefold() for part in (value, *re.split(r"[\^=\s,]+", value)))
                elif value.casefold() not in made_by:
                    words.add(value.casefold())
    return _pattern(frozenset(word for word in words if len(word) >= SHORTEST))


@lru_cache(maxsize=64)
def _pattern(words: frozenset[str]) -> re.Pattern[str] | None:
    if not words:
        return None
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, longest_first))})(?![a-z0-9])")


def settle(copy: Dataset, syntax: UID) -> None:
    """Give elements whose VR depends on others (US or SS by the pixel representation) the right one, where that can be told."""
    with suppress(Exception):  # a decoder's boundary, as above: such an element then stays as it is
        correct_ambiguous_vr(copy, syntax != ExplicitVRBigEndian)
