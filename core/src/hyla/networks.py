"""Build networks of torchvision (BSD-3-Clause), and fill them from local files of weights, which are read as data only."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hyla.errors import ConfigError, did_you_mean

# What torch and its readers raise for a file that is damaged, or holds something else.
BROKEN = (RuntimeError, EOFError, pickle.UnpicklingError, TypeError, AttributeError, LookupError, ValueError, OSError)
DETECTORS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)


def coco_categories(architecture: str) -> list[str]:
    """Return the names by index, the background first, of the classes of torchvision's own weights of a detector.

    Raises:
        ConfigError: for a network that is none of DETECTORS.
    """
    from torchvision.models import get_model_weights

    if architecture not in DETECTORS:
        raise ConfigError(f"there is no network {architecture!r}", did_you_mean(architecture, DETECTORS), DETECTORS)
    return list(next(iter(get_model_weights(architecture))).meta["categories"])


def detector(architecture: str, classes: int, path: Path | None, seed: int) -> Any:
    """Return a detection network of torchvision, ready to answer.

    Args:
        architecture: one of DETECTORS.
        classes: how many it tells apart, the background included.
        path: file with its state dict; None for random weights, whose answers mean nothing.
        seed: of random weights; nothing else that is random is touched.

    Raises:
        ConfigError: for an unknown network, or a file that holds other weights.
    """
    if architecture not in DETECTORS:
        raise ConfigError(f"there is no network {architecture!r}", did_you_mean(architecture, DETECTORS), DETECTORS)
    network = untrained(architecture, seed, weights_backbone=None, num_classes=classes)
    if path is not None:
        hint = "choose its architecture=, and categories= where it was not trained on COCO"
        fill(network, path, f"{architecture} with {classes} classes", hint)
    return network.eval().requires_grad_(False)


def untrained(architecture: str, seed: int, **settings: Any) -> Any:
    """Return a network of torchvision with random weights by `seed`; nothing else that is random is touched."""
    import torch
    from torchvision.models import get_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return get_model(architecture, weights=None, **settings)


def fill(network: Any, path: Path, what: str, hint: str, without: str = "") -> None:
    """Fill a network from a file with its state dict, which must have all of its weights and no others.

    Args:
        network: of torch.
        path: of the file; only tensors are read from it, nothing in it is executed.
        what: for the message: what the network is.
        hint: what else could be set.
        without: beginning of the names of weights in the file that are not wanted.

    Raises:
        ConfigError: for a file that holds anything else.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the form of files that are refused below
            state: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("model", state)  # training scripts wrap it: {"model": ..., "epoch": ...}
        network.load_state_dict({name: v for name, v in state.items() if not (without and name.startswith(without))})
    except BROKEN as error:
        reason = (str(error).strip() or "no message").splitlines()[0][:200]
        raise ConfigError(f"{path.name} is no state dict of {what}", f"{hint} ({type(error).__name__}: {reason})") from error
