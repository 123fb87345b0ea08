"""Build the stages of the decision layer from their settings, with or without Hydra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from hyla import plugins
from hyla.decide.effort import Effort
from hyla.decide.losses import Loss
from hyla.decide.risk import Risk
from hyla.errors import ConfigError, did_you_mean
from hyla.schema import Schema

DEFAULT = "objects"
PARTS = ("loss", "risk", "effort", "second")
RISKS = {
    "learned": "hyla.decide.risk.Learned",
    "score": "hyla.decide.risk.Score",
    "entropy": "hyla.decide.risk.Entropy",
    "fixed": "hyla.decide.risk.Fixed",
    "objectlab": "hyla.decide.objectlab.ObjectLab",
}


def build_decide(
    mapping: Mapping[str, Any], overrides: Sequence[str] = (), schema: Schema | None = None
) -> tuple[Loss, Risk, Effort]:
    """Build what errors are, how likely they are and how long people take, as a project remembers it.

    Args:
        mapping: loss, risk, effort and second, as `decide=NAME` composes them; what is not there is as in `decide=objects`.
        overrides: changes to it: `loss.iou=0.7`, `risk=score`, `second=truth:other`, or `decide=tags` for another of the group.
        schema: given to a stage that asks for it.

    Raises:
        ConfigError: for a part, a name or a setting that there is not, or a value that can't be.
    """
    settings = composed(mapping, overrides)
    risk = settings["risk"]
    if isinstance(risk, str):
        if risk not in RISKS:
            raise ConfigError(f"decide.risk is {risk!r}", did_you_mean(risk, RISKS) or "or give it a _target_", RISKS)
        risk = {"_target_": RISKS[risk]}
    second = settings["second"]
    if second is not None and not isinstance(second, str):
        raise ConfigError(f"decide.second is {second!r}", "name the labels of a second model: decide.second=truth:NAME")
    given = {"schema": schema, "second": second}
    loss = _built(settings["loss"], "decide.loss", Loss, {"schema": schema})
    return loss, _built(risk, "decide.risk", Risk, given), _built(settings["effort"], "decide.effort", Effort, {"schema": schema})


def composed(mapping: Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return loss, risk, effort and second, with `overrides` applied in order; see `build_decide`."""
    settings = _offered(DEFAULT) | deepcopy(dict(mapping))
    for word in overrides:
        key, is_set, text = word.removeprefix("decide.").partition("=")
        if not is_set or not key:
            raise ConfigError(f"{word!r} is no setting of decide", "write it as loss.iou=0.7")
        if key == "decide":
            settings = _offered(text)
        else:
            _set(settings, key, _value(word, text))
    for name in settings:
        if name not in PARTS:
            raise ConfigError(f"decide has no setting {name!r}", did_you_mean(name, PARTS), PARTS)
    return settings


def _offered(name: str) -> dict[str, Any]:
    import yaml

    if name not in (offered := plugins.offered("decide")):
        raise plugins.missing("decide", name)
    return {"second": None} | dict(yaml.safe_load(offered[name][1].read_text(encoding="utf-8")))


def _value(word: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {word!r} can't be read") from error


def _set(settings: dict[str, Any], key: str, value: Any) -> None:
    """Set a value at a dotted place; a part that is a name is given its target to hold the setting."""
    *path, last = key.split(".")
    place = settings
    for name in path:
        inner = place.get(name)
        if name == "risk" and isinstance(inner, str) and inner in RISKS:
            place[name] = inner = {"_target_": RISKS[inner]}
        if not isinstance(inner, dict):
            raise ConfigError(f"decide has no setting {key!r}", did_you_mean(name, place), place)
        place = inner
    place[last] = value


def _built(node: Any, where: str, wanted: type[Any], given: Mapping[str, Any]) -> Any:
    stage = plugins.build(node, where, **given)
    if not isinstance(stage, wanted):
        raise ConfigError(
            f"{where} is no {wanted.__name__} but {type(stage).__name__}", f"give it a _target_ of a {wanted.__name__}"
        )
    return stage
