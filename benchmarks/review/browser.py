"""A real Chromium on a real server: pages with the probe in them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Browser, BrowserType, Page
from projects import Projects

TESTS = Path(__file__).resolve().parents[2] / "tests"
if TYPE_CHECKING:
    from served import Served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [  # those of the tests of the page
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--force-device-scale-factor=1", "--font-render-hinting=none"),
]
PROBE = Path(__file__).with_name("probe.js").read_text(encoding="utf-8")
VIEWPORT = {"width": 1600, "height": 900}
PACE_MS = 350  # between two decisions of a person in a hurry


@dataclass
class Bench:
    """Hold what every measurement needs.

    Args:
        chromium: starts a browser; each measurement has one of its own.
        projects: makes what is measured.
        n: repetitions.
        quick: smaller projects, for a trial.
    """

    chromium: BrowserType
    projects: Projects
    n: int
    quick: bool

    @contextmanager
    def browser(self) -> Iterator[Browser]:
        if CHROMIUM is None:
            raise SystemExit("chromium is not installed")
        browser = self.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()

    @contextmanager
    def page(self, project: Path, screen: str = "queue") -> Iterator[tuple[Page, Served]]:
        """Serve a project, and open a screen of its page with the probe in it."""
        with self.served(project) as here, self.browser() as browser:
            page = browser.new_page(viewport=VIEWPORT, color_scheme="light")  # type: ignore[arg-type]
            page.set_default_timeout(120_000)
            page.add_init_script(PROBE)
            page.goto(here.links["ann"])
            page.wait_for_selector("main h1")
            if screen != "queue":
                page.goto(f"{here.address}#/{screen}")
            yield page, here

    @contextmanager
    def served(self, project: Path) -> Iterator[Served]:
        if str(TESTS) not in sys.path:
            sys.path.append(str(TESTS))
        from served import served

        paths = [str(self.projects.site), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, paths)))
        with served(project, "--test-hooks") as here:
            yield here


def timed(page: Page, key: str, done: str, before: str = "null") -> dict[str, float]:
    """Press a key and return what the probe says, once `done` holds; both are JavaScript, `before` as it is before the key."""
    page.evaluate(f"() => {{ const before = {before}; __bench.arm('keydown', () => {done}); }}")
    page.keyboard.press(key)
    return result(page)


def result(page: Page) -> dict[str, float]:
    found: dict[str, Any] = page.evaluate("() => __bench.result")
    return found


def start(page: Page) -> None:
    """Click on Start in the queue, and wait for the first item."""
    page.get_by_role("button", name="Start re").click()
    page.wait_for_function("() => window.__hyla?.bench?.ready && __hyla.bench.picture.bitmap")


def rest(page: Page, ms: int = PACE_MS) -> None:
    """Do nothing for a while, as a person does between two keys."""
    page.wait_for_timeout(ms)


def painted(one: dict[str, float]) -> float:
    return one["painted"] - one["key"]
