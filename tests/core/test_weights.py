"""Weights: found by path or by name, never anywhere else."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hyla import weights
from hyla.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    made = tmp_path / "weights"
    made.mkdir()
    (made / "yolov8n.pt").write_bytes(b"n")
    (made / "yolov8s.pt").write_bytes(b"s")
    return made


def test_a_path_is_that_file(folder, monkeypatch):
    assert weights.find(folder / "yolov8n.pt") == (folder / "yolov8n.pt").resolve()
    monkeypatch.chdir(folder)
    assert weights.find("./yolov8n.pt") == (folder / "yolov8n.pt").resolve()
    monkeypatch.setenv("HOME", str(folder))
    assert weights.find("~/yolov8n.pt").name == "yolov8n.pt"


def test_a_path_is_not_searched_for_elsewhere(folder, tmp_path):
    with pytest.raises(ConfigError, match="no such file in"):
        weights.find(tmp_path / "yolov8n.pt", folder)


def test_a_name_is_searched_in_the_folder_then_in_the_environment(folder, tmp_path, monkeypatch):
    assert weights.find("yolov8n.pt", folder) == (folder / "yolov8n.pt").resolve()
    other = tmp_path / "other"
    other.mkdir()
    (other / "yolov8n.pt").write_bytes(b"other")
    monkeypatch.setenv(weights.VARIABLE, str(other))
    assert weights.find("yolov8n.pt").parent == other.resolve()
    assert weights.find("yolov8n.pt", folder).parent == folder.resolve()
    monkeypatch.setenv(weights.VARIABLE, str(folder))
    assert weights.find("yolov8s.pt", other).parent == folder.resolve()


def test_the_error_names_places_and_near_names(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path))
    with pytest.raises(ConfigError) as caught:
        weights.find("yolo8n.pt", folder)
    text = str(caught.value)
    assert f"model needs weights 'yolo8n.pt': no such file in {folder}, {tmp_path}" in text
    assert caught.value.choices == ["yolov8n.pt", "yolov8s.pt"]
    assert "choose a model= that needs none" in text


def test_the_error_says_when_no_folder_is_known(folder):
    with pytest.raises(ConfigError, match="neither weights_dir nor HYLA_WEIGHTS is set"):
        weights.find("yolov8n.pt")


def test_the_current_folder_is_not_searched_but_named(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError) as caught:
        weights.find("yolov8n.pt")
    assert "give weights=./yolov8n.pt" in caught.value.hint


@pytest.mark.parametrize("name", ["", "weights/"])
def test_a_folder_or_nothing_is_no_file(folder, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        weights.find(name)
    with pytest.raises(ConfigError):
        weights.find(folder)


def test_digest_is_sha256(folder):
    big = folder / "big.pt"
    big.write_bytes(os.urandom(3_000_000))
    assert weights.digest(big) == hashlib.sha256(big.read_bytes()).hexdigest()
    assert weights.digest(Path(folder / "yolov8n.pt")) == hashlib.sha256(b"n").hexdigest()
