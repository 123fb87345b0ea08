"""Label Studio beside it: the same pictures, the same number of shapes, the same browser and probe.

It is installed into an environment of its own below a folder that is given (1 GB, from a package index), with SQLite and the
server that it comes with, as somebody would use it alone on one machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import numpy as np
import stages
from browser import PROBE, VIEWPORT, Bench, painted, rest, result
from canvas import glide
from figures import Figure
from playwright.sync_api import Page

from hyla.types import Item

RELEASE = "label-studio==1.23.2"
PORT = 8871
BASE = f"http://127.0.0.1:{PORT}"
PERSON, WORD, TOKEN = "ann@example.org", "benchmark1", "0123456789abcdef0123456789abcdef01234567"
CONFIG = (
    '<View><Image name="image" value="$image"/><{0}Labels name="label" toName="image"><Label value="{1}"/></{0}Labels></View>'
)
WARM = 2
STEPS = 60
PATIENCE_S = 20  # for those steps
PICTURE = "document.querySelector('img[alt=image]')"
OTHER = f"""(() => {{
  const picture = {PICTURE};
  return picture?.complete && picture.src !== before && picture.naturalWidth && document.querySelector(".lsf-tree__node");
}})()"""
SHOWN = f"() => {PICTURE}?.complete && {PICTURE}.naturalWidth && document.querySelectorAll('.lsf-tree__node').length > 5"


def label_studio(bench: Bench, folder: Path) -> list[Figure]:
    shapes = 1000 if bench.quick else 5000
    bench.projects.photos(60)
    bench.projects.field(5000)
    with running(bench, folder.resolve()), bench.browser() as browser:
        page = browser.new_page(viewport=VIEWPORT)  # type: ignore[arg-type]
        page.set_default_timeout(300_000)
        page.add_init_script(PROBE)
        login(page)
        boxes = project(bench, "Rectangle", "car", [(f"photos-60/source/photo-{i:02d}.jpg", cars(i)) for i in range(60)])
        page.goto(f"{BASE}/projects/{boxes}/data?labeling=1")
        page.wait_for_function(SHOWN)
        spent = [submit(page) for _ in range(WARM + bench.n)][WARM:]
        polygons = project(bench, "Polygon", "roof", [("field-5000/source/field-00.jpg", roofs(shapes))])
        began = time.perf_counter()
        page.goto(f"{BASE}/projects/{polygons}/data?labeling=1")
        page.wait_for_function(SHOWN)
        opened = time.perf_counter() - began
        frames, moves = pan(page)
    return [
        Figure("Label Studio: next task (photo of 1920 x 1080, 10 boxes): key to painted", spent),
        Figure(f"Label Studio: {shapes:,} polygons of 12 points, moved", frames, "fps"),
        Figure("- a move of the mouse, until the page has dealt with it", moves),
        Figure(f"Label Studio: {shapes:,} polygons of 12 points, opened with the page", [opened], "s"),
    ]


def submit(page: Page) -> float:
    """Press Ctrl+Enter and wait for the next picture and the first of its boxes."""
    rest(page, 1000)
    page.keyboard.down("Control")
    page.evaluate(f"() => {{ const before = {PICTURE}.src; __bench.arm('keydown', () => {OTHER}); }}")
    page.keyboard.press("Enter")
    page.keyboard.up("Control")
    return painted(result(page))


def pan(page: Page) -> tuple[list[float], list[float]]:
    """Drag the picture with the hand; return what `glide` does."""
    rest(page, 5000)
    page.mouse.move(600, 400)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)  # what fits the view can't be moved
    page.keyboard.up("Control")
    rest(page, 5000)
    page.keyboard.press("h")
    before = page.screenshot(timeout=0)
    page.mouse.down()
    frames, moves = glide(page, [(600 + 2 * i, 400 + i) for i in range(STEPS)], PATIENCE_S)
    assert page.screenshot(timeout=0) != before, "the picture did not follow the mouse"
    page.mouse.up()
    return frames, moves


def login(page: Page) -> None:
    page.goto(f"{BASE}/user/login")
    page.fill("input[name=email]", PERSON)
    page.fill("input[name=password]", WORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{BASE}/")


def project(bench: Bench, kind: str, name: str, tasks: list[tuple[str, list[dict[str, Any]]]]) -> int:
    """Make a project of pictures below the kept ones, with predictions that are shown; return its number."""
    made = ask(
        "POST", "/api/projects/", {"title": name, "label_config": CONFIG.format(kind, name), "show_collab_predictions": True}
    )
    number = int(made["id"])
    folder = str((bench.projects.home / tasks[0][0]).parent)
    ask("POST", "/api/storages/localfiles", {"project": number, "path": folder, "title": name, "use_blob_urls": True})
    rows = [
        {"data": {"image": f"/data/local-files/?d={path}"}, "predictions": [{"model_version": "m", "result": found}]}
        for path, found in tasks
    ]
    ask("POST", f"/api/projects/{number}/import", rows)
    ask("PATCH", f"/api/projects/{number}", {"model_version": "m"})
    return number


def cars(number: int) -> list[dict[str, Any]]:
    """Return the boxes of a photo as Label Studio has them: in percent."""
    height, width = stages.PHOTO
    item = Item("", "", meta={"number": number, "labels": 10})
    found = []
    for i, (_, _, _, (x0, y0, x1, y1), *_) in enumerate(stages.cars(item)):
        x, y, w, h = 100 * x0 / width, 100 * y0 / height, 100 * (x1 - x0) / width, 100 * (y1 - y0) / height
        value = {"x": x, "y": y, "width": w, "height": h, "rotation": 0, "rectanglelabels": ["car"]}
        found.append(region(f"{number}-{i}", "rectanglelabels", value, stages.PHOTO))
    return found


def roofs(labels: int) -> list[dict[str, Any]]:
    share = 100 / np.array(stages.FIELD[::-1])
    found = []
    for i, (_, _, (ring,), *_) in enumerate(stages.roofs(Item("", "", meta={"labels": labels}))):
        value = {"points": (ring * share).tolist(), "closed": True, "polygonlabels": ["roof"]}
        found.append(region(str(i), "polygonlabels", value, stages.FIELD))
    return found


def region(name: str, kind: str, value: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    place = {"from_name": "label", "to_name": "image", "original_height": size[0], "original_width": size[1]}
    return {"id": name, "type": kind, "value": value, **place}


def ask(method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
    with urlopen(Request(BASE + path, data, headers, method=method), timeout=300) as answer:
        return json.loads(answer.read() or "null")


@contextmanager
def running(bench: Bench, folder: Path) -> Iterator[None]:
    home = folder / "label-studio"
    if not (home / "ready").is_file():
        print(f"installing {RELEASE} into {home}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin/pip"), "install", "--quiet", RELEASE], check=True)
        (home / "ready").touch()
    data = bench.projects.scratch / "label-studio"
    data.mkdir()
    words = ["start", "bench", "--init", "--no-browser", "--data-dir", str(data), "--port", str(PORT), "--host", BASE]
    words += [
        "--username",
        PERSON,
        "--password",
        WORD,
        "--user-token",
        TOKEN,
        "--enable-legacy-api-token",
        "--log-level",
        "ERROR",
    ]
    env = {**os.environ, "COLLECT_ANALYTICS": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": ""}
    env |= {
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(bench.projects.home),
    }
    with (data / "log").open("w") as log:
        process = subprocess.Popen([str(home / "bin/label-studio"), *words], stdout=log, stderr=log, env=env)
        try:
            for _ in range(300):
                try:
                    ask("GET", "/api/version")
                    break
                except (URLError, ConnectionError):
                    time.sleep(1)
            else:
                raise SystemExit("Label Studio did not start within 5 minutes:\n" + (data / "log").read_text()[-2000:])
            yield
        finally:
            process.kill()
            process.wait()
