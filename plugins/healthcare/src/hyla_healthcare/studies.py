"""The loader of studies: DICOM series, radiographs and NIfTI, from folders, files, DICOMDIR and DICOMweb."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from pydicom import Dataset

from hyla.errors import BadItem, ConfigError
from hyla.frame import PatientFrame
from hyla.hooks import Loader, hookimpl
from hyla.images import EXTENSIONS as PICTURES
from hyla.images import read_image
from hyla.types import Image, Item, item_id
from hyla_healthcare import decode, facts, geometry, radiograph, scan, slices
from hyla_healthcare.deidentify import Gate
from hyla_healthcare.instance import Instance, Source, header_of, quiet


@dataclass(frozen=True, slots=True)
class _Entry:
    """Say what an item is made of: a volume or a frame of a series, or a file that is no DICOM."""

    series: scan.Series | None = None
    volume: geometry.Volume | None = None
    instance: Instance | None = None
    path: Path | None = None


class Studies(Loader):
    """Load what a folder, a file, a DICOMDIR or a DICOMweb archive holds of radiology, de-identified.

    A series in space (CT, MR, PET; single- or multi-frame) is one item: a volume (D, H, W), CT in HU. A series that holds several
    volumes (echoes, b-values, orientations, localizers) gives one item each, numbered. Any other picture (CR, DX, MG, US, ...) is
    an item of its own; the frames of a cine loop are the items of one group. NIfTI volumes and PNG or JPEG radiographs are read
    as well. Reports, presentation states, segmentations, waveforms and other objects without a picture are passed over, and
    counted in `passed`; if such a file is the source itself, it is quarantined with the reason. Messages name a file by its
    number, counted from 1 in the order of sorted paths: no name, path or value of a header is ever told.

    Args:
        deidentify: makes pseudonyms of UIDs and patients.
        threads: for reading headers and decoding, per volume; None for one per core, at most 8.
        max_voxels: refuse a volume with more, before it is decoded.
        max_pixels: the same for a picture.
        ocr: look for burned-in text in pictures, and black it out: `auto` where the header does not rule it out and rapidocr is
            installed, `always`, or `never`.
        query: of a DICOMweb source: a JSON file with more filters.
        timeout: of a DICOMweb source: seconds that the archive may keep silent.
        modality: of NIfTI volumes, which do not say theirs unless a BIDS sidecar does: CT makes their values HU.
    """

    def __init__(
        self,
        deidentify: Gate | None = None,
        threads: int | None = None,
        max_voxels: int = decode.MAX_VOXELS,
        max_pixels: int = radiograph.MAX_PIXELS,
        ocr: Literal["auto", "always", "never"] = "auto",
        query: str | None = None,
        timeout: float = 60,
        modality: str = "",
    ) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"threads is {threads}", "give 1 or more, or null for one per core")
        if ocr not in ("auto", "always", "never"):
            raise ConfigError(f"ocr is {ocr!r}", choices=("auto", "always", "never"))
        self.gate = Gate() if deidentify is None else deidentify
        self.threads, self.ocr = threads, ocr
        self.max_voxels, self.max_pixels = max_voxels, max_pixels
        self.query, self.timeout, self.modality = query, timeout, modality
        self.passed: Counter[str] = Counter()
        self._source = ""
        self._entries: dict[str, _Entry] = {}
        self._complete = False
        self._lock = RLock()

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the items of a folder, a file or an archive (dicomweb+https://...), in the order of their first files.

        None unless `source` is one of these. All headers are read when the first item is asked for, pixels never.
        """
        from hyla_healthcare import dicomweb

        if not dicomweb.is_web(source) and not self._is_mine(source):
            return None
        with self._lock:
            self._source, self._complete = source, False
            self._entries, self.passed = {}, Counter()
        return self._items(source)

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return a volume or picture; raise BadItem, without any value of a header, for what can't be read."""
        if "error" in item.meta:
            raise BadItem(str(item.meta["error"]))
        quiet()
        entry = self._entry(item)
        if entry.volume is not None:
            return self._volume(item, entry)
        if entry.instance is not None:
            return self._picture(item, entry)
        if entry.path is None:
            raise BadItem("what the source holds here can't be read any more", "was it changed since the scan?")
        from hyla_healthcare import nifti

        if nifti.is_nifti(entry.path):
            return nifti.read(entry.path, item, self.max_voxels)
        return Image(read_image(entry.path, self.max_pixels), item)

    def originals(self, item: Item) -> list[Dataset]:
        """Return the headers that an item was made of, with their ORIGINAL identity, in the order of its slices; no pixels.

        One for multi-frame; none for what is no DICOM. `items(source)` must have been called.

        Raises:
            BadItem: if the source holds no such item.
        """
        quiet()
        entry = self._entry(item)
        if entry.volume is not None:
            return [header_of(one.source) for one in _unique([s.instance for s in entry.volume.slices])]
        return [] if entry.instance is None else [header_of(entry.instance.source)]

    def objects(self, item: Item) -> Iterator[tuple[Instance, Source]]:
        """Yield the objects whose headers `originals` returns, each with where its pixels are; raise BadItem as it does."""
        quiet()
        entry = self._entry(item)
        found = [s.instance for s in entry.volume.slices] if entry.volume is not None else [entry.instance]
        known = _unique([one for one in found if one is not None])
        if entry.series is not None:
            yield from zip(known, entry.series.sources(known), strict=True)

    def _is_mine(self, source: str) -> bool:
        from hyla_healthcare import nifti

        if "://" in source:
            return False
        path = Path(source).expanduser()
        if not path.is_file():
            return path.is_dir()
        known = nifti.is_nifti(path) or path.suffix.lower() in (*scan.SUFFIXES, *PICTURES)
        return known or scan.is_dicom(path) or scan.is_packed(path)

    def _entry(self, item: Item) -> _Entry:
        """Return what an item is made of; without it, the whole source is scanned first, once."""
        found = self._entries.get(item.id)
        if found is None:
            with self._lock:
                if not self._complete and self._source:
                    for _ in self._items(self._source):
                        pass
                    self._complete = True
            found = self._entries.get(item.id)
        if found is None:
            raise BadItem("the source does not hold this item (any more)", "was it moved since the scan?")
        return found

    def _items(self, source: str) -> Iterator[Item]:
        for item, entry in self._found(source):
            self._entries[item.id] = entry
            yield item

    def _found(self, source: str) -> Iterator[tuple[Item, _Entry]]:
        from hyla_healthcare import dicomweb

        if dicomweb.is_web(source):
            for one in dicomweb.series(source, self.query, self.timeout):
                yield from self._series(one)
            return
        path = Path(source).expanduser().resolve()
        whole = path.is_dir() or path.name.upper() == "DICOMDIR" or scan.is_directory(path)
        root = path if path.is_dir() else path.parent
        found = scan.find(root, self.threads or 4, None if whole else path)
        self.passed = found.passed
        if whole and path.is_file() and (lost := [one for one in scan.listed(path) if not one.is_file()]):
            yield self._unread(root, path, f"the DICOMDIR lists {len(lost)} files that are not there; copy the medium again")
        todo: list[tuple[int, Any]] = [(one.instances[0].number, one) for one in found.series]
        todo += [(number, file) for number, file in (*found.pictures, *found.volumes)]
        todo += [(number, (file, reason)) for number, file, reason in found.unread]
        for _, one in sorted(todo, key=lambda pair: pair[0]):
            if isinstance(one, scan.Series):
                yield from self._series(one)
            elif isinstance(one, Path):
                yield self._file(root, one)
            else:
                yield self._unread(root, *one)

    def _series(self, series: scan.Series) -> Iterator[tuple[Item, _Entry]]:
        pictures = [one for one in series.instances if slices.flat(one)]
        placed = [one for one in series.instances if not slices.flat(one)]
        if placed:
            yield from self._volumes(series, placed)
        names: set[str] = set()
        for one in pictures:
            if (name := one.sop or _whose(one)) in names:
                self.passed["duplicate"] += 1
                continue
            names.add(name)
            yield from self._pictures(series, one, name)

    def _volumes(self, series: scan.Series, placed: Sequence[Instance]) -> Iterator[tuple[Item, _Entry]]:
        uri = f"{_modality(series)}/{self.gate.uid(series.uid)}"
        try:
            found = geometry.volumes(placed, decode.same_pixels)
        except BadItem as error:
            yield Item(item_id(uri), uri, kind="series", meta={"error": error.line}), _Entry()
            return
        for number, volume in enumerate(found, 1):
            name = uri if len(found) == 1 else f"{uri}/{number}"
            first = volume.slices[0].instance
            meta = facts.of_series(header_of(first.source), first, self.gate) | facts.of_volume(volume, self.gate)
            meta["series"] = self.gate.uid(series.uid)
            yield Item(_id(uri, name), name, kind="series", meta=meta), _Entry(series, volume)

    def _pictures(self, series: scan.Series, one: Instance, name: str) -> Iterator[tuple[Item, _Entry]]:
        uri = f"{_modality(series)}/{self.gate.uid(name)}"
        header = header_of(one.source)
        meta = facts.of_series(header, one, self.gate) | radiograph.spacing(header)
        if one.frames == 1:
            yield Item(item_id(uri), uri, kind="radiograph", meta=meta), _Entry(series, instance=one)
            return
        for index in range(one.frames):
            yield Item(item_id(uri, index), uri, uri, index, "image", meta), _Entry(series, instance=one)

    def _file(self, root: Path, path: Path) -> tuple[Item, _Entry]:
        from hyla_healthcare import nifti

        uri = path.relative_to(root).as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if not nifti.is_nifti(path):
            return Item(item_id(uri), uri), _Entry(path=path)
        try:
            return Item(item_id(uri), uri, kind="series", meta=nifti.facts(path, self.modality)), _Entry(path=path)
        except BadItem as error:
            return Item(item_id(uri), uri, kind="series", meta={"error": error.line}), _Entry()

    def _unread(self, root: Path, path: Path, reason: str) -> tuple[Item, _Entry]:
        uri = f"unread/{self.gate.uid(f'file {path.relative_to(root).as_posix()}')}"
        return Item(item_id(uri), uri, meta={"error": reason}), _Entry()

    def _volume(self, item: Item, entry: _Entry) -> Image:
        volume, series = entry.volume, entry.series
        assert volume is not None
        assert series is not None
        sources = series.sources([one.instance for one in volume.slices])
        pixels = decode.pixels(volume, sources, self.threads, self.max_voxels)
        frame = PatientFrame(volume.affine, self.gate.uid(volume.slices[0].reference))
        return Image(pixels, item, frame, facts.context(dict(item.meta)), volume=True)

    def _picture(self, item: Item, entry: _Entry) -> Image:
        one, series = entry.instance, entry.series
        assert one is not None
        assert series is not None
        header, [source] = header_of(one.source), series.sources([one])
        pixels = radiograph.picture(one, header, item.index, source, self.max_pixels)
        pixels, told = radiograph.without_text(pixels, one, header, self.ocr)
        context = {name: known for name, known in facts.context(dict(item.meta)).items() if name != "window"}  # it is applied
        return Image(pixels, item, context=context | told)


def _unique(instances: Sequence[Instance]) -> list[Instance]:
    return list({id(one): one for one in instances}.values())


def _id(uri: str, name: str) -> str:
    """Return the id of a volume: the series stays readable in it."""
    return item_id(uri) if name == uri else item_id(uri, int(name.rsplit("/", 1)[1]))


def _whose(one: Instance) -> str:
    """Return what stands in for a missing SOPInstanceUID: where its file is, which only ever leaves as a hash."""
    return f"{one.place} {one.source.name if isinstance(one.source, Path) else one.number}"


def _modality(series: scan.Series) -> str:
    word = series.modality.lower()
    return word if word.isascii() and word.isalpha() and len(word) <= 4 else "ot"
