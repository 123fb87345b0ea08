"""Find the DICOM objects of a folder, whatever its files are called, and put them into series."""

from __future__ import annotations

import gzip
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from hyla.errors import BadItem, ConfigError
from hyla.images import EXTENSIONS as PICTURES
from hyla_healthcare.instance import ENHANCED, UNDEFINED, Instance, Source, header_of, quiet, read

# By Modality (PS3.3 C.7.3.1.1.1): objects that hold no picture of their own, and pictures that are no radiology.
NO_PICTURE = {
    **dict.fromkeys(("SR", "DOC", "AU"), "report or document"),
    **dict.fromkeys(("PR", "KO", "FID", "REG", "PLAN", "STAIN"), "presentation state, key object or registration"),
    **dict.fromkeys(("RTSTRUCT", "RTPLAN", "RTRECORD", "RTDOSE", "RTINTENT", "RTSEGANN", "RTRAD"), "radiotherapy object"),
    **dict.fromkeys(("SEG", "ANN", "M3D"), "segmentation or annotation"),
    **dict.fromkeys(("ECG", "HD", "EPS", "RESP", "EEG", "EMG", "EOG"), "waveform"),
    **dict.fromkeys(("RWV",), "value mapping"),
    **dict.fromkeys(("SM", "GM"), "microscopy"),
}
STORAGE = "1.2.840.10008.5.1.4.1.1."
# By SOP class, where Modality is absent or says less.
NO_PICTURE_CLASSES = {
    f"{STORAGE}66": "segmentation or annotation",  # 66.4 segmentation, 66.7 label map, 66.5 surface, 66.1 registration
    f"{STORAGE}88": "report or document",
    f"{STORAGE}104": "report or document",  # encapsulated PDF, CDA, STL
    f"{STORAGE}9": "waveform",
    f"{STORAGE}11": "presentation state, key object or registration",
    f"{STORAGE}481": "radiotherapy object",
    f"{STORAGE}67": "value mapping",
    f"{STORAGE}30": "parametric map",
    f"{STORAGE}77.1.6": "microscopy",
    f"{STORAGE}91.1": "segmentation or annotation",
}
RT_IMAGE = f"{STORAGE}481.1"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
SUFFIXES = (".dcm", ".dicom", ".ima")
CHUNK = 64  # files that a thread asks for at a time
HEADER = 1 << 17  # bytes in which most headers lie


@dataclass(frozen=True)
class Series:
    """Hold the objects of one series, in no order yet.

    Files are found by `find`. For what is fetched over a network, `Series.of(headers, fetch)` takes datasets without pixels, and
    a function that gets the same objects with their pixels: it is called when the pixels are wanted, and not kept.

    Args:
        uid: the ORIGINAL SeriesInstanceUID, or what stands in for one that is missing.
        instances: at least one.
        fetch: return the whole datasets, in any order.
    """

    uid: str
    instances: Sequence[Instance]
    fetch: Callable[[], Sequence[Dataset]] | None = None

    @classmethod
    def of(cls, headers: Iterable[Dataset], fetch: Callable[[], Sequence[Dataset]] | None = None) -> Series:
        """Return the series of datasets in memory, all with one SeriesInstanceUID; with no `fetch` they hold their pixels."""
        quiet()
        instances = [Instance.of(one, number=number) for number, one in enumerate(headers, 1)]
        return cls(instances[0].series, instances, fetch)

    @property
    def modality(self) -> str:
        """Return the Modality of the first object."""
        return self.instances[0].modality

    def headers(self) -> list[Dataset]:
        """Return the header of each object, with its ORIGINAL identity and all elements but the pixels."""
        return [header_of(one.source) for one in self.instances]

    def load(self) -> list[Dataset]:
        """Return whole datasets, fetched anew where they have to be; those of files are not read here."""
        return (
            list(self.fetch()) if self.fetch is not None else [i.source for i in self.instances if isinstance(i.source, Dataset)]
        )

    def sources(self, instances: Sequence[Instance] | None = None) -> list[Source]:
        """Return where the pixels of `instances` (default: all) are: files, or whole datasets, in the same order.

        Raises:
            BadItem: if an object can't be fetched any more.
        """
        wanted = self.instances if instances is None else instances
        if self.fetch is None:
            return [one.source for one in wanted]
        got = {str(dataset.get("SOPInstanceUID", "")): dataset for dataset in self.fetch()}
        if lost := [one.number for one in wanted if one.sop not in got]:
            raise BadItem(f"{len(lost)} of {len(wanted)} objects of the series can't be fetched any more")
        return [got[one.sop] for one in wanted]


@dataclass
class Found:
    """Hold what a scan found.

    Args:
        series: those with pictures, in the order of their first files.
        pictures, volumes: files that are no DICOM: photographs of radiographs, and NIfTI; each with its number.
        unread: (number, file, reason) of what should hold a picture and can't be read.
        passed: how many files hold no picture, by what they are.
        files: how many files there are.
    """

    series: list[Series] = field(default_factory=list)
    pictures: list[tuple[int, Path]] = field(default_factory=list)
    volumes: list[tuple[int, Path]] = field(default_factory=list)
    unread: list[tuple[int, Path, str]] = field(default_factory=list)
    passed: Counter[str] = field(default_factory=Counter)
    files: int = 0


@dataclass(frozen=True, slots=True)
class _Other:
    """Say what a file is that is no DICOM picture: kind picture, volume, unread (with the reason) or passed (what it is)."""

    number: int
    kind: str
    word: str = ""


def find(root: Path, threads: int = 4, only: Path | None = None) -> Found:
    """Return what the files below `root` hold (or the one file `only`), of which only the headers are read.

    They are parsed one by one, since parsing holds the interpreter's lock: several threads at it take half as long again. The
    threads ask the system for the files ahead, so that a slow disk or network is not waited for.

    Raises:
        ConfigError: for a folder that can't be read.
    """
    quiet()
    paths = [only] if only is not None else list(walk(root))
    chunks = [(start, paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    found, grouped = Found(files=len(paths)), dict[tuple[str, str], list[Instance]]()
    with ThreadPoolExecutor(threads) as pool:
        ahead = [pool.submit(_fetch, chunk) for _, chunk in chunks[:threads]]
        for n, (start, chunk) in enumerate(chunks):
            ahead[n].result()
            if n + threads < len(chunks):
                ahead.append(pool.submit(_fetch, chunks[n + threads][1]))
            for number, path in enumerate(chunk, start + 1):
                answer = _look(root, path, number)
                if isinstance(answer, Instance):
                    grouped.setdefault((_key(answer), answer.modality), []).append(answer)
                else:
                    _file(found, answer, paths)
    found.series = [Series(uid, instances) for (uid, _), instances in grouped.items()]
    if only is not None and not (found.series or found.pictures or found.volumes or found.unread):
        found.unread.append((1, only, f"the file holds no picture but a {next(iter(found.passed), 'file of another kind')}"))
    return found


def _key(instance: Instance) -> str:
    """Return the series of an object; without SeriesInstanceUID what lies in one folder, study and frame of reference."""
    return instance.series or f"{instance.place} {instance.study} {instance.reference}"


def walk(root: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield the files below `root`, sorted; hidden ones, linked folders, and links out of `root` are left out.

    Raises:
        ConfigError: for a folder that can't be read.
    """
    here = root if folder is None else folder
    try:
        with os.scandir(here) as entries:
            listed = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        hint = "give read permission; to find it: find SOURCE -type d ! -readable"  # its name may be a patient's
        raise ConfigError(f"a folder of the source can't be read: {error.strerror}", hint) from None
    for entry in listed:
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(root, path)
        elif entry.is_file() and (not entry.is_symlink() or path.resolve().is_relative_to(root)):
            yield path


def is_dicom(path: Path) -> bool:
    """Tell by its beginning whether a file is DICOM, with the preamble or, as old ones, without."""
    try:
        with path.open("rb") as stream:
            return _dicom(stream.read(132))
    except OSError:
        return False


def is_packed(path: Path) -> bool:
    """Tell whether a file is DICOM packed with gzip, by its first bytes."""
    try:
        with gzip.open(path) as stream:
            return _dicom(stream.read(132))
    except (OSError, EOFError, zlib.error):
        return False


def listed(directory: Path) -> list[Path]:
    """Return the files that a DICOMDIR names, or nothing where it is broken: the files themselves are what counts."""
    quiet()
    found = []
    try:
        for record in header_of(directory).get("DirectoryRecordSequence", []):
            name = record.get("ReferencedFileID")
            if name:
                found.append(directory.parent.joinpath(*([name] if isinstance(name, str) else name)))
    except Exception:  # a broken directory may fail to parse in any way; it is only a hint
        return []
    return found


def _fetch(paths: Sequence[Path]) -> None:
    """Ask the system to read the beginnings of files, without waiting for them."""
    for path in paths if hasattr(os, "posix_fadvise") else ():
        with suppress(OSError):  # who reads the file will say what is wrong
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                os.posix_fadvise(descriptor, 0, HEADER, os.POSIX_FADV_WILLNEED)
            finally:
                os.close(descriptor)


def _look(root: Path, path: Path, number: int) -> Instance | _Other:
    try:
        with path.open("rb") as stream:
            head = stream.read(132)
    except OSError as error:
        return _Other(number, "unread", f"file {number} can't be read: {error.strerror}")
    if not _dicom(head):
        return _no_dicom(path, number, head)
    place = f"folder {path.parent.relative_to(root).as_posix()}"
    try:
        instance = read(path, number, place)
    except (BadItem, InvalidDicomError) as error:
        return _Other(number, "unread", str(error).replace("\n", ";"))
    except OSError as error:
        return _Other(number, "unread", f"file {number} can't be read: {error.strerror}")
    return sort_out(instance)


def sort_out(instance: Instance) -> Instance | _Other:
    """Return the instance if it holds a picture, else what it is."""
    number = instance.number
    if instance.sop_class == MEDIA_DIRECTORY:
        return _Other(number, "passed", "DICOMDIR")
    if word := what(instance):
        return _Other(number, "passed", word)
    if not (instance.rows or instance.columns or instance.pixels):
        if not (instance.sop_class.startswith(STORAGE) or instance.modality):
            return _Other(number, "passed", "data set without a picture")
        return _Other(number, "unread", f"file {number} has no pixels: it is cut off, or was stored without them")
    if instance.frames > max(instance.stamp[0], instance.length if instance.length != UNDEFINED else 0) > 0:
        return _Other(number, "unread", f"file {number} says that it has more frames than it can hold")
    if not instance.pixels:
        return _Other(number, "unread", f"file {number} ends before its pixels; copy it again from where it came")
    return instance


def what(instance: Instance) -> str:
    """Return what an object is that holds no picture to label, or nothing."""
    if instance.sop_class == RT_IMAGE or instance.sop_class in ENHANCED:
        return ""
    prefix = next((p for p in NO_PICTURE_CLASSES if instance.sop_class == p or instance.sop_class.startswith(f"{p}.")), "")
    return NO_PICTURE_CLASSES.get(prefix, "") or NO_PICTURE.get(instance.modality, "")


def _no_dicom(path: Path, number: int, head: bytes) -> _Other:
    from hyla_healthcare import nifti

    name = path.name.lower()
    if nifti.is_nifti(path):
        return _Other(number, "volume")
    if path.suffix.lower() in PICTURES:
        return _Other(number, "picture")
    if name.endswith(SUFFIXES):
        reason = "is empty" if not head else "is called DICOM and is none"
        return _Other(number, "unread", f"file {number} {reason}; copy it again from where it came")
    if head.startswith(b"\x1f\x8b") and is_packed(path):
        return _Other(number, "unread", f"file {number} is DICOM packed with gzip; unpack it first")
    return _Other(number, "passed", "file of another kind")


def _file(found: Found, other: _Other, paths: Sequence[Path]) -> None:
    if other.kind == "unread":
        found.unread.append((other.number, paths[other.number - 1], other.word))
    elif other.kind == "passed":
        found.passed[other.word] += 1
    else:
        (found.pictures if other.kind == "picture" else found.volumes).append((other.number, paths[other.number - 1]))


def _dicom(head: bytes) -> bool:
    """Tell DICOM by its magic word, or by a first element of group 0002 or 0008 with a plausible VR or length."""
    if head[128:132] == b"DICM":
        return True
    if head[:2] in (b"\x02\x00", b"\x08\x00"):  # little-endian: explicit, or implicit with a short length
        return len(head) >= 8 and head[3] == 0 and ((head[4:6].isalpha() and head[4:6].isupper()) or head[6:8] == b"\0\0")
    return head[:3] in (b"\x00\x02\x00", b"\x00\x08\x00") and head[4:6].isalpha() and head[4:6].isupper()


def is_directory(path: Path) -> bool:
    """Tell whether a file is a DICOMDIR, whatever it is called."""
    try:
        return is_dicom(path) and read(path).sop_class == MEDIA_DIRECTORY
    except (BadItem, OSError):
        return False
