"""Prices in the words of price labels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_retail.prices import price_of


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("1,99", 1.99, ""),
        ("1.99", 1.99, ""),
        ("€1.99", 1.99, "EUR"),
        ("1,99 €", 1.99, "EUR"),
        ("EUR 1,99", 1.99, "EUR"),
        ("1€99", 1.99, "EUR"),
        ("1 99", 1.99, ""),
        ("€ 1 99", 1.99, "EUR"),
        ("199 ct", 1.99, "EUR"),
        ("99p", 0.99, "GBP"),
        ("£2", 2.0, "GBP"),
        ("CHF 2.50", 2.5, "CHF"),
        ("12,99 zł", 12.99, "PLN"),
        ("12:90 kr", 12.9, ""),
        ("12:-", 12.0, ""),
        ("12,-", 12.0, ""),
        ("1.299,00 €", 1299.0, "EUR"),
        ("1,299.00", 1299.0, ""),
        ("1 299 Ft", 1299.0, "HUF"),
        ("1.299 €", 1299.0, "EUR"),
        ("Chips 3\n299 Ft", 299.0, "HUF"),
        ("¥198", 198.0, "JPY"),
        ("2 for 3.00", 1.5, ""),
        ("3 for £5", 1.67, "GBP"),
        ("2 för 30 kr 19,90 kr", 19.9, ""),
    ],
)
def test_a_price_is_read_however_it_is_printed(text: str, amount: float, currency: str) -> None:
    assert price_of(text) == (amount, currency)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("Bio Milch 1 l 1,19 € 1 l = 1,29 €", 1.19),
        ("Apfelsaft 0,75 l 1,49 1 l=1,99", 1.49),
        ("Grundpreis 3,98 €/kg 1,99 €", 1.99),
        ("1.65 €/L 2.48 €", 2.48),
        ("per 100 g 0,79 1.58 €", 1.58),
        ("Coke Zero 330ml £1.20 36.4p per 100ml", 1.2),
        ("Jmf-pris 25,90 kr/kg 12,95 kr", 12.95),
        ("1 99 2,65 €/kg", 1.99),
        ("6 x 330 ml 4,99", 4.99),
        ("12.05.2026 3,49", 3.49),
        ("gültig 01.06.-14.06. 0,99", 0.99),
        ("2026-05-12 7.25", 7.25),
        ("Art. 12.345 4,99", 4.99),
        ("4 006381 333931 1,29", 1.29),
        ("4006381333931 2.49", 2.49),
        ("-25 % 1,49 statt 1,99", 1.49),
        ("Was £3.00 Now £2.00", 2.0),
        ("zzgl. 0,25 Pfand 1,29", 1.29),
        ("0.25 € Pfand 1.29 €", 1.29),
        ("Pfand 0,15 € 0,89 €", 0.89),
        ("open 08:00-20:00 5,49", 5.49),
    ],
)
def test_what_is_no_price_of_the_product_is_passed_over(text: str, amount: float) -> None:
    assert price_of(text)[0] == amount


@pytest.mark.parametrize("text", ["", "2,65 €/kg", "330 ml", "25 %", "12.05.2026", "4006381333931", "1,99 2,99", "199", "milk"])
def test_where_the_text_does_not_say_which_it_is_there_is_none(text: str) -> None:
    amount, currency = price_of(text)
    assert math.isnan(amount)
    assert currency == ""


FORMS = {
    "{0},{1:02}": "",
    "{0}.{1:02}": "",
    "{0},{1:02} €": "EUR",
    "€{0}.{1:02}": "EUR",
    "£{0}.{1:02}": "GBP",
    "{0},{1:02} EUR": "EUR",
    "{0} {1:02} €": "EUR",
    "{0}€{1:02}": "EUR",
    "CHF {0}.{1:02}": "CHF",
    "{0},{1:02} kr": "",
}


@settings(deadline=None)
@given(
    st.integers(1, 999),
    st.integers(0, 99),
    st.sampled_from(sorted(FORMS)),
    st.sampled_from(["", "Brisa Orange 330 ml ", "Butter 250 g ", "6 x 0,33 l Cola ", "Art.-Nr. 40011 "]),
    st.sampled_from(["", " 1 kg = 7,32", " (100 g = 0,73 €)", " 2,70 €/l", " 31.12.2026"]),
)
def test_a_price_comes_back_from_every_form_among_other_numbers(
    whole: int, cents: int, form: str, before: str, after: str
) -> None:
    text = before + form.format(whole, cents) + after
    amount, currency = price_of(text)
    assert amount == pytest.approx(whole + cents / 100)
    assert currency == FORMS[form]


@settings(deadline=None)
@given(st.text(alphabet="0123456789 .,:-/€£$%()=klgx\n", max_size=50))
def test_any_text_gives_one_amount_above_nought_or_none(text: str) -> None:
    amount, currency = price_of(text)
    assert amount > 0 or (math.isnan(amount) and currency == "")
