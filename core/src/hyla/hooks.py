"""The contract: every hook a stage may answer, in the order in which a run calls them.

A stage is an object with a few of these methods. Inherit the spec class, so that a type checker compares the signatures,
and mark each method with `@hookimpl`. A hook is called once per item or batch, never once per label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from hyla.schema import Schema
    from hyla.types import Click, Flag, Image, Item, Labels, Record, Rle, Verdict

hookspec = pluggy.HookspecMarker("hyla")
hookimpl = pluggy.HookimplMarker("hyla")


class Loader:
    """Read a source."""

    @hookspec(firstresult=True)
    def items(self, source: str) -> Iterable[Item] | None:
        """Return the items of `source` lazily, in a stable order, or None if it is not this loader's kind of source.

        Ids must be unique and the same on every machine. The items of one `group` follow each other in order.
        First answer wins.
        """

    @hookspec(firstresult=True)
    def load(self, item: Item) -> Image | None:
        """Return the pixels of `item`; raise BadItem, with the reason, for one that can't be read.

        Items of one group are asked for in order, by one thread; different groups by different threads at once.
        First answer wins.
        """

    @hookspec
    def close(self, group: str) -> None:
        """Release what is kept open for `group`: its last item was loaded. All answers are collected."""

    @hookspec(firstresult=True)
    def follow(self, item: Item) -> Iterator[Image | str | None] | None:
        """Return the images of a live stream as they come, each with an item of its own; None for an item that `load` loads.

        Asked of items of kind `stream`, on a thread of its own for each. Beside images the iterator yields None at least once a
        second while nothing comes, so that a run can end, and the name of a group once its last image was yielded. It is closed
        when the run ends. First answer wins.
        """

    @hookspec(firstresult=True)
    def state(self) -> Mapping[str, Mapping[str, Any]] | None:
        """Return what is known of each camera or stream by name, as JSON-able values; asked every few seconds of a run.

        `state` in it is one word: connected, lost, ended, recorded. `hyla status` shows it. First answer wins.
        """

    @hookspec(firstresult=True)
    def reference(self, attributes: Mapping[str, Any]) -> Image | None:
        """Return the picture that shows what a label with these attributes is: an exemplar, or one from a catalogue.

        None if there is none, also for attributes that mean nothing here. The review page asks, from several threads at once.
        First answer wins.
        """


class Model:
    """Label pictures.

    A model that remembers earlier items of a group (a tracker) sets `memory = True`: the run then keeps each group in order
    and, after an interruption, replays an unfinished group from its first item.

    A model whose silence says nothing, since it misses much of what the schema names, sets `partial = True`: no item is accepted
    on its word, only shown with the reason `partial_model`.
    """

    memory: bool = False
    partial: bool = False

    @hookspec(firstresult=True)
    def predict(self, images: Sequence[Image]) -> list[Labels] | None:
        """Return one Labels per image, which must not depend on the other images of the batch.

        Do not change memory before the last step that can fail: after a failure the batch is tried again in halves.
        First answer wins.
        """

    @hookspec
    def forget(self, group: str) -> None:
        """Drop what is remembered of `group`: its last item was predicted. All answers are collected."""

    @hookspec(firstresult=True)
    def provenance(self) -> dict[str, str] | None:
        """Return what labels come from: at least `name`, and `digest` (sha256 of the weights) where there are weights.

        First answer wins.
        """

    @hookspec(firstresult=True)
    def refine(self, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        """Return the mask of one object after a person clicked; `mask` is what is there now, None for nothing yet.

        The answer has the size of the picture; None says that nothing is found there. First answer wins.
        """

    @hookspec(firstresult=True)
    def train(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, Any] | None:
        """Learn from reviewed records, write weights under `out`, and return figures with their n. First answer wins."""


class Rule:
    """Judge what a model said, with knowledge of the domain."""

    @hookspec
    def check(self, item: Item, labels: Labels) -> list[Flag] | None:
        """Return the flags of one item; change nothing and remember nothing.

        `item.meta` also holds what loading told: `size`, [height, width], and the camera's `intrinsics` where known.
        All answers are collected.
        """

    @hookspec
    def check_group(self, records: Iterable[Record]) -> Iterable[tuple[str, Flag]] | None:
        """Return (item id, flag) pairs of a whole group (a clip), once its last item is stored.

        The records come in order, and from disk each time they are iterated: keep a summary, not the records.
        All answers are collected.
        """

    @hookspec(firstresult=True)
    def route(self, item: Item, labels: Labels, flags: Sequence[Flag]) -> Verdict | None:
        """Return a verdict for the whole item, or None to leave it to the flags.

        A flag of severity HUMAN stands whatever a rule answers here. First answer wins.
        """


class Redactor:
    """Make unrecognisable what nobody may see, in every picture that is shown or written; models see pictures as they are."""

    @hookspec(firstresult=True)
    def redact(self, image: Image, labels: Labels) -> Image | None:
        """Return a copy of `image`, of the same size and dtype, without what must not be seen; itself if nothing is hidden.

        `labels` are those of the machine and of people together, so that what anybody saw is hidden. Nothing is shown of a
        picture for which this fails, or for which nobody answers. First answer wins.
        """


class Format:
    """Write and read one file format. `name` is what the user types; see `hyla.formats` for the helpers."""

    name: str = ""

    @hookspec
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int] | None:
        """Write `records` under `out` and return what the format could not carry: `{"polyline": 3, "track": 120}`.

        All answers are collected.
        """

    @hookspec(firstresult=True)
    def read(self, path: Path, schema: Schema) -> Iterator[Record] | None:
        """Yield the records of `path`; raise FormatError for what Hyla can't represent. First answer wins."""


HOOKS = (Loader, Model, Rule, Redactor, Format)
