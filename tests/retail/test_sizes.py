"""Pack sizes in the words of packs and labels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_retail.sizes import LARGEST, Size, parse, same, without, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("330 ml", ["330 ml"]),
        ("0,5 l", ["500 ml"]),
        ("½ l", ["500 ml"]),
        ("1.5L", ["1.5 l"]),
        ("33 cl", ["330 ml"]),
        ("12% FETT - 3 DL", ["300 ml"]),
        ("500g", ["500 g"]),
        ("1 kg", ["1 kg"]),
        ("1.000 g", ["1 kg"]),
        ("1.000 kg", ["1 kg"]),
        ("0.750 kg", ["750 g"]),
        ("250 g e", ["250 g"]),
        ("250g℮", ["250 g"]),
        ("250ge", ["250 g"]),
        ("6x330ml", ["6 x 330 ml"]),
        ("6 × 330 ml", ["6 x 330 ml"]),
        ("330 ml x 6", ["6 x 330 ml"]),
        ("330mlx6", ["6 x 330 ml"]),
        ("6 Flaschen à 0,33 l", ["6 x 330 ml"]),
        ("12 oz", ["340.2 g"]),
        ("1 LİTRE", ["1 l"]),
        ("5 lıtre", ["5 l"]),
        ("1 KİLO", ["1 kg"]),
        ("10 ſt", ["10 pieces"]),
        ("NET WT 12 OZ (340g)", ["340.2 g"]),
        ("12 fl oz", ["354.9 ml"]),
        ("12 FL. OZ. (355 mL)", ["354.9 ml"]),
        ("2 lb", ["907.2 g"]),
        ("10 Stück", ["10 pieces"]),
        ("8 rolls", ["8 pieces"]),
        ("1 liter, 500 g", ["1 l", "500 g"]),
    ],
)
def test_what_packs_say_is_read(text: str, expected: list[str]) -> None:
    assert [words(size) for size in parse(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "per 100 g 0,79",
        "pro 100 ml",
        "1 kg = 3,98 €",
        "(1 l=1.20)",
        "2,65 €/kg",
        "500 mg",
        "20g protein",
        "199 ct",
        "1st",
        "12.90 st",
        "1.99 €",
        "vitamin B12 good",
        "100%",
        "0 g",
        "99999999 g",
        "2 x 6 x 330 ml",
        "330 ml x 6 x 2",
        "2 x 330 ml x 6",
        "",
        "kg",
    ],
)
def test_what_is_no_size_is_left_out(text: str) -> None:
    assert parse(text) == ()


def test_a_capital_i_after_decimals_is_a_litre_that_was_misread() -> None:
    assert words(parse("Apfelsaft 0,75 I")[0]) == "750 ml"
    assert parse("Henry 8 I") == ()


def test_sizes_are_taken_out_of_a_text_and_what_else_it_says_stays_in_its_place() -> None:
    text = "Cola 6 x 330 ml 4,99"
    assert without(text) == "Cola            4,99"
    assert len(without("per 100 g 0,79")) == len("per 100 g 0,79")
    assert "100" not in without("per 100 g 0,79")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("330 ml", "0,33 l", True),
        ("12 fl oz", "355 ml", True),
        ("6 x 330 ml", "1980 ml", True),
        ("330 ml", "500 ml", False),
        ("330 ml", "330 g", False),
        ("6 x 330 ml", "4 x 495 ml", False),
        ("500 g", "506 g", False),
        ("500 g", "505 g", True),
    ],
)
def test_sizes_of_one_product_differ_by_a_hundredth_at_most(one: str, other: str, expected: bool) -> None:
    assert same(parse(one)[0], parse(other)[0]) is expected
    assert same(parse(other)[0], parse(one)[0]) is expected


@settings(deadline=None)
@given(
    st.one_of(
        st.builds(Size, st.floats(0.01, LARGEST), st.sampled_from(["g", "ml"]), st.integers(1, 500)),
        st.builds(Size, st.integers(2, 9999).map(float), st.just("pieces"), st.integers(1, 500)),
    )
)
def test_what_is_written_of_a_size_reads_as_that_size(size: Size) -> None:
    (read,) = parse(words(size))
    assert read.unit == size.unit
    assert read.count == size.count
    assert same(read, size) or abs(read.quantity - size.quantity) <= 0.005 + 1e-9
    assert words(read) == words(size)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(["1", "½", " ", "x", ",", "l", "kg", "İ", "ı", "ſ", "LİTRE", "KİLO", "ſt"]), st.text()))
)
def test_no_text_is_too_odd(parts: list[str]) -> None:
    text = "".join(parts)
    assert all(one.total > 0 for one in parse(text))
    assert len(without(text)) == len(text)


@settings(deadline=None)
@given(st.text(alphabet="0123456789 x×.,/gklmoz€%½()=-eI\n", max_size=60))
def test_any_text_gives_sizes_that_can_be(text: str) -> None:
    assert len(without(text)) == len(text)
    for size in parse(text):
        assert 0 < size.quantity <= LARGEST
        assert size.count >= 1
        assert parse(words(size))
