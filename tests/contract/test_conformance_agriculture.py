"""The agriculture preset keeps the contract: on the farmland that its sample draws, and on real scenes."""

from __future__ import annotations

import shutil
from pathlib import Path

from hyla.testing import conformance, run_checks


class TestAgriculture(conformance("agriculture")):
    def limit(self) -> int:
        """The four dates of one place, and one of another, differ in what matters."""
        return 5


def test_the_preset_keeps_the_contract_on_a_real_scene(shared: Path, tmp_path: Path) -> None:
    shutil.copy(shared / "data/agriculture/leipzig_s2/leipzig_raster.tif", tmp_path)
    results = run_checks("agriculture", tmp_path)
    assert [f"{r.name}: {r.message}" for r in results if not r.ok] == []
    assert sum(not r.skipped for r in results) > 25
