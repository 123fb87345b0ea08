"""Every check of the conformance kit is seen to fail, on a plugin that breaks each promise once, and on nothing else.

A kit that has never been seen to fail is decoration.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyla import plugins
from hyla.testing import CheckResult, names, run_checks

HERE = Path(__file__).parent

# check -> the ways to break it: a preset, or settings of the preset `hostile`.
BREAKS = {
    "test_conf_is_found": ["hostile_bare"],
    "test_import_is_light": ["hostile_heavy"],
    "test_preset_composes": ["hostile_typo"],
    "test_every_target_resolves": ["hostile_target"],
    "test_there_is_data": ["hostile_dry"],
    "test_stages_can_be_built": ["model.fault=build", "+model.nothing=1"],
    "test_stages_register": ["rules.watch._target_=hyla_hostile.broken.Misspelt"],
    "test_signatures_match_the_contract": ["rules.watch._target_=hyla_hostile.broken.Mistyped"],
    "test_items_are_stable": ["loader.fault=hash"],
    "test_items_are_well_formed": ["loader.fault=meta", "loader.fault=double", "loader.fault=backwards"],
    "test_items_come_lazily": ["loader.fault=list"],
    "test_loader_declines_what_is_not_its_kind": ["loader.fault=greedy"],
    "test_images_are_well_formed": ["loader.fault=dtype"],
    "test_an_image_is_the_same_whichever_came_before": ["loader.fault=counts"],
    "test_references_are_pictures_or_nothing": ["loader.fault=asks", "loader.fault=quotes", "loader.fault=anything"],
    "test_what_is_told_of_cameras_can_be_kept": ["loader.fault=objects", "loader.fault=sentence", "loader.fault=address"],
    "test_what_can_not_be_read_is_a_bad_item": ["loader.fault=invents"],
    "test_an_empty_file_costs_only_its_own_items": ["loader.fault=skips"],
    "test_predictions_fit_the_schema": ["model.fault=outside"],
    "test_model_names_what_labels_come_from": ["model.fault=anonymous"],
    "test_model_takes_a_picture_of_nothing": ["model.fault=nothing"],
    "test_model_leaves_the_pixels_alone": ["model.fault=paints"],
    "test_labels_do_not_depend_on_the_batch": ["model.fault=batch"],
    "test_labels_do_not_depend_on_what_came_before": ["model.fault=remembers model.memory=false"],
    "test_a_replayed_group_gives_the_same_labels": ["model.fault=keeps"],
    "test_a_batch_that_fails_leaves_the_memory_alone": ["model.fault=eager"],
    "test_refining_fits_the_picture": ["model.fault=cuts", "model.fault=smears", "model.fault=grows"],
    "test_flags_are_well_formed": ["rules.watch.fault=reason"],
    "test_rules_are_pure": ["rules.watch.fault=counts", "rules.watch.fault=changes"],
    "test_rules_take_pictures_without_labels": ["rules.watch.fault=empty"],
    "test_group_rules_stream": ["rules.watch.fault=hoards"],
    "test_route_gives_a_verdict": ["rules.watch.fault=route"],
    "test_a_redacted_picture_keeps_its_form": [f"redact.fault={fault}" for fault in ("silent", "scrawls", "flickers", "trims")],
    "test_what_is_hidden_can_not_be_made_out": ["redact.fault=tints", "redact.fault=idles"],
    "test_records_round_trip": ["model.fault=loose"],
    "test_exports_are_deterministic": ["+export.lines.fault=time"],
    "test_exports_read_back": ["+export.lines.fault=drops", "+export.lines.fault=forgets"],
    "test_a_run_stores_every_item": ["loader.fault=thread", "model.fault=network"],
    "test_a_killed_run_ends_with_the_same_rows": ["rules.watch.fault=pid"],
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the hostile plugin from its wheel into a folder of its own."""
    site = tmp_path_factory.mktemp("site")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        str(site),
    ]
    subprocess.run([*pip, str(HERE)], check=True, capture_output=True)
    sys.path.insert(0, str(site))
    forget()
    yield site
    sys.path.remove(str(site))
    forget()


@pytest.fixture(scope="module")
def source(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    from hyla_hostile.sample import write

    return str(write(tmp_path_factory.mktemp("data") / "clips", 12))


def forget() -> None:
    importlib.invalidate_caches()
    plugins.installed.cache_clear()
    for name in [n for n in sys.modules if n.startswith("hyla_hostile")]:
        del sys.modules[name]


def failed(results: list[CheckResult]) -> dict[str, str]:
    return {r.name: r.message for r in results if not r.ok}


@pytest.mark.parametrize("overrides", [[], ["model.memory=false"]])
def test_a_well_behaved_plugin_passes_every_check(installed: Path, overrides: list[str]) -> None:
    results = run_checks("hostile", overrides=overrides)
    assert failed(results) == {}
    assert [r.name for r in results] == names()
    skipped = {r.name for r in results if r.skipped}
    alone, after = "test_labels_do_not_depend_on_what_came_before", "test_a_batch_that_fails_leaves_the_memory_alone"
    assert skipped == {after if overrides else alone}


@pytest.mark.parametrize(("check", "how"), [(check, how) for check, ways in BREAKS.items() for how in ways])
def test_each_broken_promise_fails_its_own_check_and_no_other(source: str, check: str, how: str) -> None:
    preset, overrides = ("hostile", how.split()) if "=" in how else (how, [])
    results = run_checks(preset, None if preset == "hostile_dry" else source, overrides)
    found = failed(results)
    assert list(found) == [check], found
    assert len(found[check].splitlines()) > 1, "a message says what is wrong, and then what to do"


def test_every_check_was_broken() -> None:
    assert set(BREAKS) == set(names())
