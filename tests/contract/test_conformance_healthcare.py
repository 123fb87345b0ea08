"""The healthcare preset keeps the contract: on the phantoms that its sample draws, and on a real series."""

from __future__ import annotations

import shutil
from pathlib import Path

from hyla.testing import conformance, run_checks


class TestHealthcare(conformance("healthcare")):
    def limit(self) -> int:
        """The first seven series of the sample differ in what matters; more only cost time, above all in DICOM segmentations."""
        return 7


def test_the_preset_keeps_the_contract_on_a_real_series(shared: Path, tmp_path: Path) -> None:
    for slice_ in (shared / "data/healthcare/ct_abdomen_dicom").glob("CT.*"):  # the reference mask beside them is no series
        shutil.copy(slice_, tmp_path)
    results = run_checks("healthcare", tmp_path)
    assert [f"{r.name}: {r.message}" for r in results if not r.ok] == []
    assert sum(not r.skipped for r in results) > 25
