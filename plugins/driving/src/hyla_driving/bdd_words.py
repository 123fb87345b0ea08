"""The words of BDD100K for conditions, lane lines and lights, and ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hyla.schema import Schema

FRAME: dict[str, tuple[str, dict[str, str | None]]] = {  # our attribute -> (theirs, their words -> ours)
    "timeofday": ("timeofday", {"daytime": "day", "dawn/dusk": "dusk", "night": "night", "undefined": None}),
    "weather": (
        "weather",
        {
            "clear": "clear",
            "partly cloudy": "cloudy",
            "overcast": "overcast",
            "rainy": "rain",
            "foggy": "fog",
            "snowy": "snow",
            "undefined": "unknown",
        },
    ),
    "road": (
        "scene",
        {
            "city street": "city",
            "residential": "residential",
            "highway": "highway",
            "tunnel": "tunnel",
            "parking lot": "parking",
            "gas stations": "gas_station",
            "undefined": "unknown",
        },
    ),
}
CATEGORIES = {  # of other years of the data set -> today's
    "person": "pedestrian",
    "bike": "bicycle",
    "motor": "motorcycle",
    "area/drivable": "drivable area",
    "area/alternative": "drivable area",
    "direct": "drivable area",
    "alternative": "drivable area",
}
AREAS = {"area/drivable": "direct", "area/alternative": "alternative", "direct": "direct", "alternative": "alternative"}
LIGHTS = ("red", "yellow", "green")
MARKINGS = {  # ours -> (laneStyle, single or double)
    "solid": ("solid", "single"),
    "dashed": ("dashed", "single"),
    "double": ("solid", "double"),
    "double_dashed": ("dashed", "double"),
}


def frame_out(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a frame: text and numbers, as Scalabel has them."""
    out: dict[str, Any] = {}
    for name, value in context.items():
        if value is None:
            continue
        theirs, table = FRAME.get(name, (name, {}))
        word = next((word for word, ours in table.items() if ours == value), None)
        if word is not None:
            out[theirs] = word
        else:
            out[name] = float(value) if isinstance(value, (bool, int)) else value
    return out


def frame_in(attributes: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return our image attributes of the attributes of a frame."""
    ours = {theirs: (name, table) for name, (theirs, table) in FRAME.items()}
    types = {name: one.type for name, one in schema.attributes_of("image").items()}
    out: dict[str, Any] = {}
    for name, value in attributes.items():
        mine, table = ours.get(name, (name, {}))
        if isinstance(value, str) and value in table:
            out[mine] = table[value]
        elif types.get(name) == "boolean" and isinstance(value, (int, float)):
            out[name] = bool(value)
        else:
            out[name] = value
    return {name: value for name, value in out.items() if value is not None}


def label_out(category: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a label in the data set's words; those it has no word for keep their names."""
    out: dict[str, Any] = {}
    painted = category == "lane" and attributes.get("marking") in MARKINGS
    for name, value in attributes.items():
        if name in ("occluded", "truncated"):
            out[name] = value > 0
        elif name == "state" and value in LIGHTS:
            out["trafficLightColor"] = value
        elif name == "marking" and painted:
            style, lines = MARKINGS[value]
            out["laneStyle"] = style
            out["laneTypes"] = f"{lines} {attributes.get('color') or 'other'}"
        elif name == "direction":
            out["laneDirection"] = value
        elif name == "area":
            out["areaType"] = value
        elif name != "color" or not painted:
            out[name] = value
    return out


def label_in(category: str, said: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return today's category and our attributes of a category and the attributes of a label."""
    kind = category.removeprefix("lane/")
    words = {("laneStyle" if k == "style" else "laneDirection" if k == "direction" else k): v for k, v in said.items()}
    if kind.split(" ")[0] in ("single", "double"):  # a lane line of the 2020 labels
        kind, words["laneTypes"] = "lane", kind
    types = str(words.pop("laneTypes", "") or "")
    if kind == "lane" and types in ("crosswalk", "road curb"):  # of the 2018 labels
        kind = types
    out: dict[str, Any] = {}
    style = words.pop("laneStyle", None)
    if kind == "lane":
        lines, _, color = types.partition(" ")
        wanted = (style or "solid", lines or "single")
        if style or types:
            out["marking"] = next((ours for ours, theirs in MARKINGS.items() if theirs == wanted), None)
        out["color"] = color if color in ("white", "yellow") else None
    for name, value in words.items():
        if name in ("occluded", "truncated") and isinstance(value, bool):
            out[name] = int(value)
        elif name == "trafficLightColor":
            out["state"] = value if value in LIGHTS else out.get("state")
        elif name == "laneDirection":
            out["direction"] = value
        elif name == "areaType":
            out["area"] = value
        elif name != "crowd":
            out[name] = value
    if kind in AREAS:
        out["area"] = AREAS[kind]
    return CATEGORIES.get(kind, kind), {name: value for name, value in out.items() if value is not None}
