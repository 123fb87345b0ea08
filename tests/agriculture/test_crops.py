"""The tables of crops and pests: codes are codes, breaks go by group, and what the table does not know is let pass."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hyla.schema import Schema
from hyla_agriculture import crops, sample

PLANTS = set(crops.BREAKS) | set(crops.GROUPS) | set(crops.SPECIES) | set(crops.SPECIES.values()) | set(crops.WORDS.values())
PLANTS |= set(crops.PERENNIAL) | set(crops.TOO_LATE) | {one for pair in crops.DOUBLE for one in pair}
PLANTS |= {host for hosts in crops.HOSTS.values() for host in hosts}
PESTS = set(crops.HOSTS) | set(crops.PRIORITY_PESTS)


@pytest.fixture(scope="module")
def schema():
    return Schema.from_config(
        yaml.safe_load((sample.Path(sample.__file__).parent / "conf/preset/agriculture.yaml").read_text())["schema"]
    )


def test_plants_have_five_letters_and_pests_six():
    assert [code for code in PLANTS if not (len(code) == 5 and code.isalpha() and code.isupper())] == []
    assert [code for code in PESTS if not (len(code) == 6 and code.isalpha() and code.isupper())] == []


def test_the_list_of_the_union_has_its_twenty_pests():
    names = set(crops.PRIORITY_PESTS.values())
    citrus = {name for name in names if "Liberibacter" in name}
    assert len(names - citrus) + 1 == 20
    assert len(citrus) == 3  # huanglongbing counts once
    assert crops.PRIORITY_PESTS["DACUZO"] == "Bactrocera zonata"


def test_every_crop_of_the_schema_is_known_by_its_name(schema):
    for one in schema.classes:
        if one.parent == "crop" and (code := one.codes.get("eppo")):
            assert crops.eppo(one.name) == code
            assert crops.species(code) == code


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("TRZAW", "TRZAW"),
        ("Winter Wheat", "TRZAW"),
        ("sugar_beet", "BEAVA"),
        ("WHEAT", "TRZAX"),  # five capitals, and no code
        ("corn", "ZEAMX"),
        (" ZEAMX ", "ZEAMX"),
        ("Grasland, blijvend", ""),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
        (265, ""),
    ],
)
def test_a_word_or_a_code_becomes_a_code(word, code):
    assert crops.eppo(word) == code


@pytest.mark.parametrize(
    ("crop", "earlier", "years"),
    [
        ("BRSNW", "BRSNS", 3),  # the same species
        ("BRSNN", "BRSOL", 3),  # the same group
        ("BRSOL", "SINAL", 3),
        ("SOLTU", "LYPES", 3),
        ("LYPES", "LYPES", 0),
        ("BEAVA", "BEAVA", 4),
        ("TRZAX", "TRZAX", 0),  # wheat after wheat is usual
        ("TRZAX", "BRSNN", 0),
        ("", "", 0),
        ("", "BEAVA", 0),
    ],
)
def test_a_crop_needs_a_break_from_its_own_group(crop, earlier, years):
    assert crops.break_needed(crop, earlier) == years
    assert crops.break_needed(earlier, crop) == years


def test_a_crop_that_is_sown_too_early_for_the_one_before_is_unlikely():
    assert "BRSNW" in crops.unlikely("BRSNW", "BEAVA")
    assert crops.unlikely("BRSNS", "BEAVA") == ""
    assert crops.unlikely("TRZAW", "BEAVA") == ""
    assert "years" in crops.unlikely("TRZAX", "VITVI")
    assert crops.unlikely("VITVI", "VITVI") == crops.unlikely("VITVI", "") == ""


def test_pests_of_few_hosts_live_on_those_only():
    assert crops.fits("LPTNDE", "SOLTU")
    assert not crops.fits("LPTNDE", "ZEAMX")
    assert crops.fits("SEPTTR", "TRZAW")  # a form of wheat
    assert crops.fits("POPIJA", "ZEAMX")  # polyphagous, so not in the table
    assert crops.fits("LPTNDE", "")
    assert not crops.fits("ABCDEF", "SOLTU", {"ABCDEF": ["ZEAMX"]})


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_words_are_taken(a, b):
    one, two = crops.eppo(a), crops.eppo(b)
    assert crops.break_needed(one, two) >= 0
    assert isinstance(crops.unlikely(one, two), str)
    assert isinstance(crops.fits(one, two), bool)
