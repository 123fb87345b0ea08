"""Write what proves confirmed events: redacted clips, what is known of them, and the decisions, to be verified without Hyla.

<event>/clip.mp4      from some seconds before to some after, redacted, encoded anew; its time 0 is clip_start_s of event.json
<event>/stills/       its first, middle and last frame, redacted
<event>/event.json    what, when (UTC), where, who took part, what was measured, who confirmed it
<event>/tracks.csv    boxes of the participants, in pixels of the recording; of nobody else
ledger.jsonl          the decisions, see `hyla_surveillance.ledger_extract`
SHA256SUMS            of every other file: `sha256sum -c SHA256SUMS`
VERIFY.md, verify.py  what to check and how; verify.py needs Python 3.8 and nothing else
"""

from __future__ import annotations

import csv
import json
import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyla import plugins
from hyla.errors import BadItem, ConfigError, FormatError
from hyla.formats import Loss
from hyla.hooks import Format, Model, hookimpl
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Floats, Image, Item, Kind, Labels, Record
from hyla_surveillance.bridging import bridged, to_hide
from hyla_surveillance.events_table import counted, line
from hyla_surveillance.happenings import CONFIRMED, Happening, confirm, happenings, iso, seconds_of, utc_at
from hyla_surveillance.ledger_extract import write_extract

if TYPE_CHECKING:
    from hyla.pictures import Pictures

SUMS, RUN = "SHA256SUMS", "run"
TRACKS = ("frame", "item", "seconds", "utc", "track", "class", "x0", "y0", "x1", "y1")
STILLS = ("first", "middle", "last")
UNSAFE = "unsafe clip"  # as an export counts it
log = logging.getLogger("hyla.evidence")


class Evidence(Format):
    """Write a bundle of the confirmed events. Refuses a project that hides nothing: what is given away is redacted.

    Args:
        before, after: seconds of the clip before the event begins and after it ends.
        quality: of the clip: constant rate factor of H.264, 0 to 51, where less is better.
        faces: finds faces in the clip that was written, which are hidden too, until none is found: `run` for what found them in
            the run, if anything did; else the weights of YuNet, by path; None for nothing. event.json says whether something
            looked. An event in whose clip faces are still found after a few rounds is left out, and counted.
        pictures: of the project.

    Raises:
        ConfigError: for settings out of range, and weights that can't be read; while exporting, those of the run.
    """

    name = "evidence"

    def __init__(
        self,
        schema: Schema,
        before: float = 5.0,
        after: float = 5.0,
        quality: int = 23,
        faces: str | None = RUN,
        pictures: Pictures | None = None,
    ) -> None:
        if not (0 <= before <= 600 and 0 <= after <= 600) or not 0 <= quality <= 51:
            raise ConfigError(
                f"export.evidence has before={before}, after={after}, quality={quality}", "give 0 to 600 seconds, and 0 to 51"
            )
        self.before, self.after, self.quality, self.pictures = before, after, quality, pictures
        self.faces: Model | None = None
        self._of_run = faces == RUN
        if faces and not self._of_run:
            from hyla_surveillance.faces import Faces

            self.faces = Faces(schema, faces, score=0.5)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the bundle as folder `out`, all or nothing; an earlier bundle there is replaced. Return what is lost.

        Raises:
            ConfigError: if the project redacts nothing.
            FormatError: if `out` holds something else, or can't be written.
        """
        project = self.pictures.project if self.pictures else None
        if project is not None and (self.pictures is None or self.pictures.redaction is None):
            raise ConfigError(
                "evidence is redacted before it is given away, and this project hides nothing",
                "run it again into another folder with redact=mosaic",
            )
        loss = Loss()
        node = (project.settings().get("model") or {}).get("faces") if project is not None and self._of_run else None
        if project is not None and node:
            self.faces = plugins.build(node, "model.faces", schema=schema, **(project.recall("machine") or {}))
        try:
            if out.exists() and any(out.iterdir()) and not ((out / SUMS).is_file() and (out / "verify.py").is_file()):
                raise FormatError(f"{out} holds something else than a bundle", "choose another folder")
            out.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out.parent, prefix=".evidence-") as made:
                bundle = Path(made) / "bundle"
                bundle.mkdir()
                self._write(records, schema, project, bundle, loss)
                if out.exists():
                    out.rename(Path(made) / "old")
                bundle.rename(out)
        except OSError as error:
            raise FormatError(f"can't write {out}: {error.strerror or error}", "choose a folder that has room") from error
        return dict(+loss)  # without what came to nothing

    def _write(self, records: Iterable[Record], schema: Schema, project: Project | None, bundle: Path, loss: Loss) -> None:
        items: set[str] = set()
        boxes: dict[tuple[str, int], Kind] = {}
        for found in happenings(counted(records, schema, loss), schema):
            kept, others = confirm(found, schema, project)
            confirmed = [one for one in kept if one.state == CONFIRMED]
            loss.count("unconfirmed event", others + len(kept) - len(confirmed))
            if confirmed and project is not None and self.pictures is not None:
                clip = _Clip(self.pictures, project, schema, confirmed[0].first)
                for one in confirmed:
                    if self._event(one, clip, schema, bundle / one.id, loss, boxes):
                        items.update(one.items)
                self.pictures.close(clip.item.group)
        for kind in boxes.values():  # tracks.csv has the bounds of these
            word = kind.word.replace("_", " ")
            loss[word] -= 1
            loss.count(f"{word} as box", kind != Kind.BOX)
        with (bundle / "ledger.jsonl").open("wb") as file:
            write_extract(project, items, file)
        own = resources.files("hyla_surveillance")
        (bundle / "verify.py").write_bytes(own.joinpath("bundle_check.py").read_bytes())
        (bundle / "VERIFY.md").write_bytes(own.joinpath("bundle_words.md").read_bytes())
        names = sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file())
        sums = "".join(f"{sha256((bundle / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
        (bundle / SUMS).write_text(sums, encoding="utf-8", newline="\n")

    def _event(
        self, one: Happening, clip: _Clip, schema: Schema, folder: Path, loss: Loss, boxes: dict[tuple[str, int], Kind]
    ) -> bool:
        """Write an event; return whether it may be given away, and leave nothing of it if not."""
        from hyla_surveillance.clips import write_redacted

        folder.mkdir()
        frames = clip.between(one.event.start - self.before, one.event.end + self.after)
        shown = _Shown(clip, frames, schema, (one.items[0], one.items[len(one.items) // 2], one.items[-1]))
        faces, safe = None, True
        try:
            faces = write_redacted(folder / "clip.mp4", shown.pictures, self.faces, self.quality).remaining
            safe = not faces
        except BadItem:  # none of its frames can be shown, and event.json says which; or one can't any more
            safe = not shown.given
        if not safe:
            shutil.rmtree(folder)
            loss.count(UNSAFE)
            log.warning("%s is left out: faces are still found in its clip; hide more: redact.people=body", one.id)
            return False
        loss.count("unreadable frame", len(shown.broken))
        shown.write_stills(folder / "stills")
        about = line(one) | {
            "needed": int(schema.confirmations[schema.class_id(one.event.name)]),
            "items": one.items,
            "clip_start_s": seconds_of(frames[shown.given[0]]) if shown.given else None,
            "clip_end_s": seconds_of(frames[shown.given[-1]]) if shown.given else None,
            "clip_frames": len(shown.given),
            "frames_not_shown": sorted(shown.broken),
            "redacted": True,
            "faces_found_in_clip": faces,
            "recording": one.first.uri,
        }
        (folder / "event.json").write_text(
            json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
        boxes.update(_tracks(folder / "tracks.csv", frames, one, schema))
        return True


class _Clip:
    """Hold what the project knows of the clip of an item, frame by frame; of a picture that stands alone, of it alone."""

    def __init__(self, pictures: Pictures, project: Project, schema: Schema, item: Item) -> None:
        self.pictures, self.project, self.schema, self.item = pictures, project, schema, item

    def between(self, start: float, stop: float) -> list[Record]:
        """Return the frames shown from `start` to `stop`, in seconds of the clip, with the labels that hold."""
        alone = None if self.item.group else self.project.record(self.item.id)
        frames = self.project.records(group=self.item.group) if self.item.group else [alone] if alone else []
        return [one for one in frames if start <= seconds_of(one) <= stop]

    def load(self, record: Record, also: Labels) -> Image:
        """Return a frame as it may be shown; raise BadItem if it can't be read, or redacted."""
        redaction = self.pictures.redaction
        if redaction is None:
            raise BadItem("nothing is hidden in this project")
        return redaction(self.pictures.original(record.item), also=also)


class _Shown:
    """Give frames redacted, as often as asked; what can't be shown is left out the first time, and noted."""

    def __init__(self, clip: _Clip, frames: Sequence[Record], schema: Schema, stills: Sequence[str]) -> None:
        self.stills = stills  # ids of the items, as STILLS names them
        self._kept: dict[str, Image] = {}
        self.clip, self.frames, self.face = clip, frames, schema.ids.get("face")
        self.also = bridged(frames, schema)
        self.broken: set[str] = set()
        self.given: list[int] = []  # which of the frames can be shown

    def pictures(self, extra: Mapping[int, Floats]) -> Iterator[tuple[float, npt.NDArray[Any]]]:
        """Yield seconds from the first frame shown, and pixels, with boxes to hide besides: see `clips.write_redacted`.

        Raises:
            BadItem: for a frame that could be shown before.
        """
        again = bool(self.given)
        for number, i in enumerate(self.given if again else range(len(self.frames))):
            record, also = self.frames[i], self.also[i]
            if number in extra and self.face is not None:
                also = Labels.concat([also, to_hide([self.face] * len(extra[number]), extra[number])])
            try:
                image = self.clip.load(record, also)
            except BadItem:
                if again:
                    raise
                self.broken.add(record.item.id)
                continue
            if not again:
                self.given.append(i)
            if record.item.id in self.stills:
                self._kept[record.item.id] = image
            yield seconds_of(record) - seconds_of(self.frames[self.given[0]]), np.asarray(image.pixels)

    def write_stills(self, folder: Path) -> None:
        """Write the pictures that are kept, as they were given last."""
        from PIL import Image as Pillow

        from hyla.review.pixels import flat

        folder.mkdir()
        for name, item_id in zip(STILLS, self.stills, strict=True):
            if item_id in self._kept:
                pixels = flat(np.asarray(self._kept[item_id].pixels))
                Pillow.fromarray(pixels).convert("RGB").save(folder / f"{name}.jpg", quality=90)


def _tracks(path: Path, frames: Iterable[Record], one: Happening, schema: Schema) -> dict[tuple[str, int], Kind]:
    """Write the boxes of the participants; return which labels these are of, as (item, row) -> kind."""
    written = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(TRACKS)
        for record in frames:
            labels, seconds = record.labels, seconds_of(record)
            told = schema.confirmations[labels.class_id] == 0  # what people must confirm is no box of a participant
            for row in np.flatnonzero(told & np.isin(labels.track, one.event.participants)).tolist():
                about = [record.item.index, record.item.id, seconds, iso(utc_at(record, seconds)), int(labels.track[row])]
                table.writerow([*about, schema.names[int(labels.class_id[row])], *labels.box[row].tolist()])
                written[(record.item.id, row)] = Kind(int(labels.kind[row]))
    return written
