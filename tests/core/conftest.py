"""Make plugins to order for the tests of config and plugins."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hydra.core.singleton import Singleton

from hyla import plugins

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Give a function that installs a plugin of these files for one test, as far as Python's metadata can tell."""
    site = tmp_path / "plugins"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    state = Singleton.get_state()

    def write(name: str, files: Mapping[str, str], package: str = "", distribution: str = "") -> Path:
        package, distribution = package or f"acme_{name}", distribution or f"acme-{name}"
        about = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        texts = {site / package / "__init__.py": ""}
        if any(path.startswith("conf/") for path in files):
            texts[site / package / "conf/__init__.py"] = ""
        texts |= {site / package / path: dedent(text) for path, text in files.items()}
        texts[about / "METADATA"] = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        texts[about / "entry_points.txt"] = f"[hyla]\n{name} = {package}\n"
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        forget()
        return site / package

    yield write
    Singleton.set_state(state)
    forget()


def forget() -> None:
    """Let the next look find what is installed now, and import it anew."""
    importlib.invalidate_caches()
    plugins.installed.cache_clear()
    for name in [n for n in sys.modules if n.startswith("acme_")]:
        del sys.modules[name]
