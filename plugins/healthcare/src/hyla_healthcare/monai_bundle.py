"""Run a MONAI bundle from a local folder: its network, its own transforms before and after, its sliding window."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hyla import device as devices
from hyla import privacy
from hyla import weights as files
from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla_healthcare import bundle_checks, bundle_files, inference
from hyla_healthcare.channels import channels_of
from hyla_healthcare.inference import Windows
from hyla_healthcare.segmenter import Segmenter

NETWORKS = ("network_def", "network", "net")
BEFORE = ("preprocessing", "pre_transforms", "preprocess")
AFTER = ("postprocessing", "post_transforms", "postprocess")
# What takes the place of transforms that read files, write files, or bring clicks in: volumes and clicks come from us.
READS, WRITES, CLICKS = ("LoadImage", "LoadImaged"), ("SaveImage", "SaveImaged"), "Guidance"


class MonaiBundle(Segmenter):
    """Label volumes as a MONAI bundle does: configs/inference.json or .yaml, configs/metadata.json, models/model.pt or .ts.

    Our volume takes the place of what the bundle's LoadImaged reads; SaveImaged is left out. The bundle's inferer is kept, with
    blending and memory as `inference.Windows` has them. Weights are read as data. A bundle's configuration can name any Python
    object and hold expressions that are evaluated: without `trust` only networks, transforms and inferers of MONAI and simple
    expressions run (`bundle_checks`), of those sections that are needed; a TorchScript file needs `trust`, for it is a program.

    A network that takes maps of clicks beside the volume (DeepEdit: one per class and one for the background) gets empty ones
    where nobody clicked.

    Args:
        schema: has the classes.
        bundle: the folder.
        classes: channel or the bundle's name -> class of the schema, or null to drop it; goes before the names in metadata.json.
        drop_unknown: leave out classes that the schema does not have.
        trust: run everything that the bundle says.
        weights: file in the bundle; null for models/model.pt, or models/model.ts where there is none.
        roi: [z, y, x] of a window in voxels; null for the bundle's.
        overlap: of windows, 0 to below 1; null for the bundle's.
        mode: gaussian or constant blending; null for the bundle's.
        sw_batch: windows at once; null for the bundle's.
        amp: half precision on cuda and mps.
        buffer: see `inference.Windows`.
        tta, tta_axes: see `augment.passes`; 0 is off.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: of the CPU; null for one per core.

    Raises:
        ConfigError: for a folder that is no such bundle, a configuration that runs code without trust, weights of another
            network, a class that the schema does not have, and settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        bundle: str,
        classes: Mapping[Any, str | None] | None = None,
        drop_unknown: bool = False,
        trust: bool = False,
        weights: str | None = None,
        roi: Sequence[int] | None = None,
        overlap: float | None = None,
        mode: str | None = "gaussian",
        sw_batch: int | None = None,
        amp: bool = True,
        buffer: int = 0,
        tta: int = 0,
        tta_axes: str = "AS",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        privacy.offline()
        inference.hush()
        self.path = Path(bundle).expanduser().resolve()
        config, text = bundle_files.read(self.path)
        metadata = bundle_files.metadata(self.path)
        shape = metadata.get("network_data_format") or {}
        file = bundle_files.weights(self.path, weights)
        if file.suffix != ".pt" and not trust:
            raise ConfigError(f"{file.name} is TorchScript, which is a program", "trust=true runs it; model.pt needs no trust")
        self.device = devices.pick(device)
        key = str(config.get("image_key") or next(iter(shape.get("inputs") or {}), "image"))
        before, after = (bundle_files.first(config, one) for one in (BEFORE, AFTER))
        if file.suffix == ".pt":
            name = bundle_files.first(config, NETWORKS)
            parts = build(config, [name, before, after, "inferer"], self.path, trust)
            network = parts[name]
            inference.load_state(network, file, f"the bundle's {name}")
            network.eval().requires_grad_(False).to(self.device)
        else:
            parts = build(config, [before, after, "inferer"], self.path, trust)
            network = inference.script(file, self.device)
        devices.set_threads(threads)
        activation = _activation(parts[after])
        infer, window = _inferer(parts["inferer"], network, self.device, roi, overlap, mode, sw_batch, amp, buffer)
        own = bundle_files.channel_names(config, shape)
        super().__init__(
            schema,
            parts[before],
            infer,
            parts[after],
            channels_of(schema, own, classes or {}, drop_unknown),
            activation,
            key,
            window,
            _guides(config, own, network),
            bundle_files.modality(shape),
            tta,
            tta_axes,
        )
        self._provenance = {
            "name": f"{self.path.name} {metadata.get('version', '')}".strip(),
            "digest": files.digest(file),
            "config": hashlib.sha256(text).hexdigest(),
        }

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return name and version of the bundle, and the sha256 of its weights and of its configuration."""
        return dict(self._provenance)


def build(config: Mapping[str, Any], names: Sequence[str], root: Path, trust: bool) -> dict[str, Any]:
    """Return what MONAI's ConfigParser makes of the named sections; other sections are not touched unless they are referred to.

    Args:
        config: of the bundle.
        names: of sections.
        root: the bundle's folder, which `bundle_root` is set to, and where its own code lies if it is trusted.
        trust: see `MonaiBundle`.

    Raises:
        ConfigError: for what may not run, and what can't be built.
    """
    from monai.bundle import ConfigParser

    content = deepcopy(dict(config))
    content["bundle_root"] = str(root)
    if not trust:
        needed = _needed(content, names)
        content = {name: content[name] for name in needed}
    _replace(content)
    if not trust:
        bundle_checks.check(content, "inference")
    paths = [str(root)] if trust else []
    sys.path[:0] = paths
    try:
        parser = ConfigParser(content)
        return {name: parser.get_parsed_content(name) for name in names}
    except Exception as error:  # a configuration may fail in any class that it names
        cause = error.__cause__ or error
        raise ConfigError(f"the bundle can't be built: {type(cause).__name__}: {' '.join(str(cause).split())[:300]}") from error
    finally:
        for one in paths:
            sys.path.remove(one)


def _needed(content: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Return the sections that the named ones refer to, themselves included, in order of the file."""
    from monai.bundle import ReferenceResolver

    found, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name in found or name not in content:
            continue
        found.add(name)
        for where, text in bundle_checks.strings(content[name], name):
            for ref in ReferenceResolver.match_refs_pattern(text):
                head = ReferenceResolver.split_id(ref)[0]
                if not head:
                    raise ConfigError(f"inference.{where} is a relative reference: {text!r}", bundle_checks.REMEDY)
                todo.append(head)
    return [name for name in content if name in found]


def _replace(content: Any) -> None:
    """Put transforms that do nothing in the place of those that read, write or bring clicks in."""
    for _, one in bundle_checks.dicts(content, ""):
        name = str(one.get("_target_", "")).rpartition(".")[2]
        keys = one.get("keys", "image")
        if name in READS and one.get("ensure_channel_first"):
            one.clear()
            one.update(_target_="EnsureChannelFirstd", keys=keys)
        elif name in READS or name in WRITES or (name and CLICKS in name):
            one.clear()
            one.update(_target_="Identityd", keys=keys, allow_missing_keys=True)


def _inferer(
    inferer: Any,
    network: Any,
    device: str,
    roi: Sequence[int] | None,
    overlap: float | None,
    mode: str | None,
    sw_batch: int | None,
    amp: bool,
    buffer: int,
) -> tuple[Callable[[Any], Any], tuple[int, int, int] | None]:
    """Return what runs the network over a volume as the bundle's inferer says, and the size (x, y, z) of its window."""
    from monai.inferers import SlidingWindowInferer

    if not isinstance(inferer, SlidingWindowInferer) and roi is None:

        def whole(volume: Any) -> Any:
            def run(half: bool) -> Any:
                with devices.autocast(device, half):
                    return inference.first(inferer(volume[None].to(device), network)).float()[0]

            return inference.finite(run, amp and device != "cpu")

        return whole, None
    size = inference.triple(roi, "roi") if roi is not None else _size(inferer.roi_size)
    theirs = inferer if isinstance(inferer, SlidingWindowInferer) else None
    windows = Windows(
        size,
        float(overlap if overlap is not None else _one(theirs.overlap) if theirs else 0.5),
        str(mode or (theirs.mode.value if theirs else "gaussian")),
        int(sw_batch if sw_batch is not None else theirs.sw_batch_size if theirs else 1),
        amp,
        buffer,
        str(theirs.padding_mode if theirs else "constant").rpartition(".")[2].lower(),
        device,
    )
    return lambda volume: windows(network, volume), size


def _size(roi: Any) -> tuple[int, int, int]:
    x, y, z = (int(one) for one in ([roi] * 3 if isinstance(roi, int) else roi))
    return x, y, z


def _one(value: Any) -> float:
    return float(max(value)) if isinstance(value, (list, tuple)) else float(value)


def _activation(after: Any) -> str:
    """Take the activation out of the bundle's chain after the network, and return which it is.

    A chain that takes the highest channel as it is means softmax, which does not change which one is the highest.
    """
    from monai.transforms import Activationsd, AsDiscreted

    found = next((one for one in after.transforms if isinstance(one, (Activationsd, AsDiscreted))), None)
    if isinstance(found, Activationsd) and (any(found.softmax) or any(found.sigmoid)):
        after.transforms = tuple(one for one in after.transforms if one is not found)
        return "softmax" if any(found.softmax) else "sigmoid"
    return "softmax" if isinstance(found, AsDiscreted) and any(found.argmax) else "none"


def _guides(config: Mapping[str, Any], names: Mapping[int, str], network: Any) -> tuple[int, ...]:
    """Return the channel of each map of clicks that the network takes beside one volume: () if it takes none."""
    first = next((one for one in network.parameters() if one.ndim == 5), None)
    extra = 0 if first is None else int(first.shape[1]) - 1
    labels = config.get("label_names")
    order = [int(channel) for channel in labels.values()] if isinstance(labels, Mapping) else [*(c for c in names if c), 0]
    return tuple(order) if extra > 1 and extra == len(order) else ()
