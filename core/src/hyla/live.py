"""What a run does for live sources: end what an earlier run left open, and write down how each camera fares."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyla.plugins import Pipeline
    from hyla.store import Project
    from hyla.types import Record

REPORT_SECONDS = 5.0  # between two looks at the cameras
HIDDEN = "***"
_TELLING = "pass|pwd|psw|token|key|auth|secret|login|user|usr|session|cred|jwt|(?<![a-z])si[dg](?![a-z])"
# name=value in a path, query or fragment, up to the next pair: `&` or `;` come before it, or `_` as some cameras have it
_PAIR = re.compile(rf"([^/?#&;=]*(?:{_TELLING})[^/?#&;=]*)=(?:.*?)(?=[&;]|_[a-z]+=|$)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(?:\[[^\]@]*\]?|[^:@\[\]]*)(?::[0-9]*)?")  # with its port


def without_secrets(source: str) -> str:
    """Return a source as it may be stored and shown: an address without user, password, and all that it calls so.

    Cameras want them before the host, in the path, the query or the fragment, and people don't escape them. So what can't be a
    host goes up to the last `@`, and a value that is called something like user, password, token or session becomes `***`.
    """
    scheme, mark, rest = source.partition("://")
    if not mark:
        return source
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    rest = authority.rpartition("@")[2] + rest[len(authority) :]
    if not _HOST.fullmatch(re.split("[/?#]", rest, maxsplit=1)[0]):  # a password with an unescaped / ? or #
        rest = rest.rpartition("@")[2]
    return scheme + mark + _PAIR.sub(rf"\1={HIDDEN}", rest).rpartition("@")[2]


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
