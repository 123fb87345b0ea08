"""The driving preset keeps the contract: on the clip that its sample draws, and with real weights where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from hyla.testing import conformance, run_checks

TestDriving = conformance("driving", overrides=["model=embedded"])


@pytest.mark.parametrize("source", [None, "data/driving/tusimple_unlabelled"], ids=["sample", "pictures"])
def test_the_preset_keeps_the_contract_with_real_weights(shared: Path, source: str | None) -> None:
    results = run_checks("driving", source and shared / source, [f"weights_dir={shared / 'weights'}"])
    assert [f"{r.name}: {r.message}" for r in results if not r.ok] == []
    assert sum(not r.skipped for r in results) > 25
