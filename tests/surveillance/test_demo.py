"""What a new user sees first: the demo tells its events, and the page serves what it made, redacted."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from served import served


def test_the_demo_ends_by_naming_the_review_page_which_serves_what_it_made(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "hyla.cli", "demo", "surveillance", "--to", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "surveillance"
    assert done.stdout.rstrip().splitlines()[-1].endswith(f": hyla review {out}")
    for name in ("loitering", "intrusion", "abandoned_object"):
        assert re.search(rf"events {name}: found 1\.000", done.stdout), done.stdout
    with served(out) as here:
        assert here.login("ann") == 204
        queue = here.ask("GET", "/api/v1/queue")[1]
        assert queue["items"] == 1264
        (head, *_) = here.ask("POST", "/api/v1/leases", {"tab": "t"})[1]["items"]
        assert head["view"] == "video"
        assert here.ask("GET", head["image"])[1].startswith(b"\xff\xd8")  # JPEG
