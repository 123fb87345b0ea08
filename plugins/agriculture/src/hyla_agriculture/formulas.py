"""Parse formulas of indices into trees: those of spyndex, or one's own in the common names of bands. Nothing is run.

A tree is ("band", name), ("number", value), or (operator, left, right) with an operator of `OPERATORS`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hyla.errors import ConfigError, did_you_mean
from hyla_agriculture.scene import BANDS

# Symbols of spyndex and our common names. Landsat's one near infrared band is `nir` here (see sensors).
SYMBOLS = {
    **{"A": "coastal", "B": "blue", "G": "green", "Y": "yellow", "R": "red"},
    **{"RE1": "rededge1", "RE2": "rededge2", "RE3": "rededge3", "N": "nir", "N2": "nir08", "WV": "nir09"},
    **{"S1": "swir16", "S2": "swir22", "T": "lwir11", "T1": "lwir11", "T2": "lwir12"},
}
# Of the agronomic indices: name of the attribute -> key of spyndex. Its `TCI` is no Temperature Condition Index.
STANDARD = {"ndvi": "NDVI", "ndmi": "NDMI", "ndre": "NDREI", "savi": "SAVI", "bsi": "BI", "mndwi": "MNDWI"}
OTHERWISE = {"nir": "nir08"}  # band 8A of Sentinel-2 where band 8 is not there (its 20 m product)
OPERATORS: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
LONGEST = 2000  # characters of a formula
Node = tuple[Any, ...]


def parsed(name: str, text: str, constants: Mapping[str, float | Mapping[str, float]]) -> Node:
    """Return the tree of an index.

    Args:
        name: what the user calls it.
        text: a key of spyndex, or an expression in the common names of bands.
        constants: by name, or by index and name.

    Raises:
        ConfigError: for a name that is neither band nor constant, and for all but arithmetic.
    """
    formulas, defaults = _library()
    formula = formulas.get(text, text)
    where = f"index {name!r}" + (f" ({formula})" if formula != name else "")
    of_index = next((one for key in (name, text) if isinstance(one := constants.get(key), Mapping)), {})
    numbers = {**defaults, **{k: v for k, v in constants.items() if not isinstance(v, Mapping)}, **of_index}
    bands = {**{band: band for band in (*BANDS, *STANDARD)}, **(SYMBOLS if text in formulas else {})}
    if len(formula) > LONGEST:
        raise ConfigError(f"index {name!r}: a formula of {len(formula)} characters", f"at most {LONGEST}")
    try:
        tree = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{where} is no formula: {error}", "write it as (nir - red) / (nir + red)") from error

    def walk(node: ast.expr) -> Node:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            return ("number", float(node.value))
        if isinstance(node, ast.Name):
            if node.id in bands:
                return ("band", bands[node.id])
            if numbers.get(node.id) is not None:
                return ("number", float(numbers[node.id]))
            if text == name and node.id == text:
                raise ConfigError(f"there is no index {text!r}", did_you_mean(text, formulas) or "spyndex.indices lists them")
            raise ConfigError(
                f"{where}: {node.id!r} is no band and no constant", did_you_mean(node.id, bands), {*BANDS, *STANDARD}
            )
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = walk(node.operand)
            return inner if isinstance(node.op, ast.UAdd) else _folded("mul", ("number", -1.0), inner)
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return _folded(OPERATORS[type(node.op)], walk(node.left), walk(node.right))
        raise ConfigError(f"{where} may hold bands, numbers, + - * / ** and brackets only")

    try:
        return walk(tree)
    except (OverflowError, ZeroDivisionError, RecursionError) as error:
        raise ConfigError(f"{where} can't be computed: {error}") from error


def _folded(operator: str, left: Node, right: Node) -> Node:
    """Return a tree in which what holds numbers only is a number."""
    if left[0] != "number" or right[0] != "number":
        return (operator, left, right)
    a, b = left[1], right[1]
    value = {"add": lambda: a + b, "sub": lambda: a - b, "mul": lambda: a * b, "div": lambda: a / b, "pow": lambda: a**b}[
        operator
    ]()
    if isinstance(value, complex):
        raise ZeroDivisionError("the root of a negative number")
    return ("number", value)


def names(tree: Node) -> list[str]:
    """Return the bands of a tree, each once, in order."""
    if tree[0] in ("band", "number"):
        return [tree[1]] if tree[0] == "band" else []
    return list(dict.fromkeys([*names(tree[1]), *names(tree[2])]))


def found(band: str, bands: Sequence[str]) -> str | None:
    """Return which of `bands` to take for a band: itself, one that stands in for it, or None."""
    other = OTHERWISE.get(band, band)
    return band if band in bands else other if other in bands else None


def renamed(tree: Node, bands: Sequence[str]) -> Node:
    """Return a tree in which bands are those that `found` names."""
    if tree[0] == "band":
        return ("band", found(tree[1], bands))
    return tree if tree[0] == "number" else (tree[0], renamed(tree[1], bands), renamed(tree[2], bands))


@lru_cache(maxsize=1)
def _library() -> tuple[dict[str, str], dict[str, float]]:
    """Return the formulas and the constants of spyndex."""
    import spyndex

    formulas = {name: spyndex.indices[name].formula for name in spyndex.indices}
    return formulas, {name: spyndex.constants[name].default for name in spyndex.constants}
