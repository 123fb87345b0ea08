"""Keep GDCM in processes of its own, so that a damaged frame costs one of them and not the run; they also decode side by side."""

from __future__ import annotations

import atexit
import json
import os
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any

CHILD = Path(__file__).with_name("gdcm_child.py")
_idle: LifoQueue[subprocess.Popen[bytes]] = LifoQueue()
_owner = os.getpid()


def decode(about: dict[str, Any], data: bytes) -> bytes:
    """Return the plain bytes of one frame; see `gdcm_child.decode`. Any thread may call this.

    Raises:
        ValueError: if GDCM failed, or took its process with it.
    """
    child = _child()
    try:
        words = json.dumps(about).encode()
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(struct.pack("<II", len(words), len(data)) + words + data)
        child.stdin.flush()
        length = child.stdout.read(4)
        plain = child.stdout.read(struct.unpack("<I", length)[0]) if len(length) == 4 else b""
    except BaseException as error:  # a broken pipe, or the run is being stopped: what the child says now belongs to nobody
        _end(child)
        if isinstance(error, OSError):
            raise ValueError("GDCM ended") from None
        raise
    if not plain:
        _end(child)
        raise ValueError("GDCM ended")
    _idle.put(child)
    return plain


def _child() -> subprocess.Popen[bytes]:
    """Return an idle process, or a new one; it ends when this process does, as its input ends then."""
    global _owner, _idle
    if _owner != os.getpid():  # after a fork the children are those of the parent
        _owner, _idle = os.getpid(), LifoQueue()
    try:
        return _idle.get_nowait()
    except Empty:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen([sys.executable, str(CHILD)], stdin=pipe, stdout=pipe, stderr=nothing)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.communicate()


@atexit.register
def _end_all() -> None:
    with suppress(Empty):
        while _owner == os.getpid():
            _end(_idle.get_nowait())
