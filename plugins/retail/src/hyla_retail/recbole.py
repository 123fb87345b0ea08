"""Atomic files of RecBole (https://recbole.io/docs/user_guide/data/atomic_files.html): products, and orders as interactions.

    <dataset>/<dataset>.item    item_id, name, brand, class, categories, price, tags, verified, labels, p_<tag>..., embedding
    <dataset>/<dataset>.inter   user_id, item_id, timestamp, quantity

RecBole reads them with pandas, which takes a cell such as NA or null for nothing and " for a quote: such words get a _ behind,
and " becomes '. Cells that are empty RecBole fills: a number with the mean of its column, a word with padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hyla.errors import ConfigError
from hyla.formats import Loss, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_retail import seen
from hyla_retail.orders import Orders, finder, open_orders
from hyla_retail.product_vectors import Vectors
from hyla_retail.sheets import Problem
from hyla_retail.shop import LOADER, catalogue_of, source_of
from hyla_retail.table_files import safe
from hyla_retail.tally import LIKELY, Product, Tally

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla_retail.embeddings import Embedding

NOTHING = frozenset(
    {
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
    }
    | {"None", "n/a", "nan", "null"}
)  # that pandas takes for a missing value
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
Column = tuple[str, Callable[[Product], str]]


class Recbole(Format):
    """Write the .item and .inter files of a dataset. They can't be read back.

    Args:
        dataset: name of the dataset, and of its folder.
        orders: table of who bought what: `auto` for orders.* beside the photos, a path; null for none and no .inter.
        columns: {role: column} of the orders, where names don't tell; roles are user, item, time and quantity.
        catalogue: whose products are items too, seen or not: a path, `auto`, or `loader` for what the loader was told.
        embedding: of crops, for a column of numbers; null for none.
        crops: of a product that are looked at, at most.
        pictures: of the project.
    """

    name = "recbole"

    def __init__(
        self,
        dataset: str = "retail",
        orders: str | None = "auto",
        columns: dict[str, str] | None = None,
        catalogue: str | None = LOADER,
        embedding: Embedding | None = None,
        crops: int = 8,
        pictures: Pictures | None = None,
    ) -> None:
        if not re.fullmatch(r"[\w-]+", dataset):
            raise ConfigError(f"export.recbole.dataset={dataset} is no name", "use letters, digits, - and _")
        self.dataset, self.orders, self.columns, self.catalogue = dataset, orders, columns, catalogue
        self.embedding, self.crops, self.pictures = embedding, crops, pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the dataset into a folder of its name under `out`; return what is no item, and rows of orders that are none."""
        loss = Loss()
        catalogue = catalogue_of(self.pictures, self.catalogue)
        tally, vectors = Tally(schema, catalogue), Vectors(self.embedding, self.pictures, self.crops, loss)
        for one in seen.seen(records, self.pictures):
            named = tally.add(one)
            tally.count(one, named, loss)
            vectors.add(one, named)
        vectors.close()
        products = tally.products()
        gtins = {one.facts["gtin"]: one.key for one in products if "gtin" in one.facts}
        orders = open_orders(self.orders, source_of(self.pictures), finder(catalogue, gtins), self.columns)
        folder = out / self.dataset
        items, users = Tokens(), Tokens()
        _write(folder / f"{self.dataset}.item", item_columns(products, tally.tags, vectors, items), products)
        if orders is not None:
            write_orders(folder / f"{self.dataset}.inter", orders, users, items)
            write_problems(out / "orders_problems.csv", orders.problems)
            loss.count("row of orders", len(orders.problems))
        return dict(loss)


class Tokens:
    """Give each word a token that RecBole reads as one word, no two words the same."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._taken: set[str] = set()

    def __getitem__(self, word: str) -> str:
        if word not in self._of:
            first = token = single(word)
            number = 2
            while token in self._taken:
                token, number = f"{first}_{number}", number + 1
            self._taken.add(token)
            self._of[word] = token
        return self._of[word]


def single(word: str) -> str:
    """Return a word as a token: no blanks, quotes or control characters, and none that pandas takes for nothing."""
    token = _BLANK.sub("_", word.strip()).replace('"', "'")
    return f"{token}_" if token in NOTHING else token


def sequence(words: Iterable[str]) -> str:
    """Return words as a sequence of tokens, with a blank between."""
    cell = " ".join(filter(None, (_BLANK.sub("_", word.strip()).replace('"', "'") for word in words)))
    return f"{cell}_" if cell in NOTHING and cell else cell


def item_columns(products: Sequence[Product], tags: Sequence[str], vectors: Vectors, tokens: Tokens) -> list[Column]:
    """Return header and cell of each column of a .item file; columns of which nothing is known are left out.

    verified is the share of the labels of a product that a person decided, labels their number; p_<tag> the probability of a tag,
    1 and 0 where a person decided; tags those with 0.5 and more.
    """

    def p(n: int) -> Callable[[Product], str]:
        return lambda one: number(float(one.probability[n]))

    def likely(one: Product) -> str:
        return sequence(tag for tag, p in zip(tags, one.probability.tolist(), strict=True) if p >= LIKELY)

    def vector(one: Product) -> str:
        found = vectors.of(one.key)
        return "" if found is None else " ".join(f"{x:.5g}" for x in found.tolist())

    columns: list[Column] = [
        ("item_id:token", lambda one: tokens[one.key]),
        ("name:token_seq", lambda one: sequence(one.facts.get("name", "").split())),
        ("brand:token", lambda one: single(one.facts["brand"]) if "brand" in one.facts else ""),
        ("class:token", lambda one: one.class_name),
        ("categories:token_seq", lambda one: sequence(one.facts.get("category", "").split(" > "))),
        ("price:float", lambda one: number(one.price)),
        ("tags:token_seq", likely),
        ("verified:float", lambda one: number(one.share)),
        ("labels:float", lambda one: str(one.labels)),
        *((f"p_{tag}:float", p(n)) for n, tag in enumerate(tags)),
        ("embedding:float_seq", vector),
    ]
    return [column for column in columns if column[0] == "item_id:token" or any(column[1](one) for one in products)]


def write_orders(path: Path, orders: Orders, users: Tokens, items: Tokens) -> None:
    """Write a .inter file: a row per bought line."""
    head = ["user_id:token", "item_id:token", *(["timestamp:float"] if orders.timed else [])]
    head += ["quantity:float"] if orders.counted else []
    with writing(path) as file:
        file.write(("\t".join(head) + "\n").encode())
        for user, item, time, quantity in zip(
            orders.user, orders.item, orders.time.tolist(), orders.quantity.tolist(), strict=True
        ):
            cells = [users[user], items[item], *([number(time)] if orders.timed else [])]
            file.write(("\t".join([*cells, *([number(quantity)] if orders.counted else [])]) + "\n").encode())


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write which rows of a table were left out and why; nothing if there are none."""
    if problems:
        import csv
        import io

        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(Problem._fields)
        table.writerows((one.row, safe(one.column), safe(one.reason)) for one in problems)
        with writing(path) as file:
            file.write(text.getvalue().encode())


def number(value: float) -> str:
    """Return a number as text, empty for NaN."""
    return "" if value != value else f"{value:.10g}"


def _write(path: Path, columns: Sequence[Column], products: Iterable[Product]) -> None:
    with writing(path) as file:
        file.write(("\t".join(head for head, _ in columns) + "\n").encode())
        for one in products:
            file.write(("\t".join(cell(one) for _, cell in columns) + "\n").encode())
