"""One DICOMweb server (PS3.18): searching it, fetching from it, storing in it.

Who asks is in HYLA_DICOMWEB_USER and HYLA_DICOMWEB_PASSWORD, or in the user's netrc, and nowhere else. Nothing here tells a UID,
a value of a header or the address of an object: not in a message, and not in a log.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from hyla.errors import BadItem, ConfigError, HylaError
from hyla.privacy import leaves
from hyla_healthcare.instance import quiet

PAGE = 100  # series asked for at a time
ATTEMPTS = 4  # of a request that finds the archive busy, silent or gone
BUSY = (408, 429, 502, 503, 504)  # HTTP statuses after which asking again may help
MAX_BYTES = 4 * 2**30  # of one answer: 4000 slices of 512 x 512, uncompressed, are 2 GiB
ANY_SYNTAX = (("application/dicom", "*"),)  # as it is stored: our decoders are better than most archives'


class Archive:
    """Talk to one DICOMweb server. TLS certificates are verified (REQUESTS_CA_BUNDLE names others); redirects are refused.

    Args:
        url: http or https, of the service as a whole.
        timeout: seconds that it may keep silent.
        max_bytes: of one answer.

    Raises:
        ConfigError: for a URL with a password in it, or a password that would travel in the clear to another machine.
    """

    def __init__(self, url: str, timeout: float = 60, max_bytes: int = MAX_BYTES) -> None:
        self.url, self.timeout, self.max_bytes = url, timeout, max_bytes
        parts = urlsplit(url)
        no_password(parts.netloc)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("the address of a DICOMweb archive begins with http:// or https://", "https://host:port/dicom-web")
        self.host = parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
        self._auth = _credentials(url)
        if self._auth and parts.scheme == "http" and leaves(parts.hostname):
            raise ConfigError(f"the password would travel to {self.host} in the clear", "use https")

    def search(self, filters: Mapping[str, str]) -> list[Dataset]:
        """Return what the archive says of each series that fits, sorted by UID, page by page (QIDO-RS)."""
        found: dict[tuple[str, str], Dataset] = {}
        with self._talk(ConfigError, "search") as client:
            while True:
                fields = ["StudyInstanceUID", "SeriesInstanceUID", "Modality"]
                page = client.search_for_series(search_filters=dict(filters), fields=fields, limit=PAGE, offset=len(found))
                new = [Dataset.from_json(one) for one in page]
                before = len(found)
                found |= {(str(one.StudyInstanceUID), str(one.SeriesInstanceUID)): one for one in new}
                if len(found) == before:  # the end; or an archive that knows no pages and says the same again
                    return [found[key] for key in sorted(found)]

    def headers(self, study: str, uid: str) -> list[Dataset]:
        """Return the headers of a series (WADO-RS metadata), without pixels; raise BadItem."""
        with self._talk(BadItem, "fetch the headers of a series") as client:
            return _some([_header(one) for one in client.retrieve_series_metadata(study, uid)])

    def fetch(self, study: str, uid: str) -> list[Dataset]:
        """Return the objects of a series (WADO-RS) as they are stored, in any transfer syntax; raise BadItem."""
        with self._talk(BadItem, "fetch a series") as client:
            return _some(list(client.iter_series(study, uid, media_types=ANY_SYNTAX)))

    def store(self, dataset: Dataset) -> None:
        """Store one object (STOW-RS); raise ConfigError if the archive refuses it."""
        whole = Dataset(dataset)  # the elements are shared
        whole.file_meta, whole.preamble = dataset.file_meta, bytes(128)  # else what is sent is no DICOM file
        with self._talk(ConfigError, "store an object") as client:
            answer = client.store_instances([whole])
            if failed := answer.get("FailedSOPSequence"):
                reason = int(failed[0].get("FailureReason", 0))
                raise ConfigError(f"{self.host} refused an object: reason 0x{reason:04X}", "PS3.18 table I.2-2 has the reasons")

    @contextmanager
    def _talk(self, kind: type[HylaError], what: str) -> Iterator[Any]:
        """Give a client, and turn what goes wrong into an error that tells nothing of a patient."""
        import requests

        session, answers = self._session(), list[Any]()
        try:
            yield self._client(session, answers)
        except HylaError as error:
            raise kind(error.what, error.hint) from None
        except requests.RequestException as error:
            told, hint = self._why(error)
            raise kind(f"{self.host} did not {what}: {told}", hint) from None
        except Exception as error:  # what a server sends may be damaged in any way: JSON, multipart, DICOM
            raise kind(f"{self.host} did not {what}: its answer can't be read ({type(error).__name__})") from None
        finally:
            for answer in answers:  # one that was not read to its end holds a socket
                answer.close()
            session.close()

    def _why(self, error: Any) -> tuple[str, str]:
        """Return what failed and what to do, without the address that was asked for: it holds identifiers."""
        from requests import exceptions
        from urllib3.exceptions import ReadTimeoutError

        cause = getattr(error.args[0] if error.args else None, "reason", None)  # of the last attempt
        if isinstance(error, exceptions.SSLError):
            return "its certificate can't be verified", "REQUESTS_CA_BUNDLE=FILE names yours"
        if isinstance(error, exceptions.Timeout) or isinstance(cause, ReadTimeoutError):
            return f"no answer within {self.timeout:g} s", "raise timeout if it is only slow"
        if isinstance(error, exceptions.TooManyRedirects):
            return "it sends us elsewhere", "give the address of the archive itself"
        if isinstance(error, exceptions.HTTPError):
            status = getattr(error.response, "status_code", 0)
            hint = "set HYLA_DICOMWEB_USER and HYLA_DICOMWEB_PASSWORD" if status in (401, 403) else "is the path right?"
            return f"HTTP status {status}", hint
        return type(error).__name__, "is it running, and is the port right?"

    def _session(self) -> Any:
        """Return a session for one request: they can't be shared by threads."""
        import requests
        from urllib3 import Retry

        for name in ("urllib3", "requests", "dicomweb_client"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # they log addresses, which hold identifiers
        session = requests.Session()
        session.auth, session.max_redirects = self._auth, 0
        again = Retry(
            total=ATTEMPTS - 1,
            backoff_factor=0.2,
            status_forcelist=BUSY,
            allowed_methods=["GET"],
            respect_retry_after_header=False,
            raise_on_status=False,
            redirect=False,
        )
        adapter = requests.adapters.HTTPAdapter(max_retries=again)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return session

    def _client(self, session: Any, answers: list[Any]) -> Any:
        from dicomweb_client import DICOMwebClient

        quiet()
        warnings.filterwarnings("ignore", module="dicomweb_client")
        client = DICOMwebClient(
            self.url, session, callback=partial(_limited, self, answers), timeout=(min(10, self.timeout), self.timeout)
        )
        client.set_http_retry_params(retry=False)  # the session does it
        return client


def _some(datasets: list[Dataset]) -> list[Dataset]:
    if not datasets:
        raise BadItem("the archive has no objects of a series that it listed", "was it deleted meanwhile?")
    return datasets


def _header(values: dict[str, Any]) -> Dataset:
    """Return DICOM JSON as a dataset; what is too long to stand in it, pixels before all, is left out."""
    plain = {tag: element for tag, element in values.items() if "BulkDataURI" not in element}
    dataset = Dataset.from_json(plain, bulk_data_uri_handler=lambda _: None)
    if syntax := dataset.get("AvailableTransferSyntaxUID"):
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def _limited(archive: Archive, answers: list[Any], response: Any, *_: Any, **__: Any) -> Any:
    """Make an answer fail that grows beyond the limit, whether it is read whole or in pieces, and remember it in `answers`."""
    pieces = response.iter_content
    answers.append(response)

    def counted(*args: Any, **kwargs: Any) -> Iterator[bytes]:
        got = 0
        for piece in pieces(*args, **kwargs):
            got += len(piece)
            if got > archive.max_bytes:
                raise BadItem(f"{archive.host} sends more than {archive.max_bytes} bytes at once")
            yield piece

    response.iter_content = counted
    return response


def _credentials(url: str) -> tuple[str, str] | None:
    """Return user and password from the environment, else from the user's netrc; None where neither has any."""
    from requests.utils import get_netrc_auth

    user = os.environ.get("HYLA_DICOMWEB_USER", "")
    return (user, os.environ.get("HYLA_DICOMWEB_PASSWORD", "")) if user else get_netrc_auth(url)


def no_password(netloc: str) -> None:
    """Raise ConfigError for an address that has a user in it."""
    if "@" in netloc:
        raise ConfigError(
            "the address has a user in it, and a project keeps its source",
            "set HYLA_DICOMWEB_USER and HYLA_DICOMWEB_PASSWORD, or use a netrc file",
        )
