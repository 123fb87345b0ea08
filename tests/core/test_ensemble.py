"""Ensemble: labels side by side, memory and provenance of all members."""

from __future__ import annotations

import numpy as np
import pytest

from hyla.ensemble import Ensemble
from hyla.errors import ConfigError, StageError
from hyla.hooks import Model, hookimpl
from hyla.types import Image, Item, Labels


class Marker(Model):
    def __init__(self, class_id, log=None, memory=False, digest="", **extra):
        self.class_id, self.log, self.memory, self.digest, self.extra = (
            class_id,
            [] if log is None else log,
            memory,
            digest,
            extra,
        )

    @hookimpl
    def predict(self, images):
        self.log.append(self.class_id)
        return [Labels.of([self.class_id], [[0, 0, 1 + image.item.index, 1]], **self.extra) for image in images]

    @hookimpl
    def forget(self, group):
        self.log.append(group)

    @hookimpl
    def provenance(self):
        return {"name": f"marker{self.class_id}", **({"digest": self.digest} if self.digest else {})}


def images(n):
    return [Image(np.zeros((8, 8, 3), np.uint8), Item(f"i{k}", f"i{k}.png", "clip", k)) for k in range(n)]


def test_labels_are_joined_per_image_in_the_order_of_the_members():
    log = []
    ensemble = Ensemble(
        {
            "tracker": Marker(1, log, memory=True, context={"weather": "rain", "seen": True}),
            "lanes": Marker(0, log, attributes={"marking": ["solid"]}, context={"weather": "dry"}),
        }
    )
    first, second = ensemble.predict(images(2))
    assert first.class_id.tolist() == [1, 0]
    assert second.box[:, 2].tolist() == [2, 2]
    assert first.attributes["marking"].tolist() == [None, "solid"]
    assert first.context == {"weather": "dry", "seen": True}
    assert log == [0, 1], "what remembers is asked last"


def test_memory_and_forget():
    log = []
    assert not Ensemble({"a": Marker(0), "b": Marker(1)}).memory
    ensemble = Ensemble({"a": Marker(0, log), "b": Marker(1, log, memory=True)})
    assert ensemble.memory
    ensemble.forget("clip")
    assert log == ["clip", "clip"]


def test_provenance_names_every_member():
    facts = Ensemble({"boxes": Marker(0, digest="ab" * 32), "lanes": Marker(1)}).provenance()
    assert facts["name"] == "marker0+marker1"
    assert facts["boxes.digest"] == "ab" * 32
    assert len(facts["digest"]) == 64
    assert "digest" not in Ensemble({"lanes": Marker(1)}).provenance()
    other = Ensemble({"boxes": Marker(0, digest="cd" * 32), "lanes": Marker(1)}).provenance()
    assert other["digest"] != facts["digest"]


def test_no_members_or_no_model_is_an_error():
    with pytest.raises(ConfigError, match="at least one member"):
        Ensemble({})
    with pytest.raises(ConfigError, match="at least one member"):
        Ensemble({"lanes": None})
    with pytest.raises(ConfigError, match="'oops' is no model"):
        Ensemble({"oops": object()})
    with pytest.raises(ConfigError, match="'bare' is no model"):
        Ensemble({"bare": Model()})


def test_a_member_that_gives_too_few_answers_is_named():
    class Short(Marker):
        @hookimpl
        def predict(self, images):
            return []

    with pytest.raises(StageError, match="'short' gave 0 answers for 2 images"):
        Ensemble({"short": Short(0)}).predict(images(2))


def test_a_member_without_forget_or_provenance_is_enough():
    class Plain:
        def predict(self, images):
            return [Labels.of([3], [[0, 0, 1, 1]]) for _ in images]

    ensemble = Ensemble({"plain": Plain()})
    ensemble.forget("clip")
    assert ensemble.provenance() == {"name": "plain"}
    assert ensemble.predict(images(1))[0].class_id.tolist() == [3]
