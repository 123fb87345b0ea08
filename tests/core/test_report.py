"""The report: one page that asks nobody for anything, shows what is there, and says what would give the rest."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from decide_kit import project_of
from hyla.decide.certificate import Certificate
from hyla.decide.flow import Demand, certify
from hyla.decide.simulate import simulate
from hyla.decide.simulation import NAME as SIMULATION
from hyla.errors import StoreError
from hyla.figure import Figure
from hyla.report import plots, report
from hyla.report.report import page
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.store.asks import Ask
from hyla.types import Flag, Labels, Severity
from sim_kit import objects
from store_kit import CAR, PERSON, boxes, fill, record, start

TITLES = {
    "quality": "Errors left against human time",
    "reliability": "Do the risks hold?",
    "strata": "Error left in each part",
    "bias": "Error and review by subgroup",
    "seconds": "Seconds per decision",
    "throughput": "Decisions over time",
    "waiting": "What waits for a person",
}


class Page(HTMLParser):
    """Read a page: its tags with their attributes, and the text within sections."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def sections(self) -> list[str | None]:
        return [attributes["id"] for tag, attributes in self.tags if tag == "section"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project of 40 pictures, by day and by night, half of which wait for a person."""
    made = Project.create(tmp_path / "roads & <b>towns</b>")
    start(made)
    for k in range(40):
        labels = replace(boxes(), context={"light": "day" if k % 4 else "night"})
        flags = (Flag("small", "too_small", message="small"),) if k % 2 else ()
        one = record(f"item{k:05d}", labels, flags)
        made.write([Stored(replace(one, verdict=type(one.verdict).REVIEW) if k % 2 else one, k, 0.0)])
    return made


def decide(project: Project, n: int, mode: str = "single") -> None:
    for k, one in enumerate(project.next_items("review", limit=n)):
        state = project.state(one.item.id)
        ask = Ask(
            one.item.id, "accept", "ann", f"key {mode} {k}", annotation=state["annotation"], active_ms=1000 * (k + 1), mode=mode
        )
        project.decide_all([ask])


def certificate(**changes: Any) -> Certificate:
    """Return a certificate with two strata."""
    part = {"method": "betting", "eps": 0.05, "delta": 0.025, "units": 60, "size": 300.0, "settled": 0, "eligible": 60}
    part |= {"draws": 20, "audited": 18, "errors": 1.0, "asks": 300, "cut": 150, "accepted": 120, "accepted_units": 20}
    part |= {"estimate": 0.012, "upper": 0.05, "upper_accepted": 0.2, "clipped": 0.0, "tried": [], "outcome": "issued"}
    known = dict.fromkeys(Certificate.__dataclass_fields__)
    values: dict[str, Any] = {
        **known,
        **{"format": 1, "lot": 1, "outcome": "issued", "simulated": False, "eps": 0.05, "delta": 0.05, "by": ["light"]},
        **{
            "sentence": "At most 5 % <are> left.",
            "assumptions": [],
            "not_covered": [],
            "whole": {"upper": 0.05, "estimate": 0.01},
        },
        **{"accepted": {"upper": 0.2, "size": 10.0}},
        **changes,
    }
    fields = _fields()
    values["strata"] = [{**dict.fromkeys(fields), **part, "name": name, "tried": []} for name in ("day", "night")]
    values["strata"] = [{key: value for key, value in one.items() if key in fields} for one in values["strata"]]
    return Certificate.from_dict(values)


def _fields() -> set[str]:
    from hyla.decide import certificate as module

    return set(module.Stratum.__dataclass_fields__)


def test_a_bare_project_says_what_would_give_each_part(project: Project) -> None:
    with project:
        path = report(project)
        assert path == project.path / "report.html"
        seen = Page(path.read_text(encoding="utf-8"))
    assert seen.sections == ["bias", "waiting"]
    for place in ("quality", "reliability", "strata", "seconds", "throughput"):
        assert TITLES[place] in seen.text
    assert "hyla simulate" in seen.text
    assert "no certificate yet" in seen.text
    assert "nobody decided yet" in seen.text
    assert "20 of 40; nothing is promised of them" in seen.text


def test_a_full_project_shows_every_part(project: Project) -> None:
    with project:
        simulate(objects(300), repetitions=3, objects=900).write(project.path)
        (project.path / "certificate.json").write_text(certificate().text, encoding="utf-8")
        decide(project, 8)
        bins = [{"low": 0, "high": 0.2, "n": 50, "predicted": 0.1, "observed": 0.12, "observed_low": 0.05, "observed_high": 0.25}]
        known = {"about": "labels", "model": "logit", "n": 50, "bins": bins, "auc": 0.8, "auc_before": 0.7, "note": "few"}
        lot = objects(20).lot
        project.freeze(lot, {"calibrations": [known], "decide": {}, "demand": {}}, seed="0")
        seen = Page(page(project))
    assert seen.sections == list(TITLES)
    assert "Not here yet" not in seen.text
    assert "At most 5 % <are> left." in seen.text
    assert "8 decisions of 1 person" in seen.text
    assert "36 s" in seen.text  # 1 + 2 + ... + 8
    assert "≤ 5 %" in seen.text
    assert "(5 % – 25 %, n 50)" in seen.text
    assert "by the score alone 0.70" in seen.text
    assert "too small 12" in seen.text  # what still waits


def test_the_page_asks_nobody_for_anything(project: Project) -> None:
    with project:
        simulate(objects(300), repetitions=2).write(project.path)
        decide(project, 3)
        text = page(project)
    seen = Page(text)
    names = {tag for tag, _ in seen.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "image", "base", "form"}
    policy = next(a["content"] for tag, a in seen.tags if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    for _, attributes in seen.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert all(found.startswith("#") for found in re.findall(r"url\(([^)]*)\)", text))


def test_ids_are_unique_and_everything_pointed_at_is_there(project: Project) -> None:
    with project:
        simulate(objects(300), repetitions=2).write(project.path)
        seen = Page(text := page(project))
    ids = [a["id"] for _, a in seen.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    pointed = {a[name] for _, a in seen.tags for name in ("href",) if a.get(name)} | set(re.findall(r"url\((#[^)]*)\)", text))
    assert {f"#{one}" for one in ids} >= pointed


def test_names_are_text_and_never_markup(project: Project) -> None:
    with project:
        text = page(project)
    assert "<b>towns</b>" not in text
    assert "&lt;b&gt;towns&lt;/b&gt;" in text


def test_what_a_program_answered_is_called_simulated(project: Project) -> None:
    with project:
        decide(project, 4, "simulated")
        seen = Page(page(project))
        assert "Simulated: 4 decisions that stand, 10 s in all" in seen.text
        assert "throughput" not in seen.sections  # how fast a program is says nothing
        decide(project, 3)
        seen = Page(page(project))
        assert "Measured: 3 decisions that stand, 6 s in all" in seen.text
        assert "3 decisions of 1 person" in seen.text


def test_a_refused_certificate_promises_nothing(project: Project) -> None:
    with project:
        made = certificate(outcome="second pass needed", sentence="Nothing is promised of lot 1.")
        (project.path / "certificate.json").write_text(made.text, encoding="utf-8")
        seen = Page(page(project))
    assert "second pass needed" in seen.text
    assert "Nothing is promised of lot 1." in seen.text
    assert "strata" not in seen.sections
    assert "≤" not in seen.text


def test_errors_by_group_are_those_against_the_truth(project: Project) -> None:
    with project:
        # By night every second label is wrong, by day none.
        truth = [
            replace(one, labels=boxes((CAR, CAR)) if one.labels.context["light"] == "night" else boxes((CAR, PERSON)))
            for one in project.records("model")
        ]
        project.add(truth, "truth:survey")
        seen = Page(page(project))
    assert "against truth:survey, 40 pictures" in seen.text
    assert "light night 10 33.3 % (" in seen.text
    assert "light day 30 0 % (" in seen.text


def test_errors_by_group_are_those_of_the_audit_where_there_is_no_truth(tmp_path: Path) -> None:
    with Project.create(tmp_path / "audited") as made:
        start(made)
        for k in range(120):
            labels = replace(boxes(), context={"light": "day" if k % 4 else "night"})
            made.write([Stored(record(f"item{k:05d}", labels), k, 0.0)])
        assert certify(made, Demand(0.3)).state == "audit"
        audited = len(made.next_items("review", limit=200))
        assert "of lot 1, drawn by chance" in Page(page(made)).text
        for one in made.next_items("review", limit=200):
            state = made.state(one.item.id)
            answer = boxes((CAR, CAR)) if int(one.item.id[-1]) % 2 else None
            action = "edit" if answer else "accept"
            made.decide_all([Ask(one.item.id, action, "ann", one.item.id, labels=answer, annotation=state["annotation"])])
        text = Page(page(made)).text
    assert 0 < audited < 120
    assert f"in the {audited} audited units of lot 1" in text
    shown = re.search(r"light day 90 ([0-9.]+) % \(", text)
    assert shown
    assert 5 < float(shown[1]) < 33.4  # one error per three labels and picture, in about a half


@pytest.mark.parametrize(
    ("name", "text"), [(SIMULATION, "{}"), (SIMULATION, "{"), ("certificate.json", "[]"), ("certificate.json", "{")]
)
def test_a_broken_file_is_named_and_not_shown(project: Project, name: str, text: str) -> None:
    with project:
        (project.path / name).write_text(text, encoding="utf-8")
        with pytest.raises(StoreError):
            report(project)
        assert not (project.path / "report.html").exists()


def test_it_is_written_where_one_says(project: Project, tmp_path: Path) -> None:
    with project:
        assert report(project, tmp_path / "new" / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
        (tmp_path / "folder").mkdir()
        assert report(project, tmp_path / "folder") == tmp_path / "folder" / "report.html"


def test_the_same_project_gives_the_same_page(project: Project) -> None:
    with project:
        simulate(objects(300), repetitions=2).write(project.path)
        assert page(project) == page(project)


def test_figures_keep_their_text_and_take_the_colours_of_the_page() -> None:
    rows = [("north & south", Figure(0.2, 0.1, 0.3, 50)), ("unknown", Figure(None, None, None, 0))]
    drawn = plots.bars("sites", "error by <site>", rows, "errors, %", percent=True, limit=0.05)
    for text in (drawn.wide, drawn.narrow):
        tree = ElementTree.fromstring(text)
        words = [one.text for one in tree.iter("text")]
        assert "north & south" in words
        assert tree.attrib["aria-label"] == "error by <site>"
        assert tree.attrib["role"] == "img"
        assert "var(--accent)" in text
        assert "var(--warn)" in text
        assert not re.search(r"#0[1-7]0|#1[1-7]1", text)
    assert drawn.wide != drawn.narrow


def test_every_colour_of_a_figure_is_declared_for_light_and_dark() -> None:
    style = (Path(plots.__file__).parent / "report.html.j2").read_text(encoding="utf-8")
    light, dark = style.split("@media (prefers-color-scheme: dark)")[:2]
    for name in plots.VARIABLES.values():
        assert f"--{name}:" in light
        assert f"--{name}:" in dark.split("}")[0]


def test_an_empty_project_has_a_report(tmp_path: Path) -> None:
    with Project.create(tmp_path / "empty") as made:
        start(made)
        seen = Page(page(made))
        fill(made, 1, labels=Labels.empty())
        Page(page(made))
    assert seen.sections == []
    assert "Nothing waits." in seen.text


def test_a_schema_is_all_that_a_report_needs_of_a_plugin(tmp_path: Path) -> None:
    schema = Schema.from_config({"name": "bare", "kinds": ["box"], "classes": {"thing": {}}})
    with Project.create(tmp_path / "bare") as made:
        start(made, schema=schema)
        fill(made, 2, labels=boxes((0,)))
        assert json.dumps(Page(page(made)).text)


def test_what_two_people_agree_on_is_shown(tmp_path: Path) -> None:
    twice = (Flag("police", "face", Severity.SECOND, (), "a face"),)
    with project_of(tmp_path / "out", 6, flags=lambda i: twice) as project:
        assert "Do people agree?" not in report(project).read_text()
        for one in list(project.records("model")):
            project.decide(one.item.id, "accept", who="ann", key=f"a {one.item.id}")
            project.decide(one.item.id, "opinion", who="ben", key=f"b {one.item.id}", labels=one.labels)
        page = report(project).read_text()
    assert "Do people agree?" in page
    assert "6 pictures" in page
    assert re.search(r"same answer</t[hd]>\s*<td[^>]*>1.000", page)
