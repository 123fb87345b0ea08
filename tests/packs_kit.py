"""A plugin whose labels have names: shelves of drawn packs, for tests of what is called what.

    python tests/packs_kit.py OUT [PHOTOS]

makes a project at OUT and says how to serve it. Every photo shows twelve packs. The model calls the red ones "Cola 330 ml" or, in
every other photo, "cola 33", which is the same; "Lime" and "Orange" are drinks, "Berry" is a snack. One pack in nine it calls
Lime, with a low score, and white packs nothing. The loader has a reference for each name but "cola 33".
"""

from __future__ import annotations

import sys
from pathlib import Path

from toy import write as write_plugin

COLA, TWIN, LIME, ORANGE, BERRY = "Cola 330 ml", "cola 33", "Lime", "Orange", "Berry"
PACKS = 12  # on each photo

STAGES = '''
"""Stages of the packs plugin; a source is a text file *.packs that holds the number of photos."""

from pathlib import Path

import numpy as np

from hyla import BadItem, Image, Item, Labels, Loader, Model, hookimpl, item_id

COLOURS = {"Cola 330 ml": (190, 20, 30), "Lime": (60, 180, 60), "Orange": (240, 140, 20), "Berry": (110, 50, 150)}
COLOURS[""] = (235, 235, 235)
TRUE = list(COLOURS)


def drawn(name, height=100, width=70):
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[6:-6, 6:-6] = COLOURS[name]
    pixels[20 + 12 * TRUE.index(name):26 + 12 * TRUE.index(name), 12:-12] = 255
    return pixels


def truth(photo):
    return [TRUE[(photo + k * k + k // 4) % len(TRUE)] for k in range(12)]


class Shelves(Loader):
    @hookimpl
    def items(self, source):
        path = Path(source)
        return self._items(int(path.read_text())) if path.suffix == ".packs" and path.exists() else None

    def _items(self, photos):
        for n in range(photos):
            yield Item(item_id(f"shelf {n}"), f"shelf {n}", meta={"photo": n})

    @hookimpl
    def load(self, item):
        pixels = np.full((360, 420, 3), 90, np.uint8)
        for k, name in enumerate(truth(item.meta["photo"])):
            y, x = 10 + 115 * (k // 4), 15 + 100 * (k % 4)
            pixels[y:y + 100, x:x + 70] = drawn(name)
        return Image(pixels, item)

    @hookimpl
    def reference(self, attributes):
        name = attributes.get("product")
        if name == "torn":
            raise BadItem("this picture is torn")
        return Image(drawn(name), Item("reference", "reference")) if name and name in COLOURS else None


class Namer(Model):
    def __init__(self, schema):
        self.schema = schema

    @hookimpl
    def predict(self, images):
        return [self._labels(image.item.meta["photo"]) for image in images]

    def _labels(self, photo):
        names, scores, boxes = [], [], []
        for k, name in enumerate(truth(photo)):
            wrong = (photo * 12 + k) % 9 == 8
            said = "Lime" if wrong and name != "Lime" else "cola 33" if name == "Cola 330 ml" and photo % 2 else name
            names.append(said or None)
            scores.append(0.2 + k / 100 if wrong else 0.6 + k / 100 + photo / 1000)
            y, x = 10 + 115 * (k // 4), 15 + 100 * (k % 4)
            boxes.append([x, y, x + 70, y + 100])
        classes = [self.schema.class_id("snack" if name == "Berry" else "drink") for name in names]
        return Labels.of(classes, boxes, score=scores, attributes={"product": names, "shelf": [k // 4 + 1 for k in range(12)]})

    @hookimpl
    def provenance(self):
        return {"name": "namer", "digest": "0" * 64}
'''

PRESET = """
# @package _global_
# Packs on shelves, for the review page.
defaults:
  - override /loader: packs
  - override /model: packs
default: review
schema:
  name: packs
  kinds: [box]
  classes: {pack: {abstract: true}, drink: {parent: pack}, snack: {parent: pack}, label: {}}
  attributes:
    product: {type: text, identity: true, classes: [pack]}
    shelf: {type: integer, minimum: 1}
"""


def install(site: Path) -> Path:
    """Write the plugin into the folder `site`, which belongs on sys.path and PYTHONPATH; return it."""
    write_plugin(site, "packs", "hyla_gallery_packs", STAGES, {"packs": PRESET})
    conf = site / "hyla_gallery_packs/conf"
    (conf / "loader/numbers.yaml").unlink()
    (conf / "model/toy.yaml").unlink()
    (conf / "loader/packs.yaml").write_text("_target_: hyla_gallery_packs.stages.Shelves\n")
    (conf / "model/packs.yaml").write_text("_target_: hyla_gallery_packs.stages.Namer\n")
    return site


def make_project(folder: Path, photos: int) -> Path:
    """Run the model on so many photos into `folder`, in this process, where the plugin must be importable; return `folder`."""
    import hyla

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.packs"
    source.write_text(str(photos))
    hyla.run(hyla.compose("packs", source=str(source), out=str(folder), progress=False))
    return folder


def main(words: list[str]) -> None:
    out = Path(words[0]).resolve()
    site = install(out / "site")
    sys.path.insert(0, str(site))
    make_project(out, int(words[1]) if len(words) > 1 else 20)
    print(f"PYTHONPATH={site} hyla review {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
