"""The tables are portable: PostgreSQL takes them as they are."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, create_mock_engine, event, insert, select, tuple_
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from hyla.store import Project, Stored
from hyla.store.query import Filter
from hyla.store.rows import Batch
from hyla.store.tables import items, labels, metadata, runs
from hyla.types import Flag, Verdict
from store_kit import fill, record, start


def test_postgresql_takes_the_tables() -> None:
    made: list[str] = []
    engine = create_mock_engine(
        "postgresql+psycopg://", lambda ddl, *_, **__: made.append(str(ddl.compile(dialect=engine.dialect)))
    )
    metadata.create_all(engine, checkfirst=False)
    text = "\n".join(made)
    assert len([m for m in made if "CREATE TABLE" in m]) == len(metadata.tables)
    assert "TRIGGER" not in text  # those are SQLite's words
    for word in ("BIGINT", "DOUBLE PRECISION", "BYTEA", "BIGSERIAL"):
        assert word in text
    for word in ("DATETIME", "BLOB", "rowid", "ROWID"):
        assert word not in text


def test_postgresql_takes_the_questions() -> None:
    wanted = Filter("truth:x", Verdict.REVIEW, "g", [1, 2], (0.1, 0.2), "a").statement()
    text = str(wanted.compile(dialect=postgresql.dialect()))
    assert "EXISTS" in text
    assert "max(" in text


@pytest.mark.parametrize("table", list(metadata.tables.values()), ids=lambda t: t.name)
def test_every_table_compiles_for_both(table) -> None:
    for dialect in (postgresql.dialect(), create_engine("sqlite://").dialect):
        assert str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(CreateIndex(index).compile(dialect=dialect))


def test_a_driver_that_names_its_parameters_stores_the_same(tmp_path) -> None:
    one = record("a")
    with Project.create(tmp_path) as project:
        start(project)
        project.write([Stored(one, 0, 0.0)])
        with project._db.read() as connection:
            expected = connection.execute(select(labels)).all()
    engine = create_engine("sqlite://", paramstyle="named")
    with engine.begin() as connection:
        metadata.create_all(connection)
        values = dict.fromkeys(runs.c.keys(), "{}") | {"id": 1}
        connection.execute(insert(runs), values)
        batch = Batch.open(connection)
        batch.store(Stored(one, 0, 0.0), 1)
        batch.insert(connection)
        assert connection.execute(select(labels)).all() == expected
    engine.dispose()


@pytest.mark.parametrize(
    "wanted",
    [
        Filter("best"),
        Filter("model"),
        Filter("human"),
        Filter("truth:x"),
        Filter("model", Verdict.REVIEW),
        Filter("best", Verdict.REVIEW),
        Filter("model", group="clip"),
        Filter("model", classes=[1]),
        Filter("best", classes=[1, 2], score=(0.5, 1.0)),
    ],
    ids=str,
)
def test_no_page_reads_the_whole_project(tmp_path, wanted: Filter) -> None:
    """SQLite must go on where the last page ended: a scan or a sort for each page would make streaming quadratic."""
    key = (items.c.ordinal, items.c.id)
    page = wanted.statement().where(tuple_(*key) > (5, "a")).order_by(*key).limit(128)
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 300)
        with project._db.read() as connection:
            text = str(page.compile(connection, compile_kwargs={"literal_binds": True}))
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert plan
    assert not [step for step in plan if "SCAN" in step or "TEMP" in step]


@pytest.mark.parametrize(
    "ask",
    [
        lambda p: p.next_items("review"),
        lambda p: p.next_items("review", "why", after="item00003", without=["item00009"]),
        lambda p: p.next_items("second", who="ann"),
        lambda p: p.hiding(),
        lambda p: p.planted(),
        lambda p: p.routes(["item00003"]),
        lambda p: p.heads(["item00003"]),
        lambda p: p.open_labels("car"),
        lambda p: p.open_labels("car", without=["item00003"]),
        lambda p: p.recent(5),
        lambda p: p.recent(5, who="ann"),
        lambda p: p.recent(5, item_id="item00003"),
        lambda p: p.state("item00003"),
        lambda p: p.paces(5),
        lambda p: list(p.clip("")),
        lambda p: p.decide("item00003", "accept", who="ann", key="1", rows=[0]),
    ],
)
def test_no_question_of_a_review_reads_the_whole_project(tmp_path, ask) -> None:
    asked = {}

    def note(connection, cursor, text, values, context, many) -> None:
        if text.startswith("SELECT") and "FROM runs" not in text:
            asked[text] = values

    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 300, flags=(Flag("r", "why"),), verdict=Verdict.REVIEW)
        event.listen(project._db.engine, "before_cursor_execute", note)
        ask(project)
        event.remove(project._db.engine, "before_cursor_execute", note)
        assert asked
        with project._db.read() as connection:
            for text, values in asked.items():
                steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
                # The latest decisions are read from the end of their table; the few flags of an item may be sorted.
                assert not [step for step in steps if "SCAN" in step and step != "SCAN decisions"], text
                assert "FROM flags" in text or not [step for step in steps if "TEMP" in step], text
