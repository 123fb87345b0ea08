"""Read a table of photos: image, store, fixture and date, one row for each."""

from __future__ import annotations

from collections.abc import Mapping
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
        facts: path of a photo, relative to the folder of the table -> what is known of store, fixture and date.
        rows: path of a photo -> number of its row, as `Problem` counts them.
        path: of the table; None for none.
        problems: rows that name no photo that is there.
    """

    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    path: Path | None = None
    problems: tuple[Problem, ...] = ()


def read_photo_table(path: Path | None) -> PhotoTable:
    """Return what a table says of photos, nothing for None.

    Raises:
        ConfigError: if it can't be read, or has no column of pictures.
    """
    if path is None:
        return PhotoTable()
    sheet = read_sheet(path)
    found = columns.by_content(sheet.columns, sheet.rows, columns.guess(sheet.columns, ROLES, None, str(path)))
    if "image" not in found:
        raise ConfigError(f"{path} has no column of pictures", "name it image", sheet.columns)
    there = picture_cells.Listing(path.parent)
    facts: dict[str, dict[str, str]] = {}
    rows: dict[str, int] = {}
    problems = list(sheet.problems)
    at = found["image"][0]
    for number, cells in zip(sheet.numbers, sheet.rows, strict=True):
        named = picture_cells.split(cells[at])
        for one in named:
            uri, reason = there.look(one)
            if uri and uri in rows:
                reason = f"{picture_cells.quoted(one)} is that of row {rows[uri]} too: left out"
            if reason:
                problems.append(Problem(number, sheet.columns[at], reason))
                continue
            rows[uri] = number
            facts[uri] = {role: text for role in ROLES[1:] if role in found and (text := cells[found[role][0]].strip())}
            if said := facts[uri].pop("date", ""):
                if day := date_in(said.replace("/", "-")):
                    facts[uri]["date"] = day
                else:
                    reason = f"{picture_cells.quoted(said)} is no date like 2024-05-31: not used"
                    problems.append(Problem(number, sheet.columns[found["date"][0]], reason))
        if not named and any(map(str.strip, cells)):
            problems.append(Problem(number, sheet.columns[at], "it names no picture: left out"))
    return PhotoTable(facts, rows, path, tuple(sorted(problems)))
