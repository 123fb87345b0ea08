"""How likely things are wrong: by the scores, as learned, and by a second model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hyla.decide.calibration import auc, reliability
from hyla.decide.features import Table, table_of
from hyla.decide.learner import Learner
from hyla.decide.objectlab import ObjectLab
from hyla.decide.risk import Asked, Entropy, Fixed, Known, Learned, Score
from hyla.errors import ConfigError
from hyla.types import Flag, Item, Kind, Labels, Record, Severity


def record(name: str, labels: Labels, flags: tuple[Flag, ...] = ()) -> Record:
    return Record(Item(name, name), labels, flags, size=(100, 100))


def asked(table: Table, apart: bool = True) -> Asked:
    return Asked(np.ones(len(table.machine.class_id), dtype=bool), apart)


def world(pictures: int, seed: int = 0) -> tuple[Table, np.ndarray, np.ndarray]:
    """Return a table whose scores lie: class 1 is wrong six times in ten whatever its score, class 0 once in twenty.

    Objects are missed where the picture has many labels.
    """
    rng = np.random.default_rng(seed)
    records, wrong, missed = [], [], []
    for i in range(pictures):
        n = int(rng.integers(0, 8))
        near = rng.random((n, 2)) * 80
        labels = Labels.of(
            rng.integers(0, 2, n), np.hstack([near, near + 5]), score=rng.random(n), evidence={"noise": rng.random(n)}
        )
        records.append(record(f"{i:05d}", labels))
        wrong.append(rng.random(n) < np.where(labels.class_id == 1, 0.6, 0.05))
        missed.append(rng.poisson(0.3 * n))
    return table_of(records), np.concatenate(wrong).astype(float), np.array(missed, dtype=float)


def known(table: Table, wrong: np.ndarray, missed: np.ndarray, pictures: int) -> Known:
    rows = np.arange(table.machine.start[pictures])
    return Known(np.arange(pictures), rows, wrong[rows], missed[:pictures])


def test_scores_are_taken_at_their_word() -> None:
    drop = (Flag("r", "x", Severity.REJECT, (1,)),)
    records = [
        record("a", Labels.of([0, 0], [[0, 0, 9, 9], [20, 20, 29, 29]], score=[0.9, 0.8]), drop),
        record("b", Labels.empty(), (Flag("r", "x", Severity.REJECT),)),
        record("c", Labels.empty()),
    ]
    table = table_of(records)
    found = Score(miss=0.2).assess(table, Known.nothing(), asked(table))
    assert found.rows == pytest.approx([0.1, 0.9])
    assert found.wholes == pytest.approx([0.6, 0.9, 0.2])
    one = Score().assess(table, Known.nothing(), asked(table, apart=False))
    assert one.wholes == pytest.approx([1 - 0.72, 1, 1])


def test_tags_that_no_one_asks_about_do_not_count() -> None:
    labels = Labels.of([0, 1], [[0, 0, 9, 9]] * 2, score=[0.9, 0.1], kind=[int(Kind.TAG), int(Kind.BOX)])
    table = table_of([record("a", labels)])
    found = Score().assess(table, Known.nothing(), Asked(table.machine.kind == Kind.TAG, False))
    assert found.wholes == pytest.approx([0.1])


def test_with_too_few_answers_nothing_is_learned_and_it_says_so() -> None:
    table, wrong, missed = world(60)
    found = Learned().assess(table, known(table, wrong, missed, 29), asked(table))
    before = Score().assess(table, Known.nothing(), asked(table))
    assert np.array_equal(found.rows, before.rows)
    assert np.array_equal(found.wholes, before.wholes)
    assert [one.about for one in found.calibrations] == ["labels", "pictures"]
    assert all(one.model == "" and "uncalibrated: 29" in one.note for one in found.calibrations)


@pytest.mark.parametrize(("pictures", "answered"), [(300, 60), (900, 600)])
def test_what_people_answered_is_learned(pictures: int, answered: int) -> None:
    table, wrong, missed = world(pictures)
    found = Learned().assess(table, known(table, wrong, missed, answered), asked(table))
    new = np.arange(table.machine.start[answered], len(wrong))
    one = table.machine.class_id[new] == 1
    assert found.rows[new][one].mean() == pytest.approx(0.6, abs=0.12)
    assert found.rows[new][~one].mean() == pytest.approx(0.05, abs=0.05)
    unseen = np.arange(answered, pictures)
    assert found.wholes[unseen].mean() == pytest.approx(missed[unseen].mean(), rel=0.25)
    assert np.corrcoef(found.wholes[unseen], table.machine.count[unseen])[0, 1] > 0.8
    labels, whole = found.calibrations
    assert labels.brier < labels.brier_before
    assert labels.auc > 0.75 > labels.auc_before
    assert (labels.items, labels.n) == (answered, table.machine.start[answered])
    assert whole.errors == missed[:answered].sum()
    assert json.loads(json.dumps(labels.to_dict()))["model"] == labels.model != ""


def test_learning_again_gives_the_same() -> None:
    table, wrong, missed = world(400)
    first, second = (Learned().assess(table, known(table, wrong, missed, 300), asked(table)) for _ in range(2))
    assert np.array_equal(first.rows, second.rows)
    assert np.array_equal(first.wholes, second.wholes)
    assert first.calibrations == second.calibrations


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_where_all_are_right_or_all_wrong_the_order_stays(share: float) -> None:
    table, _, _ = world(80)
    rows = np.full(len(table.machine.class_id), share)
    found = Learned().assess(table, known(table, rows, np.full(80, share * 2), 40), asked(table))
    before = Score().assess(table, Known.nothing(), asked(table))
    assert np.array_equal(np.argsort(found.rows, kind="stable"), np.argsort(before.rows, kind="stable"))
    assert found.rows.mean() == pytest.approx(share, abs=0.02)
    assert ((found.rows >= 0) & (found.rows <= 1)).all()
    assert (found.wholes >= 0).all()


def test_pictures_that_are_one_question_are_learned_too() -> None:
    table, wrong, _ = world(500)
    any_wrong = np.bincount(table.machine.item, wrong, 500) > 0
    answers = Known(
        np.arange(400), np.arange(table.machine.start[400]), wrong[: table.machine.start[400]] * 0, any_wrong[:400] * 1.0
    )
    found = Learned().assess(table, answers, asked(table, apart=False))
    assert auc(found.wholes[400:], any_wrong[400:] * 1.0) > 0.75
    assert [one.about for one in found.calibrations] == ["pictures"]
    assert ((found.wholes >= 0) & (found.wholes <= 1)).all()


def test_shares_of_pixels_are_learned() -> None:
    table, _, _ = world(200)
    share = np.clip(table.machine.count / 10, 0, 1)
    answers = Known(np.arange(150), np.arange(table.machine.start[150]), np.zeros(table.machine.start[150]), share[:150])
    found = Learned().assess(table, answers, asked(table, apart=False))
    assert np.corrcoef(found.wholes[150:], share[150:])[0, 1] > 0.9
    assert np.abs(found.wholes[150:] - share[150:]).mean() < 0.1
    assert found.calibrations[0].brier < found.calibrations[0].brier_before / 4


def test_unknown_numbers_never_become_a_risk_of_nan() -> None:
    rng = np.random.default_rng(0)
    records = []
    for i in range(120):
        evidence = {"margin": [rng.random()]} if i % 2 else {"other": [np.nan]}
        records.append(record(str(i), Labels.of([i % 3], [[0, 0, 5, 5]], score=[i % 2], evidence=evidence)))
    table = table_of(records, {"3": Labels.empty()})
    wrong = (rng.random(120) < 0.4).astype(float)
    found = Learned().assess(table, known(table, wrong, wrong * 3, 90), asked(table))
    assert np.isfinite(found.rows).all()
    assert np.isfinite(found.wholes).all()


def test_predictions_that_are_shown_are_of_what_was_not_seen() -> None:
    """Answers by the toss of a coin can't be predicted, however many classes there are to learn them by heart with."""
    rng = np.random.default_rng(1)
    n = 1500
    y, x = (rng.random(n) < 0.5).astype(float), rng.random((n, 5))
    learner = Learner([f"x{i}" for i in range(5)])
    shown = learner.fit(x, y, np.arange(n) // 2, np.arange(n) // 3, np.full(n, 0.5))
    assert 0.42 < auc(shown, y) < 0.58
    assert learner.chosen in ("scores", "classes")


def test_trees_find_what_a_line_can_not() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((3000, 3))
    y = (rng.random(3000) < np.where((x[:, 0] > 0.5) ^ (x[:, 1] > 0.5), 0.9, 0.05)).astype(float)
    learner = Learner(["a", "b", "c"])
    learner.fit(x, y, np.zeros(3000, np.int64), np.arange(3000), np.full(3000, 0.5))
    assert learner.chosen == "boosting"
    assert learner.predict(np.array([[0.9, 0.1, 0.5], [0.9, 0.9, 0.5]]), np.zeros(2, np.int64), np.full(2, 0.5)) == pytest.approx(
        [0.9, 0.05], abs=0.12
    )


@pytest.mark.parametrize("counts", [False, True])
def test_trees_pass_over_a_number_that_is_known_of_nothing(counts: bool) -> None:
    rng = np.random.default_rng(4)
    x = rng.uniform(size=(3000, 3))
    y = ((x[:, 0] > 0.5) ^ (x[:, 1] > 0.5)).astype(float)
    x[:, 2] = np.nan
    learner = Learner(["a", "b", "c"], counts)
    learner.fit(x, y, np.zeros(3000, np.int64), np.arange(3000), np.full(3000, 0.5))
    low, high = learner.predict(np.array([[0.9, 0.9, np.nan], [0.9, 0.1, 0.5]]), np.zeros(2, np.int64), np.full(2, 0.5))
    assert low < 0.3 < 0.7 < high


def test_bare_scores_and_classes_can_be_learned_from() -> None:
    rng = np.random.default_rng(4)
    score, classes = rng.random(800), rng.integers(0, 4, 800)
    wrong = (rng.random(800) < np.where(classes == 3, 0.7, 0.5 * (1 - score))).astype(float)
    risk = Learned()
    with pytest.raises(ConfigError, match="nothing was learned"):
        risk.predict(score[:, None], classes)
    shown = risk.fit(score[:500, None], wrong[:500], classes[:500])
    found = risk.predict(score[500:, None], classes[500:])
    assert shown.brier < shown.brier_before
    assert auc(found, wrong[500:]) > auc(1 - score[500:], wrong[500:]) + 0.03


def test_entropy_is_highest_where_the_model_is_undecided() -> None:
    table = table_of([record("a", Labels.of([0, 0, 0], [[0, 0, 9, 9]] * 3, score=[1.0, 0.5, 0.9])), record("b", Labels.empty())])
    found = Entropy().assess(table, Known.nothing(), asked(table))
    assert found.rows == pytest.approx([0, 1, 0.469], abs=1e-3)
    assert found.wholes == pytest.approx([1, 1])
    told = Labels.of([0, 0], [[0, 0, 9, 9]] * 2, score=[0.5, 0.5], evidence={"entropy": [0.2, 0.8]})
    table = table_of([record("a", told)])
    assert Entropy().assess(table, Known.nothing(), asked(table)).rows == pytest.approx([0.25, 1])


def test_a_fixed_threshold_says_yes_or_no() -> None:
    table = table_of([record("a", Labels.of([0, 0], [[0, 0, 9, 9]] * 2, score=[0.9, 0.89]))])
    found = Fixed().assess(table, Known.nothing(), asked(table))
    assert (found.rows.tolist(), found.wholes.tolist()) == ([0, 1], [1])


def test_objectlab_finds_what_a_second_model_saw() -> None:
    mine = Labels.of([0, 1], [[0, 0, 50, 50], [60, 60, 99, 99]], score=[0.9, 0.9])
    records = [record(name, mine) for name in ("same", "swapped", "unseen")]
    records += [record("more", mine[[0]])]
    swapped = Labels.of([0, 0], mine.box, score=[0.99, 0.98])
    same = Labels.of([0, 1], mine.box, score=[0.99, 0.98])
    table = table_of(records, {"same": same, "swapped": swapped, "more": same})
    found = ObjectLab("truth:other").assess(table, Known.nothing(), asked(table))
    same_rows, swapped_rows, unseen = found.rows[:2], found.rows[2:4], found.rows[4:6]
    assert same_rows.max() < 0.1 < 0.9 < swapped_rows[1]
    assert unseen.tolist() == [1, 1]
    assert found.wholes[3] > 0.9 > 0.1 > found.wholes[0]
    one = ObjectLab("truth:other").assess(table, Known.nothing(), asked(table, apart=False))
    assert one.wholes[1] == swapped_rows.max()


def test_objectlab_without_a_second_model_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="none is named"):
        ObjectLab()
    table, _, _ = world(3)
    with pytest.raises(ConfigError, match="truth:other"):
        ObjectLab("truth:other").assess(table, Known.nothing(), asked(table))


@pytest.mark.parametrize("make", [lambda: Score(-1), lambda: Fixed(0), lambda: Fixed(1.5), lambda: Learned(least=5)])
def test_settings_that_can_not_be_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()


def test_reliability_has_bins_of_equal_numbers_and_their_share() -> None:
    risk = np.linspace(0.005, 0.995, 100)
    shown = reliability("labels", risk, (risk > 0.5).astype(float), risk, "logistic", 10)
    assert [one.n for one in shown.bins] == [10] * 10
    assert [one.observed for one in shown.bins] == [0] * 5 + [1] * 5
    assert all(one.observed_low <= one.observed <= one.observed_high for one in shown.bins)
    assert shown.bins[0].observed_high == pytest.approx(0.2775, abs=1e-4)  # Wilson, 0 of 10
    assert shown.auc == 1
    tied = reliability("labels", np.full(50, 0.2), np.zeros(50), np.full(50, 0.2), "scores", 10)
    assert [one.n for one in tied.bins] == [50]
    assert tied.auc is None
    assert reliability("labels", np.zeros(0), np.zeros(0), np.zeros(0), "", 0).bins == ()


def test_the_area_under_the_curve_is_scikit_learns() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    risk, wrong = rng.integers(0, 5, 200) / 5, (rng.random(200) < 0.3).astype(float)
    assert auc(risk, wrong) == pytest.approx(roc_auc_score(wrong, risk))


def test_a_few_odd_classes_do_not_upset_the_order_of_scores() -> None:
    """With a hundred answers over hundreds of classes there is nothing to learn of classes, and nothing may be lost by trying."""
    rng = np.random.default_rng(5)
    for seed in range(4):
        score, classes = rng.random(4000), rng.integers(0, 800, 4000)
        wrong = (rng.random(4000) < 0.8 * (1 - score)).astype(float)
        some = np.random.default_rng(seed).choice(4000, 100, replace=False)
        risk = Learned()
        risk.fit(score[some, None], wrong[some], classes[some])
        assert auc(risk.predict(score[:, None], classes), wrong) > auc(1 - score, wrong) - 0.01
