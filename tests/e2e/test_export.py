"""What people corrected leaves with `hyla export`, in every format, and `hyla verify` holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from page_kit import (
    another,
    as_json,
    choose,
    drag,
    exported,
    holds,
    hyla,
    labels,
    near,
    one_open,
    press,
    read_back,
    saved,
    seen,
    start,
    state,
)
from served import Served


def test_corrected_labels_leave_with_the_export(serve: Callable[..., Served], visit: Callable[..., Page], tmp_path: Path) -> None:
    here = serve("photo 24 9")
    there = here.project
    page = visit(here)
    choose(page, "Review", "Low score")

    moved = one_open(page, start(page), "box")
    row = moved["selected"]
    x0, y0, x1, y1 = moved["labels"][row]["box"]
    drag(page, (x1, y1), (x1 - 20, y1 - 15))
    press(page, "a")
    named = one_open(page, another(page, moved["id"]), "box")
    press(page, "2")
    assert seen(page)["labels"][named["selected"]]["class"] == "truck"
    press(page, "Enter")
    dropped = one_open(page, another(page, named["id"]))
    press(page, "Delete")
    added = another(page, dropped["id"])
    press(page, "Escape", "b")
    drag(page, (300, 250), (340, 290))  # of the class that was used last for a box
    press(page, "Enter")
    another(page, added["id"])
    saved(page)
    assert all(state(there, one["id"])["outcome"] == "accept" for one in (moved, named, dropped, added))

    box = [x0, y0, x1 - 20, y1 - 15]
    by_jsonl = read_back(there, "jsonl", tmp_path / "jsonl")
    by_coco = read_back(there, "coco", tmp_path / "coco")
    for found in (by_jsonl, by_coco):
        assert any(one["class"] == moved["labels"][row]["class"] and near(one["box"], box, 1) for one in found[moved["id"]])
        kept = next(one for one in found[named["id"]] if near(one["box"], named["labels"][named["selected"]]["box"], 0.01))
        assert kept["class"] == "truck"
        gone = dropped["labels"][dropped["selected"]]
        assert not [one for one in found[dropped["id"]] if one["class"] == gone["class"] and near(one["box"], gone["box"], 1)]
        assert [one for one in found[added["id"]] if one["class"] == "truck" and near(one["box"], [300, 250, 340, 290], 1)]
    assert {item: as_json(labels(there, item)) for item in by_jsonl} == by_jsonl, "and all else as it holds"

    # YOLO: one text file for a picture, lines of class number and shares of its size.
    folder = exported(there, "yolo", tmp_path / "yolo")
    listed = [json.loads(line) for line in (folder / "images.jsonl").read_text().splitlines()]
    picture = next(Path(one["file"]) for one in listed if one["id"] == added["id"])
    text = (folder / "labels" / picture).with_suffix(".txt").read_text()
    lines = [[float(word) for word in line.split()] for line in text.splitlines()]
    assert any(near(line[1:], [320 / 640, 270 / 480, 40 / 640, 40 / 480], 0.003) for line in lines)

    told = json.loads(hyla("verify", str(there), "--json"))  # it would end with 1 if anything did not hold
    assert (told["decisions"], told["problems"]) == (4, [])
    holds(there)
