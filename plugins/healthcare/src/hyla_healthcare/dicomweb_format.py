"""Store segmentations and measurements back into a DICOMweb archive (STOW-RS)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from pydicom import dcmread

from hyla.errors import ConfigError, FormatError, HylaError
from hyla.formats import Loss, writing
from hyla.hooks import Format, hookimpl
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare.archive import Archive
from hyla_healthcare.dicom_seg import DicomSeg
from hyla_healthcare.measurement_report import MeasurementReport

WHAT = ("seg", "sr")


class Dicomweb(Format):
    """Write DICOM SEG and SR, and send them to an archive whose address is given.

    With an address, what is written carries the patient's identity, since the archive knows the patient: the folder then holds it
    too. Without one nothing is sent, and what is written went through the loader's gate.

    Args:
        url: http or https, of the archive's DICOMweb service; nothing is sent without it.
        what: `seg` for segmentations, `sr` for measurement reports, which need the segmentations that they refer to.
        timeout: seconds that the archive may keep silent.
        pictures: the source of the project.

    Raises:
        ConfigError: for a word that is no choice, and as `Archive` does.
    """

    name = "dicomweb"

    def __init__(
        self,
        url: str = "",
        what: Sequence[str] = WHAT,
        timeout: float = 60,
        pictures: Pictures | None = None,
    ) -> None:
        if not what or set(what) - set(WHAT):
            raise ConfigError(f"what={list(what)} is not a choice", "what=[seg,sr]", WHAT)
        self._archive = Archive(url, timeout) if url else None
        self._writer = (MeasurementReport if "sr" in what else DicomSeg)(pictures, identified=bool(url))

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the objects of each record under `out` and send them, one record after another; return what is lost.

        `stored.jsonl` says what the archive took.

        Raises:
            FormatError: if the archive refuses an object, saying how many it took before.
        """
        loss, stored = Loss(), 0
        with writing(out / "stored.jsonl") as listing:
            for one in records:
                # In a folder of its own, so that nothing of an earlier export is sent.
                with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as fresh:
                    loss.update(self._writer.export([one], schema, Path(fresh)) or {})
                    files = [file for word in WHAT for file in sorted(Path(fresh).glob(f"*.{word}.dcm"))]
                    for file in (f.replace(out / f.name) for f in files):
                        uid = self._send(file, stored)
                        if uid:
                            listing.write(msgspec.json.encode({"file": file.name, "sop_instance_uid": uid}) + b"\n")
                            listing.flush()
                            stored += 1
        return dict(loss)

    def _send(self, file: Path, before: int) -> str:
        """Return the UID of an object once it is stored; empty where there is no archive."""
        if self._archive is None:
            return ""
        dataset = dcmread(file)
        try:
            self._archive.store(dataset)
        except HylaError as error:
            raise FormatError(f"{error.what}; {before} objects were stored before", error.hint) from error
        return str(dataset.SOPInstanceUID)
