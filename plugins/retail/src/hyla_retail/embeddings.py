"""Turn crops of products into vectors of length 1 whose scalar product is how alike they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla import networks, privacy
from hyla import weights as files
from hyla.errors import ConfigError, did_you_mean
from hyla_retail.crops import Pixels

Floats32 = npt.NDArray[np.float32]
Hashes = npt.NDArray[np.uint64]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's weights were trained


class Embedding(ABC):
    """Describe crops by vectors.

    Args:
        size: length of a vector.
        name: that people read.
        digest: sha256 of all that a vector depends on: vectors of other digests can't be compared.
    """

    size: int
    name: str
    digest: str

    @abstractmethod
    def __call__(self, crops: Sequence[Pixels]) -> Floats32:
        """Return (n, size) vectors of length 1 of crops (h, w, 3), each of which depends on its own crop alone."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Embedding) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class Appearance(Embedding):
    """Describe colour, edges, texture and layout, without weights; see `hyla_retail.appearance`.

    Args:
        colour, edges, texture, layout: weights of the parts, 0 or more; each part has length 1 before it is weighted.

    Raises:
        ConfigError: for weights below 0, or all 0.
    """

    name = "appearance"

    def __init__(self, colour: float = 1.0, edges: float = 0.4, texture: float = 0.35, layout: float = 0.2) -> None:
        from hyla_retail import appearance

        self.weights = (colour, edges, texture, layout)
        if min(self.weights) < 0 or not max(self.weights) > 0:
            raise ConfigError(f"the weights of Appearance are {self.weights}", "give numbers of 0 or more, one of them above 0")
        self.digest = sha256(f"appearance {appearance.VERSION} {self.weights}".encode()).hexdigest()
        self.size = self([np.zeros((1, 1, 3), np.uint8)]).shape[1]

    def __call__(self, crops: Sequence[Pixels]) -> Floats32:
        """Return (n, size) vectors of crops."""
        from hyla_retail import appearance as look

        if not len(crops):
            return np.zeros((0, self.size), np.float32)
        large = look.thumbnails(crops, look.SIDE)
        small = look.thumbnails(list(large), look.SMALL)
        grey = look.grey_of(large)
        colour, edges, texture, layout = self.weights
        places = zip(look.colours(small), look.PLACES, strict=True)
        grids = [_unit(np.sqrt(block)) * np.float32(weight) for block, weight in places]
        parts = [
            _unit(np.concatenate(grids, axis=1)) * np.float32(colour),
            _unit(look.edges(grey)) * np.float32(edges),
            _unit(np.sqrt(look.texture(grey))) * np.float32(texture),
            _unit(look.layout(small)) * np.float32(layout),
        ]
        return _unit(np.concatenate(parts, axis=1))


class Network(Embedding):
    """Describe crops by what a network of torchvision computes before its last layer.

    On a CPU one crop is computed at a time, so that a vector does not depend on its neighbours.

    Args:
        weights: a file with the state dict, by path or by name; null for random weights, whose vectors tell little: for tests.
        architecture: name of the network in torchvision: mobilenet_v2, resnet50, convnext_tiny, efficientnet_b0, vit_b_16.
        weights_dir: folder in which a name is looked up.
        side: of the square, in pixels, into which crops are pressed.
        batch: crops at once on cuda and mps.
        device: auto, cpu, cuda, cuda:N or mps.
        half: compute in half precision on cuda and mps.
        threads: of the CPU; null for one per core.
        seed: of random weights.

    Raises:
        ConfigError: for an unknown architecture, and weights that are missing, damaged or of another network.
    """

    def __init__(
        self,
        weights: str | None,
        architecture: str = "mobilenet_v2",
        weights_dir: str | None = None,
        side: int = 224,
        batch: int = 64,
        device: str = "auto",
        half: bool = True,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        if side < 32 or batch < 1:
            raise ConfigError(f"side is {side}, batch {batch}", "at least 32 pixels, and at least 1 crop")
        privacy.offline()
        path = None if weights is None else files.find(weights, weights_dir)
        self.side, self.batch, self.half, self.device = side, batch, half, devices.pick(device)
        self._network, self.size = _headless(architecture, path, seed)
        devices.set_threads(threads)
        self._network.to(self.device)
        signed = files.provenance(architecture, path, seed)
        versions = [f"{name} {metadata.version(name)}" for name in ("torch", "torchvision")] if path is None else []
        self.name = signed["name"]
        self.digest = sha256(" ".join([architecture, signed["digest"], str(side), *versions]).encode()).hexdigest()

    def __call__(self, crops: Sequence[Pixels]) -> Floats32:
        """Return (n, size) vectors of crops."""
        import torch

        out = np.empty((len(crops), self.size), dtype=np.float32)
        step = 1 if self.device == "cpu" else self.batch
        mean, deviation = (torch.tensor(one, device=self.device).view(1, 3, 1, 1) for one in (MEAN, DEVIATION))
        for start in range(0, len(crops), step):
            part = np.stack([_pressed(crop, self.side) for crop in crops[start : start + step]])
            with torch.inference_mode(), devices.autocast(self.device, self.half):
                given = torch.from_numpy(part).to(self.device).permute(0, 3, 1, 2).float() / 255
                found = self._network((given - mean) / deviation)
            out[start : start + step] = found.float().flatten(1).cpu().numpy()
        return _unit(out)


class Joined(Embedding):
    """Lay the vectors of two embeddings side by side: a network knows what things are, appearance which of them it is.

    Args:
        first, second: the embeddings.
        share: of the first in the similarity of two crops, above 0 and below 1.

    Raises:
        ConfigError: for a share out of range.
    """

    def __init__(self, first: Embedding, second: Embedding, share: float = 0.7) -> None:
        if not 0 < share < 1:
            raise ConfigError(f"share is {share}", "it must lie between 0 and 1")
        self.first, self.second, self.share = first, second, share
        self.size, self.name = first.size + second.size, f"{first.name} and {second.name}"
        self.digest = sha256(f"{first.digest} {second.digest} {share}".encode()).hexdigest()

    def __call__(self, crops: Sequence[Pixels]) -> Floats32:
        """Return (n, size) vectors of crops."""
        return np.concatenate(
            [self.first(crops) * np.float32(self.share**0.5), self.second(crops) * np.float32((1 - self.share) ** 0.5)], axis=1
        )


def phash(pixels: Pixels) -> np.uint64:
    """Return the perceptual hash of a picture (h, w, 3): 64 bits; see `phashes`."""
    return np.uint64(phashes([pixels])[0])


def phashes(crops: Sequence[Pixels]) -> Hashes:
    """Return the perceptual hashes (n,) of crops: the signs of low frequencies.

    Grey values at 32 x 32 go through a cosine transform (DCT-II); of its 8 x 8 lowest frequencies a bit says whether one lies
    above their median. Near copies differ in few of the 64 bits, other pictures in about half (Zauner 2010, the hash of pHash).
    """
    from scipy.fft import dctn

    from hyla_retail import appearance as look

    if not len(crops):
        return np.zeros(0, dtype=np.uint64)
    grey = look.grey_of(look.thumbnails(crops, 32))
    low = dctn(grey.astype(np.float64), axes=(1, 2), norm="ortho")[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.asarray((bits.astype(np.uint64) << np.arange(64, dtype=np.uint64)).sum(axis=1), dtype=np.uint64)


def hamming(a: Hashes, b: Hashes) -> npt.NDArray[np.uint8]:
    """Return (n, m): in how many of 64 bits hashes (n,) and (m,) differ."""
    return np.asarray(np.bitwise_count(np.asarray(a)[:, None] ^ np.asarray(b)[None, :]), dtype=np.uint8)


def _unit(vectors: Floats32) -> Floats32:
    """Return vectors (n, d) of length 1; one without any length stays as it is."""
    length = np.sqrt((vectors.astype(np.float32) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.where(length > 1e-12, length, 1), dtype=np.float32)


def _pressed(crop: Pixels, side: int) -> Pixels:
    import cv2

    larger = min(crop.shape[:2]) >= side
    scaled = cv2.resize(np.ascontiguousarray(crop), (side, side), interpolation=cv2.INTER_AREA if larger else cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.uint8)


def _headless(architecture: str, path: Any, seed: int) -> tuple[Any, int]:
    """Return the network without its last linear layer, and how many numbers that layer took."""
    import torch
    from torchvision.models import list_models

    known = list_models(module=__import__("torchvision").models)
    if architecture not in known:
        raise ConfigError(f"there is no network {architecture!r}", did_you_mean(architecture, known), known)
    network = networks.untrained(architecture, seed)
    linear = [name for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)]
    if not linear:
        raise ConfigError(f"{architecture} has no linear layer at its end", "choose mobilenet_v2, resnet50, ...")
    head = linear[-1]
    parent, _, last = head.rpartition(".")
    size = int(network.get_submodule(head).in_features)
    setattr(network.get_submodule(parent), last, torch.nn.Identity())
    network.eval().requires_grad_(False)
    if path is not None:
        networks.fill(network, path, architecture, "choose its architecture=", without=f"{head}.")
    return network, size
