"""GTINs: one spelling, right check digits, and numbers that mean nothing outside a shop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_retail.gtin import (
    LENGTHS,
    check_digit,
    check_digit_ok,
    expand_upc_e,
    normalise,
    restricted_prefix,
    variable_measure,
    verifier_digit,
    without_measure,
)

DIGITS = st.sampled_from(LENGTHS).flatmap(lambda n: st.text("0123456789", min_size=n, max_size=n))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5449000000996", "05449000000996"),
        ("5 449000 000996", "05449000000996"),
        ("5-449000-000996", "05449000000996"),
        ("05449000000996", "05449000000996"),
        ("036000291452", "00036000291452"),  # UPC-A
        ("96385074", "00000096385074"),  # GTIN-8
        ("04252614", "00042100005264"),  # UPC-E
        ("(01)05449000000996(17)260101", "05449000000996"),
        ("https://id.gs1.org/01/05449000000996/10/ABC", "05449000000996"),
        ("https://shop.example/gtin/5449000000996?x=1", "05449000000996"),
        ("5449000000997", ""),
        ("0000000000000", ""),
        ("00000000", ""),
        ("123", ""),
        ("", ""),
        ("Coca-Cola", ""),
        ("٥٤٤٩٠٠٠٠٠٠٩٩٦", ""),  # digits, but not those of a barcode
        ("https://shop.example/01/5449000000997", ""),
    ],
)
def test_every_spelling_becomes_14_digits(text: str, number: str) -> None:
    assert normalise(text) == number


@given(DIGITS)
@settings(deadline=None)
def test_check_digits_are_weighted_three_and_one_from_the_right(digits: str) -> None:
    total = sum(int(digit) * (3 if at % 2 else 1) for at, digit in enumerate(reversed(digits)))
    assert check_digit_ok(digits) == (total % 10 == 0)
    assert check_digit_ok(digits[:-1] + check_digit(digits[:-1]))


@given(DIGITS, st.integers(0, 13), st.integers(1, 9))
@settings(deadline=None)
def test_one_wrong_digit_is_always_seen(digits: str, at: int, by: int) -> None:
    right = digits[:-1] + check_digit(digits[:-1])
    at %= len(right)
    wrong = right[:at] + str((int(right[at]) + by) % 10) + right[at + 1 :]
    assert not check_digit_ok(wrong)


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_text_gives_14_right_digits_or_nothing(text: str) -> None:
    found = normalise(text)
    assert found == "" or (len(found) == 14 and check_digit_ok(found))
    assert normalise(found) == found


@pytest.mark.parametrize(
    ("short", "long"),
    # GS1 General Specifications, UPC-E: one of each way of leaving zeros out.
    [("04252614", "042100005264"), ("01234531", "012300000451"), ("01234543", "012340000053"), ("01234558", "012345000058")],
)
def test_upc_e_is_expanded(short: str, long: str) -> None:
    long = long[:-1] + check_digit(long[:-1])
    assert expand_upc_e(short[:-1] + long[-1]) == long


@pytest.mark.parametrize("text", ["0425261", "94252614", "04252615", "0425261x", "00000000"])
def test_what_is_no_upc_e_is_not_expanded(text: str) -> None:
    assert expand_upc_e(text) == ""


@pytest.mark.parametrize(
    ("thirteen", "restricted"),
    [
        ("2012345678900", True),
        ("2912345678900", True),
        ("0212345678900", True),
        ("0412345678900", True),  # within a company
        ("0000020123450", True),  # GTIN-8 with prefix 2
        ("0000001234560", True),
        ("0000096385074", False),  # GTIN-8 of a member organisation
        ("3012345678900", False),
        ("0312345678900", False),
        ("1912345678900", False),
        ("5449000000996", False),
        ("9780201379624", False),
    ],
)
def test_restricted_circulation_is_told(thirteen: str, restricted: bool) -> None:
    assert restricted_prefix(thirteen.zfill(14)) is restricted


def test_a_case_of_a_product_is_not_restricted() -> None:
    assert not restricted_prefix("12012345678907")
    assert not restricted_prefix("")


def test_a_price_inside_a_number_is_read() -> None:
    cheese = normalise("2135040039753")  # the example of GS1 Denmark: 39.75 kroner, six digits
    measure = variable_measure(cheese, digits=6)
    assert measure is not None
    assert (measure.prefix, measure.item, measure.value, measure.verified) == ("21", "3504", 3975, None)
    assert variable_measure(normalise("5449000000996")) is None


@pytest.mark.parametrize(("value", "digit"), [("2875", "9"), ("14685", "6"), ("123", "")])
def test_verifier_digits_are_those_of_the_specification(value: str, digit: str) -> None:
    assert verifier_digit(value) == digit


@pytest.mark.parametrize(("verifier", "right"), [("9", True), ("8", False)])
def test_a_verifier_digit_is_tested(verifier: str, right: bool) -> None:
    bare = f"2012345{verifier}2875"
    measure = variable_measure(normalise(bare + check_digit(bare)), digits=4, verifier=True)
    assert measure is not None
    assert (measure.item, measure.value, measure.verified) == ("12345", 2875, right)


@given(st.integers(0, 99999), st.integers(0, 99999))
@settings(deadline=None)
def test_one_product_at_any_weight_is_one_number(item: int, weight: int) -> None:
    bare = f"29{item:05d}{weight:05d}"
    base = f"29{item:05d}00000"
    assert without_measure(normalise(bare + check_digit(bare))) == normalise(base + check_digit(base))


def test_other_numbers_have_no_measure_to_take_away() -> None:
    assert without_measure("05449000000996") == ""
