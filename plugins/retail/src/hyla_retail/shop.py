"""Find the tables of the shop that a project is of: what its loader was told of them holds for exports too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hyla_retail.catalogue import Catalogue, open_catalogue
from hyla_retail.seen import PRODUCT, Seen

if TYPE_CHECKING:
    from hyla.pictures import Pictures

_LISTED = ("gtin", "name", "brand")
LOADER = "loader"  # in place of a path: what the loader of the project was told


def told(pictures: Pictures | None, name: str, setting: str | None) -> Any:
    """Return a setting of an export, or that of the project's loader where it says `loader`; `auto` where that has none."""
    if setting != LOADER:
        return setting
    return (pictures.settings if pictures else {}).get(name, "auto")


def source_of(pictures: Pictures | None) -> str:
    """Return the source of the project, empty where there is none."""
    return pictures.source if pictures else ""


def catalogue_of(pictures: Pictures | None, setting: str | None) -> Catalogue:
    """Return the catalogue of a project; raise ConfigError for one that is named and can't be read."""
    columns = told(pictures, "columns", LOADER) if setting == LOADER else None
    given = columns if isinstance(columns, dict) else None
    return open_catalogue(told(pictures, "catalogue", setting), source_of(pictures), given)


def fact(one: Seen, row: int, name: str, catalogue: Catalogue) -> Any:
    """Return gtin, name, brand or another fact of the product of a label: as the catalogue has it, else as the label says."""
    at = catalogue.row_of(one.value(PRODUCT, row)) if name in _LISTED else -1
    return (str(getattr(catalogue, name)[at]) if at >= 0 else "") or one.value(name, row)
