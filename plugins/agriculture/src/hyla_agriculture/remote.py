"""Scenes on other machines, which are fetched from only because their address was named as the source."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.error import URLError
from urllib.parse import urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from hyla.errors import BadItem, ConfigError
from hyla.privacy import leaves
from hyla_agriculture.sources import LARGEST, SceneFiles

SCHEMES = ("https://", "http://", "s3://")
SUFFIXES = (".tif", ".tiff", ".json", ".geojson")
SECRETS = ("sig", "signature", "token", "key", "credential", "password", "secret")  # words in the names of a query's parameters
TIMEOUT = 60  # seconds that a server may keep silent


def is_address(source: str) -> bool:
    """Tell whether `source` is an address of a raster or a STAC item."""
    return source.startswith(SCHEMES) and PurePosixPath(urlsplit(source).path).suffix.lower() in (
        ".tif",
        ".tiff",
        ".json",
        ".geojson",
    )


def check(source: str) -> None:
    """Raise ConfigError for an address with a secret in it, since a project keeps its source, or one without encryption."""
    parts = urlsplit(source)
    words = parts.query.lower().replace("=", "&").split("&")[::2]
    if parts.username or parts.password or any(secret in word for word in words for secret in SECRETS):
        raise ConfigError(
            "the address has a password or a signature in it, and a project keeps its source",
            "leave it out; GDAL takes credentials from the environment: AWS_ACCESS_KEY_ID, GDAL_HTTP_HEADERS, ...",
        )
    if parts.scheme == "http" and leaves(parts.hostname):
        raise ConfigError(f"{parts.hostname} would be read in the clear", "use https://")


def item(address: str) -> SceneFiles:
    """Return the scene of a STAC item at an address, whose assets may be on any machine that it names by https.

    Raises:
        BadItem: for an item that can't be fetched, or is none.
    """
    import pystac

    from hyla_agriculture.places import Places
    from hyla_agriculture.stac_assets import scene_of

    values = _fetch(address)
    try:
        found = pystac.Item.from_dict(values)
    except (
        Exception
    ) as error:  # pystac raises whatever the values it meets make Python raise: KeyError, TypeError, AttributeError
        raise BadItem(f"{address} is no STAC item: {type(error).__name__}: {error}", "name an item, or a COG") from error
    for asset in found.assets.values():
        asset.href = urljoin(address, asset.href)
    hosts = frozenset(host for asset in found.assets.values() if (host := urlsplit(asset.href).hostname))
    nowhere = Path(os.devnull)  # no file of this machine is part of it
    scene = scene_of(found, nowhere / "item.json", Places(nowhere, hosts))
    return SceneFiles(address, scene.name, scene.date, scene.sensor, scene.bands, scene.masks, scene.meta)


def _fetch(address: str) -> dict[str, Any]:
    if address.startswith("s3://"):
        raise BadItem("a STAC item is read by https only", "name its https address, or the COG itself")
    try:
        request = Request(address, headers={"Accept": "application/geo+json, application/json"})  # noqa: S310 - checked
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT) as answer:
            data = answer.read(LARGEST + 1)
        values = json.loads(data) if len(data) <= LARGEST else None
    except (URLError, OSError, ValueError, RecursionError) as error:
        raise BadItem(f"{address} can't be fetched: {error}", "is the address right, and does it need no redirect?") from error
    if not isinstance(values, dict) or values.get("type") != "Feature":
        raise BadItem(f"{address} is no STAC item", "name an item, or a COG")
    return values


class _NoRedirect(HTTPRedirectHandler):
    """Follow no redirect: only the address that was named is asked."""

    def redirect_request(self, *_: Any) -> None:
        return None
