"""Compare hu_threshold with reference masks, structure by structure: python benchmarks/healthcare/agreement.py [--data FOLDER].

First on the sample, whose truth is known to the voxel, and which is far easier than a person: drawn shapes of one brightness
each. Then, with --data, on the two CT volumes of TotalSegmentator (tests/reference_files of its 2.18.0: FOLDER holds
ct_abdomen_dicom and nifti_small), whose reference is what its model says, at 3 mm: so this is agreement with a model, not with
readers. --draw FOLDER writes pictures of what was found over the slices.

Dice is 2 |A and B| / (|A| + |B|). Of nodules: how many of the truth a candidate agrees with (Dice 0.5 or more), and how
many candidates agree with none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image as Pillow

from hyla import formats
from hyla.geometry import decode
from hyla.montage import montage
from hyla.types import Record
from hyla_healthcare import sample
from hyla_healthcare.hu_threshold import HuThreshold
from hyla_healthcare.studies import Studies

# Class ids of TotalSegmentator 2 (task "total", 117 classes). Of bone: sacrum and vertebrae, limbs and girdles, skull, ribs and
# breastbone; not 117, the cartilages of the ribs.
REFERENCE = {
    "bone": [*range(25, 51), *range(69, 79), *range(91, 117)],
    "lung_left": [10, 11],
    "lung_right": [12, 13, 14],
    "airway": [16],
}
REAL = (("ct_abdomen_dicom", "", "example_seg_dicom.nii.gz"), ("nifti_small", "example_ct_sm.nii.gz", "example_seg.nii.gz"))


def masks_of(labels, schema, names):
    """Return name -> union of the masks of that class."""
    out = {}
    for number, shape in zip(labels.class_id.tolist(), labels.shape, strict=True):
        name = schema.names[number]
        if name in names:
            mask = decode(shape)
            out[name] = out[name] | mask if name in out else mask
    return out


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def nodules(truth, found, schema):
    """Return how many nodules are true, how many of them are met, how many candidates there are, and how many meet none."""
    a, b = ([decode(s) for s in one.shape[one.class_id == schema.class_id("lung_nodule")]] for one in (truth, found))
    met = np.array([[dice(x, y) >= 0.5 for y in b] for x in a], dtype=bool).reshape(len(a), len(b))
    return np.array([len(a), met.any(axis=1).sum(), len(b), (~met.any(axis=0)).sum()])


def onto(image, reference):
    """Return the voxels (D, H, W) of a NIfTI image under the centres of those of a volume, by the affines of both."""
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])  # from LPS
    z, y, x = np.indices(image.size)
    points = np.stack([x, y, z, np.ones_like(x)]).reshape(4, -1)
    at = np.rint(np.linalg.inv(reference.affine) @ to_ras @ np.array(image.frame.affine) @ points)[:3].astype(int)
    return np.asarray(reference.dataobj)[tuple(at)].reshape(image.size)


def on_sample(model, frames):
    schema = sample.preset_schema()
    names = ("body", "lung_left", "lung_right", "airway", "air", "bone")
    rows, counts = {name: [] for name in names}, np.zeros(4, dtype=int)
    with tempfile.TemporaryDirectory() as folder:
        source = sample.write(Path(folder), frames)
        loader = Studies()
        items = {item.id: item for item in loader.items(str(source))}
        for record in formats.get("jsonl", schema=schema).read(source.parent / "truth.jsonl", schema):
            labels = model.predict([loader.load(items[record.item.id])])[0]
            truth, found = (masks_of(one, schema, names) for one in (record.labels, labels))
            for name in names:
                rows[name].append(dice(truth[name], found.get(name, np.zeros_like(truth[name]))))
            counts += nodules(record.labels, labels, schema)
    print(f"sample: Dice against its truth, n = {len(items)} series")
    for name, values in rows.items():
        print(f"  {name:12} median {np.median(values):.3f}   least {min(values):.3f}")
    print(f"  nodules: {counts[1]} of {counts[0]} met; {counts[3]} of {counts[2]} candidates are none")


def on_real(model, data, draw):
    schema = sample.preset_schema()
    for folder, name, reference in REAL:
        loader = Studies(modality="CT")  # NIfTI does not say it
        source = data / folder / name if name else data / folder
        item = next(one for one in loader.items(str(source)) if name or one.meta.get("modality") == "CT")
        image = loader.load(item)
        started = time.process_time()
        labels = model.predict([image])[0]
        seconds = time.process_time() - started
        truth = onto(image, nibabel.load(data / folder / reference))
        found = masks_of(labels, schema, REFERENCE)
        print(f"{folder}: Dice against TotalSegmentator, n = 1 volume {image.size}, {seconds:.1f} s")
        for structure, ids in REFERENCE.items():
            mask, got = np.isin(truth, ids), found.get(structure)
            if not mask.any() and got is None:
                print(f"  {structure:12} in neither")
            else:
                print(f"  {structure:12} {dice(mask, np.zeros_like(mask) if got is None else got):.3f}")
        if draw:
            draw.mkdir(parents=True, exist_ok=True)
            Pillow.fromarray(montage(image, Record(item, labels, size=image.size), schema)).save(draw / f"{folder}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--frames", type=int, default=120)
    given = parser.parse_args()
    segment = HuThreshold(sample.preset_schema())
    on_sample(segment, given.frames)
    if given.data:
        on_real(segment, given.data, given.draw)
