"""Fixtures for every test: the data that only some machines have, and nothing from the network."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyla import plugins
from toy import write

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data and weights beside the checkout, or skip saying that it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("real data and weights are not beside this checkout (../shared)")
    return SHARED


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install the toy plugin for one test, in this process and in its subprocesses; return the folder it is in."""
    folder = write(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    forget_plugins()
    yield folder
    forget_plugins()


def forget_plugins() -> None:
    """Let the next look find what is installed now, and import it anew."""
    importlib.invalidate_caches()
    plugins.installed.cache_clear()
    for name in [n for n in sys.modules if n.startswith("hyla_toy")]:
        del sys.modules[name]
