"""Declare the tables of a project, in types that SQLite and PostgreSQL share.

What was said (annotations, labels, flags, decisions), and of what (items), is written once: triggers refuse to change or delete
it. What is to happen (verdicts, the lane and the state of an item) is routing state, may change, and follows from what was said,
and from the route that a lot gave an item. A lot and what became of it are written once as well, and so is who saw what.
Only what `deleted` names may go: items, annotations, labels, flags, and the notes of decisions; see `hyla.store.retention`.
People and their secrets come and go.
Times are ISO 8601 in UTC; what JSON holds is text, as `hyla.store.rows.canonical` writes it, so that it can be hashed.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    literal_column,
    text,
)

metadata = MetaData()
Big = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only a column of type INTEGER


def _column(name: str, kind: type | BigInteger, *more: ForeignKey, null: bool = False, key: bool = False) -> Column[object]:
    return Column(name, kind, *more, nullable=null, primary_key=key, autoincrement=False)


meta = Table("meta", metadata, _column("key", String, key=True), _column("value", Text))

runs = Table(
    "runs",
    metadata,
    Column("id", Big, primary_key=True),
    _column("started", String),
    _column("finished", String, null=True),
    _column("state", String),  # running, or how it ended
    _column("settings", Text),
    _column("schema", Text),
    _column("source", Text),
    _column("versions", Text),
    _column("provenance", Text),
    _column("timings", Text),
)

items = Table(
    "items",
    metadata,
    _column("id", String, key=True),
    _column("ordinal", Big),  # position in the scan
    _column("uri", Text),
    _column("grp", String),
    _column("idx", Big),
    _column("kind", String),
    _column("meta", Text),
    _column("size", Text),
    _column("frame", Text),
    _column("context", Text),
    _column("digest", String),  # sha256 of all before
    _column("seconds", Double),
    _column("run", Big, ForeignKey("runs.id")),
    # No foreign keys in what follows: annotations and decisions point here already.
    _column("machine", Big),  # the annotation of the run
    _column("verdict", String),  # where the machine and the rules send it
    _column("reason", String),  # of the strongest flag that asks for a person; see answers.principal
    # What people made of it, as the standing decision left it.
    _column("decided", Big, null=True),  # seq of the standing decision
    _column("outcome", String, null=True),  # its verdict
    _column("best", Big),  # the annotation that holds
    _column("lane", String),  # where it waits for a person; empty for nowhere
    # Who may not answer it there: who gave the standing answer or was unsure, and who gave the second opinion.
    _column("answered", String),
    _column("seconded", String),
    _column("route", Text, null=True),  # what a lot asks of it; see routing.write_route. Null for an item that none routed
    _column("priority", Double),  # place in the queue, the lowest first
    _column("twin", String),  # of a planted copy with known errors, the id of the item that it is a copy of; else empty
    Index("items_in_order", "ordinal", "id"),
    Index("items_by_group", "grp", "ordinal", "id"),
    Index("items_by_verdict", "verdict", "ordinal", "id"),
    Index("items_by_lane", "lane", "priority", "ordinal", "id"),
    Index("items_by_reason", "lane", "reason", "priority", "ordinal", "id"),
    Index("items_planted", "twin", "lane", sqlite_where=text("twin > ''"), postgresql_where=text("twin > ''")),
)

OWN = items.c.twin == ""  # holds of the items that the project is about, and not of planted ones
PLANTED = items.c.twin > literal_column("''")  # the opposite, word for word as its index has it
BESIDE = OWN | (items.c.grp == items.c.id)  # holds of the items of a clip; a planted frame is a clip of its own

quarantine = Table(
    "quarantine",
    metadata,
    _column("item_id", String, key=True),
    _column("ordinal", Big),
    _column("uri", Text),
    _column("grp", String),
    _column("idx", Big),
    _column("kind", String),
    _column("meta", Text),
    _column("stage", String),
    _column("reason", Text),
    _column("run", Big, ForeignKey("runs.id")),
    Index("quarantine_in_order", "ordinal", "item_id"),
)

groups = Table("groups", metadata, _column("grp", String, key=True), _column("finished", String))

annotated = Table(
    "annotations",
    metadata,
    _column("id", Big, key=True),
    _column("item_id", String, ForeignKey("items.id")),
    _column("source", String),  # model:name@digest, truth:name, human:who
    _column("role", String),  # the word before the colon
    _column("rev", Integer),  # 0; a person may say something else later: 1, 2, ...
    _column("run", Big, ForeignKey("runs.id"), null=True),  # null for what no run wrote
    _column("created", String),
    _column("n", Integer),
    _column("blob", LargeBinary),  # hyla.codec.pack
    _column("digest", String),  # sha256 of item, source, rev and blob
    UniqueConstraint("item_id", "source", "rev"),
    Index("annotations_by_source", "source", "rev", "n"),
)

OPEN = text("verdict = 'review'")
OPEN_NAMED = text("verdict = 'review' AND name IS NOT NULL")
WITH_NAME = text("name > ''")

labels = Table(
    "labels",
    metadata,
    _column("annotation_id", Big, ForeignKey("annotations.id"), key=True),
    _column("row", Integer, key=True),
    _column("class_id", Integer),
    _column("kind", Integer),
    _column("score", Double),
    _column("track", Big),
    _column("x0", Double),
    _column("y0", Double),
    _column("x1", Double),
    _column("y1", Double),
    _column("name", Text, null=True),  # see `hyla.store.naming`; null in a schema that names nothing
    _column("title", Text, null=True),  # what people call it, if that is another word
    _column("verdict", String),  # review: waits for an answer; reject: wrong; else accept. All accept in labels that do not hold
    # The class comes first and the annotation second, so that "does this image have such a label" is one step down the tree.
    Index("labels_by_class", "class_id", "annotation_id", "score"),
    # What waits, surest first: few beside all labels, so that loading hardly pays for it.
    Index("labels_open", "class_id", "verdict", text("score DESC"), sqlite_where=OPEN, postgresql_where=OPEN),
    # In projects that name things: what waits by class and name, and where a name is.
    Index("labels_named", "class_id", "name", "verdict", "score", "title", sqlite_where=OPEN_NAMED, postgresql_where=OPEN_NAMED),
    Index("labels_by_name", "name", "annotation_id", "title", sqlite_where=WITH_NAME, postgresql_where=WITH_NAME),
    sqlite_with_rowid=False,  # rows of one image lie together: they are read together
)

# Word for word as the indexes have them, else SQLite would not use those.
PENDING = labels.c.verdict == literal_column("'review'")
NAMED = labels.c.name.is_not(None)
TITLED = labels.c.name > literal_column("''")

flags = Table(
    "flags",
    metadata,
    Column("id", Big, primary_key=True),
    _column("item_id", String, ForeignKey("items.id")),
    _column("rule", String),
    _column("reason", String),
    _column("severity", String),
    _column("rows", Text),
    _column("message", Text),
    _column("digest", String),  # sha256 of all before: the same flag twice is one flag
    UniqueConstraint("item_id", "digest"),
    Index("flags_by_reason", "reason"),
)

decisions = Table(
    "decisions",
    metadata,
    _column("seq", Big, key=True),  # 1, 2, 3, ...: a gap is a loss
    _column("item_id", String),  # of a stored item, or of a deleted one
    _column("action", String),
    _column("rows", Text),
    _column("who", String),
    _column("at", String),
    _column("before", Text),
    _column("after", Text),
    _column("undoes", Big, ForeignKey("decisions.seq"), null=True),
    _column("active_ms", Big),
    _column("mode", String),
    _column("note", Text),
    _column("idempotency_key", String),
    _column("request", String),  # sha256 of what was asked for
    _column("prev_hash", String),
    _column("hash", String),
    UniqueConstraint("idempotency_key"),
    Index("decisions_by_item", "item_id", "seq"),
    Index("decisions_by_person", "who", "seq"),
)

lots = Table(
    "lots",
    metadata,
    _column("id", Big, key=True),
    _column("created", String),
    _column("settings", Text),
    _column("digest", String),  # sha256 of what Lot.pack gives
    _column("seed", String),  # of all chance; drawn when the digest was known
    _column("blob", LargeBinary),  # Lot.pack, compressed with zlib
    _column("hash", String),  # sha256 of all before but the blob
)

lot_events = Table(
    "lot_events",
    metadata,
    _column("id", Big, key=True),
    _column("lot", Big, ForeignKey("lots.id")),
    _column("at", String),
    _column("kind", String),
    _column("body", Text),
    _column("hash", String),  # sha256 of all before and of the hash of the event before it, of the lot for the first
    Index("lot_events_in_order", "lot", "id"),
)

retention = Table(
    "retention",
    metadata,
    _column("id", Big, key=True),
    _column("at", String),
    _column("who", String),
    _column("kind", String),  # hold, release, delete or footage
    _column("body", Text),
    _column("hash", String),  # sha256 of all before and of the hash of the event before it, of the project's id for the first
)

deleted = Table(
    "deleted",
    metadata,
    _column("item_id", String, key=True),
    _column("event", Big, ForeignKey("retention.id")),
    _column("grp", String),
    _column("digest", String),  # of the item; empty for one that was in quarantine
    _column("annotations", Text),  # number and digest of each, as JSON
    _column("notes", Text),  # of each decision on it that had a note: seq, and its hash without, as JSON
    Index("deleted_by_event", "event", "item_id"),
    Index("deleted_by_group", "grp"),
)

accesses = Table(
    "accesses",
    metadata,
    _column("id", Big, key=True),
    _column("at", String),  # when the visit began
    _column("who", String),
    _column("how", String),  # picture, crop, tile, slices, draw, export NAME
    _column("grp", String),  # the clip; empty for an item that stands alone
    _column("item_id", String),  # the item; empty for a clip
    _column("hash", String),  # as of `retention`
    Index("accesses_by_person", "who", "id"),
)

people = Table("people", metadata, _column("name", String, key=True), _column("role", String), _column("created", String))

secrets = Table(
    "secrets",
    metadata,
    _column("digest", String, key=True),  # sha256 of the secret, in hex: the secret itself is nowhere
    _column("name", String, ForeignKey("people.name")),
    _column("kind", String),  # token or session
    _column("created", String),
    _column("expires", String),
    Index("secrets_by_name", "name"),
)

# Columns that are routing state.
STATE = {
    "items": ("verdict", "reason", "decided", "outcome", "best", "lane", "answered", "seconded", "route", "priority"),
    "labels": ("verdict",),
}

# What retention may take: rows of items whose deletion is written down, and with them the notes of decisions.
_GONE = "EXISTS (SELECT 1 FROM deleted WHERE deleted.item_id = OLD.{0})"
_LABELS_GONE = (
    "EXISTS (SELECT 1 FROM annotations JOIN deleted ON deleted.item_id = annotations.item_id "
    "WHERE annotations.id = OLD.annotation_id)"
)
_DELETABLE = {
    "items": _GONE.format("id"),
    "annotations": _GONE.format("item_id"),
    "flags": _GONE.format("item_id"),
    "labels": _LABELS_GONE,
}
_ERASABLE = {"decisions": ("note", f"NEW.note = '' AND {_GONE.format('item_id')}")}

for _table in (items, annotated, labels, flags, decisions, lots, lot_events, retention, deleted, accesses):
    _soft, _may = _ERASABLE.get(_table.name, ("", ""))
    _fixed = ", ".join(f'"{c.name}"' for c in _table.columns if c.name not in (*STATE.get(_table.name, ()), _soft))
    _refused = [("update", f"UPDATE OF {_fixed}", ""), ("delete", "DELETE", _DELETABLE.get(_table.name, ""))]
    if _soft:
        _refused.append((_soft, f'UPDATE OF "{_soft}"', _may))
    for _verb, _when, _unless in _refused:
        event.listen(
            _table,
            "after_create",
            DDL(  # type: ignore[no-untyped-call]
                f"CREATE TRIGGER {_table.name}_no_{_verb} BEFORE {_when} ON {_table.name} "
                + (f"WHEN NOT ({_unless}) " if _unless else "")
                + f"BEGIN SELECT RAISE(ABORT, '{_table.name} are written once'); END"
            ).execute_if(dialect="sqlite"),
        )
