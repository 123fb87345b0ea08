"""How a check is written: what it needs, how it fails, and where a plugin may deviate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ClassVar
from unittest import SkipTest

from hyla.errors import HylaError
from hyla.testing.subject import Subject


class NotApplicableError(SkipTest):
    """Say that a check has nothing to look at; the checks that build on it go on."""


class BlockedError(SkipTest):
    """Say that a check can't be made, since one that it builds on failed."""


def demand(holds: object, what: str, todo: str) -> None:
    """Fail with `what` is wrong and `todo`, what to do about it, unless `holds`."""
    if not holds:
        raise AssertionError(f"{what}\n  {todo}")


def check(*needs: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a method a check that is made once, and not at all if one of the checks that it `needs` failed."""

    def wrap(method: Callable[[Any], None]) -> Callable[[Any], None]:
        @wraps(method)
        def once(self: Checks) -> None:
            outcomes = self.subject().outcomes
            if method.__name__ not in outcomes:
                outcomes[method.__name__] = _outcome(self, method, needs)
            if (outcome := outcomes[method.__name__]) is not None:
                raise outcome

        return once

    return wrap


class Checks:
    """Hold one preset to the contract. Deviations are methods to override, each with a docstring that says why."""

    preset: ClassVar[str]
    source: ClassVar[str | None] = None
    overrides: ClassVar[tuple[str, ...]] = ()
    _subject: ClassVar[Subject | None] = None

    def tolerance(self) -> float:
        """Return by how much scores (0 to 1) and coordinates (pixels) may differ between two ways to the same labels.

        0 asks for equality to the last bit, which holds on a CPU if each picture of a batch is computed alone. A model whose
        batched arithmetic rounds otherwise says so here, and why.
        """
        return 0.0

    def not_applicable(self) -> Mapping[str, str]:
        """Return name of a check -> why it does not apply to this plugin."""
        return {}

    def limit(self) -> int:
        """Return how many items are loaded and predicted by the checks; whole runs take all of the source."""
        return 24

    @classmethod
    def subject(cls) -> Subject:
        """Return what is tested, made when first asked for and shared by the checks of this class."""
        if cls.__dict__.get("_subject") is None:
            cls._subject = Subject(cls.preset, cls.source, cls.overrides, cls().limit())
        assert cls._subject is not None
        return cls._subject

    @classmethod
    def teardown_class(cls) -> None:
        """Remove what the checks wrote; pytest calls this."""
        if cls.__dict__.get("_subject") is not None:
            cls.subject().remove()
            cls._subject = None


def _outcome(self: Checks, method: Callable[[Any], None], needs: tuple[str, ...]) -> Exception | None:
    """Return what a check comes to: None if it holds, else what it raises."""
    for need in needs:
        try:
            getattr(self, need)()
        except NotApplicableError:
            continue
        except BlockedError as blocked:
            return blocked
        except Exception:  # whatever it is, that check reports it
            return BlockedError(f"needs {need}, which fails")
    if reason := self.not_applicable().get(method.__name__):
        return NotApplicableError(reason)
    try:
        method(self)
    except HylaError as error:
        promise = (method.__doc__ or "").splitlines()[0]
        failure = AssertionError(f"{error}" if error.hint else f"{error}\n  the promise: {promise}")
        failure.__cause__ = error
        return failure
    except Exception as error:  # handed on by whoever asks for the outcome
        return error
    return None
