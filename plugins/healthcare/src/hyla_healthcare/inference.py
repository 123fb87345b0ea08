"""Run networks of three dimensions: our volumes as MONAI's tensors and back, windows that fit into memory, files of weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla.errors import ConfigError, StageError, did_you_mean
from hyla.frame import PatientFrame
from hyla.networks import BROKEN
from hyla.types import Floats, Image

Network = Callable[[Any], Any]
MODES = ("gaussian", "constant")
# LPS to RAS and back: x and y change their sign.
FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def hush() -> None:
    """Silence the warnings of MONAI, which are about its own calls of other libraries and its own defaults.

    By filters for its modules, which say the same however often they are set; a context that puts filters back would disturb
    those of other threads.
    """
    warnings.filterwarnings("ignore", module=r"monai(\.|$)")
    warnings.filterwarnings("ignore", message=r".*torch\.jit\.|.*TorchScript", category=FutureWarning)
    warnings.filterwarnings("ignore", message=r".*torch\.jit\.|.*TorchScript", category=DeprecationWarning)


def ras_affine(image: Image) -> Floats:
    """Return the affine (4, 4) from voxel (x, y, slice), counted at centres, to RAS mm, as NIfTI and MONAI have it."""
    return FLIP @ np.array(image.frame.affine) if isinstance(image.frame, PatientFrame) else FLIP.copy()


def to_tensor(image: Image) -> Any:
    """Return a volume as MetaTensor (X, Y, Z), float32, with its RAS affine: what MONAI's LoadImage gives.

    What is no number becomes the smallest number of the volume, which is air in CT and background in MR.
    """
    import torch
    from monai.data import MetaTensor

    pixels = np.ascontiguousarray(image.pixels.T, dtype=np.float32)
    if image.pixels.dtype.kind == "f" and not (known := np.isfinite(pixels)).all():
        pixels = np.where(known, pixels, pixels[known].min() if known.any() else 0)
    affine = torch.from_numpy(ras_affine(image))
    meta = {
        "original_affine": affine.clone(),
        "spatial_shape": np.array(pixels.shape),
        "original_channel_dim": "no_channel",
        "space": "RAS",
    }
    return MetaTensor(torch.from_numpy(pixels), affine=affine, meta=meta)


def to_array(tensor: Any) -> npt.NDArray[Any]:
    """Return a tensor (..., X, Y, Z) as an array (..., D, H, W) in the order of our volumes."""
    array = plain(tensor).detach().cpu().numpy()
    return np.moveaxis(array, (-1, -2, -3), (-3, -2, -1))


def plain(tensor: Any) -> Any:
    """Return a MetaTensor without its metadata, which costs time at each operation."""
    return tensor.as_tensor() if hasattr(tensor, "as_tensor") else tensor


@dataclass(frozen=True)
class Windows:
    """Run a network over a volume in windows that overlap (MONAI's sliding_window_inference), within the memory there is.

    Where memory runs out the same is done with the volume in the machine's memory and half as many windows at once, at last with
    one window, the sums being kept in the machine's memory too, so that the device holds a slab only.

    Args:
        roi: size (x, y, z) of a window in voxels.
        overlap: share of a window that the next one repeats, 0 to below 1.
        mode: how overlapping windows are blended: gaussian, which trusts their middle more, or constant.
        sw_batch: windows that the network sees together.
        amp: compute in half precision (float16) on cuda and mps; a volume that overflows it is done again in single precision.
        buffer: rows of windows whose sum the device keeps before it goes to the machine's memory; 0 only where memory runs out.
        padding: what is around a volume smaller than a window: constant, reflect or replicate.
        device: where the network is.
    """

    roi: tuple[int, int, int]
    overlap: float = 0.5
    mode: str = "gaussian"
    sw_batch: int = 4
    amp: bool = True
    buffer: int = 0
    padding: str = "constant"
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"there is no mode {self.mode!r} of windows", did_you_mean(self.mode, MODES), MODES)
        if not 0 <= self.overlap < 1:
            raise ConfigError(f"overlap is {self.overlap}", "it must be at least 0 and below 1")
        if self.sw_batch < 1 or self.buffer < 0 or len(self.roi) != 3:
            raise ConfigError(
                f"roi is {list(self.roi)}, sw_batch {self.sw_batch} and buffer {self.buffer}",
                "roi has three numbers, sw_batch is at least 1 and buffer at least 0",
            )

    def __call__(self, network: Network, volume: Any) -> Any:
        """Return the answers (K, X, Y, Z) of `network` for a volume (C, X, Y, Z), float32; see `finite` for errors."""
        return finite(lambda amp: self._within_memory(network, volume, amp), self.amp and self.device != "cpu")

    def _within_memory(self, network: Network, volume: Any, amp: bool) -> Any:
        fewer = max(1, self.sw_batch // 2)
        ways = [(self.device, self.sw_batch, 0), ("cpu", fewer, self.buffer or 1), ("cpu", 1, 1)]
        if self.buffer:
            ways[0] = ("cpu", self.sw_batch, self.buffer)
        for where, batch, buffer in ways[:-1]:
            try:
                return self._run(network, volume, where, batch, buffer, amp)
            except (RuntimeError, MemoryError) as error:
                if not devices.is_oom(error):
                    raise
            devices.free()
        return self._run(network, volume, *ways[-1], amp)

    def _run(self, network: Network, volume: Any, where: str, batch: int, buffer: int, amp: bool) -> Any:
        from monai.inferers import sliding_window_inference

        with devices.autocast(self.device, amp):
            answer = sliding_window_inference(
                plain(volume)[None].to(where),
                self.roi,
                batch,
                lambda windows: first(network(windows)).float(),
                self.overlap,
                self.mode,
                padding_mode=self.padding,
                sw_device=self.device,
                device=where,
                buffer_steps=buffer or None,
            )
        return answer[0]


def finite(run: Callable[[bool], Any], amp: bool) -> Any:
    """Return what `run(amp)` answers, in single precision where half precision overflows.

    Raises:
        StageError: when the answers are no numbers in single precision either.
    """
    for half in (True, False) if amp else (False,):
        answer = run(half)
        if bool(plain(answer).isfinite().all()):
            return answer
    raise StageError("the network's answers are no numbers", "are its weights whole, and its intensities scaled as in training?")


def first(answer: Any) -> Any:
    """Return the tensor of a network that answers with several (deep supervision: the finest comes first), or with a dict."""
    while not hasattr(answer, "shape"):
        answer = next(iter(answer.values())) if isinstance(answer, dict) else answer[0]
    return answer


def state_dict(path: Path) -> dict[str, Any]:
    """Return the state dict in a file, read as data and never executed; wrappers {"model": ...} are taken off.

    Raises:
        ConfigError: for a file that holds anything else.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the form of files that are refused below
            state = torch.load(path, map_location="cpu", weights_only=True)
        for key in ("state_dict", "model", "network", "net"):
            if isinstance(state, dict) and isinstance(state.get(key), dict):
                state = state[key]
        return {str(name): value.detach() for name, value in state.items()}
    except BROKEN as error:
        hint = f"save network.state_dict() with torch.save ({type(error).__name__}: {_line(error)})"
        raise ConfigError(f"{path.name} is no state dict", hint) from error


def load_state(network: Any, path: Path, what: str) -> None:
    """Fill `network` from a file, which must have all of its weights and no others; raise ConfigError as `state_dict` does."""
    try:
        network.load_state_dict(state_dict(path))
    except RuntimeError as error:
        raise ConfigError(f"{path.name} holds no weights of {what}", _line(error, 300)) from error


def script(path: Path, device: str) -> Any:
    """Return the TorchScript network in a file, ready to predict. Such a file holds a program: take it from whom you trust.

    Raises:
        ConfigError: for a file that is no TorchScript.
    """
    import torch

    hush()
    try:
        network = torch.jit.load(str(path), map_location=device)  # type: ignore[no-untyped-call]
    except BROKEN as error:
        raise ConfigError(f"{path.name} is no TorchScript", _line(error)) from error
    return network.eval()


def triple(values: Sequence[int], what: str) -> tuple[int, int, int]:
    """Return the setting [z, y, x] in the order (x, y, z) of tensors; raise ConfigError unless it has three whole numbers."""
    if len(values) != 3:
        raise ConfigError(f"{what} is {list(values)}", f"give three numbers: {what}=[z,y,x]")
    z, y, x = (int(one) for one in values)
    return x, y, z


def _line(error: Exception, limit: int = 200) -> str:
    return " ".join((str(error).strip() or type(error).__name__).split())[:limit]
