"""Where the heavy part of a run, loading and predicting, is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import threading

    from hyla.frame import Frame
    from hyla.plugins import Pipeline
    from hyla.types import Item, Labels


@dataclass(frozen=True, slots=True)
class Task:
    """Give one loading worker consecutive items.

    Args:
        group: whose items these are, all of them and in order; empty for items that stand alone.
        items: (ordinal in the source, item) pairs.
        replay: ids of items that were stored before, and are predicted again only for the memory of a model.
        until: of items that are live streams: they are followed, beside all other tasks, until this is set; then every image that
            came is handed over, with the end of its group. None of all other items.
    """

    group: str
    items: Sequence[tuple[int, Item]]
    replay: frozenset[str] = field(default_factory=frozenset)
    until: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Hand over one predicted item and what its image said of itself, without the pixels.

    `seconds` is the item's share of loading and predicting.
    """

    ordinal: int
    item: Item
    labels: Labels
    size: tuple[int, ...]
    frame: Frame
    context: Mapping[str, Any]
    seconds: float
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Say that one item could not be loaded or predicted, at which stage and why."""

    ordinal: int
    item: Item
    stage: str
    reason: str
    replay: bool = False


@dataclass(frozen=True, slots=True)
class GroupEnd:
    """Say that every item of `group` has been handed over."""

    group: str


Event = Done | Failed | GroupEnd


class Engine(Protocol):
    """Load and predict tasks; each engine gives the same labels."""

    def stream(self, pipeline: Pipeline, tasks: Iterable[Task], batch: int) -> Iterator[Event]:
        """Yield what becomes of every item: the items of a group in order, and then its GroupEnd."""
        ...

    def seconds(self) -> dict[str, float]:
        """Return how long each part worked, summed over threads: `load`, `predict`, `wait`."""
        ...
