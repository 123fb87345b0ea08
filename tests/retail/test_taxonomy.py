"""Taxonomies are read as they are published, pinned, proved to be trees, and become classes of a preset."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import cli
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla_retail import taxonomy_preset
from hyla_retail.categories import Categories
from hyla_retail.products import Products
from hyla_retail.taxonomy import read
from hyla_retail.whole import Whole

GOOGLE = """# Google_Product_Taxonomy_Version: 2021-09-21
412 - Food, Beverages & Tobacco
413 - Food, Beverages & Tobacco > Beverages
499676 - Food, Beverages & Tobacco > Beverages > Alcoholic Beverages
421 - Food, Beverages & Tobacco > Beverages > Alcoholic Beverages > Wine
418 - Food, Beverages & Tobacco > Beverages > Milk
422 - Food, Beverages & Tobacco > Food Items
632 - Hardware
2878 - Hardware > Hardware Accessories
"""
GPC = {  # the form of EN.json as GS1 publishes it; levels 5 and 6 are attributes and their values
    "LanguageCode": "EN",
    "DateUtc": "2026-05-20",
    "Schema": [
        {
            "Level": 1,
            "Code": 50000000,
            "Title": "Food/Beverage",
            "Definition": "",
            "DefinitionExcludes": None,
            "Active": True,
            "Childs": [
                {
                    "Level": 2,
                    "Code": 50130000,
                    "Title": "Milk/Butter/Cream/Yogurts/Cheese/Eggs/Substitutes",
                    "Active": True,
                    "Childs": [
                        {
                            "Level": 3,
                            "Code": 50131700,
                            "Title": "Milk/Milk Substitutes",
                            "Active": True,
                            "Childs": [
                                {
                                    "Level": 4,
                                    "Code": 10000025,
                                    "Title": "Milk (Perishable)",
                                    "Active": True,
                                    "Childs": [
                                        {"Level": 5, "Code": 20000002, "Title": "Type of milk", "Active": True, "Childs": []}
                                    ],
                                },
                                {"Level": 4, "Code": 10000026, "Title": "Gone", "Active": False, "Childs": []},
                            ],
                        }
                    ],
                }
            ],
        },
        {"Level": 1, "Code": 10000000, "Title": "Pet Care/Food", "Active": True, "Childs": []},
    ],
}
GPC_XML = """<?xml version="1.0" encoding="utf-8"?>
<schema languageCode="EN" dateUtc="2026-05-20">
  <segment code="50000000" text="Food/Beverage" active="true">
    <family code="50130000" text="Milk/Butter/Cream/Yogurts/Cheese/Eggs/Substitutes" active="true">
      <class code="50131700" text="Milk/Milk Substitutes" active="true">
        <brick code="10000025" text="Milk (Perishable)" active="true">
          <attType code="20000002" text="Type of milk"><attValue code="30000001" text="Cow"/></attType>
        </brick>
        <brick code="10000026" text="Gone" active="false"/>
      </class>
    </family>
  </segment>
  <segment code="10000000" text="Pet Care/Food" active="true"/>
</schema>
"""
OWN = "id;name;parent\n1;Dairy;\n2;Milk;1\n3;Plant drinks;Dairy\n4;DIY;\n5;Screws;4\n6;Other;4\n7;Other;1\n8;no;4\n"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def google(tmp_path):
    return read(written(tmp_path / "taxonomy-with-ids.en-US.txt", GOOGLE))


def test_googles_file_has_its_version_codes_and_paths(google):
    assert (google.scheme, google.version, len(google)) == ("google", "2021-09-21", 8)
    wine = google.find("421")
    assert google.names(wine) == ("Food, Beverages & Tobacco", "Beverages", "Alcoholic Beverages", "Wine")
    assert google.depth[wine] == 3
    assert google.find("Food, Beverages & Tobacco > Beverages > Milk") == google.find("418") == google.find("milk")
    assert google.name[google.lca(wine, google.find("418"))] == "Beverages"
    assert google.lca(wine, wine) == wine
    assert google.lca(wine, google.find("632")) == -1
    assert google.find("cheese") == -1


def test_gpc_is_the_same_from_json_and_xml(tmp_path):
    one = read(written(tmp_path / "EN.json", json.dumps(GPC)))
    other = read(written(tmp_path / "EN.xml", GPC_XML))
    assert (one.scheme, one.version) == (other.scheme, other.version) == ("gpc", "2026-05-20")
    assert one.code == other.code == ("50000000", "10000000", "50130000", "50131700", "10000025")
    assert one.name == other.name
    assert np.array_equal(one.parent, other.parent)
    brick = one.find("10000025")
    assert [one.code[i] for i in one.path(brick)] == ["50000000", "50130000", "50131700", "10000025"]
    assert one.find("Food/Beverage") == 0  # a name may have the sign of a path in it
    assert one.digest != other.digest


def test_a_tree_of_ones_own_is_read_from_a_table_paths_and_folders(tmp_path):
    table = read(written(tmp_path / "own.csv", OWN))
    assert table.names(table.find("3")) == ("Dairy", "Plant drinks")  # its parent is given by name
    assert table.find("Other") == -1  # stands twice
    assert table.code[table.find("DIY > Other")] == "6"
    paths = read(written(tmp_path / "own.txt", "Dairy > Milk\nDairy > Cheese\nDIY\nDIY > Screws\n"))
    assert sorted(paths.name) == ["Cheese", "DIY", "Dairy", "Milk", "Screws"]
    assert paths.scheme == "own"
    coded = read(written(tmp_path / "paths.csv", "code,category path\nA1,Dairy/Milk\nA0,Dairy\n"))
    assert {coded.code[i]: coded.names(i) for i in range(2)} == {"A0": ("Dairy",), "A1": ("Dairy", "Milk")}
    for one in ("Dairy/Milk", "Dairy/Cheese", "DIY/Screws", ".git/x"):
        (tmp_path / "tree" / one).mkdir(parents=True)
    folders = read(tmp_path / "tree")
    assert sorted(folders.name) == ["Cheese", "DIY", "Dairy", "Milk", "Screws"]
    assert folders.names(folders.find("Cheese")) == ("Dairy", "Cheese")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,name,parent\n1,Dairy,\n2,Milk,9\n", "row 3 has the parent '9', which is not there"),
        ("a.csv", "id,name,parent\n1,Dairy,2\n2,Milk,1\n", "row 2 (Dairy) lies below itself"),
        ("a.csv", "id,name,parent\n1,Dairy,1\n", "row 2 (Dairy) lies below itself"),
        ("a.csv", "id,name,parent\n1,Dairy,\n1,Milk,1\n", "row 3 has the category '1' again, first in row 2"),
        ("a.csv", "id,name,parent\n1,Dairy,\n2,,1\n", "row 3 has no name"),
        ("a.csv", "id,path\n1,Dairy\n1,Milk\n", "row 3 has the code '1' again, first in row 2"),
        ("a.csv", "sku,price\n1,2\n", "it needs path; or name and parent"),
        ("a.csv", "", "needs path"),
        ("a.txt", "# Google_Product_Taxonomy_Version: 2021-09-21\n7 - Food > Milk\n", "row 2 has the parent 'Food'"),
        ("a.txt", "# Google_Product_Taxonomy_Version: 2021-09-21\n7 - Food\n8 - Food\n", "row 3 has the category 'Food' again"),
        ("a.txt", "\n", "has no categories"),
        ("a.json", "[1]", "no list Schema"),
        ("a.json", '{"Schema": [{"Code": 1}]}', "without Level, Code and Title"),
        ("a.json", '{"Schema": 5}', "no list Schema"),
        ("a.json", '{"Schema": [{"Code": 7, "Level": 1, "Title": "x", "Childs": 7}]}', "code 7 has no number as Level"),
        ("a.json", '{"Schema": [{"Code": 7, "Level": "x", "Title": "x"}]}', "code 7 has no number as Level"),
        ("a.json", '{"Schema": [{"Code": 7, "Level": Infinity, "Title": "x"}]}', "code 7 has no number as Level"),
        ("a.csv", f"id,name,parent\n1,{'x' * 200_000},\n", "is no table that can be read"),
        ("a.txt", f"Dairy > Milk\n{' > '.join('x' * 65)}\n", "row 2 has 65 levels, 64 at most"),
        ("a.csv", "id,name,parent\n0,x,\n" + "".join(f"{n},x,{n - 1}\n" for n in range(1, 70)), "row 66 (x) lies deeper than 64"),
        ("a.xml", '<?xml version="1.0" encoding="foo"?><schema/>', "no XML that can be read"),
        ("a.xml", "<schema>", "no XML that can be read"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY a "b">]><schema>&a;</schema>', "no XML that can be read"),
    ],
)
def test_what_is_no_tree_is_refused_with_its_rows(tmp_path, name, text, said):
    with pytest.raises(ConfigError) as error:
        read(written(tmp_path / name, text))
    assert said in str(error.value)


def test_many_broken_rows_are_counted(tmp_path):
    rows = "".join(f"{n},name {n},gone\n" for n in range(20))
    with pytest.raises(ConfigError, match=r"row 6 .*; and 15 more"):
        read(written(tmp_path / "a.csv", f"id,name,parent\n{rows}"))


def test_bytes_that_are_no_text_and_a_file_that_is_not_there(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00caf\xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read(tmp_path / "a.txt")
    with pytest.raises(ConfigError, match="no taxonomy"):
        read(tmp_path / "b.txt")


def test_a_pin_holds_the_version_or_the_digest(tmp_path, google):
    path = tmp_path / "taxonomy-with-ids.en-US.txt"
    assert read(path, "2021-09-21").digest == read(path, google.digest[:12]).digest
    for wrong in ("2019-07-10", google.digest[:7], "0" * 12):
        with pytest.raises(ConfigError, match="2021-09-21"):
            read(path, wrong)


TREES = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4), min_size=1, max_size=20)


@settings(deadline=None)
@given(TREES)
def test_paths_give_the_tree_that_they_spell(tmp_path_factory, paths):
    path = written(tmp_path_factory.mktemp("paths") / "own.txt", "".join(f"{' > '.join(one)}\n" for one in paths))
    made = read(path)
    wanted = {tuple(one[:n]) for one in paths for n in range(1, len(one) + 1)}
    assert {made.names(i) for i in range(len(made))} == wanted
    assert len(made) == len(wanted)
    for i in range(len(made)):
        assert made.parent[i] < i
        assert made.depth[i] == len(made.path(i)) - 1
        for j in range(len(made)):
            shared = made.lca(i, j)
            assert shared == made.lca(j, i)
            common = [a for a, b in zip(made.path(i), made.path(j), strict=False) if a == b]
            assert shared == (common[-1] if common else -1)


def test_a_preset_with_ones_own_classes_composes_from_a_folder_of_settings(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "own.csv", OWN)
    taxonomy_preset.main(["own.csv", "--name", "ours", "--levels", "2"])
    assert "hyla run --config-dir conf preset=ours" in capsys.readouterr().out
    made = yaml.safe_load((tmp_path / "conf/preset/ours.yaml").read_text())
    assert made["schema"]["classes"] == {
        "dairy": {"codes": {"own": "1"}},  # is a class already
        "diy": {"parent": "product", "codes": {"own": "4"}},
        "milk": {"parent": "dairy", "codes": {"own": "2"}},
        "plant_drinks": {"parent": "dairy", "codes": {"own": "3"}},
        "screws": {"parent": "diy", "codes": {"own": "5"}},
        "diy_other": {"parent": "diy", "codes": {"own": "6"}},
        "dairy_other": {"parent": "dairy", "codes": {"own": "7"}},
        "diy_no": {"parent": "diy", "codes": {"own": "8"}},  # YAML would read `no` as false
    }
    assert cli.main(["run", "--config-dir", "conf", "preset=ours", "source=.", "--cfg", "job"]) == 0
    whole = yaml.safe_load(capsys.readouterr().out)
    schema = Schema.from_config(whole["schema"])
    base = Schema.from_config(
        yaml.safe_load((Path(taxonomy_preset.__file__).parent / "conf/preset/retail.yaml").read_text())["schema"]
    )
    assert schema.names[: len(base.names)] == base.names  # the old classes keep their places
    assert {"milk", "screws"} <= {schema.names[i] for i in schema.under("product")}
    assert schema.classes[schema.ids["dairy"]].codes == {"gpc": "50130000", "google": "428", "own": "1"}
    assert "restricted_goods" in whole["rules"]
    own = Categories(schema)
    assert schema.names[own.class_id(["DIY", "Other"])] == "diy_other"
    assert schema.names[own.class_id(["Dairy", "Plant drinks", "Oat drink"])] == "plant_drinks"


def test_a_published_tree_joins_the_classes_by_their_codes(tmp_path, google):
    classes = yaml.safe_load(taxonomy_preset.preset(google, "google.txt", "theirs", 4))["schema"]["classes"]
    assert "beverage" not in classes  # has this code already
    assert classes["milk"] == {"parent": "beverage", "codes": {"google": "418"}}
    assert classes["food_beverages_tobacco"] == {"parent": "product", "codes": {"google": "412"}}
    assert not {"wine", "alcoholic_beverages"} & set(classes)


def test_a_run_is_signed_with_its_taxonomy(tmp_path, google):
    schema = Schema.from_config({"name": "x", "kinds": ["tag"], "classes": {"product": {}}, "attributes": {"product": {}}})
    model = Products(schema, Whole(schema), {}, catalogue=None, source=str(tmp_path), taxonomy="taxonomy-with-ids.en-US.txt")
    signed = model.provenance()
    assert signed["taxonomy.name"] == "google 2021-09-21"
    assert signed["taxonomy.digest"] == google.digest
    assert signed["digest"] != Products(schema, Whole(schema), {}, catalogue=None).provenance().get("digest")


def test_levels_names_and_files_in_the_way_are_refused(tmp_path, monkeypatch, google):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="levels is 0"):
        taxonomy_preset.preset(google, "google.txt", "theirs", 0)
    for name in ("retail", "Ours!", "1a"):
        with pytest.raises(SystemExit, match="can't be named"):
            taxonomy_preset.main(["taxonomy-with-ids.en-US.txt", "--name", name])
    taxonomy_preset.main(["taxonomy-with-ids.en-US.txt", "--name", "theirs", "--pin", "2021-09-21"])
    with pytest.raises(SystemExit, match="there already"):
        taxonomy_preset.main(["taxonomy-with-ids.en-US.txt", "--name", "theirs"])


def test_a_preset_that_no_folder_has_is_still_unknown(tmp_path, capsys):
    assert cli.main(["run", "--config-dir", str(tmp_path), "preset=ours", "source=."]) != 0
    assert "no preset is named 'ours'" in capsys.readouterr().err
