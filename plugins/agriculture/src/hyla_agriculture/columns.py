"""Guess which column of a parcel file holds what, by the names that official files use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, did_you_mean
from hyla.types import Floats

# In the order in which they are taken. From fiboa (id, crop:name, metrics:area), EuroCrops, and the files of: the Netherlands
# (gewas), Switzerland (nutzung, lnf_code), Japan (polygon_uuid, land_type), the USA (CSBID), France (ID_PARCEL, CODE_CULTU),
# Austria (SNAR_BEZEICHNUNG), Germany (FLIK, kultur), Denmark (Marknr, Afgroede), Sweden (grdkod_mar), Spain (uso_sigpac).
IDS = (
    *(
        "id",
        "field_id",
        "parcel_id",
        "fid_1",
        "uuid",
        "polygon_uuid",
        "identifikator_be",
        "csbid",
        "id_parcel",
        "flik",
        "localid",
    ),
    *("objectid", "object_id", "nutzungsidentifikator", "fs_kennung", "imk_id", "gml_id", "parcelid", "fieldid", "name"),
)
CROPS = (
    *("eppo", "eppo_code", "crop_eppo", "crop", "crop_name", "crop:name", "croptype", "crop_type", "gewas", "nutzung", "kultur"),
    *("snar_bezeichnung", "culture", "code_cultu", "afgroede", "afgrode", "ec_trans_n", "ec_hcat_n", "hcat:name_en", "hcat:name"),
    *("land_type_en", "lulc_name", "crop:code", "crop_code", "gewascode", "lnf_code", "grdkod_mar", "uso_sigpac", "hcat:code"),
    *("ec_hcat_c", "land_type"),
)
PREVIOUS = ("previous_crop", "previous", "crop_previous", "prev_crop", "precrop", "vorfrucht", "voorvrucht", "precedent")
AREAS = (
    *("declared_area", "declared_ha", "area_ha", "metrics:area", "flaeche_m2", "flaeche_ha", "csbacres", "surf_parc", "area_m2"),
    *("area", "hectares", "ha", "flaeche", "sl_flaeche_brutto_ha", "imk_areal", "oppervlakte", "surface", "superficie", "acres"),
)
SEASONS = ("season", "jaar", "bezugsjahr", "year", "crop_year", "campaign", "issue_year", "jahr", "annee", "antrag_jahr")
YEARLY = (
    re.compile(r"cdl(\d{4})"),
    re.compile(r"r(\d{2})"),
    re.compile(r"crop_?(\d{4})"),
)  # a column for each year, as in the USA
UNITS = {"ha": 1.0, "m2": 1e-4, "acres": 0.40468564224}  # hectares of each


class Columns(NamedTuple):
    """Name the columns that hold the id, the crop, the crop before, the declared area and the season; None for none."""

    id: str | None = None
    crop: str | None = None
    previous: str | None = None
    area: str | None = None
    season: str | None = None

    @property
    def used(self) -> list[str]:
        """Return the names, each once."""
        return list(dict.fromkeys(name for name in self if name))


def guess(columns: Sequence[str], named: Columns, file: str) -> Columns:
    """Return the columns to read of a file that has `columns`: those that are `named`, else by well-known names, in any case.

    Where a file has the crops of several years, one column each, the last year is the crop and the year before the previous one.

    Raises:
        ConfigError: for a named column that the file does not have.
    """
    lower = {name.lower(): name for name in reversed(columns)}

    def known(setting: str, given: str | None, names: Sequence[str]) -> str | None:
        if not given:
            return next((lower[name] for name in names if name in lower), None)
        if given not in columns and given.lower() not in lower:
            hint = did_you_mean(given, columns) or f"name one that it has: loader.{setting}=..."
            raise ConfigError(f"{file} has no column {given!r} for loader.{setting}", hint, columns)
        return given if given in columns else lower[given.lower()]

    years = next((found for form in YEARLY if len(found := _by_year(form, lower)) > 1), [])
    last, before = (years[-1], years[-2]) if years else (None, None)
    return Columns(
        known("field_id", named.id, IDS),
        known("crop", named.crop, CROPS) or last,
        known("previous", named.previous, PREVIOUS) or (before if not named.crop else None),
        known("area", named.area, AREAS),
        known("season", named.season, SEASONS),
    )


def _by_year(form: re.Pattern[str], lower: Mapping[str, str]) -> list[str]:
    found = sorted((int(m[1]), column) for name, column in lower.items() if (m := form.fullmatch(name)))
    return [column for _, column in found]


def words(values: npt.NDArray[Any]) -> tuple[str | None, ...]:
    """Return values as words, None for what is missing; whole numbers without a point."""
    return tuple(_word(value) for value in values.tolist())


def _word(value: Any) -> str | None:
    if value is None or value != value or str(value) in ("NaT", "<NA>"):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None


def declared_hectares(name: str | None, values: npt.NDArray[Any] | None, true: Floats) -> Floats:
    """Return declared areas (n,) in hectares, NaN where none is given.

    The unit is what the column's name says (`area_ha`, `flaeche_m2`, `CSBACRES`). Where it says nothing it is the one, of square
    metres and hectares, in which the median declared area is nearer to the median true one: they are 10,000 apart.
    """
    found = np.full(len(true), np.nan)
    if name is None or values is None:
        return found
    for at, value in enumerate(values.tolist()):
        try:
            found[at] = float(value)
        except (TypeError, ValueError):
            continue
    found[~(found > 0)] = np.nan
    return found * UNITS[unit_of(name, found, true)]


def unit_of(name: str, values: Floats, true: Floats) -> str:
    """Return the unit of areas in a column: ha, m2 or acres; see `declared_hectares`."""
    parts = re.split(r"[^a-z0-9]+", name.lower())
    if "ha" in parts or "hectare" in name.lower() or "hektar" in name.lower():
        return "ha"
    if any(one in ("m2", "sqm", "qm") for one in parts):
        return "m2"
    if "acre" in name.lower():
        return "acres"
    both = np.isfinite(values) & (true > 0)
    if not both.any():
        return "m2" if ":" in name else "ha"  # fiboa's metrics:area is in square metres
    ratio = float(np.median(np.log10(values[both] / true[both])))
    return "m2" if ratio > 2 else "ha"


def season_of(columns: Columns, values: Mapping[str, npt.NDArray[Any]]) -> str:
    """Return the season of the crops: that of the season's column if all agree, else the year in the crop column's name."""
    if columns.season:
        said = set(words(values[columns.season])) - {None}
        if len(said) == 1:
            return str(said.pop())
    year = re.search(r"(?:19|20)\d\d", columns.crop or "")
    return year[0] if year else ""
