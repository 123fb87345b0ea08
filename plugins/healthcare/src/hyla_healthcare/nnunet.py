"""The layout of nnU-Net v2, out and labels back in (nnU-Net documentation, dataset_format.md).

    imagesTr/<case>_0000.nii.gz     the series, int16 or float32, on its own grid
    labelsTr/<case>.nii.gz          the number of the class in each voxel, 0 where there is none
    dataset.json                    channel_names, labels, numTraining, file_ending

A case has the id of its item. Numbers run from 1 without a gap in the order of the schema; `ignore` is the highest, as nnU-Net
wants it. A voxel has one class: of two the more special one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from hyla.errors import ConfigError, FormatError
from hyla.formats import Loss, proved, writing
from hyla.hooks import Format, hookimpl
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare import labelmap, nifti
from hyla_healthcare.labelmap import Places
from hyla_healthcare.nifti_classes import Classes, in_json
from hyla_healthcare.nifti_format import affine_of, volumes_of

ENDING = ".nii.gz"


class NnUnet(Format):
    """Write a dataset for nnU-Net v2, and read its labels.

    Args:
        classes: those to train, in the schema's order; empty for all that may be masks.
        modality: of the series to write, such as CT, where the project has several: one dataset has one.
        unknown: for reading: `error` to refuse classes that the schema does not have, `skip` to leave them out.
        pictures: where the pixels come from.
    """

    name = "nnunet"

    def __init__(
        self,
        classes: Sequence[str] = (),
        modality: str = "",
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        self.classes, self.modality, self.skip = tuple(classes), modality, proved(unknown)
        self.pictures = pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the volumes, of which the masks, as the records come; return what is lost.

        Raises:
            ConfigError: for a class that the schema does not have, and where there are no pictures.
            FormatError: for series of two modalities.
            BadItem: for a series that can't be read any more.
        """
        if self.pictures is None:
            raise ConfigError("nnunet writes the series too, and has none to read", "export from a project: hyla export DIR")
        for name in self.classes:
            schema.class_id(name)
        loss, values = Loss(), labelmap.numbers(schema, self.classes)
        cases, channel = 0, ""
        for one in records:
            labels = volumes_of(one, loss)
            modality = str(one.item.meta.get("modality", ""))
            if len(one.size) != 3 or (self.modality and modality != self.modality):
                loss.count("mask", len(labels))
                continue
            if cases and modality != channel:
                words = sorted(word or "no modality" for word in (channel, modality))
                raise FormatError(
                    f"the project has series of {' and of '.join(words)}, which nnU-Net would scale alike",
                    f"write a dataset of each: modality={channel or modality}",
                )
            image = self.pictures.load(one.item)
            affine = affine_of(image.frame)
            nifti.write(out / "imagesTr" / f"{one.item.id}_0000{ENDING}", image.pixels, affine)
            whole = labelmap.painted(labels, one.size, schema, values, loss)
            nifti.write(out / "labelsTr" / f"{one.item.id}{ENDING}", whole, affine)
            cases, channel = cases + 1, modality
        about = {
            "channel_names": {"0": channel or "image"},
            "labels": {"background": 0, **values},
            "numTraining": cases,
            "file_ending": ENDING,
            "name": schema.name,
        }
        with writing(out / "dataset.json") as file:
            file.write(msgspec.json.format(msgspec.json.encode(about), indent=1) + b"\n")
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of `path`/labelsTr; raise FormatError for labels that lie elsewhere than their series."""
        root = path if (path / "dataset.json").is_file() else path.parent
        files = sorted((root / "labelsTr").glob(f"*{ENDING}"))
        if not (root / "dataset.json").is_file() or not files:
            raise FormatError(f"{path} is no dataset of nnU-Net", "name the folder that holds dataset.json and labelsTr")
        return self._records(in_json(root / "dataset.json"), files, schema)

    def _records(self, table: dict[int, str], files: Sequence[Path], schema: Schema) -> Iterator[Record]:
        classes, places = Classes(schema, None, self.skip), Places.of(self.pictures)
        for file in files:
            place = places.find(file.name, file)
            masks = labelmap.split(labelmap.volume(file, place), table, classes, str(file))
            yield labelmap.record(place, masks, schema, str(file))
