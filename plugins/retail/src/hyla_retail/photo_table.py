"""Read a table of photos: image, store, fixture and date, one row for each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hyla.errors import ConfigError
from hyla_retail import columns, picture_cells
from hyla_retail.photo_facts import date_in
from hyla_retail.sheets import Problem, read_sheet

ROLES = ("image", "store", "fixture", "date")


@dataclass(frozen=True)
class PhotoTable:
    """Hold what a table says of photos.

    Args:
        facts: path of a photo, relative to the source -> what is known of store, fixture and date.
        rows: path of a photo, relative to the source -> number of its row, as `Problem` counts them.
        path: of the table; None for none.
        problems: rows that name no photo that is there and in the source.
    """

    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    path: Path | None = None
    problems: tuple[Problem, ...] = ()


def read_photo_table(path: Path | None, root: Path) -> PhotoTable:
    """Return what a table says of the photos below `root` (resolved), nothing for None.

    A photo is looked for in the folder of the table, and then in `root`.

    Raises:
        ConfigError: if it can't be read, or has no column of pictures.
    """
    if path is None:
        return PhotoTable()
    sheet = read_sheet(path)
    found = columns.by_content(sheet.columns, sheet.rows, columns.guess(sheet.columns, ROLES, None, str(path)))
    if "image" not in found:
        raise ConfigError(f"{path} has no column of pictures", "name it image", sheet.columns)
    homes = [picture_cells.Listing(folder) for folder in dict.fromkeys((path.resolve().parent, root))]
    facts: dict[str, dict[str, str]] = {}
    rows: dict[str, int] = {}
    problems = list(sheet.problems)
    at = found["image"][0]
    for number, cells in zip(sheet.numbers, sheet.rows, strict=True):
        named = picture_cells.split(cells[at])
        for one in named:
            uri, reason = _place(one, homes, root)
            if uri and uri in rows:
                reason = f"{picture_cells.quoted(one)} is that of row {rows[uri]} too: left out"
            if reason:
                problems.append(Problem(number, sheet.columns[at], reason))
                continue
            rows[uri] = number
            facts[uri] = {role: text for role in ROLES[1:] if role in found and (text := cells[found[role][0]].strip())}
            if said := facts[uri].pop("date", ""):
                if day := date_in(re.sub("[./]", "-", said)):
                    facts[uri]["date"] = day
                else:
                    reason = f"{picture_cells.quoted(said)} is no date like 2024-05-31: not used"
                    problems.append(Problem(number, sheet.columns[found["date"][0]], reason))
        if not named and any(map(str.strip, cells)):
            problems.append(Problem(number, sheet.columns[at], "it names no picture: left out"))
    return PhotoTable(facts, rows, path, tuple(sorted(problems)))


def _place(text: str, homes: Sequence[picture_cells.Listing], root: Path) -> tuple[str, str]:
    """Return the path of a photo relative to `root`; or empty, and why it can't be used: what the first of `homes` says."""
    reasons = []
    for home in homes:
        name, reason = home.look(text)
        path = home.root / name
        if name and path.is_relative_to(root):
            return path.relative_to(root).as_posix(), ""
        reasons.append(reason or f"{picture_cells.quoted(text)} lies outside the source: not used")
    return "", reasons[0]
