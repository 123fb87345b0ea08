"""Read pictures of known products from where users have them: folders, a catalogue, a reviewed project, a file of vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.errors import BadItem, ConfigError
from hyla.images import EXTENSIONS, files, inside
from hyla.types import Kind, Objects, Record
from hyla_retail import beside
from hyla_retail.crops import Pixels, cut, trim
from hyla_retail.embeddings import Embedding, Floats32, Hashes, phashes
from hyla_retail.photos import overview
from hyla_retail.pictures import overview as reduced

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla.schema import Schema
    from hyla_retail.catalogue import Catalogue

FILE = "exemplars.npz"
FORMAT = 1  # of the file; raised when what it holds means something else
BATCH = 64  # crops that are described together
LONGEST = 640  # pixels to which a picture is reduced when it is read
APART = " > "


@dataclass(frozen=True, eq=False)
class Gallery:
    """Hold n pictures of known products.

    Args:
        product: (n,) key of the product.
        category: (n,) path of its category, `Food > Dairy`, or empty.
        picture: (n,) path of the picture, relative to the source of the run if it lies in there, else to where it was looked for.
        origin: (n,) the photo it is from: the path of the file, or the id of the item that it is a crop of.
        vectors: (n, d) by the embedding.
        hashes: (n,) perceptual hashes.
        broken: pictures that could not be read, with the reason.
    """

    product: Objects
    category: Objects
    picture: Objects
    origin: Objects
    vectors: Floats32
    hashes: Hashes
    broken: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.product)

    @classmethod
    def of(cls, known: Iterable[Known], embedding: Embedding) -> Gallery:
        """Describe pictures as they come, a batch at a time."""
        rows: list[tuple[str, str, str, str]] = []
        vectors, hashes = [np.zeros((0, embedding.size), np.float32)], [np.zeros(0, np.uint64)]
        rest = iter(known)
        while page := list(islice(rest, BATCH)):
            crops = [trim(one.pixels) for one in page]
            vectors.append(embedding(crops))
            hashes.append(phashes(crops))
            rows += [(one.product, one.category, one.picture, one.origin) for one in page]
        product, category, picture, origin = (_objects([row[i] for row in rows]) for i in range(4))
        return cls(product, category, picture, origin, np.concatenate(vectors), np.concatenate(hashes))

    @staticmethod
    def join(parts: Sequence[Gallery], embedding: Embedding) -> Gallery:
        """Return the pictures of several galleries together."""
        if not parts:
            return Gallery.of([], embedding)
        columns: dict[str, Any] = {
            one.name: np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Gallery)[:-1]
        }
        return Gallery(**columns, broken=tuple(one for part in parts for one in part.broken))


@dataclass(frozen=True, eq=False)
class Known:
    """Hold one picture of a known product before it is described; see `Gallery`."""

    pixels: Pixels
    product: str
    category: str
    picture: str
    origin: str


def of_folder(folder: Path, source: str, catalogue: Catalogue, embedding: Embedding) -> Gallery:
    """Read a folder: the name of the last folder is the product, the folders above it its category.

    A name by which the catalogue finds a product (key, SKU, GTIN or name) means that product. Pictures that lie in no
    folder show nothing that has a name, and are passed over.
    """
    found = files(str(folder), EXTENSIONS)
    root, names = found if found else (folder, iter(()))
    broken: list[str] = []

    def read() -> Iterator[Known]:
        for name in names:
            *path, product = name.split("/")[:-1] or [""]
            if product and (pixels := _read(root, name, broken)) is not None:
                file = root / name
                row = catalogue.find(product)
                key = product if row < 0 else str(catalogue.key[row])
                yield Known(pixels, key, APART.join(path), shown(file, source, root), str(file))

    return replace(Gallery.of(read(), embedding), broken=tuple(broken))


def of_catalogue(catalogue: Catalogue, source: str, embedding: Embedding) -> Gallery:
    """Read the pictures that a catalogue names."""
    broken: list[str] = []

    def read() -> Iterator[Known]:
        for row in range(len(catalogue)) if catalogue.root is not None else ():
            for name in catalogue.image[row]:
                root = Path(str(catalogue.root)).resolve()
                if (pixels := _read(root, name, broken)) is not None:
                    file = inside(root, name)
                    path = APART.join(catalogue.category[row])
                    yield Known(pixels, str(catalogue.key[row]), path, shown(file, source, root), str(file))

    return replace(Gallery.of(read(), embedding), broken=tuple(broken))


def of_records(records: Iterable[Record], schema: Schema, pictures: Pictures, embedding: Embedding) -> Gallery:
    """Cut what people said of products out of the pictures of reviewed records; what only a machine said is left out."""
    from hyla_retail.seen import seen

    broken: list[str] = []
    products = schema.under("product")

    def read() -> Iterator[Known]:
        for one in seen(records, pictures):
            labels, item = one.labels, one.record.item
            kept = one.verified & np.isin(labels.class_id, products) & np.isin(labels.kind, (Kind.BOX, Kind.TAG))
            rows = [row for row in np.flatnonzero(kept).tolist() if one.value("product", row)]
            if not rows:
                continue
            try:
                image = pictures.load(item)
            except BadItem as error:
                broken.append(error.line)
                continue
            for row, crop in zip(rows, cut(image.pixels, labels.box[rows]), strict=True):
                path = str(one.value("category", row) or "")
                yield Known(reduced(crop, LONGEST)[0], str(one.value("product", row)), path, item.uri, item.id)

    return replace(Gallery.of(read(), embedding), broken=tuple(broken))


def of_project(folder: Path, embedding: Embedding) -> Gallery:
    """Read the labels that people gave in a project; see `of_records`."""
    from hyla.pictures import Pictures
    from hyla.store import Project

    with Project.open(folder) as project:
        return of_records(project.records(), project.schema(), Pictures.of(project), embedding)


def save(gallery: Gallery, embedding: Embedding, path: Path) -> None:
    """Write an exemplar file, `.npz` without any pickle: vectors as float16, product, category and picture of each."""
    texts = {
        name: np.array(getattr(gallery, name).tolist(), dtype=np.str_) for name in ("product", "category", "picture", "origin")
    }
    signed = {"format": np.array(FORMAT), "embedding": np.array(embedding.name), "digest": np.array(embedding.digest)}
    arrays: dict[str, Any] = {**signed, **texts, "vectors": gallery.vectors.astype(np.float16), "hashes": gallery.hashes}
    np.savez_compressed(path, **arrays)


def load(path: Path, embedding: Embedding) -> Gallery:
    """Read an exemplar file.

    Raises:
        ConfigError: if it is damaged, or its vectors were made by another embedding.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise ConfigError(f"{path.name} is of format {int(file['format'])}, not {FORMAT}", "write it again")
            made, digest = str(file["embedding"]), str(file["digest"])
            columns = [_objects(file[name].tolist()) for name in ("product", "category", "picture", "origin")]
            vectors, hashes = file["vectors"].astype(np.float32), file["hashes"].astype(np.uint64)
    except ConfigError:
        raise
    except Exception as error:  # a damaged file fails in zipfile, zlib, tokenize and NumPy, each in ways of its own
        raise ConfigError(f"{path.name} is no exemplar file that can be read: {error}", "write it again: see train") from error
    if digest != embedding.digest:
        raise ConfigError(
            f"the exemplars in {path.name} were described by another embedding, {made}: {embedding.name} is not comparable",
            "choose that embedding, or give the pictures instead of the file",
        )
    if vectors.shape != (len(columns[0]), embedding.size) or len({len(hashes), *map(len, columns)}) != 1:
        raise ConfigError(f"{path.name} is damaged: it holds {vectors.shape} numbers of {len(columns[0])} pictures")
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    product, category, picture, origin = columns
    return Gallery(product, category, picture, origin, vectors / np.where(length > 0, length, 1), hashes)


def shown(file: Path, source: str, root: Path) -> str:
    """Return a path relative to the source of the run if the file lies in there, else to where it was looked for."""
    home = beside.folder(source)
    return file.relative_to(home if home is not None and file.is_relative_to(home) else root).as_posix()


def _read(root: Path, name: str, broken: list[str]) -> Pixels | None:
    """Return a picture, reduced, or None after noting why it can't be read."""
    try:
        return overview(inside(root, name), LONGEST)
    except BadItem as error:
        broken.append(error.line)
        return None


def _objects(values: Sequence[Any]) -> Objects:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out
