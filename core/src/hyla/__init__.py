"""Hyla, hybrid labelling: a machine proposes, rules and a guarantee decide what an expert must see.

Names are imported when first used, so that `import hyla` costs nothing: neither numpy nor hydra is loaded by it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from hyla.config import compose as compose
    from hyla.errors import BadItem as BadItem
    from hyla.errors import ConfigError as ConfigError
    from hyla.errors import FormatError as FormatError
    from hyla.errors import HylaError as HylaError
    from hyla.errors import StageError as StageError
    from hyla.errors import StoreError as StoreError
    from hyla.frame import Frame as Frame
    from hyla.frame import MapFrame as MapFrame
    from hyla.frame import PatientFrame as PatientFrame
    from hyla.frame import VideoFrame as VideoFrame
    from hyla.hooks import Format as Format
    from hyla.hooks import Loader as Loader
    from hyla.hooks import Model as Model
    from hyla.hooks import Redactor as Redactor
    from hyla.hooks import Rule as Rule
    from hyla.hooks import hookimpl as hookimpl
    from hyla.loop import run as run
    from hyla.schema import Schema as Schema
    from hyla.store import Project as Project
    from hyla.types import Click as Click
    from hyla.types import Flag as Flag
    from hyla.types import Image as Image
    from hyla.types import Item as Item
    from hyla.types import Kind as Kind
    from hyla.types import Labels as Labels
    from hyla.types import Record as Record
    from hyla.types import Rle as Rle
    from hyla.types import Severity as Severity
    from hyla.types import Verdict as Verdict
    from hyla.types import item_id as item_id

_HOME = {
    "config": ("compose",),
    "errors": ("BadItem", "ConfigError", "FormatError", "HylaError", "StageError", "StoreError"),
    "frame": ("Frame", "MapFrame", "PatientFrame", "VideoFrame"),
    "hooks": ("Format", "Loader", "Model", "Redactor", "Rule", "hookimpl"),
    "loop": ("run",),
    "schema": ("Schema",),
    "store": ("Project",),
    "types": ("Click", "Flag", "Image", "Item", "Kind", "Labels", "Record", "Rle", "Severity", "Verdict", "item_id"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
__all__ = sorted(_MODULE)


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'hyla' has no attribute {name!r}")
    return getattr(import_module(f"hyla.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})
