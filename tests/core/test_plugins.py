"""What counts as installed, how a stage is built, and how the hooks of a run are called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyla import BadItem, Flag, Image, Item, Labels, Loader, Model, Record, Rule, Verdict, hookimpl, plugins
from hyla.errors import ConfigError, StageError
from hyla.plugins import Pipeline

Install = Callable[..., Path]
ITEM = Item("a", "a.png")
IMAGE = Image(np.zeros((4, 4, 3), np.uint8), ITEM)


# Installed.


def test_core_comes_first_and_plugins_follow_by_name(install: Install) -> None:
    install("zebra", {"conf/preset/z.yaml": ""})
    install("ant", {"conf/preset/a.yaml": ""}, distribution="some-ants")
    found = plugins.installed()
    assert found[0].name == "core"
    names = [p.name for p in found[1:]]
    assert names == sorted(names)
    ant = next(p for p in found if p.name == "ant")
    assert (ant.package, ant.distribution, ant.version) == ("acme_ant", "some-ants", "1.0")
    assert [p.name for p in ant.offers("preset").values()] == ["a.yaml"]


def test_only_wanted_plugins_count_and_core_always_does(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ant", "bee", "cow"):
        install(name, {"conf/preset/p.yaml": ""})
    for wanted, expected in (("bee, cow", ["core", "bee", "cow"]), ("", ["core"])):
        monkeypatch.setenv("HYLA_PLUGINS", wanted)
        plugins.installed.cache_clear()
        assert [p.name for p in plugins.installed()] == expected


def test_looking_at_what_is_offered_imports_no_plugin(install: Install) -> None:
    install("loud", {"__init__.py": "raise SystemError('imported')", "conf/preset/loud.yaml": ""})
    code = "from hyla import plugins; print(*plugins.offered('preset'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loud" in done.stdout.split()


def test_a_plugin_without_conf_or_whose_package_is_gone_offers_nothing(install: Install) -> None:
    folder = install("bare", {"stages.py": ""})
    bare = next(p for p in plugins.installed() if p.name == "bare")
    assert bare.conf is None
    assert bare.offers("preset") == {}
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert bare.offers("preset") == {}


def test_two_offers_of_one_name_are_refused_in_every_group(install: Install) -> None:
    install("one", {"conf/model/net.yaml": ""}, distribution="dist-one")
    install("two", {"conf/model/net.yaml": ""}, distribution="dist-two")
    with pytest.raises(ConfigError, match=r"model 'net' is offered by both dist-one and dist-two"):
        plugins.offered("model")


# Built.


def test_stages_are_built_from_nested_yaml(install: Install) -> None:
    code = "class Lens:\n    def __init__(self, focus: float = 1, inner=None, name='', schema=None):\n"
    code += "        self.__dict__ |= locals()\n"
    install("optic", {"stages.py": code, "conf/preset/o.yaml": ""})
    target = "acme_optic.stages.Lens"
    built = plugins.build(
        {"_target_": target, "inner": {"a": [{"_target_": target, "focus": 3}], "b": "text"}}, "model", schema="S"
    )
    assert (built.focus, built.name, built.schema) == (1, "model", "S")
    assert built.inner["b"] == "text"
    assert (built.inner["a"][0].focus, built.inner["a"][0].name) == (3, "a[0]")


def test_values_of_the_right_type_pass_and_others_say_the_setting(install: Install) -> None:
    code = (
        "from pathlib import Path\nfrom collections.abc import Collection, Mapping\n"
        "class Lens:\n    def __init__(self, a: int = 0, b: float | None = None, c: Collection[str] = (),"
        " d: Mapping[str, int] = {}, e: str | Path = '', f: tuple[float, ...] = (), g: bool = False):\n"
        "        self.__dict__ |= locals()\n"
    )
    install("optic", {"stages.py": code, "conf/preset/o.yaml": ""})
    node = {"_target_": "acme_optic.stages.Lens"}
    for good in ({"a": 1}, {"b": 2}, {"b": None}, {"c": ["x"]}, {"d": {"k": 1}}, {"e": "x"}, {"f": [1, 2.5]}, {"g": True}):
        plugins.build({**node, **good}, "model")
    for bad in (
        {"a": 1.5},
        {"a": "1"},
        {"b": "x"},
        {"c": "x"},
        {"c": [1]},
        {"d": {"k": "v"}},
        {"d": [1]},
        {"f": ["x"]},
        {"g": "yes"},
        {"g": 1},
    ):
        with pytest.raises(ConfigError, match=f"model.{next(iter(bad))} is "):
            plugins.build({**node, **bad}, "model")


# Called.


class Low(Model):
    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        return [Labels.of([0], [[0, 0, 1, 1]]) for _ in images]


class High(Low):
    memory = True

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        return [Labels.empty() for _ in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        return {"name": "high"}


class Says(Rule):
    def __init__(self, word: str) -> None:
        self.word = word

    @hookimpl
    def check(self, labels: Labels) -> list[Flag] | None:  # fewer arguments than the hook has: allowed, and how a hook can grow
        return [Flag(self.word, self.word)] if self.word else None

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        for record in records:
            yield record.item.id, Flag(self.word, "seen")


class Fails(Rule, Loader):
    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        raise KeyError("oops")

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        yield "a", Flag("x", "y")
        raise ZeroDivisionError("late")

    @hookimpl
    def load(self, item: Item) -> Image:
        raise BadItem("torn", "glue it")


def test_the_later_stage_answers_first() -> None:
    assert len(Pipeline({"a": Low(), "b": High()}).predict([IMAGE])[0]) == 0
    assert len(Pipeline({"b": High(), "a": Low()}).predict([IMAGE])[0]) == 1


def test_flags_come_in_the_order_of_the_config_and_silence_is_allowed() -> None:
    pipeline = Pipeline({"one": Says("one"), "mute": Says(""), "two": Says("two")})
    assert [f.rule for f in pipeline.check(ITEM, Labels.empty())] == ["one", "two"]
    records = [Record(ITEM, Labels.empty())]
    assert [f.rule for _, f in pipeline.check_group(records)] == ["one", "", "two"]


def test_what_a_stage_inherits_without_overriding_is_not_called() -> None:
    pipeline = Pipeline({"rule": Says("x"), "model": Low()})
    assert not pipeline.answers("route")
    assert not pipeline.answers("load")
    assert pipeline.answers("check")
    assert pipeline.route(ITEM, Labels.empty(), []) is None
    assert pipeline.load(ITEM) is None
    assert pipeline.items("x") is None
    pipeline.close("g")
    pipeline.forget("g")


def test_memory_and_provenance_are_those_of_the_model() -> None:
    assert Pipeline({"model": High()}).memory
    assert not Pipeline({"model": Low()}).memory
    assert Pipeline({"model": High()}).provenance() == {"name": "high"}
    assert Pipeline({"model": Low()}).provenance() == {"name": "unnamed"}


def test_a_hook_that_does_not_exist_is_named_with_the_stage() -> None:
    class Typo:
        @hookimpl
        def chekc(self, item: Item) -> None: ...

    with pytest.raises(StageError, match=r"unknown hook 'chekc' in plugin 'rules.typo'") as caught:
        Pipeline({"rules.typo": Typo()})
    assert "check_group" in str(caught.value)


def test_an_argument_that_the_hook_does_not_have_is_named() -> None:
    class Wrong:
        @hookimpl
        def check(self, itm: Item) -> None: ...

    with pytest.raises(StageError, match=r"(?s)rules.wrong.*'itm'"):
        Pipeline({"rules.wrong": Wrong()})


def test_a_failing_stage_is_named_with_the_hook_and_the_error() -> None:
    pipeline = Pipeline({"rules.fine": Says("x"), "rules.fails": Fails()})
    with pytest.raises(StageError, match=r"rules.fails failed in check: KeyError: 'oops'") as caught:
        pipeline.check(ITEM, Labels.empty())
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(StageError, match=r"rules.fails failed in check_group: ZeroDivisionError: late"):
        pipeline.check_group([])


def test_an_error_that_speaks_to_the_user_arrives_as_it_is() -> None:
    with pytest.raises(BadItem, match="torn") as caught:
        Pipeline({"loader": Fails()}).load(ITEM)
    assert caught.value.hint == "glue it"


def test_a_model_must_answer_once_per_image() -> None:
    with pytest.raises(StageError, match="no model answered predict"):
        Pipeline({}).predict([IMAGE])

    class Short(Model):
        @hookimpl
        def predict(self, images: Sequence[Image]) -> list[Labels]:
            return []

    with pytest.raises(StageError, match="0 Labels for 2 images"):
        Pipeline({"model": Short()}).predict([IMAGE, IMAGE])


def test_a_reference_is_a_picture_or_nothing() -> None:
    class Shows(Loader):
        @hookimpl
        def reference(self, attributes: Mapping[str, Any]) -> Image | None:
            return {"a": IMAGE, "b": "no picture"}.get(attributes.get("name", ""))  # type: ignore[return-value]

    pipeline = Pipeline({"loader": Shows()})
    assert pipeline.reference({"name": "a"}) is IMAGE
    assert pipeline.reference({}) is pipeline.reference({"name": "c"}) is Pipeline({"model": Low()}).reference({}) is None
    with pytest.raises(StageError, match="a str as a reference"):
        pipeline.reference({"name": "b"})


def test_a_rule_may_route() -> None:
    class Guard(Rule):
        @hookimpl
        def route(self, item: Item, labels: Labels, flags: Sequence[Flag]) -> Verdict | None:
            return Verdict.REJECT if flags else None

    pipeline = Pipeline({"guard": Guard(), "says": Says("x")})
    assert pipeline.route(ITEM, Labels.empty(), [Flag("a", "b")]) is Verdict.REJECT
    assert pipeline.route(ITEM, Labels.empty(), []) is None


def test_calls_are_printed_when_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HYLA_TRACE", "1")
    Pipeline({"rules.says": Says("hello")}).check(ITEM, Labels.empty())
    assert "check" in capsys.readouterr().err
    monkeypatch.delenv("HYLA_TRACE")
    Pipeline({"rules.says": Says("hello")}).check(ITEM, Labels.empty())
    assert capsys.readouterr().err == ""
