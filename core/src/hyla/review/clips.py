"""Answer with a whole clip: all frames, all labels, and where a rule doubts a track."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Response

from hyla.frame import VideoFrame
from hyla.review import wire
from hyla.review.access import DeskDep, ViewerDep, Visitor
from hyla.review.clip_events import ClipEvents, differing, next_tracks, rows_of
from hyla.review.desk import Desk
from hyla.review.items import judged, record_of
from hyla.review.matching import flags_now, rows_now
from hyla.review.problems import Refused
from hyla.review.sight import flags_told
from hyla.store.answers import ANSWERS
from hyla.store.queue import ClipItem
from hyla.types import NO_TRACK, Flag, Labels, Severity

router = APIRouter()
ROUND = 1000  # who may not know how many tracks there are numbers theirs from the next thousand on
Box = tuple[int, int, int, int, float, float, float, float, float, int]
Suspect = tuple[int, int, str]


@router.get("/clips/{item_id:path}", response_model=wire.Clip)
def clip(item_id: wire.Id, at: DeskDep, who: ViewerDep) -> Response:
    """Return the clip that an item is of, as this person may see it."""
    record = record_of(at, item_id)
    group = record.item.group
    if not group:
        raise Refused(404, "clip", f"item {record.item.uri!r} is not of a clip")
    found = _clip(at, who, group, list(at.project.clip(group)))
    # Written at once: FastAPI would look at each of perhaps a hundred thousand labels again.
    return Response(found.model_dump_json(by_alias=True), media_type="application/json")


def _clip(desk: Desk, who: Visitor, group: str, items: Sequence[ClipItem]) -> wire.Clip:
    held = desk.leases.blind(who.person)  # of a clip, all of it: the frames beside one would tell what is on it
    blind = bool(held) and any(desk.unit(one.item, one.size, one.frame) in held for one in items)
    seconds = set() if blind else _second(desk, who, items)
    split = {} if blind else differing(desk, who, items)
    next_track, next_event = next_tracks(*_numbers(items))
    if blind or seconds:
        next_track, next_event = (-(-number // ROUND) * ROUND for number in (next_track, next_event))
    if not blind:
        desk.leases.show([one.item.id for one in items], who.person)
    frames: list[wire.ClipFrame] = []
    boxes: list[Box] = []
    kinds: list[int] = []
    suspects: list[Suspect] = []
    ids = [one.item.id for one in items]
    events = ClipEvents(desk)
    machine, flags = desk.project.machine_annotations(ids), desk.project.flags_of(() if blind else ids)
    for number, one in enumerate(items):
        labels, annotation, lane, outcome, opened = one.labels, one.annotation, one.lane, one.outcome, one.open
        if one.item.id in seconds:
            labels, now = judged(desk, record_of(desk, one.item.id), desk.project.state(one.item.id), "second")
            annotation, lane, outcome, opened = now.annotation, now.lane, now.outcome, tuple(now.open)
        elif one.item.id in split:
            annotation, labels, opened = split[one.item.id]
        if blind:
            annotation = machine[one.item.id] if lane == "second" else annotation
            labels, lane, outcome, opened = Labels.empty(), "review", None, ()
        told = flags_told(flags.get(one.item.id, ()), one.route, one.lane)
        asking = [flag for flag in told if flag.rows and flag.severity != Severity.NOTE]
        if not blind and (asking or events.any):
            first = machine[one.item.id]
            said = labels if annotation == first else desk.project.labels_of(first)[2]
            suspects += _suspects(number, asking, said, labels) if asking else ()
            events.add(number, one.item.id, labels, said, one.item.id not in seconds)
        boxes += _boxes(number, labels, opened)
        kinds += labels.kind.tolist()
        frames.append(
            wire.ClipFrame(
                item=one.item.id,
                index=one.item.index,
                seconds=one.frame.seconds if isinstance(one.frame, VideoFrame) else None,
                annotation=annotation,
                lane=lane,
                outcome=outcome,
                image=desk.media.image_url(one.item.id, one.size) or "",
                asks="second" if one.item.id in seconds else "adjudicate" if one.item.id in split else "",
            )
        )
    return wire.Clip(
        group=group,
        size=[int(s) for s in items[0].size],
        frames=frames,
        boxes=boxes,
        kinds=kinds,
        suspects=list(dict.fromkeys(suspects)),
        events=events.found(),
        next_track=next_track,
        next_event=next_event,
        crop=desk.media.crop_template,
    )


def _numbers(items: Sequence[ClipItem]) -> tuple[set[int], set[int]]:
    """Return the numbers of the tracks of a clip, and those of its events."""
    tracks: set[int] = set()
    events: set[int] = set()
    for one in items:
        found, tags = one.labels.track.tolist(), rows_of(one.labels)
        tracks.update(found)
        if tags.any():
            events.update(one.labels.track[tags].tolist())
            tracks.difference_update(events)
    return tracks - {NO_TRACK}, events


def _second(desk: Desk, who: Visitor, items: Sequence[ClipItem]) -> set[str]:
    """Return the items that this person sees as a second reader; as `sight_of`, of many at once."""
    if not who.may("reviewer"):
        return set()
    states = desk.project.states([one.item.id for one in items if one.lane == "second" and one.outcome in ANSWERS])
    told = desk.project.decisions_by(state["decision"] for state in states.values())
    return {item for item, state in states.items() if told[state["decision"]].who != who.person}


def _boxes(number: int, labels: Labels, opened: Sequence[int]) -> Iterator[Box]:
    rows = zip(labels.class_id.tolist(), labels.track.tolist(), labels.box.tolist(), labels.score.tolist(), strict=True)
    waits = set(opened)
    for row, (class_id, track, (x0, y0, x1, y1), score) in enumerate(rows):
        yield (number, row, class_id, track, x0, y0, x1, y1, score, int(row in waits))


def _suspects(number: int, flags: Sequence[Flag], machine: Labels, labels: Labels) -> Iterator[Suspect]:
    """Yield the tracks that a rule questions in one frame; rows of flags count the machine's labels."""
    for flag, rows in flags_now(flags, rows_now(machine, labels)):
        for track in labels.track[rows].tolist():
            if track != NO_TRACK:
                yield (track, number, flag.reason)
