"""Texts against the names of a catalogue."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from hyla_retail.catalogue import Catalogue, open_catalogue
from hyla_retail.names import Names, words_of

GOODS = [
    ("Brisa", "Cola", "330 ml"),
    ("Brisa", "Cola Zero", "330 ml"),
    ("Brisa", "Cola", "1.5 l"),
    ("Brisa", "Lemon", "330 ml"),
    ("Orchard Lane", "Apple juice", "1 l"),
    ("Orchard Lane", "Orange juice", "1 l"),
    ("Alm", "Whole milk", "1 l"),
    ("Tropicana", "Golden grapefruit", "1 l"),
    ("", "Müsli crunchy", "500 g"),
]


def catalogue(folder: Path, goods: Sequence[tuple[str, str, str]] = GOODS) -> Catalogue:
    rows = [f"{i},{brand},{name},{size}" for i, (brand, name, size) in enumerate(goods)]
    (folder / "catalogue.csv").write_text("\n".join(["sku,brand,name,size", *rows]) + "\n", encoding="utf-8")
    return open_catalogue("auto", str(folder))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Brisa Cola 330 ml 1 L = 2,70 0,89 EUR", 0),
        ("BRISA COLA ZERO 0,33 l", 1),
        ("Brisa Cola 1,5 L", 2),
        ("brisa lemon 33cl", 3),
        ("Orchard Lane Apple juice 1 L 2,29", 4),
        ("Tropicana CRAPEFRUIT GOLDEN", 7),  # misread
        ("Trop1cana golden grapefruit", 7),
        ("ORCHARDLANE orange juice", 5),  # run together
        ("MUSLI CRUNCHY 500g", 8),
        ("Whole milk from Alm, pasteurised, homogenised, 3.5 % fat, keep cool, contains milk", 6),
    ],
)
def test_the_name_that_is_in_a_text_comes_first(tmp_path: Path, text: str, wanted: int) -> None:
    names = Names(catalogue(tmp_path))
    assert names.find(text)[0][0] == wanted
    assert names.likely(text)[0][0] == wanted


def test_of_two_names_that_are_there_the_longer_is_likelier(tmp_path: Path) -> None:
    names = Names(catalogue(tmp_path))
    zero, plain = names.likely("Brisa Cola Zero 330 ml")[:2]
    assert (zero[0], plain[0]) == (1, 0)
    assert zero[1] > 2 * plain[1]
    row, similarity = names.find("Brisa Cola 330 ml")[0]
    assert row == 0
    assert similarity > 0.9


def test_probabilities_sum_to_one_at_most_and_a_text_of_other_things_has_none(tmp_path: Path) -> None:
    names = Names(catalogue(tmp_path))
    assert sum(p for _, p in names.likely("juice milk cola", limit=9)) <= 1
    assert names.find("shampoo 250 ml") == []
    assert names.likely("") == []
    # A word that many names share says little.
    assert names.find("Brisa")[0][1] < 0.5


def test_the_similarity_of_one_name(tmp_path: Path) -> None:
    names = Names(catalogue(tmp_path))
    assert names.similarity("Brisa Cola Zero 330 ml 0,89", 1) == 1.0
    assert 0 < names.similarity("Brisa Lemon 330 ml", 1) < 0.8
    assert names.similarity("", 1) == 0.0


def test_the_brand_in_a_text(tmp_path: Path) -> None:
    names = Names(catalogue(tmp_path))
    assert names.brand("the ORCHARD  LANE company") == "Orchard Lane"
    assert names.brand("orchards in a lane") == ""


def test_without_a_catalogue_there_are_no_names(tmp_path: Path) -> None:
    names = Names(open_catalogue(None, str(tmp_path)))
    assert len(names) == 0
    assert names.find("Cola") == names.likely("Cola") == []
    assert names.brand("Cola") == ""


def test_words_are_plain_and_a_size_is_one() -> None:
    assert words_of("Crème FRAÎCHE, 6 x 0,33 l") == ["creme", "fraiche", "6x330ml"]


def test_among_many_names_the_right_one_is_found_despite_a_wrong_letter(tmp_path: Path) -> None:
    chance = random.Random(0)
    word = ["".join(chance.choices("abcdefghiklmnoprstuvz", k=chance.randint(4, 9))) for _ in range(3000)]
    kinds = ["milk", "juice", "yoghurt", "beer", "tea"]
    sizes = ["330 ml", "500 g", "1 l"]
    goods = [
        (chance.choice(word[:300]), f"{chance.choice(word)} {chance.choice(kinds)}", chance.choice(sizes)) for _ in range(5000)
    ]
    names = Names(catalogue(tmp_path, goods))
    right = 0
    for row in chance.sample(range(len(goods)), 50):
        brand, name, size = goods[row]
        at = chance.randrange(len(brand))
        text = f"{brand[:at]}x{brand[at + 1 :]} {name} {size} 1,99 €"
        right += goods[names.find(text, 1)[0][0]] == goods[row]
    assert right >= 48
