"""Hold what is judged together, frozen: its units, and what a person could be asked of each.

A *unit* is what an audit opens whole: a picture, or a group of pictures. An *ask* is a question that a person could answer: one
label ("is this right?"), or a whole picture ("is this right, and is nothing missing?"). What is not asked is accepted as the
machine said it. Every error of the machine belongs to exactly one ask, so that for each ask left out one knows what is at stake.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import StoreError
from hyla.types import Bools, Floats, Ints

WHOLE = -1  # the row of an ask about a whole picture
_MAGIC = b"HYLALOT1"


@dataclass(frozen=True, eq=False, slots=True)
class Lot:
    """Hold n items in m units of s strata, with a asks, as parallel arrays.

    Args:
        items: (n,) ids in UTF-8, in the order of the scan; see `id`.
        digests: (n,) sha256 of the machine's labels of each, in hex.
        unit: (n,) which unit each item belongs to, from 0 to m - 1.
        size: (m,) share of each unit in the denominator of the error: 1, or labels + pictures; above 0.
        stratum: (m,) index into `strata`.
        settled: (m,) True where people have answered all of a unit: no error of the machine remains in it.
        strata: names, at least one; `""` alone where the lot is not divided.
        item: (a,) which item each ask is about.
        row: (a,) which of the machine's labels, or WHOLE.
        risk: (a,) expected number of the machine's errors that the answer would remove.
        seconds: (a,) expected time that it takes a person, above 0.
        always: (a,) True where it must be asked whatever the risk, since a rule says so or people are at work on it.
    """

    items: npt.NDArray[np.bytes_]
    digests: npt.NDArray[np.bytes_]
    unit: Ints
    size: Floats
    stratum: Ints
    settled: Bools
    strata: tuple[str, ...]
    item: Ints
    row: Ints
    risk: Floats
    seconds: Floats
    always: Bools

    def __post_init__(self) -> None:
        n, m, a = len(self.items), len(self.size), len(self.item)
        wanted = {"digests": n, "unit": n, "stratum": m, "settled": m, "row": a, "risk": a, "seconds": a, "always": a}
        wrong = [
            f"{name} has {len(getattr(self, name))} entries, not {k}"
            for name, k in wanted.items()
            if len(getattr(self, name)) != k
        ]
        if wrong or not (self.size > 0).all() or not (self.seconds > 0).all() or not self.strata:
            raise ValueError("; ".join(wrong) or "sizes and seconds must be above 0, and there must be a stratum")

    def __len__(self) -> int:
        return len(self.size)

    def id(self, item: int) -> str:
        """Return the id of an item by its index."""
        return bytes(self.items[item]).decode()

    @property
    def ask_unit(self) -> Ints:
        """Return the unit (a,) of each ask."""
        return self.unit[self.item]

    @property
    def single(self) -> bool:
        """Tell whether each unit counts the same and has one ask at most: it is right or wrong, and nothing between."""
        return bool((self.size == 1).all()) and not (np.bincount(self.ask_unit, minlength=len(self)) > 1).any()

    def order(self) -> Ints:
        """Return the asks that might be left out, as indices, the ones to leave out first at the front.

        They go by risk per second, ascending: what removes most error per human second is asked last of all to be given up. Asks
        of settled units and those that must be asked are not among them. Ties are broken by the digest of the item, which nobody
        chose, so that the order is the same wherever it is computed.
        """
        free = np.flatnonzero(~self.always & ~self.settled[self.ask_unit])
        chance = np.array([int(digest[:15], 16) for digest in self.digests], dtype=np.int64)[self.item[free]]
        return free[np.lexsort((self.row[free], chance, self.risk[free] / self.seconds[free]))]

    def pack(self) -> bytes:
        """Return the lot as bytes: a header of JSON, then each array as numpy writes it, without pickle."""
        parts = [_array_bytes(getattr(self, f.name)) for f in fields(self) if f.name != "strata"]
        header = json.dumps({"strata": self.strata, "sizes": [len(p) for p in parts]}).encode()
        return b"".join([_MAGIC, len(header).to_bytes(8, "little"), header, *parts])

    @classmethod
    def unpack(cls, blob: bytes) -> Lot:
        """Return the lot that `pack` wrote; raise StoreError for anything else."""
        try:
            if blob[:8] != _MAGIC:
                raise ValueError("it does not begin as a lot does")
            start = 16 + int.from_bytes(blob[8:16], "little")
            header: Mapping[str, Any] = json.loads(blob[16:start])
            values: dict[str, Any] = {"strata": tuple(header["strata"])}
            for field, size in zip([f.name for f in fields(cls) if f.name != "strata"], header["sizes"], strict=True):
                values[field] = np.load(io.BytesIO(blob[start : start + size]), allow_pickle=False)
                start += size
            return cls(**values)
        except (ValueError, KeyError, TypeError, EOFError) as e:
            raise StoreError(f"the frozen lot can't be read: {e}", "run `hyla verify` on the project") from e

    @property
    def digest(self) -> str:
        """Return the sha256 of items, labels, risks and all else in the lot, in hex."""
        return sha256(self.pack()).hexdigest()


def _array_bytes(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()
