"""What a recommender or a search engine learns from: a row per product with tags, embedding and how much of it a person decided.

items.parquet                   see `columns`
neighbours.parquet              alike in pictures and in tags; see `hyla_retail.neighbours.NEIGHBOURS`
seen_together_on_shelf.parquet  on one shelf, side by side: placed by the shop, not bought together; see `TOGETHER` there
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hyla.errors import ConfigError
from hyla.formats import Loss
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_retail import seen
from hyla_retail.neighbours import NEIGHBOURS, TOGETHER, Together, nearest, tag_vectors
from hyla_retail.product_vectors import Vectors
from hyla_retail.shop import LOADER, catalogue_of
from hyla_retail.table_files import write_table
from hyla_retail.tally import LIKELY, Product, Tally

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla_retail.embeddings import Embedding

ITEMS, ALIKE, ON_SHELF = "items.parquet", "neighbours.parquet", "seen_together_on_shelf.parquet"
FACTS = ("gtin", "name", "brand", "category", "currency")


def columns(tags: Sequence[str], size: int) -> pa.Schema:
    """Return the columns of items.parquet.

    product: the key. gtin: 14 digits. category: path in the catalogue, with > between levels. class: of the schema, that most
    labels have. price, currency. labels: how many labels name it; 0 for a product of the catalogue that nobody saw. verified: the
    share of them that a person decided. tags: those of probability 0.5 and more. verified_tags: those, likely or not, that a
    person decided. p_<tag>: probability, null where no picture tells. embedding: `size` numbers in half precision, of length 1,
    null where there is no picture; name and digest of what made it stand in the metadata of the file.
    """
    text, texts = pa.string(), pa.list_(pa.string())
    found: list[Any] = [("product", text), *((name, text) for name in FACTS), ("class", text), ("price", pa.float64())]
    found += [("labels", pa.int64()), ("verified", pa.float32()), ("tags", texts), ("verified_tags", texts)]
    found += [(f"p_{tag}", pa.float32()) for tag in tags]
    return pa.schema(found + ([("embedding", pa.list_(pa.float16(), size))] if size else []))


class ItemFeatures(Format):
    """Write three tables for a recommender. They can't be read back.

    Args:
        embedding: of crops; null for none.
        crops: of a product that are looked at, at most.
        neighbours: of each product in neighbours.parquet, for each basis; 0 for no such file.
        catalogue: whose products have rows too, seen or not: a path, `auto`, or `loader` for what the project's loader was told.
        pictures: of the project, which the crops are cut from.
    """

    name = "item_features"

    def __init__(
        self,
        embedding: Embedding | None = None,
        crops: int = 8,
        neighbours: int = 20,
        catalogue: str | None = LOADER,
        pictures: Pictures | None = None,
    ) -> None:
        if crops < 1 or neighbours < 0:
            raise ConfigError(f"crops is {crops}, neighbours {neighbours}", "at least 1 crop, and 0 neighbours or more")
        self.embedding, self.crops, self.neighbours = embedding, crops, neighbours
        self.catalogue, self.pictures = catalogue, pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the tables under `out`, and return how many labels name no product and what pictures can't be read."""
        loss = Loss()
        tally, together = Tally(schema, catalogue_of(self.pictures, self.catalogue)), Together(schema)
        vectors = Vectors(self.embedding, self.pictures, self.crops, loss)
        for one in seen.seen(records, self.pictures):
            named = tally.add(one)
            tally.count(one, named, loss)
            together.add(one)
            vectors.add(one, named)
        vectors.close()
        products = tally.products()
        size = self.embedding.size if self.embedding is not None and self.pictures is not None else 0
        about = {
            "hyla_schema": f"{schema.name}@{schema.version}",
            "hyla_table": "item_features 1",
            **(vectors.about if size else {}),
        }
        write_table(out / ITEMS, columns(tally.tags, size), _rows(products, tally.tags, vectors, size), about)
        if self.neighbours:
            write_table(out / ALIKE, NEIGHBOURS, self._alike(products, vectors, size), vectors.about if size else {})
        write_table(out / ON_SHELF, TOGETHER, together.rows(), {"hyla_about": "placed by the shop, not bought together"})
        return dict(loss)

    def _alike(self, products: Sequence[Product], vectors: Vectors, size: int) -> Iterator[dict[str, Any]]:
        keys = [one.key for one in products]
        if size:
            found = [vectors.of(key) for key in keys]
            matrix = np.array([np.zeros(size, np.float32) if one is None else one for one in found], np.float32)
            yield from nearest(keys, matrix.reshape(-1, size), self.neighbours, "picture")
        if products:
            yield from nearest(keys, tag_vectors(np.stack([one.probability for one in products])), self.neighbours, "tags")


def _rows(products: Sequence[Product], tags: Sequence[str], vectors: Vectors, size: int) -> Iterator[dict[str, Any]]:
    for one in products:
        p, vector = one.probability.tolist(), vectors.of(one.key) if size else None
        yield {
            "product": one.key,
            **{name: one.facts.get(name) for name in FACTS},
            "class": one.class_name or None,
            "price": None if one.price != one.price else one.price,
            "labels": one.labels,
            "verified": one.share,
            "tags": [tag for tag, x in zip(tags, p, strict=True) if x >= LIKELY],
            "verified_tags": [tag for tag, decided in zip(tags, one.decided, strict=True) if decided],
            **{f"p_{tag}": None if x != x else x for tag, x in zip(tags, p, strict=True)},
            **({"embedding": None if vector is None else vector.astype(np.float16)} if size else {}),
        }
