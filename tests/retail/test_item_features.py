"""The tables for recommenders: tags, embeddings, and lists of neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyla import formats
from hyla.errors import ConfigError
from hyla.types import Labels, Record
from hyla_retail import tally
from hyla_retail.embeddings import Appearance
from hyla_retail.item_features import ItemFeatures, columns
from hyla_retail.neighbours import NEIGHBOURS, TOGETHER, nearest, tag_vectors
from tags_kit import SCHEMA, SIZE, Drawn, photo, project, rejected, say, shelf

TABLES = ("items", "neighbours", "seen_together_on_shelf")


def export(to: Path, *records: Record, embedding: Any = None, **how: Any) -> list[list[dict[str, Any]]]:
    form = ItemFeatures(embedding, **{"pictures": Drawn(), **how})
    form.export(iter(records), SCHEMA, to)
    return [pq.read_table(to / f"{name}.parquet").to_pylist() for name in TABLES]


def test_a_row_for_each_product(tmp_path: Path) -> None:
    items, _, _ = export(
        tmp_path, photo("SKU1", [("orange", 0.75), ("carton", 0.25)]), shelf([("SKU3", 1), ("SKU1", 1), (None, 1)])
    )
    assert [(one["product"], one["labels"], one["class"], one["brand"]) for one in items] == [
        ("SKU1", 2, "juice", "Sonnig"),
        ("SKU3", 1, "juice", "Fizz"),
    ]
    assert (items[0]["p_orange"], items[0]["p_carton"], items[0]["p_red"]) == (0.75, 0.25, 0)
    assert (items[0]["tags"], items[0]["verified_tags"], items[0]["price"], items[0]["gtin"]) == (
        ["orange"],
        [],
        1.99,
        "04006381333931",
    )
    assert items[1]["p_red"] is None, "no picture of it says anything of its tags"


def test_the_tables_have_the_columns_that_are_documented(tmp_path: Path) -> None:
    export(tmp_path, photo("SKU1", []), embedding=Appearance())
    tags = [SCHEMA.names[i] for i in SCHEMA.under("tag") if not SCHEMA.classes[i].abstract]
    assert pq.read_schema(tmp_path / "items.parquet").equals(columns(tags, Appearance().size))
    assert pq.read_schema(tmp_path / "neighbours.parquet").equals(NEIGHBOURS)
    assert pq.read_schema(tmp_path / "seen_together_on_shelf.parquet").equals(TOGETHER)
    assert (
        pq.read_metadata(tmp_path / "seen_together_on_shelf.parquet").metadata[b"hyla_about"]
        == b"placed by the shop, not bought together"
    )


def test_colours_of_facings_count_where_nobody_looked_closer(tmp_path: Path) -> None:
    one = shelf([("SKU1", 1), ("SKU1", 1)])
    one.labels.attributes["colour"] = np.array(["orange", None], dtype=object)
    one.labels.evidence["p_colour"] = np.array([0.8, np.nan])
    items, _, _ = export(tmp_path, one)
    assert items[0]["p_orange"] == pytest.approx(0.8)
    assert items[0]["p_red"] == 0
    assert items[0]["p_can"] is None


def test_what_a_person_decided_is_told_apart(tmp_path: Path) -> None:
    one, two = photo("SKU1", [("orange", 0.6), ("can", 0.7)]), photo("SKU2", [("red", 0.6)])
    with project(tmp_path / "project", [one, two]) as made:
        say(made, one, "reject", 2)
        say(made, one, "accept", 0, 1, who="bob")
        say(made, two, "accept", 1, mode="grid")
        items, _, _ = export(tmp_path, *made.records(), pictures=Drawn(made=made))
    assert (items[0]["verified"], items[0]["p_orange"], items[0]["p_can"]) == (1, 1, 0)
    assert len(items[0]["verified_tags"]) == len([name for name in items[0] if name.startswith("p_")]), "what is not there, too"
    assert (items[1]["verified"], items[1]["verified_tags"], items[1]["p_red"]) == (0, ["red"], 1), (
        "a crop of one tag says nothing more"
    )


def test_the_embedding_is_of_length_1_and_signed(tmp_path: Path) -> None:
    items, near, _ = export(tmp_path, *(photo(f"P{n}", []) for n in range(4)), embedding=Appearance())
    vectors = np.array([one["embedding"] for one in items], dtype=np.float64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=2e-3)
    assert pq.read_schema(tmp_path / "items.parquet").field("embedding").type == pa.list_(pa.float16(), Appearance().size)
    said = pq.read_metadata(tmp_path / "items.parquet").metadata
    assert (said[b"embedding"], said[b"embedding_digest"]) == (b"appearance", Appearance().digest.encode())
    cosine = vectors @ vectors.T - 9 * np.eye(4)
    best = {one["product"]: one["neighbour"] for one in near if one["basis"] == "picture" and one["rank"] == 1}
    assert best == {f"P{n}": f"P{cosine[n].argmax()}" for n in range(4)}


def test_crops_that_a_person_verified_stand_above_the_others(tmp_path: Path) -> None:
    one, two = photo("SKU1", [], "one"), photo("SKU1", [], "two")
    with project(tmp_path / "project", [one, two]) as made:
        say(made, two, "accept")
        mixed, _, _ = export(tmp_path / "a", *made.records(), embedding=Appearance(), pictures=Drawn(made=made))
    alone, _, _ = export(tmp_path / "b", two, embedding=Appearance())
    assert mixed[0]["embedding"] == alone[0]["embedding"]


def test_few_crops_of_a_product_are_looked_at(tmp_path: Path) -> None:
    drawn = Drawn(broken=["n1.jpg"])
    records = [photo("SKU1", [], f"n{n}") for n in range(6)]
    loss = ItemFeatures(Appearance(), crops=3, pictures=drawn).export(records, SCHEMA, tmp_path)
    assert drawn.loaded == ["n0.jpg", "n2.jpg", "n3.jpg"]
    assert loss == {"unreadable picture": 1}
    assert drawn.closed == [], "nothing is kept open for photos that stand alone"


def test_tags_that_are_rare_tell_more() -> None:
    p = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 0], [1, 0, 0], [np.nan, np.nan, np.nan]])
    vectors = tag_vectors(p)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 1, 0], atol=1e-6)
    assert vectors[0, 1] > vectors[0, 0]
    rows = list(nearest(list("abcde"), vectors, 2, "tags"))
    assert next(one["neighbour"] for one in rows if one["product"] == "a") == "c"
    assert {one["product"] for one in rows} == set("abcd"), "without tags there are no neighbours"


def test_side_by_side_is_no_co_purchase(tmp_path: Path) -> None:
    bays = [shelf([("A", 1), ("A", 1), ("B", 1), ("C", 1), ("A", 2)], "a"), shelf([("B", 1), ("C", 1), (None, 2), ("A", 2)], "b")]
    _, _, together = export(tmp_path, *bays, rejected(shelf([("A", 1), ("C", 1)], "c")))
    found = {(one["product"], one["neighbour"]): one for one in together}
    assert all(one != other for one, other in found)
    assert {pair for pair in found if pair[0] < pair[1]} == {("A", "B"), ("A", "C"), ("B", "C")}
    assert [found["A", "B"][name] for name in TOGETHER.names[2:]] == [1, 1, 2, 2]
    assert [found["B", "C"][name] for name in TOGETHER.names[2:]] == [2, 2, 2, 2]
    assert (found["A", "C"]["side_by_side"], found["C", "A"]["photos"]) == (0, 1)


def test_nothing_at_all_is_tables_too(tmp_path: Path) -> None:
    items, near, together = export(tmp_path, embedding=Appearance())
    assert items == near == together == []
    one = Record(photo("x", []).item, Labels.empty(), size=SIZE)
    assert ItemFeatures().export([one], SCHEMA, tmp_path) == {}


def test_settings(tmp_path: Path) -> None:
    form = formats.get("item_features", SCHEMA, neighbours=0, embedding=None)
    assert form.export([photo("SKU1", [])], SCHEMA, tmp_path) == {}
    assert not (tmp_path / "neighbours.parquet").exists()
    assert isinstance(formats.get("item_features", SCHEMA).embedding, Appearance)
    with pytest.raises(ConfigError, match="crops is 0"):
        ItemFeatures(crops=0)
    assert tally.LIKELY == 0.5
