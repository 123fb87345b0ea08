"""Decide what of a MONAI bundle's configuration may run: networks, transforms, inferers and simple expressions."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from hyla.errors import ConfigError

# Where a target without a module is looked for, in this order, and where a class must be defined to be built.
NAMESPACES = ("monai.networks.nets", "monai.transforms", "monai.inferers", "monai.networks.blocks", "monai.networks.layers")
HOMES = (*NAMESPACES, "torch.nn.modules")
# Classes that read or write files, run functions of others, or look up another by its name.
FILES = "LoadImage LoadImaged SaveImage SaveImaged WriteFileMapping WriteFileMappingd SaveClassification"
FUNCTIONS = "Lambda Lambdad RandLambda RandLambdad DataStats DataStatsd SimulateDelay SimulateDelayd PatchInferer"
BY_NAME = "TorchVision TorchVisiond RandTorchVisiond TorchIO TorchIOd RandTorchIO RandTorchIOd CuCIM CuCIMd RandCuCIM RandCuCIMd"
REFUSED = frozenset(f"{FILES} {FUNCTIONS} {BY_NAME}".split())
BUILTIN = "len int float str bool list tuple min max sum abs round range sorted"
NAMES = frozenset(BUILTIN.split())
DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")
TYPED = (f"{module}.{dtype}" for module in ("torch", "numpy", "np") for dtype in DTYPES)
DOTTED = frozenset([*TYPED, "torch.bfloat16", "torch.device", "torch.cuda.is_available"])
NODES = (
    *(ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.Subscript, ast.Slice, ast.IfExp, ast.Starred),
    *(ast.UnaryOp, ast.UAdd, ast.USub, ast.Not, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
    *(ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    *(ast.Is, ast.IsNot, ast.Load, ast.Name, ast.Attribute, ast.Call, ast.keyword),
)
REFERENCES = "__local_refs"  # what MONAI puts in place of @reference
REMEDY = "if you trust who made the bundle, trust=true lets it run any code"


def check(node: Any, where: str) -> None:
    """Refuse what could run other code than networks, transforms and inferers of MONAI and layers of torch.

    Targets are rewritten to the full name of the class that was looked at, so that nothing else is built in its place.

    Args:
        node: part of the configuration: dicts, lists and scalars; changed in place.
        where: its dotted name, for messages.

    Raises:
        ConfigError: naming the key.
    """
    for path, parent in dicts(node, where):
        if "_target_" in parent:
            found = _target(parent["_target_"], path)
            parent["_target_"] = f"{found.__module__}.{found.__name__}"
            if parent.get("_mode_", "default") not in ("default", "callable"):
                raise ConfigError(f"{path}._mode_ is {parent['_mode_']!r}", "only default and callable may run; " + REMEDY)
            for key, one in inspect.signature(found).parameters.items():
                if key.startswith("pretrained") and parent.get(key, one.default) not in (None, False, "", one.empty):
                    raise ConfigError(f"{path}.{key} asks for weights from elsewhere", "set it to false: nothing is downloaded")
    for path, text in strings(node, where):
        if text.startswith("$"):
            _expression(text, path)
        elif text.startswith("%"):
            raise ConfigError(f"{path} takes text from a file: {_short(text)}", REMEDY)


def dicts(node: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every dict in `node` with its dotted name."""
    if isinstance(node, dict):
        yield where, node
    for key, value in _children(node):
        yield from dicts(value, f"{where}.{key}")


def strings(node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield every string in `node` with its dotted name."""
    if isinstance(node, str):
        yield where, node
    for key, value in _children(node):
        yield from strings(value, f"{where}.{key}")


def _children(node: Any) -> list[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, list) else []


def _target(target: Any, where: str) -> type[Any]:
    """Return the class that a target names, if it may be built."""
    name = str(target)
    found = None
    if all(part.isidentifier() and not part.startswith("_") for part in name.split(".")):
        module, _, last = name.rpartition(".")
        if not module:
            found = next((getattr(import_module(one), last) for one in NAMESPACES if hasattr(import_module(one), last)), None)
        elif any(f"{module}.".startswith(f"{one}.") for one in (*HOMES, "torch.nn")):
            try:
                found = getattr(import_module(module), last, None)
            except ImportError:
                found = None
    home = str(getattr(found, "__module__", ""))
    if not inspect.isclass(found) or not any(f"{home}.".startswith(f"{one}.") for one in HOMES) or found.__name__ in REFUSED:
        raise ConfigError(
            f"{where}._target_ is {_short(name)}, which is no network, transform or inferer that may run unseen", REMEDY
        )
    return found


def _expression(text: str, where: str) -> None:
    """Refuse an expression that does more than calculate with references, numbers and a short list of functions."""
    from monai.bundle import ReferenceResolver

    refs = dict.fromkeys(ReferenceResolver.match_refs_pattern(text))
    code = ReferenceResolver.update_refs_pattern(text, refs)[1:].strip()
    try:
        tree = ast.parse(code, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{where} is no expression: {_short(text)}", REMEDY) from error
    if problem := _problem(tree.body):
        raise ConfigError(f"{where} runs code: {_short(text)} ({problem})", REMEDY)


def _problem(node: ast.AST) -> str:
    """Return what of an expression is not allowed, or nothing."""
    if not isinstance(node, NODES):
        return type(node).__name__.lower()
    if isinstance(node, ast.Attribute):
        dotted = _dotted(node)
        return "" if dotted in DOTTED else f"attribute {node.attr!r}"
    if isinstance(node, ast.Name):
        return "" if node.id in NAMES or node.id == REFERENCES else f"name {node.id!r}"
    if isinstance(node, ast.Call):
        function = node.func
        known = isinstance(function, ast.Name) and function.id in NAMES
        if not known and not (isinstance(function, ast.Attribute) and _dotted(function) in DOTTED):
            return "a call"
    return next((problem for child in ast.iter_child_nodes(node) if (problem := _problem(child))), "")


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
