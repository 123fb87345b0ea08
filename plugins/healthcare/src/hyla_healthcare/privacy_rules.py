"""Review rules about what in the pixels may tell who the patient is."""

from __future__ import annotations

from collections.abc import Sequence

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, fact
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels

# SOP classes whose pixels often have text burned in, by what follows the root of all storage classes (PS3.6 A).
STORAGE = "1.2.840.10008.5.1.4.1.1."
TEXT_CLASSES = {
    **dict.fromkeys(("7", "7.1", "7.2", "7.3", "7.4"), "a secondary capture"),
    **dict.fromkeys(("3", "3.1", "6", "6.1", "6.2"), "ultrasound"),
    **dict.fromkeys(("12.1", "12.1.1"), "angiography"),
    **dict.fromkeys(("12.2", "12.2.1"), "fluoroscopy"),
}
NO_TEXT = "none found"  # what the loader says of a picture in which OCR read nothing
HEADS = ("BRAIN", "EAR", "FACE", "HEAD", "HEADNECK", "JAW", "NECK", "ORBIT", "SINUS", "SKULL", "WHOLEBODY")


class Phi(SchemaRule):
    """Send pictures to a person in which names may be burned into the pixels, before anything else is done with them.

    BurnedInAnnotation (0028,0301) says YES; or the SOP class is one of secondary capture, ultrasound, angiography or fluoroscopy,
    whatever it says; or text was found by OCR, and blacked out.

    Args:
        unknown: also flag items that do not say whether anything is burned in; CT and MR rarely say.
    """

    def __init__(self, schema: Schema, name: str, unknown: bool = False, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.unknown = unknown

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item, with all reasons."""
        said = fact(item, labels, "burned_in")
        kind = TEXT_CLASSES.get(str(item.meta.get("sop_class", "")).removeprefix(STORAGE))
        found = fact(item, labels, "burned_in_text")
        why = [
            *(["the header says that text is burned in"] if said == "YES" else []),
            *(["the header does not say whether text is burned in"] if said is None and self.unknown else []),
            *([f"{kind} often has text burned in"] if kind else []),
            *(["text was found and blacked out"] if found not in (None, NO_TEXT) else []),
        ]
        return self.whole("phi", f"look for names in the pixels: {'; '.join(why)}") if why else []


class Face(SchemaRule):
    """Send scans of heads to review: a face can be drawn from a volume, and recognised.

    Args:
        body_parts: words of BodyPartExamined (0018,0015) that include the face.
        classes: labels that show that the head is in the volume.
        defaced: the source had faces removed already, so that nothing is flagged.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        body_parts: Sequence[str] = HEADS,
        classes: Sequence[str] = ("brain", "brain_tumour"),
        defaced: bool = False,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.body_parts = frozenset(body_parts)
        self.classes = self.chosen(classes)
        self.defaced = defaced

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        part = str(fact(item, labels, "body_part") or "").upper().replace(" ", "")
        head = part in self.body_parts or bool(self.classes[labels.class_id].any())
        if self.defaced or item.kind != "series" or not head:
            return []
        return self.whole("face", "a volume of the head: the face may be recognised unless it was removed")
