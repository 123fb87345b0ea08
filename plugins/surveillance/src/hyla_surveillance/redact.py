"""Hide faces, number plates, heads and zones under a mosaic so coarse that nothing brings back what was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem, ConfigError
from hyla.geometry import area
from hyla.hooks import Model, Redactor, hookimpl
from hyla.lazy import LazyPixels
from hyla.schema import Schema
from hyla.types import Bools, Floats, Image, Ints, Item, Kind, Labels
from hyla_surveillance.camera import Camera
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.cover import Cover, Covered, patch_of
from hyla_surveillance.plate_places import places

PEOPLE, VEHICLES = ("head", "body"), ("plate", "body")
HEAD = 0.6  # least height of a head's part of a box, in widths of the box: of who sits, or is cut off by something in front
UPPER = (0.15, 0.35)  # of the height, or of the width, of a person's box from above: where the middle of the face is
SURE = 0.7  # score from which a label of a face or plate is trusted so far that nothing else is hidden of its owner
SHARE = 0.06  # a face lower than this share of a person's box is that of somebody farther away


class Mosaic(Redactor):
    """Replace what must not be seen by a few cells of one colour each, the mean of what was there.

    A region keeps at most `cells` x `cells` colours, however large it is, and is larger than the face: with the defaults a face
    keeps about 4 x 4, and where regions lie over each other, one. Nothing computes the picture back from these, as it could be
    from a blur. That does not hide a person from somebody who compares mosaics with those of photographs of a few people they
    suspect (McPherson, Shokri and Shmatikov 2016, https://arxiv.org/abs/1609.00408): `cells: 1` leaves one colour and so nothing
    to compare. Clothes and gait stay as they are.

    Hidden are labels of `classes`; of each person to whom no face label of score 0.7 belongs the head, so that a face that nobody
    found is hidden too; of each vehicle to which no plate label of that score belongs the places at which a plate may be
    (`plate_places`); and zones of the camera whose purpose is hidden, which become black. Rather too much than too little.

    Args:
        schema: of the labels; classes that it lacks are passed over.
        classes: what is hidden as labelled, with their child classes.
        people: head or body: what is hidden of a person without a face label; None for nothing.
        vehicles: plate or body: what is hidden of a vehicle without a plate label; None for nothing.
        head: least share of a person's box, from above, that is the head's; a box wider than high is hidden as a whole.
        cells: of a region along its longer side, 1 to 12.
        cell: least side of a cell in pixels: YuNet sees faces in finer cells of heads that are 20 pixels wide.
        grow: of each side of a region, share of its width and height.
        cameras: where the cameras are described, as `camera_file.open_cameras` takes it; None for none.
        source: that the run labels.

    Raises:
        ConfigError: for settings out of range, and a camera file that can't be used.
    """

    def __init__(
        self,
        schema: Schema,
        classes: Sequence[str] = ("face", "plate"),
        people: str | None = "head",
        vehicles: str | None = "plate",
        head: float = 0.25,
        cells: int = 6,
        cell: int = 24,
        grow: float = 0.3,
        cameras: str | None = None,
        source: str = "",
    ) -> None:
        if people is not None and people not in PEOPLE:
            raise ConfigError(f"redact.people is {people!r}", "null hides nothing of people without a face label", PEOPLE)
        if vehicles is not None and vehicles not in VEHICLES:
            raise ConfigError(
                f"redact.vehicles is {vehicles!r}", "null hides nothing of vehicles without a plate label", VEHICLES
            )
        if not 0 < head <= 1 or not 0 <= grow <= 2:
            raise ConfigError(f"redact.head is {head} and redact.grow is {grow}", "give more than 0 to 1, and 0 to 2")
        if not 1 <= cells <= 12 or cell < 1:
            raise ConfigError(f"redact.cells is {cells} and redact.cell is {cell}", "give 1 to 12, and at least 1")
        self._classes = schema.under(*classes)
        self._person, self._face = schema.under("person"), schema.under("face")
        self._vehicle = np.setdiff1d(schema.under("vehicle"), schema.under("bicycle"))  # which bears no plate
        self._plate = schema.under("plate")
        self.people, self.vehicles, self.head = people, vehicles, head
        self.cells, self.cell, self.grow = cells, cell, grow
        self._cameras = open_cameras(cameras, source)

    @hookimpl
    def redact(self, image: Image, labels: Labels) -> Image:
        """Return a copy of `image` with what must not be seen hidden; `image` itself if there is nothing, or it is a volume.

        Raises:
            BadItem: for a picture of a camera that hid zones when it was labelled, and whose YAML is not there any more.
        """
        if image.volume:
            return image
        boxes = self.regions(image.pixels, labels)
        regions = [(box, 1 if twice else self.cells) for box, twice in zip(boxes, covered(boxes), strict=True)]
        camera = self._camera(image)
        zones = [zone.polygon for zone in camera.purposes("hidden")]
        cover = Cover([one for box, cells in regions if (one := patch_of(image.pixels, box, cells, self.cell))], zones)
        if not cover.patches and not cover.zones:
            return image
        if isinstance(image.pixels, LazyPixels):
            return replace(image, pixels=Covered(image.pixels, cover))
        pixels = image.pixels.copy()
        cover.put(pixels, 0, 0)
        return replace(image, pixels=pixels)

    def _camera(self, image: Image) -> Camera:
        name = str(image.item.meta.get("camera", ""))
        if image.item.meta.get("hidden_zones") and not self._cameras.knows(name):
            raise BadItem(f"camera {name!r} hides zones, and nothing says any more where: its YAML is not there")
        return self._cameras.of(name).of_size(image.size)

    def regions(self, pixels: npt.NDArray[Any], labels: Labels) -> Floats:
        """Return the boxes (k, 4) that are hidden in a picture (H, W, C), in pixels, grown; they may reach out of it."""
        flat = labels[labels.kind != Kind.CUBOID]

        def of(classes: Ints, score: float = 0.0) -> Floats:
            return np.asarray(flat.box[np.isin(flat.class_id, classes) & (flat.score >= score)])

        found = [grown(of(self._classes), self.grow)]
        if self.people is not None:
            alone = of(self._person)
            alone = alone[~with_face(alone, of(self._face, SURE))]
            found.append(grown(alone if self.people == "body" else heads(alone, self.head), self.grow / 2))
        if self.vehicles is not None:
            alone = of(self._vehicle)
            alone = alone[~with_plate(alone, of(self._plate, SURE))]
            found.append(alone if self.vehicles == "body" else places(pixels, alone))
        return np.concatenate(found)


def grown(box: Floats, share: float) -> Floats:
    """Return boxes (n, 4) larger by `share` of their width and height on each side."""
    margin = (box[:, 2:] - box[:, :2]) * share
    return np.concatenate([box[:, :2] - margin, box[:, 2:] + margin], axis=1)


def covered(box: Floats) -> Bools:
    """Return (n,) which boxes (n, 4) lie for more than half in one before them: there, a second mosaic would tell more."""
    wide = np.minimum(box[:, None, 2:], box[None, :, 2:]) - np.maximum(box[:, None, :2], box[None, :, :2])
    shared = np.tril(np.maximum(wide, 0).prod(axis=2), -1)
    return np.asarray((shared > area(box)[:, None] / 2).any(axis=1))


def heads(people: Floats, share: float) -> Floats:
    """Return the part (n, 4) of people's boxes (n, 4) in which their heads are: all of a box that is wider than high.

    A standing head takes an eighth of the height; who sits, bends or is cut off takes more, in widths of the box.
    """
    width, height = people[:, 2] - people[:, 0], people[:, 3] - people[:, 1]
    part = np.where(width > height, height, np.minimum(np.maximum(share * height, HEAD * width), height))
    return np.column_stack([people[:, :3], people[:, 1] + part])


def with_face(people: Floats, faces: Floats) -> Bools:
    """Return (n,) to which people's boxes (n, 4) one of the faces (m, 4) belongs; each face belongs to one, whom it fits best.

    Its middle lies where the face of somebody upright is, and it is not so small that it is that of somebody farther away. A hand
    or a bag that was taken for a face lies lower.
    """
    found = np.zeros(len(people), dtype=bool)
    if not len(people) or not len(faces):
        return found
    width, height = people[:, 2] - people[:, 0], np.maximum(people[:, 3] - people[:, 1], 1e-9)
    low = people[:, 1] + np.minimum(np.maximum(UPPER[0] * height, UPPER[1] * width), height)
    place = np.column_stack([people[:, :3], low])
    middle = (faces[:, :2] + faces[:, 2:]) / 2
    inside = (middle[None] >= place[:, None, :2]).all(axis=2) & (middle[None] <= place[:, None, 2:]).all(axis=2)
    inside &= (faces[:, 3] - faces[:, 1])[None] >= SHARE * height[:, None]
    usual = np.column_stack([(people[:, 0] + people[:, 2]) / 2, people[:, 1] + height / 10])
    away = np.hypot(*(middle[None] - usual[:, None]).transpose(2, 0, 1)) / height[:, None]
    taken = np.zeros(len(faces), dtype=bool)
    for pair in np.argsort(np.where(inside, away, np.inf), axis=None, kind="stable")[: int(inside.sum())]:
        person, face = divmod(int(pair), len(faces))
        if not found[person] and not taken[face]:
            found[person] = taken[face] = True
    return found


def with_plate(vehicles: Floats, plates: Floats) -> Bools:
    """Return (n,) in which vehicles' boxes (n, 4) the middle of one of the plates (m, 4) lies."""
    middle = (plates[:, :2] + plates[:, 2:]) / 2
    inside = np.asarray((middle[None] >= vehicles[:, None, :2]) & (middle[None] <= vehicles[:, None, 2:]))
    return np.asarray(np.any(np.all(inside, axis=2), axis=1))


def remaining(pixels: npt.NDArray[Any], faces: Model) -> int:
    """Return how many faces a model finds in a picture (H, W, C)."""
    return len(found_in(pixels, faces))


def found_in(pixels: npt.NDArray[Any], faces: Model) -> Floats:
    """Return the boxes (n, 4) of what a model finds in a picture (H, W, C)."""
    return np.asarray((faces.predict([Image(pixels, Item("redacted", "redacted"))]) or [Labels.empty()])[0].box)
