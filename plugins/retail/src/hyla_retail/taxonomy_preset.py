"""Write a preset with the categories of a taxonomy as classes below those of `retail`; see `hyla_retail.taxonomy`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from importlib import resources
from pathlib import Path

import yaml

from hyla.errors import ConfigError, HylaError
from hyla.schema import Schema
from hyla_retail.categories import ROOT, Categories, plain
from hyla_retail.taxonomy import Taxonomy, read

BASE = "retail"


def preset(taxonomy: Taxonomy, file: str, name: str, levels: int = 2) -> str:
    """Return the YAML of a preset whose classes are those of `retail` and the upper `levels` of a taxonomy.

    A category that is one of the classes already, by its code or its name, stays that class; any other becomes a class below that
    of the category above it, or below `product`. New classes come after the others, so that the old keep their places.

    Args:
        taxonomy: as `read` gives it.
        file: its name, for the comment.
        name: of the schema.
        levels: how many levels count from the top, at least 1.

    Raises:
        ConfigError: for levels below 1.
    """
    if levels < 1:
        raise ConfigError(f"levels is {levels}", "give 1 for the top level alone, 2 for the level below it too")
    schema = Schema.from_config(
        yaml.safe_load((resources.files("hyla_retail") / "conf/preset/retail.yaml").read_text())["schema"]
    )
    known = Categories(schema)
    class_of: list[str] = []
    taken = set(schema.ids)
    lines: dict[str, str] = {}
    twice = Counter(_slug(name) for name, depth in zip(taxonomy.name, taxonomy.depth, strict=True) if depth < levels)
    for i in range(len(taxonomy)):  # parents come before children
        above = class_of[taxonomy.parent[i]] if taxonomy.parent[i] >= 0 else ROOT
        if taxonomy.depth[i] >= levels:
            break
        code = {taxonomy.scheme: taxonomy.code[i]} if taxonomy.code[i] else {}
        own = _same(known, taxonomy, i)
        if own and taxonomy.scheme not in schema.classes[schema.ids[own]].codes and own not in lines:
            lines[own] = f"codes: {json.dumps(code)}" if code else ""
        if not own:
            slug = _slug(taxonomy.name[i])
            own = _name(f"{above}_{slug}" if twice[slug] > 1 else slug, above, taken)
            taken.add(own)
            lines[own] = ", ".join([f"parent: {above}", *([f"codes: {json.dumps(code)}"] if code else [])])
        class_of.append(own)
    version = taxonomy.version or taxonomy.digest[:12]
    head = f"""\
# @package _global_
# {levels} level(s) of {file} ({taxonomy.scheme}, version {taxonomy.version or "not stated"}), as classes below those of {BASE}
# sha256 {taxonomy.digest}
defaults: [{BASE}, _self_]
schema:
  name: {json.dumps(name)}
  version: {json.dumps(version)}
"""
    body = "".join(f"    {one}: {{{rest}}}\n" for one, rest in lines.items() if rest)
    return head + (f"  classes:\n{body}" if body else "")


def main(argv: list[str] | None = None) -> None:
    """Read a taxonomy, write `preset/<name>.yaml` into a folder of settings, and say how it is used."""
    parser = argparse.ArgumentParser("python -m hyla_retail.taxonomy", description=__doc__)
    parser.add_argument("file", type=Path, help="XML or JSON of GS1 GPC, Google's text file, CSV, a list of paths, or a folder")
    parser.add_argument("--levels", type=int, default=2, help="levels from the top that become classes (default 2)")
    parser.add_argument("--name", required=True, help="of the preset")
    parser.add_argument("--to", type=Path, default=Path("conf"), help="folder of settings (default conf)")
    parser.add_argument("--pin", default="", help="version, or beginning of the sha256, that the file must have")
    given = parser.parse_args(argv)
    try:
        taxonomy = read(given.file, given.pin)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", given.name) or given.name in (BASE, "packshots"):
            raise ConfigError(f"a preset can't be named {given.name!r}", "use a-z, 0-9 and _, and a name of your own")
        path = given.to / "preset" / f"{given.name}.yaml"
        if path.exists():
            raise ConfigError(f"{path} is there already", "remove it, or choose another --name")
        text = preset(taxonomy, given.file.name, given.name, given.levels)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except HylaError as error:
        sys.exit(str(error))
    sys.stdout.write(
        f"{path}: {len(taxonomy)} categories read, {text.count('parent: ')} classes added\n"
        f"next: hyla run --config-dir {given.to} preset={given.name} source=photos/\n"
    )


def _same(known: Categories, taxonomy: Taxonomy, i: int) -> str:
    # the class that the category is: by its code, or if its own name says more than the names above it
    names = taxonomy.names(i)
    if taxonomy.code[i] and (found := known.by_code(taxonomy.code[i], taxonomy.scheme)) >= 0:
        return known.schema.names[found]
    found = known.class_id(names)
    return known.schema.names[found] if found not in (known.class_id(names[:-1]), known.root) else ""


def _slug(text: str) -> str:
    return re.sub(r"\W+", "_", plain(text), flags=re.ASCII).strip("_") or "category"


def _name(slug: str, above: str, taken: set[str]) -> str:
    # YAML reads `no` as false and `12` as a number, and a name is for people
    fine = yaml.safe_load(slug) == slug and not slug[0].isdigit()
    choices = (slug if fine else f"{above}_{slug}", f"{above}_{slug}", *(f"{above}_{slug}_{n}" for n in range(2, len(taken) + 3)))
    return next(one for one in choices if one not in taken)
