"""Keep everything on this machine: switch off what libraries send, and prove in a test that nothing is sent."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hyla.errors import HylaError

# Each is looked at by the library named beside it, most of them once: when it is imported.
SWITCHES = {
    "YOLO_OFFLINE": "true",  # ultralytics: no events, no version check, no look-up of names at import
    "YOLO_AUTOINSTALL": "false",  # ultralytics: no pip install of what is missing
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",  # ultralytics: weights are data, never code
    "ULTRALYTICS_PLATFORM_URL": "http://127.0.0.1:9",  # ultralytics: the discard port of this machine
    "NO_ALBUMENTATIONS_UPDATE": "1",  # albumentations: no version check
    "HF_HUB_OFFLINE": "1",  # huggingface_hub
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",  # ray
    "FIFTYONE_DO_NOT_TRACK": "true",  # fiftyone
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime, whose builds for Windows send
    "QUERY_FARM_TELEMETRY_OPT_OUT": "1",  # extensions of DuckDB that geoparquet-io loads
    "WANDB_MODE": "disabled",
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",  # a convention that several libraries follow: consoledonottrack.com
}
KEYS = ("ULTRALYTICS_API_KEY",)  # with a key in the environment, training would upload


def offline() -> None:
    """Switch off telemetry, downloads, update checks and automatic installs of the libraries that stages use.

    Called at the start of a run, before a stage is imported, since most libraries look at their switches at import. Calling it
    again changes nothing. It sets variables of the environment, so that worker processes inherit it.

    openvino has no such variable: importing it sends an event through the package `openvino_telemetry` unless a file in the
    home folder says no. That package is hidden from it, and openvino then uses its own silent stand-in.
    """
    os.environ.update(SWITCHES)
    for name in KEYS:
        os.environ.pop(name, None)
    os.environ["YOLO_CONFIG_DIR"] = str(cache("ultralytics"))  # not the user's own settings, in which `sync` may be on
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def cache(name: str) -> Path:
    """Return the folder `name` in the user's cache ($XDG_CACHE_HOME/hyla or ~/.cache/hyla), made if need be.

    Where that can't be written, it is a folder of this user, which nobody else can read, among the temporary files.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path(os.path.expanduser("~"), ".cache")  # noqa: PTH111
    folder = root / "hyla" / name
    with suppress(OSError):  # a read-only home, as in many containers
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = _private() / name
    folder.mkdir(exist_ok=True)
    return folder


def _private() -> Path:
    """Return a folder among the temporary files that belongs to this user alone."""
    if not hasattr(os, "getuid"):
        return Path(tempfile.mkdtemp(prefix="hyla-"))
    folder = Path(tempfile.gettempdir()) / f"hyla-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
        if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o077:
            return folder
    return Path(tempfile.mkdtemp(prefix="hyla-"))  # somebody else laid something there


class NetworkUsed(HylaError):
    """Report that something tried to reach the network inside `no_network`."""


@contextmanager
def no_network() -> Iterator[list[str]]:
    """Refuse every connection and name look-up that leaves this machine, and yield the list of attempts; for tests.

    Loopback and unix sockets work. What Python's socket module does is seen; a C library with sockets of its own is not, nor is
    another process.

    Raises:
        NetworkUsed: at the attempt, and again at the end if the attempt was made but its error swallowed.
    """
    from unittest.mock import patch

    attempts: list[str] = []

    def guarded(original: Callable[..., Any], place: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            target = place(*args, **kwargs)
            if leaves(target):
                attempts.append(str(target))
                raise NetworkUsed(f"something tried to reach {target!r}", "nothing may leave this machine: see hyla.privacy")
            return original(*args, **kwargs)

        return call

    def of_socket(one: socket.socket, *args: Any) -> Any:  # the address is the last argument of connect and of sendto
        inet = one.family in (socket.AF_INET, socket.AF_INET6)
        return args[-1][0] if inet and args and isinstance(args[-1], tuple) else None

    def of_name(host: Any = None, *_: Any, **__: Any) -> Any:
        return host

    def of_message(one: socket.socket, *args: Any) -> Any:  # sendmsg(buffers, ancillary, flags, address)
        return of_socket(one, args[3]) if len(args) > 3 else None

    def patched(owner: Any, name: str, place: Callable[..., Any]) -> Any:
        return patch.object(owner, name, guarded(getattr(owner, name), place))

    guards = [patched(socket.socket, name, of_socket) for name in ("connect", "connect_ex", "sendto")]
    if hasattr(socket.socket, "sendmsg"):
        guards.append(patched(socket.socket, "sendmsg", of_message))
    names = ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")
    guards += [patched(socket, name, of_name) for name in names]
    for guard in guards:
        guard.start()
    try:
        yield attempts
    finally:
        for guard in reversed(guards):
            guard.stop()
    if attempts:
        raise NetworkUsed(f"something tried to reach {', '.join(attempts)}, and went on when it could not")


def leaves(host: Any) -> bool:
    """Tell whether `host` (a name, an address or nothing) is another machine."""
    if host is None:
        return False
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in ("", "localhost", "ip6-localhost") or name.endswith(".localhost"):
        return False
    try:
        return not (ipaddress.ip_address(name.partition("%")[0]).is_loopback or ipaddress.ip_address(name).is_unspecified)
    except ValueError:
        return name.lower() != socket.gethostname().lower()
