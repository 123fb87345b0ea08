"""Make a sample that needs no data: a shop with shelves photographed, its catalogue, planogram, orders, and truth."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from hyla.codec import record_to_dict
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Item, Kind, Labels, Record, Verdict, item_id

FOLD = ("product",)  # a demo counts products found; which they are, it counts by identity
STORES = {"mill-lane": "blue", "station": "white"}  # and the colour of their rails
FIRST, EVERY = date(2024, 5, 2), timedelta(days=7)  # of the photos
WIDE, TALL = (2048, 1536), (1536, 2048)  # pixels of a photo, across and down
DRAWN = 2840 / 2048  # units of the drawing to a pixel
ROWS = {"A1": (4, WIDE), "A2": (4, WIDE), "B1": (5, TALL), "B2": (5, TALL)}  # shelves of each fixture, and how it is photographed
LEAST = 0.4  # of a box that the picture must hold
ASIDE = 0.03  # share of its width by which the camera misses the middle of a fixture now and then
PACKSHOT, EXEMPLAR, EXEMPLARS = 420, 200, 3  # pixels on the long side, and exemplars of a product


def write(to: Path, photos: int = 32, seed: int = 0) -> Path:
    """Write the sample below `to`, and return the folder to label: shelves.

    In it: photos as STORE/FIXTURE_DATE.jpg, catalogue.csv with packshots, planogram.csv, orders.csv, exemplars by product.
    Beside it: truth.jsonl of the photos, packshots.jsonl of the rows of the catalogue. The photos show what shops have: gaps,
    goods in the wrong place, wrong prices, goods that are in no catalogue. One in 32 is blurred, and phones were held any way.

    Args:
        to: folder to write into; made if it is not there.
        photos: how many, fixture by fixture, store by store, week by week.
        seed: of everything drawn.

    Raises:
        ConfigError: if `to` can't be written to.
    """
    from hyla_retail import sample_tables as tables

    source = Path(to) / "shelves"
    try:
        for name in (*STORES, "packshots", "exemplars"):
            (source / name).mkdir(parents=True, exist_ok=True)
        schema = preset_schema()
        plans = _plans(seed)
        tables.catalogue(source / "catalogue.csv")
        tables.planogram(source / "planogram.csv", plans)
        tables.orders(source / "orders.csv", _rng(seed, 1))
        _lines(Path(to) / "packshots.jsonl", _packs(source, schema, seed), schema)
        taken = [(week, store, fixture) for week in range(-(-photos // 8)) for store in STORES for fixture in ROWS][:photos]
        records = [
            _photo(source, plans[store, fixture], one, n, seed, schema)
            for n, one in enumerate(taken)
            for _, store, fixture in [one]
        ]
        _lines(Path(to) / "truth.jsonl", sorted(records, key=lambda one: one.item.uri), schema)
    except OSError as error:
        raise ConfigError(f"the sample can't be written to {to}: {error}", "name a folder that can be written to") from error
    return source


def large(to: Path, megapixels: float = 20, seed: int = 0) -> Path:
    """Write one photo (4 to 3) of a wall of shelves, and return its path: the more megapixels, the more shelves and facings."""
    import numpy as np

    from hyla_retail import sample_camera as camera
    from hyla_retail import sample_shelf as shelf
    from hyla_retail.sample_goods import GOODS

    times = float(np.sqrt(megapixels * 1e6 / (WIDE[0] * WIDE[1])))
    size = round(WIDE[0] * times), round(WIDE[1] * times)
    rng, rows = _rng(seed, 9), max(1, round(4 * times))
    drawn = round(size[0] * DRAWN), round(size[1] * DRAWN)
    shelves = shelf.stock(shelf.planogram(GOODS, rows, drawn[0], rng), rows, drawn, GOODS, rng)
    path = Path(to) / f"wall-{megapixels:g}mp.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(camera.jpeg(camera.shoot(shelves.pixels, size, rng).pixels))
    return path


def preset_schema() -> Schema:
    """Return the schema of the retail preset."""
    path = Path(__file__).parent / "conf" / "preset" / "retail.yaml"
    return Schema.from_config(yaml.safe_load(path.read_text(encoding="utf-8"))["schema"])


def _rng(*seeds: int) -> Any:
    import numpy as np

    return np.random.default_rng(seeds)


def _plans(seed: int) -> dict[tuple[str, str], Any]:
    """Return the planogram of each store and fixture."""
    from hyla_retail.sample_goods import FIXTURES
    from hyla_retail.sample_shelf import planogram

    return {
        (store, fixture): planogram(FIXTURES[fixture], rows, round(size[0] * DRAWN), _rng(seed, 2, s, f))
        for s, store in enumerate(STORES)
        for f, (fixture, (rows, size)) in enumerate(ROWS.items())
    }


def _photo(source: Path, slots: Any, about: tuple[int, str, str], number: int, seed: int, schema: Schema) -> Record:
    """Write one photo, and return what is true of it."""
    from hyla_retail import sample_camera as camera
    from hyla_retail import sample_shelf as shelf
    from hyla_retail.sample_goods import GOODS

    week, store, fixture = about
    rows, size = ROWS[fixture]
    rng = _rng(seed, 3, number)
    drawn = round(size[0] * DRAWN), round(size[1] * DRAWN)
    shelves = shelf.stock(slots, rows, drawn, GOODS, rng, STORES[store])
    aside = float(rng.choice([-ASIDE, ASIDE])) if number % 7 == 5 else 0.0
    shot = camera.shoot(shelves.pixels, size, rng, number % 32 == 11, aside)
    day = (FIRST + week * EVERY).isoformat()
    turned = int(rng.choice([1, 1, 3] if size == WIDE else [1, 6, 8]))
    uri = f"{store}/{fixture}_{day}.jpg"
    (source / uri).write_bytes(camera.jpeg(shot.pixels, turned, day))
    labels = _labels(shelves.seen, shot, size, schema, {"view": "shelf", "store": store, "fixture": fixture, "date": day})
    item = Item(item_id(uri), uri, kind="photo", meta={"store": store, "fixture": fixture})
    return Record(item, labels, (), Verdict.ACCEPT, "truth:sample", size[::-1])


def _labels(seen: Iterable[Any], shot: Any, size: tuple[int, int], schema: Schema, context: dict[str, Any]) -> Labels:
    """Return the truth in pixels, clipped to the picture; what is hardly in it is left out."""
    import numpy as np

    from hyla_retail.sizes import parse, words

    kept, boxes = [], []
    limit = np.array([*size, *size], dtype=np.float64)
    for one in seen:
        whole = shot.box(one.outline)
        box = np.clip(whole, 0, limit)
        area = (whole[2:] - whole[:2]).prod()
        if (box[2:] - box[:2]).prod() >= LEAST * area:
            kept.append(one)
            boxes.append(box)
    goods = [one.good if one.position is not None else None for one in kept]
    named = [good if one.kind != "unknown_product" else None for one, good in zip(kept, goods, strict=True)]
    marked = [one.good if one.kind == "price_label" else good for one, good in zip(kept, named, strict=True)]
    return Labels.of(
        [schema.class_id(one.kind) for one in kept],
        np.array(boxes),
        attributes={
            "product": [good and good.sku for good in named],
            "gtin": [good and good.gtin for good in marked],
            "name": [good and f"{good.name} {good.size}" for good in goods],
            "brand": [good and good.brand for good in goods],
            "pack_size": [good and words(parse(good.size)[0]) for good in goods],
            "price": [one.price for one in kept],
            "currency": [None if one.price is None else "EUR" for one in kept],
            "text": [one.text for one in kept],
            "shelf": [one.shelf for one in kept],
            "position": [one.position for one in kept],
        },
        context=context,
    )


def _packs(source: Path, schema: Schema, seed: int) -> list[Record]:
    """Write a packshot and exemplars of each product, and return what is true of the packshots."""
    import cv2
    import numpy as np

    from hyla_retail import sample_camera as camera
    from hyla_retail.sample_goods import GOODS
    from hyla_retail.sample_packs import pack
    from hyla_retail.sample_shelf import TURNS
    from hyla_retail.sizes import parse, words

    records = []
    for number, good in enumerate(GOODS):
        rng = _rng(seed, 4, number)
        uri = f"packshots/{good.sku}.jpg"
        picture = _framed(pack(good), 255, 24)
        (source / uri).write_bytes(camera.jpeg(picture))
        folder = source / "exemplars" / good.sku
        folder.mkdir(exist_ok=True)
        for n in range(EXEMPLARS):
            turned = _framed(pack(good, float(rng.choice(TURNS))), int(rng.integers(90, 170)), int(rng.integers(0, 8)))
            scale = EXEMPLAR / max(turned.shape[:2])
            small = cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            (folder / f"{n + 1}.jpg").write_bytes(camera.jpeg(camera.relight(np.asarray(small), rng), quality=88))
        tags = [good.kind, *good.tints, good.packaging, *good.claims]
        height, width = picture.shape[:2]
        alone = [None] * (len(tags) - 1)
        attributes = {"product": [good.sku, *alone], "gtin": [good.gtin, *alone], "brand": [good.brand, *alone]}
        labels = Labels.of(
            [schema.class_id(tag) for tag in tags],
            np.tile([0.0, 0.0, width, height], (len(tags), 1)),
            kind=Kind.TAG,
            attributes={**attributes, "pack_size": [words(parse(good.size)[0]), *alone]},
            context={"view": "product"},
        )
        item = Item(item_id(uri), uri, kind="row", meta={"row": number + 2, "product": good.sku})
        records.append(Record(item, labels, (), Verdict.ACCEPT, "truth:sample", (height, width)))
    return records


def _framed(rgba: Any, ground: int, margin: int) -> Any:
    """Return a pack on a plain ground with a margin around it, in pixels."""
    import numpy as np

    height, width = rgba.shape[:2]
    out = np.full((height + 2 * margin, width + 2 * margin, 3), ground, np.float32)
    alpha = rgba[..., 3:].astype(np.float32) / 255
    part = out[margin : margin + height, margin : margin + width]
    part[:] = part * (1 - alpha) + rgba[..., :3] * alpha
    return np.rint(out).astype(np.uint8)


def _lines(path: Path, records: Iterable[Record], schema: Schema) -> None:
    lines = [json.dumps(record_to_dict(record, schema)) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
