"""What all models with a network of three dimensions share: prepare, predict, put back into the patient, measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hyla import device as devices
from hyla.errors import ConfigError, did_you_mean
from hyla.geometry import decode, encode
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Bools, Click, Image, Labels, Rle
from hyla_healthcare import augment, components, grow, guidance, inference, structures
from hyla_healthcare.structures import Structure

Chain = Callable[[dict[str, Any]], dict[str, Any]]
MANY = 8  # channels; of more, decisions are brought back to the image's grid, since probabilities would take too much memory


class Segmenter(Model):
    """Label volumes by a network between two chains of MONAI's dictionary transforms. Pictures get no labels.

    A structure's score is the mean probability of its voxels, its entropy their mean entropy in nats, both on the network's
    grid. Where the schema has the image attribute `slice_uncertainty`, it is the mean entropy of each slice, as text.

    Args:
        schema: of the project.
        before: invertible chain from {key: MetaTensor (X, Y, Z)} to {key: (C, X', Y', Z')}.
        infer: from a volume (C, X, Y, Z) to answers (K, X, Y, Z), logits or probabilities.
        after: chain from {key: volume, "pred": probabilities} to "pred" on the image's grid: class numbers (1, X, Y, Z), or one
            mask per channel (K, X, Y, Z).
        channels: channel of the network -> class of the schema.
        activation: softmax (channels exclude each other), sigmoid (each is a yes or no of its own) or none, where the network
            itself ends with one.
        key: of the volume.
        roi: size (x, y, z) of what is predicted again after a click; None for everything.
        guides: what the network takes beside the volume, if it learns from clicks: the channel of each map; (1, 0) is a map of
            clicks inside class 1, and one of clicks outside.
        modality: DICOM's word for what the network knows (CT, MR); a volume known to be another gets no labels. Empty for any.
        tta, tta_axes: see `augment.passes`; 0 is off.
    """

    def __init__(
        self,
        schema: Schema,
        before: Chain,
        infer: Callable[[Any], Any],
        after: Chain,
        channels: Mapping[int, str],
        activation: str = "softmax",
        key: str = "image",
        roi: tuple[int, int, int] | None = None,
        guides: Sequence[int] = (),
        modality: str = "",
        tta: int = 0,
        tta_axes: str = "AS",
    ) -> None:
        if activation not in augment.ACTIVATIONS:
            hint = did_you_mean(activation, augment.ACTIVATIONS)
            raise ConfigError(f"there is no activation {activation!r}", hint, augment.ACTIVATIONS)
        self.schema, self.channels, self.activation, self.key = schema, dict(channels), activation, key
        self.guides, self.modality = tuple(guides), modality.upper()
        self._before, self._infer, self._after, self._roi = before, infer, after, roi
        self._looks = augment.passes(tta, tta_axes)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the structures of each volume, one volume at a time."""
        return [self._labels(image) for image in images]

    @hookimpl
    def refine(self, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        """Return the object predicted again with clicks, within a window around them.

        A network that takes no clicks, or none of this class, is not asked: the object is grown from the clicks (`grow.refine`).
        Of what is predicted, the pieces stay that hold a click inside or meet the present mask. Outside the window the present
        mask stays as it is.
        """
        wanted = [channel for channel in self.guides if self.channels.get(channel) == self.schema.names[class_id]]
        if not wanted or not clicks or not self._is_mine(image):
            return grow.refine(image, clicks, mask)
        present = np.zeros(image.size, dtype=bool) if mask is None else decode(mask)
        margin, there = self._guided(image, wanted[0], clicks)
        new = np.where(there, margin > 0, present)
        seeds = present.copy()
        for one in clicks:
            if one.inside:
                seeds[tuple(np.clip((one.z, int(one.y), int(one.x)), 0, np.array(image.size) - 1))] = True
        found = components.find(new)
        keep = _meets(found, seeds)
        return encode(found.mask(keep)) if keep.any() else None

    def _labels(self, image: Image) -> Labels:
        import torch

        if not self._is_mine(image):
            return Labels.empty()
        inference.hush()
        with torch.no_grad():
            data = self._before({self.key: inference.to_tensor(image)})
            volume = inference.plain(data[self.key])
            affine = data[self.key].affine.numpy()
            probabilities = augment.mean(self._ask, volume, self._looks, affine, self.activation, self.channels)
            exclusive = self.activation == "softmax" or (self.activation == "none" and len(probabilities) > 1)
            doubt = augment.entropy(probabilities, exclusive)
            scores, entropies = _opinions(probabilities, doubt, exclusive)
            context = {}
            if "slice_uncertainty" in self.schema.attributes_of("image"):
                context["slice_uncertainty"] = self._per_slice(doubt if exclusive else doubt.amax(dim=0), image, data)
            masks = self._masks(data, probabilities, image.size, exclusive)
        found = [Structure(self.channels[c], self._tidy(mask), scores[c], entropies[c]) for c, mask in masks.items()]
        return structures.labels(image, self.schema, _joined(found), context)

    def _ask(self, volume: Any) -> Any:
        """Return the network's answers for a volume on which nobody clicked."""
        import torch

        return self._infer(
            torch.cat([volume, volume.new_zeros((len(self.guides), *volume.shape[1:]))]) if self.guides else volume
        )

    def _tidy(self, mask: Bools) -> Bools:
        """Return a mask as it is to be stored; for subclasses that know what the structure must be."""
        return mask

    def _is_mine(self, image: Image) -> bool:
        if not image.volume or 0 in image.pixels.shape:
            return False
        known = str(image.item.meta.get("modality") or image.context.get("modality") or self.modality).upper()
        return not self.modality or {known, self.modality} <= {"MR", "MRI"} or known == self.modality

    def _per_slice(self, doubt: Any, image: Image, data: dict[str, Any]) -> str:
        """Return the mean of (X', Y', Z') at each slice of the image, as text."""
        seen = np.linalg.solve(data[self.key].affine.numpy(), inference.ras_affine(image))  # image's voxel to network's
        axis = int(np.argmax(np.abs(seen[:3, 2])))
        tilt = np.abs(np.append(np.delete(seen[:3, 2], axis), seen[axis, :2])).max()
        if tilt > 1e-3 * abs(seen[axis, 2]):  # its planes are not the image's
            return augment.slices(inference.to_array(self._back(doubt[None], data, nearest=False))[0])
        planes = inference.plain(doubt).mean(dim=[other for other in range(3) if other != axis]).cpu().numpy()
        at = seen[axis, 2] * np.arange(len(image.pixels)) + seen[axis, 3]
        values = np.interp(at, np.arange(len(planes)), planes)
        values[(at < -1) | (at > len(planes))] = 0  # the network did not look there
        return augment.slices(values[:, None])

    def _masks(self, data: dict[str, Any], probabilities: Any, size: tuple[int, ...], exclusive: bool) -> dict[int, Bools]:
        """Return channel -> mask (D, H, W) of the channels that are classes."""
        try:
            pred = self._finished(data, probabilities)
        except RuntimeError as error:
            if probabilities.device.type == "cpu" or not devices.is_oom(error):
                raise
            devices.free()
            pred = self._finished(data, probabilities.cpu())
        if tuple(pred.shape[:0:-1]) != tuple(size):  # a chain that ends on the network's grid
            pred = self._back(pred, data, nearest=True)
        array = inference.to_array(pred)
        if exclusive and len(array) == 1:
            numbers = array[0].astype(np.uint8 if max(self.channels) < 256 else np.int64)
            return {c: numbers == c for c in self.channels}
        return {c: array[c] > 0.5 for c in self.channels if c < len(array)}

    def _finished(self, data: dict[str, Any], probabilities: Any) -> Any:
        from monai.data import MetaTensor

        return self._after({**data, "pred": MetaTensor(probabilities, meta=data[self.key].meta)})["pred"]

    def _back(self, values: Any, data: dict[str, Any], nearest: bool) -> Any:
        """Return values (K, X', Y', Z') on the network's grid as they are on the image's, (K, X, Y, Z)."""
        from monai.data import MetaTensor
        from monai.transforms import Invertd

        invert = Invertd("pred", self._before, orig_keys=self.key, nearest_interp=nearest)
        return invert({"pred": MetaTensor(inference.plain(values)), self.key: data[self.key]})["pred"]

    def _guided(self, image: Image, channel: int, clicks: Sequence[Click]) -> tuple[Any, Bools]:
        """Return how much the class leads the others, -1 to 1, and where that is known, both (D, H, W)."""
        import torch

        inference.hush()
        with torch.no_grad():
            data = self._before({self.key: inference.to_tensor(image)})
            volume = inference.plain(data[self.key])
            at = guidance.points(clicks, inference.ras_affine(image), data[self.key].affine.numpy())
            inside, outside = self.guides.index(channel), self.guides.index(0)
            signal = guidance.maps(at, [inside if c.inside else outside for c in clicks], len(self.guides), volume.shape[1:])
            box = (slice(None), *guidance.around(at, volume.shape[1:], self._roi or volume.shape[1:]))
            answer = self._infer(torch.cat([volume, signal])[box]).cpu()
            chance = augment.probability(answer, self.activation)
            others = chance.clone()
            others[channel] = 0
            lead = torch.full((2, *volume.shape[1:]), 0.0)
            lead[(0, *box[1:])] = chance[channel] - (others.amax(dim=0) if self.activation != "sigmoid" else 0.5)
            lead[(1, *box[1:])] = 1
            array = inference.to_array(self._back(lead, data, nearest=False))
        return array[0], array[1] > 0.5


def closing(before: Any, key: str, activation: str, channels: int, threshold: float | None = None) -> Any:
    """Return MONAI's chain after a network's probabilities: back to the image's grid, a decision for each voxel.

    Args:
        before: the chain before it.
        key: of the volume.
        activation: softmax, sigmoid or none.
        channels: of the network. Probabilities of up to MANY are brought back, which gives smooth borders; of more, decisions.
        threshold: of each channel's probability; None for the most probable channel, or half where each is a yes or no.
    """
    from monai.transforms import AsDiscreted, Compose, Invertd

    if activation == "sigmoid" and threshold is None:
        threshold = 0.5
    decide = AsDiscreted("pred", argmax=threshold is None, threshold=threshold)
    back = Invertd("pred", before, orig_keys=key, nearest_interp=channels > MANY)
    return Compose([decide, back] if channels > MANY else [back, decide])


def _opinions(probabilities: Any, doubt: Any, exclusive: bool) -> tuple[list[float], list[float]]:
    """Return the mean probability and the mean entropy of each channel's voxels on the network's grid."""
    import torch

    count = len(probabilities)
    if exclusive:
        best, winner = probabilities.max(dim=0)
        where = winner.flatten()
        size = torch.bincount(where, minlength=count).clamp_min(1)
        sums = [torch.bincount(where, one.flatten().double(), minlength=count) for one in (best, doubt)]
        score, entropy = ((one / size).tolist() for one in sums)
        return score, entropy
    masks = [probabilities[c] > 0.5 for c in range(count)]
    return tuple(  # type: ignore[return-value]
        [float(one[c][mask].double().mean()) if mask.any() else 0.0 for c, mask in enumerate(masks)]
        for one in (probabilities, doubt)
    )


def _joined(found: Sequence[Structure]) -> list[Structure]:
    """Return one structure for each class, of which several channels may be parts, as the lobes of a lung."""
    merged: dict[str, Structure] = {}
    for one in found:
        if (other := merged.get(one.name)) is None:
            merged[one.name] = one
            continue
        sizes = np.array([np.count_nonzero(other.mask), np.count_nonzero(one.mask)])
        share = sizes / max(1, sizes.sum())
        score = float(share @ (other.score, one.score))
        merged[one.name] = Structure(one.name, other.mask | one.mask, score, float(share @ (other.entropy, one.entropy)))
    return list(merged.values())


def _meets(found: components.Components, seeds: Bools) -> Bools:
    """Return for each piece (n,) whether it holds one of `seeds` (D, H, W)."""
    padded = np.pad(seeds[found.box], ((0, 0), (0, 1), (0, 1)))  # as the runs are counted
    before = np.concatenate([[0], np.cumsum(padded.ravel())])
    return np.bincount(found.label, before[found.ends] - before[found.starts], minlength=len(found)) > 0
