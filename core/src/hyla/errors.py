"""Say what went wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HylaError(Exception):
    """Tell the user what failed and what to do: printed without a traceback.

    Args:
        what: what is wrong, naming the thing (a file, a setting, a stage).
        hint: what to do next.
        choices: the values that would have been accepted.
    """

    def __init__(self, what: str, hint: str = "", choices: Iterable[str] = ()) -> None:
        self.what = what
        self.hint = hint
        self.choices = sorted(choices)
        super().__init__(what)

    @property
    def line(self) -> str:
        """Return what is wrong and what to do, in one line."""
        return "; ".join(" ".join(part.split()) for part in (self.what, self.hint) if part)

    def __str__(self) -> str:
        lines = [self.what]
        if self.choices:
            lines.append(f"choices: {', '.join(self.choices)}")
        if self.hint:
            lines.append(self.hint)
        return "\n  ".join(lines)


class ConfigError(HylaError):
    """Report a setting that can't work; raised before any work starts."""


class BadItem(HylaError):
    """Report one file that can't be used: the item is quarantined and the run goes on."""


class StoreError(HylaError):
    """Report a project folder that can't be read or written, or whose ledger does not hold."""


class StageError(HylaError):
    """Report a stage (loader, model, rule, format) that broke the contract of its hook."""


class FormatError(HylaError):
    """Report a label file that can't be read, or holds what Hyla can't represent."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return a "did you mean" sentence for the choice nearest to `word`, or an empty string."""
    near = get_close_matches(word, list(choices), n=1)
    return f"did you mean {near[0]!r}?" if near else ""
