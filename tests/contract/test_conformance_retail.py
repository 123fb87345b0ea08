"""The retail presets keep the contract: on the shelves that the sample draws, and on real photos."""

from __future__ import annotations

import shutil
from pathlib import Path

from hyla.testing import conformance, run_checks


class TestRetail(conformance("retail")):
    def limit(self) -> int:
        """A photo takes a second; these differ in what matters."""
        return 4


class TestPackshots(conformance("packshots")):
    def limit(self) -> int:
        """As above."""
        return 4


def test_the_preset_keeps_the_contract_on_real_shelves(shared: Path, tmp_path: Path) -> None:
    for number in (1, 3, 4):
        shutil.copy(shared / f"data/retail/shelves/test_{number}.jpg", tmp_path)
    results = run_checks("retail", tmp_path)
    assert [f"{r.name}: {r.message}" for r in results if not r.ok] == []
    assert sum(not r.skipped for r in results) > 25
