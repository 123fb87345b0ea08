"""The shop is what its truth says: packs, labels and gaps lie where they should, and others read its barcodes and its tables."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from stdnum import ean

from hyla.codec import record_from_dict
from hyla.errors import ConfigError
from hyla_retail import sample
from hyla_retail.catalogue import open_catalogue
from hyla_retail.gtin import normalise, restricted_prefix
from hyla_retail.orders import open_orders
from hyla_retail.photos import Photos
from hyla_retail.planogram import open_planogram
from hyla_retail.sample_goods import FIXTURES, GOODS, numbered
from hyla_retail.sample_packs import pack
from hyla_retail.sample_shelf import TURNS, barcode

SCHEMA = sample.preset_schema()
PHOTOS = 12
BY_KEY = {good.sku: good for good in GOODS}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.write(tmp_path_factory.mktemp("sample"), PHOTOS)


def records(path: Path) -> list[Any]:
    return [record_from_dict(json.loads(line), SCHEMA) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def shots(source: Path) -> list[tuple[Any, Any]]:
    """Return the truth of each photo with its pixels, upright."""
    return [(one, opened(source / one.item.uri)) for one in records(source.parent / "truth.jsonl")]


def opened(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture))


def rows(record: Any, name: str) -> list[int]:
    """Return the rows of the labels of a class, or of facings."""
    ids = SCHEMA.under("product") if name == "facing" else [SCHEMA.class_id(name)]
    return np.flatnonzero(np.isin(record.labels.class_id, ids)).tolist()


def crop(pixels: Any, box: Any) -> Any:
    x0, y0, x1, y1 = np.rint(box).astype(int)
    return pixels[y0:y1, x0:x1]


def test_truth_fits_the_schema_and_the_upright_photos(shots: list[tuple[Any, Any]]) -> None:
    assert len(shots) == PHOTOS
    for record, pixels in shots:
        assert record.size == pixels.shape[:2]
        SCHEMA.check(record.labels, record.size)
        assert record.labels.context["view"] == "shelf"
    assert sum(len(rows(record, "facing")) for record, _ in shots) > 40 * PHOTOS


def test_truth_stands_under_the_ids_of_the_loader(source: Path, shots: list[tuple[Any, Any]]) -> None:
    photos = Photos()
    items = [item for item in photos.items(str(source)) or () if item.kind == "photo"]
    assert items == [record.item for record, _ in shots]
    loaded = photos.load(items[0])
    assert loaded is not None
    np.testing.assert_array_equal(loaded.pixels, shots[0][1])
    assert loaded.context.items() >= shots[0][0].labels.context.items()
    table = list(Photos(view="product").items(str(source / "catalogue.csv")) or ())
    assert table[: len(GOODS)] == [one.item for one in records(source.parent / "packshots.jsonl")]


def test_phones_were_held_any_way(source: Path, shots: list[tuple[Any, Any]]) -> None:
    turned = set()
    for record, _ in shots:
        with Image.open(source / record.item.uri) as picture:
            turned.add(picture.getexif().get(274, 1))
    assert turned >= {1, 6, 8}


def test_where_the_truth_has_a_facing_there_is_its_pack(shots: list[tuple[Any, Any]]) -> None:
    alike = []
    for record, pixels in shots[::4]:
        for row in rows(record, "facing")[::2]:
            key = record.labels.attributes["product"][row]
            x0, y0, x1, y1 = record.labels.box[row]
            whole = min(x0, y0) > 0 and x1 < pixels.shape[1] and y1 < pixels.shape[0]
            if key is None or not whole:
                continue
            fits = []
            for turn in TURNS:
                drawn = pack(BY_KEY[key], turn)
                seen = cv2.resize(crop(pixels, record.labels.box[row]), drawn.shape[1::-1]).astype(np.float64)
                inside = drawn[..., 3] > 250
                fits.append(np.corrcoef(seen[inside].ravel(), drawn[inside][:, :3].ravel())[0, 1])
            alike.append(max(fits))
    assert len(alike) > 60
    assert np.quantile(alike, 0.05) > 0.75
    assert np.median(alike) > 0.9


def test_a_gap_shows_the_back_of_the_shelf(shots: list[tuple[Any, Any]]) -> None:
    spread = {"gap": [], "facing": []}  # of the colours in the middle of the box, standard deviation
    for record, pixels in shots:
        for name, found in spread.items():
            for row in rows(record, name):
                x0, y0, x1, y1 = record.labels.box[row]
                middle = crop(pixels, (x0 + (x1 - x0) / 4, y0 + (y1 - y0) / 4, x1 - (x1 - x0) / 4, y1 - (y1 - y0) / 4))
                found.append(np.ptp(middle.reshape(-1, 3).mean(axis=0)) + middle.std())
    assert len(spread["gap"]) > 20
    assert np.median(spread["gap"]) < 0.5 * np.median(spread["facing"])


def test_barcodes_of_the_price_labels_are_read(shots: list[tuple[Any, Any]]) -> None:
    read = {}
    for record, pixels in shots:
        found = zxingcpp.read_barcodes(pixels, formats=zxingcpp.BarcodeFormat.EAN13)
        centres = [
            (b.text.zfill(14), *((getattr(b.position.top_left, a) + getattr(b.position.bottom_right, a)) / 2 for a in "xy"))
            for b in found
        ]
        for row in rows(record, "price_label"):
            x0, y0, x1, y1 = record.labels.box[row]
            here = [text for text, x, y in centres if x0 < x < x1 and y0 < y < y1]
            read[record.item.uri, row] = here == [record.labels.attributes["gtin"][row]]
    blurred = Counter(uri for (uri, _), right in read.items() if not right).most_common(1)[0][0]
    assert len(read) > 200
    sharp = [right for (uri, _), right in read.items() if uri != blurred]
    assert np.mean(sharp) > 0.97
    assert np.mean([right for (uri, _), right in read.items() if uri == blurred]) < 0.5


def test_facings_count_from_left_to_right_and_shelves_from_the_top(shots: list[tuple[Any, Any]]) -> None:
    for record, _ in shots:
        about = record.labels.attributes
        centre = (record.labels.box[:, :2] + record.labels.box[:, 2:]) / 2
        by_shelf: dict[float, list[int]] = {}
        for row in rows(record, "facing"):
            by_shelf.setdefault(about["shelf"][row], []).append(row)
        heights = [np.mean(centre[by_shelf[shelf], 1]) for shelf in sorted(by_shelf)]
        assert all(above < below for above, below in pairwise(heights))
        for one in by_shelf.values():
            ordered = sorted(one, key=lambda row: centre[row, 0])
            positions = [about["position"][row] for row in ordered]
            assert all(b - a == 1 for a, b in pairwise(positions))


def test_shops_make_mistakes_but_few(source: Path, shots: list[tuple[Any, Any]]) -> None:
    catalogue = open_catalogue("auto", str(source))
    assert catalogue.root == source.resolve()
    plan = open_planogram("auto", str(source))
    facings = strange = mispriced = displaced = gaps = 0
    for record, _ in shots:
        about = record.labels.attributes
        here = set(plan.of(record.item.meta["store"], record.item.meta["fixture"]).product)
        gaps += len(rows(record, "gap"))
        for row in rows(record, "facing"):
            facings += 1
            key = about["product"][row]
            unknown = SCHEMA.names[record.labels.class_id[row]] == "unknown_product"
            assert unknown == (key is None)
            assert unknown or catalogue.row_of(key) >= 0
            strange += unknown
            displaced += not unknown and key not in here
            price = about["price"][row]
            mispriced += bool(np.isfinite(price)) and not np.isclose(price, BY_KEY[key].price)
    assert 0.02 < gaps / facings < 0.2
    assert 0 < strange / facings < 0.04
    assert 0 < displaced / facings < 0.06
    assert 0 < mispriced / facings < 0.15


def test_the_catalogue_names_its_broken_rows(source: Path) -> None:
    catalogue = open_catalogue("auto", str(source))
    broken = Counter(one.column for one in catalogue.problems)
    assert broken == {"gtin": 2, "image": 1, "price": 2, "": 1}
    assert {one.row for one in catalogue.problems} == set(range(len(GOODS) + 2, len(GOODS) + 8))
    for good in GOODS:
        row = catalogue.row_of(good.sku)
        assert catalogue.by_gtin(good.gtin) == row
        assert (catalogue.price[row], catalogue.brand[row]) == (good.price, good.brand)
        assert (source / catalogue.image[row][0]).is_file()


def test_numbers_are_made_up_and_right() -> None:
    assert all(ean.is_valid(good.gtin[1:]) and normalise(good.gtin) == good.gtin for good in GOODS)
    assert {good.sku for good in GOODS if restricted_prefix(good.gtin)} == {good.sku for good in GOODS if good.shape == "tray"}
    assert len({good.gtin for good in GOODS}) == len({good.sku for good in GOODS}) == len(GOODS)
    assert {good.kind for good in GOODS} <= set(SCHEMA.names)
    assert {good.kind for good in GOODS} >= {"beer", "wine", "spirits", "medicine", "baby_food"}


@settings(deadline=None)
@given(st.text("0123456789", min_size=12, max_size=12))
def test_any_number_becomes_an_ean_13_that_is_read(body: str) -> None:
    digits = numbered(body)
    assert ean.is_valid(digits)
    bars = cv2.copyMakeBorder(np.ascontiguousarray(barcode(digits, 2, 30)), 8, 8, 0, 0, cv2.BORDER_CONSTANT, value=255)
    (found,) = zxingcpp.read_barcodes(bars, formats=zxingcpp.BarcodeFormat.EAN13)
    assert found.text == digits


def test_every_good_has_its_place_exemplars_and_a_packshot_with_tags(source: Path) -> None:
    plan = open_planogram("auto", str(source))
    assert set(plan.product) == set(BY_KEY)
    for store in sample.STORES:
        for fixture, goods in FIXTURES.items():
            assert {good.sku for good in goods} >= set(plan.of(store, fixture).product)
    assert all(len(list((source / "exemplars" / key).glob("*.jpg"))) == sample.EXEMPLARS for key in BY_KEY)
    shown = records(source.parent / "packshots.jsonl")
    assert [one.labels.attributes["product"][0] for one in shown] == list(BY_KEY)
    for one in shown:
        assert one.size == opened(source / one.item.uri).shape[:2]
        SCHEMA.check(one.labels, one.size)
        assert np.isin(one.labels.class_id, SCHEMA.under("product")).sum() == 1
        assert np.isin(one.labels.class_id, SCHEMA.under("packaging")).sum() == 1
        assert np.isin(one.labels.class_id, SCHEMA.under("colour")).any()


def test_shoppers_buy_by_taste(source: Path) -> None:
    orders = open_orders("auto", str(source), str)
    tags = {good.sku: {good.kind, good.brand, *good.tints, *good.claims} for good in GOODS}
    bought: dict[Any, list[str]] = {}
    for line in (source / "orders.csv").read_text(encoding="utf-8").splitlines()[1:]:
        user, sku, _, _ = line.split(",")
        bought.setdefault(user, []).append(sku)
    assert orders is not None
    assert len(orders) == sum(map(len, bought.values())) > 3000

    def overlap(pairs: list[tuple[str, str]]) -> float:
        return float(np.mean([len(tags[a] & tags[b]) for a, b in pairs if a != b]))

    own = [pair for skus in bought.values() for pair in pairwise(skus)]
    others = [(a[0], b[0]) for a, b in pairwise(bought.values())]
    assert overlap(own) > 1.5 * overlap(others)


def test_the_same_seed_gives_the_same_shop_and_another_does_not(tmp_path: Path) -> None:
    one, again, other = (sample.write(tmp_path / name, 1, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len([name for name in names if name.parts[0] in sample.STORES]) == 1
    assert all((one / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert (tmp_path / "a" / "truth.jsonl").read_bytes() == (tmp_path / "b" / "truth.jsonl").read_bytes()
    assert (tmp_path / "a" / "truth.jsonl").read_bytes() != (tmp_path / "c" / "truth.jsonl").read_bytes()
    assert other.name == "shelves"


def test_a_large_photo_shows_more_of_the_same(tmp_path: Path) -> None:
    pixels = opened(sample.large(tmp_path, megapixels=6))
    assert pixels.shape[0] * pixels.shape[1] == pytest.approx(6e6, rel=0.01)
    found = zxingcpp.read_barcodes(pixels, formats=zxingcpp.BarcodeFormat.EAN13)
    assert len({one.text for one in found} & {good.gtin[1:] for good in GOODS}) > 25


def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the sample can't be written to"):
        sample.write(tmp_path / "file", 1)
