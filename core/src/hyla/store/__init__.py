"""The project folder: what a run fills, people decide on and exporters read, in one SQLite file that survives anything.

Names are imported when first used: SQLAlchemy takes 0.2 s to load, and `glance` does without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hyla.decide.route import Route as Route
    from hyla.store.asks import Ask as Ask
    from hyla.store.asks import Decision as Decision
    from hyla.store.asks import Stale as Stale
    from hyla.store.counts import Counts as Counts
    from hyla.store.counts import Glance as Glance
    from hyla.store.counts import glance as glance
    from hyla.store.lots import LotEvent as LotEvent
    from hyla.store.lots import LotRow as LotRow
    from hyla.store.project import Project as Project
    from hyla.store.queue import ClipItem as ClipItem
    from hyla.store.queue import LaneCount as LaneCount
    from hyla.store.queue import OpenLabel as OpenLabel
    from hyla.store.queue import Waiting as Waiting
    from hyla.store.recall import Opinion as Opinion
    from hyla.store.recall import Timed as Timed
    from hyla.store.rows import Entry as Entry
    from hyla.store.rows import Quarantined as Quarantined
    from hyla.store.rows import Stored as Stored
    from hyla.store.twins import Planted as Planted
    from hyla.store.twins import Twin as Twin
    from hyla.store.verify import Report as Report

_HOME = {
    "asks": ("Ask", "Decision", "Stale"),
    "counts": ("Counts", "Glance", "glance"),
    "lots": ("LotEvent", "LotRow", "Route"),
    "project": ("Project",),
    "queue": ("ClipItem", "LaneCount", "OpenLabel", "Waiting"),
    "recall": ("Opinion", "Timed"),
    "rows": ("Entry", "Quarantined", "Stored"),
    "twins": ("Planted", "Twin"),
    "verify": ("Report",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_MODULE)


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'hyla.store' has no attribute {name!r}")
    return getattr(import_module(f"hyla.store.{_MODULE[name]}"), name)
