"""De-identify headers: DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile, before anything is stored or shown.

What happens to an element says the table of dicom-anonymizer (Table E.1-1 of PS3.15, edition 2026c). That library applies its
table to the top level only and gives random UIDs and one dummy date to all. Here it holds at every depth, UIDs and patients get
keyed pseudonyms that are the same in every file, and dates move by whole days, the same number for all of a patient.

The copy is plain ASCII: nothing hides in another character set. What can't be understood is left out, never copied.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cache
from pathlib import Path

from pydicom import config, uid
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence

from hyla.errors import ConfigError
from hyla_healthcare import elements
from hyla_healthcare.header_values import text_of
from hyla_healthcare.instance import quiet

EDITION = "2026c"
STANDARD = "1.2.840.10008."
MIN_KEY = 16
MAKE_KEY = "make one, and keep it in the hospital: openssl rand -hex 32 > gate.key"
DAYS = 3650
FACES = ("HEAD", "BRAIN", "SKULL", "FACE", "NECK", "ORBIT", "SINUS", "JAW", "EAR", "WHOLEBODY")
PROFILE = ("113100", "Basic Application Confidentiality Profile")
LONGITUDINAL = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")
CHARACTERISTICS = ("113108", "Retain Patient Characteristics Option")
CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")


class Gate:
    """Give every identity a pseudonym, and make copies of headers that hold no identity.

    Args:
        key_file: a file with at least 16 secret bytes. With it nobody without the key can tell which patient or file a pseudonym
            belongs to. Without it they are plain hashes: who has the originals, or guesses a patient's number, can link them.
        keep_characteristics: keep sex, size, weight and the decade of the age (option 113108).
        shift_days: move dates by 1 to 3650 days into the past, the same for all of a patient, so that intervals stay (option
            113107). Otherwise dates and times are removed, or set to a dummy where the standard wants a value.
        defaced: the faces in scans of heads were removed already, so that no copy is marked as recognisable.

    Raises:
        ConfigError: if the key file can't be read, or is too short.
    """

    def __init__(
        self, key_file: str | None = None, keep_characteristics: bool = False, shift_days: bool = True, defaced: bool = False
    ) -> None:
        quiet()
        self._key = b"hyla" if key_file is None else _key(Path(key_file))
        self._keep = keep_characteristics
        self._shift = shift_days
        self._defaced = defaced

    def uid(self, original: str) -> str:
        """Return the replacement of a UID, `2.25.` and a 128-bit number; those of the standard itself stay, and so does ""."""
        original = str(original).strip("\0 ")
        if not original or original.startswith(STANDARD):
            return original
        return f"2.25.{int.from_bytes(self._digest('uid', original)[:16], 'big')}"

    def patient(self, original_id: str) -> str:
        """Return the pseudonym of a patient's number: 16 hexadecimal digits, or nothing for nothing."""
        original = str(original_id).strip("\0 ")
        return self._digest("patient", original)[:8].hex().upper() if original else ""

    def days(self, original_id: str) -> int:
        """Return by how many days the dates of a patient move: -3650 to -1."""
        number = int.from_bytes(self._digest("days", str(original_id).strip("\0 "))[:8], "big")
        return -1 - number % DAYS

    def clean(self, dataset: Dataset) -> Dataset:
        """Return a copy of `dataset` without identity; its pixel data are the same bytes, so look at `burned_in` for those.

        `PatientIdentityRemoved` is YES unless the header itself says that identity is burned into the pixels.
        """
        patient = text_of(dataset, "PatientID")
        whose = patient or text_of(dataset, "StudyInstanceUID")
        cleaner = elements.Cleaner(
            table(), self.uid, self.patient, self.days(whose) if self._shift else None, elements.identities(dataset), self._keep
        )
        copy = cleaner.clean(dataset)
        _put(copy, "PatientID", "LO", self.patient(patient))
        _put(copy, "PatientName", "PN", self.patient(patient))
        self._declare(copy)
        copy.file_meta = self._file_meta(dataset, copy)
        elements.settle(copy, uid.UID(copy.file_meta.TransferSyntaxUID))
        copy.preamble = b"\0" * 128
        return copy

    def _digest(self, kind: str, value: str) -> bytes:
        return hmac.new(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def _declare(self, copy: Dataset) -> None:
        """Say in `copy` what was done (PS3.15 E.1.1, CID 7050)."""
        options = [PROFILE, *([LONGITUDINAL] if self._shift else []), *([CHARACTERISTICS] if self._keep else [])]
        burned = str(copy.get("BurnedInAnnotation", "")) == "YES"
        _put(copy, "PatientIdentityRemoved", "CS", "NO" if burned else "YES")
        _put(copy, "DeidentificationMethod", "LO", f"Hyla, PS3.15 {EDITION} Table E.1-1")
        _put(copy, "DeidentificationMethodCodeSequence", "SQ", Sequence([_code(*one) for one in options]))
        _put(copy, "LongitudinalTemporalInformationModified", "CS", "MODIFIED" if self._shift else "REMOVED")
        if shows_face(copy):
            _put(copy, "RecognizableVisualFeatures", "CS", "NO" if self._defaced else "YES")

    def _file_meta(self, dataset: Dataset, copy: Dataset) -> FileMetaDataset:
        """Return file meta information made anew: application titles and private information are not carried over."""
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\0\1"
        meta.MediaStorageSOPClassUID = uid.UID(copy.get("SOPClassUID") or "")
        meta.MediaStorageSOPInstanceUID = uid.UID(copy.get("SOPInstanceUID") or "")
        meta.TransferSyntaxUID = uid.UID(
            text_of(getattr(dataset, "file_meta", Dataset()), "TransferSyntaxUID") or uid.ImplicitVRLittleEndian
        )
        meta.ImplementationClassUID = uid.PYDICOM_IMPLEMENTATION_UID
        meta.ImplementationVersionName = "HYLA"
        return meta


def shows_face(dataset: Dataset) -> bool:
    """Tell whether a volume may show a face: CT, MR or PET of a head or neck, by BodyPartExamined."""
    part = str(dataset.get("BodyPartExamined", "")).upper().replace(" ", "")
    return str(dataset.get("Modality", "")) in ("CT", "MR", "PT") and any(one in part for one in FACES)


def add_option(copy: Dataset, option: tuple[str, str]) -> None:
    """Add one more code of CID 7050 to a copy that `Gate.clean` made."""
    copy.DeidentificationMethodCodeSequence.append(_code(*option))


@cache
def table() -> dict[int, str]:
    """Return what the Basic Profile does with each tag: X, Z, D, U or a choice of them such as X/Z/D."""
    from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

    columns = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {
        tag[0] << 16 | tag[1]: name.removesuffix("_TAGS").replace("_STAR", "").replace("_", "/")
        for name, tags in columns.items()
        if name != "ALL_TAGS"
        for tag in tags
        if len(tag) == 2  # the repeating groups (curves, overlays) go as a whole: see elements.py
    }


def _code(value: str, meaning: str) -> Dataset:
    one = Dataset()
    one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning = value, "DCM", meaning
    return one


def _put(dataset: Dataset, keyword: str, vr: str, value: object) -> None:
    dataset[keyword] = DataElement(keyword, vr, value, validation_mode=config.IGNORE)


def _key(path: Path) -> bytes:
    try:
        key = path.read_bytes().strip()
    except OSError as e:
        raise ConfigError(
            f"the key file of the de-identification can't be read: {path}", "give the path of a readable file"
        ) from e
    if len(key) < MIN_KEY:
        raise ConfigError(
            f"the key in {path} has {len(key)} bytes, fewer than {MIN_KEY}", f"make one: openssl rand -hex 32 > {path}"
        )
    return key
