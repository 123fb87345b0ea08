"""Find the picture that shows what a product is: an exemplar, or one that the catalogue names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from hyla.errors import BadItem
from hyla.images import EXTENSIONS, files, inside
from hyla_retail import beside
from hyla_retail.catalogue import Catalogue


class References:
    """Hold where pictures of known products lie. Nothing outside these folders is ever opened.

    Args:
        source: of the run.
        exemplars: folders with a folder for each product, whose name is its key, SKU or GTIN.
        catalogue: of the products.
    """

    def __init__(self, source: str, exemplars: Sequence[Path], catalogue: Catalogue) -> None:
        self.exemplars, self.catalogue = tuple(exemplars), catalogue
        roots = (beside.folder(source), *exemplars, catalogue.root)
        self.roots = tuple(root.resolve() for root in roots if root is not None)
        self._first: dict[str, Path] | None = None
        self._lock = Lock()

    def path(self, attributes: Mapping[str, Any]) -> Path | None:
        """Return the picture that the attributes `exemplar`, `product` or `gtin` lead to, None if there is none."""
        exemplar, product, number = (str(attributes.get(name) or "") for name in ("exemplar", "product", "gtin"))
        if exemplar and (found := self._inside(exemplar)) is not None:
            return found
        row = self.catalogue.find(product) if product else -1
        row = self.catalogue.by_gtin(number) if row < 0 and number else row
        key = str(self.catalogue.key[row]) if row >= 0 else product
        if key and (found := self._folders().get(key)) is not None:
            return found
        named = self.catalogue.image[row] if row >= 0 else ()
        return self._inside(named[0], self.catalogue.root) if named else None

    def _inside(self, name: str, root: Path | None = None) -> Path | None:
        if Path(name).suffix.lower() not in EXTENSIONS:
            return None
        for one in self.roots if root is None else (root.resolve(),):
            try:
                path = inside(one, name)
                if path.is_file():
                    return path
            except (BadItem, OSError, RuntimeError):  # outside; a name too long; a link that leads to itself
                continue
        return None

    def _folders(self) -> dict[str, Path]:
        """Return key of a product -> its first exemplar; looked for once."""
        with self._lock:
            if self._first is None:
                self._first = {}
                for folder in self.exemplars:
                    root, names = files(str(folder), EXTENSIONS) or (folder, iter(()))
                    for name in names:
                        product = Path(name).parent.name
                        row = self.catalogue.find(product) if product else -1
                        self._first.setdefault(str(self.catalogue.key[row]) if row >= 0 else product, root / name)
            return self._first
