"""A redactor for tests: it paints the boxes of all labels but tags black, and can be told to fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from store_kit import raw

COVER = '''
"""Paint the boxes of all labels but tags black."""

from dataclasses import replace
from pathlib import Path

from hyla import Redactor, hookimpl


class Cover(Redactor):
    """Note each call in the file `log`; fail for items whose id has `fail` in it."""

    def __init__(self, schema, source, log="", fail="", value=0):
        self.log, self.fail, self.value, self.source = log, fail, value, source

    @hookimpl
    def redact(self, image, labels):
        if self.log:
            with Path(self.log).open("a") as file:
                print(image.item.id, len(labels), file=file)
        if self.fail and self.fail in image.item.id:
            raise ValueError("a secret of this machine")
        pixels = image.pixels.copy()
        for x0, y0, x1, y1 in labels.box[labels.kind != 0].astype(int):
            pixels[(slice(None), slice(y0, y1), slice(x0, x1)) if image.volume else (slice(y0, y1), slice(x0, x1))] = self.value
        return replace(image, pixels=pixels)


class Other(Cover):
    """What another run hides with."""
'''


def install(site: Path, package: str = "hyla_toy") -> Path:
    """Add the redactor, as `redact=cover`, to a plugin that is installed in `site`."""
    home = site / package
    (home / "cover.py").write_text(COVER)
    (home / "conf/redact").mkdir(exist_ok=True)
    (home / "conf/redact/cover.yaml").write_text(
        f"# black boxes\n_target_: {package}.cover.Cover\nlog: ''\nfail: ''\nvalue: 0\nsource: ${{source}}\n"
    )
    return site


def hide(project: Path, package: str = "hyla_gallery", **settings: Any) -> Path:
    """Let a project that was run hide what its labels name, as if it had been run so."""
    ((text,),) = raw(project, "SELECT settings FROM runs ORDER BY id DESC LIMIT 1")
    changed = {**json.loads(text), "redact": {"_target_": f"{package}.cover.Cover", **settings}}
    written = json.dumps(changed).replace("'", "''")
    raw(project, f"UPDATE runs SET settings = '{written}'")
    return project
