"""The preset of face datasets keeps the contract on parts of a real photograph, also where a redactor hides what was found."""

from __future__ import annotations

from pathlib import Path

import cv2

from faces_kit import photograph
from hyla.testing import run_checks


def test_the_preset_keeps_the_contract(shared: Path, tmp_path: Path) -> None:
    photo = photograph(shared)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), photo[900:1200, 400 * i : 400 * i + 400])
    results = run_checks("faces", tmp_path, [f"weights_dir={shared / 'weights'}", "redact=mosaic"])
    assert [f"{one.name}: {one.message}" for one in results if not one.ok] == []
    assert sum(not one.skipped for one in results) > 25
