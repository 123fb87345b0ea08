"""Run a TorchScript network from a local file, with its preparation as settings; deepbet's brain extraction is one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyla import device as devices
from hyla import privacy
from hyla import weights as files
from hyla.errors import ConfigError, did_you_mean
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla.types import Bools
from hyla_healthcare import components, inference
from hyla_healthcare.inference import Windows
from hyla_healthcare.segmenter import Segmenter, closing

COVERED = 0.02  # of a plane by the object: deepbet's own
INTENSITIES = ("range", "zscore", "quantiles", "none")


@dataclass(frozen=True)
class Intensity:
    """Scale the numbers of a volume as a network was trained with them.

    Args:
        kind: range (low to high become 0 to 1, the rest is cut off), zscore, quantiles (those of `low` and `high` become 0 to 1,
            the rest is cut off, then zscore) or none.
        low, high: of range in the unit of the image (HU); of quantiles from 0 to 1.
        mean, std: what zscore and quantiles end at.
    """

    kind: str = "none"
    low: float = 0.0
    high: float = 1.0
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in INTENSITIES:
            raise ConfigError(f"there is no intensity {self.kind!r}", did_you_mean(self.kind, INTENSITIES), INTENSITIES)
        if self.low >= self.high or (self.kind == "quantiles" and not 0 <= self.low < self.high <= 1):
            raise ConfigError(f"low is {self.low} and high is {self.high}", "low must be below high; quantiles are 0 to 1")

    def limits(self, volume: Any) -> tuple[float, float]:
        """Return the two numbers of `volume` that become 0 and 1."""
        if self.kind != "quantiles":
            return self.low, self.high
        low, high = np.quantile(volume.cpu().numpy(), (self.low, self.high))
        return float(low), float(high)

    def __call__(self, volume: Any, limits: tuple[float, float]) -> Any:
        """Return `volume` scaled; one that is the same everywhere becomes its mean."""
        if self.kind == "none":
            return volume
        if self.kind != "zscore":
            low, high = limits
            volume = ((volume - low) / max(high - low, 1e-6)).clamp(0, 1)
        if self.kind == "range":
            return volume
        return (volume - volume.mean()) / volume.std().clamp_min(1e-6) * self.std + self.mean


class TorchScript(Segmenter):
    """Label volumes with a TorchScript file, which holds a network and its program: take it from whom you trust.

    The volume is turned to `orientation` and resampled to `spacing`. The network then sees it in windows of `roi`, or, with
    `size`, as a whole stretched to that size. With a `finder`, which also sees the whole volume, stretched to `finder_size`, and
    marks the object in channel 1, only the object's surroundings are stretched: its box and `margin` of it on each side. That is
    how deepbet (Fisch et al. 2024, doi:10.1016/j.compbiomed.2024.108845) finds brains in T1 images; conf/model/brain_extraction
    holds its numbers.

    Args:
        schema: has the classes.
        weights: the file.
        classes: channel -> class of the schema.
        weights_dir: folder in which names are looked up.
        orientation: of the volume that the network sees, as three letters (RAS: x to the right, y to the front, z up).
        spacing: [z, y, x] in mm, or null for that of each volume.
        roi: [z, y, x] of a window in voxels; either this or `size`.
        size: [z, y, x] to which the whole is stretched, by the nearest voxel.
        intensity: settings of `Intensity`.
        activation: softmax, sigmoid, or none where the network ends with one.
        threshold: of a channel's probability; null for the most probable channel, or 0.5 with sigmoid.
        largest: keep the largest piece of each class only, its holes filled.
        finder: file of the network that finds the object first.
        finder_size: [z, y, x] of what it sees.
        margin: share of the object's box that is added on each side.
        modality: DICOM's word for what the network knows (CT, MR), or empty.
        overlap, mode, sw_batch, amp, buffer: see `inference.Windows`.
        tta, tta_axes: see `augment.passes`; 0 is off.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: of the CPU; null for one per core.

    Raises:
        ConfigError: for files that are missing or no TorchScript, classes that the schema lacks, and settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str,
        classes: Mapping[Any, str],
        weights_dir: str | None = None,
        orientation: str = "RAS",
        spacing: Sequence[float] | None = None,
        roi: Sequence[int] | None = None,
        size: Sequence[int] | None = None,
        intensity: Mapping[str, Any] | None = None,
        activation: str = "softmax",
        threshold: float | None = None,
        largest: bool = False,
        finder: str | None = None,
        finder_size: Sequence[int] = (128, 128, 128),
        margin: float = 0.1,
        modality: str = "",
        overlap: float = 0.5,
        mode: str = "gaussian",
        sw_batch: int = 1,
        amp: bool = True,
        buffer: int = 0,
        tta: int = 0,
        tta_axes: str = "AS",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        from monai.transforms import Compose, EnsureChannelFirstd, Orientationd, Spacingd

        privacy.offline()
        inference.hush()
        if (roi is None) == (size is None) or (finder is not None and size is None):
            raise ConfigError(
                "the network needs either windows or a size", "give roi=[z,y,x], or size=[z,y,x]; a finder needs size"
            )
        if threshold is not None and not 0 < threshold < 1:
            raise ConfigError(f"threshold is {threshold}", "it must lie between 0 and 1")
        if margin < 0:
            raise ConfigError(f"margin is {margin}", "it must be at least 0")
        self.device = devices.pick(device)
        paths = [files.find(one, weights_dir) for one in (weights, finder) if one is not None]
        self._networks = [inference.script(path, self.device) for path in paths]
        devices.set_threads(threads)
        self.intensity = Intensity(**(intensity or {}))
        self.margin, self.amp, self._largest = margin, amp, largest
        self._size = None if size is None else inference.triple(size, "size")
        self._finder_size = inference.triple(finder_size, "finder_size")
        window = None if roi is None else inference.triple(roi, "roi")
        self._windows = None if window is None else Windows(window, overlap, mode, sw_batch, amp, buffer, device=self.device)
        channels = {int(channel): name for channel, name in classes.items()}
        for name in channels.values():
            schema.class_id(name)
        steps: list[Any] = [EnsureChannelFirstd("image"), Orientationd("image", axcodes=orientation.upper(), labels=None)]
        if spacing is not None:
            x, y, z = (float(one) for one in reversed(spacing))
            steps.append(Spacingd("image", pixdim=(x, y, z), mode="bilinear"))
        before = Compose(steps)
        after = closing(before, "image", activation, max(channels) + 1, threshold)
        super().__init__(
            schema, before, self._answer, after, channels, activation, roi=window, modality=modality, tta=tta, tta_axes=tta_axes
        )
        self._provenance = {"name": paths[0].stem, "digest": files.digest(paths[0])}
        if finder is not None:
            self._provenance["finder"] = files.digest(paths[1])

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the file and the sha256 of what is in it, and that of the finder."""
        return dict(self._provenance)

    def _answer(self, volume: Any) -> Any:
        """Return what the network answers (K, X, Y, Z) for a volume (1, X, Y, Z)."""
        limits = self.intensity.limits(volume)
        if self._windows is not None:
            return self._windows(self._networks[0], self.intensity(volume, limits))
        assert self._size is not None
        box: tuple[slice, ...] = tuple(slice(0, n) for n in volume.shape[1:])
        if len(self._networks) > 1:
            small = _stretched(volume, self._finder_size)
            limits = self.intensity.limits(small)
            seen = self._whole(self._networks[1], self.intensity(small, limits))
            box = _surroundings(seen[1], volume.shape[1:], self.margin)
        part = volume[(slice(None), *box)]
        answer = self._whole(self._networks[0], self.intensity(_stretched(part, self._size), limits))
        out = answer.new_zeros((len(answer), *volume.shape[1:]))
        if self.activation == "softmax":
            out[1:] = -1e4  # the background, where the network did not look
        elif self.activation == "sigmoid":
            out -= 1e4
        else:
            out[0] = float(len(answer) > 1)
        out[(slice(None), *box)] = _stretched(answer, part.shape[1:])
        return out

    def _whole(self, network: Any, volume: Any) -> Any:
        def run(half: bool) -> Any:
            with devices.autocast(self.device, half):
                return inference.first(network(volume[None].to(self.device))).float()[0].cpu()

        return inference.finite(run, self.amp and self.device != "cpu")

    def _tidy(self, mask: Bools) -> Bools:
        if not self._largest or not mask.any():
            return mask
        from scipy.ndimage import binary_fill_holes

        found = components.find(mask, "corners")
        out = found.largest()
        box = components.box_of(out)
        assert box is not None
        out[box] = binary_fill_holes(out[box])
        return out


def _stretched(volume: Any, size: Sequence[int]) -> Any:
    """Return a volume (C, X, Y, Z) with `size` voxels, each the nearest by its centre."""
    from torch.nn.functional import interpolate

    return interpolate(volume[None], tuple(size), mode="nearest-exact")[0]


def _surroundings(seen: Any, shape: Sequence[int], margin: float) -> tuple[slice, ...]:
    """Return the part of a volume of `shape` that holds the object, or all of it where nothing was found.

    Along each axis it reaches over the planes of which the object covers more than COVERED, and `margin` of that on each side.

    Args:
        seen: probability (x, y, z) of the object on a grid over the whole volume.
        shape: of the volume.
        margin: share of the object's extent.
    """
    found = components.find(seen.cpu().numpy() > 0.5, "corners").largest()
    box = []
    for axis, full in enumerate(shape):
        share = found.mean(axis=tuple(other for other in range(3) if other != axis))
        planes = np.flatnonzero(share > COVERED)
        if not len(planes):
            return tuple(slice(0, n) for n in shape)
        scale = full / found.shape[axis]
        middle = round(float(scale * (planes[0] + planes[-1] + 1) / 2))
        extent = round(float((1 + 2 * margin) * scale * (planes[-1] + 1 - planes[0])))
        box.append(slice(max(0, int(middle - extent / 2)), min(full, int(middle + extent / 2))))
    return tuple(box)
