"""Read the files of a MONAI bundle: its configuration, its metadata, where its weights are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hyla.errors import ConfigError

MODALITIES = ("CT", "MR", "MRI", "PT")


def weights(root: Path, name: str | None) -> Path:
    """Return the file of weights inside the bundle; raise ConfigError if there is none."""
    tried = [name] if name else ["models/model.pt", "models/model.ts"]
    for one in tried:
        path = (root / one).resolve()
        if path.is_file() and path.is_relative_to(root):
            return path
    raise ConfigError(f"the bundle has no {' nor '.join(tried)}", "copy the weights there, or give weights=models/FILE")


def read(root: Path) -> tuple[dict[str, Any], bytes]:
    """Return the bundle's configuration and its text; raise ConfigError if there is none, or it can't be read."""
    import yaml

    for name in ("inference.json", "inference.yaml", "inference.yml"):
        path = root / "configs" / name
        if path.is_file():
            text = path.read_bytes()
            try:
                content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
            except (ValueError, yaml.YAMLError) as error:
                raise ConfigError(f"configs/{name} can't be read: {error}") from error
            if not isinstance(content, dict):
                raise ConfigError(f"configs/{name} holds no sections")
            return content, text
    raise ConfigError(
        f"{root} is no MONAI bundle: it has no configs/inference.json or .yaml", "give the folder that holds configs/ and models/"
    )


def metadata(root: Path) -> dict[str, Any]:
    """Return what is in metadata.json, or nothing where there is none; raise ConfigError if it can't be read."""
    path = root / "configs/metadata.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"configs/{path.name} can't be read: {error}") from error
    return content if isinstance(content, dict) else {}


def first(config: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the first of `names` that is a section; raise ConfigError if none is."""
    for name in names:
        if name in config:
            return name
    raise ConfigError(f"the bundle's configuration has no {names[0]}", f"it was looked for as {', '.join(names)}")


def channel_names(config: Mapping[str, Any], shape: Mapping[str, Any]) -> dict[int, str]:
    """Return channel -> name, of metadata.json, or of `label_names` in the configuration."""
    outputs = shape.get("outputs") or {}
    first: Mapping[str, Any] = next(iter(outputs.values()), {})
    known = (outputs.get("pred") or first).get("channel_def") or {}
    if known:
        return {int(channel): str(name) for channel, name in known.items()}
    labels = config.get("label_names") or {}
    return {int(channel): str(name) for name, channel in labels.items()} if isinstance(labels, Mapping) else {}


def modality(shape: Mapping[str, Any]) -> str:
    """Return what the network knows by metadata.json, in DICOM's word, or nothing."""
    first: Mapping[str, Any] = next(iter((shape.get("inputs") or {}).values()), {})
    said = str(first.get("modality") or "").upper()
    return said if said in MODALITIES else ""
