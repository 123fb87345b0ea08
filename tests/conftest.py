"""Fixtures for every test: the data that only some machines have, and nothing from the network."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra.core.singleton import Singleton

import packs_kit
from gallery import install, make_project
from hyla import plugins
from toy import write

Gallery = Callable[..., Path]
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


@pytest.fixture(scope="session")
def gallery_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the plugin in `site`, and the projects made so far."""
    home = tmp_path_factory.mktemp("gallery")
    install(home / "site")
    return home


@pytest.fixture
def gallery(gallery_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    """Give a function that returns a project of its own: `gallery("photo 60 9\\nclip 1 60")`; see `gallery_stages`.

    The plugin is installed in this process and in its subprocesses. The source is shared with other tests, which must not change
    it: with `own=True` it is not.
    """
    site = str(gallery_home / "site")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([site, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    state = Singleton.get_state()
    forget_plugins()
    made = 0

    def make(text: str, own: bool = False) -> Path:
        nonlocal made
        made += 1
        out = tmp_path / f"project-{made}"
        if own:
            return make_project(out, text)
        known = gallery_home / f"{abs(hash(text)):x}"
        if not known.exists():
            make_project(known, text)
        return Path(shutil.copytree(known, out, ignore=shutil.ignore_patterns("source.*")))

    yield make
    Singleton.set_state(state)
    forget_plugins()


@pytest.fixture(scope="session")
def packs_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the plugin of `packs_kit`."""
    return packs_kit.install(tmp_path_factory.mktemp("packs") / "site")


@pytest.fixture
def packs(packs_site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Path]]:
    """Give a function that returns a project of so many photos of packs; see `packs_kit`."""
    monkeypatch.syspath_prepend(str(packs_site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(packs_site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    state = Singleton.get_state()
    forget_plugins()
    yield lambda photos: packs_kit.make_project(tmp_path / f"packs-{photos}", photos)
    Singleton.set_state(state)
    forget_plugins()


def forget_plugins() -> None:
    """Let the next look find what is installed now, and import it anew."""
    importlib.invalidate_caches()
    plugins.installed.cache_clear()
    for name in [n for n in sys.modules if n.startswith(("hyla_toy", "hyla_gallery"))]:
        del sys.modules[name]
