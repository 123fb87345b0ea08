"""The settings of a run: typed, composed by Hydra from the YAML of core and of every installed plugin, and guarded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hyla import plugins
from hyla.errors import ConfigError, did_you_mean

# What may differ between two runs of one project without changing a label: where and how fast the work is done, how it is judged.
OPERATIONAL = frozenset(
    {
        "out",
        "batch",
        "workers",
        "progress",
        "device",
        "threads",
        "weights_dir",
        "engine",
        "retry",
        "export",
        "decide",
        "agree_iou",
        "stream",
    }
)


@dataclass
class Run:
    """Name the settings of a run; a key that is not here is a misspelling.

    Args:
        source: folder, file or URL to label.
        out: project folder; `hyla-out/<preset>` if not given.
        preset: name of the preset, filled in.
        seed: of everything that is drawn at random.
        device: auto, cpu, cuda, cuda:N or mps.
        batch: images predicted together; the labels do not depend on it.
        workers: threads that load; 0 for one per core, at most 8.
        default: verdict of an item that no rule flags: accept or review.
        retry: try the quarantined items of an earlier run again.
        progress: show the progress bar.
        weights_dir: folder in which weights are found by name.
        agree_iou: overlap, above 0 to 1, from which two people's areas count as the same; else an adjudicator is asked. A Dice of
            d is an overlap of d / (2 - d).
        schema: what may be annotated; see hyla.schema.
        loader, model, rules, export, engine: the stages.
        redact: the stage that makes unrecognisable what nobody may see; null for none.
        decide: what an error is, how likely, and how long people take; see hyla.decide.stages.
    """

    source: str = MISSING
    out: str | None = None
    preset: str = ""
    seed: int = 0
    device: str = "auto"
    batch: int = 16
    workers: int = 0
    default: str = "accept"
    retry: bool = False
    progress: bool = True
    weights_dir: str | None = None
    agree_iou: float = 0.5
    schema: dict[str, Any] = field(default_factory=dict)
    loader: Any = MISSING
    model: Any = MISSING
    rules: dict[str, Any] = field(default_factory=dict)
    redact: Any = None
    export: dict[str, Any] = field(default_factory=dict)
    decide: dict[str, Any] = field(default_factory=dict)
    engine: Any = MISSING

    def settings(self) -> dict[str, Any]:
        """Return what decides the labels, as plain values: the same settings continue a project, others are refused.

        The source is compared by itself, also where a stage repeats it. What must not be seen is decided with the labels, and
        for good: nobody can go on without the redactor, or with another one.
        """
        found = dict(_decisive(asdict(self)))
        return found if self.redact else {key: value for key, value in found.items() if key != "redact"}


def _decisive(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _decisive(v) for k, v in value.items() if k not in OPERATIONAL and k != "source"}
    return [_decisive(v) for v in value] if isinstance(value, (list, tuple)) else value


class HylaSearchPath(SearchPathPlugin):
    """Append the YAML of every installed plugin to Hydra's search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append `pkg://<package>.conf`, sorted by plugin name; core's own comes first."""
        for plugin in plugins.installed()[1:]:
            if plugin.conf:
                search_path.append(provider=plugin.distribution, path=f"pkg://{plugin.package}.conf")


def prepare() -> None:
    """Register the typed settings and the search path with Hydra, after proving that the installed YAML can't clash.

    Raises:
        ConfigError: if two plugins offer one name, or a plugin has YAML where only the primary config may be.
    """
    for plugin in plugins.installed()[1:]:
        for path in sorted(plugin.conf.glob("*.yaml")) if plugin.conf else []:
            raise ConfigError(
                f"{plugin.distribution} has {path.name} at the root of its conf package",
                f"move it into a group: {', '.join(f'conf/{g}/' for g in plugins.GROUPS[:4])}",
            )
    for group in plugins.GROUPS:
        plugins.offered(group)
    Plugins.instance().register(HylaSearchPath)
    ConfigStore.instance().store(name="run_schema", node=Run)


def compose(preset: str, *overrides: str, **settings: Any) -> Run:
    """Compose the settings of a run in Python, as `hyla run preset=... key=value` does on the command line.

    Args:
        preset: name of an installed preset.
        overrides: in Hydra's grammar: `"model=embedded"`, `"rules.min_height.px=20"`, `"~rules.min_height"`.
        settings: top-level values: `source="clips/", batch=4`.

    Example:
        >>> import hyla
        >>> cfg = hyla.compose("blank", source=".")
        >>> cfg.preset
        'blank'
    """
    prepare()
    check_preset(preset)
    words = [f"preset={preset}", *overrides, *(f"{key}={quote(value)}" for key, value in settings.items())]
    with explained(), initialize_config_module("hyla.conf", version_base="1.3", job_name="hyla"):
        cfg = hydra_compose("hyla", overrides=words)
        return finish(cfg, preset)


def check_preset(name: str) -> None:
    """Raise ConfigError if no installed plugin offers preset `name`, or if it lists the primary config, which would recurse."""
    import yaml

    if not name:
        raise ConfigError("no preset is chosen", "add preset=NAME", plugins.offered("preset"))
    if name not in (offered := plugins.offered("preset")):
        raise plugins.missing("preset", name)
    plugin, path = offered[name]
    try:
        defaults = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("defaults") or []
    except (yaml.YAMLError, AttributeError) as error:
        raise ConfigError(f"preset {name!r} of {plugin.distribution} is not a YAML mapping: {path}: {error}") from error
    if any(str(entry).strip("/") == "hyla" for entry in defaults):
        raise ConfigError(
            f"preset {name!r} of {plugin.distribution} lists the primary config in its defaults", "remove `/hyla` from it"
        )


def finish(cfg: DictConfig, preset: str) -> Run:
    """Return typed settings of plain values from what Hydra composed.

    Raises:
        ConfigError: if a setting is missing, or has a value that can't be.
    """
    if unset := sorted(OmegaConf.missing_keys(cfg)):
        hints = {"source": "/path/to/data", "loader": "folder", "model": "NAME"}
        raise ConfigError(f"{unset[0]} is not set", f"add {unset[0]}={hints.get(unset[0], 'VALUE')}")
    run = OmegaConf.to_object(cfg)
    assert isinstance(run, Run)
    run.preset = preset
    if run.batch < 1:
        raise ConfigError(f"batch is {run.batch}", "give at least 1")
    if run.workers < 0:
        raise ConfigError(f"workers is {run.workers}", "give 0 for one per core, or a number of threads")
    if not 0 < run.agree_iou <= 1:
        raise ConfigError(f"agree_iou is {run.agree_iou}", "give an overlap above 0, to 1: 0.5, or 0.667 for a Dice of 0.8")
    if run.default not in ("accept", "review"):
        raise ConfigError(f"default is {run.default!r}", choices=("accept", "review"))
    return run


def stages(run: Run) -> tuple[dict[str, Any], Any]:
    """Build the stages that `run` names and its schema: ({config name: stage}, schema).

    Raises:
        ConfigError: for a stage without a target or with one that is not allowed, an unknown setting, or one of the wrong type.
    """
    from hyla.decide.stages import build_decide
    from hyla.schema import Schema

    schema = Schema.from_config(run.schema)
    build_decide(run.decide, schema=schema)  # used later than the others, so a misspelling should not wait until then
    nodes = {"loader": run.loader, "model": run.model}
    if run.redact:
        nodes["redact"] = run.redact
    nodes |= {f"rules.{name}": node for name, node in run.rules.items() if node is not None}  # rules.x=null takes x out
    for where, node in nodes.items():
        if not (isinstance(node, Mapping) and "_target_" in node):
            others = [other for other in nodes if other != where]
            hint = did_you_mean(where, others) or f"give it a _target_, or {where.partition('.')[0]}=NAME of one that is offered"
            raise ConfigError(f"{where} does not say what to build", hint)
    given = {"schema": schema, "project": project_folder(run)}
    return {where: plugins.build(node, where, **given) for where, node in nodes.items()}, schema


def project_folder(run: Run) -> Path:
    """Return the folder of the project that `run` fills."""
    return Path(run.out or f"hyla-out/{run.preset}").expanduser()


@contextmanager
def explained() -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise into a ConfigError that says what to do."""
    try:
        yield
    except RecursionError as error:
        raise ConfigError(
            "the defaults of the preset form a circle", "a preset must not list the primary config or itself"
        ) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error) from error


def explain(error: BaseException) -> ConfigError:
    """Return the ConfigError for an error of Hydra or OmegaConf, naming the setting and the choices."""
    text = "\n".join(str(e) for e in _chain(error))
    if match := re.search(r"Could not override '([^']+)'|Key '([^']+)' (?:is )?not in", text):
        key = match.group(1) or match.group(2)
        if "could not be converted" not in text:
            hint = did_you_mean(key, Run.__dataclass_fields__) or "`hyla run preset=NAME --cfg job` shows them all"
            if "." in key:
                hint = (
                    f"+{key}=... gives a stage a setting that its class has and its YAML leaves out; `--cfg job` shows the rest"
                )
            return ConfigError(f"there is no setting {key!r}", hint)
    if match := re.search(r"Could not find '([a-z_]+)/([^']+)'", text):
        return plugins.missing(match.group(1), match.group(2))
    if match := re.search(r"Value '(.*)' (?:of type '.*' could not be converted to|is not a valid) (\w+)", text):
        place = re.search(r"full_key: (\S+)", text)
        return ConfigError(f"{place.group(1) if place else 'a setting'} is {match.group(1)!r}, which is no {match.group(2)}")
    return ConfigError(text.strip().splitlines()[0], "`hyla run --help` shows the form of overrides: key=value, ~key, group=name")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def quote(value: Any) -> str:
    """Return `value` in the grammar of Hydra's overrides, so that a path with spaces, commas or brackets is one value."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{quote(v)}" for key, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(quote(v) for v in value) + "]"
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    text = str(Path(value)) if isinstance(value, Path) else str(value)
    escaped = re.sub(r"(\\*)'", lambda m: m.group(1) * 2 + "\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"
