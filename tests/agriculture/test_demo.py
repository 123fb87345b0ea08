"""What a new user sees first: the demo ends by naming the review page, and the page serves the scenes that the demo made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hyla.store import Project
from served import served


def test_the_demo_ends_by_naming_the_review_page_which_serves_what_it_made(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hyla.cli", "demo", "agriculture", "--to", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "agriculture"
    assert done.stdout.rstrip().splitlines()[-1].endswith(f": hyla review {out}")
    assert len(list((out / "pictures").glob("*.jpg"))) == 6
    summary = json.loads((out / "summary.json").read_text())
    assert summary["quarantined"] == 0
    with Project.open(out) as project:
        names = project.schema().names
        found = {names[c] for record in project.records(source="model") for c in record.labels.class_id.tolist()}
    assert {"healthy", "bare", "suspected_drought", "suspected_pest", "unusable"} <= found
    with served(out) as here:
        assert here.login("ann") == 204
        queue = here.ask("GET", "/api/v1/queue")[1]
        assert queue["items"] == 64
        (head, *_) = here.ask("POST", "/api/v1/leases", {"tab": "t"})[1]["items"]
        assert head["view"] == "map"
