"""What a run does for live sources: end what an earlier run left open, and write down how each camera fares."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

if TYPE_CHECKING:
    from hyla.plugins import Pipeline
    from hyla.store import Project
    from hyla.types import Record

REPORT_SECONDS = 5.0  # between two looks at the cameras
HIDDEN = "***"
SECRETS = frozenset(
    {"user", "username", "usr", "login", "password", "passwd", "pass", "pwd", "token", "auth", "key", "apikey", "sig"}
)


def without_secrets(source: str) -> str:
    """Return a source as it may be stored and shown: an address without user, password, and what its query says of them."""
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:  # brackets that hold no address
        return source.rpartition("@")[2] if "@" in source else source
    if any(name.lower() in SECRETS for name, _ in query):
        hidden = [(name, HIDDEN if name.lower() in SECRETS else value) for name, value in query]
        parts = parts._replace(query=urlencode(hidden, safe="*/:"))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class Reports:
    """Write down every few seconds what the loader says of its cameras, where it says anything.

    Args:
        project: to write into.
        pipeline: to ask.
    """

    def __init__(self, project: Project, pipeline: Pipeline) -> None:
        self._project, self._pipeline = project, pipeline
        self._active = pipeline.answers("state")
        self._known: dict[str, Mapping[str, Any]] = {}
        self._since = time.monotonic()

    def write(self, now: bool = False) -> None:
        """Write down what changed, if it is time to, or `now`."""
        if not self._active or not (now or time.monotonic() - self._since > REPORT_SECONDS):
            return
        self._since = time.monotonic()
        for name, state in self._pipeline.state().items():
            if self._known.get(name) != state:
                self._project.note_camera(name, state)
                self._known[name] = state


def end_open_groups(project: Project, pipeline: Pipeline) -> None:
    """End every group that a killed run left open: what is live does not come again, so its rules judge what was seen."""
    for group in project.open_groups():
        found = pipeline.check_group(GroupRecords(project, group)) if pipeline.answers("check_group") else []
        project.finish_group(group, found)


@dataclass(frozen=True)
class GroupRecords:
    """Read a group's records from disk, each time they are iterated."""

    project: Project
    group: str

    def __iter__(self) -> Iterator[Record]:
        return self.project.records(source="model", group=self.group)


def camera_lines(state: dict[str, Any], running: bool) -> list[str]:
    """Return in words how a camera fares: one line, then one for each problem.

    Args:
        state: as `Project.cameras` gives it.
        running: whether a run watches it now; what it was last seen as may be over otherwise.
    """
    word, since = str(state.get("state") or "unknown"), state.get("since")
    over = not running and word not in ("ended", "recorded")
    line = f"was {word} when the run stopped" if over else word
    line += f" since {since}" if since else ""
    size = state.get("size")
    facts = [f"{size[1]} x {size[0]}"] if size else []
    facts += [f"{state[key]} {key}" for key in ("frames", "dropped", "late", "reconnects", "clock_resets") if state.get(key)]
    line += f" ({', '.join(facts)})" if facts else ""
    line += "" if state.get("described", True) else "; nothing is described of it: no camera file"
    return [
        line,
        *(f"  {problem}" for problem in [*([state["error"]] if state.get("error") else []), *state.get("problems", [])]),
    ]
