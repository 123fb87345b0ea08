"""Motion: people, shadows, ghosts, light, bags, groups, and pictures of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from hyla.errors import ConfigError
from hyla.types import Image, Item
from hyla_surveillance.camera_file import homography_of
from hyla_surveillance.motion import Motion
from hyla_surveillance.perspective import Perspective
from street_kit import FPS, SIZE, bag, film, ground, person, share
from surveillance_kit import SCHEMA

PERSON, OBJECT = SCHEMA.class_id("person"), SCHEMA.class_id("object")


def passers(picture, seconds):
    """Let people walk by, one after the other, at two distances, so that heights can be learnt."""
    person(picture, 40 * seconds % 400 - 40, 200, 70)
    person(picture, 360 - (25 * seconds + 90) % 400, 110, 40, (150, 40, 40))


def box_of(x: float, foot: float = 200, tall: float = 70) -> list[float]:
    return [x - 0.17 * tall, foot - tall, x + 0.17 * tall, foot]


def people(labels):
    return labels[labels.class_id == PERSON]


def objects(labels):
    return labels[labels.class_id == OBJECT]


def test_people_who_walk_are_found_in_one_piece_each():
    model = Motion(SCHEMA)
    images = film(passers, 20)
    labels = model.predict(images)
    hits, boxes = 0, 0
    for image, found in list(zip(images, labels, strict=True))[40:]:
        SCHEMA.check(found, image.size)
        seconds = image.frame.seconds
        for x, foot, tall in ((40 * seconds % 400 - 40, 200, 70), (360 - (25 * seconds + 90) % 400, 110, 40)):
            if 20 < x < 300:
                boxes += 1
                hits += share(people(found), box_of(x, foot, tall)) > 0.5
        assert len(people(found)) <= 2
        assert {"still_s", "moved"} <= set(found.evidence) or not len(found)
    assert hits >= 0.95 * boxes > 100


def test_who_stands_still_stays_found_and_leaves_no_ghost():
    def scene(picture, seconds):
        passers(picture, seconds)
        if 10 <= seconds < 50:
            person(picture, 160 if seconds > 12 else 160 + 40 * (12 - seconds), 160, 55, (180, 160, 20))

    model = Motion(SCHEMA, history=20)
    labels = model.predict(film(scene, 56))
    standing = box_of(160, 160, 55)
    stood = [share(people(one), standing) > 0.5 for one in labels[14 * FPS : 49 * FPS]]
    assert np.mean(stood) > 0.85, "the passers-by hide them at times"
    assert not any(share(one, standing) > 0.3 for one in labels[53 * FPS :])


def test_the_ghost_of_who_was_there_from_the_beginning_is_healed():
    def scene(picture, seconds):
        if seconds < 5:
            person(picture, 160)
        elif seconds < 9:
            person(picture, 160 + 50 * (seconds - 5))

    labels = Motion(SCHEMA).predict(film(scene, 14))
    assert share(people(labels[6 * FPS]), box_of(210)) > 0.4, "who walks off is found"
    assert not any(len(one) for one in labels[12 * FPS :])


def test_a_shadow_is_not_part_of_the_person():
    def scene(picture, seconds):
        x = 40 * seconds % 400 - 40
        left, right = max(0, round(x + 10)), max(0, round(x + 60))
        picture[188:203, left:right] = (picture[188:203, left:right] * 0.65).astype(np.uint8)
        person(picture, x)

    images = film(scene, 20)
    widths = [
        float(w)
        for image, one in zip(images, Motion(SCHEMA).predict(images), strict=True)
        for w in people(one).width
        if image.frame.seconds > 8
    ]
    assert len(widths) > 50
    assert np.median(widths) < 0.55 * 70, "with the shadow it would be 70 and more"


def test_light_that_changes_at_once_is_nobody():
    def scene(picture, seconds):
        passers(picture, seconds)
        if seconds > 10:
            picture[:] = (picture * [0.8, 0.78, 0.75]).astype(np.uint8)

    labels = Motion(SCHEMA).predict(film(scene, 14))
    assert max(len(one) for one in labels[10 * FPS :]) <= 2


def test_another_view_begins_again_without_an_alarm():
    def scene(picture, seconds):
        if seconds >= 6:
            picture[:] = 255 - ground(7)

    labels = Motion(SCHEMA).predict(film(scene, 9))
    assert not any(len(one) for one in labels)


def test_a_covered_camera_sees_nothing_and_wakes_up_again():
    def scene(picture, seconds):
        passers(picture, seconds)
        if 8 <= seconds < 10:
            picture[:] = 5

    labels = Motion(SCHEMA).predict(film(scene, 16))
    assert not any(len(one) for one in labels[8 * FPS : 10 * FPS])
    assert np.mean([len(people(one)) for one in labels[14 * FPS :]]) > 0.5


def test_a_bag_that_is_left_is_an_object_that_grows_older_until_it_is_taken():
    def scene(picture, seconds):
        if 4 < seconds < 40:
            bag(picture, 150)
        if seconds < 4:
            person(picture, 30 + 30 * seconds)
        elif seconds < 10:
            person(picture, 150 + 40 * (seconds - 4))
        elif 20 < seconds < 30:
            person(picture, 400 - 40 * (seconds - 20), 212, 72)  # passes before the bag

    labels = Motion(SCHEMA).predict(film(scene, 44))
    where = [142, 191, 158, 205]
    seen = [objects(one)[objects(one).evidence["still_s"] > 0] for one in labels[9 * FPS : 39 * FPS]]
    assert np.mean([share(one, where) > 0.4 for one in seen]) > 0.97, "also while somebody passes before it"
    ages = np.array([one.evidence["still_s"].max() for one in seen if len(one)])
    assert ages[-1] == pytest.approx(34.5, abs=4)
    assert (np.diff(ages) > -2).all()
    assert not any(len(objects(one)) for one in labels[42 * FPS :])


def test_two_side_by_side_are_two_once_the_height_of_people_is_known():
    def scene(picture, seconds):
        if seconds < 15:
            passers(picture, seconds)
        else:
            x = 40 + 30 * (seconds - 15)
            person(picture, x)
            person(picture, x + 32, colour=(160, 40, 30))
            picture[160:168, round(x) : round(x) + 32] = 30  # arm in arm

    labels = Motion(SCHEMA).predict(film(scene, 21))
    assert np.mean([len(people(one)) == 2 for one in labels[16 * FPS : 21 * FPS]]) > 0.8


def test_labels_do_not_depend_on_the_batch_and_a_replay_is_the_same():
    images = film(passers, 6)
    model = Motion(SCHEMA)
    together = model.predict(images)
    assert [model.predict([one])[0] for one in images] == together, "from index 0 on it is a replay"
    other = [Image(one.pixels, Item(f"o{i}", "o", "o", i), one.frame) for i, one in enumerate(images)]
    mixed = Motion(SCHEMA).predict([one for pair in zip(images, other, strict=True) for one in pair])
    assert mixed[::2] == together
    assert mixed[1::2] == together
    model.forget("c")
    assert model._views == {}


def test_a_batch_that_fails_leaves_the_memory_alone():
    images = film(passers, 2)
    model = Motion(SCHEMA)
    model.predict(images[:8])
    with pytest.raises((AttributeError, IndexError, TypeError, ValueError)):
        model.predict([images[8], Image(None, Item("x", "x", "c", 9))])
    again = Motion(SCHEMA)
    again.predict(images[:8])
    assert model.predict(images[8:]) == again.predict(images[8:])


SHAPES = [(1, 1, 3), (1, 1, 1), (33, 47, 4), (33, 47, 1), (300, 1, 3), (1, 900, 3), (48, 64, 2), (30, 700, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_every_picture_is_taken(shape, dtype):
    rng = np.random.default_rng(0)
    model = Motion(SCHEMA)
    for i in range(3):
        pixels = (rng.random(shape) * {"uint8": 255, "uint16": 65535, "int16": 30000, "float32": 1}[dtype]).astype(dtype)
        image = Image(pixels, Item(f"a{i}", "a", "g", i))
        SCHEMA.check(model.predict([image])[0], image.size)


def test_a_picture_without_a_clip_a_volume_and_a_clock_that_stands():
    model = Motion(SCHEMA)
    alone = Image(ground(), Item("a", "a.png"))
    assert len(model.predict([alone])[0]) == 0
    assert len(model.predict([Image(np.zeros((4, 40, 40), np.uint8), Item("v", "v", "v"), volume=True)])[0]) == 0
    stopped = [Image(one.pixels, one.item, film(passers, 1)[0].frame) for one in film(passers, 8)]
    assert np.mean([len(people(one)) for one in model.predict(stopped)[30:]]) > 0.8
    smaller = [Image(one.pixels[::2, ::2], Item(f"s{i}", "s", "c", 100 + i)) for i, one in enumerate(film(passers, 3))]
    assert len(model.predict(smaller)) == 24, "a stream may change its size"


def test_settings_are_checked_and_classes_can_be_left_out():
    for bad in ({"threshold": 2}, {"width": 3}, {"history": 0}, {"settle": 10, "absorb": 5}, {"person": "nobody"}):
        with pytest.raises(ConfigError):
            Motion(SCHEMA, **bad)
    labels = Motion(SCHEMA, person=None, vehicle=None).predict(film(passers, 8))
    assert not any(len(people(one)) for one in labels)
    assert Motion(SCHEMA).provenance()["name"] == "motion"


def test_the_ground_of_a_camera_tells_how_tall_people_are(tmp_path):
    from hyla_surveillance.camera import Camera

    # 8 m wide at the lower edge, 16 m at the middle of the picture
    matrix = homography_of([[0, 240], [320, 240], [80, 120], [240, 120]], [[-4, 5], [4, 5], [-4, 15], [4, 15]])
    scale = Perspective(SIZE, Camera("gate", SIZE, homography=matrix))
    assert scale.known
    near, far = scale.height(np.array([239.0, 120.0]))
    assert near == pytest.approx(1.7 * 320 / 8, rel=0.03)
    assert far == pytest.approx(near / 2, rel=0.03)


def test_the_height_of_people_is_learnt_in_spite_of_groups():
    scale = Perspective((480, 640))
    rng = np.random.default_rng(0)
    for _ in range(60):
        foot = rng.uniform(150, 470, 2)
        tall = (0.3 * foot - 20) * rng.normal(1, 0.05, 2)
        tall[0] *= 1.9 if rng.random() < 0.2 else 1.0  # two, one above the other
        scale.learn(foot, tall)
    assert scale.known
    assert scale.height(np.array([200.0, 450.0])) == pytest.approx([40, 115], rel=0.15)


def test_on_a_real_street_most_people_are_found(shared):
    from hyla_surveillance.loaders import Recordings

    loader = Recordings()
    items = [one for one in loader.items(str(shared / "data/surveillance/cctv/vtest.avi")) if one.meta["seconds"] < 20]
    model = Motion(SCHEMA)
    found = [model.predict([loader.load(one)])[0] for one in items]
    counts = [len(people(one)) for one in found[80:]]
    assert 3 <= np.mean(counts) <= 9, "there are 4 to 8 in these seconds"
    tall = np.concatenate([people(one).height for one in found[80:]])
    assert 40 < np.median(tall) < 110
