"""What a new user sees first: the demo ends by naming the review page, and the page offers what it found by product."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hyla.store import Project
from served import served


def test_the_demo_ends_by_naming_the_review_page_which_offers_what_it_made_by_product(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hyla.cli", "demo", "retail", "--to", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "retail"
    assert done.stdout.rstrip().splitlines()[-1].endswith(f": hyla review {out}")
    assert len(list((out / "pictures").glob("*.jpg"))) == 6
    summary = json.loads((out / "summary.json").read_text())
    assert summary["quarantined"] == 6  # rows of the catalogue that are broken on purpose
    with Project.open(out) as project:
        names = project.schema().names
        found = {names[c] for record in project.records(source="model") for c in record.labels.class_id.tolist()}
    assert {"price_label", "gap", "soft_drink", "beer", "medicine", "unknown_product"} <= found
    with served(out) as here:
        assert here.login("ann") == 204
        queue = here.ask("GET", "/api/v1/queue")[1]
        assert (queue["waiting"], queue["quarantined"]) == (32, 6)
        offered = here.ask("GET", "/api/v1/names")[1]
        assert len(offered["names"]) >= 40
        assert all(one["waiting"] > 0 for one in offered["names"])
