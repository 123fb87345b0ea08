"""What a category of a catalogue means: the class that its path, names or codes say, and no guess where they say nothing."""

from __future__ import annotations

import csv
from importlib import resources

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.schema import Class, Schema
from hyla_retail.categories import ALIASES, RESTRICTED, Categories, words
from hyla_retail.taxonomy import read

SCHEMA = Schema.from_config(
    yaml.safe_load((resources.files("hyla_retail") / "conf" / "preset" / "retail.yaml").read_text(encoding="utf-8"))["schema"]
)
KNOWN = Categories(SCHEMA)
PRODUCTS = [SCHEMA.names[i] for i in SCHEMA.under("product") if SCHEMA.names[i] not in ("product", "unknown_product")]


def name_of(path, known=KNOWN):
    return known.schema.names[known.class_id([step for step in path.split(" > ") if step])]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", "product"),
        ("Screws", "product"),
        ("Food > Dairy > Milk", "dairy"),
        ("Fruit > Apple > Golden-Delicious", "fruit"),
        ("Packages > Sour-Cream > Arla-Sour-Cream", "dairy"),
        ("Food, Beverages & Tobacco > Beverages > Juice", "juice"),
        ("Food, Beverages & Tobacco > Tobacco Products > Cigars", "tobacco"),
        ("Health & Beauty > Health Care > Medicine & Drugs", "medicine"),
        ("Baby & Toddler > Nursing & Feeding > Baby & Toddler Food", "baby_food"),
        ("Home & Garden > Household Supplies > Household Cleaning Supplies", "cleaning"),
        ("Meat, Seafood & Eggs", "food"),  # what its parts share
        ("Wine and Spirits", "alcohol"),
        ("Coffee / Tea", "beverage"),
        ("Wine & Toys", "product"),  # its parts share nothing
        ("Wine & Screws", "product"),  # nothing is guessed from a part
        # the branch is what was met first
        ("Pet > Cat > Food", "pet"),
        ("Dog > Food", "pet"),
        ("Toys > Food > Fruit", "toys"),
        ("Confectionery > Chocolate > Milk", "confectionery"),
        ("Food > Toys", "food"),
        # but to miss what is restricted costs more
        ("Food > Baby > Food", "baby_food"),
        ("Kitchen > Knives", "weapon"),
        ("Confectionery > Whisky", "spirits"),
        # other languages, any case, plurals and singulars
        ("GETRÄNKE > biere", "beer"),
        ("Obst & Gemüse > Obst", "fruit"),
        ("Épicerie > Huile", "oil"),
        ("Lácteos", "dairy"),
        ("Zuivel > Kaas", "dairy"),
        ("Drycker > Läsk", "soft_drink"),
        ("wines", "wine"),
        ("Frozen", "product"),
        ("Fresh Fruits", "fruit"),
        ("Canned & Jarred Fruits", "fruit"),
        ("Milk/Milk Substitutes", "dairy"),
        ("Milk (Perishable)", "dairy"),
        ("Cheese (Frozen)", "dairy"),
        ("Fruits - Unprepared/Unprocessed (Fresh)", "fruit"),
        # a word of two languages says what the branch says, and alone nothing
        ("Öl", "product"),
        ("Alkohol > Öl", "beer"),
        ("Unknown", "product"),
        # codes
        ("50202200", "alcohol"),
        ("50131700", "dairy"),  # a class of GPC, of which the schema has the family
        ("10100000", "pet"),
        ("10000025", "product"),  # a brick: its digits say nothing of its family
        ("2887", "juice"),
        ("99999999", "product"),
    ],
)
def test_a_path_means_the_class_that_it_says(path, wanted):
    assert name_of(path) == wanted


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_class_answers_to_its_name_and_its_codes(name):
    one = SCHEMA.classes[SCHEMA.ids[name]]
    assert name_of(name) == name_of(name.replace("_", " ").title()) == name
    for code in one.codes.values():
        assert name_of(code) == name


def test_no_alias_means_two_classes_but_the_one_that_does():
    found = {}
    for name, given_ in ALIASES.items():
        assert name in SCHEMA.ids
        for word in given_.split("|"):
            found.setdefault(words(word), set()).add(name)
    assert {word: names for word, names in found.items() if len(names) > 1} == {"ol": {"oil", "beer"}}


STEPS = st.lists(st.one_of(st.sampled_from([*PRODUCTS, "Screws", "Other", "&", "12"]), st.text(max_size=8)), max_size=5)


@settings(deadline=None)
@given(STEPS)
def test_any_path_has_a_class_of_a_product(path):
    assert KNOWN.class_id(path) in SCHEMA.under("product")


@settings(deadline=None)
@given(STEPS, st.sampled_from(RESTRICTED))
def test_a_restricted_class_is_never_lost(path, name):
    assert KNOWN.class_id([*path, name]) in SCHEMA.under(*RESTRICTED)


def test_segments_and_shared_levels():
    ids = SCHEMA.ids
    assert SCHEMA.names[KNOWN.segment(ids["juice"])] == "food"
    assert SCHEMA.names[KNOWN.segment(ids["toys"])] == "toys"
    assert SCHEMA.names[KNOWN.segment(ids["product"])] == "product"
    assert SCHEMA.names[KNOWN.segment(ids["gap"])] == "gap"
    assert KNOWN.depth(ids["juice"], ids["water"]) == 2
    assert KNOWN.depth(ids["beer"], ids["wine"]) == 3
    assert KNOWN.depth(ids["juice"], ids["juice"]) == 3
    assert KNOWN.depth(ids["juice"], ids["toys"]) == KNOWN.depth(ids["product"], ids["toys"]) == 0
    assert KNOWN.depth(ids["juice"], ids["gap"]) == 0


def test_with_a_taxonomy_a_code_or_the_last_name_is_a_whole_path(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("id,name,parent\nA,Getränke,\nB,Saft,A\nC,Bravo,B\nD,Bravo,A\n", encoding="utf-8")
    known = Categories(SCHEMA, read(path))
    assert name_of("C", known) == "juice"
    assert name_of("Saft", known) == "juice"
    assert name_of("D", known) == "beverage"
    assert name_of("Bravo", known) == "product"  # stands twice
    assert name_of("Bravo", Categories(SCHEMA)) == "product"


def test_a_schema_of_ones_own_answers_to_its_names_before_aliases():
    own = Categories(
        Schema("own", (Class("product"), Class("dairy", "product"), Class("drinks", "product"), Class("milk", "drinks")))
    )
    assert name_of("Milk", own) == "milk"
    assert name_of("Drinks > Milk", own) == "milk"
    assert name_of("Dairy > Milk", own) == "dairy"
    assert name_of("Wine", own) == "product"  # a class that the schema does not have


def test_the_folders_of_real_groceries_mean_their_classes(shared):
    with (shared / "data/retail/grocery_store/classes.csv").open(encoding="utf-8") as file:
        paths = [row["Iconic Image Path (str)"].split("/")[2:-1] for row in csv.DictReader(file)]
    assert len(paths) == 81
    found = {(path[0] if path[0] != "Packages" else path[1], name_of(" > ".join(path))) for path in paths}
    wanted = {
        "Fruit": "fruit",
        "Vegetables": "vegetable",
        "Juice": "juice",
        **dict.fromkeys(("Milk", "Oat-Milk", "Soy-Milk", "Sour-Cream", "Sour-Milk", "Yoghurt", "Oatghurt", "Soyghurt"), "dairy"),
    }
    assert found == set(wanted.items())
