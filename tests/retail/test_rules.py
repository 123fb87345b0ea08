"""The review rules of products: each fires on a made case, is silent on its opposite and the unknown, and holds at its limit."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import plugins
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.testing import probes
from hyla.types import Flag, Item, Kind, Labels, Record, Severity, Verdict

CONF = resources.files("hyla_retail") / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "retail.yaml").read_text(encoding="utf-8"))["schema"])
RULES = yaml.safe_load((CONF / "rules" / "retail.yaml").read_text(encoding="utf-8"))
# In a run they are those of the loader and of the model.
RULES["planogram"] |= {"planogram": None, "catalogue": None, "columns": None, "source": ""}
for one in ("restricted_goods", "brand_category"):
    RULES[one] |= {"taxonomy": None, "source": ""}
nan = float("nan")
GOOD, BAD, SHOP = "05449000000996", "05449000000990", "02012345678903"


def rule(rule_name, **changes):
    """Build a rule as a run does: from the preset's YAML, with some settings changed."""
    return plugins.build({**RULES[rule_name], **changes}, f"rules.{rule_name}", schema=SCHEMA)


def item(**meta):
    return Item("a-1", "a.jpg", kind="photo", meta=meta)


def boxes(*names, box=None, kind=Kind.BOX, evidence=None, score=None, context=None, **attributes):
    """Return a label for each class name, side by side, with columns of evidence and attributes."""
    place = [[100 * n, 0, 100 * n + 90, 200] for n in range(len(names))] if box is None else box
    return Labels.of(
        [SCHEMA.class_id(name) for name in names],
        np.array(place, dtype=np.float64).reshape(-1, 4),
        kind=kind,
        score=score,
        evidence=evidence,
        attributes=attributes,
        context=context,
    )


def found(flags):
    """Return reason -> rows."""
    return {flag.reason: flag.rows for flag in flags}


@pytest.mark.parametrize(
    ("name", "reason", "column", "classes", "values", "rows"),
    [
        # A value at the limit passes; NaN is unknown, and passes.
        ("gtin_mismatch", "gtin_mismatch", "barcode", ["juice", "juice", "price_label", "juice"], [0, 0.9, 0, nan], (0,)),
        ("check_digit", "wrong_check_digit", "bad_digit", ["juice", "price_label", "juice"], [0, 1, nan], (1,)),
        ("restricted_prefix", "restricted_prefix", "restricted_prefix", ["juice", "barcode", "juice"], [nan, 1, 0], (1,)),
        ("source_conflict", "sources_conflict", "conflict", ["juice", "juice", "price_label", "juice"], [1, 0, 1, nan], (0,)),
        ("brand_category", "brand_category", "category_conflict", ["juice"] * 3, [1, 0, nan], (0,)),
        ("taxonomy_margin", "close_products", "margin", ["juice"] * 3, [0.149, 0.15, nan], (0,)),
        ("pack_size", "pack_size", "size_conflict", ["juice"] * 3, [1, 0, nan], (0,)),
        ("price_difference", "price_difference", "price_diff", ["juice"] * 4, [0.01, 0.0101, 0.0, nan], (1,)),
        ("label_text", "label_text", "label_text", ["juice", "juice", "juice", "gap"], [0.59, 0.6, nan, 0.1], (0,)),
        ("label_offset", "label_offset", "label_offset", ["juice"] * 3, [0.5, 0.51, nan], (1,)),
        ("duplicate_image", "duplicate_image", "duplicate", ["juice"] * 4, [4, 5, 0, nan], (0, 2)),
        ("unknown_product", "looks_new", "novelty", ["juice"] * 3, [0.95, 0.94, nan], (0,)),
        ("out_of_stock", "out_of_stock", "gap_ratio", ["gap", "gap", "gap", "juice"], [1.5, 1.51, nan, 9], (1,)),
        ("small_or_cut", "blurred", "sharpness", ["juice", "juice", "juice", "gap"], [99, 100, nan, 1], (0,)),
        ("small_or_cut", "cut", "cut", ["juice", "juice", "juice", "gap"], [1, 0, nan, 1], (0,)),
    ],
)
def test_a_rule_flags_what_is_beyond_its_limit(name, reason, column, classes, values, rows):
    labels = boxes(*classes, evidence={column: values})
    flags = {flag.reason: flag for flag in rule(name).check(item(), labels)}
    assert flags[reason].rows == rows
    assert flags[reason].message


@pytest.mark.parametrize("name", sorted(set(RULES) - {"planogram", "auto_accept", "unnamed"}))
def test_a_rule_is_silent_on_a_good_label_and_on_one_of_which_nothing_is_known(name):
    sure = {
        **dict.fromkeys(("barcode", "text", "exemplar", "price_label", "label_text"), 0.99),
        **dict.fromkeys(("conflict", "category_conflict", "size_conflict", "bad_digit", "restricted_prefix"), 0.0),
        **dict.fromkeys(("cut", "overlap", "price_diff", "label_offset", "segment_conflict"), 0.0),
        **{"margin": 0.9, "novelty": 0.1, "duplicate": 30.0, "sharpness": 900.0, "gap_ratio": 1.0, "depth": 2.0},
    }
    good = boxes(
        "juice",
        "juice",
        evidence={key: [value, value] for key, value in sure.items()},
        product=["a", "b"],
        gtin=[GOOD, None],
        price=[1.99, None],
        context={"sharpness": 900.0, "view": "shelf"},
    )
    assert rule(name).check(item(), good) == []
    assert rule(name).check(item(), boxes("juice", "gap", "toys")) == []
    assert list(rule(name).check(item(), Labels.empty())) == []


@pytest.mark.parametrize("name", ["beer", "spirits", "tobacco", "medicine", "baby_food", "weapon"])
def test_restricted_goods_are_always_for_a_person(name):
    (flag,) = rule("restricted_goods").check(item(), boxes(name, "juice", score=[1.0, 1.0]))
    assert (flag.severity, flag.rows) == (Severity.HUMAN, (0,))
    assert name in flag.message


@pytest.mark.parametrize(("barcode", "conflict", "torn"), [(0.98, 1, True), (0.98, 0, False), (0, 0, True), (nan, 1, False)])
def test_a_barcode_against_the_rest_is_for_a_person_whichever_wins(barcode, conflict, torn):
    labels = boxes("juice", "gap", evidence={"barcode": [barcode] * 2, "conflict": [conflict] * 2}, product=["a", None])
    assert found(rule("gtin_mismatch").check(item(), labels)) == ({"gtin_mismatch": (0,)} if torn else {})


def test_names_of_which_no_source_is_sure_are_to_review_and_no_name_is_none():
    seen = {"exemplar": [0.6, 0.59, nan, 0.1, 0.1], "text": [nan, 0.2, nan, 0.7, nan], "tags": [nan, 0.9, nan, nan, 0.9]}
    labels = boxes(*["juice"] * 5, evidence=seen, product=["a", "b", "c", "d", None])
    (flag,) = rule("unknown_product").check(item(), labels)
    assert (flag.reason, flag.rows, flag.severity) == ("unlike_its_product", (1,), Severity.REVIEW)


def test_claims_and_restricted_words_of_a_category_are_for_a_person():
    tags = boxes("organic", "red", "juice", kind=Kind.TAG, category=[None, None, "Shop > Wein > Rot"])
    assert found(rule("restricted_goods").check(item(), tags)) == {"restricted_goods": (0, 2)}
    assert rule("restricted_goods", classes=["tobacco"]).check(item(), tags) == []
    with pytest.raises(ConfigError, match="schema 'retail' has no class 'drugs'"):
        rule("restricted_goods", classes=["drugs"])


def test_a_class_and_a_category_in_different_branches_are_for_a_person():
    paths = ["Food > Dairy", "Drinks > Juice", "Drinks", "Shelf 7", "Toys", "Toys", None]
    labels = boxes("juice", "juice", "juice", "juice", "juice", "unknown_product", "juice", category=paths)
    assert found(rule("brand_category").check(item(), labels)) == {"levels_conflict": (0, 4)}


def test_categories_are_understood_by_the_taxonomy_of_the_model(tmp_path):
    (tmp_path / "taxonomy.csv").write_text("code,name,parent\n1,Wine,\n17,Cellar,Wine\n", encoding="utf-8")
    known = {"taxonomy": "auto", "source": str(tmp_path)}
    labels = boxes("juice", "wine", category=["17", "17"])
    for name, flags in (("restricted_goods", {"restricted_goods": (0, 1)}), ("brand_category", {"levels_conflict": (0,)})):
        assert found(rule(name, **known).check(item(), labels)) == flags
    with pytest.raises(ConfigError, match="is not there"):
        rule("brand_category", **known | {"taxonomy": "gone.csv"})


def test_numbers_with_wrong_check_digits_and_those_of_one_shop_are_told_from_their_digits():
    labels = boxes("juice", "barcode", "price_label", "juice", gtin=[GOOD, BAD, SHOP, None])
    assert found(rule("check_digit").check(item(), labels)) == {"wrong_check_digit": (1,)}
    assert found(rule("restricted_prefix").check(item(), labels)) == {"restricted_prefix": (2,)}


def test_close_products_of_other_segments_are_for_a_person_and_others_to_review():
    labels = boxes(
        "juice", "juice", "juice", evidence={"margin": [0.1] * 3, "segment_conflict": [1, 0, nan], "depth": [0, 2, nan]}
    )
    flags = {flag.reason: flag for flag in rule("taxonomy_margin").check(item(), labels)}
    assert (flags["taxonomy_margin"].rows, flags["taxonomy_margin"].severity) == ((0,), Severity.HUMAN)
    assert (flags["close_products"].rows, flags["close_products"].severity) == ((1, 2), Severity.REVIEW)


@pytest.mark.parametrize(
    ("price", "listed", "off"), [(1.99, 1.99, 0), (1.01, 1.0, 0), (1.02, 1.0, 1), (0.98, 1.0, 1), (0.1, 0.0, 0)]
)
def test_a_price_is_compared_without_the_model_too(price, listed, off):
    flags = found(rule("price_difference").check(item(), boxes("juice", price=[price], catalogue_price=[listed])))
    assert flags == ({"price_difference": (0,)} if off else {})


def test_the_models_word_on_a_price_counts_since_it_knows_the_currency():
    labels = boxes("juice", price=[1.0], catalogue_price=[25.0], evidence={"price_diff": [nan]})
    assert rule("price_difference").check(item(), labels) == []


def test_a_price_label_without_a_price_is_to_review():
    (flag,) = rule("price_difference").check(item(), boxes("price_label", "price_label", "juice", price=[1.0, nan, nan]))
    assert (flag.reason, flag.rows, flag.severity) == ("price_unread", (1,), Severity.REVIEW)


def test_facings_of_one_product_share_their_price_label():
    offset = {"label_offset": [0.1, 1.1, 2.1, 1.2, 0.9]}
    labels = boxes(*["juice"] * 5, evidence=offset, product=["a", "a", "a", "b", None], shelf=[1, 1, 2, 1, 1])
    assert found(rule("label_offset").check(item(), labels)) == {"label_offset": (2, 3, 4)}


@pytest.mark.parametrize(
    ("left", "products", "position", "rows"),
    [
        ([0, 100, 900], ["a", "a", "a"], None, (2,)),  # far from the others
        ([0, 100, 900], ["a", "a", "a"], [1, 2, 3], (2,)),
        ([0, 100, 200], ["a", "a", "a"], [1, 2, 3], ()),
        ([0, 170, 340], ["a", "a", "a"], [1, 2, 3], ()),  # less than a width between them
        ([0, 100, 95], ["a", "a", "b"], [1, 3, 2], (1, 2)),  # another product between them
    ],
)
def test_only_facings_side_by_side_share_their_price_label(left, products, position, rows):
    box = [[x, 0, x + 90, 200] for x in left]
    known = {} if position is None else {"position": position}
    labels = boxes(*["juice"] * 3, box=box, evidence={"label_offset": [0, 1.1, 9]}, product=products, shelf=[1] * 3, **known)
    assert found(rule("label_offset").check(item(), labels)) == ({"label_offset": rows} if rows else {})


def test_an_unknown_product_is_for_a_person_and_not_said_to_be_unlike():
    labels = boxes("unknown_product", "juice", evidence={"exemplar": [0.2, 0.7], "novelty": [0.99, nan]})
    (flag,) = rule("unknown_product").check(item(), labels)
    assert (flag.reason, flag.rows, flag.severity) == ("unknown_product", (0,), Severity.HUMAN)
    sure = boxes("juice", evidence={"exemplar": [0.1], "barcode": [0.99]})
    assert rule("unknown_product").check(item(), sure) == []


def test_products_without_a_name_and_photos_without_products_are_to_review():
    labels = boxes("juice", "juice", "unknown_product", "gap", product=["a", None, None, None])
    assert found(rule("unnamed").check(item(), labels)) == {"unnamed": (1,)}
    assert found(rule("unnamed").check(item(), boxes("gap"))) == {"nothing_found": ()}
    assert found(rule("unnamed").check(item(), Labels.empty())) == {"nothing_found": ()}


def test_a_name_that_is_no_word_is_none():
    labels = boxes("juice", "juice")
    labels.attributes["product"] = np.array([nan, "a"], dtype=object)
    assert found(rule("unnamed").check(item(), labels)) == {"unnamed": (0,)}


def test_tiny_and_overlapping_boxes_are_measured_where_the_model_says_nothing():
    labels = boxes("juice", "juice", "juice", "gap", box=[[0, 0, 23, 90], [0, 0, 24, 90], [0, 40, 24, 130], [0, 0, 9, 9]])
    assert found(rule("small_or_cut").check(item(), labels)) == {"tiny": (0,)}
    assert found(rule("overlap").check(item(), labels)) == {"overlap": (0, 1)}
    half = boxes("juice", "juice", box=[[0, 0, 30, 30], [0, 10, 30, 40]])  # an IoU of 0.5
    assert rule("overlap").check(item(), half) == []


def test_a_blurred_photo_is_to_be_taken_again():
    for sharpness, flags in ((99.0, {"blurred_photo": ()}), (100.0, {}), (None, {})):
        labels = boxes("juice", context={} if sharpness is None else {"sharpness": sharpness})
        assert found(rule("blurred_photo").check(item(), labels)) == flags


def views(*names, group=GOOD):
    return [
        Record(Item(f"v-{n}", f"{n}.jpg", group=group, index=n), boxes("juice", kind=Kind.TAG, product=[name]))
        for n, name in enumerate(names)
    ]


def test_views_of_one_product_with_other_names_are_for_a_person():
    flags = dict(rule("duplicate_image").check_group(views("a", "b", "a", None)))
    assert list(flags) == ["v-1"]
    assert (flags["v-1"].reason, flags["v-1"].severity, flags["v-1"].rows) == ("views_disagree", Severity.HUMAN, (0,))
    assert [key for key, _ in rule("duplicate_image").check_group(views("a", "b"))] == ["v-0", "v-1"]  # no majority
    assert list(rule("duplicate_image").check_group(views("a", "a", None))) == []
    assert list(rule("duplicate_image").check_group(views("a", "b", group="shop/north"))) == []  # a folder of many products


def accepted(labels, flags=(), **changes):
    return rule("auto_accept", **{"confidence": 0.9, "audit": 0.0, **changes}).route(item(), labels, flags)


def test_only_what_barcode_and_picture_agree_on_is_accepted_unseen():
    sure = {"barcode": [0.99], "exemplar": [0.6]}
    good = boxes("juice", kind=Kind.TAG, evidence=sure, product=["a"], score=[0.9])
    assert accepted(good) == Verdict.ACCEPT
    assert accepted(good, [Flag("x", "x", Severity.NOTE)]) == Verdict.ACCEPT
    assert accepted(good, confidence=None) is None
    assert accepted(good, [Flag("x", "x", Severity.REVIEW)]) is None
    assert accepted(boxes("juice", evidence=sure, product=["a"], score=[0.89])) is None
    assert accepted(boxes("juice", evidence=sure, product=[None], score=[1.0])) is None
    assert accepted(boxes("juice", evidence={"barcode": [0.99], "exemplar": [0.59]}, product=["a"])) is None
    assert accepted(boxes("juice", evidence={"barcode": [nan], "exemplar": [0.9]}, product=["a"])) is None
    assert accepted(boxes("gap", score=[1.0])) is None
    assert accepted(Labels.empty()) is None
    assert accepted(good, audit=1.0) is None
    with pytest.raises(ConfigError, match="audit is 3"):
        rule("auto_accept", audit=3)


def test_about_the_audited_share_is_drawn():
    good = boxes("juice", evidence={"barcode": [0.99], "exemplar": [0.9]}, product=["a"])
    one = rule("auto_accept", confidence=0.9, audit=0.2)
    drawn = [one.route(Item(f"x{n}", "x.jpg"), good, []) is None for n in range(2000)]
    assert 0.15 < np.mean(drawn) < 0.25


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000), st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_rules_take_all_that_the_schema_allows_in_any_order(seed, size):
    labels = probes.labels(SCHEMA, size, seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    for name in RULES:
        one = rule(name)
        if name == "auto_accept":
            one.route(item(), labels, [])
            continue
        flags = {flag.reason: set(flag.rows) for flag in one.check(item(size=list(size)), labels)}
        again = {flag.reason: {int(order[row]) for row in flag.rows} for flag in one.check(item(size=list(size)), labels[order])}
        assert flags == again
        assert all(0 <= row < len(labels) for rows in flags.values() for row in rows)
