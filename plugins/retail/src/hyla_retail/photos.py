"""Load photos of shelves, and photos of one product each: from folders, or the pictures that a table names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem, ConfigError
from hyla.hooks import Loader, hookimpl
from hyla.images import EXTENSIONS, MAX_PIXELS, files, inside, opened, upright
from hyla.types import Image, Item, item_id
from hyla_retail import beside
from hyla_retail.catalogue import EMPTY, Catalogue, open_catalogue
from hyla_retail.photo_facts import date_in, gtin_in, place_of, resized, sharpness, taken
from hyla_retail.photo_table import PhotoTable, read_photo_table
from hyla_retail.planogram import open_planogram
from hyla_retail.references import References
from hyla_retail.sheets import Problem

VIEWS, GROUPS = ("shelf", "product"), ("none", "gtin", "folder", "source")
LISTED = (*EXTENSIONS, ".heic", ".heif")  # the last can't be read: set aside and counted, not passed over in silence
SHOWN = 640  # px, longer side of a reference


class Photos(Loader):
    """Load photos, each an item of its own.

    A source is a folder, looked through with its subfolders; one photo; or a table: of photos (image, store, fixture, date) for
    the view shelf, a catalogue for the view product, whose rows are then the items. Pictures of known products, which lie in the
    folder of exemplars or are named by the catalogue, are no items of a folder. What is wrong in a table becomes an item for each
    row, which can't be loaded: it is set aside with the reason, and counted.

    Args:
        view: what a photo shows: `shelf`, or `product` for one product.
        catalogue: see `hyla_retail.catalogue.open_catalogue`.
        planogram: see `hyla_retail.planogram.open_planogram`.
        exemplars: `auto` for a folder `exemplars` in the source; a path or several; None for none.
        columns: of the catalogue, where their names don't say what they hold: {gtin: "Nr.", name: "Text 2"}.
        photos: a table of photos, which stands above what paths and EXIF say: `auto` for photos.csv in the source; a path; None.
            Its pictures are looked for beside it, then in the source.
        group: what is judged together by the rules for groups, and loaded by one thread: `gtin` for photos of one product, by the
            number in the name of the file or by the row of the catalogue; `folder`; `source`; or `none`.
        max_pixels: refuse a picture with more, before it is decoded.

    Raises:
        ConfigError: for a setting that is none of these.
    """

    def __init__(
        self,
        view: str = "shelf",
        catalogue: str | None = "auto",
        planogram: str | None = "auto",
        exemplars: str | list[str] | None = "auto",
        columns: Mapping[str, str] | None = None,
        photos: str | None = "auto",
        group: str = "none",
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        for name, value, choices in (("view", view, VIEWS), ("group", group, GROUPS)):
            if value not in choices:
                raise ConfigError(f"loader.{name}={value} is not a choice", choices=choices)
        self.view, self.group, self.max_pixels = view, group, max_pixels
        self._settings = (catalogue, planogram, photos)
        self._exemplars = [exemplars] if isinstance(exemplars, str) else list(exemplars or ())
        self._columns = dict(columns or {})
        self.root = Path()
        self.catalogue: Catalogue = EMPTY
        self.references = References("", (), EMPTY)
        self._photos = PhotoTable()
        self._fixtures = frozenset[str]()
        self._problems: dict[str, dict[int, list[Problem]]] = {}

    @hookimpl
    def items(self, source: str) -> Iterable[Item] | None:
        """Return the photos, sorted by path or in the order of the table, then an item for each row of a table with a problem.

        Raises:
            ConfigError: for a table that is named and can't be read, and, while iterating, if all pictures are references.
        """
        table = beside.table(source)
        found = (table.parent, iter(())) if table is not None else files(source, LISTED)
        if found is None:
            return None
        self.root, uris = found
        catalogue, planogram, photos = self._settings
        self.catalogue = open_catalogue(catalogue, source, self._columns)
        plan = open_planogram(planogram, source)
        self._fixtures = frozenset(str(one).lower() for one in plan.fixture if one)
        folders = [at for one in self._exemplars if (at := self._folder(one, source)) is not None]
        self.references = References(source, folders, self.catalogue)
        shelf = self.view == "shelf"
        of_photos = table if shelf and table is not None else self._table(photos, source)
        self._photos = read_photo_table(of_photos, self.root)
        self._problems = {}
        self._note(self.catalogue.root, self.catalogue.file, self.catalogue.problems)
        self._note(plan.root, plan.file, plan.problems)
        if self._photos.path is not None:
            self._note(self._photos.path.parent, self._photos.path.name, self._photos.problems)
        if table is None:
            single = Path(source).expanduser().is_file()
            photos_found: Iterator[Item] = (self._photo(uri) for uri in (uris if single else self._own(uris, folders)))
        elif shelf:
            photos_found = (self._photo(uri) for uri in self._photos.rows)
        else:
            photos_found = self._rows(table)
        return chain(self._grouped(photos_found), self._broken())

    @hookimpl
    def load(self, item: Item) -> Image:
        """Return a photo as (H, W, 3) uint8 RGB, the right way up by its EXIF, with what is known of it.

        Raises:
            BadItem: for what can't be decoded or is too large, and for a row of a table with a problem: which, and why.
        """
        if (wrong := self._problems.get(item.uri, {}).get(item.index)) is not None:
            where = f"{item.uri} row {item.index}"
            raise BadItem("; ".join(f"{where}{', column ' * bool(one.column)}{one.column}: {one.reason}" for one in wrong))
        path = inside(self.root, item.uri)
        with opened(path, self.max_pixels) as picture:
            pixels = upright(picture, path.name)
            day = taken(picture)
        known = self._photos.facts.get(item.uri, {})
        context = {
            "view": self.view,
            **{name: item.meta[name] for name in ("store", "fixture") if item.meta.get(name)},
            "date": known.get("date") or day or date_in(item.uri),
            "sharpness": sharpness(pixels),
            "catalogue": self.catalogue.about,
        }
        return Image(pixels, item, context={name: value for name, value in context.items() if value != ""})

    @hookimpl
    def reference(self, attributes: Mapping[str, Any]) -> Image | None:
        """Return the picture of the product that `attributes` name, 640 px at most: an exemplar, else that of the catalogue."""
        path = self.references.path(attributes)
        if path is None:
            return None
        try:
            pixels = overview(path, SHOWN, self.max_pixels)
        except BadItem:
            return None
        uri = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
        return Image(pixels, Item(item_id(uri), uri, kind="photo"), context={"view": "product"})

    def _table(self, setting: str | None, source: str) -> Path | None:
        return beside.find(setting, source, "photos", beside.TABLES)

    def _folder(self, setting: str, source: str) -> Path | None:
        """Return a folder of exemplars; those in a file or a project lie in no folder of pictures."""
        if setting != beside.AUTO and setting.lower().endswith(".npz"):
            return None
        return beside.find(setting, source, "exemplars", ())

    def _photo(self, uri: str) -> Item:
        meta: dict[str, Any] = {}
        if self.view == "shelf":
            known = self._photos.facts.get(uri, {})
            meta = {**place_of(uri, self._fixtures), **{name: known[name] for name in ("store", "fixture") if name in known}}
        elif number := gtin_in(uri):
            meta = {"gtin": number}
        return Item(item_id(uri), uri, kind="photo", meta=meta)

    def _own(self, uris: Iterable[str], exemplars: Sequence[Path]) -> Iterator[str]:
        """Yield the pictures of a folder that are no references."""
        prefixes = tuple(f"{one.relative_to(self.root).as_posix()}/" for one in exemplars if one.is_relative_to(self.root))
        if "./" in prefixes:
            raise ConfigError("loader.exemplars is the source itself", "name a folder in it, or another")
        named: set[str] = set()
        top = self.catalogue.root.resolve() if self.catalogue.root is not None else None
        if top is not None and (top.is_relative_to(self.root) or self.root.is_relative_to(top)):
            paths = (top / one for images in self.catalogue.image for one in images)
            named = {path.relative_to(self.root).as_posix() for path in paths if path.is_relative_to(self.root)}
        found = left = 0
        for uri in uris:
            if uri in named or uri.startswith(prefixes):
                left += 1
            else:
                found += 1
                yield uri
        if left and not found:
            hint = f"to label the pictures of a catalogue give it as source: {self.catalogue.file or 'catalogue.csv'}"
            raise ConfigError(f"all {left} pictures of {self.root} are exemplars, or pictures that the catalogue names", hint)

    def _rows(self, table: Path) -> Iterator[Item]:
        """Yield an item for each picture of each row of a catalogue that is the source."""
        rows = open_catalogue("auto", str(table), self._columns)
        if rows.root is None or rows.file != table.name or not any(rows.image):
            raise ConfigError(
                f"{table} names no picture that is there", "a catalogue to be labelled needs a column of pictures: image"
            )
        seen = set[str]()
        for at in range(len(rows)):
            row, meta = int(rows.row[at]), {"product": str(rows.key[at])}
            for uri in rows.image[at]:
                yield Item(item_id(uri, row if uri in seen else None), uri, kind="row", meta={"row": row, **meta})
                seen.add(uri)

    def _grouped(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield items with their groups, those of one group one after the other."""
        name = self._group_of()
        if name is None:
            yield from items
            return
        groups: dict[str, list[Item]] = {}
        for item in items:
            group = name(item)
            groups.setdefault(group or f"\n{item.id}", []).append(item)
        for group, members in groups.items():
            for index, one in enumerate(members):
                alone = group.startswith("\n")
                yield one if alone else Item(one.id, one.uri, group, index, one.kind, one.meta)

    def _group_of(self) -> Callable[[Item], str] | None:
        if self.group == "none":
            return None
        if self.group == "gtin":
            return lambda item: str(item.meta.get("gtin") or item.meta.get("product") or gtin_in(item.uri))
        return lambda item: self.group if self.group == "source" else item.uri.rpartition("/")[0] or "."

    def _note(self, root: Path | None, file: str, problems: Iterable[Problem]) -> None:
        """Keep the problems of a table, by the path that its items have."""
        if root is None:
            return
        path = root.resolve() / file
        uri = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else file
        for one in problems:
            self._problems.setdefault(uri, {}).setdefault(one.row, []).append(one)

    def _broken(self) -> Iterator[Item]:
        for uri, rows in self._problems.items():
            for row in sorted(rows):
                yield Item(item_id(uri, row), uri, index=row, kind="row", meta={"row": row})


def overview(path: Path, longest: int, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Return a picture as (h, w, 3) uint8 RGB, the right way up, its longer side `longest` px at most.

    A JPEG is decoded at the half, quarter or eighth of its size that is still half as large again as asked, which is faster than
    whole, and then reduced by means over areas.

    Raises:
        BadItem: as `hyla.images.read_image` does.
    """
    with opened(path, max_pixels) as picture:
        scale = min(1.0, longest / max(picture.size))
        size = sorted(max(1, round(side * scale)) for side in picture.size)
        if scale < 1:
            picture.draft(None, (int(1.5 * picture.width * scale), int(1.5 * picture.height * scale)))
        pixels = upright(picture, path.name)
    return resized(pixels, size if pixels.shape[0] <= pixels.shape[1] else size[::-1])
