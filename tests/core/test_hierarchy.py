"""Classes count with their ancestors, steps are those of the tree, and names are right, wrong or missing as they are."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import hierarchy, named
from hyla.average_precision import wilson
from hyla.evaluate import evaluate
from hyla.schema import Attribute, Class, Schema
from hyla.types import Item, Kind, Labels, Record, item_id

TREE = (
    Class("product"),
    Class("food", "product"),
    Class("fruit", "food"),
    Class("lemon", "fruit"),
    Class("lime", "fruit"),
    Class("soap", "product"),
    Class("label"),
)
NAMES = (Attribute("product", classes=("product",), identity=True), Attribute("text"))
PLAIN = Schema("shop", TREE, ("box", "tag"))
SCHEMA = Schema("shop", TREE, ("box", "tag"), NAMES)
FLAT = Schema("flat", tuple(Class(one.name) for one in TREE), ("box", "tag"))
SIZE = (100, 1000)


def record(name: str, labels: Labels) -> Record:
    return Record(Item(item_id(name), name), labels, size=SIZE)


def shelf(names: str, products: list[Any] | None = None, kind: Kind = Kind.BOX, **more: Any) -> Labels:
    """Return labels of classes side by side, each 10 pixels wide; a dot leaves a place empty."""
    at = [n for n, name in enumerate(names.split()) if name != "."]
    ids = [SCHEMA.class_id(name) for name in names.split() if name != "."]
    boxes = [(20 * n, 0, 20 * n + 10, 50) for n in at] if kind == Kind.BOX else [(0, 0, *SIZE[::-1])] * len(at)
    attributes = {} if products is None else {"product": products}
    return Labels.of(ids, np.array(boxes, float).reshape(-1, 4), kind=kind, attributes=attributes, **more)


def measured(truth: Labels, found: Labels | None, schema: Schema = SCHEMA) -> Any:
    return evaluate([] if found is None else [record("a.jpg", found)], [record("a.jpg", truth)], schema, samples=20)


def test_a_near_miss_counts_for_what_both_classes_are() -> None:
    tree = measured(shelf("lemon lemon soap"), shelf("lemon lime soap"), PLAIN).hierarchy["boxes"]
    assert (tree.same.value, tree.same.n) == (2 / 3, 3)
    # lemon: product, food, fruit, lemon; lime for lemon: 3 of 4 in common; soap: product, soap
    assert tree.precision.value == tree.recall.value == tree.f1.value == pytest.approx(9 / 10)
    assert tree.distance.value == pytest.approx(2 / 3)


def test_a_class_that_is_too_general_costs_recall_alone() -> None:
    tree = measured(shelf("lemon lemon"), shelf("food lemon"), PLAIN).hierarchy["boxes"]
    assert (tree.precision.value, tree.recall.value) == (1, pytest.approx(6 / 8))
    assert tree.distance.value == pytest.approx(1)
    assert tree.f1.value == pytest.approx(2 * 6 / (6 + 8))


@pytest.mark.parametrize(
    ("truth", "found", "schema"),
    [
        ("lemon soap", "lemon soap", PLAIN),  # nothing is mixed up
        ("lemon label", "label label", PLAIN),  # what is mixed up has nothing in common
        ("lemon lemon", "lime lemon", FLAT),  # no class has a parent
        ("lemon . .", ". lime .", PLAIN),  # nothing is found
    ],
)
def test_where_ancestors_say_nothing_more_they_are_left_out(truth: str, found: str, schema: Schema) -> None:
    one = measured(shelf(truth), shelf(found), schema)
    assert one.hierarchy == {}
    assert "ancestors" not in str(one)


def test_a_class_above_all_others_counts_no_more_than_the_root_that_no_schema_names() -> None:
    below = tuple(replace(one, parent=one.parent or "all") for one in TREE)
    rooted = Schema("shop", (*below, Class("all")), ("box", "tag"))
    truth, found = shelf("lemon lemon soap label"), shelf("lemon lime soap lemon")
    assert measured(truth, found, rooted).hierarchy == measured(truth, found, PLAIN).hierarchy


def test_the_surest_tag_is_held_against_the_nearest_true_one() -> None:
    truth = shelf("soap lime", kind=Kind.TAG)
    found = shelf("soap lemon", kind=Kind.TAG, score=[0.4, 0.9])
    tree = measured(truth, found, PLAIN).hierarchy["tags"]
    assert (tree.same.value, tree.same.n, tree.distance.value) == (0, 1, 2)
    assert measured(truth, shelf("soap lemon", kind=Kind.TAG, score=[0.9, 0.4]), PLAIN).hierarchy == {}


def steps(a: int, b: int) -> int:
    """Return the steps from class to class by walking the tree, whose root is above all."""
    near: dict[int, set[int]] = {n: set() for n in range(-1, len(TREE))}
    for n, one in enumerate(TREE):
        up = PLAIN.ids[one.parent] if one.parent else -1
        near[n].add(up)
        near[up].add(n)
    queue, far = deque([a]), {a: 0}
    while b not in far:
        here = queue.popleft()
        for n in near[here] - far.keys():
            far[n] = far[here] + 1
            queue.append(n)
    return far[b]


CLASSES = st.integers(0, len(TREE) - 1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), CLASSES, CLASSES), max_size=30))
def test_figures_are_those_of_sets_and_walks(pairs: list[tuple[int, int, int]]) -> None:
    def line(c: int) -> set[str]:
        name, out = TREE[c].name, set()
        while name:
            out.add(name)
            name = TREE[PLAIN.ids[name]].parent
        return out

    found = hierarchy.figures(pairs, PLAIN, 5, 30, 0)
    near = any(t != p and line(t) & line(p) for _, t, p in pairs)
    assert (found is not None) == near
    if found is None:
        return
    common = sum(len(line(t) & line(p)) for _, t, p in pairs)
    precision, recall = common / sum(len(line(p)) for *_, p in pairs), common / sum(len(line(t)) for _, t, _ in pairs)
    assert found.precision.value == pytest.approx(precision)
    assert found.recall.value == pytest.approx(recall)
    assert found.f1.value == pytest.approx(2 * precision * recall / (precision + recall))
    assert found.distance.value == pytest.approx(np.mean([steps(t, p) for _, t, p in pairs]))
    for one in (found.precision, found.recall, found.f1, found.distance):
        assert one.low <= one.value <= one.high
        assert one.n == len(pairs)


def test_intervals_are_over_images_and_wider_where_images_differ() -> None:
    lemon, lime = PLAIN.class_id("lemon"), PLAIN.class_id("lime")
    spread = [(n, lemon, lime if n % 2 else lemon) for n in range(40) for _ in range(5)]
    even = [(n, lemon, lime if k % 2 else lemon) for n in range(40) for k in range(6)]
    wide, narrow = (hierarchy.figures(pairs, PLAIN, 40, 400, 0) for pairs in (spread, even))
    assert wide is not None
    assert narrow is not None
    assert wide.precision.high - wide.precision.low == pytest.approx(2 * 2.02 * 0.125 / np.sqrt(39), rel=0.15)
    assert wide.distance.high - wide.distance.low == pytest.approx(8 * (wide.precision.high - wide.precision.low), rel=0.01)


def test_names_are_right_wrong_missing_or_invented() -> None:
    truth = shelf("lemon lemon lemon soap soap label", ["a", "a", "b", "c", None, "x"])
    found = shelf("lime lemon lemon . soap label", ["a", "b", None, "d", "y"])
    names = measured(truth, found).names["product"]
    assert (names.found.value, names.found.n) == (3 / 4, 4)  # a label has no product, whatever its attribute says
    assert [one.value for one in (names.right, names.wrong, names.unnamed)] == [1 / 3] * 3
    assert (names.right.low, names.right.high) == wilson(1, 3)
    assert (names.invented.value, names.invented.n) == (1, 1)
    assert names.confusions == (("a", "b", 1),)


def test_the_class_is_right_where_the_name_is_wrong() -> None:
    truth = shelf("lemon soap", ["a", "c"])
    named_, wrong = (measured(truth, shelf("lemon soap", products)) for products in (["a", "c"], ["b", "b"]))
    assert wrong.parts == named_.parts
    assert wrong.parts["boxes"].average["mAP"].value == 1
    assert (named_.names["product"].right.value, wrong.names["product"].right.value) == (1, 0)


def test_names_of_pictures_are_those_of_their_tags() -> None:
    truth = shelf("lemon soap", ["a", "c"], Kind.TAG)
    names = measured(truth, shelf("fruit soap label", ["c", "a", None], Kind.TAG, score=[0.9, 0.5, 0.7])).names["product"]
    assert (names.right.value, names.right.n) == (1, 2)
    names = measured(truth, shelf("lemon", ["b"], Kind.TAG)).names["product"]
    assert (names.found.value, names.found.n, names.wrong.value, names.wrong.n) == (0.5, 2, 1, 1)
    assert names.confusions == (("a", "b", 1),)


def test_of_labels_in_one_place_the_one_of_the_same_name_is_meant() -> None:
    twice = shelf("lemon lemon", ["a", "b"])
    twice.box[1] = twice.box[0]
    names = measured(twice, replace(twice, attributes={"product": twice.attributes["product"][::-1].copy()})).names["product"]
    assert names.right.value == 1


def test_an_image_without_predictions_leaves_its_names_unfound() -> None:
    names = measured(shelf("lemon soap", ["a", "c"]), None).names["product"]
    assert (names.found.value, names.found.n, names.right.value, names.right.n) == (0, 2, None, 0)


def test_what_overlaps_too_little_or_stands_for_a_crowd_is_no_pair() -> None:
    truth = shelf("lemon soap", ["a", "c"], evidence={"iscrowd": [1.0, 0.0]})
    moved = shelf("lemon soap", ["b", "d"])
    moved.box[1, [0, 2]] += 4  # intersection over union: 6 of 14
    names = measured(truth, moved).names["product"]
    assert (names.found.value, names.found.n) == (0, 1)


def test_numbers_may_be_names() -> None:
    numbered = Schema("s", TREE, ("box",), (Attribute("product", "integer", identity=True),))
    truth, found = shelf("lemon lemon soap", [1, 2, None]), shelf("lemon lemon soap", [1, None, None])
    names = measured(truth, found, numbered).names["product"]
    assert (names.right.value, names.unnamed.value, names.invented.value) == (0.5, 0.5, 0)


def test_ten_confusions_at_most_the_most_frequent_first() -> None:
    pairs = [(f"p{n:02d}", "q") for n in range(12) for _ in range(n + 1)]
    found = named.figures(pairs, len(pairs))
    assert len(found.confusions) == named.MOST
    assert found.confusions[0] == ("p11", "q", 12)
    assert found.wrong.value == 1


def test_without_identities_or_parents_nothing_is_added() -> None:
    truth, found = shelf("lemon soap", ["a", "b"]), shelf("soap soap", ["b", "b"])
    flat = Schema("flat", FLAT.classes, ("box", "tag"), (Attribute("product"),))
    one = measured(truth, found, flat)
    assert (one.hierarchy, one.names) == ({}, {})
    assert one.parts == measured(truth, found).parts


def test_it_is_json_and_text() -> None:
    truth, found = shelf("lemon lemon soap", ["a", "b", None]), shelf("lemon lime soap", ["a", "a", "c"])
    one = measured(truth, found)
    back = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert back["names"]["product"]["confusions"] == [["b", "a", 1]]
    assert back["hierarchy"]["boxes"]["distance"]["n"] == 3
    text = str(one)
    assert "classes of boxes found: same class 0.667" in text
    assert "product: found 1.000" in text
    assert "mixed up: b named a (1)" in text
