"""The command line: one verb each. Only `run` imports Hydra; nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hyla.errors import HylaError, did_you_mean

VERBS: dict[str, str] = {
    "run": "label a source: hyla run preset=driving source=clips/ [out=DIR] [key=value ...]",
    "demo": "run presets on the sample they make themselves",
    "presets": "list the presets that are offered",
    "plugins": "list what is installed and what it offers",
    "doctor": "say what this machine has and what is missing",
    "status": "say where a project stands",
    "plan": "say what it takes to promise an error rate, before anyone starts",
    "review": "decide in the browser what a person must decide",
    "certify": "take the next step to a certificate of how wrong the labels may be; repeat until it is issued",
    "report": "show on one page how good the labels are, and what they cost",
    "simulate": "compare ways of spending people's time, where the truth is known",
    "draw": "draw the labels of a project on its pictures",
    "export": "write the labels in a standard format",
    "import": "read labels made elsewhere, as truth to measure against",
    "evaluate": "measure the machine's labels against the truth",
    "verify": "prove that nothing stored was changed",
    "retain": "delete what is past its time, and write down that it was",
    "access": "list who saw which clip or item, and when",
    "check": "test a plugin against the contract",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit status: 0 done, 1 failed with a message, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words[:1] == ["run"]:
            from hyla.launch import launch

            return launch(words[1:])
        return _verb(words)
    except HylaError as error:
        print(f"hyla: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:
        print(f"hyla: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hyla: interrupted; what was stored is kept", file=sys.stderr)
        return 130


def _verb(words: list[str]) -> int:
    from hyla import commands

    if words and not words[0].startswith("-") and words[0] not in VERBS:
        print(
            f"hyla: there is no verb {words[0]!r}. {did_you_mean(words[0], VERBS)}\n  verbs: {', '.join(VERBS)}", file=sys.stderr
        )
        return 2
    parser, verbs = _parser()
    _arguments(verbs)
    given, rest = parser.parse_known_args(words)
    if rest:  # of words without a dash, argparse takes only those that follow the folder
        if not hasattr(given, "setting") or any("=" not in word or word.startswith("-") for word in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        given.setting += rest
    if not given.verb:
        parser.print_help()
        return 0
    result: Any = commands.VERBS[given.verb](given)
    if result is None:
        return 0
    print(json.dumps(result.data, indent=2) if getattr(given, "json", False) else result.text)
    return int(result.status)


def _parser() -> tuple[argparse.ArgumentParser, Callable[[str], argparse.ArgumentParser]]:
    from importlib.metadata import version

    parser = argparse.ArgumentParser("hyla", description="Hybrid labelling: a machine proposes, you decide what matters.")
    parser.add_argument("--version", action="version", version=f"hyla {version('hyla')}")
    subs = parser.add_subparsers(dest="verb", metavar="VERB")
    subs.add_parser("run", help=VERBS["run"], add_help=False)

    def verb(name: str) -> argparse.ArgumentParser:
        return subs.add_parser(name, help=VERBS[name], description=VERBS[name])

    return parser, verb


def _arguments(verb: Callable[[str], argparse.ArgumentParser]) -> None:
    def with_json(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        parser.add_argument("--json", action="store_true", help="print JSON")
        return parser

    def with_project(name: str) -> argparse.ArgumentParser:
        parser = with_json(verb(name))
        parser.add_argument("project", type=Path, metavar="DIR", help="project folder, made by `hyla run`")
        return parser

    for name in ("presets", "plugins", "doctor"):
        with_json(verb(name))
    with_project("status")
    with_project("verify").add_argument("--head", help="hash that an earlier `hyla verify` printed, to see a cut-off end")
    review = verb("review")
    review.add_argument("project", type=Path, metavar="DIR", help="project folder, made by `hyla run`")
    review.add_argument("--port", type=int, help="port to listen on; the first free one from 8484 if not given")
    review.add_argument("--no-browser", action="store_true", help="only print the address")
    review.add_argument("--as", dest="who", metavar="NAME", help="your name in the record; your user name if not given")
    review.add_argument(
        "--reviewer",
        action="append",
        default=[],
        metavar="NAME[:ROLE]",
        help="let someone else in; viewer, reviewer, adjudicator, admin",
    )
    review.add_argument("--test-hooks", action="store_true", help="let the page show its insides to a test")
    look = with_project("plan")
    look.add_argument("--eps", type=float, help="largest share of errors; a table of several if not given")
    sign = with_project("certify")
    sign.add_argument("--eps", type=float, help="largest share of errors in the finished labels: 0.02")
    sign.add_argument("--replay", action="store_true", help="recompute DIR/certificate.json from what is stored, and compare")
    sign.add_argument("--afresh", action="store_true", help="give up the last lot, even if certified, and begin another")
    sign.add_argument("--stop", action="store_true", help="with --early: take what the audit allows so far")
    sign.add_argument("--protocol", default="single", help="single (the default), or double: two answers on each audited picture")
    sign.add_argument("--seeds", type=int, default=0, help="known errors to plant, by which the reviewers are measured")
    play = with_project("simulate")
    play.add_argument("--truth", required=True, help="name of the truth that was imported")
    play.add_argument("--reviewer", default="perfect", help="perfect (the default), sensitivity=0.9, prevalence, or both")
    play.add_argument("--eps", type=float, default=0.05, help="largest share of errors (default 0.05)")
    play.add_argument("--arms", help="ways to compare, with commas; all if not given")
    play.add_argument("--repetitions", type=int, default=20, help="how often each is played (default 20)")
    play.add_argument("--seed", type=int, default=0, help="of all that is drawn (default 0)")
    play.add_argument("--to", type=Path, metavar="COPY", help="also play a certificate to its end, in a copy of the project")
    for one in (look, sign, play):
        one.add_argument("--delta", type=float, default=0.05, help="chance that the claim is wrong (default 0.05)")
        one.add_argument("--strata", default="", help="what the claim holds for each part of, with commas: site,weather")
        one.add_argument("setting", nargs="*", metavar="KEY=VALUE", help="settings of the decide layer: loss.iou=0.7")
    for one in (look, sign):
        one.add_argument("--early", action="store_true", help="an audit that may stop whenever it suffices")
    with_project("report").add_argument("--to", type=Path, help="file to write; DIR/report.html if not given")
    draw = with_project("draw")
    draw.add_argument("--to", type=Path, help="folder for the pictures; DIR/pictures if not given")
    draw.add_argument("--limit", type=int, default=24, help="pictures to draw, spread over the project (default 24)")
    export = with_json(verb("export"))
    export.add_argument("project", type=Path, metavar="DIR", nargs="?", help="project folder")
    export.add_argument("--format", help="name of a format; --list shows them")
    export.add_argument("--to", type=Path, help="folder to write")
    export.add_argument("--source", default="best", help="whose labels: best (the default), model, human or truth:NAME")
    export.add_argument("setting", nargs="*", metavar="KEY=VALUE", help="settings of the format: task=segment")
    export.add_argument("--list", action="store_true", help="list the formats")
    bring = with_project("import")
    bring.add_argument("--format", required=True, help="name of a format; `hyla export --list` shows them")
    bring.add_argument("--from", dest="path", type=Path, required=True, help="file or folder to read")
    bring.add_argument("--as", dest="role", default="truth", help="truth (the default), truth:NAME or human:NAME")
    bring.add_argument("setting", nargs="*", metavar="KEY=VALUE", help="settings of the format: unknown=skip")
    evaluate = with_project("evaluate")
    evaluate.add_argument("--fold", help="classes that their descendants count as: vehicle,vru")
    evaluate.add_argument("--truth", help="name of the truth, if several were imported")
    keep = with_project("retain")
    keep.add_argument("--hours", type=float, help="how long an item may be kept whose camera names no time of its own")
    keep.add_argument("--footage", action="store_true", help="remove the source files too, of which no item is left")
    keep.add_argument("--around", type=float, default=10.0, help="seconds to keep around a confirmed event (default 10)")
    keep.add_argument("--dry-run", action="store_true", help="only say what would go")
    keep.add_argument("--hold", metavar="CLIP_OR_ITEM", help="keep it whatever its age; needs --why")
    keep.add_argument("--release", metavar="CLIP_OR_ITEM", help="hold it no longer; needs --why")
    keep.add_argument("--why", metavar="TEXT", help="why it is held or released")
    keep.add_argument("--list", action="store_true", help="list what is held, and what was deleted")
    keep.add_argument("--as", dest="who", metavar="NAME", help="your name in the record; your user name if not given")
    seen = with_project("access")
    seen.add_argument("--who", metavar="NAME", help="only what this person saw")
    seen.add_argument("--what", metavar="CLIP_OR_ITEM", help="only who saw this")
    seen.add_argument("--limit", type=int, default=0, help="only the last so many; 0 for all (the default)")
    check = with_json(verb("check"))
    check.add_argument("preset", help="preset to test")
    check.add_argument("--source", help="data to test on; the plugin's own sample if not given")
    check.add_argument("override", nargs="*", help="settings, as for `hyla run`: model=embedded")
    demo = with_json(verb("demo"))
    demo.add_argument("presets", nargs="*", help="presets to show; every one that has a sample if not given")
    demo.add_argument("--to", type=Path, default=Path("hyla-out/demo"), help="folder for samples and projects")


if __name__ == "__main__":
    sys.exit(main())
