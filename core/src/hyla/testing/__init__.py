"""Test a plugin against the contract, in one line of pytest or with `hyla check`.

    # tests/test_mine.py
    from hyla.testing import conformance

    TestMine = conformance("mine", source="tests/data")

The class has one test per promise that a plugin makes; each says, when it fails, what to do. Where a plugin must deviate, it
inherits the class and overrides a method, with a docstring that says why:

    class TestMine(conformance("mine")):
        def tolerance(self) -> float:
            '''Half precision rounds with the batch.'''
            return 1e-3

Without a source the checks use the plugin's own sample: a module `<package>.sample` whose `write(to: Path, frames: int = 120)`
draws data into the folder `to` and returns the source. Its second parameter, whatever its name, says about how many items to
draw; `truth.jsonl` beside the source holds what is to be found; `OVERRIDES` are the settings of `hyla demo`. A plugin without a
sample is tested on eight plain pictures.
Nothing here needs pytest, a GPU, weights or a network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from unittest import SkipTest

from hyla.testing.base import Checks
from hyla.testing.loader_checks import LoaderChecks
from hyla.testing.model_checks import ModelChecks
from hyla.testing.plugin_checks import PluginChecks
from hyla.testing.redact_checks import RedactChecks
from hyla.testing.rule_checks import RuleChecks
from hyla.testing.run_checks import RunChecks

__all__ = ["CheckResult", "Conformance", "conformance", "names", "run_checks"]


class Conformance(RunChecks, RedactChecks, RuleChecks, ModelChecks, LoaderChecks, PluginChecks):
    """Hold one preset to the whole contract; made by `conformance`."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Say what one check came to.

    Args:
        name: of the check, a sentence in snake_case.
        ok: False if it failed.
        message: what is wrong and what to do; of a check that was skipped, why.
        seconds: that it took.
        skipped: True if there was nothing to check, or a check that it needs failed.
    """

    name: str
    ok: bool
    message: str
    seconds: float
    skipped: bool = False


def conformance(preset: str, source: str | PathLike[str] | None = None, overrides: Iterable[str] = ()) -> type[Conformance]:
    """Return a pytest class that holds `preset` to the contract.

    Args:
        preset: name of an installed preset.
        source: data to test on, small; the sample of the preset's plugin if not given.
        overrides: settings, as for `hyla run`: `["model=embedded"]`.
    """
    where = None if source is None else fspath(source)
    name = f"Test{''.join(part.title() for part in preset.split('_'))}"
    return type(name, (Conformance,), {"preset": preset, "source": where, "overrides": tuple(overrides)})


def names(checks: type[Checks] = Conformance) -> list[str]:
    """Return the names of the checks of a class, in the order in which they are made."""
    found = dict.fromkeys(name for base in reversed(checks.__mro__) for name in vars(base) if name.startswith("test_"))
    return list(found)


def run_checks(preset: str, source: str | PathLike[str] | None = None, overrides: Sequence[str] = ()) -> list[CheckResult]:
    """Make every check, without pytest, and return what each came to."""
    return list(_results(conformance(preset, source, overrides)))


def _results(checks: type[Conformance]) -> Iterator[CheckResult]:
    try:
        for name in names(checks):
            start = time.perf_counter()
            ok, skipped, message = True, False, ""
            try:
                getattr(checks(), name)()
            except SkipTest as reason:
                skipped, message = True, str(reason)
            except AssertionError as error:
                ok, message = False, str(error)
            except Exception as error:  # a plugin may raise anything: that is what a failed check is for
                ok, message = False, f"{type(error).__name__}: {error}"
            yield CheckResult(name, ok, message, round(time.perf_counter() - start, 3), skipped)
    finally:
        checks.teardown_class()
