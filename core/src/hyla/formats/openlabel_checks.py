"""Say whether an OpenLABEL file agrees with itself, which its JSON Schema does not see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from hyla.formats.openlabel_data import Element, Entry, Interval, Part, Root


def problems(root: Root) -> Iterator[str]:
    """Yield what a file says that contradicts itself, which its JSON Schema does not see.

    Every frame lies in the file's frame intervals, and an interval ends after it begins; every object, action, context, ontology
    and coordinate system that is named exists; the frames of an object are those of its frame intervals; no bbox has a negative
    side.
    """
    numbers = {int(number) for number in root.frames}
    if root.frame_intervals is not None:
        yield from _wrong_intervals("the file", root.frame_intervals, numbers, numbers)
    for uid, relation in root.relations.items():
        for agent in (*relation.rdf_subjects, *relation.rdf_objects):
            if agent.type in ("object", "action", "context") and agent.uid not in getattr(root, f"{agent.type}s"):
                yield f"relation {uid} is about {agent.type} {agent.uid}, which the file does not name"
    for group in ("objects", "contexts", "actions"):
        elements: dict[str, Element] = getattr(root, group)
        seen: dict[str, set[int]] = {}
        for number, frame in root.frames.items():
            parts: dict[str, Part] = getattr(frame, group)
            for uid, part in parts.items():
                seen.setdefault(uid, set()).add(int(number))
                if uid not in elements:
                    yield f"frame {number} has {group} {uid}, which the file does not name"
                yield from _wrong_data(
                    {**part.object_data, **part.context_data, **part.action_data}, root, f"frame {number}, {group} {uid}"
                )
        for uid, one in elements.items():
            where = f"{group} {uid}"
            if one.ontology_uid is not None and one.ontology_uid not in root.ontologies:
                yield f"{where} is of ontology {one.ontology_uid!r}, which the file does not name"
            yield from _wrong_data({**one.object_data, **one.context_data, **one.action_data}, root, where)
            if one.frame_intervals and numbers:
                yield from _wrong_intervals(where, one.frame_intervals, seen.get(uid, set()), numbers)


def _wrong_intervals(where: str, intervals: Sequence[Interval], present: Set[int], frames: Set[int]) -> Iterator[str]:
    for one in intervals:
        if one.frame_end < one.frame_start:
            yield f"{where} has a frame interval from {one.frame_start} to {one.frame_end}, which ends before it begins"
        if not {one.frame_start, one.frame_end} <= frames:
            yield f"{where} has a frame interval from {one.frame_start} to {one.frame_end}, where the file has no frames"
    for number in sorted(present):
        if not any(one.frame_start <= number <= one.frame_end for one in intervals):
            yield f"{where} has frame {number}, which lies outside its frame intervals"


def _wrong_data(data: Mapping[str, Sequence[Entry]], root: Root, where: str) -> Iterator[str]:
    for word, entries in data.items():
        for one in entries:
            if one.coordinate_system is not None and one.coordinate_system not in root.coordinate_systems:
                yield f"{where}: coordinate system {one.coordinate_system!r} is not in the file"
            if word == "bbox" and isinstance(one.val, list) and any(isinstance(v, (int, float)) and v < 0 for v in one.val[2:]):
                yield f"{where}: bbox {one.val} has a negative side"
