"""Series as DICOM headers, and pictures of them as a format gets them, without a project."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from hyla import geometry
from hyla.frame import Frame, PatientFrame
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels, Record, item_id
from hyla_healthcare.deidentify import Gate
from hyla_healthcare.dicom_seg import DicomSeg

DCIODVFY = Path("/usr/bin/dciodvfy")


class Studies:
    """Stand where the loader does: what it knows of each item was given to it."""

    def __init__(self, gate=None):
        self.gate = gate or Gate()
        self.images, self.headers = {}, {}

    def originals(self, item):
        return self.headers[item.id]


class Pictures:
    """Be the pictures of a project whose items were added one by one."""

    def __init__(self):
        self.loader = Studies()
        self.said = {}

    def items(self):
        return [image.item for image in self.loader.images.values()]

    def load(self, item):
        return self.loader.images[item.id]

    def proposed(self, item):
        return self.said.get(item.id)

    def add(self, headers, pixels, frame, number=None):
        """Return the Image of a series whose headers stand in the order of its slices."""
        first = headers[0]
        series = self.loader.gate.uid(first.SeriesInstanceUID)
        uri = f"{first.Modality.lower()}/{series}" + ("" if number is None else f"/{number}")
        meta = {"series": series, "modality": first.Modality, "sop_class": str(first.SOPClassUID)}
        volume = pixels.ndim == 3 and isinstance(frame, PatientFrame)
        image = Image(pixels, Item(item_id(uri), uri, "", 0, "series", meta), frame, {}, volume)
        self.loader.images[image.item.id], self.loader.headers[image.item.id] = image, list(headers)
        return image


def affine_of(headers):
    """Return the affine of single-frame headers in the order of the slices."""
    first, last = headers[0], headers[-1]
    x, y = np.reshape(first.ImageOrientationPatient, (2, 3)).astype(float)
    down, right = map(float, first.PixelSpacing)
    origin = np.array(first.ImagePositionPatient, float)
    step = (np.array(last.ImagePositionPatient, float) - origin) / max(1, len(headers) - 1)
    step = np.cross(x, y) if len(headers) == 1 else step
    out = np.eye(4)
    out[:3] = np.stack([x * right, y * down, step, origin], axis=1)
    return tuple(map(tuple, out.tolist()))


def series(depth=6, size=(40, 32), spacing=(2.5, 0.75, 0.5), orientation=(1, 0, 0, 0, 1, 0), **more):
    """Return headers of a CT of `depth` slices of `size` (height, width); spacing in mm between slices, lines and columns."""
    x, y = np.reshape(orientation, (2, 3)).astype(float)
    normal = np.cross(x, y)
    out = []
    for z in range(depth):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", f"1.2.3.4.{500 - z}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1.2.3.1", "1.2.3.4", "1.2.3.9"
        one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = "MRN-4711", "Roe^Jane", "19600102", "F"
        one.StudyDate, one.StudyTime, one.StudyID, one.AccessionNumber = "20200304", "101112", "S1", "ACC-99"
        one.Modality, one.Manufacturer, one.SeriesNumber, one.InstanceNumber = "CT", "Maker", 7, depth - z
        one.ReferringPhysicianName = "Doe^John"
        one.PositionReferenceIndicator = ""
        one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.Rows, one.Columns = size
        one.PixelSpacing, one.SliceThickness = [spacing[1], spacing[2]], spacing[0]
        one.ImageOrientationPatient = list(map(float, orientation))
        one.ImagePositionPatient = [round(v, 6) for v in (np.array([-10.0, -20.0, 30.0]) + z * spacing[0] * normal).tolist()]
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation, one.SamplesPerPixel = 15, 1, 1
        one.PhotometricInterpretation = "MONOCHROME2"
        for name, value in more.items():
            setattr(one, name, value)
        one.ensure_file_meta()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        out.append(one)
    return out


def volume(pictures, headers, pixels=None):
    """Add a series of single frames to `pictures` and return its Image."""
    first = headers[0]
    pixels = np.zeros((len(headers), first.Rows, first.Columns), np.int16) if pixels is None else pixels
    reference = pictures.loader.gate.uid(first.FrameOfReferenceUID)
    return pictures.add(headers, pixels, PatientFrame(affine_of(headers), reference))


def real_series(folder, pattern="*"):
    """Return the headers of a folder's CT images by position, and their pixels (D, H, W) as stored."""
    found = [dcmread(path) for path in sorted(folder.glob(pattern)) if path.suffix != ".gz"]
    found = [one for one in found if one.Modality == "CT"]
    found.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    pixels = np.stack([one.pixel_array.astype(np.int16) for one in found])
    headers = [deepcopy(one) for one in found]
    for one in headers:
        del one.PixelData
    return headers, pixels


def radiograph(pictures, header, size):
    """Add a radiograph to `pictures` and return its Image."""
    return pictures.add([header], np.zeros((*size, 1), np.uint8), Frame())


def dciodvfy(path):
    """Return the errors that dciodvfy finds in a file; skip where it is not installed."""
    if not DCIODVFY.exists():
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    done = subprocess.run([DCIODVFY, str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


PRESET = resources.files("hyla_healthcare") / "conf" / "preset" / "healthcare.yaml"
SCHEMA = Schema.from_config(yaml.safe_load(PRESET.read_text())["schema"])


def record_of(image, classes, masks, source="model:net@0123456789ab", **more):
    labels = Labels.of([SCHEMA.class_id(c) for c in classes], kind=Kind.MASK, shape=[geometry.encode(m) for m in masks], **more)
    return Record(image.item, labels, source=source, size=image.size, frame=image.frame)


def boxes(size, *corners):
    """Return masks of `size`, each full between two corners (z, y, x)."""
    out = np.zeros((len(corners), *size), bool)
    for mask, (low, high) in zip(out, corners, strict=True):
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return out


def export(pictures, record, out, **given):
    out.mkdir(exist_ok=True)
    loss = DicomSeg(pictures, **given).export([record], SCHEMA, out)
    return loss, next(iter(sorted(out.iterdir())), None)


def masks_of(record):
    return [geometry.decode(shape) for shape in record.labels.shape]


def affine_like(volume, expected):
    """Return a volume as highdicom reads it with its slices in the direction of an affine (3, 4) of slice, row, column."""
    return volume.flip_spatial(0) if np.dot(volume.affine[:3, 0], expected[:, 0]) < 0 else volume


def itk(path):
    """Return the pixels of a file as SimpleITK reads them."""
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
