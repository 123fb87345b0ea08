"""Barcodes: as zxing-cpp reads them, each once, and what they say of products and price labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from PIL import Image as Pillow

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla_retail.barcodes import Barcodes
from hyla_retail.codes import Codes, Reader, gtin_of
from hyla_retail.reading import Reading

SCHEMA = Schema.from_config(
    {
        "name": "retail",
        "kinds": ["box", "tag"],
        "classes": {"product": {}, "juice": {"parent": "product"}, "price_label": {}, "barcode": {}},
        "attributes": {name: {} for name in ("gtin", "symbology", "text", "pack_size")} | {"price": {"type": "number"}},
    }
)
PRODUCT, JUICE, PRICE_LABEL, BARCODE = range(4)
COLA, WATER, OWN = "5449000000996", "4006381333931", "2012345005990"


def drawn(content: str, symbology: str = "EAN13", scale: int = 3) -> Any:
    code = zxingcpp.create_barcode(content, getattr(zxingcpp.BarcodeFormat, symbology))
    return np.array(code.to_image(scale=scale))


def photo(*codes: tuple[Any, int, int], size: tuple[int, int] = (600, 1000)) -> Any:
    """Return a grey picture with codes (their pixels, x, y) on it."""
    pixels = np.full((*size, 3), 200, dtype=np.uint8)
    for code, x, y in codes:
        pixels[y : y + code.shape[0], x : x + code.shape[1]] = code[..., None]
    return pixels


def image(pixels: Any, **context: str) -> Image:
    return Image(pixels, Item("a", "a.jpg"), context=context)


def read(pixels: Any, labels: Labels, source: str = "", view: str = "shelf", **settings: Any) -> Reading:
    stage = Barcodes(SCHEMA, catalogue="auto" if source else None, source=source, **settings)
    (reading,) = stage.read([image(pixels, view=view)], [labels])
    return reading


def catalogue(folder: Path) -> str:
    (folder / "catalogue.csv").write_text(f"sku,gtin,name\n40011,{COLA},Cola\n40022,{OWN},Apples\n", encoding="utf-8")
    return str(folder)


def test_real_codes_are_read_as_zxing_reads_them(shared: Path) -> None:
    paths = sorted((shared / "data/retail/barcodes").rglob("*.png"))
    model = Codes(SCHEMA)
    right = 0
    for path in paths:
        with Pillow.open(path) as opened:
            alone = [code.text for code in zxingcpp.read_barcodes(opened.convert("L"))]
            pixels = np.array(opened.convert("RGB"))
        (labels,) = model.predict([image(pixels)])
        SCHEMA.check(labels, pixels.shape[:2])
        texts = labels.attributes["text"].tolist() if len(labels) else []
        assert sorted(texts) == sorted(alone), path
        truth = path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        # A UPC-A is an EAN-13 that begins with 0.
        right += any(text in (truth, f"0{truth}") for text in texts)
    print(f"{right} of {len(paths)} codes read right")
    assert len(paths) == 23
    assert right == 22


def test_photos_of_goods_have_no_codes_that_are_not_there(shared: Path) -> None:
    paths = [*(shared / "data/retail/shelves").glob("*.jpg"), *(shared / "data/retail/iconic").glob("*.jpg")]
    model = Codes(SCHEMA)
    assert len(paths) == 37
    for path in paths:
        with Pillow.open(path) as opened:
            assert len(model.predict([image(np.array(opened.convert("RGB")))])[0]) == 0, path


def test_a_code_is_one_label_with_its_content() -> None:
    pixels = photo((drawn(COLA), 50, 60), (drawn("https://id.gs1.org/01/09506000134352?17=270131", "QRCode"), 600, 100))
    (labels,) = Codes(SCHEMA).predict([image(pixels)])
    SCHEMA.check(labels, (600, 1000))
    assert (labels.class_id == BARCODE).all()
    got = zip(*(labels.attributes[name].tolist() for name in ("symbology", "gtin")), strict=True)
    assert sorted(got) == [("EAN-13", f"0{COLA}"), ("QR Code", "09506000134352")]
    assert ((labels.box[:, 0] < 600) == (labels.attributes["symbology"] == "EAN-13")).all()


def test_low_codes_in_a_large_photo_are_found_where_labels_are() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(150, 220, (2600, 1400, 1), dtype=np.uint8).repeat(3, axis=2)
    places = [(x, y) for y in range(100, 2500, 300) for x in range(60, 1100, 420)]
    code = drawn(WATER, scale=3)[60:84]
    for x, y in places:
        pixels[y : y + code.shape[0], x : x + code.shape[1]] = code[..., None]
    boxes = np.array([[x, y, x + code.shape[1], y + code.shape[0]] for x, y in places], dtype=float)
    found = Reader().read(pixels, boxes)
    assert len(found) == len(places)
    whole = zxingcpp.read_barcodes(np.ascontiguousarray(pixels[..., 0]))
    assert len(whole) <= len(found)


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_any_turn_and_any_bands(turn: int, bands: int) -> None:
    pixels = np.rot90(photo((drawn(COLA), 50, 60)), turn)[..., :1].repeat(bands, axis=2)
    for one in (pixels, pixels.astype(np.uint16) * 257, pixels.astype(np.float32) / 255):
        (labels,) = Codes(SCHEMA).predict([image(one)])
        assert labels.attributes["gtin"].tolist() == [f"0{COLA}"]
        SCHEMA.check(labels, one.shape[:2])


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 900, 3), (700, 2, 4), (30, 30, 3)])
def test_pictures_of_nothing(shape: tuple[int, ...]) -> None:
    for value in (0, 255):
        pixels = np.full(shape, value, dtype=np.uint8)
        assert len(Codes(SCHEMA).predict([image(pixels)])[0]) == 0
        labels = Labels.of([PRODUCT, PRICE_LABEL], [[0, 0, shape[1], shape[0]]] * 2)
        assert len(read(pixels, labels).rows) == 0
    assert len(read(np.zeros(shape, np.uint8), Labels.empty()).rows) == 0


def test_a_code_belongs_to_the_price_label_before_the_product_and_to_the_smaller_product(tmp_path: Path) -> None:
    pixels = photo((drawn(COLA), 50, 60), (drawn(WATER), 500, 60))
    boxes = [[0, 0, 1000, 600], [480, 40, 900, 300], [40, 40, 480, 300], [30, 30, 470, 290]]
    got = read(pixels, Labels.of([PRODUCT, JUICE, PRODUCT, PRICE_LABEL], boxes), catalogue(tmp_path))
    said = dict(zip(got.rows.tolist(), got.product.tolist(), strict=True))
    assert said == {3: "40011", 1: f"0{WATER}"}  # by the catalogue's key, and by the GTIN of what it does not know
    assert got.attributes["gtin"].tolist() == [None, f"0{WATER}", None, f"0{COLA}"]
    assert got.likeness.min() > 0.9
    assert got.evidence["bad_digit"][[1, 3]].tolist() == [0.0, 0.0]
    assert np.isnan(got.evidence["bad_digit"][[0, 2]]).all()


def test_the_photo_of_one_product_is_named_by_its_code(tmp_path: Path) -> None:
    pixels = photo((drawn(COLA), 50, 60))
    whole = Labels.of([PRODUCT], [[0, 0, 1000, 600]], kind=Kind.TAG)
    got = read(pixels, whole, catalogue(tmp_path), view="product")
    assert (got.rows.tolist(), got.product.tolist(), len(got.labels)) == ([0], ["40011"], 0)


def test_a_code_at_the_shelf_edge_is_a_price_label() -> None:
    pixels = photo((drawn(COLA, scale=2), 100, 330), (drawn(WATER, scale=2), 700, 20))
    facing = Labels.of([PRODUCT, PRODUCT], [[60, 40, 200, 310], [200, 40, 340, 310]])
    got = read(pixels, facing)
    assert len(got.labels) == 1
    SCHEMA.check(got.labels, (600, 1000))
    x0, y0, x1, y1 = got.labels.box[0].tolist()
    assert x0 < 130 < 300 < x1
    assert 290 < y0 < 330
    assert y1 < 500
    assert got.labels.attributes["gtin"].tolist() == [f"0{COLA}"]
    assert (got.rows.tolist(), got.product.tolist()) == ([2], [f"0{COLA}"])  # of the new label, whose row comes after the others
    assert len(read(pixels, facing, view="product").labels) == 0
    assert len(read(pixels, Labels.empty()).labels) == 0


def test_a_new_price_label_is_as_large_as_the_others_of_its_picture() -> None:
    pixels = photo((drawn(COLA, scale=2), 100, 330), (drawn(WATER, scale=2), 600, 340))
    facings = [[60, 40, 330, 310], [560, 40, 830, 310]]
    got = read(pixels, Labels.of([PRODUCT, PRODUCT, PRICE_LABEL], [*facings, [80, 320, 400, 500]]))
    assert got.attributes["gtin"].tolist() == [None, None, f"0{COLA}"]
    assert got.labels.box[0] == pytest.approx([580, 330, 900, 510], abs=3)


def test_numbers_of_weighed_goods_name_no_product_unless_the_catalogue_lists_them(tmp_path: Path) -> None:
    pixels = photo((drawn(OWN), 50, 60))
    label = Labels.of([PRODUCT], [[20, 30, 600, 400]])
    unknown = read(pixels, label)
    assert len(unknown.rows) == 0
    assert unknown.attributes["gtin"].tolist() == [f"0{OWN}"]
    assert unknown.evidence["restricted_prefix"].tolist() == [1.0]
    assert np.isnan(unknown.attributes["price"]).all()
    assert read(pixels, label, catalogue(tmp_path)).product.tolist() == ["40022"]
    assert read(pixels, label, measure="price").attributes["price"].tolist() == [5.99]
    assert read(pixels, label, measure="weight").attributes["pack_size"].tolist() == ["599 g"]


def test_two_numbers_in_one_label_leave_its_own_unknown() -> None:
    got = read(photo((drawn(COLA), 50, 30), (drawn(WATER), 50, 320)), Labels.of([PRICE_LABEL], [[0, 0, 900, 600]]))
    assert got.attributes["gtin"].tolist() == [None]
    assert sorted(got.product.tolist()) == [f"0{WATER}", f"0{COLA}"]
    assert got.likeness.sum() <= 1


def test_what_is_no_gtin_is_kept_as_text_and_names_nothing() -> None:
    got = read(photo((drawn("https://example.org/recipes", "QRCode"), 50, 30)), Labels.of([PRODUCT], [[0, 0, 900, 600]]))
    assert len(got.rows) == 0
    assert got.attributes["text"].tolist() == ["https://example.org/recipes"]
    assert got.attributes["gtin"].tolist() == [None]


def test_a_wrong_check_digit_is_told_and_names_nothing() -> None:
    code = drawn(COLA)
    modules = np.array([code[100, x] for x in range(code.shape[1])])
    start = int(np.flatnonzero(modules == 0)[0])
    unit = 3
    # The last digit, 6, becomes 7: right-hand codes of GS1 General Specifications 5.2.
    last = start + (3 + 42 + 5 + 35) * unit
    wrong = code.copy()
    for i, bit in enumerate("1000100"):
        wrong[:, last + i * unit : last + (i + 1) * unit][wrong[:, last : last + 7 * unit].min(axis=1) == 0] = 255 * (bit == "0")
    got = read(photo((wrong, 50, 60)), Labels.of([PRODUCT], [[20, 30, 600, 500]]))
    assert got.evidence["bad_digit"].tolist() == [1.0]
    assert len(got.rows) == 0
    assert got.attributes["gtin"].tolist() == [None]
    assert len(Codes(SCHEMA).predict([image(photo((wrong, 50, 60)))])[0]) == 0


@pytest.mark.parametrize(
    ("text", "symbology", "number"),
    [
        (COLA, "EAN-13", f"0{COLA}"),
        ("(01)09506000134352(17)270131", "DataBar Expanded", "09506000134352"),
        ("https://example.com/01/09506000134352", "QR Code", "09506000134352"),
        ("15449000000993", "ITF", "15449000000993"),
        (COLA, "Code 128", ""),  # digits that could be anything
        ("12345670", "QR Code", ""),
        ("2021200000", "ITF", ""),
        ("https://example.com/about", "QR Code", ""),
    ],
)
def test_only_what_says_that_it_is_a_gtin_is_one(text: str, symbology: str, number: str) -> None:
    assert gtin_of(text, symbology) == number


def test_settings_that_can_not_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="EAN13"):
        Codes(SCHEMA, symbologies=["EAN13"])
    with pytest.raises(ConfigError, match="symbology"):
        Codes(SCHEMA, symbologies=[])
    with pytest.raises(ConfigError, match="measure"):
        Barcodes(SCHEMA, None, measure="volume")


def test_only_symbologies_that_are_wanted_are_read() -> None:
    pixels = photo((drawn(COLA), 50, 60), (drawn("hello", "QRCode"), 600, 100))
    (labels,) = Codes(SCHEMA, symbologies=["QR Code"]).predict([image(pixels)])
    assert labels.attributes["text"].tolist() == ["hello"]
