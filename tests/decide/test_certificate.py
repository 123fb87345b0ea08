"""A certificate says what the evidence bears and no more: the same each time, for all to read, refused where it has gaps."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from certificate_kit import evidence, objects, pictures
from hyla.decide import evidence as ledger
from hyla.decide.bounds import most_found, remaining_p
from hyla.decide.certificate import Certificate, Evidence, Reviewers, issue
from hyla.decide.drawing import draw, route
from hyla.decide.wording import percent
from hyla.errors import ConfigError, HylaError, StoreError

DOCS = Path(__file__).resolve().parents[2] / "docs"
CAREFUL = dict.fromkeys(("delete", "extra", "shift", "swap"), (300, 299))


@pytest.fixture(scope="module")
def one() -> Evidence:
    """Return the evidence on 4,000 pictures that are right or wrong, at 5 %."""
    return evidence(*pictures())


@pytest.fixture(scope="module")
def parts() -> Evidence:
    """Return the evidence on labels of 1,500 pictures at two sites, at 8 %."""
    return evidence(*objects(strata=("north", "south")), eps=0.08)


def test_the_claim_is_one_sentence_that_names_all_it_says(one: Evidence, parts: Evidence) -> None:
    assert issue(one).sentence == (
        "With probability at least 95 % over the draw of the audit, at most 5 % of the 4,000 pictures of lot 1 hold an error "
        "that one reader would put right."
    )
    assert issue(parts).sentence == (
        "With probability at least 95 % over the draw of the audit, at most 8 errors that one reader would put right are left "
        "per 100 labels and pictures of lot 1 (859 in all; of one picture, no more count than it has labels, and one), and no "
        "more in any of its 2 strata."
    )
    assert issue(parts).whole["size"] == parts.lot.size.sum() == 10742


@pytest.mark.parametrize(
    ("loss", "said", "error"),
    [
        ({"name": "tags"}, "at most 5 % of the 4,000 pictures of lot 1 have a wrong tag that", "A missing tag is a wrong one."),
        (
            {"name": "pixels", "measure": "dice"},
            "the areas in the 4,000 pictures of lot 1 are off by at most 5 % in the mean",
            "A picture is off by 1 - Dice, in the mean over the classes that it has.",
        ),
        (
            {"name": "mine"},
            "the error that one reader would put right that is left in lot 1 is at most 5 %",
            "An error is what the loss mine says.",
        ),
    ],
)
def test_each_loss_has_a_claim_of_its_own(one: Evidence, loss: dict[str, str], said: str, error: str) -> None:
    made = issue(replace(one, loss=loss))
    assert said in made.sentence
    assert made.error == error


def test_it_says_who_is_believed(one: Evidence) -> None:
    made = issue(replace(one, reviewers=Reviewers("double", 3, alpha=0.81, twice=97)))
    assert made.sentence.endswith("hold an error that two readers and, where they differ, a third would put right.")
    assert any("agreement" in line for line in made.assumptions)
    assert any("overlook" in line for line in made.not_covered)
    page = made.html()
    assert "0.81, n = 97" in page
    assert "double, 3 people" in page


def test_the_same_evidence_gives_the_same_bytes(one: Evidence, tmp_path: Path) -> None:
    first, again = issue(one), issue(evidence(*pictures()))
    assert first.text == again.text
    assert first.sha256 == again.sha256
    data, page = first.write(tmp_path / "new")
    assert (data.name, page.name) == ("certificate.json", "certificate.html")
    read = json.loads(data.read_text(encoding="utf-8"))
    assert Certificate.from_dict(read) == first
    assert Certificate.from_dict(first.to_dict()).text == data.read_text(encoding="utf-8")
    assert list(read) == sorted(read)


def test_its_numbers_add_up_and_hold(one: Evidence, parts: Evidence) -> None:
    for found, truth in ((one, pictures()[1]), (parts, objects()[1])):
        made, lot = issue(found), found.lot
        assert made.issued
        asked = route(lot, [row.cut for row in made.strata], found.draws)
        left, size = truth[~asked].sum(), lot.size.sum()
        assert made.units["all"] == len(lot) == sum(made.units[k] for k in ("settled", "audited", "reviewed", "accepted"))
        assert made.units["accepted"] == sum(row.accepted_units for row in made.strata) > 0
        assert made.asks == {"answered": asked.sum(), "accepted": (~asked).sum()}
        assert made.corrected == truth[asked].sum()
        assert made.accepted["size"] == pytest.approx((~asked).sum()), (
            "each question weighs 1, in pictures as in labels and pictures"
        )
        assert left / size <= made.whole["upper"] <= made.eps + 1e-12
        assert made.whole["upper"] * size == pytest.approx(made.accepted["upper"] * made.accepted["size"])
        for k, row in enumerate(made.strata):
            here = lot.stratum == k
            mine = here[lot.ask_unit]
            assert truth[~asked & mine].sum() / row.size <= row.upper <= row.eps
            assert row.upper_accepted > row.upper
            assert row.tried[-1][0] > row.cut
            assert row.tried[-1][1] > row.delta >= max(p for _, p in row.tried[:-1])
        assert sum(row.delta for row in made.strata) == pytest.approx(made.shares["audit"])
        assert made.shares["audit"] + made.shares["reviewers"] == made.delta == 0.05


def test_what_people_settled_before_counts_below_the_line_and_is_never_drawn() -> None:
    lot, truth = pictures(settled=np.arange(4000) % 4 == 0)
    made = issue(evidence(lot, truth))
    assert made.units["settled"] == made.strata[0].settled == 1000
    assert made.strata[0].eligible == 3000
    assert made.whole["size"] == 4000
    assert made.units["accepted"] + made.units["audited"] + made.units["reviewed"] == 3000


def test_nothing_is_issued_on_half_an_audit_or_half_a_review(one: Evidence, parts: Evidence) -> None:
    for found in (one, parts):
        ask = np.flatnonzero(found.lot.ask_unit == found.draws[0][-1])[0]
        wrong = found.wrong.copy()
        wrong[ask] = np.nan
        with pytest.raises(ConfigError, match=r"not finished: 1 of .* units drawn still wait"):
            issue(replace(found, wrong=wrong))
        audited = np.isin(found.lot.ask_unit, np.concatenate(found.draws))
        wrong = found.wrong.copy()
        wrong[np.flatnonzero(~audited & ~np.isnan(wrong))[:3]] = np.nan
        with pytest.raises(ConfigError, match="3 are open") as told:
            issue(replace(found, wrong=wrong))
        assert "hyla review" in told.value.hint


def test_an_audit_that_the_seed_does_not_draw_is_refused(one: Evidence) -> None:
    safest = one.lot.order()[: len(one.draws[0])]
    for draws in (one.draws[0][::-1], np.sort(one.lot.ask_unit[safest]), one.draws[0][:-1]):
        with pytest.raises(HylaError, match=r"not those that the seed draws|not finished"):
            issue(replace(one, draws=(draws,)))
    with pytest.raises(StoreError, match="not those that the seed draws"):
        issue(replace(one, seed="another"))


def test_only_a_test_that_allows_it_may_stop_early(parts: Evidence) -> None:
    lot, truth = pictures()
    early = evidence(lot, truth, mode="early")
    assert issue(early).strata[0].method == "alpha"
    half = early.draws[0][: len(early.draws[0]) // 2]
    sooner = evidence(lot, truth, mode="early", draws=(half,))
    made = issue(sooner)
    assert made.issued
    assert (made.mode, made.strata[0].draws) == ("early", len(half))
    assert any("stopped at a time" in line for line in made.assumptions)
    assert "may stop at any time" in made.html()
    with pytest.raises(ConfigError, match="not finished: 10 of"):
        issue(replace(parts, draws=(parts.draws[0][:10], parts.draws[1])))


def test_careful_readers_are_allowed_for_and_careless_ones_end_in_a_second_pass() -> None:
    lot, truth = pictures(rate=0.08)
    made = issue(evidence(lot, truth, reviewers=Reviewers("single", 2, CAREFUL, 0.02)))
    assert made.issued
    assert "over the draw of the audit and the planted errors" in made.sentence
    assert "those that readers overlook included" in made.sentence
    assert made.shares == {"audit": pytest.approx(0.03), "reviewers": 0.02}
    assert made.reviewers["lowest"] == min(kind["least"] for kind in made.reviewers["seeds"].values()) < 299 / 300
    assert made.reviewers["seeds"]["swap"] == {"planted": 300, "found": 299, "least": made.reviewers["lowest"]}
    assert any("easy to see" in line for line in made.assumptions)
    believed = issue(evidence(lot, truth, delta=0.03))
    assert made.units["accepted"] < believed.units["accepted"]

    careless = issue(evidence(lot, truth, reviewers=Reviewers("single", 2, {"swap": (60, 54)}, 0.02)))
    assert (careless.issued, careless.outcome) == (False, "second pass needed")
    assert careless.sentence.startswith("No certificate: for lot 1 a second pass is needed")
    assert "With probability" not in careless.text + careless.html()
    assert careless.units["accepted"] == 0
    assert [row.outcome for row in careless.strata] == ["second pass needed"]


def test_a_stratum_that_is_too_small_is_answered_whole_and_its_readers_count() -> None:
    lot, truth = pictures(3000, ("large", "small"), rate=0.05)
    stratum = np.zeros(3000, dtype=np.int64)
    stratum[:40] = 1
    lot = replace(lot, stratum=stratum)
    made = issue(evidence(lot, truth))
    small = made.strata[1]
    assert (small.method, small.cut, small.accepted, small.upper, small.upper_accepted) == ("census", 0, 0, 0.0, None)
    assert made.strata[0].delta == 0.05
    assert "nothing was left out" not in made.html()
    truth[:40] = 1
    found = issue(evidence(lot, truth, reviewers=Reviewers("single", 2, {"swap": (400, 395)}, 0.02)))
    assert [row.outcome for row in found.strata] == ["issued", "second pass needed"]
    assert not found.issued


def test_where_everything_was_answered_nothing_is_left() -> None:
    lot, truth = pictures(200, rate=0.3)
    made = issue(evidence(lot, truth, eps=0.004))  # not one error may be left
    assert made.issued
    assert (made.whole["upper"], made.accepted) == (0.0, {"size": 0.0, "upper": None})
    assert "nothing was left out" in made.html()


def test_what_a_program_answered_says_so_in_large_letters(one: Evidence) -> None:
    made = issue(replace(one, reviewers=Reviewers(simulated=True)))
    assert made.sentence.startswith("SIMULATED, no person looked: with probability")
    assert "<strong>SIMULATED</strong>" in made.html()
    assert any("a program answered" in line for line in made.not_covered)
    assert "SIMULATED" not in issue(one).html() + issue(one).text


def test_earlier_tries_are_told(one: Evidence) -> None:
    assert any("2 lots over these pictures" in line for line in issue(replace(one, given_up=2)).not_covered)
    assert not any("given up" in line for line in issue(one).not_covered)


def test_what_the_cap_cut_off_is_told() -> None:
    lot, truth = objects()
    found = evidence(lot, truth, eps=0.15)
    assert issue(found).strata[0].clipped == 0
    assert any("0 % lay beyond" in line for line in issue(found).not_covered)
    assert "of one picture, no more count than it has labels, and one" in issue(found).sentence
    drawn = np.isin(lot.ask_unit, found.draws[0])
    safest = lot.order()[drawn[lot.order()]][0]
    wrong = truth.copy()
    wrong[safest] = 3 * lot.size[lot.ask_unit[safest]]
    capped = issue(replace(found, wrong=wrong))
    assert 0 < capped.strata[0].clipped < 1
    assert any("lay beyond" in line and " 0 %" not in line for line in capped.not_covered)


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    lot, truth = objects(strata=("<script>alert(1)</script>", "B & C"))
    made = issue(evidence(lot, truth, eps=0.08, project='"><img onerror=alert(1)>'))
    page = made.html()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "B &amp; C" in page
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.findall(r"(?:src|href|url|@import)\s*[=(]", page)
    assert set(re.findall(r"https?://\S+", page)) == set()
    for shown in (
        made.sha256,
        made.digest,
        made.head,
        made.seed,
        "hyla certify DIR --replay",
        *made.assumptions[1:],
        *made.not_covered,
    ):
        assert shown in page.replace("&#39;", "'")


def test_reviewers_must_make_sense() -> None:
    with pytest.raises(ConfigError, match="no review protocol 'triple'"):
        Reviewers("triple")
    with pytest.raises(ConfigError, match="share of delta"):
        Reviewers(seeds={"swap": (10, 9)})
    with pytest.raises(ConfigError, match="share of delta"):
        Reviewers(delta=0.01)
    with pytest.raises(ValueError, match="found <= planted"):
        _ = Reviewers(seeds={"swap": (10, 11)}, delta=0.01).lowest


@pytest.mark.parametrize("change", [{"format": 2}, {"strata": [{}]}, {"sentence": None, "more": 1}, {"by": 3}])
def test_what_is_no_certificate_is_refused(one: Evidence, change: dict[str, object]) -> None:
    with pytest.raises(StoreError, match=r"no certificate of format 1|can't be read"):
        Certificate.from_dict(issue(one).to_dict() | change)


@pytest.mark.parametrize("value", [[], "text", None, {"format": 1}])
def test_neither_is_anything_else(value: object) -> None:
    with pytest.raises(StoreError):
        Certificate.from_dict(value)  # type: ignore[arg-type]


def test_the_example_of_the_docs_is_what_comes_out() -> None:
    lot, truth = pictures(10_000)
    found = evidence(lot, truth, eps=0.02)
    made, part = issue(found), found.plan.strata[0]
    row = made.strata[0]
    most = most_found(200, 10_000, part.draws, 0.05)
    left = truth[~route(lot, [row.cut], found.draws)].sum()
    told = dict(re.findall(r"^\| (.+) \| (.+) \|$", (DOCS / "guarantees.md").read_text(), flags=re.MULTILINE))
    assert f"{truth.sum():,.0f}" in (DOCS / "guarantees.md").read_text()
    assert {
        "errors that may be left: 2 % of 10,000": "200",
        "pictures drawn, as planned": str(part.draws),
        "errors that the audit may find in what is left out, so that no more than 200 remain": str(most),
        "chance that it finds so few if more than 200 remained": percent(float(remaining_p(most, 200, 10_000, part.draws))),
        f"pictures left out: the last cut before the audit's {most + 1}th error": f"{row.cut:,}",
        "of these, not audited: accepted unseen": f"{made.units['accepted']:,}",
        "reviewed besides": f"{made.units['reviewed']:,}",
        "errors put right": f"{made.corrected:,.0f}",
        "error left in the whole lot: at most 200 of 10,000": percent(made.whole["upper"]),
        f"the same among what nobody looked at: 200 of {row.accepted_units:,}": percent(made.accepted["upper"]),
        "what was really left, which only the example knows": f"{left:.0f} errors, {percent(left / 10_000)}",
    }.items() <= told.items()
    assert Reviewers(seeds=dict.fromkeys(CAREFUL, (50, 50)), delta=0.025).lowest == pytest.approx(0.9, abs=0.01)


def test_of_many_audits_of_one_lot_few_certificates_are_false() -> None:
    """The claim itself, on a lot whose risks are far too sure of themselves: at most 5 % may be false."""
    lot, truth = pictures(1500, rate=0.1)
    lot = replace(lot, risk=lot.risk**3)
    found = evidence(lot, truth)
    false = 0
    for seed in range(400):
        draws = tuple(draw(lot, found.plan, str(seed)))
        made = issue(replace(found, seed=str(seed), draws=draws, wrong=truth))
        asked = route(lot, [row.cut for row in made.strata], draws)
        false += truth[~asked].sum() > 0.05 * 1500
    assert false <= binom.ppf(0.999, 400, 0.05) == 35


def test_what_people_overlooked_before_the_freeze_counts_too() -> None:
    lot, truth = pictures()
    seeds = {"swap": (400, 396)}
    found = evidence(lot, truth, eps=0.05, reviewers=Reviewers(seeds=seeds, delta=0.01))
    assert issue(found).issued
    cut = ledger.tests(found)[0].cut
    assert ledger.tests(replace(found, before=(2_000.0,)))[0].cut < cut, "what may be left is less by what was overlooked"
    assert not issue(replace(found, before=(50_000.0,))).issued, "one in a hundred of these may be left: more than all that may"
