"""Archives that misbehave, and what may be asked of one: no archive is needed for these."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydicom import Dataset

import hyla
import orthanc
from hyla.errors import BadItem, ConfigError
from hyla.privacy import no_network
from hyla.store import Project
from hyla_healthcare import archive, dicomweb
from hyla_healthcare.archive import Archive
from hyla_healthcare.dicomweb_format import Dicomweb

UID = "1.2.826.0.1.4711"
Answer = tuple[int, dict[str, str], bytes]


class Handler(BaseHTTPRequestHandler):
    """Answer as the test says, and keep what was asked."""

    def do_GET(self):
        self.server.asked.append(f"{self.command} {self.path}")
        status, headers, body = self.server.answer(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def serving(answer: Callable[[str], Answer], context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve `answer` on a free port of this machine; give the address and the list of what was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer, server.asked = answer, []
    server.handle_error = lambda *_: None  # a client that hangs up is part of these tests
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http{'s' if context else ''}://127.0.0.1:{server.server_port}/dicom-web", server.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def as_json(values) -> Answer:
    return 200, {"Content-Type": "application/dicom+json"}, json.dumps(values).encode()


def found(*uids: str):
    """Return what an archive says of series."""
    out = []
    for uid in uids:
        one = Dataset()
        one.StudyInstanceUID, one.SeriesInstanceUID, one.Modality = UID, uid, "CT"
        out.append(one.to_json_dict())
    return as_json(out)


def headers(uid: str):
    """Return the metadata of a made series as an archive sends it: pixels by reference."""
    made = []
    for one in orthanc.series(2, (8, 8)):
        one.SeriesInstanceUID = uid
        del one.PixelData
        made.append({**one.to_json_dict(), "7FE00010": {"vr": "OW", "BulkDataURI": "http://169.254.169.254/secret"}})
    return as_json(made)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    """Take passwords of this user out of the tests."""
    monkeypatch.delenv("HYLA_DICOMWEB_USER", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("dicomweb+https://host/dicom-web?PatientID=4711", "may name a patient"),
        ("dicomweb+https://host/dicom-web?Modality=CT&00100010=ROE", "may name a patient"),
        ("dicomweb+https://host/dicom-web?StudyInstanceUID=1.2.3", "may name a patient"),
        ("dicomweb+https://host/dicom-web?modality=CT&AccessionNumber=9", "may name a patient"),
        ("dicomweb+https://host/dicom-web", "asks for all"),
        ("dicomweb+https://ann:secret@host/dicom-web?Modality=CT", "has a user in it"),
    ],
)
def test_a_source_may_not_name_anybody(source, words, tmp_path):
    """A project keeps its source: nothing of a patient and no password may stand in it, nor in the message."""
    assert dicomweb.is_web(source)
    with pytest.raises(ConfigError, match=words) as caught:
        dicomweb.series(source)
    assert not any(secret in str(caught.value) for secret in ("4711", "ROE", "1.2.3", "secret"))
    with pytest.raises(ConfigError, match=words):
        hyla.run(hyla.compose("healthcare", "model=none", source=source, out=str(tmp_path / "out")))


def test_other_sources_are_not_ours():
    assert not any(map(dicomweb.is_web, ("/data/ct", "https://host/dicom-web", "dicomweb+ftp://host", "s3://bucket")))


def test_filters_come_from_a_file(tmp_path):
    path = tmp_path / "query.json"
    path.write_text(json.dumps({"PatientID": "4711", "Modality": "MR"}))
    with serving(lambda _: as_json([])) as (url, asked):
        assert list(dicomweb.series(f"dicomweb+{url}?StudyDate=20240101-", str(path))) == []
    assert all(one in asked[0] for one in ("PatientID=4711", "Modality=MR", "StudyDate=20240101-"))
    for text in ("{", "[1]", '{"a": []}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"loader\.query"):
            dicomweb.series("dicomweb+https://host/dicom-web", str(path))


def test_a_password_does_not_travel_in_the_clear(monkeypatch):
    monkeypatch.setenv("HYLA_DICOMWEB_USER", "ann")
    monkeypatch.setenv("HYLA_DICOMWEB_PASSWORD", "secret")
    with pytest.raises(ConfigError, match="in the clear") as caught:
        Archive("http://pacs.example.org/dicom-web")
    assert "secret" not in str(caught.value)
    assert Archive("https://pacs.example.org/dicom-web").host == "pacs.example.org"
    assert Archive("http://127.0.0.1:8042/dicom-web").host == "127.0.0.1:8042"


def test_a_busy_archive_is_asked_again(monkeypatch):
    answers = iter([(503, {}, b""), (429, {"Retry-After": "3600"}, b""), found("1.2.3"), as_json([])])
    with serving(lambda _: next(answers)) as (url, asked):
        assert [str(one.SeriesInstanceUID) for one in Archive(url).search({"Modality": "CT"})] == ["1.2.3"]
    assert len(asked) == 4


def test_a_busy_archive_is_not_asked_for_ever():
    with serving(lambda _: (503, {}, b"")) as (url, asked), pytest.raises(ConfigError, match="HTTP status 503"):
        Archive(url).search({"Modality": "CT"})
    assert len(asked) == archive.ATTEMPTS


def test_what_is_stored_is_never_sent_twice():
    """A POST that failed may have been taken all the same."""
    with serving(lambda _: (503, {}, b"")) as (url, asked), pytest.raises(ConfigError, match="HTTP status 503"):
        Archive(url).store(orthanc.series(1)[0])
    assert len(asked) == 1


def test_an_archive_that_repeats_itself_ends():
    """One that knows no offset says the same page for ever."""
    with serving(lambda _: found("1.2.4", "1.2.3")) as (url, asked):
        assert [str(one.SeriesInstanceUID) for one in Archive(url).search({"Modality": "CT"})] == ["1.2.3", "1.2.4"]
    assert len(asked) == 2


def test_a_silent_archive_is_given_up(monkeypatch):
    monkeypatch.setattr(archive, "ATTEMPTS", 2)
    done = threading.Event()

    def never(_: str) -> Answer:
        done.wait()
        return 200, {}, b""

    with serving(never) as (url, asked):
        try:
            with pytest.raises(ConfigError, match=r"no answer within 0\.2 s"):
                Archive(url, timeout=0.2).search({"Modality": "CT"})
        finally:
            done.set()
    assert len(asked) == 2


def test_redirects_are_refused():
    """Else an archive could send our questions, and who asks, to anybody."""
    with (
        serving(lambda _: as_json([])) as (other, reached),
        serving(lambda _: (302, {"Location": f"{other}/series"}, b"")) as (url, _),
        pytest.raises(ConfigError, match="sends us elsewhere"),
    ):
        Archive(url).search({"Modality": "CT"})
    assert reached == []


def test_a_certificate_is_verified(tmp_path, monkeypatch):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, with which to make a certificate")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        cert,
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
    ]
    subprocess.run(["openssl", *words, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with serving(lambda _: as_json([]), context) as (url, asked):
        with pytest.raises(ConfigError, match="certificate can't be verified"):
            Archive(url).search({"Modality": "CT"})
        assert asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert))
        assert Archive(url).search({"Modality": "CT"}) == []


PART = b"--x\r\nContent-Type: application/dicom\r\n\r\n"
MULTIPART = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
DAMAGED = {
    "no JSON": (200, {"Content-Type": "application/dicom+json"}, b"<html>Mustermann"),
    "no list": as_json({"a": "Mustermann"}),
    "wrong type": (200, {"Content-Type": "text/html"}, b"Mustermann"),
    "bad value": as_json([{"00280010": {"vr": "US", "Value": ["Mustermann"]}}]),
    "nothing": (200, MULTIPART, b""),
    "no DICOM": (200, MULTIPART, PART + b"Mustermann" * 40 + b"\r\n--x--"),
    "cut": (200, {**MULTIPART, "Content-Length": "100000"}, PART + b"Mustermann"),
    "gone": (404, {}, b"no series of Mustermann"),
}


@pytest.mark.parametrize("what", ["headers", "fetch"])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_answer_costs_one_series_and_tells_nothing(name, what, caplog):
    with serving(lambda _: DAMAGED[name]) as (url, _), pytest.raises(BadItem) as caught:
        getattr(Archive(url), what)(UID, UID)
    assert "Mustermann" not in str(caught.value) + caplog.text
    assert UID not in str(caught.value) + caplog.text


def test_one_bad_series_does_not_stop_a_run(tmp_path):
    """Of three series one has no headers and one no pixels: both are quarantined, the third would be labelled."""

    def answer(path: str) -> Answer:
        if "?" in path and "offset=0" in path:
            return found("1.2.1", "1.2.2")
        if path.endswith("/1.2.1/metadata"):
            return 404, {}, b"1.2.1"
        return headers("1.2.2") if path.endswith("/metadata") else as_json([]) if "?" in path else (404, {}, b"")

    with serving(answer) as (url, asked), no_network() as attempts:
        hyla.run(hyla.compose("healthcare", "model=none", source=f"dicomweb+{url}?Modality=CT", out=str(tmp_path / "out")))
    assert attempts == []  # what an archive names as the place of pixels is never asked
    with Project.open(tmp_path / "out") as project:
        reasons = sorted(one.reason for one in project.quarantined())
    assert len(reasons) == 2
    assert all("did not fetch" in reason and "1.2." not in reason for reason in reasons)
    assert not any(p.read_bytes().count(orthanc.PATIENT.encode()) for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert sum("metadata" in line for line in asked) >= 2


def test_an_object_that_is_refused_says_why():
    answer = Dataset()
    refused = Dataset()
    refused.FailureReason = 0xA700
    answer.FailedSOPSequence = [refused]
    with serving(lambda _: as_json(answer.to_json_dict())) as (url, _), pytest.raises(ConfigError, match="reason 0xA700"):
        Archive(url).store(orthanc.series(1)[0])


def test_settings_of_the_format():
    with pytest.raises(ConfigError, match="what="):
        Dicomweb(what=["seg", "pdf"])
    with pytest.raises(ConfigError, match="has a user in it"):
        Dicomweb(url="https://ann:secret@host/dicom-web")
    with pytest.raises(ConfigError, match="begins with http"):
        Dicomweb(url="file:///etc")
    assert Dicomweb().read(Path(), None) is None
