"""Let one run at a time write into a project, and one server at a time review it.

The operating system holds the lock for the process and drops it when the process ends, however it ends: nothing is left to clean
up after `kill -9`. Reading takes no lock, and a review and a run go on side by side.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from hyla.errors import StoreError
from hyla.store.faults import system_errors

NAME = "run.lock"
_TRIES, _PAUSE = 10, 0.02  # `running` holds the lock for a moment, which must not turn a run away


class RunLock:
    """Hold the lock of the project in `folder` from construction to `release`; a context manager.

    Raises:
        StoreError: if another process holds it.
    """

    name = NAME
    taken = ("another run is writing to {}", "wait for it, stop it, or give another folder: out=DIR")

    def __init__(self, folder: Path) -> None:
        with system_errors(folder):
            self._fd: int | None = os.open(folder / self.name, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with system_errors(folder):
                self._take(self._fd, folder)
        except StoreError:
            self.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _take(self, fd: int, folder: Path) -> None:
        for left in reversed(range(_TRIES)):
            if _try_lock(fd):
                return
            if left:
                time.sleep(_PAUSE)
        what, hint = self.taken
        raise StoreError(what.format(folder), hint)

    def release(self) -> None:
        """Let the next one in; may be called twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class ReviewLock(RunLock):
    """Hold the right to serve the review page of a project: leases live in the memory of one server."""

    name = "review.lock"
    taken = ("{} is being reviewed by another `hyla review`", "use the page that it serves, or stop it")


def running(folder: Path) -> bool:
    """Tell whether a run is writing to the project in `folder` now."""
    try:
        fd = os.open(folder / NAME, os.O_RDWR)
    except OSError:  # no run ever, or a folder that can't be written to
        return False
    try:
        return not _try_lock(fd)
    finally:
        os.close(fd)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> bool:
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
