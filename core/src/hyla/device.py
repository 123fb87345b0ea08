"""Choose where a network runs, and recognise when memory is full; torch is imported only when one of its devices is asked for."""

from __future__ import annotations

import os
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from hyla.errors import ConfigError

FORMS = ("auto", "cpu", "cuda", "cuda:N", "mps")
FULL = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


def pick(device: str = "auto") -> str:
    """Return the name of the device to use: cpu, cuda, cuda:N or mps. `auto` takes cuda before mps before cpu.

    Raises:
        ConfigError: for a device that this machine does not have, or no device at all; `choices` are those it has.
    """
    if device == "cpu":
        return device
    if not re.fullmatch(r"auto|mps|cuda(:\d+)?", device):
        raise ConfigError(f"there is no device {device!r}", choices=FORMS)
    try:
        import torch
    except ImportError as error:
        if device == "auto":
            return "cpu"
        raise ConfigError(f"device {device!r} needs torch, which is not installed", "pip install torch, or device=cpu") from error
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *there]
    if device == "auto":
        return there[0]
    if device not in there:
        why = "" if torch.version.cuda or not device.startswith("cuda") else "; the installed torch is built without CUDA"
        raise ConfigError(
            f"device {device!r} is not available on this machine{why}", "device=auto takes the best there is", there
        )
    return device


def autocast(device: str, enabled: bool = True) -> AbstractContextManager[Any]:
    """Return a context in which torch computes in half precision (float16) on cuda and mps; on a CPU it changes nothing."""
    kind = device.partition(":")[0]
    if not enabled or kind == "cpu":
        return nullcontext()
    import torch

    return torch.autocast(kind, dtype=torch.float16)


def threads(count: int | None = None) -> int:
    """Return how many threads to compute with: `count`, or as many as this process may use cores.

    Raises:
        ConfigError: for a count below 1.
    """
    if count is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 1:
        raise ConfigError(f"threads is {count}", "give at least 1, or null for one per core")
    return count


def set_threads(count: int | None = None) -> int:
    """Let torch compute with `threads(count)` threads, and return the number.

    Libraries set another number in passing (ultralytics one less than there are cores), so call it after importing them.
    """
    import torch

    number = threads(count)
    torch.set_num_threads(number)
    return number


def is_oom(error: BaseException | None) -> bool:
    """Tell whether `error`, or what caused it, says that memory ran out: of the device or of the machine."""
    torch = sys.modules.get("torch")
    kinds = (MemoryError,) if torch is None else (MemoryError, torch.OutOfMemoryError)
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, kinds) or (isinstance(error, RuntimeError) and FULL.search(str(error))):
            return True
        error = error.__cause__ or error.__context__
    return False


def free() -> None:
    """Give memory that torch keeps for later back to the device; torch is not imported for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
