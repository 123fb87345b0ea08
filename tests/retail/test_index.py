"""The nearest of many vectors: those that comparing with all of them gives."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError
from hyla_retail import index
from hyla_retail.index import Index


def vectors(n: int, size: int, seed: int, rank: int = 0) -> Any:
    """Return n vectors of length 1; with a rank, most of each lies in so many directions, as of real pictures."""
    random = np.random.default_rng(seed)
    found = random.standard_normal((n, size))
    if rank:
        found = random.standard_normal((n, rank)) @ random.standard_normal((rank, size)) + 0.3 * found
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def brute(known: Any, queries: Any, k: int) -> Any:
    """Return the rows of the nearest by comparing in double precision."""
    return np.argsort(-(queries.astype(np.float64) @ known.T.astype(np.float64)), axis=1, kind="stable")[:, :k]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 20), st.integers(1, 80), st.integers(0, 99))
def test_few_vectors(n: int, size: int, m: int, k: int, seed: int) -> None:
    known, queries = vectors(n, size, seed), vectors(max(m, 1), size, seed + 1)[:m]
    similarity, rows = Index(known).search(queries, k)
    assert similarity.shape == rows.shape == (m, min(k, n))
    truth = np.sort(queries.astype(np.float64) @ known.T, axis=1)[:, ::-1][:, :k]
    np.testing.assert_allclose(similarity, truth, atol=1e-5)
    np.testing.assert_allclose(similarity, np.take_along_axis(queries @ known.T, rows, 1), atol=1e-6)


@pytest.mark.parametrize("rank", [0, 5, 30])
def test_bounds_leave_out_none_of_the_nearest(rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "TEMPORARY", 30_000)  # so that queries are cut into steps
    known, queries = vectors(6000, 160, 1, rank), vectors(25, 160, 2, rank)
    some = Index(known)
    assert some._axes is not None
    similarity, rows = some.search(np.concatenate([queries, known[:5]]), 10)
    np.testing.assert_array_equal(rows[:25], brute(known, queries, 10))
    assert rows[25:, 0].tolist() == list(range(5))
    assert similarity[25:, 0] == pytest.approx(1, abs=1e-5)
    alone, _ = some.search(queries[7:8], 10)
    np.testing.assert_allclose(alone[0], similarity[7], atol=1e-6)


def test_real_directions_are_pruned(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compared whole is a small share of vectors that lie in few directions, or the bounds would be of no use."""
    known = vectors(6000, 160, 1, 20)
    some = Index(known)
    compared: list[int] = []
    best = index._best
    monkeypatch.setattr(index, "_best", lambda s, r, k: compared.append(s.shape[1]) or best(s, r, k))
    some.search(known[::600] + 0.02 * vectors(10, 160, 9), 10)
    assert max(compared) < 1500


def test_of_equals_the_first_row_comes_first() -> None:
    known = np.repeat(vectors(1, 8, 0), 9, axis=0)
    _, rows = Index(known).search(known[:2], 9)
    assert rows.tolist() == [list(range(9))] * 2


def test_an_index_of_nothing() -> None:
    similarity, rows = Index(np.zeros((0, 4), np.float32)).search(vectors(3, 4, 0), 5)
    assert similarity.shape == rows.shape == (3, 0)


@pytest.mark.parametrize("backend", ["flat", "hnsw"])
def test_faiss_finds_the_same(backend: str) -> None:
    known, queries = vectors(3000, 48, 3, 12), vectors(20, 48, 4, 12)
    similarity, rows = Index(known, backend).search(queries, 10)
    truth = brute(known, queries, 10)
    alike = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), truth.tolist(), strict=True)])
    assert alike == 1 if backend == "flat" else alike > 0.95
    assert rows.dtype == np.int64
    assert (np.diff(similarity, axis=1) <= 1e-6).all()


def test_faiss_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ConfigError, match=r"pip install 'hyla-retail\[ann\]'"):
        Index(vectors(3, 4, 0), "hnsw")
    with pytest.raises(ConfigError, match="no index"):
        Index(vectors(3, 4, 0), "annoy")
