"""The verb `run`: Hydra's own command line, with Hyla's messages."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from hyla import config
from hyla.errors import HylaError
from hyla.summary import Summary

PATHS = ("source", "out", "weights_dir", "model.weights")
INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended


def launch(words: list[str]) -> int:
    """Compose the settings from `words` and run them, once or as a sweep (-m); return the exit status.

    Raises:
        HylaError: the first failure; in a sweep, after the other jobs were done.
    """
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    sweep = bool({"-m", "--multirun"} & set(words))
    config.prepare()
    _check_words(words, sweep)
    summaries: list[Summary] = []
    failures: list[HylaError | OSError] = []

    def job(cfg: DictConfig) -> None:
        from hyla.loop import run  # not needed by --help and --cfg

        try:
            choice = HydraConfig.get().runtime.choices.get("preset") or ""
            settings = config.finish(cfg, choice)
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # `out` is the same in every job
                settings.out = HydraConfig.get().runtime.output_dir
            settings.progress = settings.progress and not as_json
            summary = run(settings)
        except (HylaError, OSError) as error:  # kept from Hydra, which would print a traceback
            failures.append(error)
            return
        summaries.append(summary)
        if not as_json:
            sys.stdout.write(f"{summary}\n{_next(summary)}\n")

    logging.getLogger().setLevel(logging.ERROR)  # libraries warn of files that are counted and set aside with a reason
    logging.getLogger("hyla").setLevel(logging.WARNING)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us, who print them without a traceback
    sys.argv = ["hyla run", *(word if sweep else _one_value(word) for word in words)]
    with config.explained():
        hydra.main(config_path="pkg://hyla.conf", config_name="hyla", version_base="1.3")(job)()
    if as_json and summaries:
        found: list[dict[str, Any]] = [asdict(summary) for summary in summaries]
        sys.stdout.write(json.dumps(found if sweep else found[0]) + "\n")
    if failures:
        raise failures[0]
    return INTERRUPTED if any(s.state == "interrupted" for s in summaries) else 0


def _check_words(words: list[str], sweep: bool) -> None:
    """Find what Hydra would answer less helpfully: a preset that is not there, or none at all."""
    if any(word in ("-h", "--help", "--hydra-help", "--version") for word in words):
        return
    chosen = [word.partition("=")[2] for word in words if word.startswith("preset=")]
    if not chosen and "--info" not in words:
        config.check_preset("")
    for name in chosen[-1].split(",") if chosen and sweep else chosen[-1:]:
        if not any((folder / "preset" / f"{name}.yaml").is_file() for folder in _config_dirs(words)):
            config.check_preset(name)


def _config_dirs(words: list[str]) -> list[Path]:
    """Return the folders of settings of one's own, in which Hydra looks too."""
    after = [value for word, value in pairwise(words) if word in ("--config-dir", "-cd")]
    return [Path(value) for value in [*after, *(word.partition("=")[2] for word in words if word.startswith("--config-dir="))]]


def _one_value(word: str) -> str:
    """Quote the value of a path, in which Hydra's grammar would trip over spaces, commas, brackets or `=`."""
    key, is_set, value = word.partition("=")
    plain = re.fullmatch(r"""[\w./:-]*|'.*'|".*"|.*\$\{.*""", value, re.ASCII) or value == "???"
    if not is_set or key not in PATHS or plain:
        return word
    return f"{key}={config.quote(value)}"


def _next(summary: Summary) -> str:
    if summary.state == "interrupted":
        return "stopped; everything done so far is stored. The same command goes on from there."
    if summary.items == 0:
        return f"nothing found in {summary.source}: is it the right folder, and the right loader (loader=NAME)?"
    review = f"hyla review {summary.out}   " if summary.review else ""
    return f"next: {review}hyla status {summary.out}   hyla export {summary.out} --format coco --to labels"
