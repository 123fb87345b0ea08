"""Let several models label the same pictures: a detector and a lane model, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hyla.errors import ConfigError, StageError
from hyla.hooks import Model, hookimpl
from hyla.types import Click, Image, Labels, Rle


class Ensemble(Model):
    """Join the labels of its members, image by image, in the order in which the members are named.

    Nothing is merged or suppressed: members are meant to look for different things. A later member's context wins. The ensemble
    remembers a group if any member does.

    Args:
        members: name -> model; a name is the user's own word for it and appears in the provenance. A member that is None is
            left out, so that `model.members.lanes=null` takes it from a preset.

    Raises:
        ConfigError: when there are no members, or a member can't predict.
    """

    def __init__(self, members: Mapping[str, Model | None]) -> None:
        present = {name: member for name, member in members.items() if member is not None}
        if not present:
            raise ConfigError("an ensemble needs at least one member", "name one: model.members.detector={...}")
        for name, member in present.items():
            if type(member).predict is Model.predict if isinstance(member, Model) else not hasattr(member, "predict"):
                raise ConfigError(f"ensemble member {name!r} is no model: {type(member).__name__} has no predict")
        self.members = present
        self.memory = any(getattr(member, "memory", False) for member in self.members.values())
        self.partial = all(getattr(member, "partial", False) for member in self.members.values())

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return, for each image, the labels of all members.

        Members without memory are asked first, since they are what fails for want of device memory: a batch that is tried again
        in halves then finds the memory of the others untouched.

        Raises:
            StageError: when a member does not answer with one Labels per image.
        """
        answers: dict[str, list[Labels]] = {}
        for name, member in sorted(self.members.items(), key=lambda pair: bool(getattr(pair[1], "memory", False))):
            answer = member.predict(images)
            if answer is None or len(answer) != len(images):
                got = "nothing" if answer is None else f"{len(answer)} answers"
                raise StageError(f"ensemble member {name!r} gave {got} for {len(images)} images")
            answers[name] = answer
        return [Labels.concat([answers[name][i] for name in self.members]) for i in range(len(images))]

    @hookimpl
    def forget(self, group: str) -> None:
        """Pass on that the group is over."""
        for member in self.members.values():
            if hasattr(member, "forget"):
                member.forget(group)

    @hookimpl
    def refine(self, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        """Return the mask of the first member, in the order in which they are named, that has an answer."""
        for member in self.members.values():
            found = member.refine(image, class_id, clicks, mask) if hasattr(member, "refine") else None
            if found is not None:
                return found
        return None

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return `name`, the members' names joined by +, and each member's own facts under its name: `lanes.digest`.

        `digest` is the sha256 over the members' digests, where there are any.
        """
        facts = {
            name: dict(member.provenance() or {}) if hasattr(member, "provenance") else {}
            for name, member in self.members.items()
        }
        joined = {"name": "+".join(one.get("name") or name for name, one in facts.items())}
        digests = [f"{name}:{one['digest']}" for name, one in facts.items() if one.get("digest")]
        if digests:
            from hashlib import sha256

            joined["digest"] = sha256("\n".join(digests).encode()).hexdigest()
        joined |= {f"{name}.{key}": value for name, one in facts.items() for key, value in one.items()}
        return joined
