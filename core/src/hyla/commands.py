"""What each verb does. A verb returns its answer twice, as data for `--json` and as text, or None after printing itself."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyla import plugins
from hyla.errors import ConfigError

if TYPE_CHECKING:
    from hyla.decide.assemble import Assembled
    from hyla.decide.flow import Demand
    from hyla.hooks import Format
    from hyla.store import Project
    from hyla.types import Record

PLANNED = (0.01, 0.02, 0.05, 0.1)  # errors that `hyla plan` looks at where none is given
CAMERAS = 32  # shown, of those that are known
VERDICTS = ("accepted", "review", "rejected", "quarantined")


@dataclass(frozen=True)
class Answer:
    """Hold what a verb found, for a script and for a person; a status other than 0 says that something does not hold."""

    data: Any
    text: str
    status: int = 0


def presets(_: Namespace) -> Answer:
    """List the presets, each with the distribution that offers it and the first comment of its YAML."""
    rows = [
        {"preset": name, "distribution": plugin.distribution, "version": plugin.version, "about": _about(path)}
        for name, (plugin, path) in sorted(plugins.offered("preset").items())
    ]
    text = "\n".join(f"{r['preset']:<16} {r['about']}  ({r['distribution']} {r['version']})" for r in rows)
    return Answer(rows, text or "no preset is installed: pip install hyla-driving")


def plugins_(_: Namespace) -> Answer:
    """List what is installed and what it offers in each config group."""
    rows = []
    for plugin in plugins.installed():
        offers = {group: sorted(found) for group in plugins.GROUPS if (found := plugin.offers(group))}
        rows.append({**asdict(plugin), "offers": offers})
    text = "\n".join(
        f"{r['distribution']} {r['version']}\n"
        + (
            "\n".join(f"  {group:<8} {', '.join(names)}" for group, names in r["offers"].items())
            or "  offers nothing: it has no conf package"
        )
        for r in rows
    )
    return Answer(rows, text)


def doctor(_: Namespace) -> Answer:
    """Say what this machine has: versions, device, weights folder, and what optional parts are missing."""
    import platform
    from importlib.util import find_spec

    weights = os.environ.get("HYLA_WEIGHTS")
    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
    found["plugins"] = {p.distribution: p.version for p in plugins.installed()}
    found["weights"] = {"folder": weights, "exists": bool(weights and Path(weights).is_dir())}
    optional = {
        "torch": "models",
        "openvino": "a faster CPU backend",
        "onnxruntime": "ONNX weights",
        "faster_coco_eval": "faster mAP",
        "fairlearn": "bias by subgroup, in reports",
        "cleanlab": "ObjectLab's score of labels",
        "crowdkit": "consensus of several readers",
    }
    found["optional"] = {name: find_spec(name) is not None for name in optional}
    found["device"] = _device() if find_spec("torch") else "cpu"
    lines = [f"Python {found['python']} on {found['system']}, {found['cores']} cores, device {found['device']}"]
    lines += [f"{name} {version}" for name, version in found["plugins"].items()]
    lines.append(f"weights folder: {weights or 'none; set HYLA_WEIGHTS or give weights_dir='}")
    lines += [
        f"{name}: {'installed' if here else f'not installed ({optional[name]})'}" for name, here in found["optional"].items()
    ]
    return Answer(found, "\n".join(lines))


def status(given: Namespace) -> Answer:
    """Say where a project stands: items by verdict, labels by class, why people are asked, its runs and its cameras."""
    from hyla.live import camera_lines
    from hyla.store import glance

    seen = glance(given.project)
    counts = seen.counts
    text = [f"{given.project}: {counts.items} items, {counts.labels} labels from {seen.source}"]
    text.append("  " + "   ".join(f"{word} {getattr(counts, word)}" for word in VERDICTS))
    for title, some in (("labels", counts.classes), ("why", counts.reasons), ("quarantined", counts.quarantine_reasons)):
        text += [f"  {title}:"] if some else []
        text += [f"    {n:>8}  {name}" for name, n in sorted(some.items(), key=lambda pair: (-pair[1], pair[0]))]
    text += [f"  run {run['id']}: {run['state']}" for run in seen.runs[-3:]]
    running = bool(seen.runs) and seen.runs[-1]["state"] == "running"
    for name, state in list(seen.cameras.items())[:CAMERAS]:
        text += [f"  camera {name}: {line}" for line in camera_lines(state, running)]
    if len(seen.cameras) > CAMERAS:
        text.append(f"  and {len(seen.cameras) - CAMERAS} more cameras: --json has them all")
    data = {"project": seen.path, "source": seen.source, **asdict(counts), "runs": seen.runs, "cameras": seen.cameras}
    return Answer(data, "\n".join(text))


def review(given: Namespace) -> None:
    """Serve the review page until interrupted."""
    from hyla.review.server import Invitation, serve

    others = [Invitation.of(text) for text in given.reviewer]
    serve(given.project, given.who or _user(), others, given.port, not given.no_browser, given.test_hooks)


def plan(given: Namespace) -> Answer:
    """Say what a certificate would take as things stand: audits, review, seconds."""
    from hyla.decide.flow import look

    with _open(given.project) as project:
        if given.eps is not None:
            found, one = look(project, _demand(given, given.eps))
            return Answer(one.to_dict(), f"{one}\n\n{_known(found)}")
        found, one = look(project, _demand(given, PLANNED[0]))
        some = [one, *(look(project, _demand(given, eps), found)[1] for eps in PLANNED[1:])]
    return Answer([one.to_dict() for one in some], "\n\n".join([*map(str, some), _known(found)]))


def certify(given: Namespace) -> Answer:
    """Take the next step to a certificate, or recompute the one that was issued."""
    import json

    from hyla.decide import flow

    with _open(given.project) as project:
        if given.replay:
            path = given.project / "certificate.json"
            try:
                value = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ConfigError(f"{path} is no JSON: {error}", "`hyla certify` writes it anew") from error
            made = flow.recompute(project, value)
            return Answer({"same": True, "sha256": made.sha256}, f"the same to the last bit: sha256 {made.sha256}")
        if given.eps is None:
            raise ConfigError("certify needs the error rate that is to be promised", "hyla certify DIR --eps 0.02")
        step = flow.certify(project, _demand(given, given.eps), afresh=given.afresh, stop=given.stop)
    return Answer({"state": step.state, **step.data}, step.text)


def report(given: Namespace) -> Answer:
    """Write one page that shows how good the labels are, and what they cost."""
    from hyla.report import report as write

    with _open(given.project) as project:
        path = write(project, given.to)
    return Answer({"report": str(path)}, f"{path}")


def simulate(given: Namespace) -> Answer:
    """Compare ways of spending people's time on a project of which the truth is known."""
    from hyla.decide.play import play
    from hyla.decide.reviewer import Reviewer
    from hyla.decide.simulate import simulate_project

    reviewer = Reviewer.parse(given.reviewer)
    demand = _demand(given, given.eps)
    with _open(given.project) as project:
        found = simulate_project(
            project,
            given.truth,
            reviewer=reviewer,
            eps=given.eps,
            delta=given.delta,
            strata=demand.strata,
            overrides=demand.overrides,
            repetitions=given.repetitions,
            seed=given.seed,
            **({"arms": _names(given.arms)} if given.arms else {}),
        )
        path = found.write(given.project)
        text = [str(found), f"{path}   then: hyla report {given.project}"]
        if given.to:
            text.append(play(project, given.truth, given.to, demand, reviewer, given.seed).text)
    return Answer(found.to_dict(), "\n\n".join(text))


def draw(given: Namespace) -> Answer:
    """Draw the labels on the pictures, spread evenly over the project."""
    from hyla.pictures import draw_project

    with _open(given.project) as project:
        paths = draw_project(project, given.to or given.project / "pictures", given.limit, who=_user())
        more = "; what people must confirm is drawn once they did" if project.schema().confirms else ""
    return Answer([str(p) for p in paths], f"{len(paths)} pictures in {given.to or given.project / 'pictures'}{more}")


def export(given: Namespace) -> Answer:
    """Write the labels in one format, and say what it could not carry."""
    from hyla import formats

    if given.list:
        offered = formats.offered()
        return Answer(offered, "\n".join(f"{name:<12} {about}" for name, about in offered.items()))
    for name in ("project", "format", "to"):
        if getattr(given, name) is None:
            word = "DIR" if name == "project" else f"--{name}"
            raise ConfigError(f"export needs {word}", "hyla export DIR --format coco --to FOLDER", formats.offered())
    with _open(given.project) as project:
        schema = project.schema()
        records = project.released(given.source)
        seen = _Seen(records, project, _user(), f"export {given.format}")
        loss = dict(_format(project, given).export(seen, schema, given.to) or {})
    if records.left_out:
        loss["unconfirmed"] = loss.get("unconfirmed", 0) + records.left_out
    return Answer(
        {"format": given.format, "to": str(given.to), "loss": loss}, f"{given.to}: {formats.describe(given.format, loss)}"
    )


@dataclass(frozen=True)
class _Seen:
    """Yield records, and write down that they were given to somebody."""

    records: Iterable[Record]
    project: Project
    who: str
    how: str

    def __iter__(self) -> Iterator[Record]:
        for record in self.records:
            self.project.saw(self.who, [record.item.id], self.how)
            yield record


def import_(given: Namespace) -> Answer:
    """Read labels made elsewhere into the project, beside the machine's."""
    from hyla.evaluate import match_items

    role = f"truth:{given.format}" if given.role == "truth" else given.role
    if not role.startswith(("truth:", "human:")) or role.endswith(":"):
        raise ConfigError(f"--as is {given.role!r}", "say whose labels they are", ("truth", "truth:NAME", "human:NAME"))
    if not given.path.exists():
        raise ConfigError(f"there is no {given.path}", "give the file or folder that holds the labels: --from PATH")
    with _open(given.project) as project:
        schema = project.schema()
        records = _format(project, given).read(given.path, schema)
        if records is None:
            raise ConfigError(f"format {given.format!r} can be written but not read")
        matched = match_items(records, project)
        items = project.add(matched, role)
        waits = "; what people must confirm waits for them" if schema.confirms and role.startswith("human:") else ""
    data = {"items": items, "unmatched": matched.unmatched, "as": role}
    return Answer(data, f"{items} items as {role}; {matched.unmatched} of the file match no item of the project{waits}")


def evaluate(given: Namespace) -> Answer:
    """Measure the machine's labels against the truth."""
    from hyla.evaluate import project_evaluate

    with _open(given.project) as project:
        found = project_evaluate(project, given.truth, fold=given.fold.split(",") if given.fold else ())
    return Answer(found.to_dict(), str(found))


def verify(given: Namespace) -> Answer:
    """Prove that machine rows and decisions are as they were written."""
    with _open(given.project) as project:
        report = project.verify(head=given.head)
    lines = [
        f"{report.annotations} annotations and {report.decisions} decisions: {'all hold' if report.ok else 'NOT as written'}"
    ]
    lines += [f"  {problem}" for problem in report.problems]
    if report.deleted:
        where = f"`hyla retain {given.project} --list` says when, by whom and why"
        lines.append(f"{report.deleted} items were deleted, past their time: {where}")
    lines.append(f"head {report.head}  (keep it: `hyla verify {given.project} --head HASH` sees a ledger cut at its end)")
    return Answer(asdict(report), "\n".join(lines), 0 if report.ok else 1)


def access(given: Namespace) -> Answer:
    """List who saw which clip or item, when and how."""
    with _open(given.project) as project:
        found = project.accesses(given.who, given.what, given.limit)
    lines = [f"{one.at[:19].replace('T', ' ')}  {one.who:<12} {one.how:<14} {one.group or one.item_id}" for one in found]
    return Answer([asdict(one) for one in found], "\n".join(lines) or "nobody saw anything, as far as it was written down")


def retain(given: Namespace) -> Answer:
    """Delete what is past its time; or hold a clip or an item, or release it."""
    from hyla.retain import describe
    from hyla.retain import retain as delete

    who = given.who or _user()
    with _open(given.project) as project:
        for what, act in ((given.hold, project.hold), (given.release, project.release)):
            if what is not None:
                made = act(what, who, given.why or "")
                return Answer(asdict(made), f"{made.kind}: {what}, {made.body['why']}")
        if given.list:
            events, held = project.retention(), project.held()
            lines = [f"held: {what}, {why}" for what, why in held.items()]
            lines += [f"{one.at[:19].replace('T', ' ')}  {one.who:<12} {one.kind}" + _told(one.body) for one in events]
            return Answer(
                {"held": held, "events": [asdict(one) for one in events]}, "\n".join(lines) or "nothing was held or deleted"
            )
        done = delete(project, who, given.hours, given.footage, given.around, given.dry_run)
    return Answer({**asdict(done), "dry_run": given.dry_run}, describe(done, given.dry_run), 1 if done.left or done.behind else 0)


def _told(body: dict[str, Any]) -> str:
    if "items" in body:
        return f": {body['items']} items of {len(body['clips'])} clips, {body['why']}"
    if "gone" in body:
        return f": {len(body['gone'])} files of deletion {body['event']}" + (
            f", {len(body['left'])} left" if body["left"] else ""
        )
    return f": {body['what']}, {body['why']}"


def _user() -> str:
    """Return the name of the user of this machine, or its number where it has none."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):  # in a container, often
        return f"uid {os.getuid()}"


def check(given: Namespace) -> Answer:
    """Test a plugin against the contract."""
    from hyla.testing import run_checks

    results = run_checks(given.preset, given.source, tuple(given.override))
    failed = [r for r in results if not r.ok]
    words = ["skip" if r.skipped else "ok  " if r.ok else "FAIL" for r in results]
    lines = [f"{word} {r.name}" + (f"\n       {r.message}" if r.message else "") for word, r in zip(words, results, strict=True)]
    lines.append(f"{words.count('ok  ')} passed, {len(failed)} failed, {words.count('skip')} skipped")
    return Answer([asdict(r) for r in results], "\n".join(lines), 1 if failed else 0)


def demo(given: Namespace) -> Answer:
    """Run presets on the samples they make themselves: no data, weights, GPU or network."""
    from hyla.demo import demo as show

    found = [show(name, given.to) for name in given.presets or with_sample()]
    if not found:
        raise ConfigError("no installed plugin has a sample", "pip install hyla-driving")
    return Answer([d.data for d in found], "\n\n".join(d.text for d in found))


def with_sample() -> list[str]:
    """Return the presets that are named like their plugin and whose plugin makes a sample."""
    from importlib.util import find_spec

    offered = plugins.offered("preset")
    return [
        name for name, (plugin, _) in sorted(offered.items()) if plugin.name == name and find_spec(f"{plugin.package}.sample")
    ]


def _format(project: Project, given: Namespace) -> Format:
    """Return the format that a verb names, with the pictures of the project for one that asks for them."""
    from hyla import formats
    from hyla.pictures import Pictures

    schema = project.schema()
    pictures = Pictures(project.source(), project.settings()["loader"], schema, project)
    return formats.get(given.format, schema=schema, pictures=pictures, **_settings(given.setting))


def _open(path: Path) -> Project:
    from hyla.store import Project

    return Project.open(path)


def _known(found: Assembled) -> str:
    """Return what the risks and the seconds of a plan rest on."""
    risks = [
        f"risk of {one.about}: {one.model}, learned from {one.items} answered pictures"
        f" (AUC {_short(one.auc)}; the scores alone {_short(one.auc_before)}; n {one.n}, {one.errors:g} errors)"
        for one in found.calibrations
        if one.model
    ] or ["risk: the scores as they are, since too few pictures were answered to learn from"]
    measured = [name for name, one in found.effort.basis.items() if one.get("measured")]
    times = f"measured for {', '.join(measured)}, assumed for the rest" if measured else "assumed from the literature"
    return "\n".join([*risks, f"seconds: {times}; `hyla plan` costs nothing, and promises nothing yet"])


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _demand(given: Namespace, eps: float) -> Demand:
    """Return what is asked of the decide layer."""
    from hyla.decide.flow import Demand

    mode = "early" if getattr(given, "early", False) else "planned"
    more = {name: getattr(given, name) for name in ("protocol", "seeds") if hasattr(given, name)}
    made = Demand(eps, given.delta, _names(given.strata), mode, overrides=tuple(given.setting), **more)
    made.prove()
    return made


def _names(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _settings(words: list[str]) -> dict[str, Any]:
    """Return the settings of a format given as `key=value` words, with YAML's values."""
    import yaml

    for word in words:
        if "=" not in word:
            raise ConfigError(f"{word!r} is no setting", "settings of a format have the form key=value: task=segment")
    return {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in words)}


def _about(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").rstrip()
    return ""


def _device() -> str:
    from hyla import device

    return device.pick("auto")


VERBS = {
    "presets": presets,
    "plugins": plugins_,
    "doctor": doctor,
    "status": status,
    "review": review,
    "plan": plan,
    "certify": certify,
    "report": report,
    "simulate": simulate,
    "draw": draw,
    "export": export,
    "import": import_,
    "evaluate": evaluate,
    "verify": verify,
    "retain": retain,
    "access": access,
    "check": check,
    "demo": demo,
}
