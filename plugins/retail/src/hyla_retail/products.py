"""Find the products in a photo, read what tells of them, and give each one name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, StageError
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Bools, Floats, Image, Ints, Kind, Labels, Objects, Record
from hyla_retail.facts import Facts
from hyla_retail.fusion import Claims, Names, fuse
from hyla_retail.reading import Reading, Source
from hyla_retail.shelf_edge import labels_of_facings

UNCOUNTED = 1000  # products to choose from, at least: a weak claim names nothing, however few the catalogue lists
PIECE = 0.7
PASSED = ("price", "currency")  # what a price label says of the facings above it


class Products(Model):
    """Ask a finder where products are and sources what they are, and join what these say.

    The sources are asked in the order of the settings; each sees the labels, and what those before it said of them. What is
    claimed of a price label is passed on to the facings that it belongs to. Claims are pooled by `hyla_retail.fusion.fuse`; a
    name less sure than `least` is not given. What the catalogue knows of a named product becomes attributes of the label, and
    its category the class.

    The score of a label is that of the finder times the probability of the name; of a label without a name, that of the finder
    times the share of certainty that no name has.

    Args:
        schema: with the class `product` and, where they are wanted, `price_label` and `unknown_product`.
        finder: a model that labels facings and price labels, or the whole picture of one product.
        sources: name -> source; one that is None is left out.
        catalogue: a table of products: `auto`, a path or None; see `hyla_retail.catalogue.open_catalogue`.
        columns: name of each column of the catalogue that is not to be guessed.
        source: of the run.
        taxonomy: a file that says more of categories; see `hyla_retail.taxonomy`.
        least: probability, 0 to 1, from which a name is given.
        novelty: 0 to 1, from which a label that nothing else names is unknown: that share of known products lies closer.
        shelf_label: 0 to 1, share of facings that stand over the label of their own product.

    Raises:
        ConfigError: for a finder that is no model, a source that is none, or shares that are none.
    """

    def __init__(
        self,
        schema: Schema,
        finder: Model,
        sources: Mapping[str, Source | None],
        catalogue: str | None = "auto",
        columns: Mapping[str, str] | None = None,
        source: str = "",
        taxonomy: str | None = None,
        least: float = 0.5,
        novelty: float = 0.95,
        shelf_label: float = 0.9,
    ) -> None:
        if not isinstance(finder, Model) or type(finder).predict is Model.predict:
            raise ConfigError(f"model.finder is {type(finder).__name__}, which finds nothing", "name a finder: facings")
        present = {name: one for name, one in sources.items() if one is not None}
        for name, one in present.items():
            if not isinstance(one, Source):
                raise ConfigError(f"model.sources.{name} is {type(one).__name__}, which reads nothing", "leave it out: null")
        for name, share in {"least": least, "novelty": novelty, "shelf_label": shelf_label}.items():
            if not 0 <= share <= 1:
                raise ConfigError(f"model.{name} is {share}", "give a share from 0 to 1")
        self.finder, self.sources = finder, present
        self.facts = Facts(schema, catalogue, source, columns, taxonomy)
        self.least, self.novelty, self.shelf_label = least, novelty, shelf_label
        self._product = schema.under("product")
        self._price_label = schema.ids.get("price_label", -1)
        self._unknown = schema.ids.get("unknown_product", -1)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the labels of each image."""
        found = self.finder.predict(images)
        if found is None or len(found) != len(images):
            raise StageError(f"the finder gave {'nothing' if found is None else len(found)} for {len(images)} images")
        labels, heard = list(found), [dict[str, Reading]() for _ in images]
        for name, source in self.sources.items():
            for i, reading in enumerate(() if source.last else source.read(images, labels)):
                heard[i][name] = reading
                labels[i] = _told(labels[i], reading)
        labels = [self._named(image, one, said) for image, one, said in zip(images, labels, heard, strict=True)]
        for source in self.sources.values():
            if source.last:
                labels = [_told(one, told) for one, told in zip(labels, source.read(images, labels), strict=True)]
        return labels

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the names of finder and sources joined by +, the digest over all of theirs, and each of their facts."""
        parts = {"finder": dict(self.finder.provenance() or {})}
        parts |= {name: dict(source.provenance()) for name, source in self.sources.items()}
        named = "+".join(one.get("name") or name for name, one in parts.items())
        if self.facts.digest:
            parts["catalogue"] = {"name": self.facts.catalogue.file, "digest": self.facts.digest}
        if (tree := self.facts.categories.taxonomy) is not None:  # pinned: with another one a project does not go on
            parts["taxonomy"] = {"name": f"{tree.scheme} {tree.version}".strip(), "digest": tree.digest}
        digests = [f"{name}:{one['digest']}" for name, one in parts.items() if one.get("digest")]
        said = {"name": named}
        if digests:
            said["digest"] = sha256("\n".join(digests).encode()).hexdigest()
        return said | {f"{name}.{key}": value for name, one in parts.items() for key, value in one.items()}

    @hookimpl
    def train(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, Any] | None:
        """Let the first source that learns from records do so."""
        for source in self.sources.values():
            if hasattr(source, "train"):
                return dict(source.train(records, schema, out))
        return None

    def _named(self, image: Image, labels: Labels, heard: Mapping[str, Reading]) -> Labels:
        """Return the labels of one picture with a name for each product that the sources agree on well enough."""
        from hyla_retail.box_facts import box_facts

        product = np.isin(labels.class_id, self._product) & np.isin(labels.kind, (Kind.BOX, Kind.TAG))
        facing = product & (labels.kind == Kind.BOX)
        price_label = labels.class_id == self._price_label
        piece = _pieces(labels, price_label)
        price_label &= ~piece
        below, offset = labels_of_facings(labels, facing, price_label)
        words, claims = self._claims(heard, product, below)
        names = fuse(claims, len(labels), max(len(self.facts.catalogue), UNCOUNTED))
        sure = product & (names.best >= 0) & (names.probability >= self.least)
        keys = np.full(len(labels), None, dtype=object)
        keys[sure] = words[names.best[sure]]
        second = np.full(len(labels), None, dtype=object)
        second[names.second >= 0] = words[names.second[names.second >= 0]]

        attributes = _passed(labels, below)
        evidence = {name: np.array(column, dtype=np.float64) for name, column in labels.evidence.items()}
        if len(labels):
            evidence |= box_facts(image.pixels, labels, facing)
        evidence |= _voices(heard, claims, names, len(labels)) | {
            "label_offset": np.where(below >= 0, offset, np.nan),
            "margin": np.where(product, names.margin, np.nan),
            "conflict": np.where(product & (names.best >= 0), names.conflict, np.nan),
        }
        novel = evidence.get("novelty", np.full(len(labels), np.nan))
        unknown = product & ~sure & (names.probability < self.least) & (novel >= self.novelty) & (self._unknown >= 0)
        named = Labels(
            np.where(unknown, self._unknown, labels.class_id),
            labels.score * np.where(product, np.where(sure, names.probability, 1 - names.probability), 1.0),
            labels.box,
            labels.kind,
            labels.shape,
            labels.track,
            {**attributes, "product": keys, "sources": _sources(heard, claims, names, sure, len(labels))},
            dict(labels.context),
            evidence,
        )
        return self.facts.state(named, product & ~unknown, second, below)[~piece]

    def _claims(self, heard: Mapping[str, Reading], product: Bools, below: Ints) -> tuple[Objects, Claims]:
        """Return the products named, and all claims about products, numbered; those of price labels passed on."""
        rows, words, sources, likeness = [], [], [], []
        for number, reading in enumerate(heard.values()):
            own = product[reading.rows] if len(reading.rows) else np.zeros(0, dtype=bool)
            rows.append(reading.rows[own])
            words.append(reading.product[own])
            likeness.append(reading.likeness[own])
            sources.append(np.full(int(own.sum()), number))
            for claim in np.flatnonzero(~own).tolist():
                above = np.flatnonzero(below == reading.rows[claim])
                rows.append(above)
                words.append(np.full(len(above), reading.product[claim], dtype=object))
                likeness.append(np.full(len(above), reading.likeness[claim] * self.shelf_label))
                sources.append(np.full(len(above), len(heard)))  # all that a price label says comes from that label
        if not rows:
            none = np.zeros(0, dtype=np.int64)
            return np.zeros(0, dtype=object), Claims(none, none, none, np.zeros(0))
        said = np.concatenate(words).astype(object)
        numbers: dict[str, int] = {}
        code = np.array([numbers.setdefault(word, len(numbers)) for word in said.tolist()], dtype=np.int64)
        listed = np.full(len(numbers), None, dtype=object)
        listed[:] = list(numbers)
        return listed, Claims(np.concatenate(rows), code, np.concatenate(sources), np.concatenate(likeness))


def _told(labels: Labels, reading: Reading) -> Labels:
    """Return labels with what a source adds: values where it knows any, and further labels at the end."""
    attributes, evidence = dict(labels.attributes), dict(labels.evidence)
    for name, column in reading.attributes.items():
        attributes[name] = _over(attributes.get(name), column)
    for name, numbers in reading.evidence.items():
        evidence[name] = _over(evidence.get(name), numbers)
    own = Labels(
        labels.class_id,
        labels.score,
        labels.box,
        labels.kind,
        labels.shape,
        labels.track,
        attributes,
        dict(labels.context),
        evidence,
    )
    return Labels.concat([own, reading.labels]) if len(reading.labels) else own


def _over(old: npt.NDArray[Any] | None, new: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a column with the values of `new` where it has any, else those of `old`."""
    if old is None:
        return new
    known = np.array([value is not None and value == value for value in new.tolist()], dtype=bool)
    return np.where(known, new, old)


def _pieces(labels: Labels, price_label: Bools) -> Bools:
    """Return the price labels (n,) that a finder saw a piece of, where a source found the whole: `PIECE` of them lies in it."""
    out = np.zeros(len(labels), dtype=bool)
    rows = np.flatnonzero(price_label)
    box = labels.box[rows]
    common = np.minimum(box[:, None, 2:], box[None, :, 2:]) - np.maximum(box[:, None, :2], box[None, :, :2])
    inside, area = np.maximum(common, 0).prod(axis=2), (box[:, 2:] - box[:, :2]).prod(axis=1)
    larger = area[None] > area[:, None]
    out[rows] = (larger & (inside > PIECE * area[:, None])).any(axis=1)
    return out


def _passed(labels: Labels, below: Ints) -> dict[str, npt.NDArray[Any]]:
    """Return the attributes, with those of price labels passed on to their facings."""
    out = dict(labels.attributes)
    for name in PASSED:
        if name in out:
            column = out[name].copy()
            known = np.array([value is not None and value == value for value in column.tolist()], dtype=bool)
            rows = np.flatnonzero((below >= 0) & known[below])  # what the label does not say, the facing may
            column[rows] = column[below[rows]]
            out[name] = column
    return out


def _voices(heard: Mapping[str, Reading], claims: Claims, names: Names, n: int) -> dict[str, Floats]:
    """Return how alike each source, and the price label, finds the product that is likeliest: 0 where it names another."""
    out = {}
    agrees = names.best[claims.row] == claims.product
    for number, name in enumerate([*heard, "price_label"]):
        mine = claims.source == number
        column = np.full(n, np.nan)
        column[claims.row[mine]] = 0.0
        np.maximum.at(column, claims.row[mine & agrees], claims.likeness[mine & agrees])
        out[name] = column
    return out


def _sources(heard: Mapping[str, Reading], claims: Claims, names: Names, sure: Bools, n: int) -> Objects:
    """Return the sources that name the product that is likeliest, joined by +."""
    words = [*heard, "price_label"]
    out = np.full(n, None, dtype=object)
    agrees = (names.best[claims.row] == claims.product) & sure[claims.row]
    for row in np.unique(claims.row[agrees]).tolist():
        out[row] = "+".join(words[s] for s in np.unique(claims.source[agrees & (claims.row == row)]).tolist())
    return out
