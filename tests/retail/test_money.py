"""Amounts of money, as people and back offices of several countries write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_retail.money import Money, currency_in, currency_of, decimal_of, parse


@pytest.mark.parametrize(
    ("text", "money"),
    [
        ("1.99", Money(1.99)),
        ("1,99", Money(1.99)),
        ("12", Money(12.0)),
        (".99", Money(0.99)),
        ("1.299,00 EUR", Money(1299.0, "EUR")),
        ("1,299.00", Money(1299.0)),
        ("1'299.50", Money(1299.5)),
        ("1’299.50 CHF", Money(1299.5, "CHF")),
        ("1 299,50 kr", Money(1299.5)),
        ("1\u00a0299,50\u00a0€", Money(1299.5, "EUR")),
        ("12\u202f345\u202f678,90", Money(12345678.9)),
        ("1,00,000.50", Money(100000.5)),  # India
        ("€ 1,99", Money(1.99, "EUR")),
        ("1€99", Money(1.99, "EUR")),
        ("£2.50", Money(2.5, "GBP")),
        ("99p", Money(0.99, "GBP")),
        ("$5", Money(5.0, "USD")),
        ("CA$ 5.49", Money(5.49, "CAD")),
        ("$ 1,299.00 USD", Money(1299.0, "USD")),
        ("zł 4,99", Money(4.99, "PLN")),
        ("4,99 Kč", Money(4.99, "CZK")),
        ("Rs. 45", Money(45.0, "INR")),
        ("12,-", Money(12.0)),
        ("12.–", Money(12.0)),
        ("29:-", Money(29.0)),
        ("2 for 3.00", Money(3.0, "", 2)),
        ("3 für 5 €", Money(5.0, "EUR", 3)),
        ("2/$5", Money(5.0, "USD", 2)),
        ("1,99 €/kg", Money(1.99, "EUR", 1, "kg")),
        ("0,89 € / 100 g", Money(0.89, "EUR", 1, "100 g")),
        ("4.99 per lb", Money(4.99, "", 1, "lb")),
        ("1,99*", Money(1.99)),
        ("0,123", Money(0.123)),
        ("1,234", Money(1234.0)),
        ("12.5", Money(12.5)),
    ],
)
def test_amounts_are_read(text: str, money: Money) -> None:
    found = parse(text)
    assert found.amount == pytest.approx(money.amount)
    assert found[1:] == money[1:]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "-1.99",
        "1.99 2.99",
        "1.2.3",
        "1.99-2.49",
        "on request",
        "1 99",
        "12:30",
        "1e5",
        "NaN",
        "inf",
        "1,2,3",
        "½",
        "٣",
        "9" * 400,
        f"{'9' * 400},99",
    ],
)
def test_what_is_no_single_amount_is_not_guessed(text: str) -> None:
    assert math.isnan(parse(text).amount)


def test_three_digits_after_a_sign_follow_the_column() -> None:
    assert decimal_of(["1.299", "12,50", "3,99"]) == ","
    assert decimal_of(["1,299", "12.50"]) == "."
    assert decimal_of(["1,299", "1.299"]) == ""
    assert parse("1.299", ",").amount == 1299
    assert parse("1.299", ".").amount == 1.299


@given(st.integers(0, 10**9), st.sampled_from([(".", ","), (",", "."), (" ", ","), ("'", "."), ("\u202f", ","), ("", ".")]))
@settings(deadline=None)
def test_what_is_written_is_read(cents: int, signs: tuple[str, str]) -> None:
    thousands, point = signs
    text = f"{cents // 100:,}".replace(",", thousands) + f"{point}{cents % 100:02d}"
    assert parse(text).amount == pytest.approx(cents / 100, abs=1e-9)


@given(st.text(max_size=30))
@settings(deadline=None)
def test_any_text_gives_an_amount_or_nothing(text: str) -> None:
    found = parse(text)
    assert math.isnan(found.amount) or (found.amount >= 0 and found.pieces >= 1)


@pytest.mark.parametrize(
    ("text", "code"),
    [("EUR", "EUR"), ("eur", "EUR"), ("€", "EUR"), ("Euro", "EUR"), ("kr", ""), ("XYZ", ""), ("", ""), ("SEK ", "SEK")],
)
def test_currencies_are_read(text: str, code: str) -> None:
    assert currency_of(text) == code


@pytest.mark.parametrize(
    ("header", "code"),
    [("Preis (EUR)", "EUR"), ("price_usd", "USD"), ("VK €", "EUR"), ("price", ""), ("Verkaufspreis", ""), ("precio", "")],
)
def test_the_name_of_a_column_may_say_the_currency(header: str, code: str) -> None:
    assert currency_in(header) == code
