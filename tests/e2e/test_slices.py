"""A structure is accepted slice by slice: marks are no decision, the last one makes it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from gallery_scenes import phantom
from page_kit import decisions, holds, press, saved, settle
from served import Served
from volume_kit import Volume

OPEN = "() => window.__hyla.bench.work.entries().filter((entry) => entry.open).map((entry) => entry.label.class)"


@pytest.fixture
def volume(serve: Callable[..., Served], visit: Callable[..., Page]) -> Volume:
    here = serve("volume 1")
    return Volume(here, visit(here))


def test_a_range_of_slices_and_the_last_one_accept_a_structure(volume: Volume) -> None:
    page, name = volume.page, "heart"
    assert name in page.evaluate(OPEN)
    has = np.flatnonzero(phantom()[1][name].any(axis=(1, 2)))
    first, last = int(has[0]), int(has[-1])
    page.locator("button.row", has_text=name).click()
    said = page.get_by_role("status").filter(has_text="are right")
    expect(said).to_have_text(f"0 of {len(has)} are right")

    volume.go(first)
    press(page, "u")
    expect(said).to_have_text(f"1 of {len(has)} are right")
    volume.go(last - 1)
    page.get_by_role("button", name="Up to here").click()
    expect(said).to_have_text(f"{len(has) - 1} of {len(has)} are right")

    page.get_by_role("button", name="Erase").click()
    volume.drag(*[tuple(np.argwhere(phantom()[1][name][last - 1]).mean(axis=0)[::-1] + 0.5)] * 2)
    expect(said).to_have_text(f"{len(has) - 2} of {len(has)} are right")  # what was painted on must be looked at again
    press(page, "z")
    press(page, "u")
    expect(said).to_have_text(f"{len(has) - 1} of {len(has)} are right")
    assert decisions(volume.here.project) == []

    volume.go(last)
    press(page, "u")
    settle(page)
    saved(page)
    assert name not in page.evaluate(OPEN)
    [one] = decisions(volume.here.project)
    assert (one.action, one.who) == ("accept", "ann")
    holds(volume.here.project)
