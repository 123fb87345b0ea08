"""Core's own preset `blank` keeps the contract, on plain pictures; and so do its formats, with labels of every kind."""

from __future__ import annotations

from hyla.testing import conformance

TestBlank = conformance("blank")
