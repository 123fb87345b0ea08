"""Time the loading of one CT series against MONAI, SimpleITK and plain pydicom, side by side in one run.

    python benchmarks/healthcare/series.py [--slices 300] [--size 512] [--rounds 3] [--syntaxes uncompressed,rle,jpegls,jpeg2000]

A series as a scanner stores it is made in a temporary folder: shapes with the noise of a CT, 12 bits in 16, one file per slice,
under shuffled names. Every reader starts from the folder and ends with HU in the right order, which is checked; each round runs
all of them, in turning order, each in a process of its own that loaded a small series before, and the smallest time counts.
CPU seconds count all threads but no other process (hyla has JPEG 2000 decoded in some), and change less with what else runs.
Memory is the highest resident size of that process less what it was before loading, in volumes of 16 bits. Nothing else should
run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

SYNTAXES = {
    "uncompressed": ExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpegls": JPEGLSLossless,
    "jpeg2000": JPEG2000Lossless,
}
kept = None
READERS = ("hyla", "simpleitk", "pydicom", "monai_pydicom", "monai_itk")


def phantom(slices: int, size: int) -> np.ndarray:
    """Return (D, H, W) uint16 of 12 bits: a body with organs and the noise of a CT (20 HU, correlated), air around it."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    out = np.empty((slices, size, size), np.uint16)
    for z in range(slices):
        wobble = 0.05 * np.sin(z / 20)
        hu = np.full((size, size), -1000.0)
        hu[(x / 0.85) ** 2 + (y / 0.62) ** 2 < 1] = 40
        for side in (-1, 1):
            hu[((x - side * 0.38) / (0.28 + wobble)) ** 2 + (y / 0.4) ** 2 < 1] = -850
        hu[x**2 + ((y - 0.42) / 0.9) ** 2 < 0.012] = 600
        noise = rng.normal(0, 30, (size, size))
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 2.6
        out[z] = np.clip(hu + noise + 1024, 0, 4095)
    return out


def encoded(one: np.ndarray, syntax: str) -> bytes:
    """Return the value of Pixel Data of one slice."""
    if syntax == ExplicitVRLittleEndian:
        return one.tobytes()
    if syntax == JPEGLSLossless:
        import jpeg_ls

        return encapsulate([bytes(jpeg_ls.encode_array(one))])
    if syntax == JPEG2000Lossless:
        from openjpeg.utils import encode_array

        return encapsulate([bytes(encode_array(one, bits_stored=12, photometric_interpretation=2, use_mct=False))])
    from rle.utils import encode_pixel_data

    about = {"rows": one.shape[0], "columns": one.shape[1], "samples_per_pixel": 1, "bits_allocated": 16, "number_of_frames": 1}
    return encapsulate([bytes(encode_pixel_data(one.tobytes(), byteorder="<", **about))])


def write(folder: Path, volume: np.ndarray, syntax: str) -> None:
    """Write a series, one file per slice, in names that say nothing of the order."""
    names = [f"{n:08x}.dcm" for n in range(len(volume))]
    random.Random(3).shuffle(names)
    series, study, reference = generate_uid(), generate_uid(), generate_uid()
    for z, one in enumerate(volume):
        header = Dataset()
        header.ensure_file_meta()
        header.file_meta.TransferSyntaxUID = syntax
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.file_meta.MediaStorageSOPClassUID = CTImageStorage
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, reference
        header.Modality, header.PatientID, header.PatientName = "CT", "1", "Phantom"
        header.ImageType, header.InstanceNumber = ["ORIGINAL", "PRIMARY", "AXIAL"], z + 1
        header.Manufacturer, header.StudyDate, header.StudyTime, header.AccessionNumber = "Hyla", "20200101", "120000", "1"
        header.ImagePositionPatient, header.ImageOrientationPatient = [-180, -180, z * 1.0], [1, 0, 0, 0, 1, 0]
        header.PixelSpacing, header.SliceThickness, header.KVP = [0.7, 0.7], 1, 120
        header.Rows, header.Columns = one.shape
        header.SamplesPerPixel, header.PhotometricInterpretation, header.PixelRepresentation = 1, "MONOCHROME2", 0
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, -1024, "HU"
        private = header.private_block(0x0029, "HYLA BENCHMARK", create=True)
        for n in range(40):  # a header of a scanner has about 150 elements and some kB of private ones
            private.add_new(n, "OB", bytes(256))
        header.PixelData = encoded(one, syntax)
        header["PixelData"].VR = "OW" if syntax == ExplicitVRLittleEndian else "OB"
        header.save_as(folder / names[z], enforce_file_format=True)


def hyla(folder: Path) -> np.ndarray:
    """Return the volume by the loader stage: scan and load."""
    from hyla_healthcare.studies import Studies

    stage = Studies()
    [item] = list(stage.items(str(folder)) or ())
    image = stage.load(item)
    assert image is not None
    return image.pixels


def simpleitk(folder: Path) -> np.ndarray:
    """Return the volume by ImageSeriesReader."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    global kept
    kept = reader.Execute()  # the view is into its memory
    return sitk.GetArrayViewFromImage(kept)


def pydicom(folder: Path) -> np.ndarray:
    """Return the volume by dcmread, sorting and pixel_array, as most scripts do."""
    from pydicom import dcmread

    slices = [dcmread(path) for path in folder.iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    volume = np.stack([one.pixel_array for one in slices]).astype(np.int16)
    volume *= np.int16(slices[0].RescaleSlope)
    volume += np.int16(slices[0].RescaleIntercept)
    return volume


def monai_pydicom(folder: Path) -> np.ndarray:
    """Return the volume by LoadImage with PydicomReader, (x, y, slice)."""
    from monai.transforms import LoadImage

    return np.asarray(LoadImage(image_only=True, reader="PydicomReader")(str(folder)))


def monai_itk(folder: Path) -> np.ndarray:
    """Return the volume by LoadImage with ITKReader, (x, y, slice)."""
    from monai.transforms import LoadImage

    return np.asarray(LoadImage(image_only=True, reader="ITKReader")(str(folder)))


def child(reader: str, small: str, folder: str) -> None:
    """Load a small series first, so that imports are done, then the large one once; print seconds, memory and a checksum."""
    globals()[reader](Path(small))
    before = _resident()
    used, start = time.process_time(), time.perf_counter()
    volume = globals()[reader](Path(folder))
    spent, used = time.perf_counter() - start, time.process_time() - used
    memory = _peak() - before
    print(json.dumps({"seconds": spent, "cpu": used, "bytes": memory, "sum": int(np.asarray(volume).sum(dtype=np.int64))}))


def _peak() -> int:
    return _status("VmHWM")


def _resident() -> int:
    return _status("VmRSS")


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def measure(reader: str, small: str, folder: str) -> dict[str, float] | None:
    """Return what one process measured; None if the reader can't read the series."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", reader, small, folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Run all readers on all syntaxes and print a table of seconds, ratios and memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--syntaxes", default=",".join(SYNTAXES))
    parser.add_argument("--child", nargs=3)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    volume = phantom(args.slices, args.size)
    expected = int(volume.astype(np.int64).sum()) - 1024 * volume.size
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{args.slices} x {args.size} x {args.size}, {args.rounds} rounds, {os.cpu_count()} cores, load averages {load}")
    print(f"{'syntax':14}{'reader':16}{'seconds':>9}{'x hyla':>8}{'CPU s':>8}{'x hyla':>8}{'volumes':>9}")
    for name in args.syntaxes.split(","):
        with tempfile.TemporaryDirectory() as where, tempfile.TemporaryDirectory() as small:
            write(Path(where), volume, SYNTAXES[name])
            write(Path(small), volume[:2], SYNTAXES[name])
            size = sum(path.stat().st_size for path in Path(where).iterdir())
            runs: dict[str, list[dict[str, float]]] = {}
            for turn in range(args.rounds):
                order = READERS[turn % len(READERS) :] + READERS[: turn % len(READERS)]
                for reader in order:
                    if turn and reader not in runs:
                        continue  # it could not the first time
                    got = measure(reader, small, where)
                    if got is not None:
                        assert got["sum"] == expected, (reader, got["sum"], expected)
                        runs.setdefault(reader, []).append(got)
            own, work = (min(one[what] for one in runs["hyla"]) for what in ("seconds", "cpu"))
            for reader in READERS:
                if reader not in runs:
                    print(f"{name:14}{reader:16}{'can not':>9}")
                    continue
                best, cpu = (min(one[what] for one in runs[reader]) for what in ("seconds", "cpu"))
                memory = min(one["bytes"] for one in runs[reader]) / (2 * volume.size)
                print(f"{name:14}{reader:16}{best:9.2f}{best / own:8.2f}{cpu:8.2f}{cpu / work:8.2f}{memory:9.2f}", flush=True)
            print(f"{'':14}{size / volume.size / 2:.2f} of the uncompressed size")


if __name__ == "__main__":
    main()
