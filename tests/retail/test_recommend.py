"""Products recommended from past purchases, end to end: from labels that people verified to lists for SIMULATED shoppers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix

from hyla.errors import ConfigError
from hyla.types import Kind, Labels, Record
from hyla_retail import shoppers
from hyla_retail.item_features import ItemFeatures
from hyla_retail.orders import Orders, finder, open_orders
from hyla_retail.recommend import BOTH, POPULAR, PURCHASES, TAGS, main, read_items, recommend, recommender
from hyla_retail.recommenders import Bought, Joined, Tagged, best, contents, matrix, split
from tags_kit import SCHEMA, SIZE, photo, pictures, project

GROUPS = {name: SCHEMA.attributes_of("label")[name].choices for name in ("colour", "packaging")} | {
    "claim": tuple(c.name for c in SCHEMA.classes if c.parent == "claim")
}
PRODUCTS, USERS, RATE = 300, 400, 0.35


@pytest.fixture(scope="module")
def shop() -> shoppers.Shop:
    return shoppers.shop(GROUPS, PRODUCTS, USERS, 0.15, seed=1)


@pytest.fixture(scope="module")
def orders(shop: shoppers.Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("orders") / "orders.csv"
    lines = [f"u{user:04d},P{product:03d},2026-05-{1 + n % 28:02d}\n" for n, (user, product) in enumerate(shop.before.tolist())]
    path.write_text("".join(["customer,sku,date\n", *lines]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exported(shop: shoppers.Shop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return folders with features: as the machine said, half of it verified by a person, and all of it."""
    p = shoppers.machine(shop.truth, GROUPS, RATE, seed=2)
    said = [photo(f"P{n:03d}", [(tag, x) for tag, x in zip(shop.tags, p[n].tolist(), strict=True) if x]) for n in range(PRODUCTS)]
    true = [
        photo(f"P{n:03d}", [(tag, 1.0) for tag, has in zip(shop.tags, shop.truth[n], strict=True) if has])
        for n in range(PRODUCTS)
    ]
    found = {}
    for name, verified in (("machine", 0), ("half", 2), ("verified", 1)):
        folder = tmp_path_factory.mktemp(name)
        with project(folder / "project", said) as made:
            made.add((one for n, one in enumerate(true) if verified and n % verified == 0), "human:ann")
            ItemFeatures(pictures=pictures(made)).export(made.records(), SCHEMA, folder)
        found[name] = folder
    return found


def ranked(of: Any, bought: csr_matrix, only: Any = None) -> Any:
    scores = of.scores(np.arange(bought.shape[0]))
    products, found = best(scores if only is None else np.where(only, scores, -np.inf), bought, 10)
    return np.where(np.isfinite(found), products, -1)


def ndcg(shop: shoppers.Shop, of: Any, bought: csr_matrix, new: bool = False) -> Any:
    after = shop.after[shop.new[shop.after[:, 1]]] if new else shop.after
    return shoppers.scored(ranked(of, bought, shop.new if new else None), after, USERS)[1]


def bought_of(orders: Path, folder: Path) -> tuple[csr_matrix, Any, list[str]]:
    items = read_items(folder)
    table = open_orders(str(orders), "", str)
    assert table is not None
    return (*(found := matrix(table, items.key.tolist()))[:1], items, found[1])


def test_verified_tags_recommend_better_than_the_machines(shop: shoppers.Shop, orders: Path, exported: dict[str, Path]) -> None:
    found = {}
    for name, folder in exported.items():
        bought, items, _ = bought_of(orders, folder)
        assert items.verified.any(axis=1).mean() == {"machine": 0, "half": 0.5, "verified": 1}[name]
        of = recommender(TAGS, bought, items)
        found[name] = ndcg(shop, of, bought), ndcg(shop, of, bought, new=True)
    for which in (0, 1):
        _, low, _ = shoppers.interval(found["verified"][which] - found["machine"][which])
        assert low > 0, "the same shoppers, 95 % bootstrap"
    popular = ndcg(shop, recommender(POPULAR, bought, items), bought)
    assert shoppers.interval(found["verified"][0] - popular)[1] > 0
    assert np.nanmean(found["machine"][0]) < np.nanmean(found["half"][0]) < np.nanmean(found["verified"][0])


def test_purchases_and_tags_together_beat_either(shop: shoppers.Shop, orders: Path, exported: dict[str, Path]) -> None:
    bought, items, _ = bought_of(orders, exported["verified"])
    both, purchases, popular = (ndcg(shop, recommender(basis, bought, items), bought) for basis in (BOTH, PURCHASES, POPULAR))
    assert shoppers.interval(purchases - popular)[1] > 0
    assert shoppers.interval(both - purchases)[1] > 0


def test_products_that_nobody_bought_are_reached_by_their_tags(
    shop: shoppers.Shop, orders: Path, exported: dict[str, Path]
) -> None:
    bought, items, _ = bought_of(orders, exported["verified"])
    new = np.flatnonzero(shop.new)
    assert not np.isin(ranked(recommender(PURCHASES, bought, items), bought), new).any()
    assert np.isin(ranked(recommender(BOTH, bought, items), bought), new).any()
    recall, _ = shoppers.scored(
        ranked(recommender(TAGS, bought, items), bought, shop.new), shop.after[shop.new[shop.after[:, 1]]], USERS
    )
    assert shoppers.interval(recall)[1] > 10 / len(new), "better than by chance"


def test_from_the_command_line(
    tmp_path: Path, orders: Path, exported: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(exported["verified"]), "--orders", str(orders), "--to", str(tmp_path), "--k", "5"]
    assert main(words) == 0
    assert f"for {USERS} shoppers" in capsys.readouterr().out
    lists, near = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("recommendations", "bought_together"))
    assert lists.num_rows == 5 * USERS
    assert lists["rank"].to_pylist()[:6] == [1, 2, 3, 4, 5, 1]
    assert near.schema.names == ["product", "rank", "neighbour", "similarity", "basis"]
    assert all(a != b for a, b in zip(near["product"].to_pylist(), near["neighbour"].to_pylist(), strict=True))
    had = set(map(tuple, np.array([read.split(",")[:2] for read in orders.read_text().splitlines()[1:]])))
    assert not had & set(zip(lists["user"].to_pylist(), lists["product"].to_pylist(), strict=True)), "nothing they have already"
    assert main([*words, "--file", ".csv", "--basis", "tags", "--trust", "0.5"]) == 0
    assert pa_csv.read_csv(tmp_path / "recommendations.csv").num_rows == 5 * USERS
    again = tmp_path / "again"
    assert main([*words[:-4], "--to", str(again), "--k", "5"]) == 0
    assert pq.read_table(again / "recommendations.parquet").equals(lists), "the same each time"
    assert main(["nowhere", "--orders", str(orders), "--to", str(tmp_path)]) == 2
    assert "hyla export DIR --format item_features" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--k", "0"], "--k 0"),
        (["--k", "-1"], "--k -1"),
        (["--trust", "7"], "trust=7.0"),
        (["--trust", "nan", "--basis", "popular"], "trust=nan"),
    ],
)
def test_numbers_that_make_no_list_are_refused(
    tmp_path: Path, orders: Path, exported: dict[str, Path], capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    to = tmp_path / "lists"
    assert main([str(exported["machine"]), "--orders", str(orders), "--to", str(to), *words]) == 2
    assert why in capsys.readouterr().err
    assert not to.exists()


@pytest.mark.parametrize("column", ["gtin", "class", "verified", "verified_tags"])
def test_a_table_of_something_else_is_no_table_of_products(tmp_path: Path, exported: dict[str, Path], column: str) -> None:
    table = pq.read_table(exported["machine"] / "items.parquet")
    pq.write_table(table.drop_columns([column]), tmp_path / "items.parquet")
    with pytest.raises(ConfigError, match=f"holds no products.*{column}"):
        read_items(tmp_path)
    odd = pa.array([{"x": n} for n in range(table.num_rows)])
    pq.write_table(table.drop_columns([column]).append_column(column, odd), tmp_path / "items.parquet")
    with pytest.raises(ConfigError, match="holds no products"):
        read_items(tmp_path)


@pytest.mark.parametrize("method", ["bm25", "cosine", "als"])
def test_what_is_bought_together(method: str) -> None:
    """Two kinds of shoppers: of those who buy tea, most buy biscuits; nobody buys soap with it."""
    rows = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 1]]
    bought = csr_matrix(np.array(rows, dtype=np.float32))
    of = Bought(bought, method, factors=4)
    assert ranked(of, bought)[3, 0] == 1
    assert ranked(of, bought)[6, 0] == 3
    near = {
        one["product"]: one["neighbour"] for one in of.neighbours(["tea", "biscuits", "soap", "towel"], 2) if one["rank"] == 1
    }
    assert near == {"tea": "biscuits", "biscuits": "tea", "soap": "towel", "towel": "soap"}


def test_what_a_person_verified_counts_more() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [np.nan, np.nan]])
    verified = np.array([[True, True], [False, False], [True, True], [False, False]])
    vectors = contents(p, verified, 0.25)
    np.testing.assert_allclose(vectors[0], [1 / 3, -1 / 3])
    np.testing.assert_allclose(vectors[1], vectors[0] / 4)
    assert not vectors[3].any(), "nothing known is neither for nor against"
    scores = Tagged(csr_matrix(np.array([[1.0, 0, 0, 0]])), vectors).scores(np.array([0]))
    assert scores[0, 0] > scores[0, 1] > scores[0, 2]
    assert scores[0, 3] == -np.inf


def test_lists_are_joined_by_their_ranks() -> None:
    class Fixed:
        def __init__(self, *scores: float) -> None:
            self.fixed = np.array([scores], dtype=np.float32)

        def scores(self, users: Any) -> Any:
            return self.fixed

    bought = csr_matrix(np.zeros((1, 4)))
    first, second = Fixed(4, 3, 2, -np.inf), Fixed(-np.inf, -np.inf, 5, 9)
    found = Joined(first, second, bought, 0.5).scores(np.array([0]))[0]
    np.testing.assert_allclose(found, [1 / 61, 1 / 62, 0.5 / 63 + 0.5 / 62, 1 / 61], rtol=1e-6)
    lone = Joined(first, Fixed(3, 2, 1, -np.inf), bought, 0.1).scores(np.array([0]))[0]
    np.testing.assert_allclose(lone, [1 / 61, 1 / 62, 1 / 63, -np.inf], rtol=1e-6)


def test_one_purchase_of_each_shopper_is_held_back() -> None:
    bought = csr_matrix(np.array([[1, 2, 0], [0, 1, 0], [1, 1, 1]], dtype=np.float32))
    rest, held = split(bought, seed=3)
    assert held[1] == -1
    for user in (0, 2):
        assert rest[user, held[user]] == 0
        assert bought[user, held[user]] > 0
        assert rest[user].sum() == bought[user].sum() - bought[user, held[user]]


def test_figures_of_ranked_lists() -> None:
    after = np.array([[0, 7], [0, 3], [1, 5]])
    recall, ndcg = shoppers.scored(np.array([[7, 1, 2], [1, 2, 3], [1, 2, 3]]), after, 3, k=3)
    np.testing.assert_allclose(recall, [0.5, 0, np.nan])
    np.testing.assert_allclose(ndcg, [1 / (1 + 1 / np.log2(3)), 0, np.nan])


def test_the_machine_of_the_simulation_errs_as_often_as_told(shop: shoppers.Shop) -> None:
    p = shoppers.machine(shop.truth, GROUPS, RATE, seed=2)
    one = slice(len(GROUPS["colour"]), len(GROUPS["colour"]) + len(GROUPS["packaging"]))
    wrong = ((p[:, one] > 0) & ~shop.truth[:, one]).any(axis=1).mean()
    assert abs(wrong - RATE) < 3 * np.sqrt(RATE * (1 - RATE) / PRODUCTS)
    assert not ((shoppers.machine(shop.truth, GROUPS, 0, seed=2) > 0) != shop.truth).any()


TIMES = [
    ("2026-05-02", 1777680000),
    ("2026-05-02T10:00:00+02:00", 1777708800),
    ("02.05.2026 10:00", 1777716000),
    ("20260502", 1777680000),
    ("1777680000", 1777680000),
    ("1777680000000", 1777680000),
]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_times_of_orders(tmp_path: Path, text: str, seconds: float) -> None:
    (tmp_path / "o.csv").write_text(f"user,item,time\nu,i,{text}\n", encoding="utf-8")
    found = open_orders(str(tmp_path / "o.csv"), "", str)
    assert found is not None
    assert found.time.tolist() == [seconds]


@pytest.mark.parametrize(("other", "month"), [("05/13/2026", 5), ("13/05/2026", 2)])
def test_whether_day_or_month_comes_first_is_told_by_the_other_rows(tmp_path: Path, other: str, month: int) -> None:
    (tmp_path / "o.csv").write_text(f"user,item,date\nu,i,05/02/2026\nu,i,{other}\n", encoding="utf-8")
    found = open_orders(str(tmp_path / "o.csv"), "", str)
    assert found is not None
    day = np.datetime64(int(found.time[0]), "s").astype("datetime64[D]")
    assert str(day) == f"2026-{month:02d}-{2 if month == 5 else 5:02d}"


def test_orders_of_nothing_known_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = Orders(np.array(["u"], object), np.array(["soap"], object), np.zeros(1), np.ones(1))
    bought, _ = matrix(orders, ["tea"])
    with pytest.raises(ConfigError, match="no purchase is of one of the products"):
        Bought(bought)
    with pytest.raises(ConfigError, match="method=magic"):
        Bought(bought, "magic")
    with pytest.raises(ConfigError, match="basis=stars"):
        recommender("stars", bought, None)  # type: ignore[arg-type]
    for name in ("implicit", "implicit.als"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="needs implicit") as error:
        Bought(csr_matrix(np.ones((1, 1), np.float32)))
    assert "hyla-retail[recommend]" in str(error.value)
    pq.write_table(pa.table({"product": ["x"]}), tmp_path / "items.parquet")
    with pytest.raises(ConfigError, match="holds no products"):
        read_items(tmp_path)


def test_a_product_is_found_under_any_of_its_numbers(tmp_path: Path) -> None:
    from hyla_retail.catalogue import open_catalogue

    (tmp_path / "catalogue.csv").write_text("sku,gtin,name\nS1,4006381333931,Orange juice\n", encoding="utf-8")
    find = finder(open_catalogue("auto", str(tmp_path)), {"00012345678905": "other"})
    assert [find(word) for word in ("S1", "4006381333931", "04006381333931", "12345678905", "012345678905", "soap")] == [
        *["S1"] * 3,
        "12345678905",
        "other",
        "soap",
    ]


def test_lists_end_where_nothing_is_left() -> None:
    record = Record(photo("a", []).item, Labels.of([0], [[0, 0, *SIZE[::-1]]], kind=Kind.TAG), size=SIZE)
    assert len(record.labels) == 1
    bought = csr_matrix(np.array([[1.0, 1, 0]], dtype=np.float32))

    class Items:
        key, name = np.array(["a", "b", "c"], object), np.array(["", "", "C"], object)

    rows = list(recommend(recommender(POPULAR, bought, None), bought, ["u"], Items(), 5, POPULAR))  # type: ignore[arg-type]
    assert rows == [], "nobody bought what is left"
