"""RecBole's atomic files, read by its documented rules: a tab between cells, a blank within sequences, types in the header."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError
from hyla.types import Record
from hyla_retail.embeddings import Appearance
from hyla_retail.recbole import NOTHING, Recbole, Tokens, sequence, single
from tags_kit import SCHEMA, Drawn, photo, pictures, project, say, shelf

TYPES = ("token", "token_seq", "float", "float_seq")
CATALOGUE = """sku,gtin,name,brand,category,price
SKU1,4006381333931,Orange juice,Sonnig,Food > Juices & Nectars,1.99
SKU2,12345678905,"Apple ""cloudy"" juice",Sonnig,Food > Juices & Nectars,
NA,,null,,,2.50
"""
ORDERS = """customer,ean,date,qty
u1,4006381333931,2026-05-02,2
u1,SKU2,2026-05-03,1
u2,0012345678905,2026-05-03,1
u2,SKU77,2026-05-04,1
NULL,SKU1,2026-05-04,1
u3,SKU1,soon,1
u3,,2026-05-04,1
u3,SKU1,2026-05-05,-1
"""


def read(path: Path) -> dict[str, list[Any]]:
    """Return the columns of an atomic file, as RecBole reads them: csv with quotes, then by the type in the header."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file, delimiter="\t")
    assert path.read_bytes().endswith(b"\n"), "RecBole cuts the last character of the header"
    found: dict[str, list[Any]] = {}
    for n, (name, kind) in enumerate(column.split(":") for column in head):
        assert kind in TYPES
        assert {len(row) for row in rows} <= {len(head)}
        cells = [None if row[n] in NOTHING else row[n] for row in rows]
        if kind == "float":
            found[name] = [None if cell is None else float(cell) for cell in cells]
        elif kind.endswith("seq"):
            parts = [list(filter(None, (cell or "").split(" "))) for cell in cells]
            found[name] = [[float(x) for x in some] for some in parts] if kind == "float_seq" else parts
        else:
            found[name] = cells
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "catalogue.csv").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "shop" / "orders.csv").write_text(ORDERS, encoding="utf-8")
    return tmp_path / "shop"


def export(tmp_path: Path, source: Path, *records: Record, say_: tuple[int, ...] = (), **how: Any) -> dict[str, int]:
    with project(tmp_path / "project", records, str(source)) as made:
        for n in say_:
            say(made, records[n], "accept")
        return Recbole(pictures=pictures(made), **how).export(made.records(), SCHEMA, tmp_path) or {}


def test_products_are_items(tmp_path: Path, source: Path) -> None:
    records = [
        photo("SKU1", [("orange", 0.75), ("carton", 0.25)]),
        photo("SKU1", [("orange", 0.5)], "again"),
        shelf([("SKU9", 1)]),
    ]
    export(tmp_path, source, *records)
    items = read(tmp_path / "retail" / "retail.item")
    assert items["item_id"] == ["SKU1", "SKU2", "NA_", "SKU9"]
    assert items["name"] == [["Orange", "juice"], ["Apple", "'cloudy'", "juice"], ["null_"], []]
    assert items["brand"] == ["Sonnig", "Sonnig", None, None]
    assert items["categories"][0] == ["Food", "Juices_&_Nectars"]
    assert items["price"] == [1.99, None, 2.5, None]
    assert items["class"] == ["juice", None, None, "juice"]
    assert items["labels"] == [2, 0, 0, 1]
    assert items["p_orange"] == [0.625, None, None, None]
    assert items["p_carton"] == [0.125, None, None, None]
    assert items["p_red"] == [0, None, None, None]
    assert items["tags"] == [["orange"], [], [], []]
    assert items["verified"] == [0, 0, 0, 0]


def test_what_a_person_decided_outweighs_the_machine(tmp_path: Path, source: Path) -> None:
    right, wrong = photo("SKU1", [("orange", 0.6)]), photo("SKU1", [("red", 0.9), ("orange", 0.2)], "again")
    export(tmp_path, source, right, wrong, say_=(0,))
    items = read(tmp_path / "retail" / "retail.item")
    assert (items["p_orange"][0], items["p_red"][0], items["verified"][0], items["tags"][0]) == (1, 0, 0.5, ["orange"])


def test_orders_are_interactions(tmp_path: Path, source: Path) -> None:
    loss = export(tmp_path, source, photo("SKU1", []))
    inter = read(tmp_path / "retail" / "retail.inter")
    assert inter["user_id"] == ["u1", "u1", "u2", "u2", "NULL_"]
    assert inter["item_id"] == ["SKU1", "SKU2", "SKU2", "SKU77", "SKU1"], "whatever number the shop writes"
    assert inter["quantity"] == [2, 1, 1, 1, 1]
    assert inter["timestamp"][:2] == [1777680000, 1777766400]
    assert loss["row of orders"] == 3
    problems = (tmp_path / "orders_problems.csv").read_text(encoding="utf-8").splitlines()
    assert problems[1:] == [
        "7,date,'soon' is no time: left out",
        "8,ean,it names no product: left out",
        '9,qty,"nothing was bought, or it was returned: left out"',
    ]


def test_without_orders_there_are_no_interactions(tmp_path: Path, source: Path) -> None:
    export(tmp_path, source, photo("SKU1", []), orders=None, catalogue=None, dataset="shop")
    assert [p.name for p in sorted((tmp_path / "shop").glob("shop.*"))] == ["shop.item"]
    assert read(tmp_path / "shop" / "shop.item")["item_id"] == ["SKU1"]


def test_columns_of_orders_can_be_named(tmp_path: Path, source: Path) -> None:
    (source / "till.csv").write_text("who;what\na;SKU1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="user and the item"):
        export(tmp_path / "1", source, photo("SKU1", []), orders="till.csv")
    export(tmp_path / "2", source, photo("SKU1", []), orders="till.csv", columns={"user": "who", "item": "what"})
    assert read(tmp_path / "2" / "retail" / "retail.inter") == {"user_id": ["a"], "item_id": ["SKU1"]}
    with pytest.raises(ConfigError, match="dataset=a b"):
        Recbole("a b")


def test_pyarrow_reads_both(tmp_path: Path, source: Path) -> None:
    export(tmp_path, source, photo("SKU1", [("orange", 0.6)]))
    parse = pa_csv.ParseOptions(delimiter="\t", quote_char=False)
    items = pa_csv.read_csv(tmp_path / "retail" / "retail.item", parse_options=parse)
    assert items.schema.field("p_orange:float").type in (pa.float64(), pa.int64())
    assert pa_csv.read_csv(tmp_path / "retail" / "retail.inter", parse_options=parse).num_rows == 5
    assert isinstance(formats.get("recbole", SCHEMA), Recbole)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(st.characters(exclude_categories=("Cs",))), st.sampled_from(sorted(NOTHING))), unique=True, min_size=1
    )
)
def test_any_words_are_tokens_of_their_own(words: list[str]) -> None:
    tokens = Tokens()
    found = [tokens[word] for word in words]
    assert len(set(found)) == len(words)
    assert [tokens[word] for word in words] == found
    for cell in (*found, *(sequence([word]) for word in words), *(single(word) for word in words)):
        assert next(csv.reader([cell], delimiter="\t"), [""]) == ([cell] if cell else [])
        assert not set(cell) & set('\t\n\r" ')
    assert not set(found) & NOTHING


def test_an_embedding_is_a_column_of_numbers(tmp_path: Path, source: Path) -> None:
    form = Recbole(orders=None, catalogue=None, embedding=Appearance(), pictures=Drawn(str(source)))
    form.export([photo("SKU1", []), photo("SKU2", [])], SCHEMA, tmp_path)
    vectors = read(tmp_path / "retail" / "retail.item")["embedding"]
    assert [len(one) for one in vectors] == [Appearance().size] * 2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
