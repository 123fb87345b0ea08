"""What a model owes: labels that fit the schema, and that depend on nothing but the picture (and, with memory, on its group)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hyla import codec
from hyla.errors import HylaError, StageError
from hyla.geometry import decode
from hyla.testing.base import Checks, NotApplicableError, check, demand
from hyla.testing.subject import BATCH, own
from hyla.types import Click, Image, Item, Kind, Labels, Rle, same_shape

SMALL = (33, 47)  # odd, and smaller than what a network strides over


class ModelChecks(Checks):
    """Check the model on the first images of the source."""

    @check("test_an_image_is_the_same_whichever_came_before")
    def test_predictions_fit_the_schema(self) -> None:
        """Every label has a class and a kind of the schema, a score from 0 to 1, and lies inside its picture."""
        subject = self.subject()
        for image, labels in zip(subject.images, subject.labels, strict=True):
            self._prove(labels, image)

    @check("test_stages_register")
    def test_model_names_what_labels_come_from(self) -> None:
        """Provenance has a name, and a sha256 as digest where there are weights, the same each time."""
        facts = [self.subject().fresh().provenance() for _ in range(2)]
        told = facts[0].get("name", "unnamed") != "unnamed" and all(isinstance(v, str) for v in facts[0].values())
        demand(told, f"provenance is {facts[0]}", 'answer provenance with text: {"name": ...} and, with weights, "digest"')
        digest = facts[0].get("digest", "0" * 64)
        demand(re.fullmatch("[0-9a-f]{64}", digest), f"the digest {digest!r} is no sha256", "give hyla.weights.digest(path)")
        demand(facts[0] == facts[1], f"provenance changes: {facts[0]}, then {facts[1]}", "keep times and addresses out of it")

    @check("test_predictions_fit_the_schema")
    def test_model_takes_a_picture_of_nothing(self) -> None:
        """A black picture, and a small one, get labels that fit, or none."""
        subject = self.subject()
        first = subject.images[0]
        shapes = [first.pixels.shape] if first.volume else [first.pixels.shape, (*SMALL, first.pixels.shape[2])]
        nothing = [
            replace(first, pixels=np.zeros(shape, first.pixels.dtype), item=Item("nothing", "nothing.png")) for shape in shapes
        ]
        for image in nothing:
            self._prove(subject.predict(1, images=[image])[0], image)

    @check("test_predictions_fit_the_schema")
    def test_model_leaves_the_pixels_alone(self) -> None:
        """Predicting does not change the pixels, which others still need."""
        images = self.subject().images[:BATCH]
        copies = [own(image) for image in images]
        self.subject().fresh().predict(copies)
        for image, copy in zip(images, copies, strict=True):
            same = np.array_equal(image.pixels, copy.pixels)
            demand(same, f"the model changed the pixels of {image.item.id}", "work on a copy: image.pixels.copy()")

    @check("test_predictions_fit_the_schema")
    def test_labels_do_not_depend_on_the_batch(self) -> None:
        """One picture at a time gives the labels that many at a time give."""
        subject = self.subject()
        todo = "compute each picture alone: pad to a fixed size, not to the batch; or override tolerance() and say why"
        self._same(subject.predict(1), subject.predict(max(2, len(subject.images))), subject.images, "with the batch", todo)

    @check("test_labels_do_not_depend_on_the_batch")
    def test_labels_do_not_depend_on_what_came_before(self) -> None:
        """A model without memory gives a picture the same labels whichever it saw before."""
        subject = self.subject()
        if subject.fresh().memory:
            raise NotApplicableError("the model has memory of its group, and says so")
        backwards = subject.predict(BATCH, images=subject.images[::-1])[::-1]
        todo = "keep nothing from picture to picture, or set memory = True: the run then keeps each group in order"
        self._same(subject.predict(BATCH), backwards, subject.images, "with the pictures before", todo)

    @check("test_labels_do_not_depend_on_what_came_before")
    def test_a_replayed_group_gives_the_same_labels(self) -> None:
        """After forget, and in a new process of a resumed run, a group gives the labels that it gave before."""
        subject = self.subject()
        pipeline = subject.fresh()
        first = subject.predict(BATCH, pipeline)
        for group in dict.fromkeys(image.item.group for image in subject.images):
            if group:
                pipeline.forget(group)
        again = subject.predict(BATCH, pipeline)
        self._same(
            first, again, subject.images, "when its group is replayed", "drop all that is kept of a group in forget(group)"
        )

    @check("test_a_replayed_group_gives_the_same_labels")
    def test_a_batch_that_fails_leaves_the_memory_alone(self) -> None:
        """A batch that fails is tried again in halves, which must find the memory as it was."""
        subject = self.subject()
        pipeline = subject.fresh()
        if not pipeline.memory:
            raise NotApplicableError("the model has no memory")
        item = replace(subject.images[0].item, id="broken", group="broken")
        broken = replace(subject.images[0], pixels=None, item=item)  # type: ignore[arg-type]  # nobody can predict that
        first = own(subject.images[0])
        try:
            pipeline.predict([first, broken])
        except HylaError:
            todo = "predict all images of the batch first, and only then change what is remembered"
            again = subject.predict(BATCH, pipeline)
            self._same(subject.predict(BATCH), again, subject.images, "after a batch that failed", todo)
        else:
            raise NotApplicableError("the model answers even for an image without pixels")

    @check("test_predictions_fit_the_schema")
    def test_refining_fits_the_picture(self) -> None:
        """A mask made from clicks has the size of its picture, is the same each time, and changes nothing that was given."""
        subject = self.subject()
        pipeline, schema = subject.fresh(), subject.schema
        masked = [i for i, one in enumerate(schema.classes) if not one.abstract and "mask" in (one.kinds or schema.kinds)]
        if not pipeline.answers("refine"):
            raise NotApplicableError("the model does not outline what is clicked on")
        if not masked:
            raise NotApplicableError("the schema has no class that is drawn as a mask")
        image, class_id, clicks, mask = _clicked(subject.images[0], subject.labels[0], masked)
        copy, given = own(image), list(clicks)
        found = [pipeline.refine(copy, class_id, given, before) for before in (mask, mask, None)]
        unchanged = np.array_equal(image.pixels, copy.pixels) and given == clicks
        demand(unchanged, "refine changes the pixels or the clicks", "work on copies: image.pixels.copy()")
        demand(found[0] == found[1], "refine answers otherwise when asked again", "keep nothing from click to click")

    def _prove(self, labels: Labels, image: Image) -> None:
        where = image.item.id
        demand(isinstance(labels, Labels), f"{where}: predict gave a {type(labels).__name__}", "give one hyla.Labels per image")
        try:
            self.subject().schema.check(labels, image.size)
            codec.pack(labels)
        except StageError as error:
            raise AssertionError(f"{where}: {error}\n  give only what the preset's schema allows, inside the picture") from error

    def _same(self, one: Sequence[Labels], two: Sequence[Labels], images: Sequence[Image], when: str, todo: str) -> None:
        for a, b, image in zip(one, two, images, strict=True):
            difference = differs(a, b, self.tolerance())
            demand(not difference, f"the labels of {image.item.id} change {when}: {difference}", todo)


def _clicked(image: Image, labels: Labels, masked: Sequence[int]) -> tuple[Image, int, list[Click], Rle | None]:
    """Return a picture, a class, a click in the middle of a mask (or of the picture) and one at a corner, and that mask."""
    rows = [row for row in range(len(labels)) if labels.kind[row] == Kind.MASK]
    height, width = image.size[-2:]
    if rows:
        mask = labels.shape[rows[0]]
        *slices, y, x = (int(i[len(i) // 2]) for i in np.nonzero(decode(mask)))
        z, class_id = (slices or [0])[0], int(labels.class_id[rows[0]])
    else:
        mask, z, class_id = None, image.size[0] // 2 if image.volume else 0, masked[0]
        y, x = height // 2, width // 2
    return image, class_id, [Click(x + 0.5, y + 0.5, z, True), Click(0.5, 0.5, z, False)], mask


def differs(a: Labels, b: Labels, tolerance: float = 0.0) -> str:
    """Return in words how two Labels differ by more than `tolerance` in scores and coordinates, or nothing."""
    if a == b:
        return ""
    if len(a) != len(b):
        return f"{len(a)} labels and {len(b)}"
    for name in ("class_id", "kind", "track"):
        if not np.array_equal(getattr(a, name), getattr(b, name)):
            return f"other values of {name}"
    for name in ("score", "box"):
        most = float(np.abs(getattr(a, name) - getattr(b, name)).max(initial=0))
        if most > tolerance:
            return f"values of {name} differ by up to {most:.3g}"
    if any(not _near(x, y, tolerance) for x, y in zip(a.shape, b.shape, strict=True)):
        return "other shapes"
    if a.context != b.context or a.attributes.keys() != b.attributes.keys():
        return "other attributes"
    return "" if tolerance else "other values of attributes or evidence"


def _near(x: object, y: object, tolerance: float) -> bool:
    if same_shape(x, y):
        return True
    if isinstance(x, tuple) and isinstance(y, tuple) and len(x) == len(y):
        return all(_near(one, other, tolerance) for one, other in zip(x, y, strict=True))
    return (
        isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.shape == y.shape and bool(np.abs(x - y).max() <= tolerance)
    )
