"""The command line as a user meets it: verbs, messages without tracebacks, exit statuses, and what a verb imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hyla.cli import VERBS, main

HEAVY = ("torch", "hydra", "ultralytics", "cv2", "av", "pandas", "pyarrow")


def hyla(*words: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hyla.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, check=False)


@pytest.fixture
def project(toy: Path, tmp_path: Path) -> Path:
    (tmp_path / "a.toy").write_text("clip 6\n- one\nbadclip 3\n")
    done = hyla("run", "preset=toy", f"source={tmp_path / 'a.toy'}", f"out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    return tmp_path / "out"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_imports_nothing_heavy(verb: str) -> None:
    code = (
        f"import sys; from hyla.cli import main\ntry: main([{verb!r}, '--help'])\nexcept SystemExit as end: assert not end.code"
    )
    heavy = [name for name in HEAVY if not (verb == "run" and name == "hydra")]
    code += f"\nbad = [n for n in {heavy!r} if n in sys.modules]; assert not bad, bad"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 100


@pytest.mark.parametrize("verb", ["presets", "plugins", "status", "verify", "export"])
def test_light_verbs_import_neither_torch_nor_hydra(verb: str, project: Path) -> None:
    words = {"presets": [], "plugins": [], "export": ["--list"]}.get(verb, [str(project)])
    code = f"import sys; from hyla.cli import main; assert main({[verb, *words]!r}) == 0; "
    code += f"bad = [n for n in {HEAVY!r} if n in sys.modules]; assert not bad, bad"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_presets_lists_what_is_offered_and_by_whom(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--json"]) == 0
    rows = {row["preset"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["toy"]["distribution"] == "hyla-toy"
    assert rows["toy"]["about"] == "Numbers as pictures, for tests."


def test_status_and_verify_answer_in_json(project: Path) -> None:
    status = json.loads(hyla("status", project, "--json").stdout)
    assert status["items"] == 10
    assert status["quarantined"] == 1
    proof = json.loads(hyla("verify", project, "--json").stdout)
    assert proof["ok"]
    assert proof["annotations"] == 9


def test_run_prints_what_to_do_next_and_json_on_request(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toy").write_text("clip 3\n")
    words = ["run", "preset=toy", f"source={tmp_path / 'a.toy'}", f"out={tmp_path / 'out'}"]
    assert f"hyla status {tmp_path / 'out'}" in hyla(*words).stdout
    assert json.loads(hyla(*words, "--json").stdout)["items"] == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rnu"], "did you mean 'run'?"),
        (["run"], "no preset is chosen"),
        (["run", "preset=toy"], "source is not set"),
        (["run", "preset=toi", "source=."], "did you mean 'toy'?"),
        (["run", "preset=surveillance", "source=."], "pip install hyla-surveillance"),
        (["run", "preset=toy", "source=/nowhere"], "does not exist"),
        (["run", "preset=toy", "source=.", "sede=3"], "there is no setting 'sede'"),
        (["run", "preset=toy", "source=.", "batch=many"], "batch is 'many'"),
        (["run", "preset=toy", "source=.", "batch=0"], "batch is 0"),
        (["run", "preset=toy", "source=.", "+rules.bright.abvoe=1"], "did you mean 'above'?"),
        (["run", "preset=toy", "source=.", "rules.bright.above=high"], "rules.bright.above is 'high'"),
        (["run", "preset=toy", "source=.", "model=yolo9"], "no model is named 'yolo9'"),
        (["run", "preset=toy", "source=.", "rules.bright._target_=os.system"], "not inside hyla or an installed plugin"),
        (["status", "/nowhere"], "/nowhere"),
        (["export", ".", "--format", "cocoo", "--to", "x"], "project"),
        (["export"], "export needs DIR"),
    ],
)
def test_mistakes_get_one_clear_message_and_no_traceback(toy: Path, tmp_path: Path, words: list[str], says: str) -> None:
    done = hyla(*words, cwd=tmp_path, HYLA_PLUGINS="toy")
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "hyla-out").exists()


def test_a_sweep_writes_each_job_to_its_own_folder(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toy").write_text("clip 3\n")
    done = hyla(
        "run", "-m", "preset=toy", f"source={tmp_path / 'a.toy'}", f"out={tmp_path / 'out'}", "rules.bright.above=0.1,0.9"
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads((tmp_path / f"out/{n}/summary.json").read_text())["review"] for n in (0, 1)] == [3, 1]


def test_cfg_job_shows_the_settings_and_runs_nothing(toy: Path, tmp_path: Path) -> None:
    done = hyla("run", "preset=toy", "source=x", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0
    assert "above: 0.5" in done.stdout
    assert list(tmp_path.iterdir()) == [toy]


@pytest.mark.parametrize("name", ["with space", "a,b", "k=v", "it's", "[x] {y}", "100%", "ünï"])
def test_any_path_can_be_a_source(toy: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a.toy").write_text("clip 2\n")
    done = hyla("run", "preset=toy", f"source={folder / 'a.toy'}", f"out={folder / 'out'}", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"] == 2


def test_a_read_only_folder_is_refused_before_work(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toy").write_text("clip 3\n")
    done = hyla("run", "preset=toy", f"source={tmp_path / 'a.toy'}", "out=/proc/hyla/out")  # which root can't write either
    assert done.returncode == 1
    assert "/proc/hyla" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_is_a_file_is_refused_before_work(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toy").write_text("clip 3\n")
    (tmp_path / "out").write_text("mine")
    done = hyla("run", "preset=toy", f"source={tmp_path / 'a.toy'}", f"out={tmp_path / 'out'}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out").read_text() == "mine"
