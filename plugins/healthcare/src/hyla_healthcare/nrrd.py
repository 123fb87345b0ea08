"""NRRD and MetaImage volumes, read by ITK."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem

Affine = npt.NDArray[np.float64]

SUFFIXES = (".nrrd", ".mha")  # not .nhdr and .mhd: they name a second file


def header(path: Path) -> tuple[tuple[int, int, int], Affine]:
    """Return voxels along x, y, z, and the affine from them to LPS millimetres, without reading the voxels.

    Raises:
        BadItem: for a file that is no single grey volume, has its voxels in another file, or does not say where it lies.
    """
    with path.open("rb") as file:
        text = file.read(2**16).split(b"\n\n")[0].lower()
    if path.name.lower().endswith(".nrrd"):
        elsewhere, placed = b"data file:" in text or b"datafile:" in text, b"\nspace:" in text
    else:
        elsewhere, placed = b"elementdatafile = local" not in text, True  # MetaImage is LPS unless it says otherwise
    if elsewhere:
        raise BadItem("the volume has its voxels in a second file", "convert it to .nii.gz")
    if not placed:
        raise BadItem("the NRRD file has no `space`: left and right would be a guess", "convert it again from DICOM")
    reader = _itk().ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:  # how ITK says anything
        raise BadItem("the file is no volume that ITK reads", "convert it to .nii.gz") from error
    if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1 or min(reader.GetSize()) < 1:
        raise BadItem("the file holds no single grey volume", "split it into one file per volume")
    affine = np.eye(4)
    affine[:3, :3] = np.array(reader.GetDirection()).reshape(3, 3) * reader.GetSpacing()
    affine[:3, 3] = reader.GetOrigin()
    x, y, z = (int(n) for n in reader.GetSize())
    return (x, y, z), affine


def voxels(path: Path) -> npt.NDArray[Any]:
    """Return the voxels (x, y, z); ITK raises RuntimeError for a damaged file."""
    itk = _itk()
    return np.asarray(itk.GetArrayFromImage(itk.ReadImage(str(path)))).transpose(2, 1, 0)


def _itk() -> Any:
    itk: Any = import_module("SimpleITK")  # whose functions have no types
    itk.ProcessObject.SetGlobalWarningDisplay(False)  # its warnings name the file, and a name may be a patient's
    return itk
