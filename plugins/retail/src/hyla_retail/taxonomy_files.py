"""Read the nodes of a taxonomy from the formats in which taxonomies are published: see `hyla_retail.taxonomy.read`."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from hyla.errors import ConfigError

MOST_LEVELS = 64  # a tree of more is none that was made for goods, and its paths may need more memory than there is
GPC_LEVELS = ("segment", "family", "class", "brick")  # below them are attributes, which are no categories
_COLUMNS = {
    "code": ("code", "id", "key", "category_id"),
    "name": ("name", "title", "text", "label", "category"),
    "parent": ("parent", "parent_id", "parent_code", "parent_name"),
    "path": ("path", "category_path", "full_path", "breadcrumb"),
}


class Row(NamedTuple):
    """Hold one node as a file has it.

    Args:
        where: row number from 1, or what else finds it in the file.
        code: in the taxonomy, or empty.
        name: without those above it.
        parent: key of the node above, or empty.
        key: what children call it by.
    """

    where: str
    code: str
    name: str
    parent: str
    key: str


def rows_of(path: Path, data: bytes) -> tuple[str, str, Iterable[Row]]:
    """Return scheme (gpc, google or own), version (empty if the file states none) and the nodes of a file with content `data`.

    Raises:
        ConfigError: for what is none of the formats that `hyla_retail.taxonomy.read` knows.
    """
    if path.suffix.lower() == ".xml":
        return _xml(path, data)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 text", "save it again as UTF-8") from error
    if path.suffix.lower() == ".json":
        return _json(path, text)
    if path.suffix.lower() in (".csv", ".tsv"):
        return "own", "", _table(path, text)
    match = re.match(r"#\s*Google_Product_Taxonomy_Version:\s*(\S+)", text)
    lines = [(n, *_coded(line)) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    return "google" if match else "own", match[1] if match else "", _paths(lines, strict=bool(match))


def _xml(path: Path, data: bytes) -> tuple[str, str, Iterable[Row]]:
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException, LookupError, ValueError) as error:  # the last two of an encoding
        raise ConfigError(f"{path.name} is no XML that can be read: {error}", "GS1 publishes GPC as XML and as JSON") from error

    def walk() -> Iterator[Row]:
        todo = [(one, "") for one in root]
        for one, parent in todo:
            if one.tag.rpartition("}")[2] in GPC_LEVELS and one.get("active", "true").lower() != "false":
                code = one.get("code", "")
                yield Row(f"code {code}", code, one.get("text", ""), parent, code)
                todo += [(below, code) for below in one]

    return "gpc", root.get("dateUtc", ""), walk()


def _json(path: Path, text: str) -> tuple[str, str, Iterable[Row]]:
    try:
        whole = json.loads(text)
        top = _list(whole["Schema"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(f"{path.name} is no GPC file: it has no list Schema", "GS1 publishes GPC as XML and as JSON") from error

    def walk() -> Iterator[Row]:
        todo = [(one, "") for one in top]
        for one, parent in todo:
            if not isinstance(one, dict) or not {"Level", "Code", "Title"} <= set(one):
                raise ConfigError(f"{path.name}: below {parent or 'Schema'} is an entry without Level, Code and Title")
            code = str(one["Code"])
            try:
                level, below = int(one["Level"]), _list(one.get("Childs") or [])
            except (TypeError, ValueError, OverflowError) as error:
                raise ConfigError(f"{path.name}: code {code} has no number as Level, or no list as Childs") from error
            if level <= len(GPC_LEVELS) and one.get("Active", True):
                yield Row(f"code {code}", code, str(one["Title"]), parent, code)
                todo += [(each, code) for each in below]

    return "gpc", str(whole.get("DateUtc", "")), walk()


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("is no list")
    return value


def _table(path: Path, text: str) -> Iterable[Row]:
    first = text.partition("\n")[0]
    sign = max("\t;,|", key=first.count)
    try:
        table = list(csv.reader(StringIO(text), delimiter=sign))
    except csv.Error as error:
        raise ConfigError(
            f"{path.name} is no table that can be read: {error}", "look for a quote that is never closed"
        ) from error
    head = [re.sub(r"\W+", "_", cell.strip().casefold()) for cell in table[0]] if table else []
    at = {kind: next((i for i, cell in enumerate(head) if cell in names), -1) for kind, names in _COLUMNS.items()}
    if at["path"] < 0 and (at["name"] < 0 or at["parent"] < 0):
        raise ConfigError(
            f"{path.name} has the columns {', '.join(head)}", "it needs path; or name and parent, with code if there are codes"
        )

    def cell(row: list[str], kind: str) -> str:
        return row[at[kind]].strip() if 0 <= at[kind] < len(row) else ""

    rows = [(n, row) for n, row in enumerate(table[1:], 2) if any(one.strip() for one in row)]
    if at["path"] >= 0:
        return _paths([(n, cell(row, "code"), cell(row, "path")) for n, row in rows])
    keys = [cell(row, "code") or cell(row, "name") for _, row in rows]
    known, named = set(keys), dict[str, list[str]]()
    for key, (_, row) in zip(keys, rows, strict=True):
        named.setdefault(cell(row, "name"), []).append(key)

    def above(parent: str) -> str:  # by its code, or by a name that stands once
        found = named.get(parent, [])
        return found[0] if parent not in known and len(found) == 1 else parent

    return [
        Row(f"row {n}", cell(row, "code"), cell(row, "name"), above(cell(row, "parent")), key)
        for key, (n, row) in zip(keys, rows, strict=True)
    ]


def _coded(line: str) -> tuple[str, str]:
    match = re.match(r"\s*(\d+)\s+-\s+(.*)$", line)
    return (match[1], match[2]) if match else ("", line)


def _paths(lines: Sequence[tuple[int, str, str]], strict: bool = False) -> Iterator[Row]:
    # In a list of paths the categories above need no lines of their own, in Google's file (strict) they all have one.
    sign = ">" if strict or any(">" in path for _, _, path in lines) else "/"
    seen: set[str] = set()
    for n, code, path in lines:
        steps = [step.strip() for step in path.split(sign) if step.strip()]
        if len(steps) > MOST_LEVELS:
            raise ConfigError(f"row {n} has {len(steps):,} levels, {MOST_LEVELS} at most")
        keys = ["", *(" > ".join(steps[: i + 1]) for i in range(len(steps)))]
        for i in range(1, len(steps)):
            if not strict and keys[i] not in seen:
                seen.add(keys[i])
                yield Row(f"row {n}", "", steps[i - 1], keys[i - 1], keys[i])
        if not steps or code or keys[-1] not in seen:
            seen.add(keys[-1])
            yield Row(f"row {n}", code, steps[-1] if steps else "", keys[-2] if steps else "", keys[-1])


def folders(root: Path) -> Iterator[Row]:
    """Yield a node for each folder below `root`, hidden ones left out."""
    for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
        steps = folder.relative_to(root).parts
        if not any(step.startswith((".", "__")) for step in steps):
            yield Row(f"folder {'/'.join(steps)}", "", steps[-1], "/".join(steps[:-1]), "/".join(steps))
