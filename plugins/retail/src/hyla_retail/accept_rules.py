"""The rule that accepts photos unseen: opt-in, for products whose barcode was read and whose picture says the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.rules import draw, evidence
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels, Severity, Verdict
from hyla_retail.rules import RetailRule, words


class AutoAccept(RetailRule):
    """Accept photos on which every product was named by its barcode and by its looks, and no rule asks anything.

    It says nothing of the others: flags and the preset's default decide there.

    Args:
        confidence: score of every label from which a photo is accepted, 0 to 1; null for never. 0.9 is usual.
        likeness: of the picture to its product, 0 to 1, from which it agrees with the barcode; 0.6.
        audit: share of such photos that a person sees all the same, 0 to 1; 0.03. Which ones follows from their ids.

    Raises:
        ConfigError: for shares that are none.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        confidence: float | None = None,
        likeness: float = 0.6,
        audit: float = 0.03,
        severity: str = "note",
    ) -> None:
        super().__init__(schema, name, severity)
        for key, share in {"confidence": confidence, "likeness": likeness, "audit": audit}.items():
            if share is not None and not 0 <= share <= 1:
                raise ConfigError(f"rules.{name}.{key} is {share}", "give a share from 0 to 1")
        self.confidence = confidence
        self.likeness = likeness
        self.audit = audit

    @hookimpl
    def route(self, item: Item, labels: Labels, flags: Sequence[Flag]) -> Verdict | None:
        """Return accept, or None to leave it to the flags."""
        product = self.products(labels)
        if self.confidence is None or not product.any() or any(flag.severity != Severity.NOTE for flag in flags):
            return None
        named = np.array([bool(word) for word in words(labels, "product")], dtype=bool)
        agree = named & (evidence(labels, "barcode") > 0) & (evidence(labels, "exemplar") >= self.likeness)
        if not agree[product].all() or (labels.score < self.confidence).any() or draw(item.id) < self.audit:
            return None
        return Verdict.ACCEPT
