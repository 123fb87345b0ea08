"""Segmentations as NIfTI, in and out.

Written are uint8 volumes .nii.gz on the grid of their series, `images.jsonl`, which says what each file is of, and
`classes.json`, {"labels": {class: number}}. A layout `structures` has a folder per series and a file of 0 and 1 per label,
so that labels may overlap and none is lost; `labelmap` has one file per series with the number of the class in each voxel, in
which the more special class wins.

Read are both, and what other tools write: labelmaps, and folders of one file per structure as TotalSegmentator has them. A file
belongs to the item whose id, path or name it has, else to the one item that lies in the same place. It must lie there to
within 0.01 mm: its axes may run in another order, but nothing is resampled.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from hyla import frame as frames
from hyla import geometry
from hyla.errors import ConfigError, FormatError, HylaError
from hyla.formats import Loss, inside, proved, writing
from hyla.formats.listing import Listed
from hyla.frame import Frame, PatientFrame
from hyla.hooks import Format, hookimpl
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Bools, Labels, Record
from hyla_healthcare import labelmap, nifti
from hyla_healthcare.labelmap import Masks, Place, Places
from hyla_healthcare.nifti_classes import Classes, table_of

LAYOUTS = ("structures", "labelmap")
LISTING = "images.jsonl"
CARRIED = ("frame", "meta")


class _Listed(Listed):
    masks: tuple[tuple[str, str], ...] = ()  # file and class, of the layout structures


class Nifti(Format):
    """Read and write segmentations as NIfTI.

    Args:
        layout: `structures` to write a file per label, `labelmap` to write one per series.
        classes: for reading: what numbers and names mean, as {5: liver, "rib_*": [rib, bone]}, or `totalsegmentator`; by itself
            the names in the file's header, in classes.json or dataset.json beside it, and of the files.
        item: for reading: id or path of the item that a single file is of.
        unknown: for reading: `error` to refuse classes that the schema does not have, `skip` to leave them out.
        pictures: where the items of the project lie.
    """

    name = "nifti"

    def __init__(
        self,
        layout: str = "structures",
        classes: Mapping[Any, Any] | str | None = None,
        item: str = "",
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        if layout not in LAYOUTS:
            raise ConfigError(f"layout={layout} is not a choice", choices=LAYOUTS)
        self.layout, self.classes, self.item, self.skip = layout, classes, item, proved(unknown)
        self.pictures = pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the masks of volumes as the records come; return what is lost."""
        loss, values = Loss(), labelmap.numbers(schema)
        with writing(out / LISTING) as listing:
            for one in records:
                labels = volumes_of(one, loss)
                if len(one.size) != 3:
                    continue
                place = affine_of(one.frame)
                files: list[tuple[str, str]] = []
                if self.layout == "labelmap":
                    whole = labelmap.painted(labels, one.size, schema, values, loss)
                    nifti.write(out / f"{one.item.id}.nii.gz", whole, place)
                else:
                    files = _named(labels, one.item.id, schema)
                    for (file, _), shape in zip(files, labels.shape, strict=True):
                        nifti.write(out / file, geometry.decode(shape).astype(np.uint8), place)
                listing.write(self._line(one, files))
        with writing(out / "classes.json") as summary:
            listed = msgspec.json.encode({"labels": {"background": 0, **values}})
            summary.write(msgspec.json.format(listed, indent=1) + b"\n")
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a file or a folder; raise FormatError for a file that lies elsewhere than its item."""
        if path.is_dir() and (path / LISTING).is_file():
            return self._own(path, schema)
        return self._foreign(path, schema)

    def _line(self, one: Record, masks: list[tuple[str, str]]) -> bytes:
        i, size = one.item, tuple(int(side) for side in one.size)
        file = f"{i.id}.nii.gz" if self.layout == "labelmap" else i.id
        frame = frames.to_dict(one.frame)
        listed = _Listed(file, i.id, i.uri, size, i.group, i.index, i.kind, frame, dict(i.meta), masks=tuple(masks))
        return msgspec.json.encode(listed) + b"\n"

    def _own(self, path: Path, schema: Schema) -> Iterator[Record]:
        classes, places = Classes(schema, None, self.skip), Places.of(self.pictures)
        decoder = msgspec.json.Decoder(_Listed)
        with (path / LISTING).open("rb") as lines:
            for number, text in enumerate(lines, 1):
                where = f"{path / LISTING} line {number}"
                try:
                    one = decoder.decode(text)
                    frame = frames.from_dict(one.frame or {"kind": "pixel"})
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, HylaError) as error:
                    raise FormatError(f"{where}: {error}") from error
                inside(one.uri, where)
                place = places.ids.get(one.id) or (one.item, one.size, frame)
                if one.file.endswith(".nii.gz"):
                    file = path / inside(one.file, where)
                    masks = labelmap.split(labelmap.volume(file, place), table_of(file), classes, str(file))
                else:
                    parts = [(path / inside(file, where), name) for file, name in one.masks]
                    masks = list(_parts(parts, place, classes))
                yield labelmap.record(place, masks, schema, where)

    def _foreign(self, path: Path, schema: Schema) -> Iterator[Record]:
        classes, places = Classes(schema, self.classes, self.skip), Places.of(self.pictures)
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and nifti.is_nifti(p))
        if not files:
            raise FormatError(f"{path} holds no volume", "name a file, or a folder of them", nifti.SUFFIXES)
        root = path.resolve() if path.is_dir() else path.resolve().parent
        folders: dict[Path, list[Path]] = defaultdict(list)
        for file in files:
            if classes.knows(nifti.stem(file)):
                folders[file.parent].append(file)
                continue
            place = places.find(self.item or file.resolve().relative_to(root).as_posix(), file, bool(self.item))
            masks = labelmap.split(labelmap.volume(file, place), table_of(file), classes, str(file))
            yield labelmap.record(place, masks, schema, str(file))
        for folder, parts in folders.items():
            case = folder.resolve().parent if folder.name == "segmentations" else folder.resolve()  # as TotalSegmentator has it
            place = places.find(self.item or case.name, parts[0], bool(self.item))
            masks = _joined(_parts([(part, nifti.stem(part)) for part in parts], place, classes))
            yield labelmap.record(place, masks, schema, str(folder))


def volumes_of(one: Record, loss: Loss) -> Labels:
    """Return the masks of a volume; count everything else as lost."""
    labels = loss.take(one, ("mask",), CARRIED)
    deep = np.array([len(shape.size) == 3 for shape in labels.shape], dtype=bool)
    loss.count("mask", (~deep).sum())
    return labels[deep]


def affine_of(frame: Frame) -> npt.NDArray[np.float64]:
    """Return the affine to LPS of a frame; for one that says nothing of a patient, voxels of 1 mm."""
    return np.array(frame.affine if isinstance(frame, PatientFrame) else PatientFrame().affine, dtype=np.float64)


def _named(labels: Labels, folder: str, schema: Schema) -> list[tuple[str, str]]:
    """Return file and class of each label: `id/liver.nii.gz`, and `id/rib.2.nii.gz` for a second one of its class."""
    seen: Counter[int] = Counter()
    named = []
    for class_id in labels.class_id.tolist():
        seen[class_id] += 1
        name = schema.names[class_id]
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
        if sum(safe == "".join(c if c.isalnum() or c in "-_" else "_" for c in other) for other in schema.names) > 1:
            safe = f"{safe}-{class_id}"
        number = f".{seen[class_id]}" if seen[class_id] > 1 else ""
        named.append((f"{folder}/{safe}{number}.nii.gz", name))
    return named


def _parts(parts: Iterable[tuple[Path, str]], place: Place, classes: Classes) -> Iterator[tuple[int, Bools]]:
    """Yield class id and mask of files of one structure each."""
    for file, name in parts:
        if meant := classes.meant(-1, name, str(file)):
            mask = labelmap.volume(file, place) != 0
            yield from ((class_id, mask) for class_id in meant)


def _joined(masks: Iterable[tuple[int, Bools]]) -> Masks:
    """Return one mask per class."""
    joined: dict[int, Bools] = {}
    for class_id, mask in masks:
        joined[class_id] = joined[class_id] | mask if class_id in joined else mask
    return sorted(joined.items())
