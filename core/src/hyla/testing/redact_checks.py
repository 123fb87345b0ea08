"""What a redactor owes: pictures of the same form, the same each time, in which what is to be hidden can't be made out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import codec
from hyla.plugins import Pipeline
from hyla.testing import probes
from hyla.testing.base import Checks, NotApplicableError, check, demand
from hyla.testing.subject import own
from hyla.types import Image, Item, Labels

SIZE = (240, 320)  # of the picture on which something is hidden
BOX = (80, 40, 240, 200)  # where, as x0, y0, x1, y1
ALIKE = 0.5  # correlation of noise with what hides it, from which it can still be made out; a mosaic of n x n pixels leaves 1 / n


class RedactChecks(Checks):
    """Check the redactor, if the preset has one, on the source and on noise, with labels of everything that the schema allows."""

    @check("test_predictions_fit_the_schema")
    def test_a_redacted_picture_keeps_its_form(self) -> None:
        """A redacted picture has the size and type of its picture, is the same each time, and leaves picture and labels alone."""
        pipeline = self._redactor()
        for image, labels in self._pictures():
            copy, before = own(image), codec.pack(labels)
            found, again = pipeline.redact(copy, labels), pipeline.redact(own(image), labels)
            where = image.item.id
            demand(np.array_equal(copy.pixels, image.pixels), f"{where}: redact changes the picture", "work on pixels.copy()")
            demand(codec.pack(labels) == before, f"{where}: redact changes the labels", "work on copies of their arrays")
            todo = "draw no chance and remember nothing: many versions of one picture give away what is under them"
            demand(np.array_equal(found.pixels, again.pixels), f"{where}: redact answers otherwise when asked again", todo)

    @check("test_a_redacted_picture_keeps_its_form")
    def test_what_is_hidden_can_not_be_made_out(self) -> None:
        """A label of at least one class hides what lies under it, so that fine detail can't be made out any more."""
        pipeline, schema = self._redactor(), self.subject().schema
        boxed = [i for i, one in enumerate(schema.classes) if not one.abstract and "box" in (one.kinds or schema.kinds)]
        if not boxed:
            raise NotApplicableError("the schema has no class that is drawn as a box")
        noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        changed = []
        for class_id in boxed:
            labels = Labels.of([class_id], [BOX])
            found = pipeline.redact(own(Image(noise, Item("noise", "noise.png"))), labels).pixels
            hidden = (found != noise).any(axis=-1)
            changed += [schema.classes[class_id].name] if hidden[BOX[1] : BOX[3], BOX[0] : BOX[2]].any() else []
            likeness = _likeness(noise[hidden], found[hidden])
            todo = "blur is undone, and colours are shifted back: paint over, or average blocks of many pixels"
            what = f"under a {schema.classes[class_id].name} the picture can still be made out (correlation {likeness:.2f})"
            demand(likeness < ALIKE, what, todo)
        demand(changed, "no label hides anything", f"paint over one of {', '.join(schema.classes[i].name for i in boxed)}")

    def _redactor(self) -> Pipeline:
        pipeline = self.subject().fresh()
        if not pipeline.answers("redact"):
            raise NotApplicableError("the preset hides nothing")
        return pipeline

    def _pictures(self) -> Iterator[tuple[Image, Labels]]:
        """Yield pictures with labels of every class and kind, and with none: of the source, and odd ones."""
        subject = self.subject()
        for image, labels in zip(subject.images, subject.probes, strict=True):
            yield image, labels
            yield image, Labels.empty()
        for channels, dtype, (height, width) in ((1, np.uint8, (9, 7)), (4, np.uint16, (33, 47)), (3, np.float32, (1, 1))):
            pixels = (np.random.default_rng(1).random((height, width, channels)) * 200).astype(dtype)
            for labels in (probes.labels(subject.schema, (height, width), 0), Labels.empty()):
                yield Image(pixels, Item("odd", "odd.png")), labels


def _likeness(was: npt.NDArray[Any], now: npt.NDArray[Any]) -> float:
    """Return how far pixels (n, 3) can be told from others, as the absolute correlation; 0 of what has one value."""
    if len(was) == 0 or now.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(was.ravel().astype(np.float64), now.ravel().astype(np.float64))[0, 1]))
