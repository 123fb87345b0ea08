"""Say which rasters and documents a document of the source may lead to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import url2pathname

from hyla.privacy import leaves
from hyla_agriculture.sources import inside


@dataclass(frozen=True)
class Places:
    """Say where rasters and documents may lie.

    Args:
        root: the source.
        hosts: machines whose https addresses may be taken.
    """

    root: Path
    hosts: frozenset[str] = frozenset()

    def local(self, href: str, folder: Path) -> Path | None:
        """Return the file of the source that `href`, found in a document of `folder`, means; None where there is none."""
        parts = split(href)
        names = [url2pathname(parts.path)] if parts.scheme == "file" else [] if is_address(href) else [href, unquote(href)]
        for name in names:
            path = Path(os.path.normpath(folder / name)) if name and "\0" not in name else None
            if path and not path.is_relative_to(self.root) and path.is_relative_to(self.root.resolve()):
                path = self.root / path.relative_to(self.root.resolve())
            if path and path.is_relative_to(self.root) and inside(path, self.root):
                return path
        return None

    def find(self, href: str, folder: Path) -> str | None:
        """Return the path of a raster, or its address if its host may be asked; None where it must not or can't be read."""
        parts = split(href)
        copy = PurePosixPath(parts.path).name if is_address(href) else ""  # beside the document, it stands for the address
        if path := self.local(href, folder) or self.local(copy, folder):
            return str(path)
        safe = parts.scheme == "https" or (parts.scheme == "http" and not leaves(parts.hostname))
        return href if safe and parts.hostname in self.hosts else None


def split(href: str) -> SplitResult:
    """Return the parts of an address; one that is none, as `//[`, has no parts."""
    try:
        return urlsplit(href)
    except ValueError:
        return SplitResult("", "", "", "", "")


def is_address(href: str) -> bool:
    """Tell whether `href` is of another machine; a single letter before the colon is a drive."""
    return bool(re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:", href)) and not href.lower().startswith("file:")
