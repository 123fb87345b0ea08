"""Do one job of a check in a process of its own: `python -m hyla.testing.child JSON`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hyla import config, privacy
from hyla.plugins import Pipeline


def main(job: Mapping[str, Any]) -> None:
    """Do `job`: list the items of a source, or run until some items are stored and then die."""
    privacy.offline()
    words = {name: job[name] for name in ("source", "out", "batch") if name in job}
    settings = config.compose(job["preset"], *job["overrides"], workers=2, progress=False, **words)
    if "kill_after" in job:
        run_and_die(settings, job["kill_after"])
    else:
        items = Pipeline(config.stages(settings)[0]).items(settings.source)
        found = [] if items is None else [(i.id, i.uri, i.group, i.index) for i in islice(items, job["limit"])]
        sys.stdout.write(json.dumps(found) + "\n")


def run_and_die(settings: config.Run, kill_after: int) -> None:
    """Run, and end this process like a power cut once `kill_after` items are stored; each commit holds one."""
    from hyla.loop import run
    from hyla.store import Project
    from hyla.store.rows import Entry

    write = Project.write

    def counted(project: Project, entries: Sequence[Entry]) -> None:
        for entry in entries:
            write(project, [entry])
            if project.counts().items >= kill_after:
                os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    Project.write = counted  # type: ignore[method-assign,assignment]
    run(settings)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
