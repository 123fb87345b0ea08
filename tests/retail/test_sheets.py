"""Tables of text and of Parquet, however long their records and whatever the type of their numbers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hyla.errors import ConfigError
from hyla_retail import sheets
from hyla_retail.catalogue import open_catalogue


class Counted(list[str]):
    """Count the lines that are read."""

    read = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        self.read += len(found) if isinstance(at, slice) else 1
        return found


def test_a_file_of_open_quotes_is_not_read_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "MOST_LINES", 10)
    lines = Counted(["sku,name\n", *['x"y,"\n'] * 1000, "1,good\n"])
    found = list(sheets._records(lines, 0, ","))
    assert [cells for _, cells in found] == [["sku", "name"], *[None] * 1000, ["1", "good"]]
    assert lines.read < 25 * len(lines)


def test_a_cell_may_hold_many_lines_but_not_any_number(tmp_path: Path) -> None:
    for count, good in ((sheets.MOST_LINES - 1, 2), (sheets.MOST_LINES + 1, 1)):
        (tmp_path / "catalogue.csv").write_text('sku,name\n1,"' + "long\n" * count + '"\n2,short\n')
        assert open_catalogue("auto", str(tmp_path)).sku.tolist()[-good:] == ["1", "2"][-good:]
        assert len(open_catalogue("auto", str(tmp_path))) == good


def test_a_cell_longer_than_can_be_read_costs_its_row(tmp_path: Path) -> None:
    (tmp_path / "catalogue.csv").write_text(f"sku;name\n1;a\n2;{'x' * 200_000}\n3;c\n")
    found = open_catalogue("auto", str(tmp_path))
    assert found.name.tolist() == ["a", "c"]
    assert [one.row for one in found.problems] == [3]
    (tmp_path / "catalogue.csv").write_text("x" * 200_000)
    with pytest.raises(ConfigError, match="no column names"):
        open_catalogue("auto", str(tmp_path))


@pytest.mark.parametrize(
    "prices",
    [
        pa.array([Decimal("1.990"), Decimal("12.500"), None], pa.decimal128(9, 3)),
        pa.array([1.99, 12.5, None], pa.float32()),
        pa.array([1.99, 12.5, None]),
    ],
)
def test_decimals_of_parquet_are_no_thousands(tmp_path: Path, prices: Any) -> None:
    pq.write_table(pa.table({"sku": ["1", "2", "3"], "price": prices, "vector": [[0.5]] * 3}), tmp_path / "catalogue.parquet")
    found = open_catalogue("auto", str(tmp_path))
    np.testing.assert_array_equal(found.price, [1.99, 12.5, np.nan])


def test_parquet_of_too_many_rows_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"sku": ["1", "2"]}), tmp_path / "catalogue.parquet")
    monkeypatch.setattr(sheets, "MOST_ROWS", 1)
    with pytest.raises(ConfigError, match="has 2 rows"):
        open_catalogue("auto", str(tmp_path))
