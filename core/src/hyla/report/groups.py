"""Compare the pictures of one subgroup with those of another: errors, how often nobody looks, and human time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hyla.decide import bias, gather
from hyla.decide.drawing import draw
from hyla.decide.losses import Loss
from hyla.decide.planning import Plan
from hyla.decide.stages import build_decide, composed
from hyla.decide.strata import DECLARED, spread
from hyla.report import plots
from hyla.report.plots import Drawn
from hyla.report.sections import LAST, Section, Table, share, time, timed
from hyla.types import Verdict

if TYPE_CHECKING:
    from hyla.schema import Schema
    from hyla.store import Project
    from hyla.store.lots import LotRow

GROUPS = 8  # values of a word by which pictures are compared, at most
DECLARED_GROUPS = 32  # values of one that was declared, or that the schema says of pictures
KEYS = 3  # such words, at most, unless more were declared
PLACE, TITLE = "bias", "Error and review by subgroup"


class Picture(NamedTuple):
    """Hold of a picture what groups are compared by: `errors` of the machine, NaN where they are not known, per `size`."""

    id: str
    words: dict[str, Any]
    size: float
    dropped: bool
    errors: float


def subgroups(project: Project) -> Section:
    """Show error, and how often no person looks, by what is known of pictures: weather, site, scanner."""
    if find_spec("fairlearn") is None:
        return Section(PLACE, TITLE, missing="The package fairlearn: pip install 'hyla[decide]'")
    rows = project.lots()
    settings = rows[-1].settings.get("decide") if rows else None
    settings = composed(settings or project.recall("decide") or {})
    loss = build_decide(settings, (), project.schema())[0]
    truths = [name for name in project.truths() if name != settings["second"]]
    truth = truths[0] if len(truths) == 1 else None
    seen = list(_pictures(project, loss, truth))
    groups = _groups(seen, project.schema())
    if not groups:
        return Section(PLACE, TITLE, missing="Pictures that differ in a word of their context, such as weather, site or scanner.")
    wrong, size = [one.errors / one.size for one in seen], [one.size for one in seen] if truth else None
    basis = f"Errors of the machine against {truth}, {sum(error == error for error in wrong):,} pictures."
    if truth is None:
        # Where an audit draws pictures by their size, the weight is in the draw already.
        errors, basis = _audited(project, loss, rows)
        wrong = [errors.get(one.id, np.nan) / one.size for one in seen]
    open_ = {one.id for one in project.standings() if one.outcome is None and not one.lane}
    unseen = [float(one.id in open_ and not one.dropped) for one in seen]
    spent: dict[str, float] = defaultdict(float)
    for pace in project.paces(LAST):
        spent[pace.item_id] += pace.active_ms / 1000
    found = bias.audit(groups, wrong, size, unseen, [spent.get(one.id, np.nan) for one in seen])
    drawn: list[tuple[str, Drawn]] = []
    cells: list[tuple[str, ...]] = []
    for one in found.attributes:
        which = "error" if any(group.error.n for group in one.groups) else "accepted"
        bars = [(group.name, getattr(group, which)) for group in one.groups]
        about = f"{bias.WHAT[which]} by {one.name}"
        figure = plots.bars(f"bias-{len(drawn)}", about, bars, "%", percent=True)
        drawn.append((f"{about}, n {sum(value.n for _, value in bars):,}", figure))
        cells += [
            (one.name, group.name, f"{group.pictures:,}", share(group.error), share(group.accepted), time(group.seconds))
            for group in one.groups
        ]
    lead = f"{basis} A gap is a warning and no proof of a cause; nothing here is part of what is promised."
    head = ("by", "group", "pictures", "error", "nobody looks", "human time")
    return Section(PLACE, TITLE, lead, tuple(drawn), Table(head, tuple(cells)), found.warnings, simulated=timed(project)[1])


def _pictures(project: Project, loss: Loss, truth: str | None) -> Iterator[Picture]:
    """Yield all pictures, with their errors against a truth if there is one: both come in the order of the scan."""
    schema = project.schema()
    others = iter(project.records(truth)) if truth else iter(())
    other = next(others, None)
    for one in project.records("model"):
        errors = np.nan
        if other is not None and other.item.id == one.item.id:
            errors, other = loss.errors(one.labels, other.labels, schema).total, next(others, None)
        words = {k: v for k, v in spread({**one.item.meta, **one.labels.context}).items() if isinstance(v, (str, bool))}
        yield Picture(one.item.id, words, loss.size(one.labels), one.verdict == Verdict.REJECT, errors)


def _groups(seen: list[Picture], schema: Schema) -> dict[str, list[Any]]:
    """Return word -> its value for each picture, of the words that divide the pictures into groups.

    First what was declared, all of it, and what the schema says of pictures, such as the camera or the time of day; then a few
    others. Of each of these kinds, those with the fewest groups come first.
    """
    values: dict[str, Counter[Any]] = defaultdict(Counter)
    for one in seen:
        for key, value in one.words.items():
            values[key][value] += value != ""
    said = {name for texts in values.get(DECLARED, ()) for name in spread({DECLARED: texts})} - {DECLARED}
    own = {one.name for one in schema.attributes_of("image").values() if one.type in ("text", "choice")} - {DECLARED}
    ranked = []
    for key, some in values.items():
        rank, most = (0, DECLARED_GROUPS) if key in said | own else (1, GROUPS)
        if 2 <= (n := sum(k > 0 for k in some.values())) <= most and (key != DECLARED or not said):
            ranked.append((rank, n, key))
    ranked.sort()
    first = [key for rank, _, key in ranked if rank == 0]
    keys = [*first, *(key for rank, _, key in ranked if rank)][: max(KEYS, len(first))]
    return {key: [one.words.get(key) for one in seen] for key in keys}


def _audited(project: Project, loss: Loss, rows: list[LotRow]) -> tuple[dict[str, float], str]:
    """Return item id -> errors of the machine in the pictures of the last audit, which were drawn by chance, and a sentence."""
    drawn = next((row for row in reversed(rows) if "plan" in row.settings), None)
    if drawn is None:
        return {}, "No audit was drawn yet, so that no error is known."
    lot = project.lot(drawn.number)
    names = [lot.id(i) for i in range(len(lot.items))]
    answers = gather.errors(project, lot, loss, gather.said(project, names), names)
    errors = np.bincount(lot.item, answers, len(names))  # NaN where any ask is open
    audited = np.unique(np.concatenate(draw(lot, Plan.from_dict(drawn.settings["plan"]), drawn.seed)))
    chosen = np.flatnonzero(np.isin(lot.unit, audited)).tolist()
    basis = f"Errors of the machine in the {len(audited):,} audited units of lot {drawn.number}, drawn by chance."
    return {names[i]: float(errors[i]) for i in chosen}, basis
