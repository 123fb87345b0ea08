"""Measure a MONAI bundle through our stage against MONAI's own loop: python benchmarks/healthcare/inference.py [--repeats 5].

Both arms hold the same SegResNet with the same random weights, the same transforms, the same Gaussian sliding window and the same
volume in memory, on the same device in the same process, in turns, so that what else the machine does meets both.

- ours: Image in, Labels out: `MonaiBundle.predict`, with scores, entropies, uncertainty per slice, masks, measures and evidence.
- MONAI: what its tutorials and SupervisedEvaluator do: transforms, collate, sliding_window_inference, decollate, activation,
  Invertd, AsDiscreted; at the end a class map as an array.

Printed, by the clock on the wall and in seconds of the processor: every repeat, the ratio of the medians (MONAI / ours, above 1
is faster than MONAI) and its range over the repeats; and the share of voxels on which both agree, which must be 1. On a machine
with other work only the processor's seconds, with --threads 1, mean anything: give --clock cpu to judge by them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hyla import device as devices
from hyla.frame import PatientFrame
from hyla.geometry import decode
from hyla.schema import Schema
from hyla.types import Image, Item
from hyla_healthcare import inference
from hyla_healthcare.monai_bundle import MonaiBundle

CLASSES = ("background", "body", "bone")
SCHEMA = Schema.from_config(
    {
        "name": "benchmark",
        "kinds": ["mask"],
        "classes": {"body": {}, "bone": {}},
        "attributes": {"volume_ml": {"type": "number"}, "slice_uncertainty": {"scope": "image"}},
    }
)


def volume(depth, side):
    """Return a noisy trunk with a spine, in HU."""
    z, y, x = np.meshgrid(np.arange(depth), *[np.linspace(-1, 1, side)] * 2, indexing="ij", sparse=True)
    pixels = np.where((x / 0.8) ** 2 + (y / 0.55) ** 2 + 0 * z < 1, 40, -1000).astype(np.float32)
    pixels[np.broadcast_to(x**2 + (y - 0.35) ** 2 < 0.01, pixels.shape)] = 600
    pixels += np.random.default_rng(0).normal(0, 15, pixels.shape)
    affine = ((0.8, 0, 0, -100.0), (0, 0.8, 0, -100.0), (0, 0, 2.0, 0.0), (0, 0, 0, 1.0))
    return Image(pixels.astype(np.int16), Item("trunk", "trunk"), PatientFrame(affine), volume=True)


def bundle(folder, filters, roi):
    """Write a bundle like the model zoo's spleen_ct_segmentation, with a SegResNet of random weights."""
    import torch
    from monai.networks.nets import SegResNet

    keys = {"keys": "image"}
    network = {"spatial_dims": 3, "init_filters": filters, "in_channels": 1, "out_channels": len(CLASSES)}
    content = {
        "network_def": {"_target_": "SegResNet", **network},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "EnsureChannelFirstd", **keys},
                {"_target_": "Orientationd", **keys, "axcodes": "RAS"},
                {"_target_": "Spacingd", **keys, "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", **keys, "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1, "clip": True},
                {"_target_": "EnsureTyped", **keys},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [roi] * 3,
            "sw_batch_size": 4,
            "overlap": 0.5,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    **{"keys": "pred", "transform": "@preprocessing", "orig_keys": "image", "nearest_interp": False},
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            ],
        },
    }
    meta = {"network_data_format": {"outputs": {"pred": {"channel_def": dict(enumerate(CLASSES))}}}}
    for part in ("configs", "models"):
        (folder / part).mkdir()
    (folder / "configs/inference.json").write_text(json.dumps(content))
    (folder / "configs/metadata.json").write_text(json.dumps(meta))
    torch.manual_seed(0)
    torch.save(SegResNet(**network).state_dict(), folder / "models/model.pt")
    return content


class Loop:
    """MONAI's own loop."""

    def __init__(self, folder, content, device):
        import torch
        from monai.bundle import ConfigParser

        parser = ConfigParser(content)
        self.before, self.after, self.inferer, network = (
            parser.get_parsed_content(name) for name in ("preprocessing", "postprocessing", "inferer", "network_def")
        )
        network.load_state_dict(torch.load(folder / "models/model.pt", weights_only=True))
        self.network, self.device = network.eval().to(device), device

    def __call__(self, image):
        import torch
        from monai.data import decollate_batch, list_data_collate

        with torch.no_grad(), devices.autocast(self.device):
            batch = list_data_collate([self.before({"image": inference.to_tensor(image)})])
            batch["pred"] = self.inferer(batch["image"].to(self.device), self.network)
        return np.asarray(self.after(decollate_batch(batch)[0])["pred"][0].cpu()).transpose(2, 1, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--depth", type=int, default=64)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--roi", type=int, default=64)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="by which the ratio must be 0.95")
    args = parser.parse_args()
    inference.hush()
    import torch
    from monai import __version__ as monai_version

    device = devices.pick(args.device)
    image = volume(args.depth, args.side)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = bundle(folder, args.filters, args.roi)
        stage, loop = MonaiBundle(SCHEMA, name, device=device, threads=args.threads), Loop(folder, content, device)
        ours, theirs = [], []
        for turn in range(args.repeats + 1):
            for arm in (stage, loop) if turn % 2 else (loop, stage):
                if arm is stage:
                    labels, took = timed(lambda: stage.predict([image])[0])
                    ours.append(took)
                else:
                    said, took = timed(lambda: loop(image))
                    theirs.append(took)
    seen = np.zeros(image.size, np.uint8)
    for number, shape in zip(labels.class_id, labels.shape, strict=True):
        seen[decode(shape)] = number + 1
    print(f"MONAI {monai_version}, torch {torch.__version__}, {device}, {torch.get_num_threads()} threads")
    print(f"volume {image.size}, SegResNet with {args.filters} filters, windows of {args.roi}, n = {args.repeats} repeats")
    ratios = {}
    for column, clock in enumerate(("wall", "cpu")):
        mine, other = ([one[column] for one in arm[1:]] for arm in (ours, theirs))  # the first turn warms up
        pairs = sorted(b / a for a, b in zip(mine, other, strict=True))
        ratios[clock] = statistics.median(other) / statistics.median(mine)
        print(f"{clock:4} ours  s:", " ".join(f"{one:.2f}" for one in mine))
        print(f"{clock:4} MONAI s:", " ".join(f"{one:.2f}" for one in other))
        print(f"{clock:4} ratio {ratios[clock]:.3f} (pairs {pairs[0]:.3f} to {pairs[-1]:.3f})")
    print(f"voxels alike {(seen == said).mean():.6f}")
    return 0 if ratios[args.clock] >= 0.95 and (seen == said).all() else 1


def timed(run):
    started = time.perf_counter(), time.process_time()
    result = run()
    return result, (time.perf_counter() - started[0], time.process_time() - started[1])


if __name__ == "__main__":
    sys.exit(main())
