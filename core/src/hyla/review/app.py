"""Put the server together: endpoints, the built page, and errors as JSON."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from hyla.errors import ConfigError, HylaError
from hyla.review import clips, decide, grid, items, media_routes, names, people, places, queue, refine, stats, wire
from hyla.review.desk import Desk
from hyla.review.guard import Guard
from hyla.review.problems import code_of

STATIC = "HYLA_REVIEW_STATIC"  # for who works on the page: a folder with another build of it
FOREVER = "public, max-age=31536000, immutable"
REFUSALS: dict[int | str, dict[str, object]] = {422: {"model": wire.Failure}, "4XX": {"model": wire.Failure}}
CODES = {404: "path", 405: "method", 413: "size"}
log = logging.getLogger("hyla.review")


def api() -> FastAPI:
    """Return the application without a project: what the page's types are made from."""
    app = FastAPI(title="Hyla review", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    for part in (people, queue, items, refine, decide, grid, names, clips, places, stats):
        app.include_router(part.router, prefix="/api/v1", responses=REFUSALS)
    app.include_router(media_routes.router)
    app.add_exception_handler(HylaError, _hyla)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)
    return app


def make(desk: Desk, hosts: Collection[str] = ()) -> Guard:
    """Return the application that serves the project of `desk`.

    Args:
        desk: what the endpoints share.
        hosts: values of the Host header that are ours; those of the loopback address on the desk's port if not given.

    Raises:
        ConfigError: if the page was not built.
    """
    app = api()
    app.state.desk = desk
    home = static()

    @app.get("/", include_in_schema=False)
    def index() -> Response:
        return FileResponse(home / "index.html", headers={"cache-control": "no-store"})

    app.mount("/", _Assets(directory=home, check_dir=False))
    names = hosts or [f"{name}:{desk.port}" for name in ("127.0.0.1", "localhost", "[::1]")]
    return Guard(app, names)


def static() -> Path:
    """Return the folder of the built page; raise ConfigError if it is not there."""
    home = Path(os.environ.get(STATIC) or Path(__file__).with_name("static"))
    if not (home / "index.html").is_file():
        raise ConfigError("the review page was not built", "in a checkout: make ui")
    return home


class _Assets(StaticFiles):
    """Serve the files of the page; those with a hash in their name never change."""

    def file_response(self, full_path: str | os.PathLike[str], *more: object, **named: object) -> Response:
        response = super().file_response(full_path, *more, **named)  # type: ignore[arg-type]
        response.headers["cache-control"] = FOREVER if Path(full_path).parent.name == "assets" else "no-cache"
        return response


def _failure(status: int, code: str, what: str, hint: str = "") -> JSONResponse:
    return JSONResponse(wire.Failure(error=wire.Problem(code=code, message=what, hint=hint)).model_dump(), status)


def _hyla(_: Request, error: Exception) -> Response:
    assert isinstance(error, HylaError)
    return _failure(*code_of(error), error.what, error.hint)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _failure(422, "invalid", f"{where}: {first['msg']}")


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _failure(error.status_code, CODES.get(error.status_code, "http"), str(error.detail))


def _unknown(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _failure(500, "server", "the server made a mistake; the decision was not stored", "try again; the terminal says more")
