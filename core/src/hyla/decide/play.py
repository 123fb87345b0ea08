"""Play a certificate to its end in a copy of a project: a program answers from the truth in people's place.

Everything but the answers is real: the copy is a project like any other, in which the same command froze, drew and tested.
Each answer is marked as simulated, and so is what rests on it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from hashlib import sha256
from itertools import count
from pathlib import Path
from uuid import uuid4

import numpy as np

from hyla.decide.effort import Effort
from hyla.decide.flow import Demand, NotYet, Step, certify
from hyla.decide.losses import Loss
from hyla.decide.reviewer import Reviewer
from hyla.decide.route import Route
from hyla.decide.stages import build_decide
from hyla.errors import ConfigError
from hyla.store import Project
from hyla.store.answers import ANSWERS, State, barred
from hyla.store.asks import Ask, person
from hyla.store.confirming import PLAYED
from hyla.store.faults import DATABASE
from hyla.store.queue import Waiting
from hyla.store.ranges import from_ranges
from hyla.types import Labels

MODE = "simulated"
PEOPLE = {
    "review": "simulated reader",
    "repair": "simulated reader",
    "second": "simulated second reader",
    "adjudicate": "simulated adjudicator",
}
AT_ONCE = 200
MOST = 50  # steps; a certificate takes four


def play(project: Project, truth: str, to: Path, demand: Demand, reviewer: Reviewer, seed: int = 0) -> Step:
    """Certify a copy of a project with simulated answers, and return the last step.

    Args:
        project: stays as it is.
        truth: name of the truth that is answered from, which must know all items.
        to: folder for the copy, which must not be one already.
        demand: what is asked for.
        reviewer: who answers.
        seed: of what is drawn, what is overlooked, and of the times.

    Raises:
        ConfigError: if there is a project in `to`, or as `hyla.decide.flow.certify` does.
    """
    copy(project, to)
    source = f"truth:{truth.removeprefix('truth:')}"
    with Project.open(to) as played:
        played.remember(PLAYED, True)
        loss, _, effort = build_decide(played.recall("decide") or {}, demand.overrides, played.schema())
        person = _Person(played, source, reviewer, loss, effort, seed)
        step: Step | None
        for _ in range(MOST):
            try:
                step = certify(played, demand, seed=f"play {seed}")
            except NotYet:  # a lot was open already
                step = None
            if step is not None and step.state in ("issued", "second pass"):
                return step
            person.answer_all()
    raise ConfigError("the simulated review came to no end", "look at the copy with `hyla status`")


def copy(project: Project, to: Path) -> None:
    """Copy a project into the folder `to`; raise ConfigError if one is there."""
    if (to / DATABASE).exists():
        raise ConfigError(f"{to} is a project already", "give a folder that is not there yet: --to COPY")
    to.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(project.path / DATABASE)) as old, closing(sqlite3.connect(to / DATABASE)) as new:
        old.backup(new)


class _Person:
    """Answer what waits in a project, from the truth."""

    def __init__(self, project: Project, truth: str, reviewer: Reviewer, loss: Loss, effort: Effort, seed: int) -> None:
        self.project, self.truth, self.reviewer = project, truth, reviewer
        self.loss, self.effort, self.seed = loss, effort, seed
        self.schema = project.schema()

    def answer_all(self) -> None:
        """Answer until nothing waits."""
        while any(self._lane(lane) for lane in ("review", "repair", "second", "adjudicate")):
            pass

    def _lane(self, lane: str) -> bool:
        some = self.project.next_items(lane, limit=AT_ONCE)
        if some:
            routes = self.project.routes([one.item.id for one in some])
            originals = self.project.planted()
            asks = [self._ask(one, lane, originals.get(one.item.id, one.item.id), routes.get(one.item.id)) for one in some]
            self.project.decide_all(asks)
        return bool(some)

    def _ask(self, one: Waiting, lane: str, known_as: str, route: Route | None) -> Ask:
        item_id = one.item.id
        state = self.project.state(item_id)
        unsure = lane == "second" and state["outcome"] not in ANSWERS
        lane = "review" if unsure else lane  # another answers in their place, about all of it
        judged = self.project.machine_annotation(item_id) if lane in ("second", "adjudicate") else state["annotation"]
        labels = self.project.labels_of(judged)[2]
        record = self.project.record(known_as, self.truth)
        if record is None:
            raise ConfigError(f"{self.truth} knows nothing of item {known_as!r}", "import a truth of all items")
        who = self._who(lane, state)
        digest = sha256(f"{self.seed}:{lane}:{item_id}{who.removeprefix(PEOPLE[lane])}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
        rows: Sequence[int] = range(len(labels))
        if not unsure and lane == "review":
            rows = sorted(from_ranges(state["open"]))
        elif not unsure and route is not None:
            rows = route.rows
        whole = unsure or route is None or route.whole
        answer, seconds = self.reviewer.answer(
            labels, record.labels, self.loss, self.schema, rng, rows, whole, effort=self.effort
        )
        return self._said(item_id, lane, who, state["annotation"], answer, answer is labels, seconds)

    def _who(self, lane: str, state: State) -> str:
        """Return who answers: somebody else than those who may not, where a label needs one more person."""
        told = {person(who) for who in barred(state, self.project.decision)}
        names = (PEOPLE[lane] + (f" {i}" if i else "") for i in count())
        return next(name for name in names if person(name) not in told)

    def _said(self, item_id: str, lane: str, who: str, annotation: int, answer: Labels, same: bool, seconds: float) -> Ask:
        action = {"second": "opinion", "adjudicate": "adjudicate"}.get(lane, "accept" if same else "edit")
        given = None if action == "accept" else answer
        ms = round(1000 * seconds)
        return Ask(item_id, action, who, str(uuid4()), labels=given, annotation=annotation, active_ms=ms, mode=MODE)
