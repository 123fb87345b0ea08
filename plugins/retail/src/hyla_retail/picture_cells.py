"""Read the cells of a table that name pictures, and look which of them are there. Nothing outside the folder is, and no URL."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from hyla.errors import FormatError
from hyla.formats import inside
from hyla.images import EXTENSIONS

_ENDS = tuple(EXTENSIONS)


def split(cell: str) -> list[str]:
    """Return the pictures that a cell names: apart by ; or | or lines, by commas if each part is a picture, or as a JSON list."""
    cell = cell.strip()
    if not cell:
        return []
    if cell.startswith("["):
        try:
            listed = json.loads(cell)
        except (ValueError, RecursionError):
            listed = cell.strip("[]").split(",")
        cell = "\n".join(str(one) for one in listed)
    parts = [one.strip(" \t\r'\"") for one in re.split(r"[;|\n]", cell)]
    found = []
    for part in parts:
        several = [one.strip() for one in part.split(",")]
        found += several if all(one.lower().endswith(_ENDS) for one in several) else [part]
    return [one for one in found if one]


def is_url(text: str) -> bool:
    """Tell whether a cell names something elsewhere: https://..., s3://..."""
    return "://" in text or text.startswith("//")


def quoted(text: str) -> str:
    """Return what a cell holds, in quotes and not too long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


class Listing:
    """Tell which files are below a folder; each folder in it is listed once.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._folders: dict[str, dict[str, str]] = {}

    def look(self, text: str) -> tuple[str, str]:
        """Return the path of a file relative to the root, its name as it is on the disk; or empty, and why it can't be used."""
        if is_url(text):
            return "", f"{quoted(text)} is a URL: nothing is fetched"
        try:
            path = inside(text, "")
        except FormatError:
            return "", f"{quoted(text)} is no path inside the folder of the table: not opened"
        folder, _, name = path.rpartition("/")
        names = self._names(folder)
        name = names.get(name, "") or names.get(name.lower(), "")
        if not name:
            return "", f"{quoted(text)} is not there"
        return f"{folder}/{name}" if folder else name, ""

    def _names(self, folder: str) -> dict[str, str]:
        if folder not in self._folders:
            try:
                at = (self.root / folder).resolve()
                names = [entry.name for entry in os.scandir(at) if _is_file(entry)] if at.is_relative_to(self.root) else []
            except (OSError, ValueError, RuntimeError):  # the last of a link that leads to itself
                names = []
            self._folders[folder] = {name.lower(): name for name in names} | {name: name for name in names}
        return self._folders[folder]


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False
