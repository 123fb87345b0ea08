from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext

import pytest

from hyla import device
from hyla.errors import ConfigError

torch = pytest.importorskip("torch")


@pytest.fixture
def machine(monkeypatch):
    """Pretend to be a machine with so many CUDA devices, and with or without Apple's."""

    def pretend(cuda: int = 0, mps: bool = False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("there", "wanted", "got"),
    [
        ({}, "auto", "cpu"),
        ({"cuda": 2}, "auto", "cuda"),
        ({"mps": True}, "auto", "mps"),
        ({"cuda": 1, "mps": True}, "auto", "cuda"),
        ({"cuda": 2}, "cuda:1", "cuda:1"),
        ({"cuda": 2}, "cpu", "cpu"),
        ({"mps": True}, "mps", "mps"),
    ],
)
def test_pick_takes_the_best_device_or_the_one_that_is_named(machine, there, wanted, got):
    machine(**there)
    assert device.pick(wanted) == got


@pytest.mark.parametrize(("there", "wanted"), [({}, "cuda"), ({}, "mps"), ({"cuda": 2}, "cuda:2"), ({"mps": True}, "cuda")])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, there, wanted):
    machine(**there)
    with pytest.raises(ConfigError, match="not available") as caught:
        device.pick(wanted)
    assert "cpu" in caught.value.choices
    assert wanted not in caught.value.choices


@pytest.mark.parametrize("wanted", ["gpu", "cuda:", "cuda:x", "", "CPU"])
def test_a_word_that_is_no_device_is_refused_with_the_words_that_are(wanted):
    with pytest.raises(ConfigError, match="no device") as caught:
        device.pick(wanted)
    assert caught.value.choices == sorted(device.FORMS)


def test_without_torch_auto_is_the_cpu_and_cuda_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert device.pick("auto") == "cpu"
    with pytest.raises(ConfigError, match="needs torch"):
        device.pick("cuda")


def test_nothing_but_torch_devices_imports_torch():
    code = (
        "import sys; from hyla import device; device.pick('cpu'); device.is_oom(MemoryError()); device.free();"
        "device.autocast('cpu').__enter__(); device.threads(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
        ),
    ],
)
def test_out_of_memory_is_recognised_also_as_a_cause(error):
    assert device.is_oom(error)
    with pytest.raises(ValueError, match="failed") as caught:
        _fail_because_of(error)
    assert device.is_oom(caught.value)


def _fail_because_of(error: BaseException) -> None:
    try:
        raise error
    except (MemoryError, RuntimeError) as inner:
        raise ValueError("predict failed") from inner


@pytest.mark.parametrize("error", [None, ValueError("out of memory"), RuntimeError("sizes do not match"), KeyError("x")])
def test_other_errors_are_no_out_of_memory(error):
    assert not device.is_oom(error)


def test_a_circle_of_causes_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert not device.is_oom(first)


def test_autocast_changes_nothing_on_a_cpu_and_is_half_precision_elsewhere(monkeypatch):
    assert isinstance(device.autocast("cpu"), nullcontext)
    assert isinstance(device.autocast("cuda:1", enabled=False), nullcontext)
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: asked.append((kind, dtype)))
    device.autocast("cuda:1")
    assert asked == [("cuda", torch.float16)]


def test_threads_are_the_cores_of_this_process_unless_given():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert device.threads() == cores
    assert device.threads(3) == 3
    with pytest.raises(ConfigError, match="threads is 0"):
        device.threads(0)


def test_set_threads_tells_torch():
    before = torch.get_num_threads()
    try:
        assert device.set_threads(1) == torch.get_num_threads() == 1
        assert device.set_threads() == torch.get_num_threads() == device.threads()
    finally:
        torch.set_num_threads(before)


def test_free_is_harmless_without_an_accelerator(machine):
    machine()
    device.free()
