"""CT series as files, slice by slice, whose every pixel is known."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import encapsulate

from exported_kit import series

SYNTAXES = (
    *(uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian),
    *(uid.RLELossless, uid.JPEGLSLossless, uid.JPEG2000Lossless),
)
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"  # newer than pydicom


def volume(depth=6, size=(40, 32), seed=0):
    """Return stored values (D, H, W) int16 between -1000 and 2000, no two slices alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(-1000, 2000, (depth, size[0] // 8, size[1] // 8), dtype=np.int16)
    return np.kron(coarse, np.ones((1, 8, 8), np.int16)) + rng.integers(0, 30, (depth, *size), dtype=np.int16)


def encoded(pixels, syntax):
    """Return the value of Pixel Data for one slice, int16 or uint16."""
    if syntax == uid.ExplicitVRBigEndian:
        return pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    if syntax == uid.JPEGLSLossless:
        import jpeg_ls

        return encapsulate([bytes(jpeg_ls.encode_array(pixels.view(np.uint16)))])
    if syntax == uid.JPEG2000Lossless:
        from openjpeg.utils import encode_array

        return encapsulate([bytes(encode_array(pixels, bits_stored=16, photometric_interpretation=2, use_mct=False))])
    if syntax == uid.RLELossless:
        from rle.utils import encode_pixel_data

        about = {"rows": pixels.shape[0], "columns": pixels.shape[1], "samples_per_pixel": 1, "bits_allocated": 16}
        return encapsulate([bytes(encode_pixel_data(pixels.tobytes(), byteorder="<", number_of_frames=1, **about))])
    if syntax == DEFLATED_FRAME:
        packer = zlib.compressobj(wbits=-15)
        plain = packer.compress(pixels.tobytes()) + packer.flush()
        return encapsulate([plain + b"\0" * (len(plain) % 2)])
    return pixels.tobytes()


def datasets(pixels, syntax=uid.ExplicitVRLittleEndian, **more):
    """Return one dataset per slice, with pixels; `more` are elements of all."""
    found = series(len(pixels), pixels.shape[1:], **{"RescaleSlope": 1, "RescaleIntercept": 0} | more)
    for one, slice_ in zip(found, pixels, strict=True):
        one.file_meta.TransferSyntaxUID = syntax
        if slice_.dtype == np.uint16:
            one.PixelRepresentation = 0
        one.PixelData = encoded(slice_, syntax)
        one["PixelData"].VR = "OW" if syntax in SYNTAXES[:4] else "OB"
    return found


def write(folder: Path, found: list[Dataset], names=None) -> list[Path]:
    """Write datasets under names that say nothing of their order."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / (names[n] if names else f"{(n * 7919) % 1000:03d}-{n}") for n in range(len(found))]
    for one, path in zip(found, paths, strict=True):
        one.save_as(path, enforce_file_format=True)
    return paths
