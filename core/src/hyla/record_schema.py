"""JSON Schema of a record, so that other programs can check what they read and write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hyla.schema import KINDS, Attribute, Schema
from hyla.types import NO_TRACK, Kind, Severity, Verdict


def json_schema(schema: Schema) -> dict[str, Any]:
    """Return JSON Schema (draft 2020-12) of one dict that `record_to_dict` writes: closed, with the schema's own words."""
    number, text, count = {"type": "number"}, {"type": "string"}, {"type": "integer", "minimum": 0}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Record of {schema.name}",
        **_closed(
            {
                "schema": {"const": f"{schema.name}@{schema.version}"},
                "item": _closed(
                    {"id": text, "uri": text, "group": text, "index": count, "kind": text, "meta": {"type": "object"}},
                    ["id", "uri"],
                ),
                "size": {"type": "array", "items": count, "minItems": 2, "maxItems": 3},
                "frame": _frame_schema(),
                "source": text,
                "verdict": {"enum": [str(v) for v in Verdict]},
                "context": _closed({a.name: _attribute_schema(a) for a in schema.attributes_of("image").values()}),
                "labels": {"type": "array", "items": _label_schema(schema)},
                "flags": {
                    "type": "array",
                    "items": _closed(
                        {
                            "rule": text,
                            "reason": text,
                            "severity": {"enum": [str(s) for s in Severity]},
                            "rows": {"type": "array", "items": count},
                            "message": text,
                        },
                        ["rule", "reason"],
                    ),
                },
            },
            ["schema", "item", "size", "labels"],
        ),
        "$defs": {
            "rotated_box": _numbers(5),
            "polygon": {"type": "array", "minItems": 1, "items": _list(_numbers(2), 3)},
            "polyline": _list(_numbers(2), 2),
            "keypoints": _list(
                {"type": "array", "prefixItems": [number, number, {"enum": [0, 1, 2]}], "minItems": 3, "maxItems": 3}, 1
            ),
            "mask": _closed(
                {
                    "size": {"type": "array", "items": count, "minItems": 2, "maxItems": 3},
                    "counts": {"type": "string", "pattern": "^[0-o]+$"},
                },
                ["size", "counts"],
            ),
            "cuboid": _numbers(10),
        },
    }


def _label_schema(schema: Schema) -> dict[str, Any]:
    given = {c.name: [k for k in (c.kinds or schema.kinds) if k in KINDS] for c in schema.classes if not c.abstract}
    words = [w for w in KINDS if any(w in kinds for kinds in given.values())]
    properties = {
        "class": {"enum": list(given)},
        "kind": {"enum": words},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "box": _numbers(4),
        "shape": True,
        "attributes": _closed({a.name: _attribute_schema(a) for a in schema.attributes_of("label").values()}),
        "evidence": {"type": "object", "additionalProperties": {"type": ["number", "null"]}},
    }
    if "track" in schema.kinds:
        properties["track"] = {"type": "integer", "minimum": NO_TRACK}
    narrow = [
        {"if": {"properties": {"class": {"const": name}}}, "then": {"properties": {"kind": {"enum": kinds}}}}
        for name, kinds in given.items()
        if kinds != words
    ]
    shapes: list[dict[str, Any]] = [
        {
            "if": {"properties": {"kind": {"const": word}}},
            "then": {"properties": {"shape": {"$ref": f"#/$defs/{word}"}}, "required": ["shape"]},
        }
        for word in words
        if KINDS[word] > Kind.BOX
    ]
    bare = {"if": {"properties": {"kind": {"enum": ["tag", "box"]}}}, "then": {"properties": {"shape": {"type": "null"}}}}
    return {**_closed(properties, ["class", "kind", "box"]), "allOf": [*narrow, *shapes, bare]}


def _attribute_schema(attribute: Attribute) -> dict[str, Any]:
    if attribute.type == "choice":
        return {"enum": [*attribute.choices, None]}
    word = {"text": "string"}.get(attribute.type, attribute.type)
    out: dict[str, Any] = {"type": [word, "null"]}
    if attribute.minimum is not None:
        out["minimum"] = attribute.minimum
    if attribute.maximum is not None:
        out["maximum"] = attribute.maximum
    if attribute.unit:
        out["description"] = f"in {attribute.unit} (UCUM)"
    return out


def _frame_schema() -> dict[str, Any]:
    number, whole = {"type": "number"}, {"type": "integer"}
    own: dict[str, dict[str, Any]] = {
        "pixel": {},
        "video": {
            "seconds": number,
            "index": whole,
            "pts": whole,
            "time_base": {**_numbers(2), "items": whole},
            "intrinsics": {"anyOf": [_matrix(3), {"type": "null"}]},
        },
        "patient": {"affine": _matrix(4), "reference": {"type": "string"}},
        "map": {"transform": _numbers(6), "crs": {"type": "string"}},
    }
    return {"oneOf": [_closed({"kind": {"const": kind}, **fields}, ["kind"]) for kind, fields in own.items()]}


def _closed(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**out, "required": list(required)} if required else out


def _numbers(n: int) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "number"}, "minItems": n, "maxItems": n}


def _list(items: Mapping[str, Any], fewest: int) -> dict[str, Any]:
    return {"type": "array", "items": dict(items), "minItems": fewest}


def _matrix(n: int) -> dict[str, Any]:
    return {"type": "array", "items": _numbers(n), "minItems": n, "maxItems": n}
