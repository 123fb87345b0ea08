"""Runs, lots and certificates ask people for what they must confirm, whatever rules, settings and routes say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hyla
from confirm_kit import ITEM, MATCH, THING, Yard, labels
from decide_kit import project_of, scene
from hyla.decide.flow import Demand, certify
from hyla.decide.play import play
from hyla.decide.reviewer import Reviewer
from hyla.decide.route import Route
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Labels
from store_kit import PERSON, SCHEMA, held, lot_of

STAGES = """
from hyla import Flag, Image, Item, Labels, Loader, Model, Rule, Severity, Verdict, hookimpl
import numpy as np


class One(Loader):
    @hookimpl
    def items(self, source):
        return iter([Item("one", "one.png")])

    @hookimpl
    def load(self, item):
        return Image(np.zeros((20, 20, 3), np.uint8), item)


class Claims(Model):
    @hookimpl
    def predict(self, images):
        return [Labels.of([1, 0], [[0, 0, 9, 9], [5, 5, 15, 15]], score=[1.0, 1.0]) for _ in images]


class Lax(Rule):
    @hookimpl
    def check(self, item, labels):
        return [Flag("lax", "fine", Severity.REJECT, (0,)), Flag("lax", "fine", Severity.REJECT)]

    @hookimpl
    def route(self, item, labels, flags):
        return Verdict.ACCEPT
"""
PRESET = """
# @package _global_
# claims
defaults:
  - override /loader: claims
  - override /model: claims
  - _self_
default: accept
rules: {lax: {_target_: acme_claims.stages.Lax}}
schema: {name: claims, classes: {thing: {}, match: {confirmations: 2}}}
"""


PARTS = {"loader": "One", "model": "Claims"}


@pytest.mark.parametrize("more", [(), ("~rules.lax",)])
def test_no_rule_and_no_setting_stands_above_it(install: Any, tmp_path: Path, more: tuple[str, ...]) -> None:
    stages = {f"conf/{group}/claims.yaml": f"_target_: acme_claims.stages.{name}" for group, name in PARTS.items()}
    install("claims", {"stages.py": STAGES, "conf/preset/claims.yaml": PRESET, **stages})
    hyla.run(hyla.compose("claims", *more, source=str(tmp_path), out=str(tmp_path / "out")))
    with Project.open(tmp_path / "out") as project:
        state = project.state("one")
        assert (state["lane"], state["open"][:1]) == ("review", "0")
        assert [c for one in project.released() for c in one.labels.class_id.tolist()] == [0]
        project.decide("one", "accept", who="ann", key="1")
        assert project.state("one")["lane"] == "second"
        assert project.verify().ok


def test_no_route_of_a_lot_takes_it_away(tmp_path: Path) -> None:
    with Project.create(tmp_path / "out") as project:
        yard = Yard(project)
        yard.hold(MATCH, THING)
        number = project.freeze(lot_of([ITEM]), {})
        project.route(number, [Route(ITEM)])
        assert held(project, ITEM)[::2][:2] == ("review", "0")
        assert yard.out == ["thing"]
        assert yard.say("ann", "accept") == "second"
        project.route(number, [Route(ITEM)])
        assert (held(project, ITEM)[0], yard.out) == ("second", ["thing"])
        assert yard.say("ben", "opinion", labels(MATCH, THING)) == ""
        assert yard.out == ["match", "thing"]
        assert project.verify().ok


def two_people() -> Schema:
    """Return the schema of the street, in which two people must confirm persons."""
    values = SCHEMA.to_dict()
    values["classes"]["person"]["confirmations"] = 2
    return Schema.from_config(values)


def few(i: int, rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Return a scene in which most pictures have no person."""
    said, true = scene(i, rng)
    if i % 10:
        said, true = (replace(one, class_id=np.where(one.class_id == PERSON, 1, one.class_id)) for one in (said, true))
    return said, true


def test_a_certificate_asks_for_every_one_of_them(tmp_path: Path) -> None:
    schema, demand = two_people(), Demand(0.15, 0.05)
    project_of(tmp_path / "out", 400, few, schema).close()
    with Project.open(tmp_path / "out") as project:
        step = play(project, "known", tmp_path / "copy", demand, Reviewer())
        assert step.state == "issued"
        certify(project, demand, seed="play 0")
        waiting = {one.item.id for one in project.next_items("review", limit=1000)}
        asked = {one.item.id for one in project.records("model") if (schema.confirmations[one.labels.class_id] > 0).any()}
        assert asked
        assert asked <= waiting
    with Project.open(tmp_path / "copy") as played:
        # The play came to its end, with two programs for each, and nothing may leave on what programs said.
        assert not [one for one in played.lanes() if one.waiting]
        assert not any((one.labels.class_id == PERSON).any() for one in played.released())
        assert played.verify().ok


def test_overlooking_readers_come_to_an_end(tmp_path: Path) -> None:
    project_of(tmp_path / "out", 60, few, two_people()).close()
    with Project.open(tmp_path / "out") as project:
        play(project, "known", tmp_path / "copy", Demand(0.4, 0.2), Reviewer.parse("sensitivity=0.5"))
    with Project.open(tmp_path / "copy") as played:
        assert not [one for one in played.lanes() if one.waiting]
        people = {one.who for one in played.decisions()}
        assert {"simulated reader", "simulated second reader"} <= people
        assert played.verify().ok
