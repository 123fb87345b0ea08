"""MONAI bundles as small as can be: a network that tells bright from brighter, in configurations like those of the model zoo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hyla.frame import PatientFrame
from hyla.schema import Schema
from hyla.types import Image, Item

SCHEMA = Schema.from_config(
    {
        "name": "bodies",
        "kinds": ["mask"],
        "classes": {
            "kidney": {"abstract": True},
            "liver": {},
            "spleen": {},
            "kidney_left": {"parent": "kidney"},
            "kidney_right": {},
        },
        "attributes": {
            "volume_ml": {"type": "number"},
            "modality": {"scope": "image"},
            "slice_uncertainty": {"scope": "image"},
        },
    }
)
# HU of the background and of classes 1 and 2, and what ScaleIntensityRanged makes of them.
LEVELS = (-1000.0, 0.0, 1000.0)
CENTRES = (0.0, 0.5, 1.0)
OBLIQUE = np.array([[0.9, -0.1, 0.3, -40], [0.12, 1.1, 0.2, 15], [-0.2, -0.15, 1.9, 300], [0, 0, 0, 1.0]])


def image(pixels: np.ndarray, affine: Any = None, name: str = "one", **meta: Any) -> Image:
    """Return a volume (D, H, W) with an affine of (x, y, slice) to LPS mm."""
    frame = PatientFrame(tuple(map(tuple, (np.diag([1.0, 1, 1, 1]) if affine is None else np.asarray(affine)).tolist())))
    return Image(pixels, Item(name, f"{name}.nii", kind="series", meta=meta), frame, volume=True)


def blocks(shape: tuple[int, int, int] = (24, 30, 36)) -> np.ndarray:
    """Return HU (D, H, W) with a block of class 1 and a smaller one of class 2, nothing about them symmetric."""
    pixels = np.full(shape, LEVELS[0], np.int16)
    pixels[4:14, 5:20, 3:15] = LEVELS[1]
    pixels[15:21, 8:15, 22:33] = LEVELS[2]
    return pixels


def thresholds(channels: int = 3, inputs: int = 1, sharp: float = 400.0) -> dict[str, torch.Tensor]:
    """Return the weights of a convolution of one voxel whose highest channel is the one with the nearest of CENTRES.

    Further inputs are maps of clicks, of classes 1, 2... and of the background: each raises its channel where it is high.
    """
    centres = torch.tensor(CENTRES[:channels])
    weight = torch.zeros(channels, inputs, 1, 1, 1)
    weight[:, 0, 0, 0, 0] = 2 * centres * sharp
    for extra in range(1, inputs):
        weight[extra % channels, extra, 0, 0, 0] = 10 * sharp
    return {"conv.weight": weight, "conv.bias": -(centres**2) * sharp}


def config(**changes: Any) -> dict[str, Any]:
    """Return a configuration like that of the model zoo's spleen_ct_segmentation, with a convolution as its network."""
    keys = {"keys": "image"}
    content: dict[str, Any] = {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": "$list(sorted(glob.glob(@bundle_root + '/imagesTs/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "pixdim": [0.8, 0.8, 1.0],
        "network_def": {
            "_target_": "monai.networks.blocks.Convolution",
            **{"spatial_dims": 3, "in_channels": 1, "out_channels": 3, "kernel_size": 1, "conv_only": True},
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", **keys},
                {"_target_": "EnsureChannelFirstd", **keys},
                {"_target_": "Orientationd", **keys, "axcodes": "RAS"},
                {"_target_": "Spacingd", **keys, "pixdim": "@pixdim", "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", **keys, "a_min": -1000, "a_max": 1000, "b_min": 0, "b_max": 1, "clip": True},
                {"_target_": "EnsureTyped", **keys},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "sw_batch_size": 4, "overlap": 0.5},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    **{
                        "keys": "pred",
                        "transform": "@preprocessing",
                        "orig_keys": "image",
                        "nearest_interp": False,
                        "to_tensor": True,
                    },
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
            ],
        },
        "evaluator": {"_target_": "SupervisedEvaluator", "device": "@device", "network": "@network", "inferer": "@inferer"},
        "checkpointloader": {"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"},
        "initialize": ["$monai.utils.set_determinism(seed=123)"],
        "run": ["$@evaluator.run()"],
    }
    return {**content, **changes}


def metadata(names: tuple[str, ...] = ("background", "Liver", "spleen"), modality: str = "CT") -> dict[str, Any]:
    """Return what is in metadata.json."""
    channels = {str(i): name for i, name in enumerate(names)}
    return {
        "version": "0.1.0",
        "network_data_format": {
            "inputs": {"image": {"type": "image", "modality": modality, "num_channels": 1}},
            "outputs": {"pred": {"type": "image", "num_channels": len(names), "channel_def": channels}},
        },
    }


def write(
    folder: Path, content: dict[str, Any] | None = None, state: Any = None, meta: dict[str, Any] | None = None, yaml: bool = False
) -> Path:
    """Write a bundle and return its folder."""
    (folder / "configs").mkdir(parents=True, exist_ok=True)
    (folder / "models").mkdir(exist_ok=True)
    content = config() if content is None else content
    if yaml:
        import yaml as library

        (folder / "configs/inference.yaml").write_text(library.safe_dump(content, sort_keys=False))
    else:
        (folder / "configs/inference.json").write_text(json.dumps(content))
    (folder / "configs/metadata.json").write_text(json.dumps(metadata() if meta is None else meta))
    torch.save(thresholds() if state is None else state, folder / "models/model.pt")
    return folder
