"""The addresses of pixels. What is sent is always made here, never the bytes of a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response

from hyla.review import names, scenes, wire
from hyla.review.access import DeskDep, ViewerDep
from hyla.review.media import Max
from hyla.review.problems import Refused
from hyla.review.sight import sight_of, unblinded
from hyla.review.volumes import Axis

router = APIRouter()

ASKED = "private, no-cache"
CACHED = "private, max-age=31536000, immutable"
ItemId = Annotated[str, Path(max_length=300)]
Number = Annotated[int, Path(ge=0, lt=2**53)]
Scene = Annotated[int | None, Query(ge=0, lt=2**53)]
Word = Annotated[str | None, Query(max_length=40)]
JPEG: dict[int | str, Any] = {200: {"content": {"image/jpeg": {}}}}
BINARY: dict[int | str, Any] = {200: {"content": {"application/octet-stream": {}}}}


class Answer:
    """Answer with bytes that never change: all that they depend on is in the address, and in which project is served.

    Where the project hides something they depend on the labels too: then the browser asks each time whether it may still show
    what it has.
    """

    def __init__(self, request: Request, desk: DeskDep, who: ViewerDep, item: ItemId) -> None:
        address = f"{desk.media.version} {request.url.path}?{request.url.query}".encode("utf-8", "surrogatepass")
        self._fixed = not desk.media.redacts
        self._etag, self._known = _etag(address), request.headers.get("if-none-match")
        self._saw = partial(desk.project.saw, who.person, [item])

    def jpeg(self, make: Callable[[], bytes], how: str) -> Response:
        """Return what `make` makes, or 304 if the browser has it already; either way it is noted that they see it, and `how`."""
        return self._answer(lambda: (make(), ()), "image/jpeg", how)

    def slices(self, make: Callable[[], tuple[bytes, tuple[int, ...]]]) -> Response:
        """Return what `make` makes, with its shape, or 304 if the browser has it already."""
        return self._answer(make, "application/octet-stream", "slices")

    def _answer(self, make: Callable[[], tuple[bytes, tuple[int, ...]]], kind: str, how: str) -> Response:
        if self._fixed and self._known == self._etag:
            self._saw(how)
            return Response(status_code=304, headers={"cache-control": CACHED, "etag": self._etag})
        content, shape = make()
        self._saw(how)
        etag = self._etag if self._fixed else _etag(content)
        headers = {"cache-control": CACHED if self._fixed else ASKED, "etag": etag}
        if self._known == etag:
            return Response(status_code=304, headers=headers)
        if shape:
            headers["x-shape"] = ",".join(map(str, shape))
        return Response(content, media_type=kind, headers=headers)


def _etag(of: bytes) -> str:
    return f'"{sha256(of).hexdigest()[:32]}"'


AnswerDep = Annotated[Answer, Depends()]


@router.get("/media/{item:path}/image.jpg", response_class=Response, responses=JPEG)
def image(item: ItemId, desk: DeskDep, answer: AnswerDep, max: Max = "full") -> Response:
    """Return a whole picture, its longer side at most `max` pixels."""
    return answer.jpeg(lambda: desk.media.image(item, max), "picture")


@router.get("/media/{item:path}/crop/{annotation}/{row}.jpg", response_class=Response, responses=JPEG)
def crop(
    item: ItemId,
    annotation: Number,
    row: Number,
    desk: DeskDep,
    who: ViewerDep,
    answer: AnswerDep,
    size: Annotated[int, Query(ge=32, le=512)] = 192,
) -> Response:
    """Return what is about one label, its longer side `size` pixels."""
    desk.media.record(item)  # 404 before anything else
    sight = sight_of(desk, who, item, desk.project.state(item))
    if sight == "blind" or (sight == "second" and annotation != desk.project.machine_annotation(item)):
        raise Refused(403, "blind", "this may not be seen before the item is answered", "answer it first")
    return answer.jpeg(lambda: desk.media.crop(item, annotation, row, size), "crop")


@router.get("/media/reference.jpg", response_class=Response, responses={**JPEG, 204: {"description": "there is none"}})
def reference(
    request: Request,
    name: Annotated[str, Query(min_length=1, max_length=10_000)],
    desk: DeskDep,
    who: ViewerDep,
    size: Annotated[int, Query(ge=32, le=512)] = 192,
) -> Response:
    """Return a picture of what is called so: the loader's, else the newest crop that a person named; none gives 204."""
    unblinded(desk, who)
    content = names.picture(desk, who, name, size)
    if not content:
        return Response(status_code=204, headers={"cache-control": "no-store"})
    headers = {"cache-control": ASKED, "etag": _etag(content)}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="image/jpeg", headers=headers)


@router.get("/media/{item:path}/tile/{z}/{x}/{y}.jpg", response_class=Response, responses=JPEG)
def tile(
    item: ItemId,
    z: Number,
    x: Number,
    y: Number,
    desk: DeskDep,
    answer: AnswerDep,
    bands: Word = None,
    stretch: Word = None,
    scene: Scene = None,
) -> Response:
    """Return a tile of a picture, or with `scene` of the same place at another date."""
    return answer.jpeg(lambda: desk.media.tile(scenes.at(desk, item, scene), z, x, y, bands, stretch), "tile")


@router.get("/media/{item:path}/slices/{axis}/{first}-{last}", response_class=Response, responses=BINARY)
def slices(item: ItemId, axis: Axis, first: Number, last: Number, desk: DeskDep, answer: AnswerDep) -> Response:
    """Return slices of a volume, int16 little-endian; the header X-Shape holds their number, height and width."""
    return answer.slices(lambda: desk.media.slices(item, axis, first, last))


@router.get("/api/v1/tiles/{item:path}")
def tiles(item: ItemId, scene: Annotated[int, Query(ge=0, lt=2**53)], desk: DeskDep, _: ViewerDep) -> wire.Tiles:
    """Tell how the place that a map shows is tiled at another date."""
    found = desk.media.tiles(scenes.at(desk, item, scene))
    return found.model_copy(update={"url": f"{desk.media.tiles_url(item)}?scene={scene}"})
