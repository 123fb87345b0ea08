"""Count the faces that YuNet finds on a photograph of 29 people, and what of real faces is left after redaction; time both.

    OMP_NUM_THREADS=1 python benchmarks/surveillance/faces.py DATA --weights \\
        face_detection_yunet_2026may.onnx

- photograph: the Solvay conference of 1927, at several sizes. Only the number of people is known, not where their faces are, so
  that this is a count beside a known count, no recall; that each box is on a face was looked at once, at full size.
- street: the eight frames of MOT17-04 that lie beside the checkout, one street within a quarter of a second, so that they are one
  sample and not eight. No faces are marked in them: counted are faces that the detector finds before, after redaction by what it
  said and the true boxes of people, and after that has been encoded as H.264 and decoded again.
- ms: median and 95th percentile of one frame of 1920 x 1080 on one thread of OpenCV.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib import resources
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import yaml

from hyla.frame import VideoFrame
from hyla.images import read_image
from hyla.schema import Schema
from hyla.types import Image, Item, Labels
from hyla_surveillance.bridging import to_hide
from hyla_surveillance.clips import read_clip, write_clip, write_redacted
from hyla_surveillance.faces import Faces
from hyla_surveillance.redact import Mosaic, remaining

SCALES = (1.0, 0.75, 0.5, 0.35, 0.25, 0.18)
ROUNDS = 40


def times(run: Any, rounds: int) -> str:
    """Return the median and the 95th percentile of a call, in ms."""
    run()
    took = []
    for _ in range(rounds):
        start = perf_counter()
        run()
        took.append((perf_counter() - start) * 1e3)
    return f"{np.median(took):.0f} ms, 95 % below {np.percentile(took, 95):.0f} (n = {rounds})"


def image(pixels: Any, seconds: float = 0.0) -> Image:
    """Return a frame as a loader gives it."""
    return Image(pixels, Item("a", "a"), VideoFrame(seconds, 0))


def street(folder: Path, schema: Schema, faces: Faces) -> list[tuple[Image, Labels]]:
    """Return the frames, with the faces found and the true boxes of people."""
    truth = np.loadtxt(folder / "gt/gt.txt", delimiter=",")
    frames = []
    for number in range(1, 9):
        shown = image(read_image(folder / f"img1/{number:06d}.jpg"), number / 30)
        rows = truth[(truth[:, 0] == number) & (truth[:, 7] == 1)]
        box = np.column_stack([rows[:, 2:4] - 1, rows[:, 2:4] + rows[:, 4:6] - 1])
        people = Labels.of(np.full(len(box), schema.class_id("person")), np.clip(box, 0, [1920, 1080, 1920, 1080]))
        frames.append((shown, Labels.concat([*faces.predict([shown]), people])))
    return frames


def redacted(frames: list[tuple[Image, Labels]], mosaic: Mosaic, schema: Schema) -> Any:
    """Return what `write_redacted` calls for the pictures, redacted by their labels and what was found besides."""

    def pictures(extra: Any) -> Any:
        for i, (one, labels) in enumerate(frames):
            box = extra.get(i, np.zeros((0, 4)))
            also = to_hide([schema.class_id("face")] * len(box), box)
            yield one.frame.seconds, mosaic.redact(one, Labels.concat([labels, also])).pixels

    return pictures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    preset = resources.files("hyla_surveillance") / "conf/preset/surveillance.yaml"
    schema = Schema.from_config(yaml.safe_load(preset.read_text(encoding="utf-8"))["schema"])
    surer, usual, eager = (Faces(schema, str(given.weights), score=score) for score in (0.7, 0.6, 0.5))

    photo = read_image(given.data / "faces/solvay_conference_1927.jpg")
    for scale in SCALES:
        part = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height = np.median(usual.predict([image(part)])[0].height)
        counts = [len(model.predict([image(part)])[0]) for model in (surer, usual, eager)]
        size = f"{part.shape[1]} x {part.shape[0]}"
        print(f"photograph {size:11s} faces {height:3.0f} px high: {counts} of 29 at score 0.7, 0.6, 0.5")

    frames, mosaic = street(given.data / "mot17_04", schema, eager), Mosaic(schema)
    before = [remaining(shown.pixels, usual) for shown, _ in frames]
    shown = [mosaic.redact(*one).pixels for one in frames]
    once = [remaining(pixels, usual) for pixels in shown]
    with tempfile.TemporaryDirectory() as folder:
        raw, made = Path(folder) / "raw.mp4", Path(folder) / "redacted.mp4"
        write_clip(raw, [(one.frame.seconds, one.pixels) for one, _ in frames])
        encoded = [remaining(pixels, usual) for _, pixels in read_clip(raw)]
        proof = write_redacted(made, redacted(frames, mosaic, schema), usual)
        after = [remaining(pixels, usual) for _, pixels in read_clip(made)]
    print(f"street: {before} faces before, {once} after redaction; {encoded} in the clip as it is, {after} in the redacted one")
    print(f"street: {proof.added} boxes hidden besides by looking again ({proof.codec})")

    one, labels = frames[0]
    print(f"find faces, 1920 x 1080: {times(lambda: usual.predict([one]), given.rounds)}")
    plain = Faces(Schema.from_config({"classes": {"face": {}}}), str(given.weights))
    print(f"the same without their quality: {times(lambda: plain.predict([one]), given.rounds)}")
    print(f"redact, {len(labels)} labels: {times(lambda: mosaic.redact(one, labels), given.rounds)}")


if __name__ == "__main__":
    main()
