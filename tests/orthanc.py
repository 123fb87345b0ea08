"""A real DICOMweb archive for one test session: Orthanc on a free port of this machine, its data in a temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPBasicAuthHandler, HTTPPasswordMgrWithDefaultRealm, ProxyHandler, Request, build_opener

import numpy as np
import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc/plugins", "/usr/local/share/orthanc/plugins")
USER, PASSWORD = "tester", "s3cret-word"
PATIENT, NAME = "PAT-0815-X", "Mustermann^Erika"


@dataclass(frozen=True)
class Orthanc:
    """Name a running server: `url` of its DICOMweb service, and its `root`."""

    root: str

    @property
    def url(self) -> str:
        """Return the address of the DICOMweb service."""
        return f"{self.root}/dicom-web"

    @property
    def source(self) -> str:
        """Return the address as a source of Hyla."""
        return f"dicomweb+{self.url}"

    def call(self, path: str, data: bytes | None = None, method: str = "") -> bytes:
        """Return what Orthanc's own REST interface answers: it shares no code with the client that is tested."""
        known = HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, self.root, USER, PASSWORD)
        request = Request(f"{self.root}{path}", data, method=method or ("POST" if data is not None else "GET"))
        with build_opener(ProxyHandler({}), HTTPBasicAuthHandler(known)).open(request, timeout=60) as answer:
            return bytes(answer.read())

    def put(self, datasets: Sequence[Dataset], folder: Path) -> None:
        """Store objects through the REST interface."""
        for number, one in enumerate(datasets):
            path = folder / f"{number}.dcm"
            dcmwrite(path, one, enforce_file_format=True)
            self.call("/instances", path.read_bytes())

    def empty(self) -> None:
        """Delete all that is stored."""
        for one in json.loads(self.call("/patients")):
            self.call(f"/patients/{one}", method="DELETE")


def missing() -> str:
    """Return why no server can be started here, or nothing."""
    if _program() is None:
        return "Orthanc is not installed: apt install orthanc orthanc-dicomweb"
    return "" if _plugin() else "Orthanc has no DICOMweb plugin here: apt install orthanc-dicomweb"


def needed() -> None:
    """Skip where there is no Orthanc, saying so; but fail where CI runs, which installs it."""
    if why := missing():
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)


@contextmanager
def running(folder: Path) -> Iterator[Orthanc]:
    """Start a server with its data in `folder`, wait until it answers, and end it whatever happens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = {
        "Name": "hyla-test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(_plugin())],
        "DicomServerEnabled": False,
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    log = (folder / "log.txt").open("wb")
    server = subprocess.Popen([str(_program()), str(folder / "config.json")], stdout=log, stderr=log, cwd=folder)
    found = Orthanc(f"http://127.0.0.1:{port}")
    try:
        _wait(found, server, folder / "log.txt")
        yield found
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def series(slices: int = 6, size: tuple[int, int] = (40, 32), seed: int = 0, tilted: bool = True) -> list[Dataset]:
    """Return a made CT series, in no order: a ball of 60 HU in air, oblique, with a patient's name in each header."""
    rng = np.random.default_rng(seed)
    study, uid, reference = (generate_uid(entropy_srcs=[f"{what}{seed}"]) for what in ("study", "series", "frame"))
    height, width = size
    angle = np.deg2rad(7 if tilted else 0)
    row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    made = []
    for z in range(slices):
        y, x = np.mgrid[:height, :width]
        ball = (x - width / 2) ** 2 + (y - height / 2) ** 2 + (3 * (z - slices / 2)) ** 2 < 100
        values = np.where(ball, 60, -1000) + rng.integers(-20, 20, (height, width))
        one = Dataset()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[f"image{seed}-{z}"])
        one.file_meta.MediaStorageSOPClassUID, one.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, one.SOPInstanceUID
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = study, uid, reference
        one.PatientID, one.PatientName, one.PatientSex, one.PatientBirthDate = PATIENT, NAME, "F", "19640812"
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20240305", "101500", "7", "ACC-4711"
        one.ReferringPhysicianName, one.PositionReferenceIndicator, one.PatientPosition = "Doe^John", "", "HFS"
        one.Modality, one.Manufacturer, one.SeriesNumber, one.InstanceNumber = "CT", "Hyla", 1, slices - z
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.KVP, one.AcquisitionNumber, one.ConvolutionKernel = 120, 1, "B30f"
        one.ImagePositionPatient = [round(float(v), 6) for v in np.array([-30.0, 12.5, -100.0 + 2.5 * z])]
        one.ImageOrientationPatient = [round(float(v), 9) for v in (*row, *column)]
        one.PixelSpacing, one.SliceThickness = [0.75, 0.75], 2.5
        one.Rows, one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation = height, width, 1, "MONOCHROME2"
        one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, -1024, "HU"
        one.PixelData = (values + 1024).astype("<i2").tobytes()
        made.append(one)
    return [made[i] for i in rng.permutation(slices)]


def _program() -> str | None:
    return shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _plugin() -> Path | None:
    return next((p for folder in PLUGINS for p in sorted(Path(folder).glob("libOrthancDicomWeb.so*"))), None)


def _wait(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask until the server answers: it says nowhere else that it is ready."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"Orthanc ended by itself: {log.read_text(errors='replace')[-2000:]}")
        try:
            server.call("/system")
            return
        except (URLError, ConnectionError):
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
    raise RuntimeError(f"Orthanc does not answer: {log.read_text(errors='replace')[-2000:]}")
