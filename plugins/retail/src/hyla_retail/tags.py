"""Say what else a product shows: its colours and, where shape or words tell, how it is packed and what it claims to be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Bools, Image, Kind, Labels
from hyla_retail.colours import light, shares
from hyla_retail.crops import Pixels, cut, on_paper, rgb
from hyla_retail.reading import Reading, Source

WORD = 0.9  # share of packs, as assumed, that are what a word in their name says
SHAPE = 0.8  # the same, of bottles told by their neck
NECK, BODY, TALL, FILL = 0.55, 0.85, 1.9, 0.97  # widths of neck and body to the widest, height to width, and how whole a row is
# What shops call them: English, German, French, Spanish, Italian, Dutch, Swedish. Compared as whole words, of catalogue and pack.
WORDS: Mapping[str, str] = {
    "bottle": "bottle|bottles|flasche|bouteille|botella|bottiglia|fles|flaska",
    "can": "can|cans|tin|dose|dosen|canette|lata|lattina|blik|burk",
    "carton": "carton|tetra|brick|karton|brique|tetrapak|kartong|pak",
    "jar": "jar|glas|bocal|tarro|vasetto",
    "bag": "bag|pouch|sachet|beutel|tüte|sac|bolsa|busta|zak|påse",
    "box": "box|schachtel|boîte|caja|scatola|doos|ask",
    "tube": "tube|tubo",
    "tray": "tray|schale|barquette|bandeja|vaschetta|bakje|tråg",
    "loose": "loose|lose|vrac|granel|sfuso|lösvikt",
    "organic": "organic|bio|öko|biologique|ecológico|biologico|biologisch|ekologisk|eko|krav",
    "vegan": "vegan|vegane|veganer|végane|vegano|vegana|veganistisch|vegansk",
    "gluten_free": "gluten free|glutenfrei|sans gluten|sin gluten|senza glutine|glutenvrij|glutenfri",
    "lactose_free": "lactose free|laktosefrei|sans lactose|sin lactosa|senza lattosio|lactosevrij|laktosfri",
    "sugar_free": "sugar free|zero sugar|no sugar|zuckerfrei|sans sucre|sin azúcar|senza zucchero|suikervrij|sockerfri",
    "fairtrade": "fairtrade|fair trade",
}
CLAIMS = ("organic", "vegan", "gluten_free", "lactose_free", "sugar_free", "fairtrade")
PACKAGING = tuple(name for name in WORDS if name not in CLAIMS)


class Tags(Source):
    """Name the colours of each product, and its packaging and claims where something tells them.

    Colours are named by `hyla_retail.colours`: without the white paper around a packshot, else allowing for the light of the
    photo. Packaging follows from words of the product's name and category in the catalogue, or a bottle from its neck,
    where its outline stands on white paper; claims follow from the same words and from text that was read on the product. Where
    nothing tells, nothing is said: a carton and a box look alike from the front.

    In the photo of one product each is a tag, with its probability as score; on a shelf the likeliest are the attributes `colour`
    and `packaging`, with the evidence `p_colour` and `p_packaging`. Probabilities of colours follow from their share of the pack,
    those of words and shapes are assumed (WORD, SHAPE): none is calibrated.

    Args:
        schema: the classes under `colour`, `packaging` and `claim` are what is named; one that it lacks is not.
        least: probability, 0 to 1, from which a tag is given.

    Raises:
        ConfigError: for a probability out of range.
    """

    last = True

    def __init__(self, schema: Schema, least: float = 0.5) -> None:
        if not 0 <= least <= 1:
            raise ConfigError(f"least is {least}", "give a probability from 0 to 1")
        self.schema, self.least = schema, least
        self._products = schema.under("product")
        known = schema.attributes_of("label")
        self._choices = {name: set(known[name].choices) for name in ("colour", "packaging") if name in known}
        self._patterns = {name: re.compile(rf"(?<!\w)(?:{words})(?!\w)") for name, words in WORDS.items()}

    def read(self, images: Sequence[Image], labels: Sequence[Labels]) -> list[Reading]:
        """Return the tags of the products of each picture."""
        return [self._reading(image, one) for image, one in zip(images, labels, strict=True)]

    def _reading(self, image: Image, labels: Labels) -> Reading:
        rows = np.flatnonzero(np.isin(labels.class_id, self._products) & np.isin(labels.kind, (Kind.BOX, Kind.TAG)))
        if not len(rows):
            return Reading()
        crops = cut(image.pixels, labels.box[rows])
        papers = [on_paper(crop) for crop in crops]
        step = max(1, max(image.size) // 512)
        gains = light(rgb(np.asarray(image.pixels[::step, ::step])))
        found = [
            {"colour": shares(crop, paper, gains), **self._told(labels, row, crop, paper)}
            for row, crop, paper in zip(rows.tolist(), crops, papers, strict=True)
        ]
        attributes: dict[str, npt.NDArray[Any]] = {}
        evidence: dict[str, npt.NDArray[np.float64]] = {}
        for name, choices in self._choices.items():
            column, sure = np.full(len(labels), None, dtype=object), np.full(len(labels), np.nan)
            for row, one in zip(rows.tolist(), found, strict=True):
                allowed = {word: p for word, p in one[name].items() if word in choices and p >= self.least}
                if allowed:
                    column[row] = max(allowed, key=lambda word: allowed[word])
                    sure[row] = allowed[column[row]]
            attributes[name], evidence[f"p_{name}"] = column, sure
        tagged = [(row, one) for row, one in zip(rows.tolist(), found, strict=True) if labels.kind[row] == Kind.TAG]
        return Reading(attributes=attributes, evidence=evidence, labels=self._tags(image, tagged))

    def _tags(self, image: Image, found: Sequence[tuple[int, Mapping[str, Mapping[str, float]]]]) -> Labels:
        """Return a tag for each thing said of the product that a whole picture shows."""
        sure: dict[int, float] = {}
        for _, one in found:
            for group, words in (("colour", one["colour"]), ("packaging", one["packaging"]), ("claim", one["claim"])):
                under = set(self.schema.under(group).tolist())
                for word, p in words.items():
                    class_id = self.schema.ids.get(word, -1)
                    if class_id in under and p >= self.least and not self.schema.classes[class_id].abstract:
                        sure[class_id] = max(p, sure.get(class_id, 0.0))
        height, width = image.size
        ids = sorted(sure)
        return Labels.of(ids, np.tile([0.0, 0, width, height], (len(ids), 1)), score=[sure[i] for i in ids], kind=Kind.TAG)

    def _told(self, labels: Labels, row: int, crop: Pixels, paper: Bools | None) -> dict[str, dict[str, float]]:
        """Return probabilities of packagings and claims that words or the outline tell."""
        known, read = _words(labels, row, ("name", "category")), _words(labels, row, ("text",))
        packed = dict.fromkeys((name for name in PACKAGING if self._patterns[name].search(known)), WORD)
        if len(packed) > 1:  # a bottle in a box: the words do not say which is seen
            packed = {}
        if not packed and paper is not None and is_bottle(~paper):
            packed = {"bottle": SHAPE}
        said = f"{known} {read}"
        return {"packaging": packed, "claim": dict.fromkeys((name for name in CLAIMS if self._patterns[name].search(said)), WORD)}


def _words(labels: Labels, row: int, names: Sequence[str]) -> str:
    """Return what some attributes say of a label, in lower case, with single spaces for hyphens and the like."""
    columns = [labels.attributes[name] for name in names if name in labels.attributes]
    return re.sub(r"[\s\-_/>]+", " ", " ".join(str(column[row]) for column in columns if column[row]).casefold())


def is_bottle(product: Bools) -> bool:
    """Tell whether an outline (h, w) is that of a bottle: tall, in one piece, with a neck on a body."""
    rows, columns = np.flatnonzero(product.any(axis=1)), np.flatnonzero(product.any(axis=0))
    if len(rows) < 32 or len(columns) < 8:
        return False
    body = product[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = body.shape
    wide = body.sum(axis=1)
    spread = width - body.argmax(axis=1) - body[:, ::-1].argmax(axis=1)
    whole = float((wide / np.maximum(spread, 1)).mean())
    top, rest = spread[: height // 8], spread[height // 2 :]
    return bool(height / width >= TALL and whole >= FILL and np.median(top) <= NECK * width and np.median(rest) >= BODY * width)
