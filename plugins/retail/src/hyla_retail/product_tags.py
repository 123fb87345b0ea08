"""One table of product labels for search, feeds and recommenders: a row per label, with who decided it. `table` has the columns.

SELECT product, count(*), avg(verified::int) FROM 'product_tags.parquet' GROUP BY product
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from hyla.errors import FormatError
from hyla.formats import Loss, find, known_attributes, listing, proved, record, unknown_class, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Kind, Record
from hyla_retail import seen
from hyla_retail.catalogue import Catalogue
from hyla_retail.seen import Seen, Word
from hyla_retail.shop import LOADER, catalogue_of, fact
from hyla_retail.table_files import KINDS, checked, read_table, writing_table

if TYPE_CHECKING:
    from hyla.pictures import Pictures

TYPES = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "choice": pa.string()}
FIRST = ("product", "gtin", "name", "brand")  # attributes that have a column of their own
VERSIONS = {"google": "2021-09-21"}  # of the codes in the schemas of this plugin, where their publisher names one
SIDES = ("x0", "y0", "x1", "y1")
BOX = pa.struct([(side, pa.float64()) for side in SIDES])
TAXONOMY = pa.struct([(name, pa.string()) for name in ("scheme", "version", "code", "path")])
TAGS = pa.list_(pa.struct([("tag", pa.string()), ("probability", pa.float64()), ("verified", pa.bool_())]))
CARRIED = ("score", "attribute", "context", "meta", "frame", "source")


class _Tag(msgspec.Struct):
    tag: str
    probability: float


class _Row(msgspec.Struct):
    """Say what reading asks of a row of JSON; Parquet and CSV have types of their own."""

    image_id: str
    kind: str | None
    box: dict[str, float | None] | None
    class_name: str | None = msgspec.field(name="class")
    tags: list[_Tag] | None
    confidence: float | None
    attributes: dict[str, Any] | None = None
    image: dict[str, Any] | None = None


def table(schema: Schema) -> pa.Schema:
    """Return the columns.

    image_id, uri: of the picture. kind: `box` on a shelf, `tag` for the product that a picture is of. box: in pixels, x to the
    right, y down, far edges exclusive. class: of the schema. product (the key in the catalogue: SKU, else GTIN, else name), gtin
    (14 digits), name and brand. taxonomy: the class in a public scheme, and its path in the schema. attributes: the other
    attributes of labels. tags: what is said of the picture as a whole, in the row of its product (in a row without class where it
    has none). confidence: 0 to 1, of the machine. verified: a person decided this label. source: human, auto, truth, or simulated
    where a program answered. reviewer, time: who decided and when, ISO 8601 in UTC. model: whose proposal it was. image: what is
    known of the picture (store, fixture, date).
    """
    text, label = pa.string(), schema.attributes_of("label")
    columns: list[Any] = [("image_id", text), ("uri", text), ("kind", text), ("box", BOX), ("class", text)]
    columns += [(name, text) for name in FIRST if name in label]
    columns += [("taxonomy", TAXONOMY)]
    rest = [(name, TYPES[one.type]) for name, one in label.items() if name not in FIRST]
    columns += [("attributes", pa.struct(rest))] if rest else []
    columns += [("tags", TAGS), ("confidence", pa.float64()), ("verified", pa.bool_())]
    columns += [(name, text) for name in ("source", "reviewer", "time", "model")]
    image = [(name, TYPES[one.type]) for name, one in schema.attributes_of("image").items()]
    return pa.schema(columns + ([("image", pa.struct(image))] if image else []))


class ProductTags(Format):
    """Write and read one table of product labels, beside `images.jsonl`, which says what pictures there are.

    Labels of other classes (price labels, gaps, barcodes) stay behind, and so does what a rule or a person called wrong.

    Args:
        file: of the table; the ending .parquet, .csv or .jsonl says of what kind.
        scheme: outside vocabulary whose codes the column `taxonomy` holds, as classes of the schema have them: gpc, google.
        scheme_version: of that vocabulary, to be written beside the codes; empty for 2021-09-21 of google, and none of another.
        catalogue: that says gtin, name and brand of a product, above what a label says: `loader` for that of the loader,
            `auto`, a path, or null for none.
        unknown: `error` to refuse classes and attributes that the schema does not have, `skip` to leave them out.
        pictures: of the project, whose decisions say who verified a label.
    """

    name = "product_tags"

    def __init__(
        self,
        file: str = "product_tags.parquet",
        scheme: str = "gpc",
        scheme_version: str = "",
        catalogue: str | None = LOADER,
        unknown: str = "error",
        pictures: Pictures | None = None,
    ) -> None:
        self.file = checked(file, "export.product_tags.file")
        self.scheme, self.scheme_version = scheme, scheme_version or VERSIONS.get(scheme, "")
        self.catalogue, self.skip, self.pictures = catalogue, proved(unknown), pictures

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write the table and images.jsonl under `out` as the records come, and return what they can't carry."""
        loss, own = Loss(), table(schema)
        about = {"hyla_schema": f"{schema.name}@{schema.version}", "hyla_table": "product_tags 1"}
        rows = _Rows(schema, loss, self.scheme, self.scheme_version, catalogue_of(self.pictures, self.catalogue))
        with writing(out / listing.NAME) as listed, writing_table(out / self.file, own, about) as add:
            for one in seen.seen(records, self.pictures):
                listed.write(listing.line(one.record, self.file))
                for row in rows.of(one):
                    add(row)
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a folder that was exported; raise FormatError for another table, which says of no pictures."""
        root = path if path.is_dir() else path.parent
        if not (root / listing.NAME).is_file():
            raise FormatError(f"{root} has no {listing.NAME}", "name a folder that `hyla export --format product_tags` wrote")
        found = find(path, self.file, *(f"product_tags{kind}" for kind in KINDS))
        rows = _proved(read_table(found, table(schema)), found)
        ahead = next(rows, None)
        for where, one, frame in listing.read(root / listing.NAME):
            mine = []
            while ahead is not None and ahead["image_id"] == one.id:
                mine.append(ahead)
                ahead = next(rows, None)
            yield replace(self._record(mine, one, schema, where), frame=frame)
        if ahead is not None:
            raise FormatError(f"{found} has labels of {ahead['image_id']!r}, which {listing.NAME} does not list there")

    def _record(self, rows: list[dict[str, Any]], one: listing.Listed, schema: Schema, where: str) -> Record:
        labels: list[dict[str, Any]] = []
        whole = [0.0, 0.0, float(one.size[-1]), float(one.size[-2])]
        context = _known(rows[0].get("image")) if rows else {}
        for row in rows:
            if row["class"] is not None and self._has(row["class"], schema, where):
                values = {name: row[name] for name in FIRST if row.get(name) is not None} | _known(row.get("attributes"))
                label = {"class": row["class"], "kind": row["kind"], "box": [(row["box"] or {}).get(side) for side in SIDES]}
                known = known_attributes(values, schema, "label", where, self.skip)
                labels.append({**label, "score": row["confidence"], "attributes": known})
            tags = [tag for tag in row["tags"] or () if self._has(tag["tag"], schema, where)]
            labels += [{"class": t["tag"], "kind": "tag", "box": whole, "score": t["probability"]} for t in tags]
        return record(one.item, labels, schema, where, one.size, known_attributes(context, schema, "image", where, self.skip))

    def _has(self, name: str, schema: Schema, where: str) -> bool:
        if name not in schema.ids and not self.skip:
            raise unknown_class(name, where, schema.ids)
        return name in schema.ids


def _proved(rows: Iterable[dict[str, Any]], path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        try:
            msgspec.convert(row, _Row)
        except msgspec.ValidationError as error:
            raise FormatError(f"{path}, row {number}: {error}", "write it again with `hyla export`") from error
        yield row


class _Rows:
    """Turn records into rows, and count what stays behind."""

    def __init__(self, schema: Schema, loss: Loss, scheme: str, version: str, catalogue: Catalogue) -> None:
        self.schema, self.loss, self.catalogue = schema, loss, catalogue
        self.products, self.tags = seen.products(schema), seen.tags(schema)
        self.first = [name for name in FIRST if name in schema.attributes_of("label")]
        rest = {name: one.type for name, one in schema.attributes_of("label").items() if name not in FIRST}
        self.rest, self.image = rest, schema.attributes_of("image")
        self.taxonomy = [self._place(i, scheme, version) for i in range(len(schema.classes))]

    def of(self, one: Seen) -> Iterator[dict[str, Any]]:
        """Yield the rows of a picture."""
        labels = one.labels
        flat = (labels.kind == Kind.BOX) | (labels.kind == Kind.TAG)
        product = flat & np.isin(labels.class_id, self.products)
        tag = (labels.kind == Kind.TAG) & np.isin(labels.class_id, self.tags)
        rows = self._count(one, product, tag)
        tags = [self._tag(one, row) for row in np.flatnonzero(tag).tolist()]
        holder = next((row for row in rows if labels.kind[row] == Kind.TAG), None)
        image = {name: one.of_image(name) for name in self.image}
        item = one.record.item
        base = {"image_id": item.id, "uri": item.uri, "image": image}
        if tags and holder is None:
            yield base | {"tags": tags, "verified": all(t["verified"] for t in tags), **_word(one.whole, one.record.source)}
        elif not rows:
            self.loss.count("context", sum(value is not None for value in image.values()))
        for row in rows:
            yield base | self._label(one, row) | {"tags": tags if row == holder else []}

    def _count(self, one: Seen, product: Any, tag: Any) -> list[int]:
        """Count what a picture loses, and return the rows of its product labels."""
        record, flags = one.record, one.record.flags
        stale = [name for name in seen.OF_PRODUCT if name in one.labels.attributes]
        renamed = one.labels[product & one.renamed]
        self.loss.count("attribute", sum(v is not None and v == v for name in stale for v in renamed.attributes[name].tolist()))
        self.loss.take(replace(record, labels=one.labels[product]), ("box", "tag"), CARRIED)
        beside = (*CARRIED, "flag", "verdict")  # which are counted once
        bare = replace(record, labels=replace(one.labels[tag], context={}), flags=flags)
        self.loss.take(bare, ("tag",), tuple(word for word in beside if word != "attribute"))
        gone = replace(one.labels[~(product | tag)], context={}), replace(one.dropped, context={})
        for labels in gone:
            self.loss.take(replace(record, labels=labels), (), beside)
        return [int(row) for row in np.flatnonzero(product)]

    def _label(self, one: Seen, row: int) -> dict[str, Any]:
        labels, class_id = one.labels, int(one.labels.class_id[row])
        attributes = {name: _typed(one.value(name, row), kind) for name, kind in self.rest.items()}
        return {
            "kind": Kind(int(labels.kind[row])).word,
            "box": dict(zip(SIDES, labels.box[row].tolist(), strict=True)),
            "class": self.schema.names[class_id],
            **{name: fact(one, row, name, self.catalogue) for name in self.first},
            "taxonomy": self.taxonomy[class_id],
            "attributes": attributes,
            "confidence": float(labels.score[row]),
            "verified": one.words[row].verified,
            **_word(one.words[row], one.record.source),
        }

    def _tag(self, one: Seen, row: int) -> dict[str, Any]:
        name = self.schema.names[int(one.labels.class_id[row])]
        return {"tag": name, "probability": float(one.labels.score[row]), "verified": one.words[row].verified}

    def _place(self, class_id: int, scheme: str, version: str) -> dict[str, str | None]:
        names, at = [], class_id
        while True:
            one = self.schema.classes[at]
            names.append(one.name)
            if not one.parent or one.name == seen.PRODUCT:
                break
            at = self.schema.ids[one.parent]
        code = self.schema.classes[class_id].codes.get(scheme)
        path = " > ".join(reversed(names))
        return {"scheme": scheme if code else None, "version": version or None if code else None, "code": code, "path": path}


def _word(word: Word, source: str) -> dict[str, Any]:
    role, _, name = source.partition(":")
    model = name if role == "model" else None
    return {"source": word.source, "reviewer": word.reviewer or None, "time": word.time or None, "model": model}


def _typed(value: Any, kind: str) -> Any:
    return int(value) if kind == "integer" and value is not None else value


def _known(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}
