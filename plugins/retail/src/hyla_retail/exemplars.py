"""Name products by the pictures of known products that they are most like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Floats, Image, Kind, Labels, Objects, Record
from hyla_retail import beside, exemplar_files
from hyla_retail.crops import Pixels, cut, trim
from hyla_retail.embeddings import Appearance, Embedding, phashes
from hyla_retail.exemplar_files import FILE
from hyla_retail.matching import Matcher, open_matcher
from hyla_retail.reading import Reading, Source

FLAT = 4.0  # grey values: a crop that varies less has no perceptual hash that means anything


class Exemplars(Source):
    """Compare each product with the user's own pictures of known products.

    Claims the products of the nearest exemplars, with a likeness that the exemplars themselves taught; see `hyla_retail.novelty`.
    What is left of the likeness of the first is shared among the others by their votes; none is likelier than the first.

    Attributes: `exemplar`, the picture of the first product that is most alike, and `category`, where the exemplar has one.
    Evidence: `exemplar` (likeness of the first), `novelty`, and `duplicate`, in how many of 64 bits the perceptual hash differs
    from the nearest exemplar of another product. An exemplar that was cut from the same photo is left out.

    Args:
        schema: with the class `product`.
        embedding: of crops; None for `Appearance`, which needs no weights.
        exemplars: `auto`, a path, several of these, or None; see `hyla_retail.matching.open_matcher`.
        source: of the run.
        catalogue, columns: a table of products; see `hyla_retail.catalogue.open_catalogue`.
        catalogue_pictures: True to take the pictures that the catalogue names as exemplars too.
        claims: products named for one label, at most.
        index: exact, flat or hnsw; the latter two need faiss.
        pictures: a `hyla.pictures.Pictures`, which reads what records are about, for training.

    Raises:
        ConfigError: if what a setting names is not there or can't be read.
    """

    def __init__(
        self,
        schema: Schema,
        embedding: Any = None,
        exemplars: str | Sequence[str] | None = "auto",
        source: str = "",
        catalogue: str | None = "auto",
        columns: Mapping[str, str] | None = None,
        catalogue_pictures: bool = True,
        claims: int = 3,
        index: str = "exact",
        pictures: Any = None,
    ) -> None:
        from hyla_retail.catalogue import open_catalogue

        if embedding is not None and not isinstance(embedding, Embedding):
            raise ConfigError(f"embedding is {type(embedding).__name__}, which describes no crops", "name a class of embeddings")
        if claims < 1:
            raise ConfigError(f"claims is {claims}", "it must be at least 1")
        self.embedding: Embedding = embedding or Appearance()
        settings = [exemplars] if isinstance(exemplars, str) else list(exemplars or ())
        table = open_catalogue(catalogue, source, columns)
        self.matcher: Matcher = open_matcher(settings, source, table, catalogue_pictures, self.embedding, index)
        self.claims, self.pictures = claims, pictures
        self._root = beside.folder(source)
        self._products = schema.under("product")

    def read(self, images: Sequence[Image], labels: Sequence[Labels]) -> list[Reading]:
        """Return what the products of each picture are like."""
        return [self._reading(image, one) for image, one in zip(images, labels, strict=True)]

    def provenance(self) -> dict[str, str]:
        """Return the name of the embedding, and the sha256 of it and of all exemplars."""
        known = self.matcher.gallery
        signed = sha256(self.embedding.digest.encode())
        signed.update("\n".join([*known.product.tolist(), *known.picture.tolist(), *known.category.tolist()]).encode())
        signed.update(known.vectors.astype(np.float16).tobytes())
        told = {"name": f"exemplars ({self.embedding.name})", "digest": signed.hexdigest()}
        return told | {"exemplars": f"{len(known)} of {self.matcher.products} products, {len(known.broken)} can't be read"}

    def train(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, Any]:
        """Write `out`/exemplars.npz with the products that people named in reviewed records, and return figures.

        Returns:
            exemplars, products, broken (pictures that can't be read), and leave_one_out: `right`, the share of exemplars whose
            product is that of the nearest from another picture, and the `n` that were tried.

        Raises:
            ConfigError: where this source was not given `pictures`, or no label was named by a person.
        """
        if self.pictures is None:
            raise ConfigError("records hold labels only, and nothing reads their pictures", "give the source pictures")
        found = exemplar_files.of_records(records, schema, self.pictures, self.embedding)
        if not len(found):
            raise ConfigError("no person has named a product yet", "review some labels first")
        out.mkdir(parents=True, exist_ok=True)
        exemplar_files.save(found, self.embedding, out / FILE)
        taught = Matcher(found)
        tried = taught.calibration
        return {
            "exemplars": len(found),
            "products": taught.products,
            "broken": len(found.broken),
            "leave_one_out": {"right": tried.right if len(tried.distance) else None, "n": len(tried.distance)},
        }

    def _reading(self, image: Image, labels: Labels) -> Reading:
        rows = np.flatnonzero(np.isin(labels.class_id, self._products) & np.isin(labels.kind, (Kind.BOX, Kind.TAG)))
        known = self.matcher.gallery
        if not len(rows) or not len(known):
            return Reading()
        crops = [trim(crop) for crop in cut(image.pixels, labels.box[rows])]
        without = self._photos(image)
        found = self.matcher.match(self.embedding(crops), without)
        some = np.flatnonzero([len(one.row) for one in found])
        if not len(some):
            return Reading()
        rows, crops, found = rows[some], [crops[i] for i in some], [found[i] for i in some]
        similarity = np.array([one.similarity[0] for one in found])
        sure = np.round(self.matcher.calibration.likeness(similarity, np.array([one.margin for one in found])), 4)
        named, exemplars, likeness = [], [], []
        for place, (one, first) in enumerate(zip(found, sure, strict=True)):
            share = one.vote[: self.claims] * (1 - first) / max(1 - one.vote[0], 1e-9)
            share[0] = first
            named += [int(rows[place])] * len(share)
            exemplars += one.row[: self.claims].tolist()
            likeness += np.minimum(share, first).tolist()
        first_rows = np.array([one.row[0] for one in found])
        return Reading(
            np.array(named, dtype=np.int64),
            known.product[exemplars],
            np.array(likeness),
            {
                "exemplar": _column(len(labels), rows, known.picture[first_rows]),
                "category": _column(len(labels), rows, known.category[first_rows]),
            },
            {
                "exemplar": _numbers(len(labels), rows, sure),
                "novelty": _numbers(
                    len(labels), rows, self.matcher.calibration.novelty(np.array([one.nearest for one in found]))
                ),
                "duplicate": _numbers(len(labels), rows, self._duplicate(crops, self.matcher.product[first_rows], without)),
            },
        )

    def _photos(self, image: Image) -> list[str]:
        """Return how the exemplars call the photo that is looked at."""
        item = image.item
        return [item.id] if self._root is None else [item.id, str(self._root / item.uri)]

    def _duplicate(self, crops: Sequence[Pixels], product: Any, without: Sequence[str]) -> Floats:
        found = self.matcher.duplicate(phashes(crops), product, without)
        flat = np.array([float(crop[::8, ::8].std()) < FLAT for crop in crops])
        return np.where(flat, np.nan, found)


def _numbers(n: int, rows: Any, values: Floats) -> Floats:
    out = np.full(n, np.nan)
    out[rows] = values
    return out


def _column(n: int, rows: Any, values: Objects) -> Objects:
    out = np.full(n, None, dtype=object)
    out[rows] = [value or None for value in values.tolist()]
    return out
