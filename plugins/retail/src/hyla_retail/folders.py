"""Pictures in folders by product, in and out: what a person sorted is truth, and what was found can be looked through.

Read is what `hyla_retail.sorted_pictures` knows. Written is a picture of each product found, CLASS/PRODUCT/*.jpg below folders
of the classes above it, labels.csv with what was said, and images.jsonl with the items.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hyla.errors import BadItem, ConfigError, FormatError
from hyla.formats import Loss, record, writing
from hyla.formats.listing import NAME, line
from hyla.formats.listing import read as listed
from hyla.hooks import Format, hookimpl
from hyla.images import EXTENSIONS
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels, Record
from hyla_retail import beside, seen, table_files
from hyla_retail.shop import LOADER, catalogue_of
from hyla_retail.sorted_pictures import Sorted

FILE = "labels.csv"
COLUMNS = ("file", "item", "class", "product", "kind", "x0", "y0", "x1", "y1", "score")
CARRIED = ("score", "attribute.product", "frame", "meta")
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_DEVICES = re.compile(r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*(?:\.|$)", re.IGNORECASE)  # of Windows
_MOST, _MOST_BYTES = 80, 200  # characters of a folder's name, and bytes of it in UTF-8; file systems take 255


class Folders(Format):
    """Read folders by product and tables of pictures as truth; write a picture of each product into folders.

    Args:
        column: of a table, that holds the product; by itself the first of product, fine_id, sku, gtin, label, class...
        catalogue: in which products are looked up by key, SKU, GTIN or name: `loader` for that of the project, a path, or None.
        quality: of the JPEG files that are cut out, 1 to 100.
        pictures: of the project, needed to write.
    """

    name = "class_folders"

    def __init__(
        self, column: str = "", catalogue: str | None = LOADER, quality: int = 92, pictures: Pictures | None = None
    ) -> None:
        if not 1 <= quality <= 100:
            raise ConfigError(f"export.class_folders.quality={quality} must lie from 1 to 100")
        self.column, self.setting, self.quality, self.pictures = column, catalogue, quality, pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write a picture for each label of a product, and return what is lost: all other labels, and most attributes.

        A photo of one product is copied as it is, what lies in a box is cut out; where the project redacts, all are made of the
        redacted picture. What a rule or a person called wrong stays
        behind.

        Raises:
            FormatError: if the pictures can't be loaded again, or `out` can't be written.
        """
        if self.pictures is None:
            raise FormatError("class_folders writes pictures, and there are none", "export it from a project")
        loss = Loss()
        products = schema.under("product")
        with writing(out / NAME) as listing, writing(out / FILE) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
            table = csv.writer(text, lineterminator="\n")
            table.writerow(COLUMNS)
            for found in seen.seen(records, self.pictures):
                one, mine = found.record, np.isin(found.labels.class_id, products)
                for kind in (*found.labels.kind[~mine], *found.dropped.kind):
                    loss.count(Kind(int(kind)).word.replace("_", " "))
                kept = loss.take(replace(one, labels=found.labels[mine]), ("box", "tag"), CARRIED)
                listing.write(line(one, FILE))
                image = self._image(one, loss) if len(kept) else None
                for row in range(len(kept)):
                    path = self._write(out, one, kept, row, schema, image)
                    product = kept.attributes["product"][row] if "product" in kept.attributes else None
                    box = [repr(float(side)) for side in kept.box[row]]
                    about = (Kind(int(kept.kind[row])).word, *box, repr(float(kept.score[row])))
                    name = schema.names[int(kept.class_id[row])]
                    table.writerow((path, one.item.id, name, table_files.safe(product or ""), *about))
            text.detach()
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield a record for each picture: one tag that names its product, its class by its folders and the catalogue.

        Raises:
            FormatError: while iterating, for a table or folder that can't be read, or one that holds no labelled picture.
        """
        if path.is_dir() and (path / NAME).is_file() and (path / FILE).is_file():
            return self._own(path, schema)
        sort = Sorted(schema, catalogue_of(self.pictures, self.setting))
        table = path if path.is_file() else path / FILE
        if not table.is_file() or table.suffix.lower() not in beside.TABLES:
            return sort.tree(path)
        return sort.table(table, self.column)

    def _image(self, one: Record, loss: Loss) -> Image | None:
        assert self.pictures is not None
        try:
            return self.pictures.load(one.item)
        except BadItem:
            loss.count("picture")
            return None

    def _write(self, out: Path, one: Record, kept: Labels, row: int, schema: Schema, image: Image | None) -> str:
        """Write the picture of one label, and return its path; empty where there is none."""
        from PIL import Image as Pillow

        from hyla_retail.crops import cut

        if image is None or image.volume:
            return ""
        product = kept.attributes["product"][row] if "product" in kept.attributes else None
        folders = [*_lineage(schema, int(kept.class_id[row])), *([safe(str(product))] if product else [])]
        original = self._original(one.item) if kept.kind[row] == Kind.TAG else None
        suffix = original.suffix.lower() if original is not None else ".jpg"
        path = Path(*folders, f"{one.item.id}-{row:03d}{suffix}")
        try:
            (out / path.parent).mkdir(parents=True, exist_ok=True)
            if original is not None:
                shutil.copyfile(original, out / path)
            else:
                pixels = cut(np.asarray(image.pixels), kept.box[row : row + 1])[0]
                Pillow.fromarray(pixels).save(out / path, quality=self.quality)
        except OSError as error:
            raise FormatError(f"can't write {out / path}: {error.strerror or error}", "choose a folder that has room") from error
        return path.as_posix()

    def _original(self, item: Item) -> Path | None:
        """Return the file that an item is, if it is one on this machine, and the project hides nothing of it."""
        if self.pictures is not None and self.pictures.redaction is not None:
            return None
        root = beside.folder(self.pictures.source) if self.pictures is not None else None
        path = (root / item.uri).resolve() if root is not None and "://" not in item.uri else None
        good = path is not None and root is not None and path.is_relative_to(root) and path.is_file()
        return path if good and path is not None and path.suffix.lower() in EXTENSIONS else None

    def _own(self, path: Path, schema: Schema) -> Iterator[Record]:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        with (path / FILE).open(encoding="utf-8", newline="") as file:
            for n, row in enumerate(csv.DictReader(file), 2):
                try:
                    box, score = [float(row[side]) for side in ("x0", "y0", "x1", "y1")], float(row["score"])
                    label = {"class": row["class"], "kind": row["kind"], "box": box, "score": score}
                    rows[row["item"]].append({**label, "attributes": {"product": table_files.plain(row["product"]) or None}})
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    raise FormatError(f"{path / FILE} line {n} is damaged: {error}") from error
        for where, one, frame in listed(path / NAME):
            found = record(one.item, rows.pop(one.id, []), schema, where, one.size)
            yield replace(found, frame=frame)


def safe(name: str) -> str:
    """Return a name as a folder may have it on any system: no separators, no dots at its ends, no device, not too long."""
    text = _UNSAFE.sub("_", name).strip(" .")[:_MOST]
    text = text.encode("utf-8", "ignore")[:_MOST_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{text}" if not text or _DEVICES.match(text) else text


def _lineage(schema: Schema, class_id: int) -> list[str]:
    """Return a class and those above it, below `product`, the most general first."""
    names: list[str] = []
    name = schema.names[class_id]
    while name and name != "product":
        names.insert(0, name)
        name = schema.classes[schema.ids[name]].parent
    return [safe(one) for one in names] or ["product"]
