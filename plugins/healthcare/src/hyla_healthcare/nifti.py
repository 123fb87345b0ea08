"""NIfTI, NRRD and MetaImage: volumes of which nobody vouches, and how they lie in the patient.

A file counts its voxels (x, y, z) along axes of its own, and NIfTI says where they are in RAS (x to the right). Here everything
is LPS, as DICOM has it: an affine takes (x, y, slice) at voxel centres to millimetres, and `read` turns the axes so that x goes
left, y goes back and slices go up as nearly as they can without resampling. Header text (description, names, extensions) is
never kept: people write patients into it.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla.frame import Matrix4, PatientFrame
from hyla.types import Image, Item
from hyla_healthcare import nrrd

Array = npt.NDArray[Any]
Affine = npt.NDArray[np.float64]

NIFTI = (".nii", ".nii.gz")
SUFFIXES = (*NIFTI, *nrrd.SUFFIXES)
MAX_VOXELS = 2**30  # 1024 slices of 1024 x 1024
MAX_HEADER = 16 * 2**20  # bytes before the voxels, extensions included: DICOM headers and label tables are far smaller
FARTHEST = 1e9  # mm, and the largest scale: nothing that a scanner made
PIECE = 2**24  # bytes unpacked at a time
TO_MM = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # from RAS and back
# BIDS 1.10 sidecar -> our words. What else it may hold (names, dates, free text) is passed over.
SIDECAR = {
    "Modality": "modality",
    "Manufacturer": "manufacturer",
    "ManufacturersModelName": "scanner",
    "ConvolutionKernel": "kernel",
    "BodyPartExamined": "body_part",
}


@dataclass(frozen=True)
class Header:
    """Say what a file holds.

    Args:
        shape: voxels along the file's own axes x, y, z.
        affine: 4 x 4, from (x, y, z) at voxel centres to LPS millimetres.
        slope, inter: value = slope * stored + inter.
        dtype, offset: of the stored voxels in the (unpacked) file; none and 0 where ITK reads it.
    """

    shape: tuple[int, int, int]
    affine: Affine
    slope: float = 1.0
    inter: float = 0.0
    dtype: Any = None
    offset: int = 0


def is_nifti(path: Path) -> bool:
    """Tell by its name whether `path` is a volume that `read` takes: .nii, .nii.gz, .nrrd or .mha."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """Return the file's name without the ending of a volume."""
    ending = next((end for end in SUFFIXES if path.name.lower().endswith(end)), "")
    return path.name[: len(path.name) - len(ending)] if ending else path.stem


def facts(path: Path, modality: str = "") -> dict[str, Any]:
    """Return what is known before the voxels are read, as the `meta` of an item: slices, spacing_mm, modality and so on.

    A NIfTI file does not say its modality: it is `modality`, or what a BIDS sidecar (the same name with .json) says.

    Raises:
        BadItem: as `header` does.
    """
    known = header(path)
    grid, affine = turned(np.broadcast_to(np.uint8(0), known.shape), known.affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    meta: dict[str, Any] = {"slices": grid.shape[2], "spacing_mm": [round(float(s), 6) for s in reversed(spacing)]}
    meta |= _sidecar(path.with_name(f"{stem(path)}.json"))
    if modality:
        meta["modality"] = modality
    if meta.get("modality") == "CT":
        meta["unit"] = "HU"
    return meta


def read(path: Path, item: Item, max_voxels: int = MAX_VOXELS) -> Image:
    """Return the volume of `path`: (D, H, W), slices upwards, int16 where the values are whole numbers, else float32.

    Voxels that hold no number become the lowest number of the volume.

    Raises:
        BadItem: as `header` does, and for a file that is truncated or damaged.
    """
    known = header(path, max_voxels)
    values, affine = turned(stored(path, known), known.affine)
    volume = scaled(np.ascontiguousarray(values.transpose(2, 1, 0)), known)
    context = {name: item.meta[name] for name in SIDECAR.values() if name in item.meta}
    return Image(volume, item, frame_of(affine), context, volume=True)


def header(path: Path, max_voxels: int = MAX_VOXELS) -> Header:
    """Return what a file says of itself, tested before anything is unpacked.

    The place is the sform, else the qform, as nibabel has it. A file with neither is refused: left and right would be a guess.

    Raises:
        BadItem: for a file that is no volume, is 4-D, in colour or complex, has more than `max_voxels`, or lies nowhere.
    """
    try:
        known = Header(*nrrd.header(path)) if path.name.lower().endswith(nrrd.SUFFIXES) else _nifti_header(path)
    except (OSError, EOFError, zlib.error) as error:
        raise BadItem(f"the volume can't be read: {type(error).__name__}", "copy it again from where it came") from error
    if math.prod(known.shape) > max_voxels:
        size = " x ".join(map(str, known.shape))
        raise BadItem(
            f"the volume has {size} voxels, more than max_voxels={max_voxels}", "raise max_voxels if it is to be trusted"
        )
    if not (np.abs([*known.affine.flat, known.slope, known.inter]) < FARTHEST).all():
        raise BadItem("the affine or the scale of the volume is not finite", "the file is damaged: convert it again")
    if abs(np.linalg.det(known.affine[:3, :3])) < 1e-9:
        raise BadItem("the affine of the volume is flat: an axis has no length", "the file is damaged: convert it again")
    return known


def stored(path: Path, known: Header) -> Array:
    """Return the voxels as they are stored, (x, y, z) along the file's own axes; raise BadItem for a damaged file."""
    try:
        if not known.offset:
            return nrrd.voxels(path)
        flat = np.empty(math.prod(known.shape), known.dtype)
        with opened(path) as file:
            file.read(known.offset)
            room = memoryview(flat.view(np.uint8))  # type: ignore[arg-type]
            for start in range(0, len(room), PIECE):
                piece = file.read(min(PIECE, len(room) - start))
                room[start : start + len(piece)] = piece
                if start + len(piece) < min(start + PIECE, len(room)):
                    raise EOFError
            file.read(1)  # at its end, gzip compares its checksum
        return flat.reshape(known.shape, order="F")
    except (OSError, EOFError, zlib.error, ValueError, RuntimeError) as error:  # gzip, nibabel and ITK, on damage
        raise BadItem(
            "the voxels of the volume can't be read: truncated or damaged", "copy it again from where it came"
        ) from error


def turned(values: Array, affine: Affine, like: Affine | None = None) -> tuple[Array, Affine]:
    """Return voxels (x, y, z) with their axes swapped and flipped, a view, and the affine that then holds.

    Args:
        values: (x, y, z).
        affine: of them, to LPS.
        like: an affine to LPS whose order of axes is wanted; without it x goes left, y back and z up.
    """
    orientations = _nibabel("orientations")
    change = orientations.io_orientation(affine if like is None else np.linalg.inv(like) @ affine)
    undo = orientations.inv_ornt_aff(change, values.shape)
    return orientations.apply_orientation(values, change), affine @ undo


def scaled(values: Array, known: Header) -> Array:
    """Return slope * values + inter as int16 where nothing is lost by it, else float32, slice by slice to save memory."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.any():
            raise BadItem("the volume holds no number", "the file is damaged: convert it again")
        if not finite.all():
            values = np.where(finite, values, values[finite].min())
    whole = (
        known.slope == 1
        and known.inter == round(known.inter)
        and (values.dtype.kind in "iu" or all(np.array_equal(one, np.rint(one)) for one in values))
    )
    low, high = (float(v) * known.slope + known.inter for v in (values.min(), values.max()))
    kind = np.int16 if whole and min(low, high) >= -32768 and max(low, high) <= 32767 else np.float32
    if (known.slope, known.inter) == (1, 0):
        return values.astype(kind, copy=False)
    out = np.empty(values.shape, kind)
    for n, one in enumerate(values):
        out[n] = one * known.slope + known.inter
    return out


def frame_of(affine: Affine) -> PatientFrame:
    """Return the frame of an affine to LPS; a file says nothing of its frame of reference."""
    rows = (affine + 0.0).tolist()  # + 0.0 makes 0 of -0
    return PatientFrame(cast("Matrix4", tuple(tuple(row) for row in rows)))


def write(path: Path, volume: Array, affine: Affine) -> None:
    """Write a volume (D, H, W) as .nii.gz, byte for byte the same each time.

    The sform holds the affine; the qform too, where the axes are at right angles, as it can't hold a shear.

    Raises:
        FormatError: for a folder that can't be written.
    """
    from hyla.formats import writing

    nibabel = _nibabel("nifti1")
    ras = LPS @ affine
    image = nibabel.Nifti1Image(volume.transpose(2, 1, 0), ras, dtype=volume.dtype)
    image.header.set_xyzt_units("mm")
    axes = ras[:3, :3] / np.linalg.norm(ras[:3, :3], axis=0)
    image.set_sform(ras, code="scanner")
    image.set_qform(ras, code="scanner" if np.allclose(axes.T @ axes, np.eye(3), atol=1e-5) else "unknown")
    with writing(path) as file, gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        image.to_stream(packed)


def opened(path: Path) -> IO[bytes]:
    """Return the bytes of a NIfTI file, unpacked."""
    return cast("IO[bytes]", gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _nifti_header(path: Path) -> Header:
    nibabel, error_type = _nibabel("nifti2"), _nibabel("spatialimages").HeaderDataError
    packed = path.name.lower().endswith(".gz")
    with opened(path) as file:
        block = file.read(540)
    sizes = {int.from_bytes(block[:4], order) for order in ("little", "big")}
    cls, length = (nibabel.Nifti2Header, 540) if 540 in sizes else (nibabel.Nifti1Header, 348)
    if not sizes & {348, 540} or len(block) < length:
        raise BadItem("the file is no NIfTI", "convert it with dcm2niix, or leave it out of the source")
    found = cls(block[:length], check=False)
    try:
        shape, dtype = found.get_data_shape(), found.get_data_dtype()
        slope, inter = found.get_slope_inter()
        unit = TO_MM.get(found.get_xyzt_units()[0], 1.0)
    except (error_type, KeyError, ValueError) as error:
        raise BadItem("the header of the NIfTI file contradicts itself", "the file is damaged: convert it again") from error
    if bytes(found["magic"].item())[:3] not in (b"n+1", b"n+2"):
        raise BadItem("the NIfTI file has its voxels in a second file", "convert it to .nii.gz")
    if math.prod(shape[3:]) != 1:
        raise BadItem(
            f"the file holds {math.prod(shape[3:])} volumes", "split it into one file per volume: fslsplit, nibabel.four_to_three"
        )
    if len(shape) < 3 or min(shape[:3]) < 1:
        raise BadItem(f"the file holds no volume: its dimensions are {shape}", "only volumes are read from NIfTI")
    if dtype.kind not in "iuf":
        raise BadItem("the voxels are colours or complex numbers", "convert it to grey values")
    if not (found["sform_code"] > 0 or found["qform_code"] > 0):
        raise BadItem(
            "neither qform nor sform says how the volume lies in the patient: left and right would be a guess",
            "convert it again from DICOM, or set the qform code if the axes are known",
        )
    try:
        ras = np.asarray(found.get_best_affine(), dtype=np.float64)
    except error_type as error:
        raise BadItem("the qform of the volume is no rotation", "the file is damaged: convert it again") from error
    offset, there = int(found["vox_offset"]), path.stat().st_size
    needed = offset + math.prod(shape[:3]) * dtype.itemsize
    if not length < offset <= MAX_HEADER or needed > there * (1032 if packed else 1) + (1032 if packed else 0):  # deflate's best
        raise BadItem("the file is shorter than its header says", "copy it again from where it came")
    affine = ras * (LPS.diagonal() * (unit, unit, unit, 1))[:, None]
    x, y, z = (int(n) for n in shape[:3])
    return Header((x, y, z), affine, 1.0 if slope is None else slope, 0.0 if inter is None else inter, dtype, offset)


def _nibabel(module: str) -> Any:
    """Return a module of nibabel, whose functions have no types."""
    return import_module(f"nibabel.{module}")


def _sidecar(path: Path) -> dict[str, str]:
    """Return what a BIDS sidecar says in fields that name no person; nothing where there is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() and path.stat().st_size < 2**20 else {}
    except (OSError, ValueError, RecursionError):
        return {}
    known = values if isinstance(values, dict) else {}
    return {word: text for key, word in SIDECAR.items() if isinstance(text := known.get(key), str) and text and len(text) <= 64}
