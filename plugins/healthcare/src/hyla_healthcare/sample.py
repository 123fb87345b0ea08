"""Make a sample that needs no data: CT phantoms of patients who do not exist, as DICOM series, with the truth."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, RLELossless

from hyla.codec import record_to_dict
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Bools, Floats, Record, Verdict
from hyla_healthcare import sample_anatomy, structures
from hyla_healthcare.sample_anatomy import Body
from hyla_healthcare.structures import Structure
from hyla_healthcare.studies import Studies

SERIES = 14  # at least, where as many are asked for
PER_SERIES = 8  # of more, one series for so many
SIZE, SLICES = 160, 48
SPACING = (2.1, 2.1, 3.0)  # mm of an adult: columns, rows, slices
SUPINE, LEFT_SIDE = ((1, 0, 0), (0, 1, 0)), ((0, -1, 0), (1, 0, 0))  # directions of rows and columns, LPS
NOISE = 18.0  # HU, standard deviation
IMPLEMENTATION = UID("2.25.297106340398206130105208637427341128113")
NAMES = ("Ada", "Bruno", "Cleo", "Dante", "Edda", "Fritz", "Greta", "Hugo", "Iris", "Jonas", "Karla", "Linus", "Mila", "Nils")


@dataclass(frozen=True)
class Scan:
    """Hold one series to be made.

    Args:
        patient: number of the patient, from 0.
        body: the anatomy.
        position: Patient Position (0018,5100).
        axes: directions of rows and columns.
        tilt: degrees by which the slices lean to the front.
        missing: index of a slice that is not written.
        downward: whether instances are numbered from the head to the feet.
        rle: whether pixels are compressed.
        kernel: Convolution Kernel; a sharp one has more noise.
        age: years.
    """

    patient: int
    body: Body
    position: str = "HFS"
    axes: tuple[tuple[float, float, float], tuple[float, float, float]] = SUPINE
    tilt: float = 0.0
    missing: int | None = None
    downward: bool = False
    rle: bool = False
    kernel: str = "Br38f"
    age: int = 54


def write(to: Path, frames: int = 120, seed: int = 0) -> Path:
    """Write the sample below `to`, and return the folder to label: CT series in files with random names.

    Each series is a trunk of 48 slices of 160 x 160 pixels with noise, on a table. Among the patients are one with iodine, a
    child, one with a missing slice, one who lies feet first, one on the left side, one in oblique slices, and some whose lungs
    touch; one series is compressed (RLE). They have names, dates and numbers, for a de-identification to remove, and do not
    exist. Beside the folder lies truth.jsonl, with a record for each series, in the order and under the ids of the loader.

    Args:
        to: folder to write into; what an earlier sample left in its folder goes.
        frames: one series for each, up to 14; of more than 112, one for eight.
        seed: of anatomy, noise and file names.

    Raises:
        ConfigError: if `to` can't be written to.
    """
    source = Path(to) / "ct"
    count = min(frames, max(SERIES, frames // PER_SERIES))
    try:
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        truth: dict[str, dict[str, Bools]] = {}
        files: list[Dataset] = []
        for number, scan in enumerate(scans(count, seed)):
            hu, masks, places = shoot(scan, seed * 1000 + number)
            made = list(_instances(scan, hu, places, seed, number))
            truth[str(made[0].SeriesInstanceUID)] = masks
            files += made
        for dataset, name in zip(files, rng.permutation(len(files)), strict=True):
            stem = hashlib.sha256(f"{seed} {name}".encode()).hexdigest()[:12].upper()
            folder = source / f"{int(name) % 7:02d}"
            folder.mkdir(exist_ok=True)
            dataset.save_as(folder / stem, enforce_file_format=True)
        schema = preset_schema()
        lines = [json.dumps(record_to_dict(record, schema)) for record in _records(source, schema, truth)]
        (Path(to) / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the sample can't be written to {to}: {error}", "name a folder that can be written to") from error
    return source


def preset_schema() -> Schema:
    """Return the schema of the healthcare preset."""
    path = Path(__file__).parent / "conf" / "preset" / "healthcare.yaml"
    return Schema.from_config(yaml.safe_load(path.read_text(encoding="utf-8"))["schema"])


def scans(count: int, seed: int = 0) -> list[Scan]:
    """Return `count` series to make; the first seven differ as told in `write`, later ones in anatomy and lesions."""
    first = [
        Scan(0, Body(seed=1)),
        Scan(1, Body(contrast=True, width=1.08, diameters=(22.0, 5.0, 28.0), seed=2), age=67),
        Scan(2, Body(scale=0.68, diameters=(9.0, 6.0, 11.0), seed=3), age=9),
        Scan(3, Body(width=0.94, diameters=(15.0, 2.4, 16.0), seed=4), missing=20, age=48),
        Scan(4, Body(joined=True, diameters=(10.0, 18.0, 24.0), seed=5), position="FFS", downward=True, age=71),
        Scan(5, Body(width=0.9, contrast=True, diameters=(6.0, 14.0, 20.0), seed=6), position="HFDL", axes=LEFT_SIDE, age=39),
        Scan(6, Body(joined=True, diameters=(17.0, 8.0, 13.0), seed=7), tilt=7.0, rle=True, age=60),
        Scan(0, Body(seed=1), kernel="Br64f"),
    ]
    rng = np.random.default_rng(seed)
    while len(first) < count:
        sizes = rng.uniform((5, 2.2, 8), (24, 14, 32)).round(1)
        body = Body(
            scale=round(float(rng.uniform(0.93, 1.02)), 3),
            width=round(float(rng.uniform(0.9, 1.06)), 3),
            contrast=bool(rng.random() < 0.4),
            joined=bool(rng.random() < 0.3),
            diameters=(float(sizes[0]), float(sizes[1]), float(sizes[2])),
            seed=seed * 1000 + len(first),
        )
        downward = bool(rng.random() < 0.5)
        first.append(Scan(len(first) - 1, body, downward=downward, rle=bool(rng.random() < 0.1), age=int(rng.integers(20, 88))))
    return [replace(one, body=replace(one.body, seed=one.body.seed + 100 * seed)) if seed else one for one in first[:count]]


def shoot(scan: Scan, seed: int) -> tuple[npt.NDArray[np.int16], dict[str, Bools], Floats]:
    """Return HU (D, H, W), the masks of what is in it, and the affine (D, 4, 4) of each slice to LPS mm, towards the head."""
    from scipy import ndimage

    right, down = np.array(scan.axes, dtype=np.float64)
    turn = np.deg2rad(scan.tilt)
    lean = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    right, down = lean @ right, lean @ down
    up = np.cross(right, down)
    step = np.array(SPACING) * scan.body.scale
    far = (SIZE - 1) / 2
    middle = np.array([3.0, -190.0, 800.0 - 40.0 * scan.patient])  # where the trunk is in the scanner's coordinates
    kept = [i for i in range(SLICES) if i != scan.missing]
    affines = np.tile(np.eye(4), (len(kept), 1, 1))
    for affine, i in zip(affines, kept, strict=True):
        affine[:3, 0], affine[:3, 1], affine[:3, 2] = right * step[0], down * step[1], up * step[2]
        corner = -far * (affine[:3, 0] + affine[:3, 1]) + (i - (SLICES - 1) / 2) * affine[:3, 2]
        affine[:3, 3] = (middle + corner).round(6)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    plane = np.stack([columns, rows], axis=-1) @ np.stack([right * step[0], down * step[1]])
    points = affines[:, None, None, :3, 3] - middle + plane
    hu, masks = sample_anatomy.paint(scan.body, points)
    _table(hu, points @ np.linalg.inv(np.stack([right, down, up])), scan.body.scale, masks["body"])
    rng = np.random.default_rng(seed)
    sharp = scan.kernel.endswith("64f")
    noise = ndimage.gaussian_filter(rng.standard_normal(hu.shape, dtype=np.float32), (0, 0.6, 0.6)) / 0.46
    blurred = ndimage.gaussian_filter(hu, (0, 0.3, 0.3) if sharp else (0, 0.5, 0.5))
    values = blurred + noise * NOISE * (2 if sharp else 1)
    return np.clip(np.round(values), -1024, 3071).astype(np.int16), masks, affines


def _table(hu: npt.NDArray[np.float32], points: Floats, scale: float, body: Bools) -> None:
    """Paint the table below, in the scanner's coordinates: two shells with foam between, bent to the patient's back."""
    x, y = points[..., 0] / scale, points[..., 1] / scale
    top = np.maximum(np.where(body, y, -1e9).max() + 4, 60.0) - 0.0009 * x**2
    for depth, value in ((3.0, 150.0), (26.0, -930.0), (29.0, 150.0)):
        hu[(y > top) & (y <= top + depth) & (np.abs(x) < 155) & (hu < -990) & ~body] = value


def _uid(*parts: object) -> UID:
    return UID(f"2.25.{int(hashlib.sha256(repr(parts).encode()).hexdigest()[:30], 16)}")


def _instances(scan: Scan, hu: npt.NDArray[np.int16], affines: Floats, seed: int, number: int) -> Iterator[Dataset]:
    """Yield one CT Image Storage object per slice, from the feet up."""
    for index, (plane, affine) in enumerate(zip(hu, affines, strict=True)):
        ds = _patient(scan, seed)
        ds.SeriesInstanceUID = _uid("series", seed, number)
        ds.SeriesNumber = number + 1
        ds.SeriesDescription = f"CT trunk {scan.kernel}"
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, _uid("instance", seed, number, index)
        ds.InstanceNumber = len(hu) - index if scan.downward else index + 1
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.Modality, ds.BurnedInAnnotation = "CT", "NO"
        ds.FrameOfReferenceUID = _uid("frame", seed, scan.patient)
        ds.PositionReferenceIndicator = ""
        ds.PatientPosition = scan.position
        ds.ImagePositionPatient = [f"{v:.6f}"[:16] for v in affine[:3, 3]]
        sides = np.linalg.norm(affine[:3, :3], axis=0)
        ds.ImageOrientationPatient = [f"{v:.8f}" for v in (affine[:3, :2] / sides[:2]).T.ravel()]
        ds.PixelSpacing = [f"{sides[1]:.6f}", f"{sides[0]:.6f}"]
        ds.SliceThickness = ds.SpacingBetweenSlices = f"{sides[2]:.6f}"
        ds.GantryDetectorTilt = "0"
        ds.KVP, ds.ConvolutionKernel, ds.BodyPartExamined = "120", scan.kernel, "CHESTABDOMEN"
        if scan.body.contrast:
            ds.ContrastBolusAgent = "Iodine, imagined"
        ds.Rows, ds.Columns = plane.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
        ds.WindowCenter, ds.WindowWidth = "40", "400"
        ds.PixelData = (plane.astype(np.int32) + 1024).astype("<u2").tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = CTImageStorage, ds.SOPInstanceUID
        ds.file_meta.ImplementationClassUID = IMPLEMENTATION
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if scan.rle:
            ds.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        yield ds


def _patient(scan: Scan, seed: int) -> Dataset:
    """Return what a header says of a patient and a study: all of it made up, and all of it to be removed."""
    ds = Dataset()
    name = NAMES[scan.patient % len(NAMES)]
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = f"Phantom^{name}"
    ds.PatientID = f"PHANTOM-{scan.patient:04d}"
    ds.PatientBirthDate = f"{2026 - scan.age}0{scan.patient % 9 + 1}17"
    ds.PatientAge = f"{scan.age:03d}Y"
    ds.PatientSex = "FM"[scan.patient % 2]
    ds.PatientAddress = f"{scan.patient + 1} Nowhere Street, Utopia"
    ds.PatientComments = f"{name} Phantom does not exist"
    ds.StudyInstanceUID = _uid("study", seed, scan.patient)
    ds.StudyID = f"S{scan.patient:03d}"
    ds.AccessionNumber = f"FICTION{scan.patient:05d}"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = f"2026{scan.patient % 9 + 1:02d}11"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "101500"
    ds.StudyDescription = f"Phantom of {name}"
    ds.ReferringPhysicianName = "Imaginary^Ines^^Dr"
    ds.InstitutionName = "Hospital of Nowhere"
    ds.InstitutionAddress = "Utopia"
    ds.StationName = "CT-NOWHERE"
    ds.Manufacturer, ds.ManufacturerModelName = "Hyla", "Phantom"
    ds.DeviceSerialNumber = "SERIAL-4711"
    block = ds.private_block(0x0099, "HYLA SAMPLE", create=True)
    block.add_new(0x01, "LO", f"private note on {name} Phantom")
    return ds


def _records(source: Path, schema: Schema, truth: dict[str, dict[str, Bools]]) -> Iterator[Record]:
    """Yield the truth under the items that the loader gives."""
    loader = Studies()
    by_uri = {f"ct/{loader.gate.uid(uid)}": masks for uid, masks in truth.items()}
    for item in loader.items(str(source)) or ():
        image = loader.load(item)
        assert image is not None
        found = [Structure(name.split(".")[0], mask) for name, mask in by_uri[item.uri].items()]
        labels = structures.labels(image, schema, found, image.context)
        labels.evidence.clear()
        yield Record(item, labels, (), Verdict.ACCEPT, "truth:sample", image.size, image.frame)
