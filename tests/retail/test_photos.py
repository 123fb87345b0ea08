"""Photos of shelves and of products: which are items, what is known of each, and what stands for a product."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from catalogue_kit import COLUMNS, gtin13, noise, photo, row, table
from hyla import config, plugins
from hyla.errors import BadItem, ConfigError
from hyla.images import read_image
from hyla.types import Item, item_id
from hyla_retail.photo_facts import date_in, gtin_in, place_of, sharpness
from hyla_retail.photos import Photos, overview

PLANOGRAM = ("store", "fixture", "shelf", "position", "sku")


def loaded(source: Path, **settings: Any) -> tuple[Photos, list[Item]]:
    """Return a loader and the items that it lists."""
    loader = Photos(**settings)
    found = loader.items(str(source))
    assert found is not None
    return loader, list(found)


def uris(items: list[Item]) -> list[str]:
    return [one.uri for one in items]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Write a shop: two photos, a catalogue with two pictures and a fault, a planogram with a fault, and exemplars."""
    photo(tmp_path / "mill" / "A1_2024-05-02.jpg", noise(60, 80), taken="2024:05:03 10:11:12")
    photo(tmp_path / "station" / "B2.jpg", noise(80, 60, 1))
    for n in (1, 2):
        photo(tmp_path / "packs" / f"{n}.jpg", noise(20, 30, n))
        photo(tmp_path / "exemplars" / f"s{n}" / "a.jpg", noise(24, 24, 10 + n))
    photo(tmp_path / "exemplars" / gtin13(3) / "a.jpg", noise(24, 24, 20))
    rows = [row(1, image="packs/1.jpg"), row(2, image="packs/2.jpg"), row(3), row(4, price="?")]
    table(tmp_path / "catalogue.csv", rows)
    table(tmp_path / "planogram.csv", [["mill", "A1", 1, 1, "s1"], ["mill", "A1", "x", 1, "s1"]], PLANOGRAM)
    return tmp_path


def test_references_are_no_items_and_faults_come_last(shop: Path) -> None:
    _, items = loaded(shop)
    assert uris(items) == ["mill/A1_2024-05-02.jpg", "station/B2.jpg", "catalogue.csv", "planogram.csv"]
    assert [one.kind for one in items] == ["photo", "photo", "row", "row"]
    assert [one.index for one in items[2:]] == [5, 3]
    assert dict(items[0].meta) == {"store": "mill", "fixture": "A1"}
    assert items[0].id == item_id("mill/A1_2024-05-02.jpg")
    assert len({one.id for one in items}) == 4


def test_a_photo_says_where_and_when_it_was_taken(shop: Path) -> None:
    loader, items = loaded(shop)
    first, second = (loader.load(one) for one in items[:2])
    assert np.array_equal(first.pixels, read_image(shop / "mill" / "A1_2024-05-02.jpg"))
    about = "4 products of catalogue.csv, 1 problem named row by row"
    expected = {"view": "shelf", "store": "mill", "fixture": "A1", "date": "2024-05-03", "catalogue": about}
    assert {name: value for name, value in first.context.items() if name != "sharpness"} == expected
    assert "date" not in second.context
    assert first.context["sharpness"] == sharpness(first.pixels)


def test_a_row_with_a_fault_is_a_bad_item_that_says_which_and_why(shop: Path) -> None:
    loader, items = loaded(shop)
    with pytest.raises(BadItem, match=r"catalogue\.csv row 5, column price: '\?' is no price"):
        loader.load(items[2])
    with pytest.raises(BadItem, match=r"planogram\.csv row 3, column shelf: 'x' is no number"):
        loader.load(items[3])


def test_one_photo_is_a_source(shop: Path) -> None:
    loader, items = loaded(shop / "mill" / "A1_2024-05-02.jpg", catalogue=None)
    assert uris(items) == ["A1_2024-05-02.jpg"]
    assert loader.load(items[0]).pixels.shape == (60, 80, 3)
    assert uris(loaded(shop / "packs" / "1.jpg", catalogue=str(shop / "catalogue.csv"), planogram=None)[1])[0] == "1.jpg"


def test_a_table_of_photos_stands_above_paths_and_exif(shop: Path) -> None:
    rows = [
        [1, "mill/A1_2024-05-02.jpg", "north", "bay 7", "2023-01-31"],
        [2, "gone.jpg", "", "", ""],
        [3, "", "x", "", ""],
        [4, "station/B2.jpg", "", "", "May"],
    ]
    table(shop / "photos.csv", rows, ("id", "image", "store", "fixture", "date"))
    loader, items = loaded(shop)
    assert dict(items[0].meta) == {"store": "north", "fixture": "bay 7"}
    assert loader.load(items[0]).context["date"] == "2023-01-31"
    assert [(one.uri, one.index) for one in items[-2:]] == [("photos.csv", 4), ("photos.csv", 5)]
    with pytest.raises(BadItem, match=r"photos\.csv row 5, column date: 'May' is no date"):
        loader.load(items[-1])
    by_table, listed = loaded(shop / "photos.csv")
    assert uris(listed)[0] == "mill/A1_2024-05-02.jpg"
    assert [one.kind for one in listed].count("photo") == 2
    assert by_table.load(listed[0]).context["fixture"] == "bay 7"
    assert by_table.catalogue.file == "catalogue.csv"


@pytest.mark.parametrize("where", ["photos.csv", "tables/list.csv", "mill/tables/list.csv"])
def test_a_table_elsewhere_finds_the_photos_of_the_source(shop: Path, where: str) -> None:
    photo(shop / "mill" / "C3.jpg")
    rows = [
        ["mill/A1_2024-05-02.jpg", "2024.05.31"],  # beside the table
        ["C3.jpg", "2024-06-01"],  # in the source
        ["station/B2.jpg", ""],  # there, but not in the source
        ["gone.jpg", ""],
    ]
    first = rows[0][0] if where == "photos.csv" else "A1_2024-05-02.jpg"
    path = table(shop / where, [[first, rows[0][1]], *rows[1:]], ("image", "date"))
    loader, items = loaded(shop / "mill", photos=str(path), exemplars=None, catalogue=None, planogram=None)
    assert {one.uri: loader.load(one).context["date"] for one in items if one.kind == "photo"} == {
        "A1_2024-05-02.jpg": "2024-05-31",
        "C3.jpg": "2024-06-01",
    }
    wrong = [one for one in items if one.kind == "row"]
    assert [one.index for one in wrong] == [4, 5]
    with pytest.raises(BadItem, match="lies outside the source" if where == "photos.csv" else "is not there"):
        loader.load(wrong[0])


def test_the_rows_of_a_catalogue_are_items_of_the_view_product(shop: Path) -> None:
    photo(shop / "packs" / "2b.jpg")
    rows = [row(1, image="packs/1.jpg"), row(2, image="packs/2.jpg;packs/2b.jpg"), row(3, image="packs/1.jpg"), row(4, price="?")]
    table(shop / "catalogue.csv", rows)
    loader, items = loaded(shop / "catalogue.csv", view="product", group="gtin", planogram=None)
    assert [(one.uri, one.meta.get("product"), one.meta["row"]) for one in items] == [
        ("packs/1.jpg", "s1", 2),
        ("packs/2.jpg", "s2", 3),
        ("packs/2b.jpg", "s2", 3),
        ("packs/1.jpg", "s3", 4),
        ("catalogue.csv", None, 5),
    ]
    assert len({one.id for one in items}) == 5
    assert items[0].id == item_id("packs/1.jpg")
    assert [(one.group, one.index) for one in items[:4]] == [("s1", 0), ("s2", 0), ("s2", 1), ("s3", 0)]
    image = loader.load(items[0])
    assert image.context["view"] == "product"
    assert not {"store", "fixture"} & image.context.keys()


def test_views_of_one_gtin_are_a_group(tmp_path: Path) -> None:
    a, b = gtin13(1), gtin13(2)
    names = [f"{a}_1.jpg", f"{b}.jpg", f"old/{a}-back.jpg", "plain.jpg", "20240502_1.jpg", f"{a[:-1]}{(int(a[-1]) + 1) % 10}.jpg"]
    for name in names:
        photo(tmp_path / name)
    _, items = loaded(tmp_path, view="product", group="gtin")
    groups = {name: [one.uri for one in members] for name, members in groupby(items, key=lambda one: one.group)}
    assert groups[a.zfill(14)] == [f"{a}_1.jpg", f"old/{a}-back.jpg"]
    assert groups[b.zfill(14)] == [f"{b}.jpg"]
    assert {one.group for one in items if "gtin" in one.meta} == {a.zfill(14), b.zfill(14)}
    assert sorted(one.uri for one in items if not one.group) == sorted(names[3:])
    assert {one.id for one in items} == {one.id for one in loaded(tmp_path, view="product")[1]}


@pytest.mark.parametrize(("group", "count"), [("none", 1), ("folder", 3), ("source", 1)])
def test_groups_come_in_one_piece(tmp_path: Path, group: str, count: int) -> None:
    for name in ("a.jpg", "b/1.jpg", "b/2.jpg", "c.jpg", "d/e/1.jpg"):
        photo(tmp_path / name)
    _, items = loaded(tmp_path, group=group)
    runs = [(name, [one.index for one in members]) for name, members in groupby(items, key=lambda one: one.group)]
    assert len(runs) == count
    assert len(items) == 5
    assert group == "none" or all(index == list(range(len(index))) for _, index in runs)


def test_what_stands_for_a_product_is_found(shop: Path) -> None:
    loader, _ = loaded(shop)

    def shown(**attributes: Any) -> str | None:
        image = loader.reference(attributes)
        return None if image is None else image.item.uri

    assert shown(product="s1") == "exemplars/s1/a.jpg"
    assert shown(product="s3") == f"exemplars/{gtin13(3)}/a.jpg"
    assert shown(product=None, gtin=gtin13(2).zfill(14)) == "exemplars/s2/a.jpg"
    assert shown(product="s1", exemplar="packs/2.jpg") == "packs/2.jpg"
    assert shown(product="s1", exemplar="gone.jpg") == "exemplars/s1/a.jpg"
    assert shown(product="s4") is None
    assert shown() is None
    assert shown(product="else", brand="Acme") is None
    without, _ = loaded(shop, exemplars=None)
    picture = without.reference({"product": "s2"})
    assert picture is not None
    assert np.array_equal(picture.pixels, read_image(shop / "packs" / "2.jpg"))


@pytest.mark.parametrize("name", ["../secret.jpg", "/secret.jpg", "catalogue.csv", "exemplars/../../secret.jpg"])
def test_a_reference_leads_nowhere_else(shop: Path, name: str) -> None:
    outside = photo(shop.parent / "secret.jpg")
    loader, _ = loaded(shop)
    assert loader.reference({"exemplar": name.replace("/secret", str(outside)) if name[0] == "/" else name}) is None


@pytest.mark.parametrize("name", ["loop.jpg", f"{'x' * 300}.jpg", "a\0b.jpg"])
def test_a_name_that_can_be_no_file_is_no_reference(shop: Path, name: str) -> None:
    (shop / "loop.jpg").symlink_to("loop.jpg")
    loader, items = loaded(shop)
    assert "loop.jpg" not in uris(items)
    assert loader.reference({"exemplar": name}) is None
    with pytest.raises(ConfigError, match="exemplars="):
        loaded(shop, exemplars=name)


def test_a_linked_folder_of_exemplars_is_followed_and_links_in_it_are_not(shop: Path) -> None:
    known = (shop / "exemplars").rename(shop.parent / "known")
    (shop / "exemplars").symlink_to(known)
    outside = photo(shop.parent / "secret" / "a.jpg")
    (known / "s9").symlink_to(outside.parent)
    (known / "s1" / "out.jpg").symlink_to(outside)
    loader, _ = loaded(shop)
    for attributes in ({"product": "s1"}, {"exemplar": "s1/a.jpg"}):
        picture = loader.reference(attributes)
        assert picture is not None
        assert np.array_equal(picture.pixels, read_image(known / "s1" / "a.jpg"))
    assert loader.reference({"product": "s9"}) is None
    assert loader.reference({"exemplar": "s1/out.jpg"}) is None


def test_a_linked_folder_of_exemplars_in_the_source_holds_no_items(shop: Path) -> None:
    (shop / "exemplars").rename(shop / "known")
    (shop / "exemplars").symlink_to("known")
    assert [one for one in uris(loaded(shop)[1]) if one.startswith("known")] == []


def test_references_are_found_from_several_threads(shop: Path) -> None:
    loader, _ = loaded(shop)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: loader.reference({"product": f"s{1 + n % 3}"}), range(24)))
    assert all(image is not None for image in found)


def test_exemplars_elsewhere_are_found_and_their_absence_told(shop: Path) -> None:
    loader, items = loaded(shop / "mill", exemplars=str(shop / "exemplars"), catalogue="../catalogue.csv", planogram=None)
    assert uris(items)[0] == "A1_2024-05-02.jpg"
    image = loader.reference({"product": "s1"})
    assert image is not None
    assert image.item.uri == "a.jpg"
    with pytest.raises(ConfigError, match="exemplars=gone is not there"):
        loaded(shop, exemplars="gone")
    with pytest.raises(ConfigError, match="is the source itself"):
        loaded(shop / "exemplars", exemplars=".")


def test_a_folder_of_nothing_but_references_is_told(shop: Path) -> None:
    with pytest.raises(ConfigError, match="all 2 pictures of"):
        loaded(shop / "packs", catalogue=str(shop / "catalogue.csv"), planogram=None)


def test_a_catalogue_without_pictures_is_no_source(tmp_path: Path) -> None:
    table(tmp_path / "list.csv", [row(1)], COLUMNS)
    with pytest.raises(ConfigError, match="names no picture"):
        loaded(tmp_path / "list.csv", view="product")


@pytest.mark.parametrize("setting", [{"view": "side"}, {"group": "clip"}])
def test_settings_are_proved(setting: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="is not a choice"):
        Photos(**setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("mill/A1_2024-05-02.jpg", {"store": "mill", "fixture": "A1"}),
        ("mill/week 3/A1.jpg", {"store": "mill", "fixture": "A1"}),
        ("bay3.jpg", {"fixture": "bay3"}),
        ("bay3_20240502_101112.jpg", {"fixture": "bay3"}),
        ("20240502_101112.jpg", {"fixture": "20240502_101112"}),
        ("B7_left.jpg", {"fixture": "B7"}),
        ("b7.jpg", {"fixture": "b7"}),
        ("B77.jpg", {"fixture": "B77"}),
    ],
)
def test_places_are_read_from_paths(uri: str, place: dict[str, str]) -> None:
    assert place_of(uri, frozenset({"a1", "b7"})) == place


@pytest.mark.parametrize(
    ("uri", "day"),
    [("IMG_20240502_101112.jpg", "2024-05-02"), ("a/2024-02-30.jpg", ""), ("2024.5.2.jpg", ""), ("x_12024050233.jpg", "")],
)
def test_dates_are_read_from_names(uri: str, day: str) -> None:
    assert date_in(uri) == day


def test_gtins_are_read_from_names() -> None:
    assert gtin_in(f"x/front {gtin13(1)}.jpg") == gtin13(1).zfill(14)
    assert gtin_in("96385074_2.jpg") == "00000096385074"
    assert gtin_in("x_96385074.jpg") == ""
    assert gtin_in("20000004.jpg") != ""


def test_blur_lowers_sharpness_whatever_the_size() -> None:
    sharp = noise(1500, 2000)
    assert sharpness(np.zeros((1, 1, 3), np.uint8)) == 0
    small = np.asarray(Pillow.fromarray(sharp).resize((200, 150)).resize((2000, 1500)))
    assert sharpness(small) < 0.2 * sharpness(sharp)


@pytest.mark.parametrize("orientation", [0, 3, 6])
@pytest.mark.parametrize("longest", [100, 333, 5000])
def test_an_overview_is_the_picture_only_smaller(tmp_path: Path, orientation: int, longest: int) -> None:
    path = photo(tmp_path / "a.jpg", noise(600, 900), orientation, quality=95)
    whole, small = read_image(path), overview(path, longest)
    assert max(small.shape[:2]) == min(longest, 900)
    assert (small.shape[0] < small.shape[1]) == (whole.shape[0] < whole.shape[1])
    size = small.shape[1::-1]
    expected = np.asarray(Pillow.fromarray(whole).resize(size, Pillow.Resampling.BOX), dtype=np.float64)
    assert np.abs(expected - small).mean() < 5


def test_columns_of_the_catalogue_are_named_on_the_command_line(tmp_path: Path) -> None:
    table(tmp_path / "catalogue.csv", [["1", "wrong", "right"]], ("sku", "name", "Text 2"))
    words = ("loader.columns.name='Text 2'", "loader.exemplars=[]")
    for preset in ("retail", "packshots"):
        settings = config.compose(preset, *words, source=str(tmp_path), out=str(tmp_path / "out"))
        loader = plugins.build(settings.loader, "loader")
        assert list(loader.items(str(tmp_path))) == []
        assert loader.catalogue.name.tolist() == ["right"]
        assert settings.model["columns"]["name"] == "Text 2"


def test_the_real_photos_load(shared: Path) -> None:
    retail = shared / "data" / "retail"
    for folder, view, count in (("shelves", "shelf", 6), ("iconic", "product", 31), ("grocery_store/test", "product", 324)):
        loader, items = loaded(retail / folder, view=view)
        assert len(items) == count
        images = [loader.load(one) for one in items[:3]]
        assert all(image.pixels.ndim == 3 and image.context["sharpness"] > 0 for image in images)
