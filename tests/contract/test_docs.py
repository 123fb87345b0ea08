"""The documentation is true: every hook with its exact signature, every module with its duty, every link and every verb."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pluggy
import pytest

import hyla
from hyla import config, plugins
from hyla.cli import VERBS
from hyla.hooks import HOOKS
from hyla.testing import conformance, names

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
WHO = ("First answer wins.", "All answers are collected.")


def hooks() -> dict[str, object]:
    """Return hook name -> function of every hook on a plugin manager that a run would make."""
    manager = pluggy.PluginManager("hyla")
    for spec in HOOKS:
        manager.add_hookspecs(spec)
    found = [name for name in vars(manager.hook) if not name.startswith("_")]
    return {name: next(vars(spec)[name] for spec in HOOKS if name in vars(spec)) for name in found}


def signature(function: object) -> str:
    shown = str(inspect.signature(function))  # type: ignore[arg-type]
    return re.sub(r"\(self(, )?", "(", shown).replace("'", "")


def sections() -> dict[str, str]:
    parts = re.split(r"^### `(.+)`$", (DOCS / "hooks.md").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_hook_has_a_heading_with_its_exact_signature() -> None:
    assert set(sections()) == {f"{name}{signature(function)}" for name, function in hooks().items()}


@pytest.mark.parametrize("name", sorted(hooks()))
def test_a_hook_says_who_answers_as_its_docstring_does(name: str) -> None:
    text = next(body for heading, body in sections().items() if heading.startswith(f"{name}("))
    doc = inspect.getdoc(hooks()[name]) or ""
    said = [sentence for sentence in WHO if sentence in doc]
    assert len(said) == 1
    assert re.sub(r"\s+", " ", text).count(said[0]) == 1
    assert not any(other in text for other in WHO if other not in said)


def test_the_names_of_hooks_are_listed_in_the_order_of_the_contract() -> None:
    assert plugins.hook_names() == [heading.partition("(")[0] for heading in sections()]


def test_every_module_of_core_has_a_duty_in_the_architecture() -> None:
    home = Path(hyla.__file__).parent
    modules = {p.relative_to(home).as_posix() for p in home.rglob("*.py") if p.read_text().strip()} - {"__init__.py"}
    rows = re.findall(r"^\| `([\w/]+\.py)` \| (.+) \|$", (DOCS / "architecture.md").read_text(), flags=re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(modules)
    assert all(duty.strip() for _, duty in rows)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda p: p.name)
def test_links_and_verbs_exist(page: Path) -> None:
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (page.parent / target).exists(), target
    for verb in re.findall(r"`hyla ([a-z]+)[ `]|^ {4}hyla ([a-z]+) ", text, flags=re.MULTILINE):
        assert (verb[0] or verb[1]) in VERBS, verb


def test_files_that_the_pages_name_are_there() -> None:
    for page in DOCS.glob("*.md"):
        for path in re.findall(r"`((?:tests|docs|core|plugins|benchmarks)/[\w./-]+)`", page.read_text()):
            assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_the_example_of_compose_holds() -> None:
    found = doctest.testmod(config)
    assert (found.failed, found.attempted > 0) == (0, True)


def test_the_deviations_that_are_shown_are_methods_of_the_kit() -> None:
    shown = (DOCS / "write-a-plugin.md").read_text()
    made = conformance("blank")
    for method in re.findall(r"^ {8}def (\w+)\(self\) -> (?:float|dict)", shown, flags=re.MULTILINE):
        assert callable(getattr(made, method))
    for name in re.findall(r'"(test_\w+)"', shown):
        assert name in names()
