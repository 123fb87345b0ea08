"""A small shop to export: the schema of the preset, shelves and photos of products, people who decided, orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import hyla_retail
from hyla.errors import BadItem
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Image, Item, Kind, Labels, Record, Verdict, item_id

PRESET = Path(hyla_retail.__file__).parent / "conf" / "preset" / "retail.yaml"
SCHEMA = Schema.from_config(yaml.safe_load(PRESET.read_text(encoding="utf-8"))["schema"])
SIZE = (400, 600)
MODEL = "model:retail@0f"
PLACE = {"view": "shelf", "store": "Dresden 1", "fixture": "bay 1", "date": "2026-05-02"}
FACTS = {
    "SKU1": {"gtin": "04006381333931", "name": "Orange juice", "brand": "Sonnig", "price": 1.99, "currency": "EUR"},
    "SKU2": {"gtin": "00012345678905", "name": "Apple juice, cloudy", "brand": "Sonnig"},
    "SKU3": {"name": "Cola", "brand": "Fizz"},
}


def shelf(
    facings: Sequence[tuple[str | None, int]], name: str = "bay", gaps: Sequence[int] = (), source: str = MODEL, **place: Any
) -> Record:
    """Return a shelf photo: a facing of 20 x 60 pixels per (product, shelf), in order from the left, and gaps by shelf."""
    at: dict[int, int] = {}
    boxes, shelves, positions = [], [], []
    for _, row in [*facings, *((None, row) for row in gaps)]:
        at[row] = at.get(row, 0) + 1
        boxes.append([at[row] * 25.0, row * 70.0, at[row] * 25.0 + 20, row * 70.0 + 60])
        shelves.append(row)
        positions.append(at[row])
    keys = [*(key for key, _ in facings), *(None for _ in gaps)]
    classes = [SCHEMA.ids["juice" if key else "product"] for key, _ in facings] + [SCHEMA.ids["gap"]] * len(gaps)
    attributes = {
        "product": keys,
        **{
            column: [FACTS.get(key or "", {}).get(column) for key in keys]
            for column in ("gtin", "name", "brand", "price", "currency")
        },
        "shelf": shelves,
        "position": [p if n < len(facings) else None for n, p in enumerate(positions)],
    }
    labels = Labels.of(classes, boxes, score=[0.9] * len(keys), attributes=attributes, context={**PLACE, **place})
    return Record(
        Item(item_id(f"{name}.jpg"), f"{name}.jpg", kind="photo", meta={"store": "1"}), labels, source=source, size=SIZE
    )


def photo(key: str, tags: Iterable[tuple[str, float]], name: str = "", source: str = MODEL) -> Record:
    """Return a photo of one product, whose label comes first, and its tags with their probabilities."""
    tags = list(tags)
    classes = [SCHEMA.ids["juice"], *(SCHEMA.ids[tag] for tag, _ in tags)]
    attributes = {
        column: [FACTS.get(key, {}).get(column), *[None] * len(tags)] for column in ("gtin", "name", "brand", "price", "currency")
    }
    labels = Labels.of(
        classes,
        [[0, 0, SIZE[1], SIZE[0]]] * len(classes),
        score=[0.8, *(p for _, p in tags)],
        kind=Kind.TAG,
        attributes={"product": [key, *[None] * len(tags)], **attributes},
        context={"view": "product"},
    )
    uri = f"{name or key}.jpg"
    return Record(Item(item_id(uri), uri, kind="photo"), labels, source=source, size=SIZE)


def project(folder: Path, records: Sequence[Record], source: str = "") -> Project:
    """Return an open project that holds what the machine said."""
    made = Project.create(folder)
    versions, provenance = {"numpy": "2"}, {"name": "retail", "digest": "0f"}
    made.start_run({"loader": {}}, SCHEMA, source or str(folder), versions, provenance)
    made.write([Stored(one, n, 0.0) for n, one in enumerate(records)])
    return made


def pictures(made: Project, source: str | Path = "") -> Pictures:
    """Return the pictures of a project, as `hyla export` gives them to a format."""
    return Pictures(str(source) or made.source(), {}, SCHEMA, made)


def say(made: Project, one: Record, action: str, *rows: int, **how: Any) -> None:
    """Decide on a record."""
    key = f"key {len(list(made.decisions()))}"
    made.decide(one.item.id, action, who=how.pop("who", "ann"), key=key, rows=rows, **how)


def rejected(one: Record) -> Record:
    """Return the record of a picture that a person rejected."""
    return Record(one.item, one.labels, one.flags, Verdict.REJECT, one.source, one.size)


class Drawn(Pictures):
    """Stand for pictures: each of one colour of its own, which follows from its name; `broken` can't be read."""

    def __init__(self, source: str = "", broken: Sequence[str] = (), made: Project | None = None) -> None:
        super().__init__(source, {}, SCHEMA, made)
        self.broken, self.loaded, self.closed = broken, list[str](), list[str]()

    def load(self, item: Item) -> Image:
        """Return the picture of an item."""
        if item.uri in self.broken:
            raise BadItem(f"{item.uri} is broken")
        self.loaded.append(item.uri)
        colour = np.random.default_rng(sum(item.uri.encode())).integers(0, 200, 3)
        return Image(np.broadcast_to(colour.astype(np.uint8), (*SIZE, 3)), item)

    def close(self, group: str) -> None:
        """Note that a group was closed."""
        self.closed.append(group)
