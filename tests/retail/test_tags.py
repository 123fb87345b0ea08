"""Colours, packaging and claims: said where something tells them, and not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from hyla.errors import ConfigError
from hyla.images import read_image
from hyla.types import Image, Item, Kind, Labels
from hyla_retail.colours import NAMES, name_of, shares
from hyla_retail.crops import on_paper
from hyla_retail.exemplars import Exemplars
from hyla_retail.products import Products
from hyla_retail.sample import preset_schema
from hyla_retail.tags import WORDS, Tags, is_bottle
from hyla_retail.whole import Whole

SCHEMA = preset_schema()
PRODUCT = SCHEMA.class_id("product")
# Colours as people name them: names in xkcd's survey (public domain) that hold one basic term. None is a mean in colours.py.
SURVEY = {
    "red": ("#e50000", "#be0119", "#8c000f", "#a90308", "#d9544d", "#fd3c06"),
    "orange": ("#f97306", "#fdaa48", "#c65102", "#ff964f", "#be6400"),
    "yellow": ("#ffff14", "#ffda03", "#fbdd7e", "#d5b60a", "#fffe7a"),
    "green": ("#15b01a", "#033500", "#96f97b", "#06470c", "#608f3e", "#77ab56"),
    "blue": ("#0343df", "#95d0fc", "#00035b", "#75bbfd", "#3b5b92", "#040273"),
    "purple": ("#7e1e9c", "#35063e", "#7a687f", "#9f6da0"),
    "pink": ("#ff81c0", "#ff028d", "#cb416b", "#ffd1df", "#f5054f"),
    "brown": ("#653700", "#ad8150", "#341c02", "#7f5112", "#964e02"),
    "grey": ("#929591", "#59656d", "#a8a495", "#363737", "#7d7f7c"),
    "black": ("#000000", "#1d1d1d"),
    "white": ("#ffffff", "#f4f4f2"),
}


def photo(pixels: Any) -> Image:
    return Image(pixels, Item("x", "x.png"))


def tag(pixels: Any, **attributes: list[Any]) -> Labels:
    return Labels.of([PRODUCT], [[0, 0, pixels.shape[1], pixels.shape[0]]], kind=Kind.TAG, attributes=attributes)


def packshot(colour: tuple[int, int, int], size: int = 200) -> Any:
    """Return a pack of one colour with a white patch printed on it, on white paper."""
    pixels = np.full((size, size, 3), 255, np.uint8)
    pixels[size // 10 : -size // 10, size // 3 : -size // 3] = colour
    pixels[size // 2 : size // 2 + 8, size // 2 : size // 2 + 8] = 255
    return pixels


def said(tags: Tags, pixels: Any, **attributes: list[Any]) -> dict[str, float]:
    (told,) = tags.read([photo(pixels)], [tag(pixels, **attributes)])
    SCHEMA.check(told.labels, pixels.shape[:2])
    return {SCHEMA.names[i]: p for i, p in zip(told.labels.class_id.tolist(), told.labels.score.tolist(), strict=True)}


def test_colours_are_called_as_people_call_them() -> None:
    wanted = [(name, code) for name, codes in SURVEY.items() for code in codes]
    pixels = np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for _, code in wanted], np.uint8)
    named = [NAMES[i] for i in name_of(pixels).tolist()]
    right = [name == found for (name, _), found in zip(wanted, named, strict=True)]
    assert np.mean(right) >= 0.9, [(*one, found) for one, found, ok in zip(wanted, named, right, strict=True) if not ok]


def test_names_are_those_of_the_schema() -> None:
    known = SCHEMA.attributes_of("label")
    assert set(NAMES) == set(known["colour"].choices) == {SCHEMA.names[i] for i in SCHEMA.under("colour")} - {"colour"}
    packs = {SCHEMA.names[i] for i in SCHEMA.under("packaging", "claim")} - {"packaging", "claim"}
    assert set(WORDS) == packs
    assert set(known["packaging"].choices) <= packs


def test_paper_around_a_packshot_is_no_colour_of_it() -> None:
    assert said(Tags(SCHEMA), packshot((200, 20, 30))) == {"red": pytest.approx(1, abs=0.01)}
    assert "white" in said(Tags(SCHEMA), np.full((50, 50, 3), 255, np.uint8))


def test_shares_become_probabilities() -> None:
    pixels = np.full((100, 100, 3), (20, 40, 200), np.uint8)
    pixels[:30] = (250, 220, 20)
    pixels[30:35] = (200, 20, 30)
    found = shares(pixels)
    assert list(found)[:2] == ["blue", "yellow"]
    assert found["yellow"] > 0.95
    assert found.get("red", 0) < 0.05
    assert shares(pixels[:, :, ::-1])["red"] == found["blue"]


def test_a_shelf_gets_attributes_and_no_tags() -> None:
    pixels = np.concatenate([packshot((20, 150, 40)), packshot((30, 60, 190))], axis=1)
    labels = Labels.of([PRODUCT, PRODUCT, SCHEMA.class_id("gap")], [[60, 20, 140, 180], [260, 20, 340, 180], [0, 0, 20, 20]])
    (told,) = Tags(SCHEMA).read([photo(pixels)], [labels])
    assert told.attributes["colour"].tolist() == ["green", "blue", None]
    assert told.evidence["p_colour"][:2] == pytest.approx(1, abs=0.01)
    assert np.isnan(told.evidence["p_colour"][2])
    assert told.attributes["packaging"].tolist() == [None] * 3
    assert not len(told.labels)


def outline(height: int = 300, neck: float = 0.35) -> Any:
    """Return the outline of a bottle, or of a can for a neck as wide as its body."""
    mask = np.zeros((height + 40, 200), dtype=bool)
    for y in range(height):
        share = neck if y < height * 0.2 else min(1.0, neck + (1 - neck) * (y - height * 0.2) / (height * 0.15))
        half = int(50 * share)
        mask[20 + y, 100 - half : 100 + half] = True
    return mask


def test_a_bottle_by_its_neck() -> None:
    assert is_bottle(outline())
    assert not is_bottle(outline(neck=1.0))
    assert not is_bottle(outline(height=120))
    assert not is_bottle(np.zeros((50, 50), dtype=bool))
    assert not is_bottle(np.ones((3, 3), dtype=bool))
    pixels = np.where(outline()[..., None], np.array([30, 90, 40], np.uint8), np.uint8(255)).astype(np.uint8)
    assert said(Tags(SCHEMA), pixels)["bottle"] == pytest.approx(0.8)
    assert on_paper(pixels) is not None


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("Oat drink carton 1 l", {"carton"}),
        ("Bio Hafer-Drink Karton", {"carton", "organic"}),
        ("Glutenfri Vegansk kaka", {"gluten_free", "vegan"}),
        ("Sugar-free cola", {"sugar_free"}),
        ("Wine bottle in a box", set()),  # which of them is seen is not said
        ("Cannes candy", set()),
        ("", set()),
    ],
)
def test_words_of_the_name(words: str, wanted: set[str]) -> None:
    found = said(Tags(SCHEMA), packshot((200, 20, 30)), name=[words])
    assert set(found) - set(NAMES) == wanted


def test_text_on_the_pack_tells_claims_and_no_packaging() -> None:
    found = said(Tags(SCHEMA), packshot((200, 20, 30)), text=["You can be vegan"])
    assert set(found) - set(NAMES) == {"vegan"}


def test_words_of_the_catalogue_of_a_product_that_exemplars_named(tmp_path: Path) -> None:
    rows = ["sku,name,category,image"]
    for number, (name, colour) in enumerate({"Organic tomatoes can": (200, 20, 30), "Beans": (20, 150, 40)}.items()):
        Pillow.fromarray(packshot(colour)).save(tmp_path / f"{number}.png")
        rows.append(f"A{number},{name},Food > Vegetable,{number}.png")
    (tmp_path / "catalogue.csv").write_text("\n".join(rows), encoding="utf-8")
    sources = {"tags": Tags(SCHEMA), "exemplar": Exemplars(SCHEMA, source=str(tmp_path))}  # asked last, whatever the order
    model = Products(SCHEMA, Whole(SCHEMA), sources, "auto", source=str(tmp_path), least=0.1)
    (labels,) = model.predict([photo(packshot((198, 22, 32), 260))])
    assert {SCHEMA.names[i] for i in labels.class_id.tolist()} == {"vegetable", "red", "can", "organic"}
    assert labels.attributes["product"][0] == "A0"
    assert labels.attributes["packaging"][0] == "can"
    SCHEMA.check(labels, (260, 260))


def test_nothing_is_given_below_least() -> None:
    pixels = packshot((200, 20, 30))
    assert set(said(Tags(SCHEMA, least=0.95), pixels, name=["a can"])) == {"red"}
    with pytest.raises(ConfigError, match="least"):
        Tags(SCHEMA, least=2)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 1), (64, 64, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_picture_is_read(shape: tuple[int, ...], dtype: Any) -> None:
    pixels = np.zeros(shape, dtype)
    assert set(said(Tags(SCHEMA), pixels)) == {"black"}


def test_real_packshots(shared: Path) -> None:
    """What is plain to see: milk of Arla is white, the juices of God Morgon are in black cartons."""
    root, tags = shared / "data/retail/iconic", Tags(SCHEMA)
    for name, colour in {"Arla-Standard-Milk": "red", "Arla-Medium-Fat-Milk": "green", "God-Morgon-Apple-Juice": "black"}.items():
        assert colour in said(tags, read_image(root / f"{name}_Iconic.jpg")), name


def test_pictures_are_left_alone() -> None:
    pixels = packshot((200, 20, 30))
    copy = pixels.copy()
    said(Tags(SCHEMA), pixels)
    np.testing.assert_array_equal(pixels, copy)
