"""Which class a name or a number in somebody else's segmentation means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hyla.errors import ConfigError, FormatError
from hyla.formats import class_ids, unknown_class
from hyla.schema import Schema

# Structures of TotalSegmentator 2 (CT and MR tasks `total`) -> classes. Several may make up one class, and one may be in two.
BONES = ("sacrum", "skull", "sternum", "hip_*", "femur_*", "humerus_*", "scapula_*", "clavicula_*", "fibula", "tibia")
AS_THEY_ARE = ("heart", "aorta", "inferior_vena_cava", "liver", "spleen", "kidney_left", "kidney_right", "pancreas")
TOTALSEGMENTATOR: dict[str, Any] = {
    "lung_*left": "lung_left",
    "lung_*right": "lung_right",
    "adrenal_gland_left": "adrenal_left",
    "adrenal_gland_right": "adrenal_right",
    "urinary_bladder": "bladder",
    "vertebrae*": ["vertebra", "bone"],
    "rib_*": ["rib", "bone"],
    **dict.fromkeys(BONES, "bone"),
    **{name: name for name in (*AS_THEY_ARE, "stomach", "gallbladder", "brain")},
}
TABLES = {"totalsegmentator": TOTALSEGMENTATOR}
# Connectome Workbench's label table, which TotalSegmentator and others put into the header of a NIfTI file.
ENTRY = re.compile(rb'<Label Key="(\d{1,9})"[^>]{0,200}>\s*<!\[CDATA\[([^\]]{1,200})\]\]>')


class Classes:
    """Find classes by the names and numbers of a file.

    Args:
        schema: of the project.
        given: None for the names of the schema; `totalsegmentator`; or what a name (with * for anything) or a number means, as
            {5: liver, "rib_*": [rib, bone]}. What it does not name is left out.
        skip: whether to leave out what the schema does not have, where nothing is given.

    Raises:
        ConfigError: for a table or a class that does not exist.
    """

    def __init__(self, schema: Schema, given: Mapping[Any, Any] | str | None, skip: bool) -> None:
        self.schema, self.skip = schema, skip
        self.names = class_ids(schema, "nifti")
        if isinstance(given, str) and given not in TABLES:
            raise ConfigError(f"classes={given} is not known", "or say what each number means: classes={5: liver}", TABLES)
        table = TABLES[given] if isinstance(given, str) else given
        self.given = None if table is None else {str(k): [v] if isinstance(v, str) else list(v) for k, v in table.items()}
        wanted = [] if isinstance(given, str) else [name for names in (self.given or {}).values() for name in names]
        for name in wanted:
            if name not in self.names:
                raise ConfigError(f"classes names {name!r}, which the schema does not have", choices=self.names)

    def meant(self, value: int, name: str, where: str) -> list[int]:
        """Return the classes that a number and its name stand for; an empty list where it is left out.

        Raises:
            FormatError: for a number without a name, and for a name that the schema does not have.
        """
        if self.given is not None:
            keys = [k for k in self.given if k == str(value) or (name and fnmatchcase(name, k))]
            return [self.names[c] for k in keys[:1] for c in self.given[k] if c in self.names]
        if name in self.names:
            return [self.names[name]]
        if self.skip:
            return []
        if not name:
            raise FormatError(f"{where}: nothing says what {value} means", f"say it: 'classes={{{value}: liver}}'", self.names)
        raise unknown_class(name, where, self.names)

    def knows(self, name: str) -> bool:
        """Tell whether `name` stands for a class, so that a file of that name is a mask of it."""
        return name in self.names if self.given is None else any(fnmatchcase(name, k) for k in self.given)


def table_of(path: Path) -> dict[int, str]:
    """Return number -> name of a labelmap: of its own header, else of classes.json or dataset.json beside it or above.

    A file that says nothing has an empty table.

    Raises:
        FormatError: for a JSON file that can't be read.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")) and (found := _in_header(path)):
        return found
    for folder in (path.parent, path.parent.parent):
        for name in ("classes.json", "dataset.json"):
            if (beside := folder / name).is_file():
                return in_json(beside)
    return {}


def in_json(path: Path) -> dict[int, str]:
    """Return number -> name of our classes.json or nnU-Net's dataset.json, in which both have `labels`: {name: number}."""
    try:
        labels = json.loads(path.read_bytes())["labels"]
        plain = {int(value): str(name) for name, value in labels.items() if not isinstance(value, list)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} is no list of classes", 'it must hold {"labels": {"liver": 1}}') from error
    return {value: name for value, name in plain.items() if value > 0}


def _in_header(path: Path) -> dict[int, str]:
    """Return the label table of the extensions, which `nifti.header` found to be small."""
    from hyla_healthcare import nifti

    known = nifti.header(path)
    with nifti.opened(path) as file:
        block = file.read(known.offset)
    return {int(key): text.decode("utf-8", "replace") for key, text in ENTRY.findall(block)}
