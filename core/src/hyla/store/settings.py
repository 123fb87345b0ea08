"""Tell whether a run may go on where another left off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyla.errors import StoreError

SHOWN = 8  # differences named in the error
_ABSENT = "(not set)"


def refuse_other(folder: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Raise StoreError if labels of the run `new` would not be those of the run `old`; both are rows of the table of runs.

    Settings, schema, source and provenance must agree; versions may differ.
    """
    found = differences(_identity(old), _identity(new))
    if not found:
        return
    lines = [f"{name}: {was} -> {now}" for name, was, now in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"and {len(found) - SHOWN} more")
    raise StoreError(
        f"{folder} holds labels that were made with other settings:\n    " + "\n    ".join(lines),
        "set them back to go on with it, or give another folder: out=DIR",
    )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (dotted key, old value, new value) of what differs between two nested mappings, by key."""
    before, after = dict(_flat("", old)), dict(_flat("", new))
    keys = sorted(before.keys() | after.keys())
    pairs = [(key, before.get(key, _ABSENT), after.get(key, _ABSENT)) for key in keys]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _identity(run: Mapping[str, Any]) -> dict[str, Any]:
    schema = json.loads(run["schema"])
    # The order of classes is what class ids count, so it is compared as well.
    schema["order"] = list(schema["classes"])
    parts = {"schema": schema, "source": run["source"], "provenance": json.loads(run["provenance"])}
    return {**json.loads(run["settings"]), **parts}


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [pair for key, one in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else str(key), one)]
    return [(prefix, json.dumps(value, ensure_ascii=False))]
