"""Pixels over HTTP: to whom, with which headers, and what odd addresses get."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from starlette.testclient import TestClient

from gallery_scenes import phantom
from hyla.review.app import api
from hyla.review.desk import Desk
from hyla.review.leases import Leases
from hyla.review.media import Media
from hyla.store import Project

# The last photo is the one that a second person must see.
TEXT = "photo 4 9\nvolume 1\nraster 1\nbroken 1\nhuge 1\n"


class Visit:
    """A project that is served in this process, and clients of it by name."""

    def __init__(self, project):
        self.project = project
        self.desk = Desk(project, Leases(), Media(project), 8484)
        self.app = api()
        self.app.state.desk = self.desk
        self.ids = {r.item.meta["made"]: r.item.id for r in project.records()}
        self.client = self.of("ann")

    def of(self, name, role="viewer"):
        client = TestClient(self.app, base_url="http://127.0.0.1:8484", raise_server_exceptions=False)
        client.cookies.set(self.desk.cookie, self.project.login(self.project.invite(name, role)))
        return client

    def get(self, path, **headers):
        return self.client.get(path, headers=headers)

    def crop(self, made, row=0):
        return self.desk.media.crop_url(self.ids[made], self.project.machine_annotation(self.ids[made]), row)


@pytest.fixture
def visit(gallery):
    with Project.open(gallery(TEXT)) as project:
        yield Visit(project)


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def test_pictures_come_as_jpeg_that_never_changes(visit):
    for path in (
        f"/media/{visit.ids['photo']}/image.jpg",
        f"/media/{visit.ids['photo']}/image.jpg?max=1024",
        visit.crop("photo"),
        visit.crop("photo") + "&size=64",
        f"/media/{visit.ids['raster']}/tile/0/0/0.jpg",
        f"/media/{visit.ids['raster']}/tile/3/4/3.jpg?bands=4,3,2&stretch=1-99",
        f"/media/{visit.ids['raster']}/tile/3/4/3.jpg?bands=4&stretch=none",
        f"/media/{visit.ids['huge']}/tile/6/48/31.jpg",
    ):
        answer = visit.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert Pillow.open(io.BytesIO(answer.content)).format == "JPEG"
        again = visit.get(path, **{"if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert visit.get(path, **{"if-none-match": '"other"'}).status_code == 200


def test_what_describe_says_can_be_fetched(visit):
    told = visit.desk.media.describe(visit.project.record(visit.ids["raster"])).tiles
    assert visit.get(told.url.format(z=told.levels - 1, x=4, y=3)).status_code == 200
    assert visit.get(told.url.format(z=told.levels - 1, x=5, y=3)).status_code == 404
    told = visit.desk.media.describe(visit.project.record(visit.ids["volume"])).slices
    answer = visit.get(told.url.format(axis="coronal", first=60, last=61))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-shape"] == "2,40,128"
    found = np.frombuffer(answer.content, "<i2").reshape(2, 40, 128)
    assert np.array_equal(found, phantom()[0][:, 60:62].transpose(1, 0, 2))
    image = visit.desk.media.describe(visit.project.record(visit.ids["photo"])).image
    assert Pillow.open(io.BytesIO(visit.get(image).content)).size == (640, 480)


def test_nobody_gets_nothing(visit):
    stranger = TestClient(visit.app, base_url="http://127.0.0.1:8484")
    etag = visit.get(f"/media/{visit.ids['photo']}/image.jpg").headers["etag"]
    for path in (
        f"/media/{visit.ids['photo']}/image.jpg",
        visit.crop("photo"),
        f"/media/{visit.ids['raster']}/tile/0/0/0.jpg",
        f"/media/{visit.ids['volume']}/slices/axial/0-1",
        f"/api/v1/place/{visit.ids['raster']}?x=0&y=0",
    ):
        assert code(stranger.get(path, headers={"if-none-match": etag})) == (401, "session")


def test_a_crop_tells_nothing_to_who_answers_blind(visit):
    photo, other = visit.ids["photo"], visit.ids["raster"]
    visit.desk.leases.take("ann", "t1", {("item", photo): ("review", "")}, "blind")
    assert code(visit.get(visit.crop("photo"))) == (403, "blind")
    assert visit.get(f"/media/{photo}/image.jpg").status_code == 200
    assert visit.get(visit.crop("raster")).status_code == 200
    assert visit.of("ben").get(visit.crop("photo")).status_code == 200
    assert visit.get(f"/media/{other}/image.jpg").status_code == 200


def test_a_crop_of_the_first_answer_is_kept_from_who_gives_the_second(visit):
    photo = visit.ids["photo"]
    record = visit.project.record(photo)
    made = visit.project.decide(photo, "edit", who="ann", key="k", labels=record.labels[1:])
    assert visit.project.state(photo)["lane"] == "second"
    hers = visit.desk.media.crop_url(photo, made.after["annotation"], 0)
    assert code(visit.of("ben", "reviewer").get(hers)) == (403, "blind")
    assert visit.of("kim", "reviewer").get(visit.crop("photo")).status_code == 200
    assert visit.get(hers).status_code == 200


HUGE = "a" * 400
ODD = [
    ("/media/..%2f..%2fetc%2fpasswd/image.jpg", 404),
    ("/media/%2e%2e/%2e%2e/etc/passwd/image.jpg", 404),
    ("/media/..%5c..%5cwindows/image.jpg", 404),
    ("/media/%2fetc%2fpasswd/image.jpg", 404),
    ("/media/a%00b/image.jpg", 404),
    ("/media/%ff%fe/image.jpg", 404),
    ("/media/%ed%a0%80/image.jpg", 404),
    ("/media/' OR 1=1 --/image.jpg", 404),
    ("/media/source.files%2fbroken-0000.jpg/image.jpg", 404),
    (f"/media/{HUGE}/image.jpg", 422),
    ("/media//image.jpg", 404),
]


@pytest.mark.parametrize(("path", "status"), ODD)
def test_names_are_looked_up_and_never_opened(visit, path, status):
    for one in (path, path.replace("image.jpg", "tile/0/0/0.jpg"), path.replace("image.jpg", "slices/axial/0-1")):
        answer = visit.get(one)
        assert answer.status_code == status, one
        assert answer.headers["content-type"] == "application/json"
        assert "/" not in answer.json()["error"]["message"]
    answer = visit.get(path.replace("/media/", "/api/v1/place/").replace("/image.jpg", "?x=1&y=1"))
    assert answer.status_code in (status, 404)
    answer = visit.get(path.replace("image.jpg", "crop/1/0.jpg"))
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("made", "rest", "status"),
    [
        ("photo", "image.jpg?max=1025", 422),
        ("photo", "image.jpg?max=", 422),
        ("photo", "image.png", 404),
        ("photo", "", 404),
        ("photo", "crop/1/-1.jpg", 422),
        ("photo", "crop/x/0.jpg", 422),
        ("photo", "crop/99999999999999999999/0.jpg", 422),
        ("photo", "crop/9999999/0.jpg", 404),
        ("photo", "crop/1/0.jpg?size=10000", 422),
        ("photo", "crop/1/0.jpg?size=1e2", 422),
        ("photo", "slices/axial/0-1", 404),
        ("huge", "image.jpg", 422),
        ("volume", "image.jpg", 404),
        ("volume", "slices/oblique/0-1", 422),
        ("volume", "slices/axial/0-40", 422),
        ("volume", "slices/axial/1-0", 422),
        ("volume", "slices/axial/-1-0", 422),
        ("volume", "slices/axial/0-99999999999999999999999", 422),
        ("raster", "tile/99/0/0.jpg", 404),
        ("raster", "tile/0/9007199254740991/0.jpg", 404),
        ("raster", "tile/0/9007199254740992/0.jpg", 422),
        ("raster", "tile/0/0/0.jpg?bands=5", 422),
        ("raster", "tile/0/0/0.jpg?bands=b1*9", 422),
        ("raster", "tile/0/0/0.jpg?stretch=__import__", 422),
        ("raster", "tile/0/0/0.jpg?stretch=" + "1" * 99, 422),
        ("raster", "tile/0/0/0.jpg?expression=b1/b2", 200),
    ],
)
def test_parameters_that_can_not_be_are_refused(visit, made, rest, status):
    answer = visit.get(f"/media/{visit.ids[made]}/{rest}")
    assert answer.status_code == status, answer.content[:200]
    if status != 200:
        assert answer.headers["content-type"] == "application/json"


def test_a_file_that_vanished_is_gone_and_no_path_is_told(visit):
    for path in (f"/media/{visit.ids['broken']}/image.jpg", visit.crop("broken")):
        answer = visit.get(path)
        assert code(answer) == (410, "gone")
        assert visit.project.source().rsplit("/", 1)[0] not in answer.text
        assert "etag" not in answer.headers


def test_places(visit):
    answer = visit.get(f"/api/v1/place/{visit.ids['raster']}?x=10&y=20.5")
    assert answer.json() == {"crs": "EPSG:32633", "x": 500005, "y": 4649989.75, **{k: answer.json()[k] for k in ("lon", "lat")}}
    assert answer.json()["lon"] == pytest.approx(15, abs=0.001)
    assert code(visit.get(f"/api/v1/place/{visit.ids['photo']}?x=1&y=1")) == (404, "map")
    for query in ("", "?x=1", "?x=nan&y=1", "?x=inf&y=1", "?x=1e99&y=1", "?x=a&y=1"):
        assert visit.get(f"/api/v1/place/{visit.ids['raster']}{query}").status_code == 422


def test_another_project_at_the_same_address_has_other_tags(visit, gallery):
    with Project.open(gallery(TEXT)) as project:
        other = Visit(project)
        path = f"/media/{visit.ids['photo']}/image.jpg"
        assert visit.get(path).headers["etag"] != other.get(path).headers["etag"]
        assert visit.crop("photo") != other.crop("photo")
