"""Run one network by torch, ONNX Runtime or OpenVINO: the same weights, the same boxes, another speed.

Labels must not depend on how many pictures the run predicts together, so each backend computes with a constant batch. Measured
with yolov8n on a CPU: torch's answers differ in the last bits between batch 1 and any other (3e-4 px), for which a box at the
threshold comes or goes, but not by the place in a batch; they also differ between one thread and two. OpenVINO's and ONNX
Runtime's are the same bits for every number of threads, and OpenVINO's in float32 at every batch size. On a CPU one picture at a
time is as fast as several.
"""

from __future__ import annotations

import ast
import functools
import os
import platform
import tempfile
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla.errors import ConfigError, did_you_mean
from hyla.letterbox import Pixels
from hyla.privacy import cache

Outputs = list[npt.NDArray[np.float32]]
NAMES = ("auto", "torch", "onnx", "openvino")
TASKS = ("detect", "segment")
PACKAGES = {"onnx": ("onnxruntime",), "openvino": ("openvino",)}
OPSET = 17
STREAMS = 8  # pictures that OpenVINO computes side by side at most, as many as there are in a run's batch
ACCELERATED = 8  # pictures that a network on cuda or mps sees together, always: the last ones are made up to this number


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold what a network says of itself.

    Args:
        task: detect or segment.
        names: of its classes, by index.
        stride: its input's sides are multiples of this.
        shape: (height, width) of its input if that is fixed.
    """

    task: str
    names: tuple[str, ...]
    stride: int = 32
    shape: tuple[int, int] | None = None


class Backend(Protocol):
    """Run a network on inputs of `batch` pictures of one shape."""

    name: str
    facts: Facts
    batch: int

    def run(self, inputs: Iterable[Pixels]) -> Iterator[Outputs]:
        """Yield the outputs for each of `inputs` (batch, H, W, 3) RGB, in order; `batch` is always the same number."""
        ...


def choose(backend: str, weights: Path, device: str) -> tuple[str, str]:
    """Return the backend and the device to use for a file of weights.

    `auto` takes OpenVINO on a CPU where it is installed, and torch otherwise; for weights in ONNX it takes ONNX Runtime before
    OpenVINO. What is exported runs on the CPU.

    Raises:
        ConfigError: for an unknown backend, one that is not installed, or one that the device or the weights rule out.
    """
    if backend not in NAMES:
        raise ConfigError(f"there is no backend {backend!r}", did_you_mean(backend, NAMES), NAMES)
    exported = weights.suffix == ".onnx"
    if backend == "torch" and exported:
        raise ConfigError(f"backend=torch can't run {weights.name}", "backend=onnx or backend=openvino can, or give a .pt file")
    if backend in PACKAGES or exported:
        if devices.pick("cpu" if device == "auto" else device) != "cpu":
            raise ConfigError(f"backend={backend} runs on a CPU, not on {device}", "device=cpu, or backend=torch with a .pt file")
        if backend == "auto":
            backend = next((name for name in ("onnx", "openvino") if _installed(name)), "onnx")
        if not _installed(backend):
            raise ConfigError(f"backend={backend} needs {PACKAGES[backend][0]}", f"pip install 'hyla-driving[{backend}]'")
        return backend, "cpu"
    device = devices.pick(device)
    if backend == "auto" and device == "cpu" and _installed("openvino") and find_spec("onnx"):
        return "openvino", device
    return "torch", device


def version(backend: str) -> str:
    """Return the backend with the version of its library: `openvino 2026.4.1`."""
    return f"{backend} {metadata.version(PACKAGES.get(backend, (backend,))[0])}"


class Torch:
    """Run a torch module, channels last where that is faster (x86 CPUs, cuda)."""

    name = "torch"

    def __init__(
        self, module: Any, facts: Facts, device: str, half: bool = False, threads: int | None = None, batch: int | None = None
    ) -> None:
        import torch

        devices.set_threads(threads)
        on_cpu = device == "cpu"
        self.facts, self.device = facts, device
        self.half = half and not on_cpu
        self.batch = batch or (1 if on_cpu else ACCELERATED)
        last = device.startswith("cuda") or (on_cpu and platform.machine() in ("x86_64", "AMD64"))
        self._module = module.to(device).to(memory_format=torch.channels_last if last else torch.contiguous_format)
        torch.backends.cudnn.benchmark = False  # else the first batch chooses the algorithm by a race
        torch.backends.cudnn.deterministic = True

    def run(self, inputs: Iterable[Pixels]) -> Iterator[Outputs]:
        """Yield the outputs for each of `inputs` (batch, H, W, 3) RGB."""
        import torch

        for pixels in inputs:
            with torch.inference_mode(), devices.autocast(self.device, self.half):
                given = torch.from_numpy(np.require(pixels, requirements="W"))  # copied if it may not be written
                answer = self._module(given.to(self.device).permute(0, 3, 1, 2).float() / 255)
                outputs = [one.float().cpu().numpy() for one in (answer if isinstance(answer, (tuple, list)) else [answer])]
            yield outputs


class OnnxRuntime:
    """Run an exported network by ONNX Runtime, in float32 or what it was exported in."""

    name = "onnx"

    def __init__(self, path: Path, threads: int | None = None, batch: int | None = None) -> None:
        import onnxruntime as ort

        ort.disable_telemetry_events()  # its builds for Windows send
        options = ort.SessionOptions()
        options.intra_op_num_threads = devices.threads(threads)
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3  # errors
        try:
            self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base
            raise _unreadable(path, error) from error
        one = self._session.get_inputs()[0]
        self._input, self._dtype = one.name, np.float16 if "float16" in one.type else np.float32
        self.facts = _facts(path, self._session.get_modelmeta().custom_metadata_map, _sides(one.shape))
        self.batch = _batch(path, one.shape[0], batch)

    def run(self, inputs: Iterable[Pixels]) -> Iterator[Outputs]:
        """Yield the outputs for each of `inputs` (batch, H, W, 3) RGB."""
        for pixels in inputs:
            images = (np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)) / np.float32(255)).astype(self._dtype, copy=False)
            yield [np.asarray(one, dtype=np.float32) for one in self._session.run(None, {self._input: images})]


class OpenVino:
    """Run an exported network by OpenVINO, on a few threads of Python with a share of the cores each.

    Left to itself OpenVINO computes in bfloat16 on CPUs that have it, which moves boxes by several pixels and makes labels depend
    on the machine: it is asked for float32, unless `half` is set. Shares of the cores need not wait for each other within a
    network, which is 5 % faster on a quiet machine and 20 % on a busy one than all cores on one picture. OpenVINO's own queue of
    requests is not used, since it can hang on CPUs (https://github.com/ultralytics/ultralytics/issues/25923).
    """

    name = "openvino"

    def __init__(self, path: Path, half: bool = False, threads: int | None = None, batch: int | None = None) -> None:
        import openvino as ov
        from openvino.preprocess import PrePostProcessor

        core = _openvino()
        try:
            model = core.read_model(str(path))
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        shape = [one.get_length() if one.is_static else -1 for one in model.inputs[0].get_partial_shape()]
        known = model.get_rt_info()["framework"] if model.has_rt_info(["framework"]) else {}
        self.facts = _facts(path, {key: str(model.get_rt_info(["framework", key]).value) for key in known}, _sides(shape))
        self.batch = _batch(path, shape[0], batch)
        steps = PrePostProcessor(model)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().model().set_layout(ov.Layout("NCHW"))
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
        if model.inputs[0].get_element_type() != ov.Type.f32:
            steps.input().preprocess().convert_element_type(model.inputs[0].get_element_type())
        model = steps.build()
        model.reshape([self.batch, *(self.facts.shape or (-1, -1)), 3])
        abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precision = next((name.lower() for name in ("BF16", "FP16") if half and name in abilities), "f32").replace("fp16", "f16")
        cores = devices.threads(threads)
        streams = min(cores, STREAMS)
        config = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": cores, "NUM_STREAMS": streams}
        self._network = core.compile_model(model, "CPU", config)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(self._network.create_infer_request())
        self._pool = ThreadPoolExecutor(streams, "hyla-openvino")
        self._streams = streams

    def run(self, inputs: Iterable[Pixels]) -> Iterator[Outputs]:
        """Yield the outputs for each of `inputs` (batch, H, W, 3) RGB, while the next ones are computed."""
        waiting: deque[Future[Outputs]] = deque()
        for pixels in inputs:
            waiting.append(self._pool.submit(self._infer, pixels))
            if len(waiting) > self._streams:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _infer(self, pixels: Pixels) -> Outputs:
        request = self._requests.get()
        try:
            return [np.asarray(one, dtype=np.float32) for one in request.infer(pixels, share_inputs=True).values()]
        finally:
            self._requests.put(request)


@functools.cache
def _openvino() -> Any:
    """Return the one core of OpenVINO in this process.

    A core gives the thread a stack for its signals, and takes it away as it goes. Where several go in the order in which they
    came, the last leaves the thread with the stack of the first, which is not there any more: then Ctrl-C ends the process by a
    segmentation fault (`SigAltStackSetup` in OpenVINO's src/plugins/intel_cpu/src/plugin.cpp).
    """
    import openvino as ov

    return ov.Core()


def exported(weights: Path, digest: str, versions: Sequence[str]) -> Path:
    """Return where the ONNX export of `weights` is kept: once per content and per version of what exports it."""
    key = sha256("\n".join([digest, f"opset {OPSET}", *versions]).encode()).hexdigest()[:24]
    return cache("onnx") / f"{weights.stem}-{key}.onnx"


def export(module: Any, facts: Facts, path: Path) -> None:
    """Write `module` as ONNX with free batch and sides, and with its facts, so that `path` holds all of it or does not exist.

    Raises:
        ConfigError: when a package is missing or torch can't export the network.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigError("exporting a network needs onnx", "pip install 'hyla-driving[openvino]', or backend=torch") from error
    import torch

    outputs = ["output0"] if facts.task == "detect" else ["output0", "output1"]
    free = {"images": {0: "batch", 2: "height", 3: "width"}, "output0": {0: "batch", 2: "anchors"}}
    free |= {"output1": {0: "batch", 2: "mask_height", 3: "mask_width"}} if facts.task == "segment" else {}
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder) / path.name
        try:
            with warnings.catch_warnings():
                # The exporter by tracing is deprecated, but the new one needs another package and fixes the sides.
                warnings.simplefilter("ignore", DeprecationWarning)
                warnings.simplefilter("ignore", FutureWarning)
                warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]  # lengths taken as constants
                sample = torch.zeros(1, 3, 10 * facts.stride, 12 * facts.stride)
                torch.onnx.export(
                    module, (sample,), str(draft), opset_version=OPSET, input_names=["images"], output_names=outputs,
                    dynamic_axes=free, dynamo=False,
                )  # fmt: skip
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ConfigError(f"torch can't export {path.stem}: {error}", "backend=torch runs it as it is") from error
        model = onnx.load(draft)
        onnx.helper.set_model_props(
            model, {"task": facts.task, "names": repr(dict(enumerate(facts.names))), "stride": str(facts.stride)}
        )
        onnx.save(model, draft)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)


def _installed(backend: str) -> bool:
    return all(find_spec(name) is not None for name in PACKAGES[backend])


def _sides(shape: Sequence[Any]) -> tuple[int, int] | None:
    """Return (height, width) of an input (batch, channels, height, width) if both are fixed numbers."""
    sides = [one for one in shape[2:] if isinstance(one, int) and one > 0]
    return (sides[0], sides[1]) if len(shape) == 4 and len(sides) == 2 else None


def _batch(path: Path, fixed: Any, wanted: int | None) -> int:
    if not isinstance(fixed, int) or fixed < 1:
        return wanted or 1
    if wanted not in (None, fixed):
        raise ConfigError(f"{path.name} was exported for batches of {fixed}, not {wanted}", "network_batch=null")
    return fixed


def _facts(path: Path, known: Mapping[str, str], shape: tuple[int, int] | None) -> Facts:
    try:
        names = ast.literal_eval(known["names"])
        names = dict(enumerate(names)) if isinstance(names, list) else names
        ordered = tuple(str(names[i]) for i in range(len(names)))
        return Facts(known["task"], ordered, int(known.get("stride", "32")), shape)
    except (KeyError, ValueError, SyntaxError, TypeError) as error:
        raise ConfigError(
            f"{path.name} is no YOLO network as ultralytics exports it: it names no task and no classes",
            "give a .pt file, or an .onnx exported by ultralytics",
        ) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"{path.name} is no network that can be read: {str(error).strip().splitlines()[0]}", "is the file complete?"
    )
