"""Networks of segmentation_models_pytorch over any bands: how one is made, its weights, and what it is told of a scene."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import privacy
from hyla import weights as files
from hyla.errors import ConfigError, did_you_mean
from hyla.networks import BROKEN
from hyla_agriculture.scene import CLOUD, MISSING, SHADOW, Scene, Window


@dataclass(frozen=True)
class Spec:
    """Say how a network is made and what it expects; stored as JSON beside its weights.

    Args:
        classes: of the schema, in the order of the channels; an empty name is a channel that is no label (background).
        bands: names as a scene has them, in the order of the channels.
        mean, deviation: of each band over the pixels it was trained on, in physical values (reflectance); values are told to the
            network as (value - mean) / deviation, and what is not known as 0.
        encoder: its name in segmentation_models_pytorch; `tu-` and a name of timm for one of those.
        depth: how often pixels are halved, 3 to 5.
        channels: of the decoder, from the deepest layer up, as many as `depth`; empty for 16 at the top, doubled with each layer.
    """

    classes: tuple[str, ...]
    bands: tuple[str, ...] = ("blue", "green", "red", "nir")
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    encoder: str = "resnet18"
    depth: int = 3
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not any(self.classes):
            raise ConfigError("the network has no classes", "classes=[cropland,forest,water]")
        if not 0 < len(self.classes) < 255 or len(set(self.classes) - {""}) < len([name for name in self.classes if name]):
            raise ConfigError("the network's classes", "name up to 254, each once")
        if not self.bands or len(set(self.bands)) < len(self.bands):
            raise ConfigError(f"bands are {list(self.bands)}", "name at least one, each once")
        if self.mean and not len(self.mean) == len(self.deviation) == len(self.bands):
            raise ConfigError("mean and deviation do not fit the bands", f"each must have {len(self.bands)} numbers")
        if self.mean and not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all() and min(self.deviation) > 0):
            raise ConfigError("mean and deviation must be numbers", "each deviation must be above 0")
        if not 3 <= self.depth <= 5:
            raise ConfigError(f"depth is {self.depth}", "it must be 3, 4 or 5")
        if self.channels and (len(self.channels) != self.depth or min(self.channels) < 1):
            raise ConfigError(f"channels are {list(self.channels)}", f"give {self.depth} numbers above 0, as depth says")

    @classmethod
    def read(cls, path: Path) -> Spec:
        """Return the spec in a JSON file; raise ConfigError if it is none. Figures of the training are passed over."""
        return files.read_spec(cls, path)

    @property
    def multiple(self) -> int:
        """Return what pixels are divided by in all, which sides of tiles must be multiples of."""
        return int(2**self.depth)

    def network(self, seed: int) -> Any:
        """Return a new network on the CPU, with random weights that follow `seed` alone; nothing is downloaded.

        Raises:
            ConfigError: for an encoder that there is not, or not of this depth.
        """
        privacy.offline()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of timm and torch about each other, at import and of the names of encoders
            import segmentation_models_pytorch as smp
            import torch

            known = smp.encoders.get_encoder_names()
            if not self.encoder.startswith("tu-") and self.encoder not in known:
                raise ConfigError(f"there is no encoder {self.encoder!r}", did_you_mean(self.encoder, known), known)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                try:
                    return smp.Unet(
                        encoder_name=self.encoder,
                        encoder_depth=self.depth,
                        encoder_weights=None,
                        decoder_channels=self.channels or tuple(16 * 2**layer for layer in reversed(range(self.depth))),
                        in_channels=len(self.bands),
                        classes=len(self.classes),
                    )
                except (RuntimeError, ValueError, KeyError, TypeError) as error:  # whatever the library says of a name or a depth
                    raise ConfigError(f"there is no encoder {self.encoder!r} of depth {self.depth}: {_line(error)}") from error

    def values(self, scene: Scene, window: Window, clouds: bool = True) -> npt.NDArray[np.float32]:
        """Return what the network is told of a window, (bands, h, w): NaN in all bands where one has no data, and under clouds.

        A scene whose bands have no names (b1, b2, ...) is taken in their order.

        Raises:
            BadItem: for a scene that lacks a band, or can't be read.
        """
        unnamed = scene.bands == tuple(f"b{number + 1}" for number in range(len(scene.bands)))
        names = scene.bands[: len(self.bands)] if unnamed and len(scene.bands) >= len(self.bands) else self.bands
        values = scene.reflectance(window, names)
        lost = ~np.isfinite(values).all(axis=0)
        if clouds:
            lost |= np.isin(scene.quality(window), (CLOUD, SHADOW, MISSING))
        if self.mean:
            mean, deviation = (np.array(one, np.float32)[:, None, None] for one in (self.mean, self.deviation))
            values = (values - mean) / deviation
        return np.where(lost, np.float32(np.nan), values)


def state_dict(path: Path) -> dict[str, Any]:
    """Return the state dict in a file, read as data and never executed; wrappers {"model": ...} are taken off.

    Raises:
        ConfigError: for a file that holds anything else.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the form of files that are refused below
            data = path.suffix == ".safetensors"
            state: Any = load_file(path) if data else torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", "model", "network"):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
        named = {str(name): value.detach() for name, value in state.items()}
    except (*BROKEN, SafetensorError) as error:
        hint = f"save network.state_dict() with torch.save ({type(error).__name__}: {_line(error)})"
        raise ConfigError(f"{path.name} is no state dict", hint) from error
    inner = all(name.startswith("model.") for name in named)  # as Lightning stores the network of a task
    return {name.removeprefix("model.") if inner else name: value for name, value in named.items()}


def load_state(network: Any, path: Path) -> None:
    """Fill `network` from a file, which must have all of its weights and no others; raise ConfigError as `state_dict` does."""
    state = state_dict(path)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(f"{path.name} holds no weights of the U-Net that its JSON file describes", _line(error, 300)) from error


def write(network: Any, spec: Spec, figures: Mapping[str, Any], out: Path, name: str = "unet") -> Path:
    """Write weights and, beside them, the spec with the figures of the training; return the file of weights."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.pt"
    torch.save({key: value.cpu() for key, value in network.state_dict().items()}, path)
    path.with_suffix(".json").write_text(json.dumps({"spec": asdict(spec), "figures": dict(figures)}, indent=2) + "\n")
    return path


def _line(error: BaseException, limit: int = 200) -> str:
    return " ".join((str(error).strip() or type(error).__name__).split())[:limit]
