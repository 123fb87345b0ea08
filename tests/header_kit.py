"""Headers in which every identifier is a word that stands nowhere else, so that a search for it proves something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence

ROOT = "1.3.6.1.4.1.55555.77."
TEXTS = {
    "PatientName": "Zylberquist^Ottoline",
    "PatientID": "MRN8392017",
    "PatientBirthDate": "19541103",
    "PatientSex": "F",
    "PatientAge": "066Y",
    "PatientAddress": "17 Quokkadale Lane",
    "PatientTelephoneNumbers": "+44 7700 900461",
    "PatientComments": "sister of Wilhelmquist",
    "PatientMotherBirthName": "Oxtersprague",
    "OtherPatientIDs": "NHSX4401772",
    "EthnicGroup": "Ruritanian",
    "Occupation": "falconer",
    "AccessionNumber": "ACC7702213",
    "StudyID": "STU55120",
    "InstitutionName": "Saint Borquist Hospital",
    "InstitutionAddress": "2 Mumblethorpe Road",
    "InstitutionalDepartmentName": "Fennimore Ward",
    "StationName": "STATQX17",
    "DeviceSerialNumber": "SERQ991734",
    "ReferringPhysicianName": "Drabblewitz^Ignatius",
    "PerformingPhysicianName": "Phlebotski^Una",
    "OperatorsName": "Grumbold^Tess",
    "NameOfPhysiciansReadingStudy": "Vexworthy^Ada",
    "RequestingPhysician": "Nimblecott^Bo",
    "StudyDescription": "Thorax of Zylberquist",
    "SeriesDescription": "axial Crumplehorn",
    "ProtocolName": "Protokolski 5",
    "ImageComments": "Whiffleby said so",
    "AdditionalPatientHistory": "bitten by Gruffydd",
    "RequestedProcedureDescription": "Querulon scan",
    "PerformedProcedureStepDescription": "Squanderly step",
    "RetrieveAETitle": "AEQUIBBLE",
    "DerivationDescription": "Derivanski",
    "DetectorID": "DETQ31337",
    "SecondaryCaptureDeviceID": "CAPQ90210",
}
UIDS = {
    "StudyInstanceUID": f"{ROOT}1001",
    "SeriesInstanceUID": f"{ROOT}2002",
    "FrameOfReferenceUID": f"{ROOT}3003",
    "IrradiationEventUID": f"{ROOT}4004",
    "DeviceUID": f"{ROOT}5005",
}
DATES = {
    "StudyDate": "20210302",
    "SeriesDate": "20210303",
    "AcquisitionDate": "20210304",
    "AcquisitionDateTime": "20210304101112.5",
}
PRIVATE = "Privatusko 77-41"
NESTED = "Nestorquill^Ned"
FILES = ("Zylberquist_Ottoline", "Archivski")  # a folder, and what files are called
BURNED = "ZYLBERQUIST OTTOLINE"
# What of all this is searched for: words and numbers that nothing else can contain by chance.
SECRETS = (
    *("Zylberquist", "Ottoline", "MRN8392017", "19541103", "1954-11-03", "Quokkadale", "900461", "Wilhelmquist"),
    *("Oxtersprague", "NHSX4401772", "Ruritanian", "falconer", "ACC7702213", "STU55120", "Borquist", "Mumblethorpe"),
    *("Fennimore", "STATQX17", "SERQ991734", "Drabblewitz", "Ignatius", "Phlebotski", "Grumbold", "Vexworthy", "Nimblecott"),
    *("Crumplehorn", "Protokolski", "Whiffleby", "Gruffydd", "Querulon", "Squanderly", "AEQUIBBLE", "Derivanski", "DETQ31337"),
    *("CAPQ90210", "Privatusko", "Nestorquill", "Archivski", "20210302", "20210303", "20210304", "Overlaski", "Curvaski"),
    *("Preambulo", "Metaprivato", ROOT),
)


def header(number: int = 0, modality: str = "CT") -> Dataset:
    """Return a header with all of these identifiers; `number` makes the object its own."""
    one = Dataset()
    for keyword, value in {**TEXTS, **UIDS, **DATES}.items():
        setattr(one, keyword, value)
    one.SOPClassUID = uid.CTImageStorage if modality == "CT" else uid.SecondaryCaptureImageStorage
    one.SOPInstanceUID = f"{ROOT}6006.{number}"
    one.Modality, one.Manufacturer, one.ManufacturerModelName = modality, "SIEMENS", "Model 4"
    one.StudyTime, one.InstanceNumber, one.ImageType = "101112", str(number + 1), ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.BodyPartExamined, one.ConvolutionKernel, one.KVP = "CHEST", "B30f", "120"
    one.add_new(0x00290010, "LO", "Privatusko Creator")
    one.add_new(0x00291010, "LO", PRIVATE)
    one.add_new(0x00291011, "OB", f"{PRIVATE} bytes ".encode())
    one.add_new(0x60000010, "US", 8)
    one.add_new(0x60000022, "LO", "Overlaski")
    one.add_new(0x60004000, "LT", "Overlaski comment")
    one.add_new(0x50003000, "OW", b"Curvaski")
    inner, deep = Dataset(), Dataset()
    deep.PersonName, deep.ReferencedSOPInstanceUID, deep.ReferencedSOPClassUID = NESTED, f"{ROOT}6006.0", uid.CTImageStorage
    deep.add_new(0x00290010, "LO", "Privatusko Creator")
    inner.ReferencedSOPInstanceUID, inner.ReferencedSOPClassUID = f"{ROOT}6006.{number + 1}", uid.CTImageStorage
    inner.PurposeOfReferenceCodeSequence = Sequence(
        [_code("121311", "DCM", "Localizer"), _code("Q", "99HOME", "Nestorquill room")]
    )
    inner.PatientName, inner.ReferencedSOPSequence = NESTED, Sequence([deep])
    one.ReferencedImageSequence = Sequence([inner])
    one.RequestAttributesSequence = Sequence([deep])
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    one.file_meta.MediaStorageSOPClassUID, one.file_meta.MediaStorageSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
    one.file_meta.SourceApplicationEntityTitle = "AEQUIBBLE"
    one.file_meta.PrivateInformationCreatorUID, one.file_meta.PrivateInformation = f"{ROOT}9", b"Metaprivato!"
    one.preamble = b"Preambulo".ljust(128, b"\0")
    return one


def with_pixels(one: Dataset, pixels: npt.NDArray[np.uint16]) -> Dataset:
    """Put (H, W) unsigned 12-bit values into a header; the four bits above hold an overlay that says nothing."""
    one.Rows, one.Columns = pixels.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.RescaleSlope, one.RescaleIntercept = "1", "-1024"
    one.add_new("PixelData", "OW", (pixels.astype("<u2") & 0xFFF).tobytes())
    return one


def slices(folder: Path, count: int = 8) -> list[Path]:
    """Write a CT series: a body with two lungs, in files with somebody's name."""
    place = folder / FILES[0]
    place.mkdir(parents=True)
    y, x = np.mgrid[:64, :64]
    body = np.where(((x - 32) / 26) ** 2 + ((y - 32) / 20) ** 2 < 1, 1064, 24)
    body[((x - 22) / 7) ** 2 + ((y - 32) / 10) ** 2 < 1] = 200
    body[((x - 42) / 7) ** 2 + ((y - 32) / 10) ** 2 < 1] = 200
    paths = []
    for number in range(count):
        one = with_pixels(header(number), body.astype(np.uint16))
        one.ImagePositionPatient, one.ImageOrientationPatient = [-64, -64, 5 * number], [1, 0, 0, 0, 1, 0]
        one.PixelSpacing, one.SliceThickness = [2, 2], "5"
        paths.append(place / f"{FILES[1]}_{TEXTS['PatientID']}_{number}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    return paths


def capture(path: Path, said: str = "YES") -> Path:
    """Write a secondary capture with a name burned into its pixels."""
    one = header(500, "OT")
    one.SeriesInstanceUID, one.ConversionType = f"{ROOT}2012", "WSD"
    one.BurnedInAnnotation = said
    del one.FrameOfReferenceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    with_pixels(one, (labelled().astype(np.uint16) * 16)).save_as(path, enforce_file_format=True)
    return path


def labelled() -> npt.NDArray[np.uint8]:
    """Return a grey picture (256, 384) with a name and a number burned in, and the letter L as a marker."""
    noise = np.random.default_rng(5).normal(90, 8, (256, 384)).clip(0, 255).astype(np.uint8)
    picture = Pillow.fromarray(noise)
    pen = ImageDraw.Draw(picture)
    pen.text((10, 10), BURNED, fill=255, font=ImageFont.load_default(size=20))
    pen.text((10, 210), "ID MRN8392017", fill=255, font=ImageFont.load_default(size=20))
    pen.text((350, 100), "L", fill=255, font=ImageFont.load_default(size=26))
    return np.asarray(picture)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    one = Dataset()
    one.CodeValue, one.CodingSchemeDesignator, one.CodeMeaning = value, scheme, meaning
    return one
