"""Take of a project's ledger what proves who decided on a few items, and nothing of what was said of the others.

Each decision holds the hash of the one before it. Those about the wanted items are written in full; of the others the file has
`seq`, `prev_hash` and `hash`, so that the chain from its beginning to its head can be followed without reading what they say.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import IO

from hyla.store import Project
from hyla.store.asks import genesis


@dataclass(frozen=True)
class Extract:
    """Hold what was written.

    Args:
        decisions: of the whole ledger.
        told: those written in full.
        head: hash of the last decision; of the beginning where there is none.
    """

    decisions: int
    told: int
    head: str


def write_extract(project: Project | None, items: Collection[str], file: IO[bytes]) -> Extract:
    """Write the extract about `items` as JSON Lines: a line about the project, one per decision, one with the head.

    Decisions that are made meanwhile do no harm: the head is that of the last one read. Without a project there are none.
    """
    name = project.id if project is not None else ""
    head, number, told = genesis(name), 0, 0
    file.write(_line({"project": name, "genesis": head}))
    for one in project.decisions() if project is not None else ():
        full = one.item_id in items
        file.write(_line(asdict(one) if full else {"seq": one.seq, "prev_hash": one.prev_hash, "hash": one.hash}))
        head, number, told = one.hash, number + 1, told + full
    file.write(_line({"decisions": number, "head": head}))
    return Extract(number, told, head)


def _line(values: dict[str, object]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"
