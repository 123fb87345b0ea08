"""Text on price labels and packs, read with the networks in the wheel of rapidocr."""

from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla_retail import ocr
from hyla_retail.big_digits import with_point
from hyla_retail.reading import Reading
from hyla_retail.text import Text

TEXTS = ("gtin", "text", "currency", "pack_size", "brand")
SCHEMA = Schema.from_config(
    {
        "name": "retail",
        "kinds": ["box", "tag"],
        "classes": {"product": {}, "price_label": {}},
        "attributes": {name: {} for name in TEXTS} | {"price": {"type": "number"}},
    }
)
PRODUCT, PRICE_LABEL = 0, 1
GOODS = [
    ("40011", "4006381333931", "Brisa", "Orange", "330 ml", "0,89 EUR"),
    ("40022", "5449000000996", "Fernwell", "Still water", "1.5 l", "0,65 EUR"),
    ("40033", "4012345678901", "Monte Alto", "Ground coffee", "500 g", "8,49"),
]


def label(name: str, price: str, below: str = "", size: tuple[int, int] = (260, 120)) -> Any:
    """Return a price label (h, w, 3): the name above, the price in large digits, small print below."""
    picture = Pillow.new("RGB", size, (250, 248, 235))
    draw = ImageDraw.Draw(picture)
    draw.text((12, 10), name, (20, 20, 20), ImageFont.load_default(20))
    draw.text((90, 40), price, (0, 0, 0), ImageFont.load_default(38))
    draw.text((12, 98), below, (40, 40, 40), ImageFont.load_default(14))
    return np.array(picture)


def shelf(labels: list[Any]) -> tuple[Image, Labels]:
    """Return a photo with labels in rows of three, and their boxes."""
    pixels = np.full((200 * (1 + (len(labels) - 1) // 3), 1000, 3), (120, 130, 150), dtype=np.uint8)
    boxes = []
    for i, one in enumerate(labels):
        x, y = 20 + 320 * (i % 3), 40 + 200 * (i // 3)
        pixels[y : y + one.shape[0], x : x + one.shape[1]] = one
        boxes.append([x, y, x + one.shape[1], y + one.shape[0]])
    found = Labels.of([PRICE_LABEL] * len(labels), boxes)
    return Image(pixels, Item("a", "a.jpg"), context={"view": "shelf"}), found


@pytest.fixture
def source(tmp_path: Path) -> str:
    rows = [f'{sku},{gtin},{brand},{name},{size},"{price}",EUR' for sku, gtin, brand, name, size, price in GOODS]
    table = "\n".join(["sku,gtin,brand,name,size,price,currency", *rows]) + "\n"
    (tmp_path / "catalogue.csv").write_text(table, encoding="utf-8")
    return str(tmp_path)


def read(image: Image, labels: Labels, source: str = "", **settings: Any) -> Reading:
    (reading,) = Text(SCHEMA, catalogue="auto" if source else None, source=source, **settings).read([image], [labels])
    return reading


def test_price_labels_give_price_text_and_the_product_they_name(source: str) -> None:
    image, labels = shelf(
        [
            label("Brisa Orange 330 ml", "0,89 EUR", "1 l = 2,70 EUR"),
            label("Monte Alto Ground 500 g", "8.49 EUR", "Art. 40033"),
            label("Fernwell Still 1.5 L", "0,65 EUR", "1 l = 0,43"),
        ]
    )
    got = read(image, labels, source)
    assert got.attributes["price"].tolist() == [0.89, 8.49, 0.65]
    assert got.attributes["currency"].tolist() == ["EUR"] * 3
    assert got.attributes["pack_size"].tolist() == ["330 ml", "500 g", "1.5 l"]
    assert "Brisa Orange" in got.attributes["text"][0]
    best = {row: key for row, key, sure in zip(got.rows, got.product, got.likeness, strict=True) if sure > 0.5}
    assert best == {0: "40011", 1: "40033", 2: "40022"}
    # Price labels carry no brand of their own, and the given labels stay as they were.
    assert got.attributes["brand"].tolist() == [None] * 3
    assert labels.attributes == {}


def test_digits_of_a_gtin_of_the_catalogue_name_it_and_others_name_nothing(source: str) -> None:
    image, labels = shelf([label("Sonderpreis", "0,79", "4 006381 333931"), label("Angebot", "1,79", "4 006381 333932")])
    got = read(image, labels, source)
    assert (got.rows.tolist(), got.product.tolist()) == ([0], ["40011"])
    assert got.attributes["gtin"].tolist() == ["04006381333931", None]
    assert got.attributes["price"].tolist() == [0.79, 1.79]


@pytest.mark.parametrize(("whole", "cents"), [("1", "99"), ("12", "49"), ("7", "05"), ("3", "79")])
def test_cents_that_are_printed_small_and_high_are_cents(whole: str, cents: str) -> None:
    picture = Pillow.new("RGB", (260, 130), (255, 236, 90))
    draw = ImageDraw.Draw(picture)
    draw.text((12, 8), "Butter 250 g", (20, 20, 20), ImageFont.load_default(20))
    large = ImageFont.load_default(80)
    draw.text((90, 30), whole, (200, 0, 0), large)
    draw.text((96 + draw.textlength(whole, large), 44), cents, (200, 0, 0), ImageFont.load_default(40))
    image, labels = shelf([np.array(picture)])
    assert read(image, labels).attributes["price"].tolist() == [float(f"{whole}.{cents}")]


@pytest.mark.parametrize(
    ("text", "small", "wanted"),
    [
        ("199", 2, "1.99"),
        ("1249", 2, "12.49"),
        ("199", 0, "199"),
        ("1999", 0, "1999"),
        ("99", 1, "99"),
        ("Art 400", 2, "Art 400"),
    ],
)
def test_where_the_small_digits_begin_is_where_the_cents_do(text: str, small: int, wanted: str) -> None:
    picture = Pillow.new("RGB", (300, 90), (255, 240, 240))
    draw, x = ImageDraw.Draw(picture), 10.0
    for i, letter in enumerate(text):
        font = ImageFont.load_default(36 if i >= len(text) - small else 76)
        draw.text((x, 2), letter, (20, 20, 20), font)
        x += draw.textlength(letter, font) + 4
    assert with_point(text, np.array(picture)[:, : round(x) + 6]) == wanted
    assert with_point(text, 255 - np.array(picture)[:, : round(x) + 6]) == wanted  # light on dark
    assert with_point(text, np.zeros((3, 3, 3), dtype=np.uint8)) == text
    assert with_point(text, np.zeros((40, 90, 3), dtype=np.uint8)) == text


def test_digits_of_one_height_are_no_price() -> None:
    picture = Pillow.new("RGB", (260, 130), (255, 236, 90))
    ImageDraw.Draw(picture).text((60, 30), "199", (0, 0, 0), ImageFont.load_default(70))
    image, labels = shelf([np.array(picture)])
    got = read(image, labels)
    assert got.attributes["text"].tolist() == ["199"]
    assert np.isnan(got.attributes["price"]).all()


def test_a_pack_gives_its_size_and_brand(source: str) -> None:
    picture = Pillow.new("RGB", (400, 600), (30, 90, 60))
    draw = ImageDraw.Draw(picture)
    for y, text, size in ((60, "Monte Alto", 60), (200, "Ground Coffee", 44), (480, "500 g", 40)):
        draw.text((40, y), text, (255, 255, 255), ImageFont.load_default(size))
    image = Image(np.array(picture), Item("a", "a.jpg"), context={"view": "product"})
    got = read(image, Labels.of([PRODUCT], [[0, 0, 400, 600]], kind=Kind.TAG), source)
    assert got.attributes["brand"].tolist() == ["Monte Alto"]
    assert got.attributes["pack_size"].tolist() == ["500 g"]
    assert np.isnan(got.attributes["price"]).all()
    assert got.product[got.likeness.argmax()] == "40033"
    # Facings of a shelf are read only if that is asked for.
    box = Labels.of([PRODUCT], [[0, 0, 400, 600]])
    assert read(image, box, source).attributes["text"].tolist() == [None]
    assert read(image, box, source, facings=True).attributes["brand"].tolist() == ["Monte Alto"]


def test_what_is_read_of_a_label_does_not_depend_on_the_labels_beside_it() -> None:
    all_of_them = [label(f"Goods {i} of {i * 7} g", f"{i},{(37 * i) % 100:02}", f"1 kg = {i * 3},99") for i in range(1, 13)]
    image, labels = shelf(all_of_them)
    stage = Text(SCHEMA, None)
    (together,) = stage.read([image], [labels])
    (few,) = stage.read([image], [labels[[4, 9]]])
    apart = stage.read([image, image], [labels[[4]], labels[[9]]])
    assert together.attributes["price"].tolist() == [i + ((37 * i) % 100) / 100 for i in range(1, 13)]
    for name in ("price", "pack_size"):
        values = together.attributes[name][[4, 9]].tolist()
        assert few.attributes[name].tolist() == values
        assert [one.attributes[name][0] for one in apart] == values
    # Of equal pictures all is equal, whichever come before.
    (first,), (second,) = stage.read([image], [labels]), stage.read([image, image], [labels[[3]], labels])[1:]
    assert first.attributes["text"].tolist() == second.attributes["text"].tolist()


def test_threads_read_the_same(source: str) -> None:
    image, labels = shelf([label("Brisa Orange 330 ml", "0,89 EUR"), label("Fernwell Still", "0,65 EUR")])
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda _: read(image, labels, source).attributes["text"].tolist(), range(4)))
    assert all(one == texts[0] for one in texts)


def test_reading_is_silent_and_asks_no_other_machine(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(ocr, "_engine", None)
    with caplog.at_level(logging.DEBUG):
        image, labels = shelf([label("Brisa Orange 330 ml", "0,89 EUR")])
        assert "Brisa" in read(image, labels).attributes["text"][0]
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")
    assert "Brisa" not in caplog.text


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 900, 3), (300, 2, 4), (64, 64, 3), (20, 400, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pictures_without_text(shape: tuple[int, ...], dtype: Any) -> None:
    image = Image(np.zeros(shape, dtype=dtype), Item("a", "a.jpg"))
    whole = [0.0, 0.0, shape[1], shape[0]]
    kinds = np.array([Kind.BOX, Kind.TAG], dtype=np.uint8)
    got = read(image, Labels.of([PRICE_LABEL, PRODUCT], [whole, whole], kind=kinds))
    assert got.attributes["text"].tolist() == [None, None]
    assert len(got.rows) == 0
    assert len(read(image, Labels.empty()).rows) == 0


def test_lines_come_as_people_read_them() -> None:
    picture = Pillow.new("RGB", (500, 200), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(28)
    for x, y, text in ((20, 20, "first"), (300, 24, "second"), (20, 110, "third"), (300, 106, "fourth")):
        draw.text((x, y), text, "black", font)
    (lines,) = ocr.read([np.array(picture)], 500, 9)
    assert [line.text for line in lines] == ["first", "second", "third", "fourth"]
    assert all(0 <= line.box[0] < line.box[2] <= 510 for line in lines)
    assert 280 < lines[1].box[0] < 310
    (two,) = ocr.read([np.array(picture)], 500, 2)
    assert len(two) == 2


def test_brands_are_read_on_real_packs(shared: Path) -> None:
    paths = sorted((shared / "data/retail/iconic").glob("*.jpg"))
    pictures = []
    for path in paths:
        with Pillow.open(path) as opened:
            pictures.append(np.array(opened.convert("RGB")))
    read_of = [" ".join(line.text for line in lines).casefold() for lines in ocr.read(pictures, 800, 12)]
    clear = [i for i, path in enumerate(paths) if path.name.startswith(("Alpro", "Arla", "Bravo", "Tropicana", "Valio", "Yoggi"))]
    met = sum(paths[i].name.split("-")[0].casefold() in read_of[i] for i in clear)
    print(f"brand read on {met} of {len(clear)} packs")
    assert len(clear) == 23
    assert met >= 19


SIGNS = [  # where a person sees "$12" on a real shelf photo of 480 x 640 pixels
    [209, 146, 230, 160],
    [217, 220, 238, 233],
    [339, 222, 361, 235],
    [93, 323, 113, 337],
    [221, 329, 242, 342],
    [365, 332, 386, 346],
    [78, 420, 101, 434],
    [212, 430, 231, 444],
]


def test_prices_of_20_pixels_are_read_on_a_real_shelf_or_left_unknown(shared: Path) -> None:
    with Pillow.open(shared / "data/retail/shelves/test_2.jpg") as opened:
        image = Image(np.array(opened.convert("RGB")), Item("a", "a.jpg"), context={"view": "shelf"})
    boxes = np.array(SIGNS, dtype=float) + np.array([-14.0, -5, 14, 5])
    got = read(image, Labels.of([PRICE_LABEL] * len(SIGNS), boxes))
    price = got.attributes["price"]
    print(f"price read on {np.isfinite(price).sum()} of {len(SIGNS)} signs: {got.attributes['text'].tolist()}")
    assert set(price[np.isfinite(price)]) == {12.0}
    assert np.isfinite(price).sum() >= 5
    assert {c for c in got.attributes["currency"] if c} == {"USD"}


def test_settings_that_can_not_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ({"label_px": 8}, {"pack_px": 9000}, {"least": 1.5}, {"names": 0}):
        with pytest.raises(ConfigError):
            Text(SCHEMA, None, **wrong)
    monkeypatch.setattr(ocr, "available", lambda: False)
    with pytest.raises(ConfigError, match="rapidocr"):
        Text(SCHEMA, None)


def test_provenance_names_the_networks() -> None:
    said = Text(SCHEMA, None).provenance()
    assert said["name"] == "text"
    assert len(said["digest"]) == 64
