"""MONAI's SegResNet with weights of one's own, and a way to train them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from hyla import device as devices
from hyla import privacy
from hyla import weights as files
from hyla.errors import ConfigError, did_you_mean
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare import inference
from hyla_healthcare.inference import Windows
from hyla_healthcare.segmenter import Segmenter, closing

INTENSITIES = ("range", "zscore")


@dataclass(frozen=True)
class Spec:
    """Say how a network is made and what it expects; stored as JSON beside its weights.

    Args:
        classes: of the schema, in the order of the channels after the background.
        spacing: [z, y, x] of its grid in mm; None for that of each volume.
        intensity: range (low to high become 0 to 1, the rest is cut off) or zscore (mean 0, deviation 1 of what is not 0).
        low, high: of `range`: in CT, in HU. The default is MONAI's window for abdominal organs.
        roi: [z, y, x] of a window in voxels, multiples of 8.
        filters: channels of the first layer.
        blocks_down, blocks_up: residual blocks at each scale.
        guided: True if it takes maps of clicks, one for each class and one for the background.
        modality: DICOM's word for what it knows, or empty.
    """

    classes: tuple[str, ...]
    spacing: tuple[float, float, float] | None = None
    intensity: str = "range"
    low: float = -175.0
    high: float = 250.0
    roi: tuple[int, int, int] = (96, 96, 96)
    filters: int = 16
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    guided: bool = False
    modality: str = "CT"

    def __post_init__(self) -> None:
        if not self.classes:
            raise ConfigError("the network has no classes", "classes=[liver,spleen]")
        if self.intensity not in INTENSITIES:
            hint = did_you_mean(self.intensity, INTENSITIES)
            raise ConfigError(f"there is no intensity {self.intensity!r}", hint, INTENSITIES)
        if self.high <= self.low:
            raise ConfigError(f"low is {self.low} and high is {self.high}", "low must be below high")
        step = 2 ** (len(self.blocks_down) - 1)
        if any(one < step or one % step for one in self.roi):
            raise ConfigError(f"roi is {list(self.roi)}", f"each number must be a multiple of {step}")
        if self.spacing is not None and min(self.spacing) <= 0:
            raise ConfigError(f"spacing is {list(self.spacing)} mm", "each number must be above 0")

    @classmethod
    def read(cls, path: Path) -> Spec:
        """Return the spec in a JSON file; raise ConfigError if it is none. Figures of the training are passed over."""
        return files.read_spec(cls, path)

    @property
    def guides(self) -> tuple[int, ...]:
        """Return the channel of each map of clicks, the background's last."""
        return (*range(1, len(self.classes) + 1), 0) if self.guided else ()

    @property
    def channels(self) -> dict[int, str]:
        """Return channel -> class; 0 is the background."""
        return dict(enumerate(self.classes, 1))

    def network(self) -> Any:
        """Return a new network on the CPU, with random weights of torch's generator."""
        from monai.networks.nets import SegResNet as Network

        return Network(
            spatial_dims=3,
            init_filters=self.filters,
            in_channels=1 + len(self.guides),
            out_channels=1 + len(self.classes),
            blocks_down=self.blocks_down,
            blocks_up=self.blocks_up,
        )

    def before(self, *keys: str) -> Any:
        """Return MONAI's chain that brings the first of `keys`, a volume, and labels of the others to the network's grid."""
        from monai.transforms import (
            Compose,
            EnsureChannelFirstd,
            NormalizeIntensityd,
            Orientationd,
            ScaleIntensityRanged,
            Spacingd,
        )

        steps: list[Any] = [EnsureChannelFirstd(keys), Orientationd(keys, axcodes="RAS", labels=None)]
        if self.spacing is not None:
            modes = ["bilinear", *["nearest"] * (len(keys) - 1)]
            steps.append(Spacingd(keys, pixdim=self.spacing[::-1], mode=modes))
        if self.intensity == "range":
            steps.append(ScaleIntensityRanged(keys[0], self.low, self.high, 0.0, 1.0, clip=True))
        else:
            steps.append(NormalizeIntensityd(keys[0], nonzero=True))
        return Compose(steps)


class SegResNet(Segmenter):
    """Label volumes with a SegResNet (Myronenko 2018, arXiv:1810.11654) whose weights `training.fit` wrote.

    Trained with clicks (`guided`), it also answers to them.

    Args:
        schema: has the classes of the network.
        weights: file with its state dict, beside which lies a JSON file of the same name with its `Spec`; null for random
            weights, whose labels mean nothing: for tests, and to train the first.
        weights_dir: folder in which a name is looked up.
        spec: settings of `Spec`, where there are no weights.
        overlap, mode, sw_batch, amp, buffer: see `inference.Windows`.
        tta, tta_axes: see `augment.passes`; 0 is off.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: of the CPU; null for one per core.
        seed: of random weights, and of training.
        steps: of training.
        pictures: a `hyla.pictures.Pictures`, which reads the volumes that records are about, for training.

    Raises:
        ConfigError: for weights that are missing, damaged or of another network, classes that the schema lacks, and settings
            out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str | None,
        weights_dir: str | None = None,
        spec: Mapping[str, Any] | None = None,
        overlap: float = 0.5,
        mode: str = "gaussian",
        sw_batch: int = 4,
        amp: bool = True,
        buffer: int = 0,
        tta: int = 0,
        tta_axes: str = "AS",
        device: str = "auto",
        threads: int | None = None,
        seed: int = 0,
        steps: int = 2000,
        pictures: Any = None,
    ) -> None:
        privacy.offline()
        inference.hush()
        path = None if weights is None else files.find(weights, weights_dir)
        if path is not None:
            self.spec = Spec.read(path.with_suffix(".json"))
        else:
            try:
                self.spec = msgspec.convert({**(spec or {})}, Spec)
            except msgspec.ValidationError as error:
                raise ConfigError(f"spec: {error}", "spec={classes: [liver]}") from error
        for name in self.spec.classes:
            schema.class_id(name)
        self.device, self.seed, self.steps, self.pictures = devices.pick(device), seed, steps, pictures
        network = new_network(self.spec, seed)
        if path is not None:
            inference.load_state(network, path, "the SegResNet that its JSON file describes")
        network.eval().requires_grad_(False).to(self.device)
        devices.set_threads(threads)
        x, y, z = inference.triple(self.spec.roi, "roi")
        windows = Windows((x, y, z), overlap, mode, sw_batch, amp, buffer, device=self.device)
        before = self.spec.before("image")
        super().__init__(
            schema,
            before,
            lambda volume: windows(network, volume),
            closing(before, "image", "softmax", 1 + len(self.spec.classes)),
            self.spec.channels,
            roi=windows.roi,
            guides=self.spec.guides,
            modality=self.spec.modality,
            tta=tta,
            tta_axes=tta_axes,
        )
        self._provenance = files.provenance("segresnet", path, seed)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights; of random ones the digest says `random` and the seed."""
        return dict(self._provenance)

    @hookimpl
    def train(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, Any]:
        """Train new weights on the labels that people and models gave to volumes; see `training.fit`.

        Raises:
            ConfigError: where this stage was not given `pictures`, which read the volumes.
        """
        from hyla_healthcare.training import fit

        return fit(
            files.examples(records, self.pictures), schema, self.spec, out, steps=self.steps, seed=self.seed, device=self.device
        )


def new_network(spec: Spec, seed: int) -> Any:
    """Return a network with random weights that follow `seed` alone."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return spec.network()


def write(network: Any, spec: Spec, figures: Mapping[str, Any], out: Path, name: str = "segresnet") -> Path:
    """Write weights and, beside them, the spec with the figures of the training; return the file of weights."""
    import torch

    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.pt"
    torch.save({key: value.cpu() for key, value in network.state_dict().items()}, path)
    path.with_suffix(".json").write_text(json.dumps({"spec": asdict(spec), "figures": dict(figures)}, indent=2) + "\n")
    return path
