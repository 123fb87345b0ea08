"""Facings, shares and gaps: what the tables say of shelves that were counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError
from hyla.formats import Loss
from hyla.types import Record
from hyla_retail import seen
from hyla_retail.counts import COUNTS, GAPS, SHARES, ShelfCounts, count
from tags_kit import SCHEMA, photo, pictures, project, rejected, say, shelf

some = settings(max_examples=60, deadline=None)


def export(to: Path, *records: Record, **how: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    ShelfCounts(**how).export(iter(records), SCHEMA, to)
    counts, shares, gaps = (pq.read_table(to / f"{name}.parquet") for name in ("shelf_counts", "share_of_shelf", "shelf_gaps"))
    return counts.to_pylist(), shares.to_pylist(), gaps.to_pylist()


def test_facings_by_product_and_shelf(tmp_path: Path) -> None:
    counts, _, _ = export(tmp_path, shelf([("SKU1", 1), ("SKU1", 1), ("SKU2", 1), ("SKU1", 2), (None, 2)]))
    assert [(r["shelf"], r["product"], r["facings"], r["share_of_facings"], r["of"]) for r in counts] == [
        (1, "SKU1", 2, 0.4, 5),
        (1, "SKU2", 1, 0.2, 5),
        (2, "SKU1", 1, 0.2, 5),
        (2, None, 1, 0.2, 5),
    ]
    assert [r["width_px"] for r in counts] == [40, 20, 20, 20]
    assert counts[0]["gtin"] == "04006381333931"
    assert (counts[0]["store"], counts[0]["fixture"], counts[0]["date"], counts[0]["photos"]) == (
        "Dresden 1",
        "bay 1",
        "2026-05-02",
        1,
    )


def test_share_of_shelf_is_that_of_a_brand_in_its_class(tmp_path: Path) -> None:
    _, shares, _ = export(tmp_path, shelf([("SKU1", 1), ("SKU2", 1), ("SKU3", 1), ("SKU3", 2), (None, 2)]))
    assert [(r["class"], r["brand"], r["facings"], r["share_of_facings"], r["of"]) for r in shares] == [
        ("juice", "Fizz", 2, 0.5, 4),
        ("juice", "Sonnig", 2, 0.5, 4),
        ("product", None, 1, 1.0, 1),
    ]


def test_gaps_by_shelf(tmp_path: Path) -> None:
    _, _, gaps = export(tmp_path, shelf([("SKU1", 1), ("SKU1", 1), ("SKU1", 2)], gaps=[1, 3]))
    assert [(r["shelf"], r["gaps"], r["facings"], r["share_of_width"]) for r in gaps] == [
        (1, 1, 2, pytest.approx(1 / 3)),
        (2, 0, 1, 0.0),
        (3, 1, 0, 1.0),
    ]


def test_a_photo_taken_again_replaces_the_first(tmp_path: Path) -> None:
    again = [shelf([("SKU1", 1)], "a"), shelf([("SKU1", 1), ("SKU2", 1)], "b"), shelf([("SKU3", 1)], "c", date="2026-05-03")]
    counts, _, _ = export(tmp_path, *again)
    assert [(r["date"], r["product"], r["facings"], r["photos"]) for r in counts] == [
        ("2026-05-02", "SKU1", 1, 1),
        ("2026-05-02", "SKU2", 1, 1),
        ("2026-05-03", "SKU3", 1, 1),
    ]
    assert ShelfCounts().export(again, SCHEMA, tmp_path) == {"replaced photo": 1}
    counts, _, _ = export(tmp_path, *again, several="sum")
    assert [(r["product"], r["facings"], r["photos"]) for r in counts] == [("SKU1", 2, 2), ("SKU2", 1, 2), ("SKU3", 1, 1)]


def test_photos_of_no_known_fixture_stand_by_themselves(tmp_path: Path) -> None:
    counts, _, _ = export(tmp_path, *(shelf([("SKU1", 1)], name, fixture=None, store=None) for name in "ab"))
    assert [(r["store"], r["fixture"], r["facings"]) for r in counts] == [(None, "a.jpg", 1), (None, "b.jpg", 1)]


def test_how_many_a_person_decided(tmp_path: Path) -> None:
    bay = shelf([("SKU1", 1), ("SKU1", 1), ("SKU2", 1)], gaps=[1])
    with project(tmp_path / "project", [bay]) as made:
        say(made, bay, "accept", 0, 2, 3, mode="grid")
        counts, shares, gaps = export(tmp_path, *made.records(), pictures=pictures(made))
    assert [(r["product"], r["facings"], r["verified"]) for r in counts] == [("SKU1", 2, 1), ("SKU2", 1, 1)]
    assert [r["verified"] for r in shares] == [2]
    assert [r["verified"] for r in gaps] == [1]


def test_what_is_not_on_a_shelf_is_not_counted(tmp_path: Path) -> None:
    loss = ShelfCounts().export([photo("SKU1", [("red", 0.5)]), rejected(shelf([("SKU1", 1)]))], SCHEMA, tmp_path)
    assert loss == {"product photo": 1, "rejected photo": 1, "wrong label": 1}
    assert pq.read_table(tmp_path / "shelf_counts.parquet").num_rows == 0


@pytest.mark.parametrize("several", ["last", "sum"])
def test_a_rejected_photo_does_not_replace_a_good_one(tmp_path: Path, several: str) -> None:
    photos = [shelf([("SKU1", 1)], "a"), rejected(shelf([("SKU2", 1), ("SKU2", 1)], "b"))]
    counts, _, _ = export(tmp_path, *photos, several=several)
    assert [(r["product"], r["facings"], r["photos"]) for r in counts] == [("SKU1", 1, 1)]
    assert ShelfCounts(several).export(photos, SCHEMA, tmp_path) == {"rejected photo": 1, "wrong label": 2}


def test_the_tables_have_the_columns_that_are_documented(tmp_path: Path) -> None:
    export(tmp_path, shelf([("SKU1", 1)]))
    for name, schema in (("shelf_counts", COUNTS), ("share_of_shelf", SHARES), ("shelf_gaps", GAPS)):
        assert pq.read_schema(tmp_path / f"{name}.parquet").equals(schema)
        assert pa_csv.read_csv(tmp_path / f"{name}.csv").column_names == schema.names
    assert isinstance(formats.get("shelf_counts", SCHEMA, csv=False), ShelfCounts)
    with pytest.raises(ConfigError, match="several=mean"):
        ShelfCounts("mean")


FACINGS = st.lists(st.tuples(st.sampled_from(["SKU1", "SKU2", "SKU3", None]), st.integers(1, 4)), min_size=1, max_size=20)


@some
@given(FACINGS)
def test_shares_add_up(facings: list[tuple[str | None, int]]) -> None:
    found = count(seen.seen([shelf(facings)]), SCHEMA, Loss(), "last")
    (one,) = found.values()
    assert sum(s.n for s in one.goods.values()) == len(facings)
    from hyla_retail.counts import _counts, _shares

    (place,) = found
    counts, shares = list(_counts(place, one)), list(_shares(place, one))
    assert sum(r["share_of_facings"] for r in counts) == pytest.approx(1)
    assert sum(r["share_of_width"] for r in counts) == pytest.approx(1)
    for name in {r["class"] for r in shares}:
        assert sum(r["share_of_facings"] for r in shares if r["class"] == name) == pytest.approx(1)
    assert isinstance(pa.Table.from_pylist(counts, COUNTS), pa.Table)
