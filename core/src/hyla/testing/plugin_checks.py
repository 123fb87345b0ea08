"""What a plugin is before it does anything: its package, its YAML, its stages and their signatures."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections import abc
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import hyla
from hyla import config, plugins
from hyla.hooks import HOOKS
from hyla.plugins import Pipeline
from hyla.testing.base import Checks, check, demand

NAMES = {name: getattr(hyla, name) for name in ("BadItem", "Flag", "Image", "Item", "Labels", "Record", "Schema", "Verdict")}
NAMES |= {"Any": Any, "Path": Path, **{name: getattr(abc, name) for name in abc.__all__}}


class PluginChecks(Checks):
    """Check the package and its YAML."""

    @check()
    def test_conf_is_found(self) -> None:
        """Installed, the plugin offers the preset from its conf package, in groups that are known."""
        folder = self.subject().plugin.conf
        assert folder is not None
        for path in sorted(folder.rglob("*.yaml")):
            group = path.relative_to(folder).parts[0]
            known = group in plugins.GROUPS or self.subject().plugin.name == "core"
            demand(known, f"{path} is in no config group", f"nothing looks there; the groups are {', '.join(plugins.GROUPS)}")

    @check("test_conf_is_found")
    def test_import_is_light(self) -> None:
        """Importing the package loads nothing but the standard library."""
        package = self.subject().plugin.package
        code = (
            "import json, sys; before = set(sys.modules); "
            f"import hyla, {package}; after = {{n.partition('.')[0] for n in set(sys.modules) - before}}; "
            f"print(json.dumps(sorted(after - sys.stdlib_module_names - {{'hyla', {package!r}}})))"
        )
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        demand(
            done.returncode == 0, f"{package} can't be imported: {done.stderr.strip()[-400:]}", "its __init__.py should be empty"
        )
        loaded = json.loads(done.stdout.splitlines()[-1])
        todo = "leave __init__.py empty: it is imported for every installed plugin, chosen or not"
        demand(not loaded, f"importing {package} loads {', '.join(loaded)}", todo)

    @check("test_conf_is_found")
    def test_preset_composes(self) -> None:
        """The preset composes, and leaves nothing to be given but the source."""
        subject = self.subject()
        config.compose(subject.preset, *subject.overrides, source=".")

    @check("test_preset_composes")
    def test_every_target_resolves(self) -> None:
        """Every _target_, chosen or shipped, is a class inside hyla or an installed plugin."""
        import yaml

        subject = self.subject()
        settings = config.compose(subject.preset, *subject.overrides, source=".")
        for part in ("loader", "model", "rules", "redact", "export", "engine"):
            for where, target in _targets(getattr(settings, part), part):
                plugins.resolve(target, where)
        for group in plugins.GROUPS:
            for name, path in subject.plugin.offers(group).items():
                for where, target in _targets(yaml.safe_load(path.read_text(encoding="utf-8")), f"{group}/{name}.yaml"):
                    plugins.resolve(target, where)

    @check("test_every_target_resolves", "test_there_is_data")
    def test_stages_can_be_built(self) -> None:
        """The settings build every stage, the engine, and the formats that the plugin offers."""
        subject = self.subject()
        _, schema = config.stages(subject.settings)
        plugins.build(subject.settings.engine, "engine", schema=schema)
        demand(subject.formats is not None, "the formats can't be built", "see hyla.formats")

    @check("test_stages_can_be_built")
    def test_stages_register(self) -> None:
        """Every method that is marked as a hook is one, and asks only for arguments that the hook has."""
        self.subject().fresh()
        Pipeline({f"export.{name}": one for name, one in self.subject().formats.items()})

    @check("test_stages_register")
    def test_signatures_match_the_contract(self) -> None:
        """What a hook is annotated to take and to return is what the contract says."""
        stages = {**self.subject().fresh().stages, **{f"export.{name}": one for name, one in self.subject().formats.items()}}
        for name, stage in stages.items():
            for spec in HOOKS:
                for hook in plugins.hook_names():
                    if hook in vars(spec) and hasattr(method := getattr(type(stage), hook, None), "hyla_impl"):
                        _prove_signature(f"{name}.{hook}", method, getattr(spec, hook))


def _targets(node: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield where, str(node["_target_"])
        for key, value in node.items():
            yield from _targets(value, f"{where}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _targets(value, f"{where}[{i}]")


def _prove_signature(where: str, method: Any, spec: Any) -> None:
    found, wanted = _hints(method), _hints(spec)
    for name, hint in found.items():
        if name not in wanted:
            continue
        fits = _fits(hint, wanted[name]) if name == "return" else _fits(wanted[name], hint)
        does = "returns" if name == "return" else f"takes {name} as"
        demand(
            fits,
            f"{where} {does} {hint}, the contract says {wanted[name]}",
            "inherit the spec class and let a type checker compare",
        )


def _hints(function: Any) -> dict[str, Any]:
    function = inspect.unwrap(function)
    try:
        return get_type_hints(function, {**NAMES, **function.__globals__})
    except NameError:  # a name that exists for type checkers only
        return {}


def _fits(one: Any, wide: Any) -> bool:
    """Tell whether a value of type `one` may stand where `wide` is expected, as far as their parts tell."""
    if Any in (one, wide) or one == wide:
        return True
    if get_origin(one) in (Union, UnionType):
        return all(_fits(part, wide) for part in get_args(one))
    if get_origin(wide) in (Union, UnionType):
        return any(_fits(one, part) for part in get_args(wide))
    a, b = get_origin(one) or one, get_origin(wide) or wide
    if not (isinstance(a, type) and isinstance(b, type)):
        return True
    return issubclass(a, b) and all(_fits(x, y) for x, y in zip(get_args(one), get_args(wide), strict=False))
