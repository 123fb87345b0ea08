"""Evaluate spectral indices on the device: formulas of spyndex, or one's own in the common names of bands; means per field.

A formula is parsed, never run: names, numbers, + - * / ** and brackets are all that it may hold. All indices wanted are one
program, in which what they share (NIR + red) is computed once, over pieces small enough for the cache of a core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla.errors import BadItem
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Image, Labels
from hyla_agriculture import formulas
from hyla_agriculture.formulas import Node

CONSTANTS: dict[str, float | Mapping[str, float]] = {"SAVI": {"L": 0.5}}  # Huete 1988; spyndex has 1.0, which EVI needs
NUMPY: dict[str, Any] = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
CHUNK = 32768  # pixels at a time on a CPU, whose registers fit a core's cache


class Step(NamedTuple):
    """Compute one register from two others, or constants.

    Registers from 0 are the bands, then the indices that are wanted, then places that are used again and again.
    """

    operator: str
    left: int | float
    right: int | float
    to: int


class Evaluator:
    """Compute several indices of the same pixels.

    Args:
        names_or_expressions: keys of spyndex; or name -> a key of spyndex or an expression in the common names of bands, as
            `{mine: "(nir - red) / (nir + red)"}`.
        device: as `hyla.device.pick` takes it.
        constants: by name, for all indices, or by index and name: `{"SAVI": {"L": 0.5}, "C1": 6}`. Where nothing is said, SAVI
            has L = 0.5, and all else what spyndex has.

    Raises:
        ConfigError: for an unknown index, band or constant, or a formula that holds more than arithmetic.
    """

    def __init__(
        self,
        names_or_expressions: Mapping[str, str] | Sequence[str],
        device: str = "auto",
        constants: Mapping[str, float | Mapping[str, float]] | None = None,
    ) -> None:
        if isinstance(names_or_expressions, Mapping):
            wanted = {str(name): str(text) for name, text in names_or_expressions.items()}
        else:
            wanted = {name: name for name in names_or_expressions}
        given = {**CONSTANTS, **(constants or {})}
        self.device = devices.pick(device)
        self.names = tuple(wanted)
        self._trees: dict[str, Node | None] = {name: formulas.parsed(name, text, given) for name, text in wanted.items()}
        self._plan()

    def on(self, bands: Sequence[str], required: Sequence[str] = ()) -> Evaluator:
        """Return an evaluator for a scene that has `bands`: what it can't tell is NaN, an index it stores is taken as it is.

        Raises:
            BadItem: where an index named in `required` can't be had, naming the bands that are missing.
        """
        made = object.__new__(Evaluator)
        made.device, made.names, made._trees = self.device, self.names, {}
        for name, tree in self._trees.items():
            missing = [] if tree is None else [band for band in formulas.names(tree) if formulas.found(band, bands) is None]
            if name in bands:
                made._trees[name] = ("band", name)
            elif tree is not None and not missing:
                made._trees[name] = formulas.renamed(tree, bands)
            elif name in required:
                raise BadItem(f"{name} needs the band {', '.join(missing)}, which the scene does not have", choices=bands)
            else:
                made._trees[name] = None
        made._plan()
        return made

    @property
    def known(self) -> tuple[str, ...]:
        """Return the names of the indices that are not NaN throughout."""
        return tuple(name for name, tree in self._trees.items() if tree is not None)

    def __call__(self, reflectance: Any) -> Any:
        """Return indices (n, h, w) float32, in the order of `names`, of reflectance (bands, h, w) in the order of `bands`.

        NaN where a band is NaN or a denominator is 0; values out of range are kept. A tensor gives a tensor on the device, an
        array an array. On a CPU the same steps are taken by numpy: to load torch takes seconds and half a gigabyte.
        """
        if isinstance(reflectance, np.ndarray):
            if self.device == "cpu":
                return self._on_cpu(reflectance)
            import torch

            return self(torch.from_numpy(reflectance)).cpu().numpy()
        import torch

        if self.device == "cpu":
            return torch.from_numpy(self._on_cpu(reflectance.detach().cpu().numpy()))
        height, width = reflectance.shape[1:]
        pixels = reflectance.reshape(len(self.bands), height * width).to(self.device, torch.float32)
        out, places = (
            torch.empty((n, height * width), dtype=torch.float32, device=self.device) for n in (len(self.names), self._places)
        )
        with torch.inference_mode():
            self._run([*pixels, *out, *places], _by_torch)
        return out.reshape(len(self.names), height, width)

    def _on_cpu(self, reflectance: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        height, width = reflectance.shape[1:]
        count = height * width
        pixels = reflectance.reshape(len(self.bands), count).astype(np.float32, copy=False)
        out = np.empty((len(self.names), count), np.float32)
        # Kept over all pieces: to allocate and touch new memory takes longer than to compute.
        places = np.empty((self._places, min(CHUNK, count)), np.float32)
        with np.errstate(all="ignore"):
            for start in range(0, count, CHUNK):
                here = slice(start, min(start + CHUNK, count))
                self._run([*pixels[:, here], *out[:, here], *places[:, : here.stop - start]], _by_numpy)
        return out.reshape(len(self.names), height, width)

    def _run(self, registers: list[Any], take: Callable[[str, Any, Any, Any], None]) -> None:
        for operator, left, right, to in self._steps:
            a, b = (one if isinstance(one, float) else registers[one] for one in (left, right))
            take(operator, a, b, registers[to])
        for row, result in enumerate(self._results, len(self.bands)):
            if result != row:  # a band as it is, another index, or a constant
                registers[row][:] = result if isinstance(result, float) else registers[result]

    def _plan(self) -> None:
        """Turn trees into steps, each different part of which is computed once."""
        trees = list(self._trees.values())
        self.bands = tuple(dict.fromkeys(band for tree in trees if tree is not None for band in formulas.names(tree)))
        known: dict[Node, int] = {("band", band): row for row, band in enumerate(self.bands)}
        rows = {tree: row for row, tree in reversed(list(enumerate(trees, len(self.bands)))) if tree is not None}
        order: list[Node] = []

        def visit(tree: Node) -> None:
            if tree[0] not in ("band", "number") and tree not in order:
                visit(tree[1])
                visit(tree[2])
                order.append(tree)

        for tree in rows:
            visit(tree)
        last = {part: at for at, tree in enumerate(order) for part in tree[1:]}
        free: list[int] = []
        first = self._places = len(self.bands) + len(trees)
        self._steps: list[Step] = []
        for at, tree in enumerate(order):
            left, right = (float(part[1]) if part[0] == "number" else known[part] for part in tree[1:])
            # What is read here for the last time may be written over: every step is pixel by pixel.
            free += [known[part] for part in dict.fromkeys(tree[1:]) if last[part] == at and known.get(part, -1) >= first]
            if tree in rows:
                known[tree] = rows[tree]
            elif free:
                known[tree] = free.pop()
            else:
                known[tree] = self._places
                self._places += 1
            self._steps.append(Step(tree[0], left, right, known[tree]))
        self._places -= first
        self._results = [_register(tree, known) for tree in trees]


class Indices(Model):
    """Label each field with the means of indices over its clear full pixels, as class `field`, and say nothing of its condition.

    Args:
        schema: of the project; attributes that it lacks are left out. None takes all.
        indices: names of attributes -> keys of spyndex, or expressions in the common names of bands.
        constants: of the indices; see `Evaluator`.
        required: indices without which a scene is refused.
        fields: what to do with a scene that has no parcels: `delineate` finds them, `none` leaves it without labels.
        device: that indices are computed on.
        threads: that read the scene; None for one per core, at most 8.

    Raises:
        ConfigError: for an unknown index or setting.
    """

    def __init__(
        self,
        schema: Schema | None = None,
        indices: Mapping[str, str] | None = None,
        constants: Mapping[str, Any] | None = None,
        required: Sequence[str] = (),
        fields: str = "delineate",
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        from hyla_agriculture.zones import Zones

        self._zones = Zones(schema, indices, constants, required, fields, device=device, threads=threads)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the fields of each scene."""
        return [self._zones.means(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "indices"}


def _register(tree: Node | None, known: Mapping[Node, int]) -> int | float:
    """Return where a result stands, or its value where that is a constant."""
    if tree is None:
        return float("nan")
    return float(tree[1]) if tree[0] == "number" else known[tree]


def _by_numpy(operator: str, left: Any, right: Any, out: npt.NDArray[np.float32]) -> None:
    """Compute one step into `out`; `left` and `right` are arrays of its size, or one of them a number."""
    if operator == "pow" and isinstance(right, float) and right == 2.0:
        np.multiply(left, left, out=out)
    elif operator == "pow" and isinstance(right, float) and right == 0.5:
        np.sqrt(left, out=out)
    elif operator == "pow":
        # In double precision, since powers in single precision round differently at the ends of an array.
        base: Any = np.asarray(left, dtype=np.float64)
        out[:] = np.power(base, np.asarray(right, dtype=np.float64))
    else:
        NUMPY[operator](left, right, out=out)
    if operator in ("div", "pow") and not (known := np.isfinite(out)).all():
        # Infinite by a division by zero only; mended at once, so that 1 / (1 + x / 0) is not taken for 0.
        out[~known] = np.nan


def _by_torch(operator: str, left: Any, right: Any, out: Any) -> None:
    """Do as `_by_numpy` does, on tensors."""
    import torch

    if operator == "pow" and isinstance(right, float) and right == 2.0:
        torch.mul(left, left, out=out)
    elif operator == "pow" and isinstance(right, float) and right == 0.5:
        torch.sqrt(left, out=out)
    elif operator == "pow":
        wide = torch.float32 if out.device.type == "mps" else torch.float64  # which MPS lacks
        base, power = (torch.as_tensor(one, dtype=wide, device=out.device) for one in (left, right))
        out.copy_(torch.pow(base, power))
    else:
        todo: Any = getattr(torch, operator)
        todo(torch.as_tensor(left, dtype=out.dtype, device=out.device), right, out=out)
    if operator in ("div", "pow"):
        out.masked_fill_(~torch.isfinite(out), float("nan"))
