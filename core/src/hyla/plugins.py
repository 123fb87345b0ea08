"""What is installed, how a stage is built from its YAML, and the hooks of one run behind typed methods."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_type_hints

from hyla.errors import ConfigError, HylaError, StageError, did_you_mean

if TYPE_CHECKING:
    from hyla.types import Click, Flag, Image, Item, Labels, Record, Rle, Verdict

GROUP = "hyla"
GROUPS = ("preset", "loader", "model", "rules", "redact", "decide", "review", "export", "engine", "store")
FIRST_PARTY = ("healthcare", "driving", "retail", "agriculture", "surveillance")


@dataclass(frozen=True, slots=True)
class Plugin:
    """Name one installed plugin.

    Args:
        name: of its entry point.
        package: its import package, which holds `conf`.
        distribution: what pip calls it.
        version: of the distribution.
    """

    name: str
    package: str
    distribution: str
    version: str

    @property
    def conf(self) -> Path | None:
        """Return the folder of its YAML, or None if it offers nothing. The package is not imported."""
        spec = find_spec(self.package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(place) / "conf").is_dir():
                return path
        return None

    def offers(self, group: str) -> dict[str, Path]:
        """Return name -> YAML file of what it offers in one config group."""
        folder = self.conf
        return {p.stem: p for p in sorted((folder / group).glob("*.yaml"))} if folder else {}


@cache
def installed() -> tuple[Plugin, ...]:
    """Return core and the installed plugins, sorted by name. HYLA_PLUGINS=a,b offers only those."""
    only = os.environ.get("HYLA_PLUGINS")
    wanted = None if only is None else {name.strip() for name in only.split(",")}
    points = metadata.entry_points(group=GROUP)
    found = [_plugin(p) for p in sorted(points, key=lambda p: p.name) if wanted is None or p.name in wanted]
    return (Plugin("core", "hyla", "hyla", metadata.version("hyla")), *found)


def _plugin(point: metadata.EntryPoint) -> Plugin:
    dist = point.dist
    return Plugin(point.name, point.value, dist.name if dist else "?", dist.version if dist else "?")


def offered(group: str) -> dict[str, tuple[Plugin, Path]]:
    """Return name -> (plugin, YAML file) of one config group over all that is installed.

    Raises:
        ConfigError: if two distributions offer the same name, since Hydra would silently take the first.
    """
    found: dict[str, tuple[Plugin, Path]] = {}
    for plugin in installed():
        for name, path in plugin.offers(group).items():
            if name in found:
                raise ConfigError(
                    f"{group} {name!r} is offered by both {found[name][0].distribution} and {plugin.distribution}",
                    f"uninstall one, or set HYLA_PLUGINS to the plugins you want, or rename one {group}/{name}.yaml",
                )
            found[name] = (plugin, path)
    return found


def missing(group: str, name: str) -> ConfigError:
    """Return the error for a name that nothing offers, with the nearest one or the plugin that has it."""
    names = offered(group)
    if group == "preset" and name in FIRST_PARTY:
        return ConfigError(f"preset {name!r} is in hyla-{name}, which is not installed", f"pip install hyla-{name}", names)
    for plugin in installed():
        if plugin.name == name and plugin.conf is None:
            what = f"plugin {name!r} of {plugin.distribution} is installed but offers nothing"
            return ConfigError(what, f"its package {plugin.package} has no folder conf", names)
    return ConfigError(f"no {group} is named {name!r}", did_you_mean(name, names), names)


def resolve(target: str, where: str) -> type[Any]:
    """Return the class that a `_target_` names, if it is defined inside hyla or an installed plugin.

    Raises:
        ConfigError: for a target elsewhere (YAML must not be able to run anything), or one that is no class.
    """
    packages = [p.package for p in installed()]
    if not any(target.startswith(f"{package}.") for package in packages):
        raise ConfigError(f"{where}: _target_ {target!r} is not inside hyla or an installed plugin", choices=packages)
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # a module may raise anything while it is imported
        raise ConfigError(f"{where}: _target_ {target!r} can't be imported: {type(error).__name__}: {error}") from error
    home = getattr(found, "__module__", "") or ""
    if not isinstance(found, type) or not any(home == p or home.startswith(f"{p}.") for p in packages):
        raise ConfigError(f"{where}: _target_ {target!r} is not a class of hyla or an installed plugin")
    return found


def build(node: Any, where: str, **given: Any) -> Any:
    """Build the stage that `node` describes: a dict with `_target_` and the settings of its constructor, nested as need be.

    Args:
        node: plain dicts, lists and scalars.
        where: the dotted name of `node` in the config, for messages and for a parameter `name`.
        given: values for parameters of these names (`schema`), where the constructor has them and the YAML does not.

    Raises:
        ConfigError: for an unknown setting, a value of the wrong type, a missing one, or a target that is not allowed.
    """
    if isinstance(node, list):
        return [build(value, f"{where}[{i}]", **given) for i, value in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    values = {key: build(value, f"{where}.{key}", **given) for key, value in node.items() if key != "_target_"}
    if "_target_" not in node:
        return values
    cls = resolve(str(node["_target_"]), where)
    parameters = inspect.signature(cls).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in values:
        if key not in parameters and not open_ended:
            raise ConfigError(f"{where} ({cls.__name__}) has no setting {key!r}", did_you_mean(key, parameters), parameters)
    for key, value in {"name": where.rpartition(".")[2], **given}.items():
        if key in parameters and key not in values:
            values[key] = value
    for key, one in parameters.items():
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and key not in values:
            raise ConfigError(f"{where}.{key} is not set", f"add {where}.{key}=...")
    _check_types(cls, values, where)
    try:
        return cls(**values)
    except HylaError:
        raise
    except (TypeError, ValueError, OSError, ImportError, RuntimeError) as error:
        raise ConfigError(f"{where} ({cls.__name__}) can't be built: {error}") from error


def _check_types(cls: type[Any], values: Mapping[str, Any], where: str) -> None:
    import msgspec

    try:
        hints = get_type_hints(cls.__init__)
    except NameError:  # a hint that exists for type checkers only
        return
    for key, value in values.items():
        if key not in hints or not _is_plain(value):
            continue
        try:
            msgspec.convert(value, hints[key])
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}.{key} is {value!r}: {error}") from error
        except TypeError:  # a hint that is no plain type, which the constructor itself must check
            continue


def _is_plain(value: Any) -> bool:
    """Tell whether `value` is what YAML holds, and no stage that was built from it."""
    if isinstance(value, Mapping):
        return all(_is_plain(v) for v in value.values())
    if isinstance(value, list):
        return all(_is_plain(v) for v in value)
    return isinstance(value, (str, int, float, bool, type(None)))


class Pipeline:
    """Call the hooks of one run's stages: typed, with the failing stage named in the error.

    Args:
        stages: config name -> stage, in the order of the config. Later stages answer first.

    Raises:
        StageError: when a stage answers a hook that does not exist, or with arguments the hook does not have.
    """

    def __init__(self, stages: Mapping[str, object]) -> None:
        import pluggy

        from hyla.hooks import HOOKS

        self.stages = dict(stages)
        self._manager = pluggy.PluginManager("hyla")
        for spec in HOOKS:
            self._manager.add_hookspecs(spec)
        try:
            for name, stage in self.stages.items():
                self._manager.register(stage, name=name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            what = str(error).replace(repr(error.plugin), repr(self._manager.get_name(error.plugin)))
            raise StageError(
                what, "mark with @hookimpl only the hooks, with the arguments that they have", hook_names()
            ) from error
        if os.environ.get("HYLA_TRACE"):
            self._manager.trace.root.setwriter(_trace)
            self._manager.enable_tracing()
        self._hook = self._manager.hook

    @property
    def memory(self) -> bool:
        """Tell whether any stage remembers earlier items of a group."""
        return any(getattr(stage, "memory", False) for stage in self.stages.values())

    @property
    def partial(self) -> bool:
        """Tell whether the model says that it misses much of what the schema names."""
        return any(getattr(stage, "partial", False) for stage in self.stages.values())

    def answers(self, hook: str) -> bool:
        """Tell whether any stage answers `hook`."""
        return bool(getattr(self._hook, hook).get_hookimpls())

    def items(self, source: str) -> Iterable[Item] | None:
        """Return the items of `source`, or None if no loader recognises it."""
        return self._call("items", source=source)  # type: ignore[no-any-return]

    def load(self, item: Item) -> Image | None:
        """Return the pixels of `item`."""
        return self._call("load", item=item)  # type: ignore[no-any-return]

    def close(self, group: str) -> None:
        """Tell the loaders that the last item of `group` was loaded."""
        self._call("close", group=group)

    def follow(self, item: Item) -> Generator[Image | str | None, None, None]:
        """Yield what comes of a live stream; see `hyla.hooks.Loader.follow`. Raise StageError if nobody follows it."""
        images = self._call("follow", item=item)
        if images is None:
            raise StageError(f"no loader follows {item.uri}", "a loader that lists a stream must follow it")
        try:
            yield from images
        except HylaError:
            raise
        except Exception as error:
            self._blame("follow", error)
        finally:
            if hasattr(images, "close"):
                images.close()

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what the loader knows of each camera or stream, by name."""
        return {name: dict(values) for name, values in (self._call("state") or {}).items()}

    def reference(self, attributes: Mapping[str, Any]) -> Image | None:
        """Return the picture that shows what a label with these attributes is; raise StageError for what is no picture."""
        from hyla.types import Image

        found = self._call("reference", attributes=attributes)
        if found is not None and not isinstance(found, Image):
            raise StageError(f"the loader gave a {type(found).__name__} as a reference", "give hyla.Image, or None")
        return found

    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return one Labels per image; raise StageError if the model answered with another number."""
        labels = self._call("predict", images=images)
        if labels is None:
            raise StageError("no model answered predict", "choose one: model=NAME; `hyla presets` lists what is offered")
        if len(labels) != len(images):
            raise StageError(f"the model gave {len(labels)} Labels for {len(images)} images")
        return list(labels)

    def forget(self, group: str) -> None:
        """Tell the models that the last item of `group` was predicted."""
        self._call("forget", group=group)

    def provenance(self) -> dict[str, str]:
        """Return where labels come from: `name`, and `digest` where there are weights."""
        return self._call("provenance") or {"name": "unnamed"}

    def refine(self, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        """Return the mask of one object after a person clicked, None if nothing is found there.

        Raises:
            StageError: if the model answered with what is no mask of `image`.
        """
        from hyla.geometry import check_runs
        from hyla.types import Rle

        found = self._call("refine", image=image, class_id=class_id, clicks=clicks, mask=mask)
        if found is None:
            return None
        if not isinstance(found, Rle) or tuple(found.size) != image.size:
            got = f"a mask of {tuple(found.size)}" if isinstance(found, Rle) else f"a {type(found).__name__}"
            raise StageError(f"the model refined to {got}", f"give hyla.geometry.encode of an array of {image.size}")
        return found if check_runs(found)[1::2].any() else None

    def redact(self, image: Image, labels: Labels) -> Image:
        """Return `image` without what must not be seen. The redactor is given pixels that it can't write to.

        Raises:
            StageError: if nobody answered, or with what is no picture of the same size and dtype.
        """
        from dataclasses import replace

        from hyla.lazy import LazyPixels
        from hyla.types import Image

        if isinstance(image.pixels, LazyPixels):
            raise StageError(f"{image.item.uri} is too large to be redacted", "cut it into pictures that can be held in memory")
        kept = image.pixels.view()
        kept.flags.writeable = False
        found = self._call("redact", image=replace(image, pixels=kept), labels=labels)
        if not isinstance(found, Image):
            got = "nothing" if found is None else f"a {type(found).__name__}"
            raise StageError(f"the redactor gave {got} for {image.item.id}", "give hyla.Image, also where nothing is hidden")
        if (found.pixels.shape, found.pixels.dtype, found.volume) != (kept.shape, kept.dtype, image.volume):
            was, now = (f"{tuple(one.shape)} {one.dtype}" for one in (kept, found.pixels))
            raise StageError(f"the redactor turned pixels {was} into {now}", "give a copy of the same size and dtype")
        return found

    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return the flags of every rule, in the order of the config."""
        found: list[list[Flag]] = self._call("check", item=item, labels=labels)
        return [flag for flags in reversed(found) for flag in flags]

    def check_group(self, records: Iterable[Record]) -> list[tuple[str, Flag]]:
        """Return the (item id, flag) pairs of every rule that judges groups, in the order of the config."""
        try:
            found: list[Iterable[tuple[str, Flag]]] = self._hook.check_group(records=records)
            return [pair for pairs in reversed(found) for pair in pairs]
        except HylaError:
            raise
        except Exception as error:
            self._blame("check_group", error)

    def route(self, item: Item, labels: Labels, flags: Sequence[Flag]) -> Verdict | None:
        """Return the opinion of the first rule that has one."""
        return self._call("route", item=item, labels=labels, flags=flags)  # type: ignore[no-any-return]

    def _call(self, hook: str, **arguments: Any) -> Any:
        try:
            return getattr(self._hook, hook)(**arguments)
        except HylaError:
            raise
        except Exception as error:
            self._blame(hook, error)

    def _blame(self, hook: str, error: Exception) -> NoReturn:
        """Name the stage that raised: the registered object that the traceback passed through."""
        stages = {id(stage): name for name, stage in self.stages.items()}
        names = [stages[id(f.f_locals["self"])] for f, _ in _walk(error) if id(f.f_locals.get("self")) in stages]
        raise StageError(f"{names[-1] if names else 'a stage'} failed in {hook}: {type(error).__name__}: {error}") from error


def _walk(error: Exception) -> Iterator[tuple[Any, int]]:
    import traceback

    return traceback.walk_tb(error.__traceback__)


def hook_names() -> list[str]:
    """Return the names of all hooks, in the order of the contract."""
    from hyla.hooks import HOOKS

    return [name for spec in HOOKS for name, value in vars(spec).items() if callable(value) and not name.startswith("_")]


def _trace(message: str) -> None:
    import sys

    sys.stderr.write(message)
