"""Series of a DICOMweb archive as a source.

A source is `dicomweb+https://host:port/path?Modality=CT`, its query a QIDO-RS filter. A project keeps its source, so that a
filter which names a patient, a study or a series belongs into a JSON file, {"PatientID": "..."}, which the loader's setting
`query` names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydicom import Dataset

from hyla.errors import BadItem, ConfigError
from hyla_healthcare import scan
from hyla_healthcare.archive import MAX_BYTES, Archive, no_password
from hyla_healthcare.instance import Instance

PREFIX = "dicomweb+"
HARMLESS = (
    "Modality",
    "ModalitiesInStudy",
    "BodyPartExamined",
    "StudyDescription",
    "SeriesDescription",
    "ProtocolName",
    "StudyDate",
)


def is_web(source: str) -> bool:
    """Tell whether `source` is the address of a DICOMweb archive."""
    return source.startswith((f"{PREFIX}http://", f"{PREFIX}https://"))


def series(source: str, query: str | None = None, timeout: float = 60, max_bytes: int = MAX_BYTES) -> Iterator[scan.Series]:
    """Return the series with pictures that an archive has for a source, lazily, in the order of their UIDs.

    Only headers are fetched; `Series.load` and `Series.sources` fetch one series with its pixels, and keep nothing. A series
    whose headers can't be had comes all the same, and fails when it is loaded.

    Args:
        source: see the module.
        query: a JSON file with more filters.
        timeout: seconds that the archive may keep silent.
        max_bytes: of one answer.

    Raises:
        ConfigError: for a filter that must not be in the source, or none at all; while iterating, for an archive that can't be
            reached or does not let us in.
    """
    url, filters = address(source)
    filters |= _file(query) if query else {}
    if not filters:
        raise ConfigError(
            "the source asks for all that the archive has", f"narrow it: {PREFIX}https://host/dicom-web?Modality=CT"
        )
    return _all(Archive(url, timeout, max_bytes), filters)


def address(source: str) -> tuple[str, dict[str, str]]:
    """Return the URL of the archive and the filters that a source names.

    Raises:
        ConfigError: for a source with a password, or with a filter that could name a patient.
    """
    parts = urlsplit(source.removeprefix(PREFIX))
    no_password(parts.netloc)
    filters = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in filters:
        if name not in HARMLESS:
            raise ConfigError(
                "the source has a filter that may name a patient, and a project keeps its source",
                'put it into a JSON file, {"PatientID": "..."}, and name that file: loader.query=FILE',
                HARMLESS,
            )
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")), filters


def _all(archive: Archive, filters: Mapping[str, str]) -> Iterator[scan.Series]:
    for one in archive.search(filters):
        if str(one.get("Modality", "")) in scan.NO_PICTURE:
            continue
        study, uid = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
        fetch: Callable[[], Sequence[Dataset]] = partial(archive.fetch, study, uid)
        try:
            headers = [header for header in archive.headers(study, uid) if not scan.what(Instance.of(header))]
        except BadItem as error:
            headers, fetch = [one], partial(_fail, error)
        if headers:
            yield scan.Series.of(headers, fetch)


def _fail(error: BadItem) -> Sequence[Dataset]:
    raise error


def _file(name: str) -> dict[str, str]:
    try:
        values = json.loads(Path(name).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ConfigError("the file of loader.query can't be read", 'it must be JSON: {"PatientID": "..."}') from None
    if not isinstance(values, dict) or not all(isinstance(v, (str, int)) for v in values.values()):
        raise ConfigError("the file of loader.query holds no filters", 'it must be JSON: {"PatientID": "..."}')
    return {str(key): str(value) for key, value in values.items()}
