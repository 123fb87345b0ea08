"""Label files in and out: COCO, YOLO, JSONL, Parquet, and whatever a plugin adds.

To write a format, put one class that inherits `hyla.hooks.Format` in a module of its own and name it in
`<your package>/conf/export/<name>.yaml`, whose first line is what `hyla export --list` shows:

    # one text file per picture: boxes, occlusion
    _target_: your_package.kitti.Kitti

- `export` gets a stream, so it writes as it reads. `Loss.take` counts what the file can't carry and returns the labels that it
  can. `writing` keeps a half-written file from ever having the final name.
- `read` yields records one by one. `record` builds one from plain rows and proves it against the schema; what a file says and
  Hyla can't represent is a FormatError, never a guess. `inside` guards against paths that lead out of the dataset.
- A format that needs more than the records asks for it in its constructor: `schema`, or `pictures`, a `hyla.pictures.Pictures`,
  which loads the pixels of an item again and knows the loader.
- `hyla.testing.conformance` proves that what was exported reads back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from hyla.errors import ConfigError, FormatError, StageError
from hyla.hooks import Format

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla.schema import Schema
    from hyla.types import Item, Labels, Record

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
BESIDE = ("evidence", "flag", "frame", "meta", "verdict", "source")  # no part of the labels, so said last
PLURALS = {
    "box": "boxes",
    "rotated box": "rotated boxes",
    "polygon with holes": "polygons with holes",
    "mask of a volume": "masks of volumes",
    "keypoints": "sets of keypoints",
    "evidence": "values of evidence",
    "context": "values of image attributes",
    "attribute": "values of attributes",
    "score": "scores",
    "meta": "items' meta",
    "unconfirmed": "unconfirmed labels",
}


def offered() -> dict[str, str]:
    """Return format name -> what it carries, from the first line of each YAML: nothing is imported."""
    from hyla import plugins

    return {name: _first_line(path) for name, (_, path) in sorted(plugins.offered("export").items())}


def get(name: str, schema: Schema | None = None, pictures: Pictures | None = None, **settings: Any) -> Format:
    """Build the format called `name` with its YAML's settings and these over them.

    Args:
        name: as `offered` lists it.
        schema: for a format whose constructor asks for one.
        pictures: for a format whose constructor asks for them: what the labels are of.
        settings: of its constructor: `get("yolo", task="segment")`.

    Raises:
        ConfigError: for an unknown name or setting, or a target outside hyla and the installed plugins.
    """
    import yaml

    from hyla import plugins

    names = plugins.offered("export")
    if name not in names:
        raise plugins.missing("export", name)
    path = names[name][1]
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error
    if not isinstance(node, dict) or "_target_" not in node:
        raise ConfigError(
            f"{path} does not say what to build", "its `_target_` must name a class that inherits hyla.hooks.Format"
        )
    given = {"schema": schema, "pictures": pictures}
    built = plugins.build({**node, **settings}, f"export.{name}", **{k: v for k, v in given.items() if v is not None})
    if not isinstance(built, Format):
        raise ConfigError(f"export.{name}: {node['_target_']} does not inherit hyla.hooks.Format")
    return built


def describe(name: str, loss: Mapping[str, int]) -> str:
    """Return a sentence for people: `coco drops 3 polylines, 120 tracks; writes 2 polygons as boxes; leaves behind 7 flags`."""
    said: dict[str, list[str]] = {"drops": [], "writes": [], "leaves behind": []}
    for what, n in loss.items():
        one, _, other = what.partition(" as ")
        if n and other:
            said["writes"].append(f"{_counted(n, one)} as {_counted(n, other).partition(' ')[2]}")
        elif n:
            said["leaves behind" if what in BESIDE else "drops"].append(_counted(n, what))
    parts = [f"{verb} {', '.join(things)}" for verb, things in said.items() if things]
    return f"{name} {'; '.join(parts) or 'carries everything'}"


class Loss(Counter[str]):
    """Count what a format can't carry.

    The keys are kinds, for labels that are left out whole, and track, score, attribute, evidence, context, flag, frame, meta,
    verdict and source; `unconfirmed`, labels that lack people, is counted before a format sees the records.
    A key `polygon as box` says that a polygon was written as something less, `polygon as region` that
    what touches and has one class has become one.
    """

    def take(self, record: Record, kinds: Collection[str], carries: Collection[str] = ()) -> Labels:
        """Return the labels of `record` whose kind is one of `kinds`, and count everything else that stays behind.

        Args:
            record: what is to be written.
            kinds: words of `Kind`, such as `box`.
            carries: words of this class that the file holds; one attribute or one piece of evidence as `attribute.occluded`.
        """
        import numpy as np

        from hyla.frame import Frame
        from hyla.schema import KINDS
        from hyla.types import Kind, Verdict

        labels = record.labels
        keep = np.isin(labels.kind, [KINDS[word] for word in kinds])
        for value, n in zip(*np.unique(labels.kind[~keep], return_counts=True), strict=True):
            self.count(Kind(int(value)).word.replace("_", " "), n)
        kept = labels if keep.all() else labels[keep]
        lost = {
            "track": (kept.track >= 0).sum(),
            "score": (kept.score != 1).sum(),
            "attribute": sum(_known(column) for name, column in kept.attributes.items() if f"attribute.{name}" not in carries),
            "evidence": sum(_known(column) for name, column in kept.evidence.items() if f"evidence.{name}" not in carries),
            "context": sum(v is not None for name, v in kept.context.items() if f"context.{name}" not in carries),
            "flag": len(record.flags),
            "frame": type(record.frame) is not Frame,
            "meta": bool(record.item.meta),
            "verdict": record.verdict is not Verdict.REVIEW,
            "source": bool(record.source),
        }
        for what, n in lost.items():
            if what not in carries:
                self.count(what, n)
        return kept

    def count(self, what: str, n: Any = 1) -> None:
        """Add `n` (a number or a truth value) to `what`; nothing is noted for 0."""
        if n:
            self[what] += int(n)


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that takes the name `path` only when all of it is written; raise FormatError if it can't be."""
    import os

    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise FormatError(
            f"can't write {path}: {error.strerror or error}", "choose a folder that can be written and has room"
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def find(path: Path, *patterns: str) -> Path:
    """Return `path` if it is a file, or the one file in that folder which fits the first pattern that any file fits.

    Raises:
        FormatError: if there is none, or more than one.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise FormatError(f"{path} does not exist")
    for pattern in patterns:
        found = sorted(p for p in path.glob(pattern) if p.is_file())
        if len(found) > 1:
            raise FormatError(f"{path} holds {len(found)} files {pattern}", "name one of them", [p.name for p in found])
        if found:
            return found[0]
    raise FormatError(f"{path} holds no {' or '.join(patterns)}", "name the file, or another format")


def inside(path: Any, where: str) -> str:
    """Return a file name from a label file as a path relative to the source, with /; a URL stays as it is.

    Raises:
        FormatError: for a path that is absolute or leads out of the source.
    """
    text = str(path).replace("\\", "/") if isinstance(path, str) else ""
    if re.match(r"(?!file:)[a-z][a-z0-9+.-]+://[^\s]+$", text):
        return text
    parts = PurePosixPath(text).parts
    if not parts or ".." in parts or parts[0] == "/" or re.match("[A-Za-z]:|.*://", text) or not text.isprintable():
        raise FormatError(
            f"{where}: {path!r} is no path inside the dataset", "file names must be relative and stay inside the folder"
        )
    return "/".join(parts)


def picture(item: Item) -> str:
    """Return a relative file name for the picture of `item`: its uri, or `<uri>/<index>.jpg` where many items share one file."""
    bare = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:/*", "", item.uri.replace("\\", "/"))
    parts = [p for p in bare.split("/") if p not in ("", ".", "..")] or [item.id]
    path = PurePosixPath(*parts)
    if path.suffix.lower() in PICTURES and item.kind != "tile":
        return str(path)
    return str(path.with_suffix("") / f"{item.index:06d}.jpg")


def class_ids(schema: Schema, vocabulary: str) -> dict[str, int]:
    """Return class name -> id and, where no class has that name, outside code -> id; abstract classes are left out."""
    both = {**schema.by_code(vocabulary), **schema.ids}
    return {name: i for name, i in both.items() if not schema.classes[i].abstract}


def allowed(schema: Schema, class_id: int, *kinds: str) -> str:
    """Return the first of `kinds` that the schema allows for a class, or the last if it allows none of them."""
    may = schema.classes[class_id].kinds or schema.kinds
    return next((kind for kind in kinds if kind in may), kinds[-1])


def record(
    item: Item,
    rows: Sequence[Mapping[str, Any]],
    schema: Schema,
    where: str,
    size: Sequence[int] = (),
    context: Mapping[str, Any] | None = None,
) -> Record:
    """Return a Record of rows, as `hyla.codec.labels_to_rows` writes them, proved against the schema and the picture's size.

    Raises:
        FormatError: for rows that do not fit, beginning with `where`.
    """
    from hyla.codec import labels_from_rows
    from hyla.types import Record

    whole = tuple(int(s) for s in size) if any(size) else (0, 0)
    try:
        labels = labels_from_rows(rows, context or {}, schema)
        schema.check(labels, whole if any(whole) else None)
    except (FormatError, StageError) as error:
        raise FormatError(f"{where}: {error.what}", error.hint, error.choices) from error
    return Record(item, labels, size=whole)


def known_attributes(values: Mapping[str, Any], schema: Schema, scope: str, where: str, skip: bool) -> dict[str, Any]:
    """Return the attributes that the schema has; raise FormatError for another that is set, unless `skip`."""
    names = schema.attributes_of(scope)
    for name in values:
        if name not in names and values[name] is not None and not skip:
            raise FormatError(
                f"{where}: schema {schema.name!r} has no {scope} attribute {name!r}",
                "add it to the schema, or read with unknown=skip",
                names,
            )
    return {name: value for name, value in values.items() if name in names}


def unknown_class(name: str, where: str, names: Iterable[str]) -> FormatError:
    """Return the error for a class that the schema does not have."""
    from hyla.errors import did_you_mean

    hint = did_you_mean(name, names) or "add it to the schema, give a class its name as a code, or read with unknown=skip"
    return FormatError(f"{where}: the schema has no class {name!r}", hint, names)


def proved(unknown: str) -> bool:
    """Return whether to skip what the schema does not have; raise ConfigError for a word that is neither error nor skip."""
    if unknown not in ("error", "skip"):
        raise ConfigError(f"unknown={unknown} is not a choice", choices=("error", "skip"))
    return unknown == "skip"


def _known(column: Any) -> int:
    return int(sum(v is not None and v == v for v in column.tolist()))


def _counted(n: int, what: str) -> str:
    return f"{n} {what if n == 1 else PLURALS.get(what, f'{what}s')}"


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        line = file.readline()
    return line[1:].strip() if line.startswith("#") else ""
