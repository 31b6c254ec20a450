"""Every type is exported by its dialect, and every event stands in its union."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, get_args

import msgspec
import pytest

from duologue.protocol import beta, ga
from duologue.protocol.ga import translation
from duologue.protocol.model import Event, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

SEPARATE: Final = {
    "duologue.protocol.ga.transcription_session",
    "duologue.protocol.ga.rest",
    "duologue.protocol.ga.server_events.base",
    "duologue.protocol.ga.translation",
    "duologue.protocol.beta.event_types",
    "duologue.protocol.beta.rest",
}
"""Modules whose names are imported from themselves, not from the package of their dialect."""

SIDES: Final[list[tuple[ModuleType, Any]]] = [
    (ga.client_events, ga.KnownClientEvent),
    (ga.server_events, ga.KnownServerEvent),
    (beta.client_events, beta.KnownClientEvent),
    (beta.server_events, beta.KnownServerEvent),
    (
        translation,
        translation.KnownTranslationClientEvent | translation.KnownTranslationServerEvent,
    ),
]


def modules_of(package: ModuleType) -> Iterator[Any]:
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(info.name)


MODULES: Final = [*modules_of(ga), *modules_of(beta)]


def name_of(module: ModuleType) -> str:
    return module.__name__.removeprefix("duologue.protocol.")


def structs_of(module: ModuleType) -> list[type[msgspec.Struct]]:
    """Return the structs that a module defines, without those that only others derive from."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, msgspec.Struct)
        and value.__module__ == module.__name__
        and (not value.__subclasses__() or is_event(value))
    ]


def is_event(value: object) -> bool:
    """Return whether a class is an event of the wire: one that has no tag is a base of others."""
    if not isinstance(value, type) or not issubclass(value, Event):
        return False
    return value.__struct_config__.tag != value.__name__


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_exports_its_structs(module: Any) -> None:
    missing = [kind.__name__ for kind in structs_of(module) if kind.__name__ not in module.__all__]
    assert missing == [], f"add them to `__all__` of {module.__name__}"


@pytest.mark.parametrize(
    "module", [one for one in MODULES if one.__name__ not in SEPARATE], ids=name_of
)
def test_a_dialect_exports_what_its_modules_do(module: Any) -> None:
    package: Any = ga if module.__name__.startswith(ga.__name__) else beta
    assert [name for name in module.__all__ if name not in package.__all__] == []


@pytest.mark.parametrize(
    ("module", "union"), SIDES, ids=lambda value: getattr(value, "__name__", "")
)
def test_every_event_of_a_side_stands_in_its_union(module: Any, union: Any) -> None:
    """One that does not is an `UnknownEvent` to the codec, however complete its class is."""
    events = [name for name in module.__all__ if is_event(getattr(module, name))]
    missing = [name for name in events if getattr(module, name) not in get_args(union)]
    assert missing == [], f"add them to the `Known...` union of {module.__name__}"


def test_every_event_is_on_a_side() -> None:
    known = {*chain.from_iterable(get_args(union) for _, union in SIDES)}
    defined = {kind for module in MODULES for kind in structs_of(module) if is_event(kind)}
    assert defined - known == set(), "in no union: the codec takes them for unknown events"


@pytest.mark.parametrize("module", [ga, beta])
def test_every_tagged_struct_has_its_type(module: Any) -> None:
    for name in module.__all__:
        kind: Any = getattr(module, name)
        config = getattr(kind, "__struct_config__", None)
        if config is None or config.tag is None or issubclass(kind, Unknown):
            continue
        required = {field.name: None for field in msgspec.structs.fields(kind) if field.required}
        assert kind(**required).type == config.tag, name
