"""Review rules about the series itself: its slices, its acquisition and its patient's age."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, fact
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels

ANSWERS = ("yes", "no")
WORDS = {"localizer": "a localizer", "derived": "computed from others"}


class UnevenSlices(SchemaRule):
    """Send series to review whose slices are not equally far apart: volumes and diameters along them are off.

    Args:
        share: largest deviation of a gap from the median gap; 0.01.
    """

    def __init__(self, schema: Schema, name: str, share: float = 0.01, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.share = share

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        uneven = float(item.meta.get("uneven") or 0.0)
        if not uneven > self.share:
            return []
        return self.whole(
            "uneven_slices", f"gaps between slices differ by up to {uneven:.1%} of the median, limit {self.share:.1%}"
        )


class MissingSlices(SchemaRule):
    """Send series to review in which slices are missing, or come twice."""

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags for the item."""
        missing, twice = (int(item.meta.get(key) or 0) for key in ("missing", "duplicates"))
        found: list[Flag] = []
        if missing > 0:
            found += self.whole("missing_slices", f"{missing} slice(s) are missing, by the gaps; none may be")
        if twice > 0:
            found += self.whole("duplicate_slices", f"{twice} slice(s) lie where another one does; none may")
        return found


class GantryTilt(SchemaRule):
    """Send series of a tilted gantry to review: models learned from upright stacks.

    Args:
        degrees: between the normal of the slices and the direction in which they are stacked; 0.5.
    """

    def __init__(self, schema: Schema, name: str, degrees: float = 0.5, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.degrees = degrees

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        tilt = abs(float(item.meta.get("tilt_deg") or 0.0))
        if not tilt > self.degrees:
            return []
        return self.whole("gantry_tilt", f"the gantry is tilted by {tilt:.1f} degrees, limit {self.degrees:g}")


class ThickSlices(SchemaRule):
    """Send series to review whose slices are too far apart for small lesions: what lies between two can't be seen.

    Single slices and localizers are left out.

    Args:
        mm: distance of slices; 5, the thickest that RECIST 1.1 takes for its 10 mm.
    """

    def __init__(self, schema: Schema, name: str, mm: float = 5.0, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.mm = mm

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        spacing, alone = item.meta.get("spacing_mm"), item.meta.get("slices") == 1 or item.meta.get("localizer")
        apart = 0.0 if alone or not spacing else float(spacing[0])
        if not apart > self.mm:
            return []
        return self.whole("thick_slices", f"slices are {apart:.4g} mm apart, limit {self.mm:g} mm")


class FrameOfReference(SchemaRule):
    """Send DICOM series without a frame of reference to review: other programs can't lay their segmentation over them.

    Series that mix two frames of reference never get here: the loader refuses them.
    """

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        if item.kind != "series" or not item.meta.get("series") or item.meta.get("reference"):
            return []
        return self.whole("frame_of_reference", "the series names no frame of reference (0020,0052)")


class UnseenAcquisition(SchemaRule):
    """Send series to review that were taken in a way which the model never saw.

    What a header does not tell is not flagged.

    Args:
        modalities: that the model knows; CT. None for all.
        contrast: yes or no if the model knows only series with, or without, contrast agent; None if both.
        kernels: reconstruction kernels that the model knows, with * and ?: `["B3*", "FC??"]`; None for all.
        manufacturers: that the model knows, likewise; None for all. Upper and lower case are the same.
        localizers: flag localizers (scouts), in which nothing can be measured.
        derived: flag series that were computed from others (ImageType DERIVED), as reformats and subtractions are.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        modalities: Sequence[str] | None = ("CT",),
        contrast: str | None = None,
        kernels: Sequence[str] | None = None,
        manufacturers: Sequence[str] | None = None,
        localizers: bool = True,
        derived: bool = False,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        if contrast not in (None, *ANSWERS):
            raise ConfigError(f"rules.{name}.contrast is {contrast!r}", "put quotes around yes and no in YAML", choices=ANSWERS)
        self.contrast = contrast
        self.kinds = [name for name, wanted in (("localizer", localizers), ("derived", derived)) if wanted]
        self.known = {"modality": modalities, "kernel": kernels, "manufacturer": manufacturers}

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for each way in which the item is new to the model."""
        found: list[Flag] = []
        for key, patterns in self.known.items():
            value = fact(item, labels, key)
            if patterns is not None and value and not any(fnmatch(str(value).lower(), one.lower()) for one in patterns):
                found += self.whole(f"unseen_{key}", f"the {key} is none that the model knows: {', '.join(patterns)}")
        contrast = fact(item, labels, "contrast")
        if self.contrast is not None and contrast in ANSWERS and contrast != self.contrast:
            has = {"yes": "with", "no": "without"}
            found += self.whole(
                "unseen_contrast", f"taken {has[contrast]} contrast agent, the model knows series {has[self.contrast]} it"
            )
        for kind in self.kinds:
            if item.meta.get(kind):
                found += self.whole(f"unseen_{kind}", f"the series is {WORDS[kind]}, and the model knows none")
        return found


class Minor(SchemaRule):
    """Send children to a person: models and ranges are those of adults.

    Args:
        unknown: also flag items of which the age is not known.
    """

    def __init__(self, schema: Schema, name: str, unknown: bool = False, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.unknown = unknown

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        child = fact(item, labels, "child")
        if child:
            return self.whole("minor", "under 18 years, where the model and the ranges know adults")
        return self.whole("minor", "the age is not known, limit 18 years") if child is None and self.unknown else []
