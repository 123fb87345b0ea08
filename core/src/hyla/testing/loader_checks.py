"""What a loader owes: items that are the same everywhere, and images that a model can trust."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from hyla import formats, frame
from hyla.errors import BadItem
from hyla.lazy import LazyPixels
from hyla.testing.base import Checks, NotApplicableError, check, demand
from hyla.types import Image, Item

DTYPES = ("uint8", "uint16", "int16", "float32", "float64")


class LoaderChecks(Checks):
    """Check the loader on the source."""

    @check("test_preset_composes")
    def test_there_is_data(self) -> None:
        """There is a source to test on; the truth beside a sample reads against the schema."""
        subject = self.subject()
        truth = Path(subject.source).parent / "truth.jsonl"
        if subject.given is None and truth.exists():
            found = formats.get("jsonl", schema=subject.schema).read(truth, subject.schema)
            demand(any(True for _ in found or ()), f"{truth} holds no record", "write the truth that the sample was drawn from")

    @check("test_stages_register", "test_there_is_data")
    def test_items_are_stable(self) -> None:
        """The items are the same each time, in another folder, and in another process."""
        subject = self.subject()
        first, again = ([_about(i) for i in subject.scan(subject.fresh(), limit=subject.limit)] for _ in range(2))
        demand(first, f"{subject.source} has no items", "give --source with a few items, or let sample.write make some")
        todo = "build ids of the path relative to the source: hyla.item_id(uri, index); sort what a folder lists"
        demand(first == again, f"the items change from scan to scan: {_first_difference(first, again)}", todo)
        done = subject.child(1, source=str(subject.elsewhere or subject.source), limit=subject.limit)
        demand(done.returncode == 0, f"the items can't be listed in another process: {done.stderr[-600:]}", "see the error above")
        other = [tuple(values) for values in json.loads(done.stdout.splitlines()[-1])]
        demand(first == other, f"the items change with the folder or the process: {_first_difference(first, other)}", todo)

    @check("test_items_are_stable")
    def test_items_are_well_formed(self) -> None:
        """Ids are unique, uris relative, meta is JSON, and the items of a group follow each other in order."""
        items = self.subject().scanned
        for item in items:
            demand(isinstance(item, Item), f"items gave a {type(item).__name__}", "yield hyla.Item")
            demand(item.id and item.uri, f"{item} lacks an id or a uri", "give both; hyla.item_id makes the id")
            relative = "://" in item.uri or not (Path(item.uri).is_absolute() or "\\" in item.uri)
            demand(relative, f"uri {item.uri!r} is not relative to the source", "write path.relative_to(source).as_posix()")
            try:
                same = json.loads(json.dumps(dict(item.meta))) == dict(item.meta)
            except (TypeError, ValueError):
                same = False
            demand(
                same, f"the meta of {item.id} is not JSON-able: {item.meta}", "keep plain numbers, text, lists and dicts in it"
            )
        most = Counter(item.id for item in items).most_common(1)
        double = [name for name, n in most if n > 1]
        demand(
            not double,
            f"two items have the id {double}",
            "make it of everything that tells items apart: hyla.item_id(uri, index)",
        )
        ended: set[str] = set()
        for one, after in pairwise(items):
            if one.group == after.group:
                rising = not one.group or after.index > one.index
                demand(rising, f"{after.id} has index {after.index} after {one.index}", "yield the items of a group in order")
            else:
                ended.add(one.group)
                demand(
                    not after.group or after.group not in ended, f"group {after.group!r} comes in pieces", "yield it in one piece"
                )

    @check("test_items_are_stable")
    def test_items_come_lazily(self) -> None:
        """Items are yielded one by one, so that a source of millions starts at once."""
        answer = self.subject().fresh().items(self.subject().source)
        demand(
            not isinstance(answer, Sized), f"items gave a whole {type(answer).__name__}", "return a generator: yield each item"
        )

    @check("test_items_are_stable")
    def test_loader_declines_what_is_not_its_kind(self) -> None:
        """A source that the loader does not know gets None, which leaves it to other loaders."""
        subject = self.subject()
        unknown = subject.folder / "unknown.hyla-unknown"
        unknown.write_text("no loader reads this\n")
        for source in (str(unknown), str(subject.folder / "nowhere" / "at.all"), "hyla-unknown://host/path"):
            answer = subject.fresh().items(source)
            todo = "return None before the first yield: keep the generator in a method of its own"
            demand(answer is None, f"the loader takes {source} for its own kind of source", todo)

    @check("test_items_are_well_formed")
    def test_images_are_well_formed(self) -> None:
        """Pixels have three axes and a usual type, frame and context can be stored."""
        images = self.subject().images
        demand(images, "not one of the first items could be loaded", "give --source with items that can be read")
        for image in images:
            demand(isinstance(image, Image), f"load gave a {type(image).__name__}", "return hyla.Image(pixels, item)")
            where, pixels = image.item.uri, image.pixels
            axes = isinstance(pixels, (np.ndarray, LazyPixels)) and pixels.ndim == 3 and 0 not in pixels.shape
            demand(
                axes,
                f"{where}: pixels are {getattr(pixels, 'shape', pixels)!r}",
                "give (H, W, C), also for grey: pixels[..., None]",
            )
            demand(pixels.dtype.name in DTYPES, f"{where}: pixels are {pixels.dtype}", f"give one of {', '.join(DTYPES)}")
            finite = pixels.dtype.kind != "f" or bool(np.isfinite(np.asarray(pixels)).all())
            demand(finite, f"{where}: pixels hold NaN or infinity", "replace what is unknown, or raise BadItem")
            demand(
                type(image.frame) in frame.NAMES, f"{where}: frame is a {type(image.frame).__name__}", "use a class of hyla.frame"
            )
            stored = frame.from_dict(json.loads(json.dumps(frame.to_dict(image.frame))))
            demand(
                stored == image.frame, f"{where}: frame changes when stored: {stored}", "give its fields as plain Python numbers"
            )
            plain = json.loads(json.dumps(dict(image.context))) == dict(image.context)
            demand(plain, f"{where}: context is not JSON-able: {image.context}", "keep plain numbers and text in it")

    @check("test_images_are_well_formed")
    def test_an_image_is_the_same_whichever_came_before(self) -> None:
        """Loading every third item gives the pixels that loading all gave: a run that goes on skips what is stored."""
        subject = self.subject()
        pipeline = subject.fresh()
        some = subject.load(pipeline, subject.scan(pipeline, limit=subject.limit)[1::3])
        before = {image.item.id: image for image in subject.images}
        for image in some:
            old = before.get(image.item.id)
            same = old is not None and np.array_equal(old.pixels, image.pixels) and old.frame == image.frame
            todo = "find the item by its index, not by counting calls"
            demand(same, f"{image.item.id} is another image when items before it are not loaded", todo)

    @check("test_images_are_well_formed")
    def test_references_are_pictures_or_nothing(self) -> None:
        """Asked for a picture of what nobody has heard of, or of nothing, the loader gives none, or a picture: on any thread."""
        subject = self.subject()
        pipeline = subject.fresh()
        if not pipeline.answers("reference"):
            raise NotApplicableError("the loader has no references")
        subject.scan(pipeline, limit=1)
        names = [one.name for one in subject.schema.attributes_of("label").values()]
        asked = [{}, {"hyla-unknown": "hyla-unknown"}, *({name: value} for name in names for value in ("hyla-unknown", "", None))]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(pipeline.reference, asked))
        for attributes, one in zip(asked, found, strict=True):
            whole = one is None or (isinstance(one.pixels, (np.ndarray, LazyPixels)) and one.pixels.ndim == 3)
            demand(whole, f"the reference of {attributes} is no picture", "give hyla.Image(pixels, item), or None")
        demand(found[0] is None, "the loader has a reference for a label of which nothing is known", "return None")

    @check("test_images_are_well_formed")
    def test_what_is_told_of_cameras_can_be_kept(self) -> None:
        """What a loader tells of its cameras is JSON-able, with a state in one word and no address that holds a password."""
        subject = self.subject()
        pipeline = subject.fresh()
        if not pipeline.answers("state"):
            raise NotApplicableError("the loader tells nothing of cameras")
        subject.load(pipeline, subject.scan(pipeline, limit=1))
        for name, state in pipeline.state().items():
            try:
                same = json.loads(json.dumps(state)) == state
            except (TypeError, ValueError):
                same = False
            demand(same and isinstance(name, str), f"the state of {name!r} is not JSON-able: {state}", "keep plain values in it")
            word = state.get("state")
            demand(
                isinstance(word, str) and word.isalpha(), f"the state of {name!r} is {word!r}", "say it in one word: connected"
            )
            bare = re.search(r"://[^/\s]*@", json.dumps(state)) is None
            demand(bare, f"the state of {name!r} shows who logs in", "hyla.live.without_secrets takes that out of an address")

    @check("test_images_are_well_formed")
    def test_what_can_not_be_read_is_a_bad_item(self) -> None:
        """An item whose file is not there raises BadItem, so that it is set aside with its reason."""
        subject = self.subject()
        item = subject.scanned[0]
        gone = replace(item, id="gone", uri=f"gone/{item.uri}", group=item.group and f"gone/{item.group}")
        pipeline = subject.fresh()
        subject.scan(pipeline, limit=1)
        try:
            pipeline.load(gone)
        except BadItem as error:
            demand(error.what, "BadItem says nothing", "name the file and what is wrong with it")
        else:
            demand(
                False, f"load gave an image for {gone.uri}, which does not exist", "find the file by item.uri; raise hyla.BadItem"
            )

    @check("test_images_are_well_formed")
    def test_an_empty_file_costs_only_its_own_items(self) -> None:
        """A file of no bytes is listed, its items raise BadItem, and all the others load."""
        subject = self.subject()
        copy = subject.elsewhere
        uri = subject.scanned[0].uri
        if copy is None or not copy.is_dir() or not (copy / uri).is_file():
            raise NotApplicableError("the first item is no file of its own in a folder")
        damaged = subject.folder / "damaged" / copy.name
        shutil.copytree(copy, damaged, copy_function=os.link)
        (damaged / uri).unlink()
        (damaged / uri).write_bytes(b"")
        pipeline = subject.fresh()
        items = subject.scan(pipeline, str(damaged))
        demand(
            any(i.uri == uri for i in items),
            f"{uri} is not listed when it is empty",
            "list it: a bad file is counted, with a reason",
        )
        others = {i.id for i in items if i.uri != uri}
        wanted = {i.id for i in subject.scanned if i.uri != uri}
        demand(
            others == wanted,
            f"{len(wanted - others)} items of other files are lost when {uri} is empty",
            "go on with the next file",
        )
        for item in [i for i in items if i.uri == uri][: subject.limit]:
            try:
                pipeline.load(item)
            except BadItem:
                continue
            demand(False, f"{item.id} loads although {uri} is empty", "raise hyla.BadItem")


def _about(item: Item) -> tuple[str, str, str, int]:
    return item.id, item.uri, item.group, item.index


def _first_difference(one: list[tuple[str, str, str, int]], two: list[tuple[str, str, str, int]]) -> str:
    pairs = [(a, b) for a, b in zip(one, two, strict=False) if a != b]
    return f"{pairs[0][0]} and {pairs[0][1]}" if pairs else f"{len(one)} and {len(two)} items"
