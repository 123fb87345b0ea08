"""The file images.jsonl beside labels whose format knows no ids, sizes and frames: which item each label file is of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hyla import frame as frames
from hyla.errors import FormatError, HylaError
from hyla.formats import inside
from hyla.frame import Frame
from hyla.types import Item, Record

NAME = "images.jsonl"


class Listed(msgspec.Struct, omit_defaults=True):
    """Hold one line: the label (or picture) file, and the item that it is of.

    `number` is that of the item's frame in the file, where the file counts frames otherwise than `index` does.
    """

    file: str
    id: str
    uri: str
    size: tuple[int, ...]
    group: str = ""
    index: int = 0
    kind: str = "image"
    frame: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    number: int = 0

    @property
    def item(self) -> Item:
        """Return the item."""
        return Item(self.id, self.uri, self.group, self.index, self.kind, self.meta)


def line(one: Record, file: str, number: int = 0) -> bytes:
    """Return the line of `one`, whose labels are in `file`, there as frame `number` if that is not told by its index."""
    i = one.item
    size = tuple(int(side) for side in one.size)
    frame = frames.to_dict(one.frame)
    return msgspec.json.encode(Listed(file, i.id, i.uri, size, i.group, i.index, i.kind, frame, dict(i.meta), number)) + b"\n"


def read(path: Path) -> Iterator[tuple[str, Listed, Frame]]:
    """Yield where it stands, what it says and the frame, for each line of `path`.

    Raises:
        FormatError: for a line that can't be read, or whose paths lead out of the dataset.
    """
    decoder = msgspec.json.Decoder(Listed)
    with path.open("rb") as lines:
        for number, text in enumerate(lines, 1):
            where = f"{path} line {number}"
            try:
                one = decoder.decode(text)
                frame = frames.from_dict(one.frame or {"kind": "pixel"})
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, HylaError) as error:
                raise FormatError(f"{where}: {error}") from error
            if len(one.size) not in (2, 3) or min(*one.size, one.index) < 0:
                raise FormatError(f"{where} has a negative index, or a size that is not [height, width]")
            inside(one.file, where)
            inside(one.uri, where)
            yield where, one, frame
