"""Read a tree of product categories: GS1 GPC, Google's product taxonomy, or a shop's own; and make classes of it.

    python -m hyla_retail.taxonomy categories.csv --levels 2 --name ours --to conf

writes `conf/preset/ours.yaml`, a preset with the upper levels of the tree as classes below those of `retail`:
`hyla run --config-dir conf preset=ours source=photos/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Ints
from hyla_retail.categories import words
from hyla_retail.taxonomy_files import MOST_LEVELS, Row, folders, rows_of

SHOWN = 5  # broken rows that a message names


@dataclass(frozen=True, eq=False)
class Taxonomy:
    """Hold n categories as parallel arrays, parents before children.

    Args:
        scheme: gpc, google or own.
        version: as the file states it, or empty.
        digest: sha256 of the file, which pins it.
        code: (n,) codes, empty where the file has none.
        name: (n,) names.
        parent: (n,) row of the category above, -1 at the top.
        depth: (n,) levels above it, 0 at the top.
    """

    scheme: str
    version: str
    digest: str
    code: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    parent: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    depth: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.name)

    def path(self, i: int) -> tuple[int, ...]:
        """Return the rows from the top down to category `i`, itself included."""
        rows = [i]
        while (above := int(self.parent[rows[-1]])) >= 0:
            rows.append(above)
        return tuple(reversed(rows))

    def names(self, i: int) -> tuple[str, ...]:
        """Return the names from the top down to category `i`, itself included."""
        return tuple(self.name[row] for row in self.path(i))

    def lca(self, i: int, j: int) -> int:
        """Return the lowest category that has both `i` and `j` below it or is one of them; -1 if only the top joins them."""
        shared = [a for a, b in zip(self.path(i), self.path(j), strict=False) if a == b]
        return shared[-1] if shared else -1

    def find(self, text: str) -> int:
        """Return the category with this code, this path (`A > B`) or this name; -1 if none has, or a name stands twice."""
        if (code := text.strip()) in self._by_code:
            return self._by_code[code]
        for steps in ([text], text.split(">"), text.split("/")):
            if found := self._by_name.get(tuple(words(step) for step in steps)):
                return found[0] if len(found) == 1 else -1
        return -1

    @cached_property
    def _by_code(self) -> dict[str, int]:
        return {code: i for i, code in enumerate(self.code) if code}

    @cached_property
    def _by_name(self) -> dict[tuple[str, ...], list[int]]:
        found: dict[tuple[str, ...], list[int]] = {}
        for i in range(len(self)):
            keys = tuple(words(name) for name in self.names(i))
            for key in {keys, keys[-1:]}:
                found.setdefault(key, []).append(i)
        return found


def read(file: str | Path, pin: str = "") -> Taxonomy:
    """Read a taxonomy from an XML or JSON file of GS1 GPC, Google's text file, a CSV or list of paths, or a folder tree.

    Args:
        file: the file or folder.
        pin: version or beginning of the digest (at least 8 digits) that it must have, so that codes can't change their meaning.

    Raises:
        ConfigError: for a file that can't be read or holds no categories or more than 64 levels; for orphans, circles and
            codes that come twice, with their rows; for another version than `pin`.
    """
    path = Path(file)
    if not path.exists():
        raise ConfigError(f"there is no taxonomy {path.name}", f"looked for {path}")
    if path.is_dir():
        rows = list(folders(path))
        made = _tree("own", "", sha256("\n".join(row.key for row in rows).encode()).hexdigest(), rows, path.name)
    else:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path} can't be read: {error.strerror or error}") from error
        scheme, version, found = rows_of(path, data)
        made = _tree(scheme, version, sha256(data).hexdigest(), list(found), path.name)
    if pin and pin != made.version and not (len(pin) >= 8 and made.digest.startswith(pin)):
        raise ConfigError(
            f"{path.name} is version {made.version or '(none stated)'}, sha256 {made.digest[:12]}, and {pin!r} is asked for",
            "get that version again, or look through what changed and set the new one",
        )
    return made


def _tree(scheme: str, version: str, digest: str, rows: Sequence[Row], file: str) -> Taxonomy:
    wrong: list[str] = []
    at: dict[str, int] = {}
    codes: dict[str, int] = {}
    for i, row in enumerate(rows):
        if not row.name:
            wrong.append(f"{row.where} has no name")
        for known, key, what in ((at, row.key, "category"), (codes, row.code, "code")):
            if not key:
                continue
            if key in known and (what == "code" or not (row.code and not rows[known[key]].code)):
                wrong.append(f"{row.where} has the {what} {key!r} again, first in {rows[known[key]].where}")
            else:
                known[key] = i
    kept = sorted(at.values())  # a path met first as a parent, and later in its own row with its code, is the later one
    above = {i: at.get(rows[i].parent, -1) for i in kept}
    lost = [i for i in kept if rows[i].parent and above[i] < 0]
    wrong += [f"{rows[i].where} has the parent {rows[i].parent!r}, which is not there, or there twice" for i in lost]
    depth = _depths(above)
    wrong += [f"{rows[i].where} ({rows[i].name}) lies below itself" for i in kept if i not in depth]
    deep = [i for i in kept if depth.get(i) == MOST_LEVELS]
    wrong += [f"{rows[i].where} ({rows[i].name}) lies deeper than {MOST_LEVELS} levels" for i in deep]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ConfigError(f"{file} is no tree: {'; '.join(dict.fromkeys(wrong[:SHOWN]))}{more}", "mend these rows")
    if not kept:
        raise ConfigError(f"{file} has no categories")
    order = sorted(kept, key=lambda i: (depth[i], i))
    place = {i: n for n, i in enumerate(order)} | {-1: -1}
    return Taxonomy(
        scheme,
        version,
        digest,
        tuple(rows[i].code for i in order),
        tuple(rows[i].name for i in order),
        np.array([place[above[i]] for i in order], dtype=np.int64),
        np.array([depth[i] for i in order], dtype=np.int64),
    )


def _depths(above: dict[int, int]) -> dict[int, int]:
    depth = {-1: -1}
    for start in above:
        chain, met = [start], {start}
        while chain[-1] not in depth and above[chain[-1]] not in met:
            chain.append(above[chain[-1]])
            met.add(chain[-1])
        if chain[-1] in depth:
            for i in reversed(chain[:-1]):
                depth[i] = depth[above[i]] + 1
    return depth


if __name__ == "__main__":
    from hyla_retail.taxonomy_preset import main

    main()
