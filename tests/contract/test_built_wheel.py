"""Wheels hold what they must, and a plugin of ten lines, written from its page of the documentation, works from one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hyla.testing.probes import pictures

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/write-a-plugin.md"
OFFLINE = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]


def pip(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").is_file())
PACKAGES = {"hyla": "core", **{f"hyla_{name}": f"plugins/{name}" for name in PLUGINS}}


def build(project: Path, to: Path) -> Path:
    pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", to, project)
    (wheel,) = to.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return {name: build(ROOT / path, folder / name) for name, path in PACKAGES.items()}


@pytest.fixture(scope="module")
def site(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheels into a folder of their own, which stands before this checkout on the path."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", *OFFLINE, "--target", folder, *wheels.values())
    return folder


def hyla(site: Path, *words: str | Path, cwd: Path | None = None, status: int = 0) -> str:
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-m", "hyla.cli", *map(str, words)], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_holds_every_file_of_its_package_and_nothing_else(wheels: dict[str, Path], package: str) -> None:
    home = next(ROOT.glob(f"*/src/{package}"), None) or next(ROOT.glob(f"plugins/*/src/{package}"))
    there = {p.relative_to(home.parent).as_posix() for p in home.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    packed = {name for name in zipfile.ZipFile(wheels[package]).namelist() if ".dist-info/" not in name}
    assert packed == there
    assert {f"{package}/conf/__init__.py", f"{package}/py.typed"} <= packed
    assert [name for name in packed if name.endswith(".yaml")]


def test_a_wheel_names_its_licence_its_entry_points_and_its_command(wheels: dict[str, Path]) -> None:
    plugins = {f"hyla_{name}": f"{name} = hyla_{name}" for name in PLUGINS}
    for package, expected in {"hyla": "hyla = hyla.cli:main", **plugins}.items():
        with zipfile.ZipFile(wheels[package]) as wheel:
            read = {name.rpartition("/")[2]: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
        assert expected in read["entry_points.txt"]
        assert "License-Expression: Apache-2.0" in read["METADATA"]


def test_what_was_installed_from_wheels_offers_its_presets(site: Path, tmp_path: Path) -> None:
    code = f"import {', '.join(PACKAGES)}; print({', '.join(f'{name}.__file__' for name in PACKAGES)})"
    found = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=True
    )
    assert all(path.startswith(str(site)) for path in found.stdout.split())
    presets = {p["preset"]: p["distribution"] for p in json.loads(hyla(site, "presets", "--json", cwd=tmp_path))}
    assert {name: presets[name] for name in PLUGINS} == {name: f"hyla-{name}" for name in PLUGINS}
    assert presets["blank"] == "hyla"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the plugin that the documentation shows, as a reader would copy it."""
    folder = tmp_path_factory.mktemp("outside") / "hyla-bright"
    blocks = re.findall(r"^```\w+\n# (\S+)\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [path for path, _ in blocks] == ["pyproject.toml", "hyla_bright/model.py", "hyla_bright/conf/preset/bright.yaml"]
    for path, text in [*blocks, ("hyla_bright/__init__.py", "")]:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_the_plugin_of_the_page_has_ten_lines(stranger: Path) -> None:
    lines = [line for line in (stranger / "hyla_bright/model.py").read_text().splitlines() if line.strip()]
    assert len(lines) == 10
    shown = re.findall(r"^ {6}(\S+)(?: +empty.*)?$", PAGE.read_text(), flags=re.MULTILINE)[:4]
    assert sorted(shown) == sorted(p.relative_to(stranger).as_posix() for p in stranger.rglob("*") if p.is_file())


def test_the_plugin_of_the_page_runs_and_passes_every_check(site: Path, stranger: Path, tmp_path: Path) -> None:
    wheel = build(stranger, tmp_path / "wheel")
    own = tmp_path / "own"
    pip("install", *OFFLINE, "--target", own, wheel)
    path = Path(f"{own}{os.pathsep}{site}")
    assert "boxes what is bright in a picture" in hyla(path, "presets")
    source = pictures(tmp_path / "pictures")
    summary = json.loads(hyla(path, "run", "preset=bright", f"source={source}", "out=labels", "--json", cwd=tmp_path))
    assert summary["items"] == len(list(source.iterdir()))
    assert summary["quarantined"] == 0
    assert summary["classes"] == {"thing": summary["labels"]}
    assert summary["labels"] > 0
    hyla(path, "export", "labels", "--format", "coco", "--to", "coco", cwd=tmp_path)
    assert list((tmp_path / "coco").rglob("*.json"))
    results = json.loads(hyla(path, "check", "bright", "--json", cwd=tmp_path))
    assert [r["name"] for r in results if not r["ok"]] == []
    done = {r["name"] for r in results if not r["skipped"]}
    assert {
        "test_labels_do_not_depend_on_the_batch",
        "test_a_run_stores_every_item",
        "test_a_killed_run_ends_with_the_same_rows",
    } <= done


def test_a_broken_plugin_fails_the_check_from_the_shell(site: Path, stranger: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    pip("install", *OFFLINE, "--no-build-isolation", "--target", own, stranger)
    model = own / "hyla_bright/model.py"
    model.write_text(model.read_text().replace("p.max(0) + 1", "p.max(0) + 100"))
    told = hyla(Path(f"{own}{os.pathsep}{site}"), "check", "bright", cwd=tmp_path, status=1)
    assert "FAIL test_predictions_fit_the_schema" in told
    assert "lies outside the image" in told
    assert "1 failed" in told
