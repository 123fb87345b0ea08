"""Finder and sources joined: one name per product, with what the catalogue knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyla import config
from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla_retail.products import Products
from hyla_retail.reading import Reading, Source

CATALOGUE = """sku;gtin;brand;name;category;price;size
cola33;4006381333931;Kola;Kola Classic 330 ml;Food > Beverages > Soft drinks;0,99;330 ml
cola50;4006381333948;Kola;Kola Classic 500 ml;Food > Beverages > Soft drinks;1,29;500 ml
beer;5901234123457;Hopfen;Hopfen Pils;Food > Beverages > Alcohol > Beer;1,49;500 ml
"""
FACINGS = [[0, 0, 40, 80], [40, 0, 80, 80], [80, 0, 120, 80]]
LABEL = [0, 82, 60, 100]


@pytest.fixture
def schema() -> Schema:
    return Schema.from_config(config.compose("retail", source=".").schema)


@pytest.fixture
def shop(tmp_path: Path) -> str:
    (tmp_path / "catalogue.csv").write_text(CATALOGUE)
    return str(tmp_path)


class Found(Model):
    """Finds three facings and a price label."""

    def __init__(self, schema: Schema) -> None:
        self.classes = [schema.class_id("product")] * 3 + [schema.class_id("price_label")]

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        shelf = {"shelf": [1, 1, 1, 1], "position": [1, 2, 3, None]}
        return [Labels.of(self.classes, [*FACINGS, LABEL], score=[0.9, 0.8, 0.7, 0.6], attributes=shelf) for _ in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        return {"name": "found"}


class Says(Source):
    """Says the same of every picture."""

    def __init__(self, *claims: tuple[int, str, float], **more: Any) -> None:
        rows, words, likeness = zip(*claims, strict=True) if claims else ((), (), ())
        product = np.empty(len(words), dtype=object)
        product[:] = words
        self.reading = Reading(np.array(rows, dtype=np.int64), product, np.array(likeness, dtype=float), **more)

    def read(self, images: Sequence[Image], labels: Sequence[Labels]) -> list[Reading]:
        return [self.reading for _ in images]


def label(schema: Schema, shop: str, *sources: Source, **settings: Any) -> Labels:
    named = {f"s{n}": one for n, one in enumerate(sources)}
    model = Products(schema, Found(schema), named, source=shop, **settings)
    image = Image(np.zeros((110, 130, 3), np.uint8), Item("a", "a.jpg"), context={"view": "shelf"})
    (labels,) = model.predict([image])
    schema.check(labels, (110, 130))
    return labels


def test_what_sources_agree_on_is_the_name_and_the_catalogue_says_the_rest(schema: Schema, shop: str) -> None:
    labels = label(schema, shop, Says((0, "cola33", 0.8)), Says((0, "cola33", 0.9), (1, "beer", 0.7)))
    assert labels.attributes["product"].tolist() == ["cola33", "beer", None, None]
    assert labels.attributes["sources"].tolist() == ["s0+s1", "s1", None, None]
    assert labels.attributes["gtin"].tolist()[:2] == ["04006381333931", "05901234123457"]
    assert labels.attributes["brand"].tolist() == ["Kola", "Hopfen", None, None]
    assert labels.attributes["catalogue_price"].tolist()[:2] == [0.99, 1.49]
    assert [schema.names[c] for c in labels.class_id.tolist()] == ["soft_drink", "beer", "product", "price_label"]
    assert labels.score[0] > 0.9 * 0.97
    assert labels.score[1] == pytest.approx(0.8 * 0.7)
    assert labels.score[2:].tolist() == [0.7, 0.6]
    assert labels.evidence["conflict"][:2].tolist() == [0, 0]


def test_a_name_that_is_not_sure_enough_is_not_given(schema: Schema, shop: str) -> None:
    labels = label(schema, shop, Says((0, "cola33", 0.45)))
    assert labels.attributes["product"].tolist()[0] is None
    assert labels.evidence["s0"][0] == pytest.approx(0.45)
    assert label(schema, shop, Says((0, "cola33", 0.45)), least=0.4).attributes["product"].tolist()[0] == "cola33"


def test_what_a_price_label_says_passes_on_to_the_facings_above_it(schema: Schema, shop: str) -> None:
    prices = np.array([np.nan, np.nan, np.nan, 1.09])
    labels = label(schema, shop, Says((3, "cola33", 1.0), attributes={"price": prices}))
    assert labels.attributes["product"].tolist()[0] == "cola33"
    assert labels.attributes["product"].tolist()[3] is None
    assert labels.attributes["price"][0] == 1.09
    assert labels.evidence["price_label"][0] == pytest.approx(0.9)
    assert labels.evidence["price_diff"][0] == pytest.approx(0.1 / 0.99)


def test_a_source_that_sees_another_product_than_the_price_label_is_a_conflict(schema: Schema, shop: str) -> None:
    labels = label(schema, shop, Says((3, "cola33", 1.0)), Says((0, "beer", 0.97)))
    assert labels.attributes["product"].tolist()[0] == "beer"
    assert labels.evidence["conflict"][0] == 1
    assert labels.evidence["price_label"][0] == 0
    assert labels.evidence["margin"][0] < 0.8
    assert labels.evidence["segment_conflict"][0] == 0  # both are food


def test_a_size_that_differs_from_the_catalogue_is_seen(schema: Schema, shop: str) -> None:
    sizes = np.array(["0,5 l", "500 ml", None, None], dtype=object)
    labels = label(schema, shop, Says((0, "cola33", 0.9), (1, "cola50", 0.9), attributes={"pack_size": sizes}))
    assert labels.evidence["size_conflict"][:2].tolist() == [1, 0]


def test_a_size_on_the_pack_is_not_overwritten_by_the_catalogue(schema: Schema, shop: str) -> None:
    sizes = np.array(["500 ml", None, None, None], dtype=object)
    labels = label(schema, shop, Says((0, "cola33", 0.9), (1, "cola33", 0.9), attributes={"pack_size": sizes}))
    assert labels.attributes["pack_size"].tolist()[:2] == ["500 ml", "330 ml"]


def test_a_price_on_the_facing_stays_where_its_label_was_not_read(schema: Schema, shop: str) -> None:
    prices = np.array([2.5, np.nan, np.nan, np.nan])
    labels = label(schema, shop, Says((3, "cola33", 1.0), attributes={"price": prices}))
    assert labels.attributes["price"][0] == 2.5


def test_a_weak_claim_names_nothing_however_few_products_there_are(schema: Schema, shop: str) -> None:
    labels = label(schema, shop, Says((0, "cola33", 0.03)), least=0.0)
    assert labels.attributes["product"].tolist() == ["cola33", None, None, None]
    assert labels.score[0] < 0.9 * 0.05


def test_products_of_no_known_category_are_not_said_to_lie_in_other_segments(schema: Schema, tmp_path: Path) -> None:
    (tmp_path / "catalogue.csv").write_text("sku,name,price\nA,Mint,1\nB,Lemon,1\n")
    labels = label(schema, str(tmp_path), Says((0, "A", 0.5), (0, "B", 0.45)))
    assert np.isnan([labels.evidence["depth"][0], labels.evidence["segment_conflict"][0]]).all()
    assert labels.evidence["margin"][0] == pytest.approx(0.05, abs=0.01)


def test_what_is_like_nothing_known_is_an_unknown_product(schema: Schema, shop: str) -> None:
    novelty = np.array([0.99, 0.5, 0.99, np.nan])
    labels = label(schema, shop, Says((2, "beer", 0.9), evidence={"novelty": novelty}))
    assert [schema.names[c] for c in labels.class_id.tolist()] == ["unknown_product", "product", "beer", "price_label"]


def test_labels_that_a_source_finds_are_seen_by_the_next(schema: Schema, shop: str) -> None:
    tag = Labels.of([schema.class_id("red")], [[0, 0, 130, 110]], kind=Kind.TAG, score=[0.7])
    labels = label(schema, shop, Says(labels=tag), Says((0, "beer", 0.9), evidence={"margin": np.full(5, 0.2)}))
    assert len(labels) == 5
    assert schema.names[int(labels.class_id[4])] == "red"
    assert labels.attributes["product"].tolist()[4] is None


def test_a_piece_of_a_price_label_goes_where_a_source_found_the_whole(schema: Schema, shop: str) -> None:
    whole = Labels.of([schema.class_id("price_label")], [[0, 80, 120, 104]], score=[0.8])
    prices = np.array([np.nan, np.nan, np.nan, np.nan, 0.99])
    labels = label(schema, shop, Says(labels=whole), Says(attributes={"price": prices}))
    assert labels.box.tolist() == [*FACINGS, [0, 80, 120, 104]]
    assert labels.attributes["price"].tolist() == [0.99] * 4


def test_labels_do_not_depend_on_the_batch(schema: Schema, shop: str) -> None:
    model = Products(schema, Found(schema), {"a": Says((0, "beer", 0.9))}, source=shop)
    image = Image(np.zeros((110, 130, 3), np.uint8), Item("a", "a.jpg"))
    other = replace(image, item=Item("b", "b.jpg"))
    assert model.predict([image, other]) == [*model.predict([image]), *model.predict([other])]


def test_the_provenance_names_the_parts_and_changes_with_the_catalogue(schema: Schema, shop: str) -> None:
    def signed() -> dict[str, str]:
        return Products(schema, Found(schema), {"a": Says()}, source=shop).provenance()

    before = signed()
    assert before["name"] == "found+says"
    (Path(shop) / "catalogue.csv").write_text(CATALOGUE.replace("1,49", "1,59"))
    assert signed()["digest"] != before["digest"]


def test_settings_that_can_not_be_are_refused(schema: Schema, shop: str) -> None:
    with pytest.raises(ConfigError, match="finds nothing"):
        Products(schema, Model(), {})
    with pytest.raises(ConfigError, match=r"model\.least"):
        Products(schema, Found(schema), {}, least=2)
    with pytest.raises(ConfigError, match=r"sources\.a"):
        Products(schema, Found(schema), {"a": Found(schema)})  # type: ignore[dict-item]
