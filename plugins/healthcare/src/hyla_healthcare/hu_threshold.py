"""Label CT without weights: body, lungs, airway, gas, bone and candidates for nodules, by HU and shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.frame import PatientFrame
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Bools, Click, Image, Labels, Rle
from hyla_healthcare import body, bone, components, grow, lungs, structures
from hyla_healthcare.components import Box
from hyla_healthcare.lungs import Place
from hyla_healthcare.structures import Structure

STABLE = 20.0  # HU by which the thresholds may be off; about the noise of a CT of the trunk (sd)
LEAST_SIDE = 8  # voxels in a slice: nothing is looked for in less
NODULE_SCORE = 0.5  # most that a candidate for a nodule gets
GAS_MARGIN = 3.0  # mm around lungs and airway in which air is theirs


class HuThreshold(Model):
    """Label what HU and shape tell in a CT volume, and nothing in any other; of NIfTI the loader must be told that it is CT.

    It finds body, lung_left, lung_right, airway (the trachea down to about where it divides), air (gas in the bowel, and between
    the trunk and an arm that rests on it), bone, and up to `most_nodules` candidates for lung_nodule. It tells no organ from
    another, and no disease: consolidated lung is missing from the lungs, iodine or calcium that touches bone is in the bone, and
    a nodule that touches a vessel or the wall is not found. So it is `partial`.

    A score is the share of a structure's voxels that are further than 20 HU from each threshold that made it, so that they do not
    change if the thresholds move by that; entropy, in nats, that of their class if the thresholds are normally distributed with
    20 HU as standard deviation. Both say how firm the outline is, and neither whether the structure is what it is called. The
    score of a candidate is half its roundness.

    Args:
        schema: of the project; structures whose class it lacks are left out. None names all.
        skin: HU above which something belongs to the body.
        air: HU below which something in the body is lung or gas.
        bone: HU above which something may be bone.
        dense: HU that a fiftieth of a bone reaches.
        nodule: HU above which something in the lungs may be a nodule.
        table: mm; shells thinner than twice that are not body.
        close, close_bone: mm; gaps in lungs, and in the shells of bones, up to twice that are closed.
        least_lung, least_gas, least_bone: ml of a piece.
        nodule_mm: least and greatest size of a candidate.
        most_nodules: candidates, the roundest first.

    Raises:
        ConfigError: for a setting out of range.
    """

    partial = True

    def __init__(
        self,
        schema: Schema | None = None,
        skin: float = body.SKIN,
        air: float = -400.0,
        bone: float = 180.0,
        dense: float = 300.0,
        nodule: float = -400.0,
        table: float = body.TABLE,
        close: float = 3.0,
        close_bone: float = 8.0,
        least_lung: float = 50.0,
        least_gas: float = 0.5,
        least_bone: float = 0.2,
        nodule_mm: Sequence[float] = (3.0, 30.0),
        most_nodules: int = 10,
    ) -> None:
        if not -1000 < air <= skin < bone < dense:
            raise ConfigError(f"hu_threshold needs -1000 < air <= skin < bone < dense (HU), got {air}, {skin}, {bone}, {dense}")
        if min(table, close, close_bone, least_lung, least_gas, least_bone) <= 0:
            raise ConfigError("hu_threshold.table, close, close_bone, least_lung, least_gas and least_bone must be above 0")
        if len(nodule_mm) != 2 or not 0 < nodule_mm[0] < nodule_mm[1]:
            raise ConfigError(f"hu_threshold.nodule_mm must be (least, greatest) in mm, got {list(nodule_mm)}")
        if most_nodules < 0:
            raise ConfigError(f"hu_threshold.most_nodules must be 0 or more, got {most_nodules}")
        self.schema = schema or Schema.from_config({"name": "hu_threshold", "kinds": ["mask"], "classes": dict.fromkeys(NAMES)})
        self.skin, self.air, self.bone, self.dense, self.nodule = skin, air, bone, dense, nodule
        self.table, self.close, self.close_bone = table, close, close_bone
        self.least_lung, self.least_gas, self.least_bone = least_lung, least_gas, least_bone
        self.nodule_mm = (float(nodule_mm[0]), float(nodule_mm[1]))
        self.most_nodules = most_nodules

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the structures of each volume as masks."""
        return [structures.labels(image, self.schema, self.find(image)) for image in images]

    @hookimpl
    def refine(self, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        """Return the object at the clicks, in a volume or a picture of any kind; see `grow.refine`."""
        return grow.refine(image, clicks, mask)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "hu_threshold"}

    def find(self, image: Image) -> list[Structure]:
        """Return the structures of a CT volume; none of anything else, or of what is too small to tell."""
        if not structures.is_ct(image) or min(image.pixels.shape[1:]) < LEAST_SIDE or not isinstance(image.frame, PatientFrame):
            return []
        spacing = structures.spacing(image)
        trunk = body.body(image.pixels, spacing, self.skin, self.table)
        box = components.box_of(trunk)
        if box is None or trunk.all():  # all body: no air around it, so these are no HU of a patient
            return []
        _, y, x = box
        affine = np.array(image.frame.affine)
        affine[:3, 3] += affine[:3, :3] @ (x.start, y.start, 0)
        part = trunk[:, y, x]
        place = Place(affine, spacing, structures.middles(part, affine))
        found = self._inside(np.ascontiguousarray(image.pixels[:, y, x]), part, place)
        return [replace(one, mask=_placed(one.mask, box, trunk.shape)) for one in found]

    def _inside(self, hu: npt.NDArray[Any], trunk: Bools, place: Place) -> list[Structure]:
        """Return the structures in the box around the body."""
        hollow = (hu < self.air) & trunk
        trachea = lungs.airway(hu, trunk, place, self.air)
        left, right = lungs.lungs(hu, hollow & ~trachea, trunk, place, self.least_lung, self.close)
        lung = left | right
        if not lung.any():
            trachea &= False  # a round gas bubble of the bowel
        left, right = left & ~trachea, right & ~trachea
        gas = components.find(hollow & ~components.dilated(lung | trachea, place.reach(GAS_MARGIN)))
        bones = bone.bone(hu, trunk, place, self.bone, self.dense, self.least_bone, self.close_bone)
        found = [
            self._structure("body", trunk, hu, self.skin),
            self._structure("lung_left", left, hu, self.air),
            self._structure("lung_right", right, hu, self.air),
            self._structure("airway", trachea, hu, self.air),
            self._structure("air", gas.mask(gas.sizes * place.voxel_ml >= self.least_gas), hu, self.air),
            self._structure("bone", bones, hu, self.bone),
        ]
        spots = lungs.nodules(hu, lung & ~trachea, place, self.nodule, self.nodule_mm)[: self.most_nodules]
        found += [Structure("lung_nodule", mask, NODULE_SCORE * roundness) for mask, roundness in spots]
        return [one for one in found if one is not None]

    def _structure(self, name: str, mask: Bools, hu: npt.NDArray[Any], limit: float) -> Structure | None:
        box = components.box_of(mask)
        if box is None:
            return None
        off = np.abs(hu[box][mask[box]].astype(np.float32) - limit)
        near = off[off < 4 * STABLE]
        return Structure(name, mask, 1 - float(np.count_nonzero(off < STABLE)) / len(off), _entropy(near) / len(off))


NAMES = ("body", "lung_left", "lung_right", "airway", "air", "bone", "lung_nodule")


def _placed(mask: Bools, box: Box, shape: tuple[int, ...]) -> Bools:
    whole = np.zeros(shape, dtype=bool)
    whole[:, box[1], box[2]] = mask
    return whole


def _entropy(off: npt.NDArray[np.float32]) -> float:
    """Return the sum of the entropies, in nats, of being on either side of a threshold that is `off` HU away."""
    from scipy.special import entr, ndtr

    p = ndtr(off / STABLE)
    return float((entr(p) + entr(1 - p)).sum())
