"""MOTChallenge text files, in and out (https://motchallenge.net), as TrackEval, CVAT and Datumaro read them.

    <sequence>/gt/gt.txt      ground truth: what people track, with class and visibility
    <sequence>/det/det.txt    detections: boxes with a score and without tracks
    <sequence>/seqinfo.ini    length, size and rate of the sequence
    <sequence>.txt            results: pedestrians with track and score, those without a track are left out
    images.jsonl              which item each frame is of: id, uri, size, time; readers of MOTChallenge pass it over

See `hyla_surveillance.mot_text` for the columns. A sequence is a group: a clip, or a folder of pictures.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

import numpy as np

from hyla.errors import ConfigError, FormatError
from hyla.formats import PICTURES, Loss, listing, picture, proved, record, writing
from hyla.frame import VideoFrame
from hyla.hooks import Format, hookimpl
from hyla.schema import KINDS, Schema
from hyla.types import Labels, Record
from hyla_surveillance.mot_reader import Reader
from hyla_surveillance.mot_text import PEDESTRIAN, info, numbers_of, text

if TYPE_CHECKING:
    from hyla.pictures import Pictures

WRITES = ("gt", "det", "result")
FRAMES = ("source", "consecutive")
CLASSES = ("mot", "all")
BOXED = ("rotated_box", "polygon", "keypoints", "mask")  # written as their box
KEPT = ("frame", "meta")
OF_TRUTH = ("track", "attribute.visibility", "evidence.considered", "evidence.mot_class")
IMAGES = "img1"  # folder of the pictures of a sequence, not its name
UNTRACKED = 2_000_000  # ground truth gives each box an id: those without a track count from here, beyond people and events


class Mot(Format):
    """Read and write MOTChallenge.

    Args:
        write: `gt`, `det` or `result`; see the module.
        frames: `source` numbers frames as the clip does (index + 1), so that pictures which were not kept leave gaps;
            `consecutive` counts those that were kept. seqinfo.ini says which.
        classes: `mot` writes the classes that have a number there; `all` numbers those of the schema from 1 and names them in
            gt/labels.txt, as CVAT and Datumaro do. Of ground truth only: detections have no class, results are pedestrians.
        clip: for reading: cut boxes that hang over the edge of the picture, as those of MOTChallenge do.
        unknown: for reading: `error` to refuse classes that the schema does not have, `skip` to leave them out.
        pictures: where the items of the project lie: for labels of clips that name no pictures.

    Raises:
        ConfigError: for a word that is no choice.
    """

    name = "mot"

    def __init__(
        self,
        write: str = "gt",
        frames: str = "source",
        classes: str = "mot",
        clip: bool = True,
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        for name, word, words in (("write", write, WRITES), ("frames", frames, FRAMES), ("classes", classes, CLASSES)):
            if word not in words:
                raise ConfigError(f"export.mot.{name}={word} is not a choice", choices=words)
        self.write, self.frames, self.every = write, frames, classes == "all" and write == "gt"
        self.clip, self.skip, self.pictures = clip, proved(unknown), pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write a sequence for each group under `out`, and images.jsonl last. Return what is lost.

        Labels of an earlier export are replaced as a whole; pictures beside them stay.

        Raises:
            FormatError: if `out` holds labels of somebody else, or can't be written.
        """
        loss, names = Loss(), set[str]()
        numbers = numbers_of(schema, self.every)
        if self.write == "result":
            numbers = {i: number for i, number in numbers.items() if number == PEDESTRIAN}
        try:
            out.mkdir(parents=True, exist_ok=True)
            before = _listed(out)
            with tempfile.TemporaryDirectory(dir=out, prefix=".mot-") as made, writing(out / listing.NAME) as listed:
                for group, members in groupby(records, key=lambda one: one.item.group or one.item.id):
                    self._sequence(Path(made), _free(self._name(group), names), members, schema, numbers, loss, listed)
                _moved(Path(made), out, before)
        except OSError as error:
            raise FormatError(f"can't write under {out}: {error.strerror or error}", "choose a folder that has room") from error
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a folder of sequences, of one sequence, or of one file.

        Without images.jsonl the frames are the pictures of the sequence, else what its seqinfo.ini counts, else all up to the
        last that has a label. Classes that MOTChallenge does not count (static person, occluder, reflection ...) are read as the
        schema's class of number 8, with `evidence["mot_class"]`; `evidence["considered"]` is what the file says otherwise than
        MOTChallenge: 1 for pedestrians and 0 for the rest.
        """
        reader = Reader(path, schema, self.skip, self.clip, self.pictures)
        for item, size, frame, rows, where in reader.frames():
            made = record(item, [one.row for one in rows], schema, where, size if self.clip else ())
            for name in ("considered", "mot_class"):
                if any(name in one.evidence for one in rows):
                    made.labels.evidence[name] = np.array([one.evidence.get(name, np.nan) for one in rows])
            yield replace(made, size=tuple(size), frame=frame)

    def _sequence(
        self,
        made: Path,
        name: str,
        members: Iterable[Record],
        schema: Schema,
        numbers: dict[int, int],
        loss: Loss,
        listed: IO[bytes],
    ) -> None:
        file = {"gt": f"{name}/gt/gt.txt", "det": f"{name}/det/det.txt", "result": f"{name}.txt"}[self.write]
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        span, loose = _Span(), UNTRACKED
        with (made / file).open("w", encoding="utf-8", newline="\n") as lines:
            for position, one in enumerate(members):
                consecutive = self.frames == "consecutive"
                number = (position if consecutive else one.item.index) + 1
                labels = self._kept(one, schema, numbers, loss)
                if self.write == "gt" and (free := np.flatnonzero(labels.track < 0)).size:
                    loss.count("untracked label as track", free.size)
                    labels.track[free] = np.arange(loose, loose + free.size)
                    loose += free.size
                lines.writelines(self._lines(labels, number, numbers))
                listed.write(listing.line(one, file, number if consecutive else 0))
                span.add(one, number)
        if self.write != "result":
            told = info(name, span.number, span.size, span.rate, span.extension, self.frames)
            (made / name / "seqinfo.ini").write_text(told, encoding="utf-8", newline="\n")
        if self.write == "gt" and self.every:
            words = [schema.names[i] for i in numbers]
            (made / name / "gt" / "labels.txt").write_text("".join(f"{w}\n" for w in words), encoding="utf-8", newline="\n")

    def _name(self, group: str) -> str:
        """Return what the sequence of a group is called: as the source, where that is the sequence itself."""
        path = PurePosixPath(group)
        if path.name != IMAGES:
            return group
        return str(path.parent) if path.parent.name else Path(self.pictures.source).name if self.pictures else group

    def _kept(self, one: Record, schema: Schema, numbers: dict[int, int], loss: Loss) -> Labels:
        """Return what of a record is written, and count the rest."""
        kept = OF_TRUTH if self.write == "gt" else ("score", *(["track"] if self.write == "result" else []))
        labels = loss.take(one, ("box", *BOXED), (*KEPT, *kept))
        written = np.isin(labels.class_id, list(numbers))
        if self.write == "result":
            written &= labels.track >= 0
        for word in ("box", *BOXED):
            mine = labels.kind == KINDS[word]
            plain = word.replace("_", " ")
            loss.count(plain, (mine & ~written).sum())
            if word != "box":
                loss.count(f"{plain} as box", (mine & written).sum())
        if self.write == "det":
            ones = [schema.names[i] for i in labels.class_id[written].tolist()]
            loss.count("class name", sum(numbers[schema.ids[name]] != PEDESTRIAN for name in ones))
        return labels[written]

    def _lines(self, labels: Labels, number: int, numbers: dict[int, int]) -> Iterator[str]:
        blank = np.full(len(labels), np.nan)
        visible = labels.attributes.get("visibility", blank)
        said, other = (labels.evidence.get(name, blank) for name in ("considered", "mot_class"))
        for row, (x0, y0, x1, y1) in enumerate(labels.box.tolist()):
            track = -1 if self.write == "det" else int(labels.track[row])
            lead = [number, track, x0 + 1, y0 + 1, x1 - x0, y1 - y0]
            if self.write == "gt":
                of_class = numbers[int(labels.class_id[row])]
                if not self.every and other[row] == other[row]:
                    of_class = int(other[row])
                considered = said[row] if said[row] == said[row] else float(self.every or of_class == PEDESTRIAN)
                tail = [considered, of_class, float(visible[row]) if visible[row] == visible[row] else -1]
            else:
                tail = [float(labels.score[row]), -1, -1, -1]
            yield ",".join(text(v) for v in [*lead, *tail]) + "\n"


@dataclass
class _Span:
    """Keep what seqinfo.ini is to say of the frames of a sequence."""

    number: int = 0
    size: tuple[int, ...] = (0, 0)
    extension: str = ".jpg"
    first: tuple[int, float] | None = None
    last: tuple[int, float] = (0, 0.0)

    def add(self, one: Record, number: int) -> None:
        seconds = one.frame.seconds if isinstance(one.frame, VideoFrame) else one.item.meta.get("seconds")
        self.number, self.size = max(self.number, number), one.size if any(one.size) else self.size
        suffix = PurePosixPath(picture(one.item)).suffix
        self.extension = suffix if suffix.lower() in PICTURES else self.extension
        if isinstance(seconds, (int, float)):
            self.first, self.last = self.first or (number, float(seconds)), (number, float(seconds))

    @property
    def rate(self) -> float | None:
        """Return frames per second, as numbers and times tell it; None where they don't."""
        if self.first is None or self.last[1] <= self.first[1]:
            return None
        return (self.last[0] - self.first[0]) / (self.last[1] - self.first[1])


def _listed(out: Path) -> set[str]:
    """Return the files that an earlier export wrote under `out`."""
    file = out / listing.NAME
    return {one.file for _, one, _ in listing.read(file)} if file.is_file() else set()


def _moved(made: Path, out: Path, before: Iterable[str]) -> None:
    """Give what was written its place; what an earlier export wrote goes first, what is of somebody else is refused."""
    old = {part for name in before for part in (name, *_beside(name))}
    fresh = sorted(p.relative_to(made).as_posix() for p in made.rglob("*") if p.is_file())
    for name in fresh:
        if name not in old and (out / name).exists():
            raise FormatError(f"{out / name} was not written by Hyla", "choose another folder")
    for name in chain(fresh, sorted(old.difference(fresh))):
        if name in fresh:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).replace(out / name)
            continue
        (out / name).unlink(missing_ok=True)
        for folder in list(Path(name).parents)[:-1]:
            if (out / folder).is_dir() and not any((out / folder).iterdir()):
                (out / folder).rmdir()


def _beside(name: str) -> Sequence[str]:
    """Return what else was written with a label file."""
    parts = PurePosixPath(name).parts
    return (f"{parts[0]}/seqinfo.ini", f"{parts[0]}/gt/labels.txt") if len(parts) == 3 else ()


def _free(group: str, taken: set[str]) -> str:
    """Return the name of a sequence, one word on any file system that no other has, and take it."""
    path = PurePosixPath(group)
    suffix = path.suffix if path.suffix[1:].isalnum() and not path.suffix[1:].isdecimal() else ""
    bare = str(path).removesuffix(suffix)
    word = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in bare).strip("-.") or "sequence"
    number, free = 1, word
    while free.casefold() in taken:
        number += 1
        free = f"{word}-{number}"
    taken.add(free.casefold())
    return free
