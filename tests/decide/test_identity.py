"""Attributes that say what an object is: a label that differs in one is another answer, wherever labels are compared."""

from __future__ import annotations

from typing import Any

import pytest

from hyla.decide import wording
from hyla.decide.agree import agree
from hyla.decide.consensus import joined
from hyla.decide.losses import Loss, Objects, Pictures, Tags
from hyla.decide.matching import ratings
from hyla.decide.seeds import caught, plant
from hyla.schema import Schema
from hyla.types import Kind, Labels

SCHEMA = Schema.from_config(
    {
        "name": "shop",
        "kinds": ["box", "tag"],
        "classes": {"drink": {}, "food": {}},
        "attributes": {"product": {"identity": True}, "colour": {}},
    }
)
BOXES = [[0, 0, 10, 10], [20, 0, 30, 10]]


def boxes(*products: str | None, classes: tuple[int, ...] = (0, 0), **more: Any) -> Labels:
    return Labels.of(classes, BOXES, attributes={"product": list(products)}, **more)


def test_a_schema_names_them_and_keeps_them() -> None:
    assert SCHEMA.identities == ("product",)
    assert Schema.from_config(SCHEMA.to_dict()) == SCHEMA


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (boxes("cola", "tea"), boxes("cola", "tea"), True),
        (boxes("cola", "tea"), boxes("cola", "coffee"), False),
        (boxes("cola", "tea"), boxes("cola", None), False),
        (boxes(None, None), Labels.of([0, 0], BOXES), True),
        (boxes("cola", "tea"), boxes("cola", "tea", classes=(0, 1)), False),
    ],
)
def test_people_and_losses_compare_them(one: Labels, other: Labels, same: bool) -> None:
    assert agree(one, other, SCHEMA) is agree(other, one, SCHEMA) is same
    losses: list[Loss] = [Objects(), Pictures()]
    assert [loss.errors(one, other, SCHEMA).total > 0 for loss in losses] == [not same] * 2


def test_another_name_is_one_error_on_its_row() -> None:
    errors = Objects().errors(boxes("cola", "tea"), boxes("cola", "coffee"), SCHEMA)
    assert errors.rows.tolist() == [0, 1]
    assert errors.whole == 0


def test_other_attributes_only_describe() -> None:
    red = Labels.of([0], BOXES[:1], attributes={"product": ["cola"], "colour": ["red"]})
    blue = Labels.of([0], BOXES[:1], attributes={"product": ["cola"], "colour": ["blue"]})
    assert agree(red, blue, SCHEMA)
    assert Objects().errors(red, blue, SCHEMA).total == 0


def test_tags_differ_by_name() -> None:
    one, other = (Labels.of([0], BOXES[:1], kind=Kind.TAG, attributes={"product": [name]}) for name in ("cola", "tea"))
    assert Tags().errors(one, other, SCHEMA).whole == 1
    assert Tags().errors(one, one, SCHEMA).whole == 0
    assert not agree(one, other, SCHEMA)


def test_a_planted_error_may_be_a_wrong_name_and_is_caught_by_who_puts_it_right() -> None:
    truth = boxes("cola", "tea")
    planted = plant(truth, SCHEMA, 5, "swap")
    assert planted is not None
    names = planted.attributes["product"].tolist()
    assert names in (["cola", "cola"], ["tea", "tea"])
    assert planted.class_id.tolist() == truth.class_id.tolist()
    assert truth.attributes["product"].tolist() == ["cola", "tea"]
    assert caught("swap", truth, planted, truth, SCHEMA)
    assert not caught("swap", truth, planted, planted, SCHEMA)


def test_a_planted_name_brings_what_goes_with_it() -> None:
    schema = Schema.from_config(
        {**SCHEMA.to_dict(), "attributes": {"product": {"identity": True}, "name": {}, "price": {"type": "number"}}}
    )
    more = {"product": ["a", "b"], "name": ["Apple juice", "Beer"], "price": [1.0, 2.0]}
    planted = plant(Labels.of([0, 1], BOXES, attributes=more), schema, 5, "swap")
    assert planted is not None
    rows = {tuple(column[row] for column in planted.attributes.values()) for row in (0, 1)}
    assert rows in ({("a", "Apple juice", 1.0)}, {("b", "Beer", 2.0)})


def test_readers_who_name_other_products_do_not_agree() -> None:
    one, other = boxes("cola", "tea"), boxes("cola", "coffee")
    found = ratings([[one, other]], SCHEMA)
    same = found.value[0] == found.value[1]
    assert same.tolist() == [True, False]
    assert ratings([[one, one]], SCHEMA).value[:, 0].tolist() == [found.value[0, 0]] * 2


def test_of_labels_without_names_the_class_is_swapped() -> None:
    planted = plant(Labels.of([0, 0], BOXES), SCHEMA, 5, "swap")
    assert planted is not None
    assert sorted(planted.class_id.tolist()) == [0, 1]


def test_several_readers_vote_on_class_and_name_together() -> None:
    readers = [boxes(name, "tea") for name in ("cola", "lemonade", "lemonade")]
    voted = joined(readers, [(0, 0, 0), (1, 1, 1)], identities=SCHEMA.identities)
    assert voted.attributes["product"].tolist() == ["lemonade", "tea"]


def test_a_certificate_says_that_they_were_compared() -> None:
    loss = {"name": "objects", "iou": 0.5, "identities": ["product"]}
    assert wording.error(loss).endswith("A label with another product is wrong.")
    how = {"strata": 1, "seeded": False, "simulated": False, "clipped": 0.0, "given_up": 0}
    said = wording.not_covered(loss, "picture", **how)
    assert "Scores, tracks and other attributes: only class, product and geometry were compared." in said
    plain = wording.not_covered({"name": "objects", "iou": 0.5}, "picture", **how)
    assert "Scores, tracks and attributes: only class and geometry were compared." in plain
    assert "product" not in wording.error({"name": "pixels", "measure": "iou", "identities": ["product"]})
