"""The settings: what a preset composes to, and every trap on the way there answered with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hyla
from hyla import cli, config, plugins
from hyla.errors import ConfigError

Install = Callable[..., Path]

PRESET = """
    # @package _global_
    # Roads, for tests.
    defaults:
      - override /loader: folder
      - override /model: none
    schema: {name: road, classes: {car: {}, person: {}}}
    rules:
      tall: {_target_: acme_road.rules.Tall, px: 12}
"""
RULES = """
    from hyla import Rule, hookimpl

    class Tall(Rule):
        def __init__(self, name: str, px: float = 10, note: str = "", near: list[str] | None = None):
            self.name, self.px, self.note, self.near = name, px, note, near
"""


@pytest.fixture
def road(install: Install) -> Install:
    install("road", {"conf/preset/road.yaml": PRESET, "rules.py": RULES})
    return install


def preset(target: str, **settings: Any) -> str:
    node = json.dumps({"_target_": target, **settings})
    head = "# @package _global_\ndefaults: [override /loader: folder, override /model: none]\nschema: {classes: {a: {}}}\n"
    return f"{head}rules: {{one: {node}}}\n"


def refused(*words: Any, **settings: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        config.stages(hyla.compose(*words, **{"source": ".", **settings}))
    return str(caught.value)


# What composes.


def test_a_preset_overrides_core_and_the_user_overrides_the_preset(road: Install) -> None:
    assert hyla.compose("road", source="x").rules == {"tall": {"_target_": "acme_road.rules.Tall", "px": 12}}
    changed = hyla.compose("road", "rules.tall.px=20", "+rules.tall.note=high", source="x", batch=4, default="review")
    assert changed.rules["tall"] == {"_target_": "acme_road.rules.Tall", "px": 20, "note": "high"}
    assert (changed.preset, changed.batch, changed.default, changed.engine["workers"]) == ("road", 4, "review", 0)


def test_when_two_people_agree_is_no_matter_of_the_labels(road: Install) -> None:
    run = hyla.compose("road", source="x", agree_iou=0.667)
    assert run.agree_iou == 0.667
    assert run.settings() == hyla.compose("road", source="x").settings()


def test_a_rule_can_be_taken_out(road: Install) -> None:
    assert hyla.compose("road", "~rules.tall", source="x").rules == {}


def test_a_rule_that_is_null_is_taken_out(road: Install) -> None:
    built, _ = config.stages(hyla.compose("road", "rules.tall=null", source="x"))
    assert list(built) == ["loader", "model"]


def test_a_third_party_preset_stands_on_an_installed_one_without_code(road: Install) -> None:
    road("mine", {"conf/preset/mine.yaml": "# @package _global_\ndefaults: [road, _self_]\nrules: {tall: {px: 40}}\nbatch: 2\n"})
    mine = hyla.compose("mine", source="x")
    assert (mine.preset, mine.batch, mine.schema["name"]) == ("mine", 2, "road")
    built, _ = config.stages(mine)
    assert (built["rules.tall"].px, built["rules.tall"].name) == (40, "tall")


def test_composing_leaves_the_working_directory_and_hydra_as_they_were(road: Install) -> None:
    from hydra.core.global_hydra import GlobalHydra

    before = Path.cwd()
    hyla.compose("road", source="x")
    assert Path.cwd() == before
    assert not GlobalHydra.instance().is_initialized()


def test_stages_know_their_name_and_schema(install: Install) -> None:
    rules = """
        from hyla import Rule

        class Wants(Rule):
            def __init__(self, schema, name, px=1):
                self.schema, self.name = schema, name
    """
    install("wants", {"conf/preset/wants.yaml": preset("acme_wants.rules.Wants"), "rules.py": rules})
    built, schema = config.stages(hyla.compose("wants", source="x"))
    assert built["rules.one"].schema is schema
    assert built["rules.one"].name == "one"


@pytest.mark.parametrize(
    "value",
    [
        "my clips", "a,b", "x=y", "it's", 'say "hi"', r"back\slash", r"ends\\", r"it\'s", "[1]", "{a: b}", "(x)", "100%", "#1",
        "$HOME", "{seed}x", "~/x", "null", "true", "12", "", "ünïcode", "a:b", "*?", "@x", "new\tline", " lead",
    ],
)  # fmt: skip
def test_any_path_arrives_as_it_was_given(road: Install, value: str) -> None:
    assert hyla.compose("road", source=value).source == value


def test_a_path_of_any_name_arrives_through_the_command_line(road: Install, hydra_words: Callable[..., str]) -> None:
    for name in ("my clips", "a,b", "x=y", "it's", 'say "hi"', "[1]", "{a: b}", "(x)", "100%", "~x", "ünï", r"back\slash"):
        assert load(hydra_words("preset=road", f"source={name}", "--cfg", "job"))["source"] == name


# The traps.


def test_two_distributions_with_one_preset_name_are_both_named(road: Install) -> None:
    road("rival", {"conf/preset/road.yaml": PRESET}, distribution="rival-roads")
    message = refused("road")
    assert "acme-road" in message
    assert "rival-roads" in message
    assert "HYLA_PLUGINS" in message


def test_only_the_wanted_plugins_are_offered(road: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    road("rival", {"conf/preset/road.yaml": PRESET.replace("px: 12", "px: 99")}, distribution="rival-roads")
    monkeypatch.setenv("HYLA_PLUGINS", "rival")
    hyla.plugins.installed.cache_clear()
    assert hyla.compose("road", source="x").rules["tall"]["px"] == 99


def test_a_plugin_without_conf_is_passed_over_and_its_preset_not_found(road: Install) -> None:
    road("bare", {"stages.py": ""})
    assert hyla.compose("road", source="x").preset == "road"
    message = refused("bare")
    assert "acme-bare is installed but offers nothing" in message
    assert "no folder conf" in message


def test_a_setting_left_open_says_which_one_to_give(road: Install, install: Install) -> None:
    with pytest.raises(ConfigError, match="source is not set") as caught:
        hyla.compose("road")
    assert "add source=/path/to/data" in str(caught.value)
    text = preset("acme_open.rules.Tall", px="???")
    install("open", {"conf/preset/open.yaml": text, "rules.py": RULES})
    assert "add rules.one.px=VALUE" in refused("open")


def test_a_preset_without_a_model_says_so(install: Install) -> None:
    install("bare", {"conf/preset/bare.yaml": "# @package _global_\nschema: {classes: {a: {}}}\n"})
    message = refused("bare")
    assert "model is not set" in message
    assert "add model=NAME" in message


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "hyla.cli.sys.exit",
        "hyla.cli.Path",
        "hyla.cli.main",
        "hyla.errors.__builtins__.eval",
        "hyla.loop.signal.Signals",
        "hyla..os.system",
        "hyla.",
        "hyla",
        ".hyla.errors.HylaError",
        "hylax.evil.Run",
        "hyla_evil.Run",
        "hyla/errors.HylaError",
        "hyla.errors.Nothing",
        "hyla.nothing.Nothing",
        "",
    ],
)
def test_yaml_can_name_only_classes_of_hyla_and_installed_plugins(install: Install, target: str) -> None:
    install("evil", {"conf/preset/evil.yaml": preset(target)})
    message = refused("evil")
    assert message.startswith("rules.one")
    assert repr(target) in message


def test_a_target_in_an_installed_plugin_that_comes_from_elsewhere_is_refused(install: Install) -> None:
    install("evil", {"conf/preset/evil.yaml": preset("acme_evil.rules.Popen"), "rules.py": "from subprocess import Popen"})
    assert "not a class of hyla or an installed plugin" in refused("evil")


def test_a_target_whose_module_fails_is_named_with_the_error(install: Install) -> None:
    install("evil", {"conf/preset/evil.yaml": preset("acme_evil.rules.Tall"), "rules.py": "1 / 0"})
    assert "'acme_evil.rules.Tall' can't be imported: ZeroDivisionError" in refused("evil")


@pytest.mark.parametrize("word", ["+rules.tal.px=3", "+rules.tal=3", "~rules.tall._target_"])
def test_a_stage_without_a_target_is_refused(road: Install, word: str) -> None:
    assert "does not say what to build" in refused("road", word)


def test_a_misspelt_rule_names_the_nearest(road: Install) -> None:
    assert "did you mean 'rules.tall'?" in refused("road", "+rules.tal.px=3")


def test_a_nested_target_is_guarded_like_any_other(install: Install) -> None:
    deep = {"members": {"a": {"b": [{"_target_": "os.system", "command": "true"}]}}}
    install("evil", {"conf/preset/evil.yaml": preset("hyla.ensemble.Ensemble", **deep)})
    assert refused("evil").startswith("rules.one.members.a.b[0]")


def test_hydras_own_words_for_building_are_not_settings(install: Install) -> None:
    install("evil", {"conf/preset/evil.yaml": preset("acme_evil.rules.Tall", _partial_=True), "rules.py": RULES})
    assert "has no setting '_partial_'" in refused("evil")


@pytest.mark.parametrize("entry", ["/hyla", "hyla", "/hyla@_global_", "override /hyla: x"])
def test_a_preset_that_lists_the_primary_config_is_refused(install: Install, entry: str) -> None:
    install(
        "loop",
        {"conf/preset/loop.yaml": f"# @package _global_\ndefaults: ['{entry}', _self_]\nschema: {{classes: {{a: {{}}}}}}\n"},
    )
    refused("loop")


@pytest.mark.parametrize("other", ["loop", "/preset/loop", "loop2"])
def test_presets_that_stand_on_each_other_are_refused(install: Install, other: str) -> None:
    files = {"conf/preset/loop.yaml": f"# @package _global_\ndefaults: [{other}, _self_]\n"}
    files["conf/preset/loop2.yaml"] = "# @package _global_\ndefaults: [loop, _self_]\n"
    install("loop", files)
    assert "circle" in refused("loop")


def test_yaml_at_the_root_of_a_plugin_is_refused(road: Install) -> None:
    road("root", {"conf/hyla.yaml": "seed: 1\n"})
    message = refused("road")
    assert "acme-root has hyla.yaml at the root" in message
    assert "conf/preset/" in message


def test_a_misspelt_setting_names_the_nearest(road: Install) -> None:
    assert "did you mean 'seed'?" in refused("road", "sede=1")
    assert "did you mean 'batch'?" in refused("road", batsh=1)


def test_a_misspelt_setting_of_a_stage_names_the_nearest(road: Install) -> None:
    for word in ("+rules.tall.pxx=1", "++rules.tall.pxx=1"):
        assert "did you mean 'px'?" in refused("road", word)
    assert "+rules.tall.pxx=" in refused("road", "rules.tall.pxx=1")


def test_a_misspelt_setting_in_a_preset_is_refused(install: Install) -> None:
    install("typo", {"conf/preset/typo.yaml": preset("hyla.blank.Blank").replace("schema:", "shema:")})
    message = refused("typo")
    assert "'shema'" in message
    assert "did you mean 'schema'?" in message


@pytest.mark.parametrize(
    ("word", "said"),
    [("batch=many", "batch"), ("workers=1.5", "workers"), ("seed=x", "seed"), ("progress=perhaps", "progress is 'perhaps'")],
)
def test_a_value_of_the_wrong_type_is_refused(road: Install, word: str, said: str) -> None:
    message = refused("road", word)
    assert said in message
    assert word.partition("=")[2] in message


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("batch=0", "batch is 0"),
        ("workers=-1", "workers is -1"),
        ("default=maybe", "accept, review"),
        ("agree_iou=0", "agree_iou is 0"),
    ],
)
def test_a_value_out_of_range_is_refused(road: Install, word: str, said: str) -> None:
    assert said in refused("road", word)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("rules.tall.px=high", "rules.tall.px is 'high'"),
        ("rules.tall.px=[1]", "rules.tall.px is [1]"),
        ("+rules.tall.near=3", "rules.tall.near is 3"),
    ],
)
def test_a_stage_setting_of_the_wrong_type_is_refused(road: Install, word: str, said: str) -> None:
    assert said in refused("road", word)


def test_an_unknown_preset_lists_the_choices(road: Install) -> None:
    message = refused("roads")
    assert "did you mean 'road'?" in message
    assert "blank" in message


def test_a_first_party_preset_that_is_not_installed_says_how_to_get_it(road: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYLA_PLUGINS", "road")
    plugins.installed.cache_clear()
    assert "pip install hyla-surveillance" in refused("surveillance")


def test_an_unknown_choice_of_a_group_lists_the_choices(road: Install) -> None:
    message = refused("road", "model=nonne")
    assert "no model is named 'nonne'" in message
    assert "did you mean 'none'?" in message


def test_a_group_that_does_not_exist_is_no_setting(road: Install) -> None:
    assert "modell" in refused("road", "modell=none")


def test_what_is_not_there_can_not_be_taken_out(road: Install) -> None:
    assert "rules.short" in refused("road", "~rules.short")


@pytest.mark.parametrize("word", ["batch", "=", "rules.tall.px=[1", "a b=1"])
def test_a_word_that_is_no_setting_is_explained(road: Install, word: str) -> None:
    assert "key=value" in refused("road", word)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1\n", "just words\n"])
def test_a_preset_that_is_no_mapping_is_named_with_its_file(install: Install, text: str) -> None:
    install("odd", {"conf/preset/odd.yaml": text})
    message = refused("odd")
    assert "acme-odd" in message
    assert "odd.yaml" in message


def test_a_broken_interpolation_is_explained(install: Install) -> None:
    install("odd", {"conf/preset/odd.yaml": preset("hyla.blank.Blank") + "batch: ${nothing.here}\n"})
    assert "nothing.here" in refused("odd")


def test_a_schema_that_is_wrong_is_refused_with_the_setting(road: Install) -> None:
    assert "schema.classes.bus" in refused("road", "+schema.classes.bus={parent: lorry}")


def test_a_stage_that_can_not_be_built_is_named(install: Install) -> None:
    rules = "from hyla import Rule\nclass Bad(Rule):\n    def __init__(self):\n        raise OSError('no such lens')\n"
    install("bad", {"conf/preset/bad.yaml": preset("acme_bad.rules.Bad"), "rules.py": rules})
    assert "rules.one (Bad) can't be built: no such lens" in refused("bad")


def test_a_stage_setting_without_a_default_must_be_given(install: Install) -> None:
    rules = "from hyla import Rule\nclass Needs(Rule):\n    def __init__(self, px: int):\n        self.px = px\n"
    install("needs", {"conf/preset/needs.yaml": preset("acme_needs.rules.Needs"), "rules.py": rules})
    assert "add rules.one.px=..." in refused("needs")


# The command line.


@pytest.fixture
def hydra_words(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Give a function that runs `hyla run WORDS` in this process and returns what it printed; the status must be 0 or say why."""
    monkeypatch.setattr("sys.argv", ["hyla"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def call(*words: str, status: int = 0) -> str:
        assert cli.main(["run", *words]) == status
        out = capfd.readouterr()
        return out.err if status else out.out

    return call


def load(text: str) -> dict[str, Any]:
    import yaml

    found = yaml.safe_load(text)
    assert isinstance(found, dict)
    return found


def test_the_composed_settings_can_be_printed_without_running(
    road: Install, hydra_words: Callable[..., str], tmp_path: Path
) -> None:
    shown = load(hydra_words("preset=road", f"source={tmp_path}", "--cfg", "job"))
    assert shown["schema"]["name"] == "road"
    assert shown["rules"]["tall"]["px"] == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "add preset=NAME"),
        (["preset=roads"], "did you mean 'road'?"),
        (["preset=surveillance"], "pip install hyla-surveillance"),
        (["preset=road"], "add source="),
        (["preset=road", "source=/nowhere/at/all"], "does not exist"),
        (["preset=road", "source=.", "sede=1"], "did you mean 'seed'?"),
        (["preset=road", "source=.", "batch=x"], "batch"),
        (["-m", "preset=road,roads", "source=."], "did you mean 'road'?"),
    ],
)
def test_the_command_line_says_the_same_without_a_traceback(
    road: Install, hydra_words: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYLA_PLUGINS", "road")
    plugins.installed.cache_clear()
    message = hydra_words(*words, status=1)
    assert said in message
    assert "Traceback" not in message
    assert not [p for p in tmp_path.iterdir() if p.name != "plugins"], "nothing may be written before the settings hold"


def test_a_sweep_writes_each_job_to_its_own_folder(
    toy: Path, hydra_words: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.toy").write_text("clip 3\n")
    hydra_words("-m", "preset=toy", f"source={tmp_path / 'a.toy'}", "out=swept", "rules.bright.above=0.2,0.9")
    figures = [json.loads((tmp_path / f"swept/{n}/summary.json").read_text()) for n in (0, 1)]
    assert [f["items"] for f in figures] == [3, 3]
    assert [Path(f["out"]).name for f in figures] == ["0", "1"]
    assert figures[0]["reasons"]["bright"] > figures[1]["reasons"].get("bright", 0)
    assert Path.cwd() == tmp_path
    assert not (tmp_path / "swept/project.db").exists()


def test_a_run_keeps_the_working_directory_and_its_own_folder_alone(
    toy: Path, hydra_words: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "my clips, 1=2.toy").write_text("clip 3\n")
    monkeypatch.chdir(home)
    hydra_words("preset=toy", "source=my clips, 1=2.toy", "out=it's out")
    assert Path.cwd() == home
    assert sorted(p.name for p in home.iterdir()) == ["it's out", "my clips, 1=2.toy"]
