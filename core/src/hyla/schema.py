"""The annotation schema: classes, kinds of geometry and typed attributes, as data from the preset's YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, StageError, did_you_mean
from hyla.types import Kind, Labels

KINDS = {kind.word: kind for kind in Kind}
TYPES = ("boolean", "integer", "number", "text", "choice")
SCOPES = ("label", "image")


@dataclass(frozen=True)
class Class:
    """Describe one class.

    Args:
        name: what people read and files carry.
        parent: name of the more general class, or empty.
        codes: the same thing in outside vocabularies: `{coco: car, kitti: Car, snomed: "10200004"}`.
        kinds: kinds of geometry it may have; empty for all of the schema's.
        keypoints: names of its points, in order.
        skeleton: pairs of keypoint names joined by a line.
        color: `#rrggbb` to draw it in, or empty for one chosen from its place in the schema.
        abstract: True for a class that only groups others and is never given to a label.
        confirmations: how many different people must say so before such a label counts, 0 to 2, and no fewer than its parents
            ask for; no rule, setting or format goes below it. 0 leaves it to the flags.
    """

    name: str
    parent: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[str, str], ...] = ()
    color: str = ""
    abstract: bool = False
    confirmations: int = 0


@dataclass(frozen=True)
class Attribute:
    """Describe one typed attribute.

    Args:
        name: what people read and files carry.
        type: boolean, integer, number, text or choice.
        scope: `label`, or `image` for one of the image as a whole (weather).
        choices: the allowed words of a choice.
        classes: classes that have it, with their children; empty for all.
        unit: UCUM unit of a number (mm, m, s, deg), or empty.
        minimum, maximum: bounds of a number, inclusive.
        identity: True for one that says what the object is, as the product in a box does: labels that differ in it are different
            answers, wherever labels are compared. The others only describe.
    """

    name: str
    type: str = "text"
    scope: str = "label"
    choices: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    identity: bool = False


@dataclass(frozen=True)
class Schema:
    """Say what may be annotated.

    Args:
        name: of the schema.
        classes: in the order that `Labels.class_id` counts.
        kinds: kinds of geometry in use, and `track` where labels carry identities.
        attributes: of labels and of images.
        version: raised when the meaning of a class changes.
    """

    name: str
    classes: tuple[Class, ...]
    kinds: tuple[str, ...] = ("box",)
    attributes: tuple[Attribute, ...] = ()
    version: str = "1"

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> Schema:
        """Build a schema from the preset's YAML, in which classes and attributes are dicts by name.

        Raises:
            ConfigError: for an unknown key, kind, type or parent, naming the choices.
        """
        known = {"name", "version", "kinds", "classes", "attributes"}
        _reject(set(values), known, "schema")
        for part in ("classes", "attributes"):
            if not isinstance(values.get(part) or {}, Mapping):
                raise ConfigError(f"schema.{part} must be a dict by name", f"schema.{part}.NAME={{}}")
        if isinstance(values.get("kinds"), str):
            raise ConfigError("schema.kinds must be a list", f"schema.kinds=[{values['kinds']}]")
        classes = tuple(
            _build(Class, name, spec, f"schema.classes.{name}") for name, spec in (values.get("classes") or {}).items()
        )
        attributes = tuple(
            _build(Attribute, name, spec, f"schema.attributes.{name}") for name, spec in (values.get("attributes") or {}).items()
        )
        if not classes:
            raise ConfigError("schema.classes is empty", "name at least one class: schema.classes.car={}")
        schema = cls(
            str(values.get("name") or "unnamed"),
            classes,
            tuple(values.get("kinds") or ("box",)),
            attributes,
            str(values.get("version") or "1"),
        )
        schema._prove()
        return schema

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_config` reads, without the defaults."""
        return {
            "name": self.name,
            "version": self.version,
            "kinds": list(self.kinds),
            "classes": {c.name: _plain(c) for c in self.classes},
            "attributes": {a.name: _plain(a) for a in self.attributes},
        }

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the class names, in order of class id."""
        return tuple(c.name for c in self.classes)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Return class name -> class id."""
        return {name: i for i, name in enumerate(self.names)}

    def class_id(self, name: str) -> int:
        """Return the id of class `name`; raise ConfigError with the nearest name if there is none."""
        if name not in self.ids:
            raise ConfigError(f"schema {self.name!r} has no class {name!r}", did_you_mean(name, self.ids), self.ids)
        return self.ids[name]

    def by_code(self, vocabulary: str) -> dict[str, int]:
        """Return outside code -> class id in one vocabulary; a class without a code answers by its own name."""
        return {c.codes.get(vocabulary, c.name): i for i, c in reversed(list(enumerate(self.classes)))}

    def code(self, class_id: int, vocabulary: str) -> str:
        """Return the outside code of a class in one vocabulary, or its own name."""
        one = self.classes[class_id]
        return one.codes.get(vocabulary, one.name)

    def under(self, *names: str) -> npt.NDArray[np.int64]:
        """Return the ids of the named classes and of all their descendants, ascending: for `np.isin(labels.class_id, ids)`.

        A name that the schema does not have is passed over, since a preset may leave classes out.
        """
        wanted = {n for n in names if n in self.ids}
        grown = True
        while grown:
            more = {c.name for c in self.classes if c.parent in wanted} - wanted
            wanted |= more
            grown = bool(more)
        return np.array(sorted(self.ids[n] for n in wanted), dtype=np.int64)

    @cached_property
    def confirmations(self) -> npt.NDArray[np.int64]:
        """Return how many people must confirm labels of each class (classes,): no fewer than its parents ask for."""
        least = [one.confirmations for one in self.classes]
        for i, one in enumerate(self.classes):
            parent = one.parent
            while parent:
                above = self.classes[self.ids[parent]]
                least[i], parent = max(least[i], above.confirmations), above.parent
        return np.array(least, dtype=np.int64)

    @cached_property
    def confirms(self) -> bool:
        """Tell whether labels of any class must be confirmed."""
        return bool(self.confirmations.any())

    def attributes_of(self, scope: str) -> dict[str, Attribute]:
        """Return name -> attribute for scope `label` or `image`."""
        return {a.name: a for a in self.attributes if a.scope == scope}

    @cached_property
    def identities(self) -> tuple[str, ...]:
        """Return the names of the attributes of labels that say what the object is."""
        return tuple(a.name for a in self.attributes if a.identity and a.scope == "label")

    def identity_of(self, labels: Labels) -> list[tuple[Any, ...]]:
        """Return what each label says that its object is: its class, and the values of `identities`, None if unknown."""
        columns = [values_of(labels, name) for name in self.identities]
        return list(zip(labels.class_id.tolist(), *columns, strict=True))

    def same(self, one: Labels, other: Labels, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which pairs (p,) of rows `a` of `one` and `b` of `other` say that their object is the same thing.

        They do if class and `identities` are equal; an unknown value equals an unknown one only.
        """
        same = one.class_id[a] == other.class_id[b]
        for name in self.identities:
            sides = values_of(one, name), values_of(other, name)
            numbers: dict[Any, int] = {}
            first, second = (np.array([numbers.setdefault(v, len(numbers)) for v in side], dtype=np.int64) for side in sides)
            same &= first[a] == second[b]
        return np.asarray(same)

    def check(self, labels: Labels, size: tuple[int, ...] | None = None) -> None:
        """Raise StageError if `labels` do not fit the schema, or lie outside a picture of `size` (height, width).

        Vectorised: its cost does not grow with the number of labels in Python.
        """
        n = len(labels)
        if n and not ((labels.class_id >= 0) & (labels.class_id < len(self.classes))).all():
            raise StageError(
                f"class ids must be 0 to {len(self.classes) - 1}, got {labels.class_id.min()} to {labels.class_id.max()}"
            )
        if n and not ((labels.score >= 0) & (labels.score <= 1)).all():
            raise StageError("scores must lie between 0 and 1")
        if n and not np.isfinite(labels.box).all():
            raise StageError("boxes must be finite numbers")
        if n and not ((labels.kind >= 0) & (labels.kind < len(Kind))).all():
            raise StageError(f"kinds must be 0 to {len(Kind) - 1}, got {labels.kind.min()} to {labels.kind.max()}")
        allowed = self._allowed
        if n and not (bad := allowed[labels.class_id, labels.kind]).all():
            row = int(np.argmin(bad))
            kind = Kind(int(labels.kind[row])).word
            raise StageError(f"schema {self.name!r} does not allow a {kind} for {self.names[int(labels.class_id[row])]!r}")
        if n and "track" not in self.kinds and (labels.track >= 0).any():
            raise StageError(f"schema {self.name!r} has no kind 'track' but labels carry tracks")
        if n and size is not None:
            flat = labels.kind != Kind.CUBOID
            height, width = size[-2:]
            limit = np.array([width, height, width, height]) + 0.5
            if ((labels.box[flat] < -0.5) | (labels.box[flat] > limit)).any():
                raise StageError(f"a box lies outside the image of {width} x {height} pixels")
            if (labels.box[flat][:, 2:] < labels.box[flat][:, :2]).any():
                raise StageError("a box has its far corner before its near corner (x1 < x0 or y1 < y0)")
        self._check_columns(labels)

    def json_schema(self) -> dict[str, Any]:
        """Return JSON Schema (draft 2020-12) for one record of this schema, as `hyla.codec.record_to_dict` writes it."""
        from hyla.codec import json_schema

        return json_schema(self)

    @cached_property
    def _allowed(self) -> npt.NDArray[np.bool_]:
        table = np.zeros((len(self.classes), len(Kind)), dtype=bool)
        for i, one in enumerate(self.classes):
            for word in one.kinds or self.kinds:
                if word in KINDS and not one.abstract:
                    table[i, KINDS[word]] = True
        return table

    def _check_columns(self, labels: Labels) -> None:
        for scope, values in (("label", labels.attributes), ("image", labels.context)):
            known = self.attributes_of(scope)
            for name, value in values.items():
                if name not in known:
                    raise StageError(f"schema {self.name!r} has no {scope} attribute {name!r}", did_you_mean(name, known), known)
                _check_attribute(known[name], value if scope == "label" else np.array([value], dtype=object))

    def _prove(self) -> None:
        words = [*KINDS, "track"]
        for where, kinds in [("schema.kinds", self.kinds), *((f"schema.classes.{c.name}.kinds", c.kinds) for c in self.classes)]:
            for kind in kinds:
                if kind not in words:
                    raise ConfigError(f"{where}: unknown kind {kind!r}", did_you_mean(kind, words), words)
        for one in self.classes:
            if not 0 <= one.confirmations <= 2:
                raise ConfigError(f"schema.classes.{one.name}: confirmations is {one.confirmations}", "give 0, 1 or 2")
            seen = {one.name}
            parent = one.parent
            while parent:
                if parent not in self.ids:
                    raise ConfigError(f"schema.classes.{one.name}: its parent {parent!r} is not a class", choices=self.names)
                if parent in seen:
                    raise ConfigError(f"schema.classes.{one.name}: its parents form a circle")
                seen.add(parent)
                parent = self.classes[self.ids[parent]].parent
        for attribute in self.attributes:
            where = f"schema.attributes.{attribute.name}"
            if attribute.type not in TYPES:
                raise ConfigError(f"{where}: unknown type {attribute.type!r}", choices=TYPES)
            if attribute.scope not in SCOPES:
                raise ConfigError(f"{where}: unknown scope {attribute.scope!r}", choices=SCOPES)
            if attribute.type == "choice" and not attribute.choices:
                raise ConfigError(f"{where}: a choice needs choices", f"{where}.choices=[day,night]")
            for name in attribute.classes:
                if name not in self.ids:
                    raise ConfigError(f"{where}: {name!r} is not a class", choices=self.names)


def _build(cls: type[Any], name: str, spec: Mapping[str, Any] | None, where: str) -> Any:
    if not isinstance(spec or {}, Mapping):
        raise ConfigError(f"{where} must be a dict of settings, got {spec!r}", f"{where}={{}}")
    values = _containers(spec or {})
    _reject(set(values), set(cls.__dataclass_fields__) - {"name"}, where)
    if isinstance(values.get("codes"), dict):
        values["codes"] = {k: str(v) for k, v in values["codes"].items()}
    try:
        return msgspec.convert({**values, "name": str(name)}, cls)
    except msgspec.ValidationError as e:
        raise ConfigError(f"{where}: {e}", "put quotes around what YAML reads as a number, true or false") from e


def _containers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _containers(v) for k, v in value.items()}
    return [_containers(v) for v in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def _plain(one: Any) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, spec in one.__dataclass_fields__.items():
        value = getattr(one, name)
        default = spec.default_factory() if callable(spec.default_factory) else spec.default
        if name != "name" and value != default:
            out[name] = _lists(value)
    return out


def _lists(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_lists(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value


def _reject(keys: set[str], known: set[str], where: str) -> None:
    for key in sorted(keys - known):
        raise ConfigError(f"{where} has no setting {key!r}", did_you_mean(key, known), known)


def values_of(labels: Labels, name: str) -> list[Any]:
    """Return the values (n,) of an attribute of labels, None where nothing is known, whether or not the column is there."""
    column = labels.attributes.get(name)
    return [None] * len(labels) if column is None else [None if v != v else v for v in column.tolist()]


def _check_attribute(attribute: Attribute, column: npt.NDArray[Any]) -> None:
    name, given = attribute.name, [v for v in column.tolist() if v is not None and v == v]
    if attribute.type == "choice" and (bad := [v for v in given if v not in attribute.choices]):
        raise StageError(f"attribute {name!r} is not one of its choices: {bad[0]!r}", choices=attribute.choices)
    if attribute.type == "boolean" and not all(isinstance(v, bool) for v in given):
        raise StageError(f"attribute {name!r} must be true or false")
    if attribute.type == "text" and not all(isinstance(v, str) for v in given):
        raise StageError(f"attribute {name!r} must be text")
    if attribute.type in ("integer", "number"):
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in given):
            raise StageError(f"attribute {name!r} must be a number")
        if attribute.type == "integer" and not all(float(v).is_integer() for v in given):
            raise StageError(f"attribute {name!r} must be a whole number")
        low = -np.inf if attribute.minimum is None else attribute.minimum
        high = np.inf if attribute.maximum is None else attribute.maximum
        if not all(low <= v <= high for v in given):
            raise StageError(f"attribute {name!r} must lie between {low} and {high} {attribute.unit}".rstrip())
