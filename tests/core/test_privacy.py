from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from hyla import privacy


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """Undo what `offline` does to this process."""
    for name in [*privacy.SWITCHES, *privacy.KEYS, "YOLO_CONFIG_DIR"]:
        monkeypatch.setenv(name, "as it was")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_offline_sets_every_switch_over_what_was_there(clean):
    privacy.offline()
    assert {name: os.environ[name] for name in privacy.SWITCHES} == privacy.SWITCHES
    assert Path(os.environ["YOLO_CONFIG_DIR"]).is_relative_to(clean)


def test_offline_takes_away_keys_with_which_a_library_would_upload(clean):
    privacy.offline()
    assert "ULTRALYTICS_API_KEY" not in os.environ


def test_offline_twice_is_the_same_as_once(clean):
    privacy.offline()
    once = dict(os.environ)
    privacy.offline()
    assert dict(os.environ) == once


def _run(code: str, home: Path) -> str:
    env = {k: v for k, v in os.environ.items() if k not in (*privacy.SWITCHES, "YOLO_CONFIG_DIR", "XDG_CACHE_HOME")} | {
        "HOME": str(home)
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")
def test_ultralytics_reads_the_switches_and_reaches_for_nothing_at_import(tmp_path):
    out = _run(
        "from hyla import privacy; privacy.offline()\n"
        "with privacy.no_network():\n"
        "    from ultralytics import utils\n"
        "    from ultralytics.utils.events import events\n"
        "print(utils.ONLINE, utils.AUTOINSTALL, utils.SAFE_LOAD, events.enabled, utils.SETTINGS_FILE)",
        tmp_path,
    )
    online, install, safe, events, settings = out.split()
    assert (online, install, safe, events) == ("False", "False", "True", "False")
    assert Path(settings).is_relative_to(tmp_path / ".cache" / "hyla")


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_sends_nothing_at_import_and_leaves_no_identity_in_the_home_folder(tmp_path):
    _run("from hyla import privacy; privacy.offline()\nwith privacy.no_network():\n    import openvino", tmp_path)
    assert not (tmp_path / "intel").exists()


def test_the_cache_is_in_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert privacy.cache("onnx") == tmp_path / "x" / "hyla" / "onnx"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the standard
    monkeypatch.setenv("HOME", str(tmp_path))
    assert privacy.cache("onnx") == tmp_path / ".cache" / "hyla" / "onnx"


def test_a_home_that_cannot_be_written_gives_a_private_temporary_folder(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(privacy.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = privacy.cache("onnx")
    assert folder.is_dir()
    assert folder.is_relative_to(tmp_path)
    assert folder.parent.stat().st_mode & 0o077 == 0
    assert privacy.cache("onnx") == folder


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owner here")
def test_a_temporary_folder_that_others_can_write_is_not_used(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    laid = tmp_path / f"hyla-{os.getuid()}"
    laid.mkdir()
    laid.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(privacy.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(privacy.tempfile, "tempdir", str(tmp_path))
    assert not privacy.cache("onnx").is_relative_to(laid)


@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.create_connection(("192.0.2.1", 9), timeout=1),
        lambda: socket.getaddrinfo("example.org", 443),
        lambda: socket.gethostbyname("example.org"),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b"x"], [], 0, ("192.0.2.1", 9)),
        lambda: socket.socket(socket.AF_INET).connect_ex(("192.0.2.1", 9)),
        lambda: socket.socket(socket.AF_INET6).connect(("2001:db8::1", 9)),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the socket of the refused attempt
def test_no_network_refuses_what_leaves_this_machine(attempt):
    with pytest.raises(privacy.NetworkUsed, match="tried to reach"), privacy.no_network():
        attempt()


def test_an_attempt_whose_error_was_swallowed_is_still_reported():
    guard = privacy.no_network()
    attempts = guard.__enter__()
    with suppress(privacy.NetworkUsed):
        socket.getaddrinfo("example.org", 443)
    assert attempts == ["example.org"]
    with pytest.raises(privacy.NetworkUsed, match=r"example\.org"):
        guard.__exit__(None, None, None)


def test_loopback_and_unix_sockets_work_without_a_network(tmp_path):
    with privacy.no_network() as attempts:
        server = socket.create_server(("127.0.0.1", 0))
        got = []
        thread = threading.Thread(target=lambda: got.append(server.accept()[0]))
        thread.start()
        client = socket.create_connection(("localhost", server.getsockname()[1]), timeout=10)
        thread.join()
        client.sendall(b"hello")
        assert got[0].recv(5) == b"hello"
        for one in (client, got[0], server):
            one.close()
        if hasattr(socket, "AF_UNIX"):
            with socket.socket(socket.AF_UNIX) as there, socket.socket(socket.AF_UNIX) as here:
                there.bind(str(tmp_path / "s"))
                there.listen()
                here.connect(str(tmp_path / "s"))
    assert attempts == []


def test_no_network_ends_with_its_block():
    connect, look_up = socket.socket.connect, socket.getaddrinfo
    with privacy.no_network():
        assert socket.getaddrinfo is not look_up
    assert socket.socket.connect is connect
    assert socket.getaddrinfo is look_up
