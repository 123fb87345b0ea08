"""A plugin that offers every kind of item the review page shows, for its tests and for a look by hand.

    python tests/gallery.py OUT [N]

makes a project at OUT with everything and N photos (60 if not given), and says how to serve it:

    PYTHONPATH=OUT/site hyla review OUT

The source is OUT/source.gallery; `gallery_stages` says what may stand in it. In a test, use the fixture `gallery`.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import gallery_scenes
import gallery_stages
from toy import write as write_plugin

EVERYTHING = (
    "photo {photos} 9\nclip 1 60\nvolume 1\noblique 1\nraster 1\npart 1\nseries 1 24\nhuge 1\ntiny 2\nempty 2\nbroken 1\n"
)

PRESET = """
# @package _global_
# Items of every kind, for the review page.
defaults:
  - override /loader: gallery
  - override /model: gallery
schema:
  name: gallery
  kinds: [tag, box, rotated_box, polygon, polyline, keypoints, mask, cuboid, track]
  classes:
    vehicle: {abstract: true}
    car: {parent: vehicle, kinds: [box, rotated_box, cuboid], color: "#d03030"}
    truck: {parent: vehicle, kinds: [cuboid, box]}
    ship: {parent: vehicle, kinds: [rotated_box, box]}
    roof: {kinds: [polygon, box]}
    lane: {kinds: [polyline]}
    person:
      kinds: [keypoints, box]
      keypoints: [head, left_hand, right_hand, left_foot, right_foot]
      skeleton: [[head, left_hand], [head, right_hand], [head, left_foot], [head, right_foot]]
    blob: {kinds: [mask, polygon, box]}
    indoor: {kinds: [tag]}
    field: {kinds: [polygon]}
    liver: {kinds: [mask]}
    heart: {kinds: [mask]}
    spine: {kinds: [mask]}
ODD_CLASSES
    sample: {kinds: [keypoints], color: "#b02080"}
    bare: {kinds: [polygon], parent: field}
  attributes:
    occluded: {type: boolean}
    count: {type: integer, minimum: 0, maximum: 9}
    length: {type: number, unit: m, minimum: 0, maximum: 50}
    note: {type: text}
    colour: {type: choice, choices: [red, green, blue], classes: [vehicle]}
    ndvi: {type: number, classes: [field]}
    area_ha: {type: number, unit: har, minimum: 0, classes: [field]}
    severity: {type: number, unit: "%", minimum: 0, maximum: 100, classes: [field]}
    crop: {type: text, classes: [field]}
    light: {type: choice, scope: image, choices: [day, night]}
    wet: {type: boolean, scope: image}
    temperature: {type: number, scope: image, unit: Cel}
    caption: {type: text, scope: image}
    people: {type: integer, scope: image}
rules:
  low_score: {_target_: hyla_gallery.stages.LowScore, below: 0.5}
  odd_size: {_target_: hyla_gallery.stages.OddSize, ratio: 3.0}
  must_see: {_target_: hyla_gallery.stages.Every, severity: human, n: 9, first: 4}
  second_reader: {_target_: hyla_gallery.stages.Every, severity: second, n: 10, first: 3}
  track_switch: {_target_: hyla_gallery.stages.TrackSwitch, px: 30.0}
"""


def install(site: Path) -> Path:
    """Write the plugin into the folder `site`, which belongs on sys.path and PYTHONPATH; return it."""
    odd = "\n".join(f"    {json.dumps(name, ensure_ascii=False)}: {{}}" for name in gallery_scenes.ODD)
    text = Path(gallery_stages.__file__).read_text(encoding="utf-8")
    text = text.replace("import gallery_scenes as scenes", "from hyla_gallery import scenes")
    write_plugin(site, "gallery", "hyla_gallery", text, {"gallery": PRESET.replace("ODD_CLASSES", odd)})
    shutil.copy(gallery_scenes.__file__, site / "hyla_gallery/scenes.py")
    conf = site / "hyla_gallery/conf"
    (conf / "loader/numbers.yaml").unlink()
    (conf / "model/toy.yaml").unlink()
    (conf / "loader/gallery.yaml").write_text("_target_: hyla_gallery.stages.Gallery\n")
    (conf / "model/gallery.yaml").write_text("_target_: hyla_gallery.stages.Oracle\n")
    return site


def make_project(folder: Path, text: str) -> Path:
    """Run the gallery named by `text` into `folder`, in this process, where the plugin must be importable; return `folder`.

    The source lies in it too. Afterwards the files of its broken items are deleted.
    """
    import hyla

    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "source.gallery"
    source.write_text(text)
    hyla.run(hyla.compose("gallery", source=str(source), out=str(folder), progress=False))
    for path in (folder / "source.files").glob("broken-*"):
        path.unlink()
    return folder


def main(words: list[str]) -> None:
    out = Path(words[0]).resolve()
    site = install(out / "site")
    sys.path.insert(0, str(site))
    make_project(out, EVERYTHING.format(photos=int(words[1]) if len(words) > 1 else 60))
    print(f"PYTHONPATH={site} hyla review {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
