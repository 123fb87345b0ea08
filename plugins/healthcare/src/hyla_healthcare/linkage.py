"""The way back: a list that says which series, and for the hospital alone which patient, each item of a project is."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyla.formats import Loss, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare import originals
from hyla_healthcare.header_values import text_of

if TYPE_CHECKING:
    from hyla.pictures import Pictures

PSEUDONYMS = ("item", "patient", "study", "series", "files")
ORIGINALS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


class Linkage(Format):
    """Write a CSV of item id, pseudonyms and number of files; to find a patient again, with the original identifiers.

    Args:
        pictures: the source of the project.
        identified: add PatientID and the UIDs of the source. Such a list names patients, and must stay where the source is.
    """

    name = "linkage"

    def __init__(self, pictures: Pictures | None = None, identified: bool = False) -> None:
        self._pictures, self._identified = pictures, identified

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `linkage.csv` under `out`; SOPInstanceUID only for an item that is a single object. Return what is lost."""
        loader: Any = originals.needed(self._pictures).loader
        loss = Loss()
        with writing(out / "linkage.csv") as file:
            text = TextIOWrapper(file, "utf-8", newline="")
            table = csv.writer(text)
            table.writerow([*PSEUDONYMS, *(ORIGINALS if self._identified else ())])
            for record in records:
                loss.take(record, ())
                item = record.item
                found = loader.originals(item) if "sop_class" in item.meta else []
                row = [item.id, *(item.meta.get(name, "") for name in PSEUDONYMS[1:4]), len(found)]
                if self._identified:
                    row += [text_of(found[0], keyword) if found else "" for keyword in ORIGINALS[:3]]
                    row.append(text_of(found[0], ORIGINALS[3]) if len(found) == 1 else "")
                table.writerow(row)
            text.flush()
            text.detach()
        return dict(loss)
