"""From a price label to its flags: what was read on it against the catalogue's name and price, and silence where nothing was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.schema import Schema
from hyla.types import Item, Labels
from hyla_retail import price_rules
from hyla_retail.facts import Facts

CONF = Path(price_rules.__file__).parent / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "retail.yaml").read_text(encoding="utf-8"))["schema"])
CATALOGUE = "sku,name,brand,category,price,currency\nA,Cola 330 ml,Brisa,Drinks,0.89,EUR\n"
ITEM = Item("a-1", "a.jpg", kind="photo")


@pytest.fixture
def facts(tmp_path):
    (tmp_path / "catalogue.csv").write_text(CATALOGUE, encoding="utf-8")
    return Facts(SCHEMA, "auto", str(tmp_path))


def stated(facts, text, price=0.89, currency="EUR"):
    """Return a facing of product A over its price label, as the model states them."""
    labels = Labels.of(
        [SCHEMA.class_id("product"), SCHEMA.class_id("price_label")],
        [[0, 0, 50, 90], [0, 90, 50, 100]],
        attributes={
            "product": np.array(["A", None], dtype=object),
            "text": np.array([None, text], dtype=object),
            "price": [price, price],
            "currency": np.array([currency, currency], dtype=object),
        },
    )
    second = np.array([None, None], dtype=object)
    return facts.state(labels, np.array([True, False]), second, np.array([1, -1]))


def reasons(labels):
    rules = (price_rules.PriceDifference(SCHEMA, "price_difference"), price_rules.LabelText(SCHEMA, "label_text"))
    return [flag.reason for rule in rules for flag in rule.check(ITEM, labels)]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("Brisa Cola 330 ml 1L=2,70 0,89 EUR", []),
        ("Alm Whole Milk 1 l 0,89", ["label_text"]),
        ("0,89 EUR", []),  # no name was read, so none contradicts
        ("12,", []),
        ("", []),
        (None, []),
    ],
)
def test_another_name_on_the_label_is_flagged_and_a_price_alone_is_none(facts, text, flags):
    assert reasons(stated(facts, text)) == flags


@pytest.mark.parametrize(
    ("price", "currency", "flags"),
    [
        (0.89, "EUR", []),
        (0.99, "EUR", ["price_difference"]),
        (0.895, "EUR", []),  # within 1 %
        (0.99, None, ["price_difference"]),
        (9.90, "SEK", []),  # prices in two currencies are not compared
    ],
)
def test_a_price_is_compared_in_its_currency(facts, price, currency, flags):
    assert reasons(stated(facts, "Brisa Cola", price, currency)) == flags


@settings(deadline=None)
@given(st.integers(1, 100_000), st.integers(1, 100_000), st.floats(0, 0.5))
def test_the_limit_is_a_share_of_the_catalogues_price(shelf, listed, share):
    labels = Labels.of(
        [SCHEMA.class_id("juice")], [[0, 0, 9, 9]], attributes={"price": [shelf / 100], "catalogue_price": [listed / 100]}
    )
    flags = price_rules.PriceDifference(SCHEMA, "price_difference", share=share).check(ITEM, labels)
    if abs(abs(shelf - listed) / listed - share) > 1e-6:  # on either side of the limit; at it, decimal fractions decide
        assert bool(flags) == (abs(shelf - listed) / listed > share)
