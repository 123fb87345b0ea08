"""Compare crops with the pictures of known products, and learn from those pictures how far that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hyla.errors import ConfigError
from hyla.store.faults import DATABASE
from hyla.types import Floats, Ints
from hyla_retail import beside, exemplar_files
from hyla_retail.embeddings import Embedding, Floats32, Hashes
from hyla_retail.exemplar_files import FILE, Gallery
from hyla_retail.index import Index
from hyla_retail.novelty import Calibration, calibrate

if TYPE_CHECKING:
    from hyla_retail.catalogue import Catalogue

NEIGHBOURS = 16  # nearest exemplars that vote
REACH = 0.02  # similarity by which an exemplar must be less alike for its vote to fall to 1 / e
TRIALS = 2000  # exemplars, at most, that are left out in turn
# Of copies: least similarity, and most bits of 64. 54 photos of groceries that were reduced to half or written as JPEG again have
# 0.998 and 2; of 486 pairs of photos of one kind of fruit or carton, the most alike have 0.988 and 10.
SAME, BITS = 0.995, 4
KEPT = 4  # galleries kept in memory
PAGE = 4096  # pairs of vectors that are compared together


@dataclass(frozen=True, eq=False)
class Match:
    """Hold what one crop is like: the c products that are most like it, best first.

    Args:
        row: (c,) the nearest exemplar of each.
        vote: (c,) share of the votes.
        similarity: (c,) to that exemplar.
        margin: by which the nearest exemplar of another product than the first is less similar; 0 if there is none.
        nearest: similarity to the nearest exemplar of any product; NaN for none.
    """

    row: Ints
    vote: Floats
    similarity: Floats
    margin: float
    nearest: float


class Matcher:
    """Hold a gallery with its index and calibration.

    Args:
        gallery: pictures of known products.
        index: exact, flat or hnsw; see `hyla_retail.index`.
    """

    def __init__(self, gallery: Gallery, index: str = "exact") -> None:
        self.gallery, self.index = gallery, Index(gallery.vectors, index)
        numbers: dict[str, int] = {}
        self.product = np.array([numbers.setdefault(one, len(numbers)) for one in gallery.product.tolist()], dtype=np.int64)
        self.products = len(numbers)
        photos: dict[str, int] = {}
        self.photo = np.array([photos.setdefault(one, len(photos)) for one in gallery.origin.tolist()], dtype=np.int64)
        self._photos = photos
        self._crowd = int(np.bincount(self.photo).max(initial=0))  # exemplars of one photo, at most
        self.calibration = self._calibrate()

    def match(self, vectors: Floats32, without: Sequence[str] = ()) -> list[Match]:
        """Return what each of m vectors is like, leaving out the exemplars of some photos: see `Gallery.origin`."""
        hidden = np.array([self._photos[one] for one in without if one in self._photos], dtype=np.int64)
        more = self._crowd * len(hidden)
        similarity, rows = self.index.search(vectors, NEIGHBOURS + more)
        return [self._tally(one.astype(np.float64), at, hidden) for one, at in zip(similarity, rows, strict=True)]

    def duplicate(self, hashes: Hashes, product: Ints, without: Sequence[str] = ()) -> Floats:
        """Return in how many of 64 bits (m,) the perceptual hash differs from the nearest exemplar's of another product.

        Args:
            hashes: (m,) of crops.
            product: (m,) number of the product that each is taken for, or -1.
            without: photos whose exemplars are left out.
        """
        hidden = np.isin(self.photo, [self._photos[one] for one in without if one in self._photos])
        out = np.full(len(hashes), np.nan)
        for i, (one, own) in enumerate(zip(hashes, product.tolist(), strict=True)):
            others = (self.product != own) & ~hidden
            if others.any():
                out[i] = float(np.bitwise_count(self.gallery.hashes[others] ^ one).min())
        return out

    def _tally(self, similarity: Floats, rows: Ints, hidden: Ints) -> Match:
        kept = (rows >= 0) & ~np.isin(self.photo[rows], hidden)
        similarity, rows = np.round(similarity[kept][:NEIGHBOURS], 5), rows[kept][:NEIGHBOURS]
        if not len(rows):
            none = np.zeros(0)
            return Match(np.zeros(0, np.int64), none, none, 0.0, float("nan"))
        product = self.product[rows]
        votes = np.exp((similarity - similarity[0]) / REACH)
        named, first = np.unique(product, return_index=True)  # the first is the nearest
        share = np.array([votes[product == one].sum() for one in named]) / votes.sum()
        order = np.lexsort((first, -share))
        first, share = first[order], share[order]
        # Where all that vote show one product, no other can be nearer than the last of them.
        rival = similarity[first[1:]].max(initial=similarity[-1]) if self.products > 1 else similarity[first[0]]
        return Match(rows[first], share, similarity[first], float(similarity[first[0]] - rival), float(similarity[0]))

    def _calibrate(self) -> Calibration:
        """Leave out one photo after the other, with the copies of the picture: of products that then have pictures left.

        Of copies the first alone is tried, so that a picture which lies in two places counts once.
        """
        if not len(self.product):
            return Calibration()
        copy = copies(self.product, self.gallery.vectors, self.gallery.hashes)
        photos = len(self._photos)
        gone = _alike(self.product * photos + self.photo) + _alike(copy) - _alike(copy * photos + self.photo)
        tried = np.flatnonzero((copy == np.arange(len(copy))) & (gone < _alike(self.product)))
        if len(tried) > TRIALS:
            tried = tried[np.linspace(0, len(tried) - 1, TRIALS).astype(np.int64)]
        more = self._crowd + int(np.bincount(copy).max())
        similarity, rows = self.index.search(self.gallery.vectors[tried], NEIGHBOURS + more)
        found = []
        for i, row in enumerate(tried.tolist()):
            kept = copy[rows[i]] != row
            one = self._tally(similarity[i][kept].astype(np.float64), rows[i][kept], self.photo[row : row + 1])
            if len(one.row):
                found.append((one.similarity[0], one.margin, self.product[one.row[0]] == self.product[row], one.nearest))
        columns = np.array(found, dtype=np.float64).reshape(-1, 4)
        return calibrate(columns[:, 0], columns[:, 1], columns[:, 2] > 0, columns[:, 3])


def copies(product: Ints, vectors: Floats32, hashes: Hashes) -> Ints:
    """Return for each of n pictures the first one of its product that it is a copy of, itself for none.

    Args:
        product: (n,) numbers of products.
        vectors: (n, d) of length 1.
        hashes: (n,) perceptual hashes.
    """
    order = np.argsort(product, kind="stable")
    own, bits = product[order], hashes[order]
    first = np.arange(len(product))
    at = first  # places in that order whose product has a further picture `step` places on
    for step in range(1, len(product)):
        at = at[: np.searchsorted(at, len(own) - step)]
        at = at[own[at] == own[at + step]]
        if not len(at):
            break
        near = at[np.bitwise_count(bits[at] ^ bits[at + step]) <= BITS]
        for page in range(0, len(near), PAGE):
            one, other = order[near[page : page + PAGE]], order[near[page : page + PAGE] + step]
            same = np.einsum("nd,nd->n", vectors[one], vectors[other]) >= SAME
            np.minimum.at(first, other[same], one[same])
    while not np.array_equal(first, before := first[first]):  # a copy of a copy
        first = before
    return first


def _alike(numbers: Ints) -> Ints:
    """Return how often each of n numbers is there."""
    _, of, many = np.unique(numbers, return_inverse=True, return_counts=True)
    return np.asarray(many[of], dtype=np.int64)


def open_matcher(
    settings: Sequence[str], source: str, catalogue: Catalogue, own: bool, embedding: Embedding, index: str = "exact"
) -> Matcher:
    """Return the matcher of all exemplars that settings name; described once, and kept in memory while no file changes.

    Args:
        settings: `auto` for a folder `exemplars` and a file `exemplars.npz` in the source; else paths of a folder with a folder
            for each product, a project of Hyla, or an exemplar file: relative to the source if there, else to the working folder.
        source: of the run.
        catalogue: of the products.
        own: True to take the pictures that the catalogue names as well.
        embedding: that describes them.
        index: see `Index`.

    Raises:
        ConfigError: if what a setting names is not there, or can't be read.
    """
    places: list[Path] = []
    for setting in settings:
        kinds: tuple[tuple[str, ...], ...] = ((), (".npz",))
        if setting != beside.AUTO:
            kinds = ((".npz",),) if setting.lower().endswith(".npz") else ((),)
        places += [path for kind in kinds if (path := beside.find(setting, source, Path(FILE).stem, kind)) is not None]
    signed = tuple((path, _signature(path)) for path in dict.fromkeys(places))
    return _matcher(signed, source, catalogue, own, embedding, index)


@lru_cache(maxsize=KEPT)
def _matcher(
    places: tuple[tuple[Path, int], ...], source: str, catalogue: Catalogue, own: bool, embedding: Embedding, index: str
) -> Matcher:
    parts = [_gallery(path, source, catalogue, embedding) for path, _ in places]
    if own:
        parts.append(exemplar_files.of_catalogue(catalogue, source, embedding))
    return Matcher(Gallery.join(parts, embedding), index)


def _gallery(path: Path, source: str, catalogue: Catalogue, embedding: Embedding) -> Gallery:
    if path.is_file():
        return exemplar_files.load(path, embedding)
    if (path / DATABASE).is_file():
        return exemplar_files.of_project(path, embedding)
    found = exemplar_files.of_folder(path, source, catalogue, embedding)
    if not len(found):
        raise ConfigError(
            f"no exemplar in {path} can be used" + (f": {found.broken[0]}" if found.broken else ""),
            "put pictures into a folder for each product: exemplars/PRODUCT/1.jpg",
        )
    return found


def _signature(path: Path) -> int:
    """Return a number that changes with the files of a folder, or with a file."""
    some = [path] if path.is_file() else sorted(path.rglob("*")) if not (path / DATABASE).exists() else sorted(path.glob("*.db*"))
    stats = [(str(one), one.stat().st_mtime_ns, one.stat().st_size) for one in some if one.is_file()]
    return hash(tuple(stats))
