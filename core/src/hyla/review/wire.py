"""Say what travels between the page and the server: the models of every request and answer.

Geometry is as in `hyla.types`: pixels, y down, origin at the top-left corner. Labels travel as `codec.labels_to_rows` writes
them, in the order of their rows, so that a row is a label's name until the labels change.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["viewer", "reviewer", "adjudicator", "admin"]
View = Literal["image", "map", "video", "volume"]
LaneName = Literal["review", "repair", "second", "adjudicate"]
Mode = Literal["single", "grid", "blind"]
Action = Literal["accept", "reject", "repair", "unsure", "edit", "opinion", "adjudicate"]
Id = Annotated[str, Field(min_length=1, max_length=300)]
Tab = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Row = Annotated[int, Field(ge=0)]
Track = Annotated[int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(max_length=300, pattern=r"^(\S(.*\S)?)?$")]  # of a thing; see `hyla.store.naming`
MOST = 100_000  # decisions at once: an event may last for hours of frames, and is answered as a whole


class Wire(BaseModel):
    """Refuse fields that the contract does not name."""

    model_config = ConfigDict(extra="forbid")


# Who


class Login(Wire):
    """Trade a one-time token for a session."""

    token: str = Field(min_length=1, max_length=256)


class Person(Wire):
    """Name someone who may look or decide."""

    name: str
    role: Role


class Access(Wire):
    """Say that a person began to look at something at a time in UTC: at a clip, or at an item that stands alone."""

    at: str
    person: str
    how: str
    clip: str
    item: str


class NewPerson(Wire):
    """Invite someone; the answer holds a link that works once."""

    name: str = Field(min_length=1, max_length=80)
    role: Role = "reviewer"


class Invited(Person):
    """Hold the link that logs the invited person in, once."""

    link: str


class ClassInfo(Wire):
    """Describe a class of the schema; its id is its place in the list.

    `confirmations`: how many different people must say so before such a label counts.
    """

    name: str
    parent: str
    kinds: list[str]
    keypoints: list[str]
    skeleton: list[tuple[str, str]]
    color: str
    abstract: bool
    confirmations: int


class AttributeInfo(Wire):
    """Describe an attribute of the schema. The first of labels with `identity` names them."""

    name: str
    type: Literal["boolean", "integer", "number", "text", "choice"]
    scope: Literal["label", "image"]
    choices: list[str]
    classes: list[str]
    unit: str
    minimum: float | None
    maximum: float | None
    identity: bool


class SchemaInfo(Wire):
    """Describe what may be annotated. `kinds` of a class are never empty here."""

    name: str
    version: str
    kinds: list[str]
    classes: list[ClassInfo]
    attributes: list[AttributeInfo]


class Session(Wire):
    """Tell the page who uses it, and on what. `csrf` goes back in the header X-Hyla-CSRF of every change.

    `features`: words for what not every project offers: `refine`, that the model outlines what is clicked on; `test-hooks`.
    """

    person: str
    role: Role
    csrf: str
    project: str
    data_schema: SchemaInfo
    features: list[str]


# The queue


class Lane(Wire):
    """Count what waits in a lane, for one reason.

    `yours`: what this person may take; less than `waiting` where a second person is wanted. `median_s` and `n_timed`: seconds per
    item so far, and of how many. `eta_s`: seconds until the lane is empty at that pace, None until five were timed.
    """

    lane: LaneName
    reason: str
    waiting: int
    yours: int
    taken: int
    median_s: float | None
    n_timed: int
    eta_s: float | None


class GridClass(Wire):
    """Count labels of one class that wait in the lane `review`."""

    name: str
    waiting: int


class Queue(Wire):
    """Tell what waits, and how far the project is. `running`: a run is still adding items."""

    lanes: list[Lane]
    grid: list[GridClass]
    items: int
    waiting: int
    decided: int
    quarantined: int
    running: bool


class Take(Wire):
    """Ask for items of a lane, for one tab of a browser. They are this tab's until the lease ends, is renewed or given back."""

    tab: Tab
    lane: LaneName = "review"
    reason: str | None = None
    n: int = Field(default=5, ge=1, le=20)
    mode: Mode = "single"
    after: Id | None = None


class TakeOne(Wire):
    """Ask for one item by name: to look at it again, or to go to it."""

    tab: Tab
    mode: Mode = "single"


class Head(Wire):
    """Announce an item, with what the page can fetch ahead."""

    id: str
    name: str
    group: str
    index: int
    view: View
    size: list[int]
    lane: str
    reason: str
    image: str | None


class Lease(Wire):
    """Hold what was taken; `seconds` until it must be renewed."""

    seconds: int
    items: list[Head]


class Renew(Wire):
    """Keep items, or give them back."""

    tab: Tab
    items: list[Id] = Field(max_length=200)


class Renewed(Wire):
    """Name those that were lost to somebody else meanwhile."""

    seconds: int
    lost: list[str]


# An item


class FlagInfo(Wire):
    """Say why an item is shown. `rows` count the labels of this answer; a flag about a label that is gone is left out."""

    rule: str
    reason: str
    severity: str
    rows: list[int]
    message: str


class Tiles(Wire):
    """Describe a pyramid of tiles of 256 pixels: level `levels - 1` is full size, each below it half of that.

    `url` holds {z}, {x}, {y}, and takes `bands=3,2,1` (from 1) and `stretch=2-98` (percentiles) or `stretch=none`.
    """

    url: str
    levels: int
    bands: list[str]
    default_bands: list[int]


class Slices(Wire):
    """Describe a volume: `url` holds {axis} (axial, coronal, sagittal), {first}, {last}, and answers int16, little-endian.

    `shape`: depth, height, width. `spacing`: mm along each. `directions`: unit vectors in the patient (LPS) along x, y, slice.
    `window`: the centre and width to begin with. `strip`: one number a slice, what `strip_of` says.
    """

    url: str
    shape: list[int]
    spacing: list[float] | None
    directions: list[list[float]] | None
    unit: str
    window: tuple[float, float]
    strip: list[float]
    strip_of: Literal["uncertainty", "area"]


class SceneInfo(Wire):
    """Name one date of the place that a map shows.

    `index` counts the dates; with ?scene=INDEX the tiles of the map are of that date. `here`: the date of this item. `same`: it
    lies pixel by pixel on this item, so that one can be laid over the other. `name` is for people, where there is no date.
    """

    index: int
    name: str
    date: str
    sensor: str
    here: bool
    same: bool


class Media(Wire):
    """Say where the pixels are: `image` for what fits a screen, `tiles` for what is larger, `slices` for a volume."""

    image: str | None
    tiles: Tiles | None
    slices: Slices | None


class LabelRow(Wire):
    """Hold one label, as `codec.labels_to_rows` does."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    class_: str = Field(alias="class")
    kind: str
    box: tuple[float, float, float, float]
    score: float = 1.0
    shape: Any = None
    track: int = -1
    attributes: dict[str, Any] = {}
    evidence: dict[str, float | None] = {}


class Opinion(Wire):
    """Hold what one person said of an item, for who has to choose."""

    who: str
    annotation: int
    outcome: str
    labels: list[LabelRow]


class ItemState(Wire):
    """Tell what holds of an item.

    `annotation`: number of the labels that hold; a decision names the one that it judged. `open`: rows a person still has to
    answer. `decision`: number of the decision that stands, 0 for none.
    """

    annotation: int
    open: list[int]
    lane: str
    outcome: str | None
    decision: int


class Item(Wire):
    """Hold an item as one person may see it: with `mode` blind it has no labels, flags, reason or history of others.

    `mode`: second for who gives a second opinion (the first is absent), adjudicate for who chooses between `opinions`.
    `scenes`: the dates of the place that a map shows, this one among them, in their order.
    """

    id: str
    name: str
    group: str
    index: int
    view: View
    size: list[int]
    frame: dict[str, Any]
    media: Media
    scenes: list[SceneInfo]
    state: ItemState
    labels: list[LabelRow]
    flags: list[FlagInfo]
    context: dict[str, Any]
    reason: str
    mode: Literal["single", "blind", "second", "adjudicate"]
    opinions: list[Opinion]


# A click


class ClickPoint(Wire):
    """Hold where a person clicked, in pixels; `z` counts the slices of a volume. `inside`: it belongs to the object."""

    x: float = Field(allow_inf_nan=False)
    y: float = Field(allow_inf_nan=False)
    z: int
    inside: bool


class MaskShape(Wire):
    """Hold a mask as the shape of a label does: (height, width) or (depth, height, width), and COCO's string."""

    size: list[int] = Field(min_length=2, max_length=3)
    counts: str


class Refine(Wire):
    """Ask for the mask of one object of a class. `clicks`: all that were made on it; `mask`: what is there now, if anything."""

    tab: Tab
    class_: str = Field(alias="class")
    clicks: list[ClickPoint] = Field(min_length=1, max_length=64)
    mask: MaskShape | None = None
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Refined(Wire):
    """Answer `Refine`: the mask of the whole object, None if nothing is found there."""

    mask: MaskShape | None


# Decisions


class Rename(Wire):
    """Call a label something else: `name` is a value of the attribute that names labels, empty for unknown; `class_` if given."""

    name: Name
    class_: str | None = Field(default=None, alias="class")
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Changes(Wire):
    """Change labels: `put` replaces rows, `drop` removes rows, `add` appends; the rest keeps its order.

    `rename` gives rows another name. Where the decision names such a row among its `rows`, somebody looked at it; else only the
    name is another, and a label that waited goes on waiting. `context` replaces the attributes of the image as a whole, if given.
    `renumber` says which tracks have another number: labels that name them in `participants` or `subject` name the new one, and
    those that waited go on waiting; the tracks of labels themselves are not touched. See `hyla.review.mentions`.
    """

    put: dict[int, LabelRow] = {}
    rename: dict[int, Rename] = {}
    renumber: dict[Track, Track] = Field(default={}, max_length=100)
    add: list[LabelRow] = []
    drop: list[Row] = []
    context: dict[str, Any] | None = None


class Decide(Wire):
    """Say what a person decided about one item.

    `action`: accept, reject (nothing is there), repair (wrong, to be mended later) and unsure are about `rows`, or about the
    whole item without; edit and opinion carry `changes`, adjudicate too, against the labels of `annotation`.
    `done`: an edit finishes the item; otherwise what was open and untouched stays open, and it confirms only what it changes. An
    edit may name the `rows` it answers.
    """

    item: Id
    action: Action
    annotation: int
    rows: list[Row] = Field(default=[], max_length=100_000)
    changes: Changes | None = None
    done: bool = True
    active_ms: int = Field(default=0, ge=0, le=86_400_000)


class Decisions(Wire):
    """Decide on one item or several, all or nothing. The header Idempotency-Key names them: sent again, nothing happens twice."""

    decisions: list[Decide] = Field(min_length=1, max_length=MOST)
    tab: Tab
    mode: Mode = "single"
    note: str = Field(default="", max_length=2000)


class Undo(Wire):
    """Take decisions back, the last first, all or nothing. Undoing an undo is redoing."""

    decisions: list[int] = Field(min_length=1, max_length=MOST)
    tab: Tab


class Made(Wire):
    """Tell what a decision left."""

    seq: int
    item: str
    state: ItemState


class AllMade(Wire):
    """Answer `Decisions` and `Undo`, in the order of the request; an edit that changes nothing is none, and not among them."""

    made: list[Made]


class Problem(Wire):
    """Say what went wrong: `code` is stable, `message` is for people, `hint` says what to do."""

    code: str
    message: str
    hint: str = ""


class Stale(Wire):
    """Answer 409: the labels changed meanwhile. `item` is what holds now, `who` changed it, if that may be seen."""

    error: Problem
    item: Item | None = None
    who: str = ""
    at: str = ""


class Failure(Wire):
    """Answer anything else that went wrong."""

    error: Problem


class Event(Wire):
    """Show one decision of the past. `stands`: it is not undone, and the last of its item."""

    seq: int
    item: str
    name: str
    action: str
    rows: int
    who: str
    at: str
    mode: str
    active_ms: int
    note: str
    stands: bool


class History(Wire):
    """List decisions, last first."""

    events: list[Event]


# The grid


class TakeGrid(Wire):
    """Ask for a page of labels of one class that wait, surest first; their items are leased to the tab.

    `name`: only labels that are called so, empty for those without a name. `doubtful`: the most doubtful first.
    """

    tab: Tab
    class_: str = Field(alias="class")
    name: str | None = Field(default=None, max_length=10_000)
    doubtful: bool = False
    reason: str | None = None
    n: int = Field(default=48, ge=1, le=96)
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Cell(Wire):
    """Show one label on the grid. `box` is where the label is on the crop, as shares of its width and height.

    `name` is that of the picture, `called` that of the thing, empty where nobody knows it, `title` what people call that.
    """

    item: str
    row: int
    annotation: int
    score: float
    name: str
    called: str
    title: str
    reason: str
    crop: str
    box: tuple[float, float, float, float]


class Grid(Wire):
    """Hold a page of the grid."""

    class_: str = Field(alias="class")
    cells: list[Cell]
    waiting: int
    seconds: int
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


# Names, in a schema that has an attribute which says what an object is


class NameInfo(Wire):
    """Count the labels of one class and name that wait, with the mean of their scores. `title`: what people call it."""

    name: str
    title: str
    class_: str = Field(alias="class")
    waiting: int
    score: float
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Names(Wire):
    """List what labels that wait are called. `total`: how many names there are, also those that are not listed."""

    names: list[NameInfo]
    total: int


class KnownName(Wire):
    """Name something that labels are called, with the class that one of them has. `title`: what people call it."""

    name: str
    title: str
    class_: str = Field(alias="class")
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class KnownNames(Wire):
    """List names that labels have."""

    names: list[KnownName]


class Called(Wire):
    """Tell how many labels are called so: of items that `wait`, that people `decided` on, and others, which nobody looked at."""

    waiting: int
    decided: int
    unseen: int


class TakeNamed(Wire):
    """Ask for the labels of a name, on items that this person may decide on; those items are leased to the tab.

    `after` is the `next` of the answer before.
    """

    tab: Tab
    name: Name
    after: int = Field(default=0, ge=0, lt=2**53)
    n: int = Field(default=200, ge=1, le=500)


class NamedRows(Wire):
    """Name labels of one item."""

    item: str
    annotation: int
    rows: list[int]


class Named(Wire):
    """Hold labels of a name. `skipped`: labels on items that others work on, or that wait for others; `next` is 0 at the end."""

    items: list[NamedRows]
    skipped: int
    next: int
    seconds: int


# A clip


class ClipFrame(Wire):
    """Name one frame of a clip.

    `asks`: second where this person is asked for a second opinion, and sees the machine's labels; adjudicate where two people
    differ about events and nothing else, and this person may choose: `annotation` is the opinion that has all of the events, and
    those that the other lacks are open.
    """

    item: str
    index: int
    seconds: float | None
    annotation: int
    lane: str
    outcome: str | None
    image: str
    asks: Literal["", "second", "adjudicate"]


class ClipEvent(Wire):
    """Tell of one event of a clip: a tag with a track, on each frame from `first` to `last` that has it.

    `attributes`: as the last frame has them. `denied`: the machine said so, and people took it away. `said`: who confirmed or
    denied it, in their order; of what this person has yet to answer unswayed, nobody.
    """

    track: int
    class_: str = Field(alias="class")
    first: int
    last: int
    attributes: dict[str, Any]
    denied: bool
    said: list[str]
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Clip(Wire):
    """Hold all labels of a clip. `boxes`: [frame, row, class, track, x0, y0, x1, y1, score, open]; frame counts `frames` from 0.

    `open` is 1 for a label that a person still has to answer. `kinds`: kind of geometry of each of `boxes`. `suspects`: frames
    that a rule questions, by track: [track, frame, reason]. `next_track`: the first number above those of tracks that no track
    and no event has; `next_event`: the first above all. `crop`: the address of the crop of a label, with {item}, {annotation}
    and {row} in it.
    """

    group: str
    size: list[int]
    frames: list[ClipFrame]
    boxes: list[tuple[int, int, int, int, float, float, float, float, float, int]]
    kinds: list[int]
    suspects: list[tuple[int, int, str]]
    events: list[ClipEvent]
    next_track: int
    next_event: int
    crop: str


# The dashboard


class Share(Wire):
    """Hold a share with its n and its 95 % Wilson interval; all None where n is 0."""

    n: int
    hits: int
    share: float | None
    low: float | None
    high: float | None


class Pace(Wire):
    """Hold seconds per decision: median with quartiles; None where n is 0."""

    who: str
    lane: str
    mode: str
    n: int
    median_s: float | None
    q1_s: float | None
    q3_s: float | None
    per_hour: float | None


class Hour(Wire):
    """Count the decisions of one hour, in UTC."""

    at: str
    n: int


class Stats(Wire):
    """Hold what the dashboard shows.

    `untouched`: how often people accepted the machine's labels as they were, by mode. `second`: how often a second person agreed
    with the first. `blind`: how often a person who did not see the machine's labels gave the same. `saved`: None unless blind and
    assisted decisions were both timed.
    """

    items: int
    accepted: int
    waiting: int
    decided: int
    rejected: int
    quarantined: int
    pace: list[Pace]
    hours: list[Hour]
    untouched: dict[str, Share]
    second: Share
    blind: Share
    saved: dict[str, float] | None


class Place(Wire):
    """Say where a pixel is on the map: in the raster's own coordinates, and as longitude and latitude (WGS84)."""

    crs: str
    x: float
    y: float
    lon: float | None
    lat: float | None


class Pixel(Wire):
    """Say which point of a picture lies at a place of the map; it may be outside of the picture."""

    x: float
    y: float
