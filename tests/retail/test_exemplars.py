"""Names by likeness to known products: where exemplars come from, what is claimed, and what is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from hyla.errors import ConfigError
from hyla.pictures import Pictures
from hyla.store import Project, Stored
from hyla.types import Image, Item, Kind, Labels, Record, Verdict, item_id
from hyla_retail import exemplar_files, matching
from hyla_retail.catalogue import open_catalogue
from hyla_retail.embeddings import Appearance
from hyla_retail.exemplars import Exemplars
from hyla_retail.matching import Matcher
from hyla_retail.products import Products
from hyla_retail.sample import preset_schema
from hyla_retail.whole import Whole

SCHEMA = preset_schema()
PRODUCT, UNKNOWN, LABEL = (SCHEMA.class_id(name) for name in ("product", "unknown_product", "price_label"))
LOOK = Appearance()
NONE = open_catalogue(None, "")


def pack(number: int, view: int = 0, ground: int = 90) -> Any:
    """Draw pack `number` (its colours and shapes) as photo `view` shows it."""
    random, other = np.random.default_rng(number), np.random.default_rng((number, view))
    pixels = np.full((120, 80, 3), ground, np.uint8)
    pixels[8:112, 10:70] = random.integers(0, 256, 3)
    for _ in range(5):
        top, left = random.integers(8, 90), random.integers(10, 55)
        pixels[top : top + random.integers(6, 22), left : left + random.integers(6, 15)] = random.integers(0, 256, 3)
    top, left = other.integers(0, 6, 2)
    noisy = pixels[top:, left:] * other.uniform(0.9, 1.1) + other.normal(0, 4, pixels[top:, left:].shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write(path: Path, pixels: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a source with exemplars: 12 products with 3 photos each, in two categories, one broken, one in no folder."""
    source = tmp_path_factory.mktemp("shop")
    for number in range(12):
        category = "Food/Snack" if number % 2 else "Drink"
        for view in range(3):
            write(source / f"exemplars/{category}/p{number}/{view}.png", pack(number, view))
    (source / "exemplars/Drink/p0/torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    write(source / "exemplars/stray.png", pack(77))
    return source


def shelf(numbers: Sequence[int], view: int = 9) -> tuple[Image, Labels]:
    """Return a photo of packs side by side, with a box for each and one for a price label."""
    crops = [
        np.pad(one, ((0, 120 - one.shape[0]), (0, 80 - one.shape[1]), (0, 0)), mode="edge")
        for one in (pack(i, view) for i in numbers)
    ]
    photo = np.concatenate([*crops, np.zeros((120, 8, 3), np.uint8)], axis=1)
    boxes = [[80 * i, 0, 80 * i + 80, 120] for i in range(len(numbers))]
    labels = Labels.of([PRODUCT] * len(numbers) + [LABEL], [*boxes, [0, 100, 30, 120]])
    return Image(photo, Item("shelf", "shelf.png", kind="photo")), labels


def test_a_shelf_is_named(shop: Path) -> None:
    source = Exemplars(SCHEMA, source=str(shop))
    image, labels = shelf([3, 0, 7, 3])
    (told,) = source.read([image], [labels])
    first = {int(row): i for i, row in reversed(list(enumerate(told.rows)))}
    assert [told.product[first[row]] for row in range(4)] == ["p3", "p0", "p7", "p3"]
    assert set(told.rows.tolist()) == {0, 1, 2, 3}  # nothing is said of the price label
    assert (told.likeness > 0).all()
    assert (told.likeness < 1).all()
    for row in range(4):
        assert told.likeness[told.rows == row].sum() <= 1 + 1e-9
        assert told.likeness[first[row]] == told.likeness[told.rows == row].max()
        assert len(set(told.product[told.rows == row])) == (told.rows == row).sum() <= 3
    assert told.attributes["exemplar"][1].startswith("exemplars/Drink/p0/")
    assert told.attributes["category"].tolist() == ["Food > Snack", "Drink", "Food > Snack", "Food > Snack", None]
    assert np.isnan([column[4] for column in told.evidence.values()]).all()
    assert (told.evidence["exemplar"][:4] == told.likeness[[first[row] for row in range(4)]]).all()
    assert (told.evidence["novelty"][:4] < 0.95).all()
    assert (told.evidence["duplicate"][:4] > 4).all()
    assert source.matcher.gallery.broken[0].startswith("torn.jpg")
    assert "1 can't be read" in source.provenance()["exemplars"]
    assert len(source.provenance()["digest"]) == 64


def test_a_picture_is_read_alike_alone_and_among_others(shop: Path) -> None:
    source = Exemplars(SCHEMA, source=str(shop))
    shelves = [shelf([3, 0]), shelf([5]), shelf([])]
    together = source.read(*map(list, zip(*shelves, strict=True)))
    for (image, labels), one in zip(shelves, together, strict=True):
        (alone,) = source.read([image], [labels])
        np.testing.assert_array_equal(alone.likeness, one.likeness)
        assert alone.product.tolist() == one.product.tolist()
    assert not len(together[2].rows)


def test_what_is_like_no_exemplar_is_unknown(shop: Path) -> None:
    model = Products(SCHEMA, Whole(SCHEMA), {"exemplar": Exemplars(SCHEMA, source=str(shop))}, None)
    strange = np.random.default_rng(0).integers(0, 256, (120, 80, 3), dtype=np.uint8)
    images = [Image(pixels, Item(name, f"{name}.png")) for name, pixels in {"new": strange, "known": pack(4, 8)}.items()]
    new, known = model.predict(images)
    assert new.class_id.tolist() == [UNKNOWN]
    assert new.attributes["product"][0] is None
    assert new.evidence["novelty"][0] > 0.95
    assert known.attributes["product"].tolist() == ["p4"]
    assert known.class_id[0] != UNKNOWN
    for one, image in zip((new, known), images, strict=True):
        SCHEMA.check(one, image.size)


def test_the_photo_that_an_exemplar_is_does_not_name_itself(shop: Path) -> None:
    """Or a folder of labelled photos would seem to be named without a mistake."""
    source = Exemplars(SCHEMA, source=str(shop))
    uri = "exemplars/Drink/p2/1.png"
    labels = Labels.of([PRODUCT], [[0, 0, 80, 120]], kind=Kind.TAG)
    (own,) = source.read([Image(pack(2, 1), Item("x", uri))], [labels])
    (other,) = source.read([Image(pack(2, 1), Item("x", "elsewhere.png"))], [labels])
    assert own.attributes["exemplar"][0] != uri
    assert other.attributes["exemplar"][0] == uri


def test_exemplars_changed_on_disk_are_read_again(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"exemplars/p{number}/0.png", pack(number))
    assert Exemplars(SCHEMA, source=str(tmp_path)).matcher is Exemplars(SCHEMA, source=str(tmp_path)).matcher
    write(tmp_path / "exemplars/p5/0.png", pack(5))
    assert set(Exemplars(SCHEMA, source=str(tmp_path)).matcher.gallery.product) == {"p0", "p1", "p5"}


def test_pictures_of_the_catalogue_are_exemplars(tmp_path: Path) -> None:
    rows = ["sku,gtin,name,category,image"]
    for number, gtin in enumerate(("4006381333931", "5449000000996")):
        write(tmp_path / f"shots/{number}.png", pack(number, ground=255))
        rows.append(f"S{number},{gtin},Thing {number},Food > Snack,shots/{number}.png")
    (tmp_path / "catalogue.csv").write_text("\n".join(rows), encoding="utf-8")
    write(tmp_path / "exemplars/5449000000996/a.png", pack(1, 2))  # by its GTIN
    source = Exemplars(SCHEMA, source=str(tmp_path))
    assert sorted(zip(source.matcher.gallery.product, source.matcher.gallery.picture, strict=True)) == [
        ("S0", "shots/0.png"),
        ("S1", "exemplars/5449000000996/a.png"),
        ("S1", "shots/1.png"),
    ]
    (told,) = source.read(*[[one] for one in shelf([0])])
    assert told.product[0] == "S0"
    assert told.attributes["category"][0] == "Food > Snack"
    without = Exemplars(SCHEMA, source=str(tmp_path), catalogue_pictures=False)
    assert len(without.matcher.gallery) == 1


def test_no_exemplars_say_nothing(tmp_path: Path) -> None:
    (told,) = Exemplars(SCHEMA, source=str(tmp_path)).read(*[[one] for one in shelf([0])])
    assert not len(told.rows)
    assert not told.evidence
    (alone,) = Products(SCHEMA, Whole(SCHEMA), {"exemplar": Exemplars(SCHEMA, source=str(tmp_path))}, None).predict(
        [shelf([0])[0]]
    )
    assert alone.class_id.tolist() == [PRODUCT]
    assert alone.attributes["product"].tolist() == [None]


def test_an_exemplar_file_comes_back(shop: Path, tmp_path: Path) -> None:
    gallery = exemplar_files.of_folder(shop / "exemplars", str(shop), NONE, LOOK)
    path = tmp_path / "exemplars.npz"
    exemplar_files.save(gallery, LOOK, path)
    again = exemplar_files.load(path, LOOK)
    for name in ("product", "category", "picture", "origin", "hashes"):
        assert getattr(again, name).tolist() == getattr(gallery, name).tolist()
    np.testing.assert_allclose(again.vectors, gallery.vectors, atol=1e-3)
    source = Exemplars(SCHEMA, source=str(tmp_path))  # found beside the photos
    assert source.matcher.products == 12
    with pytest.raises(ConfigError, match="another embedding"):
        Exemplars(SCHEMA, Appearance(colour=2), source=str(tmp_path))
    for damage in (b"", b"PK\x03\x04", path.read_bytes()[:400]):
        (tmp_path / "damaged.npz").write_bytes(damage)
        with pytest.raises(ConfigError, match="no exemplar file"):
            exemplar_files.load(tmp_path / "damaged.npz", LOOK)


def test_a_bit_that_flipped_never_gives_another_error(shop: Path, tmp_path: Path) -> None:
    path = tmp_path / "exemplars.npz"
    exemplar_files.save(exemplar_files.of_folder(shop / "exemplars", str(shop), NONE, LOOK), LOOK, path)
    good, refused = path.read_bytes(), 0
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(good), 400).tolist():
        bad = bytearray(good)
        bad[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        try:
            exemplar_files.load(path, LOOK)
        except ConfigError:
            refused += 1
    assert refused > 200  # a checksum sees most, and a name or a date in the list of the archive none


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"exemplars": "nowhere"}, "is not there"),
        ({"exemplars": ["nowhere.npz"]}, "is not there"),
        ({"embedding": "mobilenet"}, "describes no crops"),
        ({"claims": 0}, "claims"),
        ({"index": "annoy", "exemplars": "exemplars"}, "no index"),
    ],
)
def test_settings_that_can_t_work(shop: Path, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Exemplars(SCHEMA, source=str(shop), **settings)


def test_a_folder_without_one_usable_picture(tmp_path: Path) -> None:
    (tmp_path / "exemplars/p").mkdir(parents=True)
    (tmp_path / "exemplars/p/a.jpg").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"no exemplar .* can be used: a\.jpg"):
        Exemplars(SCHEMA, source=str(tmp_path))


def reviewed(tmp_path: Path) -> tuple[Path, list[Record]]:
    """Return a project of two photos: Ann accepted the first, and named a label of the second anew; the rest nobody answered."""
    photos = tmp_path / "photos"
    records = []
    for name, numbers in {"a": (0, 1), "b": (2, 3)}.items():
        image, labels = shelf(numbers)
        write(photos / f"{name}.png", image.pixels)
        named = Labels.of(
            labels.class_id[:2], labels.box[:2], score=[0.5, 0.5], attributes={"product": [f"p{i}" for i in numbers]}
        )
        item = Item(item_id(f"{name}.png"), f"{name}.png")
        records.append(Record(item, named, (), Verdict.REVIEW, "model:toy@0f", (120, 160)))
    settings = {"loader": {"_target_": "hyla.images.Folder"}}
    with Project.create(tmp_path / "project") as project:
        run = project.start_run(settings, SCHEMA, str(photos), {}, {"name": "toy", "digest": "0f"})
        project.write([Stored(one, i, 0.0) for i, one in enumerate(records)])
        project.finish_run(run, "finished", {})
        project.decide(records[0].item.id, "accept", who="ann", key="1")
        changed = Labels.of(
            records[1].labels.class_id, records[1].labels.box, score=[1, 0.5], attributes={"product": ["new", "p3"]}
        )
        project.decide(records[1].item.id, "edit", who="ann", key="2", rows=[0], labels=changed, mode="grid", open=[1])
    return tmp_path / "project", records


def test_what_people_named_in_a_project_is_an_exemplar(tmp_path: Path) -> None:
    folder, records = reviewed(tmp_path)
    source = Exemplars(SCHEMA, exemplars=str(folder), catalogue=None)
    gallery = source.matcher.gallery
    assert sorted(zip(gallery.product, gallery.picture, strict=True)) == [("new", "b.png"), ("p0", "a.png"), ("p1", "a.png")]
    image, labels = shelf([2], view=4)
    assert source.read([image], [labels])[0].product[0] == "new"
    same = Image(image.pixels, Item(records[1].item.id, "b.png"))  # cut from this very photo: left out
    assert source.read([same], [labels])[0].product[0] != "new"


def test_training_writes_an_exemplar_file(tmp_path: Path, shop: Path) -> None:
    folder, _ = reviewed(tmp_path)
    with Project.open(folder) as project:
        source = Exemplars(SCHEMA, exemplars=None, catalogue=None, pictures=Pictures.of(project))
        figures = source.train(project.records(), SCHEMA, tmp_path / "out")
    assert figures == {"exemplars": 3, "products": 3, "broken": 0, "leave_one_out": {"right": None, "n": 0}}
    taught = Exemplars(SCHEMA, exemplars=[str(tmp_path / "out/exemplars.npz"), str(shop / "exemplars")], catalogue=None)
    assert len(taught.matcher.gallery) == 39
    assert "new" in taught.matcher.gallery.product
    with pytest.raises(ConfigError, match="give the source pictures"):
        taught.train([], SCHEMA, tmp_path)


def test_trials_leave_out_the_whole_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten facings of one photo are alike, so that one would always name the next: that teaches nothing of other photos."""
    crops = [exemplar_files.Known(pack(1, 0), "p1", "", "a.png", "photo a") for _ in range(10)]
    crops += [exemplar_files.Known(pack(2, i), "p2", "", f"{i}.png", f"photo {i}") for i in range(3)]
    matcher = Matcher(exemplar_files.Gallery.of(crops, LOOK))
    assert len(matcher.calibration.distance) == 3  # p1 is in one photo only
    monkeypatch.setattr(matching, "TRIALS", 2)
    assert len(Matcher(exemplar_files.Gallery.of(crops, LOOK)).calibration.distance) == 2


@pytest.mark.parametrize("copied", [False, True])
def test_copies_of_a_picture_teach_nothing(copied: bool) -> None:
    """A picture in two places, in a folder and in the catalogue say, must not make its likeness to itself the measure."""
    known = [exemplar_files.Known(pack(i, j), f"p{i}", "", f"{i}-{j}.png", f"{i}-{j}") for i in range(20) for j in range(2)]
    again = [exemplar_files.Known(one.pixels, one.product, "", f"again/{one.picture}", f"again/{one.origin}") for one in known]
    matcher = Matcher(exemplar_files.Gallery.of(known + again if copied else known, LOOK))
    distance = matcher.calibration.distance
    assert len(distance) == 40
    assert distance.min() > 0
    new = LOOK([pack(i, 9) for i in range(20)])
    found = matcher.match(new)
    assert np.mean(matcher.calibration.novelty(np.array([one.nearest for one in found]))) < 0.9


def test_a_product_of_which_all_pictures_are_copies_is_not_tried() -> None:
    crops = [exemplar_files.Known(pack(i), f"p{i}", "", f"{i}.png", f"{i}-{j}") for i in range(3) for j in range(2)]
    assert len(Matcher(exemplar_files.Gallery.of(crops, LOOK)).calibration.distance) == 0


def test_copies_are_found_within_a_product() -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 0, 2]]
    hashes = np.array([0, 15, 0, 0, 31, 0], np.uint64)  # 15 has 4 bits, 31 has 5
    assert matching.copies(np.array([7, 7, 8, 7, 7, 7]), vectors, hashes).tolist() == [0, 0, 2, 3, 0, 5]
    assert matching.copies(np.array([7, 7, 8, 7, 8, 7]), vectors, hashes).tolist() == [0, 0, 2, 3, 4, 5]


def test_one_product_alone_has_no_rival(shop: Path) -> None:
    crops = [exemplar_files.Known(pack(1, i), "p1", "", f"{i}.png", f"photo {i}") for i in range(3)]
    (found,) = Matcher(exemplar_files.Gallery.of(crops, LOOK)).match(LOOK([pack(9)]))
    assert found.margin == 0
    assert len(found.row) == 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 300, 1), (64, 64, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_any_picture_is_read(shop: Path, shape: tuple[int, ...], dtype: Any) -> None:
    labels = Labels.of([PRODUCT], [[0, 0, shape[1], shape[0]]], kind=Kind.TAG)
    (told,) = Exemplars(SCHEMA, source=str(shop)).read([Image(np.zeros(shape, dtype), Item("x", "x.png"))], [labels])
    assert np.isfinite(told.likeness).all()
    assert np.isnan(told.evidence["duplicate"]).all()  # a plain picture has no hash that means anything
