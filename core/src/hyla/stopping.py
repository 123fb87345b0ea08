"""Hear that a run is to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_signs() -> Iterator[threading.Event]:
    """Give an event that the first Ctrl-C or SIGTERM sets; the second ends the process as usual.

    Outside the main thread (a notebook server) signals are left alone.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    signs = (signal.SIGINT, signal.SIGTERM)
    before: Mapping[signal.Signals, Any] = {sign: signal.getsignal(sign) for sign in signs}

    def note(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for sign in signs:
            signal.signal(sign, before[sign])

    for sign in signs:
        signal.signal(sign, note)
    try:
        yield stop
    finally:
        for sign in signs:
            signal.signal(sign, before[sign])
