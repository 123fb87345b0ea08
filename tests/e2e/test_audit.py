"""A lot is audited in the page: what is routed, audited and planted comes in one queue and looks the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from hyla.decide.route import Route
from hyla.decide.seeds import caught, plant
from hyla.store import Twin
from hyla.types import Severity
from page_kit import another, choose, decisions, exported, holds, hyla, press, project, saved, start, state, waiting
from served import Served
from store_kit import lot_of


def lot(folder: Path) -> dict[str, Any]:
    """Freeze the photos as a lot: two to be reviewed, two audited, one planted, the others accepted; return the ids."""
    with project(folder) as found:
        called = (Severity.HUMAN, Severity.SECOND)
        records = [one for one in found.records("model") if len(one.labels) > 1]
        free = [one for one in records if not any(flag.severity in called for flag in one.flags)]
        ids = [one.item.id for one in free]
        number = found.freeze(lot_of(ids), {"eps": 0.05})
        asked = dict(zip(ids[:4], (0.1, 0.3, 0.7, 0.9), strict=True))
        rows = {one.item.id: tuple(range(len(one.labels))) for one in free}
        routes = [Route(name, True, rows[name], name in ids[2:4], asked[name]) if name in asked else Route(name) for name in ids]
        found.route(number, routes)
        truth = free[-1]
        wrong = plant(truth.labels, found.schema(), 7, "delete", truth.size)
        assert wrong is not None
        (twin,) = found.plant(number, [Twin(truth.item.id, wrong, {"kind": "delete"}, priority=0.5)])
    order = [*ids[:2], twin, *ids[2:4]]
    return {"order": order, "twin": twin, "truth": truth.labels, "planted": wrong, "accepted": ids[4:]}


def test_an_audit_by_two_people(serve: Callable[..., Served], visit: Callable[..., Page], tmp_path: Path) -> None:
    here = serve("photo 24 9", "ben")
    there = here.project
    before = json.loads(hyla("status", str(there), "--json"))
    made = lot(there)
    order, twin = made["order"], made["twin"]

    page = visit(here)
    choose(page, "Review", "To be checked")
    expect(page.get_by_text("Review: to be checked · 5 items")).to_be_visible()
    shown = start(page)
    heads: list[str] = []
    looks: set[tuple[str, ...]] = set()
    for name in order:
        assert shown["id"] == name, "by priority, whatever it is asked for"
        assert {one["open"] for one in shown["labels"]} == {True}
        expect(page.get_by_text("Is anything missing?")).to_be_visible()
        expect(page.get_by_text("Why is this shown?")).to_have_count(0)
        looks.add(tuple(sorted(page.evaluate("() => Object.keys(window.__hyla.bench.item)"))))
        heads.append(page.evaluate("() => window.__hyla.bench.item.reason"))
        if name == order[0]:
            press(page, *"a" * len(shown["labels"]))
        else:
            press(page, "Enter")
        if name != order[-1]:
            shown = another(page, name)
    page.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(page)
    assert (set(heads), len(looks)) == ({"lot"}, 1)

    # Nothing was found on the planted copy; two of the others are read by a second person.
    assert waiting(there, "second") == 2
    assert state(there, twin)["outcome"] == "accept"
    with project(there) as found:
        (planted,) = found.twins(1)
        assert not caught("delete", made["truth"], made["planted"], planted.labels, found.schema())
        assert not found.hiding()
    other = visit(here, "ben")
    choose(other, "Second opinion", "To be checked")
    assert start(other)["id"] == order[3]
    press(other, "Enter")
    assert another(other, order[3])["id"] == order[4]
    press(other, "Enter")
    other.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(other)
    assert all(state(there, name)["lane"] == "" for name in order)
    assert {one.who for one in decisions(there, order[3])} == {"ann", "ben"}
    assert all(state(there, name)["decision"] == 0 for name in made["accepted"])

    # The copy leaves with nothing, and all that is stored holds.
    folder = exported(there, "jsonl", tmp_path / "jsonl")
    text = "".join(path.read_text() for path in folder.rglob("*.jsonl"))
    assert (twin in text, order[0] in text) == (False, True)
    after = json.loads(hyla("status", str(there), "--json"))
    assert {name: after[name] for name in ("items", "labels", "classes")} == {
        name: before[name] for name in ("items", "labels", "classes")
    }
    holds(there)
