"""What a rule owes: the same flags for the same labels, about rows that are there, with a reason that can be counted."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice

from hyla import codec
from hyla.plugins import Pipeline
from hyla.testing.base import Checks, NotApplicableError, check, demand
from hyla.types import Flag, Labels, Record, Severity, Verdict

LONG = 256  # records of a long group
KEPT = 64  # records that a rule may hold at once


class RuleChecks(Checks):
    """Check each rule on what the model said of the source, and on labels of everything that the schema allows."""

    @check("test_predictions_fit_the_schema")
    def test_flags_are_well_formed(self) -> None:
        """A flag names its rule, gives a reason in snake_case, a severity, rows that exist, and a sentence for people."""
        for name, rule in self._rules().items():
            for record in self.subject().records:
                for flag in rule.check(record.item, record.labels):
                    prove_flag(flag, name, len(record.labels))

    @check("test_flags_are_well_formed")
    def test_rules_are_pure(self) -> None:
        """The same labels get the same flags, in any order and as often as asked, and stay as they are."""
        records = self.subject().records
        again = self._rules()
        for name, rule in self._rules().items():
            before = [(repr(r.item), codec.pack(r.labels)) for r in records]
            first = [rule.check(r.item, r.labels) for r in records]
            after = [(repr(r.item), codec.pack(r.labels)) for r in records]
            demand(before == after, f"rule {name} changes the labels or the item", "work on copies; a rule only looks")
            todo = "remember nothing between calls: what a rule learns of a clip belongs in check_group"
            demand(
                first == [rule.check(r.item, r.labels) for r in records], f"rule {name} flags otherwise when asked again", todo
            )
            backwards = [again[name].check(r.item, r.labels) for r in reversed(records)]
            demand(first == backwards[::-1], f"rule {name} flags otherwise in another order", todo)

    @check("test_flags_are_well_formed")
    def test_rules_take_pictures_without_labels(self) -> None:
        """A picture in which nothing was found is a picture like any other."""
        for name, rule in self._rules().items():
            for record in self.subject().records[:3]:
                for flag in rule.check(record.item, Labels.empty()):
                    prove_flag(flag, name, 0)
            list(rule.check_group([]))

    @check("test_flags_are_well_formed")
    def test_group_rules_stream(self) -> None:
        """A rule about a whole group reads the records one by one, keeps few, and flags items of the group."""
        rules = {name: rule for name, rule in self._rules().items() if rule.answers("check_group")}
        if not rules:
            raise NotApplicableError("no rule of the preset judges whole groups")
        for name, rule in rules.items():
            group = _LongGroup(self.subject().records)
            found = list(rule.check_group(group))
            held = f"rule {name} holds {group.most} of {LONG} records at once"
            demand(group.most <= KEPT, held, "keep a summary of each record, not the records")
            for item_id, flag in found:
                demand(
                    item_id in group.lengths,
                    f"rule {name} flags item {item_id!r}, which is not of the group",
                    "give record.item.id",
                )
                prove_flag(flag, name, group.lengths[item_id])
            again = list(rule.check_group(_LongGroup(self.subject().records)))
            demand(found == again, f"rule {name} flags a group otherwise when asked again", "forget a group when it is judged")

    @check("test_rules_take_pictures_without_labels")
    def test_route_gives_a_verdict(self) -> None:
        """Whoever routes answers with a Verdict, or None to leave it to the flags."""
        pipeline = self.subject().fresh()
        if not pipeline.answers("route"):
            raise NotApplicableError("no stage of the preset routes")
        for record in self.subject().records:
            for labels in (record.labels, Labels.empty()):
                answer = pipeline.route(record.item, labels, pipeline.check(record.item, labels))
                fine = answer is None or isinstance(answer, Verdict)
                demand(fine, f"route gave {answer!r} for {record.item.id}", "give a member of hyla.Verdict, or None")

    def _rules(self) -> Mapping[str, Pipeline]:
        """Return each rule of the preset by itself, newly built."""
        stages = self.subject().fresh().stages
        rules = {key.partition(".")[2]: Pipeline({key: stage}) for key, stage in stages.items() if key.startswith("rules.")}
        if not rules:
            raise NotApplicableError("the preset has no rules")
        return rules


class _Watched(Record):
    """A record that tells when nobody holds it any more."""

    __slots__ = ("__weakref__",)


class _LongGroup:
    """Give many records of one group, made as they are asked for, and count how many are held at once."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        self.most = 0
        self.lengths = {f"long-{n}": len(r.labels) for n, r in enumerate(islice(cycle(records), LONG))}

    def __iter__(self) -> Iterator[Record]:
        held: list[weakref.ref[Record]] = []
        for n, record in enumerate(islice(cycle(self._records), LONG)):
            values = {name: getattr(record, name) for name in Record.__dataclass_fields__}
            one = _Watched(**{**values, "item": replace(record.item, id=f"long-{n}", group="long", index=n)})
            held = [ref for ref in held if ref() is not None] + [weakref.ref(one)]
            self.most = max(self.most, len(held))
            yield one
            del one


def prove_flag(flag: Flag, rule: str, n: int) -> None:
    """Fail unless `flag` is one that `rule` may raise about an item of `n` labels."""
    demand(isinstance(flag, Flag), f"rule {rule} gave a {type(flag).__name__}", "give hyla.Flag")
    todo = "take `name: str` in the constructor, which is the rule's name in the config, and pass it on"
    demand(flag.rule == rule, f"a flag of rule {rule} says that it is of {flag.rule!r}", todo)
    snake = isinstance(flag.reason, str) and re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", flag.reason)
    demand(snake, f"rule {rule} gives the reason {flag.reason!r}", "use one word in snake_case: it is stored and counted")
    demand(isinstance(flag.severity, Severity), f"rule {rule} gives severity {flag.severity!r}", "use hyla.Severity")
    rows = isinstance(flag.rows, tuple) and all(type(row) is int and 0 <= row < n for row in flag.rows)
    unique = rows and len(set(flag.rows)) == len(flag.rows)
    demand(
        unique, f"rule {rule} flags rows {flag.rows} of {n} labels", "give a tuple of ints: tuple(np.flatnonzero(mask).tolist())"
    )
    demand(
        flag.message, f"rule {rule} flags {flag.reason} without a message", "say in a sentence what was found, with the threshold"
    )
