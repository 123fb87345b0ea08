"""The surveillance presets keep the contract: on the cameras that the sample draws, and on a real street."""

from __future__ import annotations

import shutil
from pathlib import Path

from hyla.testing import conformance, run_checks


class TestSurveillance(conformance("surveillance")):
    pass


def test_the_preset_keeps_the_contract_on_a_real_sequence(shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared / "data/surveillance/mot17_04", tmp_path / "mot17_04")
    results = run_checks("surveillance", tmp_path)
    assert [f"{r.name}: {r.message}" for r in results if not r.ok] == []
    assert sum(not r.skipped for r in results) > 25
