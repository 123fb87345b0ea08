"""Write and read what happens as OpenLABEL's actions: with frame intervals, and relations to the objects that take part."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from hyla.formats.openlabel_data import Element, Entry, Root, data_out, element, extend
from hyla.schema import Schema

SUBJECT = "isSubjectOfAction"  # the relation between an object and the action that it takes part in


class Acts:
    """Hold the actions of one file: number -> class id, frames, and who takes part.

    Args:
        schema: of the labels.
        classes: whose tags are actions, with those below them.
        participants: attribute of a tag that lists tracks with commas between; empty for none.
    """

    def __init__(self, schema: Schema, classes: Sequence[str], participants: str) -> None:
        self.wanted = {schema.names[i] for i in schema.under(*classes).tolist()} if classes else set[str]()
        self.participants = participants
        self._seen: dict[int, tuple[int, list[list[int]], set[int]]] = {}
        self._numbers: dict[str, str] = {}
        self._dynamic: set[str] = set()

    def has(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a label, a row of `hyla.codec.labels_to_rows`, is an action."""
        return row["kind"] == "tag" and row["class"] in self.wanted and "track" in row

    def add(self, row: Mapping[str, Any], number: int, before: int, schema: Schema) -> dict[str, Any]:
        """Take an action in frame `number`, after the frame `before`, and return what is said of it there."""
        class_id, attributes = schema.ids[row["class"]], row.get("attributes", {})
        first, spans, everyone = self._seen.setdefault(row["track"], (class_id, [], set()))
        extend(spans, number, before)
        everyone.update(_tracks(attributes.get(self.participants)))
        other = {} if first == class_id else {"type": schema.code(class_id, "openlabel")}
        return {"action_data": data_out({"confidence": row["score"], **other, **attributes})}

    def elements(self, schema: Schema, objects: Container[int]) -> dict[str, dict[str, Any]]:
        """Return the actions and their relations to those of `objects`, by track, as they stand in the file; {} for none."""
        actions: dict[str, Any] = {}
        relations: dict[str, Any] = {}
        for track, (class_id, spans, everyone) in self._seen.items():
            actions[str(track)] = element(schema, class_id, str(track), spans)
            for who in sorted(everyone):
                if who in objects:
                    relations[str(len(relations))] = {
                        "name": f"{who} takes part in {track}",
                        "type": SUBJECT,
                        "rdf_subjects": [{"type": "object", "uid": str(who)}],
                        "rdf_objects": [{"type": "action", "uid": str(track)}],
                    }
        found = {"actions": actions, "relations": relations}
        return {word: some for word, some in found.items() if some}

    def of_frame(self, root: Root, number: str) -> Iterator[tuple[str, Element, dict[str, list[Entry]]]]:
        """Yield number, element and data of the actions of a frame; relations say who takes part where nothing else does."""
        parts, at = root.frames[number].actions if number in root.frames else {}, int(number)
        dynamic = self._dynamic = self._dynamic or {uid for frame in root.frames.values() for uid in frame.actions}
        for uid, one in root.actions.items():
            spans = one.frame_intervals
            if uid not in parts and (uid in dynamic or (spans and not any(s.frame_start <= at <= s.frame_end for s in spans))):
                continue
            inner = parts[uid].action_data if uid in parts else {}
            data = {word: [*one.action_data.get(word, ()), *inner.get(word, ())] for word in {**one.action_data, **inner}}
            texts = data.setdefault("text", [])
            told = not self.participants or any(entry.name == self.participants for entry in texts)
            if not told and (who := _subjects(root, uid)):
                texts.append(Entry(",".join(map(str, who)), self.participants))
            yield self._number(uid), one, data

    def _number(self, uid: str) -> str:
        """Return a number of its own for an action whose uid is none, as UUIDs are."""
        return uid if uid.isdigit() else self._numbers.setdefault(uid, str(10**9 + len(self._numbers)))


def _subjects(root: Root, action: str) -> list[int]:
    found = {
        int(agent.uid)
        for relation in root.relations.values()
        if any(one.type == "action" and one.uid == action for one in relation.rdf_objects)
        for agent in relation.rdf_subjects
        if agent.type == "object" and agent.uid.isdigit()
    }
    return sorted(found)


def _tracks(value: Any) -> list[int]:
    return [int(word) for word in value.split(",") if word.strip().isdigit()] if isinstance(value, str) else []
