"""Aliases: each name of the Dart and Java packages and of the official SDK has its type."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, get_args

import pytest
from tests.protocol.protocol_data import catalog
from tests.protocol.strategies import UNIONS

import duologue
from duologue.client.callback_keys import CLASSIC_NAMES
from duologue.protocol import aliases, beta, ga
from duologue.protocol.beta.event_types import EventType

JAVA: Final[dict[str, dict[str, Any]]] = {
    name: entry for name, entry in catalog()["seed_map"]["java"].items() if "support" not in entry
}
DART: Final[dict[str, dict[str, Any]]] = {
    name: entry
    for group in ("classes", "enums", "typedefs")
    for name, entry in catalog()["seed_map"]["dart"][group].items()
}
ON_THE_WIRE: Final = {name: entry for name, entry in DART.items() if entry.get("layer") != "client"}

SHARED: Final = {
    "RealtimeResponse.Status": "without its dot it is the class `RealtimeResponseStatus`",
}
"""Java's nested names whose flat form another class has: ours of them is `ResponseStatus`."""


def event_of(dialect: str, type_: str) -> type:
    for (spoken, _), union in UNIONS.items():
        for kind in get_args(union):
            if spoken == dialect and kind.__struct_config__.tag == type_:
                found: type = kind
                return found
    raise AssertionError(type_)


@pytest.mark.parametrize("name", JAVA)
def test_every_java_class_has_its_type(name: str) -> None:
    entry = JAVA[name]
    found = getattr(beta, name.replace(".", ""))
    if "event" in entry and "field" not in entry:
        assert found is event_of("beta", entry["event"])
    elif "model" in entry and "field" not in entry:
        assert found == getattr(beta, entry["model"].replace(".", ""))
    elif "enum" in entry and name not in SHARED:
        assert issubclass(found, StrEnum)


@pytest.mark.parametrize("name", ON_THE_WIRE)
def test_every_dart_type_on_the_wire_has_its_type(name: str) -> None:
    found = getattr(beta, name)
    if "enum" in ON_THE_WIRE[name]:
        assert issubclass(found, StrEnum)
    if "values" in ON_THE_WIRE[name]:
        values = {value.value for value in found}
        assert values >= set(ON_THE_WIRE[name]["values"]) - DART_SLIPS


DART_SLIPS: Final = {
    "close",
    "all",
    "client.all",
    "server.all",
    "realtime.event",
    "conversation.updated",
    "conversation.interrupted",
    "conversation.item.appended",
    "conversation.item.completed",
}
"""Dart's enum of event types lists the client layer's events too."""


def test_every_helper_class_of_java_is_known() -> None:
    kinds = {
        name.rpartition(".")[2]
        for name, entry in catalog()["seed_map"]["java"].items()
        if "support" in entry
    }
    assert kinds <= aliases.SUPPORT


def test_darts_client_layer_is_listed() -> None:
    assert set(aliases.CLIENT) == {n for n, e in DART.items() if e.get("layer") == "client"}
    for name in aliases.CLIENT:
        assert getattr(duologue, name) is not None


@pytest.mark.parametrize("dialect", ["beta", "ga"])
def test_every_official_model_has_its_type(dialect: str) -> None:
    package = beta if dialect == "beta" else ga
    for name in catalog()["dialects"][dialect]["models"]:
        flat = name.replace("translations.", "Translations").replace(".", "")
        assert getattr(package, flat) is not None


@pytest.mark.parametrize(
    ("dialect", "section"),
    [
        (dialect, section)
        for dialect in ("beta", "ga")
        for section in ("client_events", "server_events")
    ],
)
def test_every_official_event_has_its_name(dialect: str, section: str) -> None:
    package = beta if dialect == "beta" else ga
    for type_, entry in catalog()["dialects"][dialect][section].items():
        if entry["class"]:
            found = getattr(package, entry["class"].replace(".", ""))
            assert found is event_of(dialect, type_)


@pytest.mark.parametrize("package", [beta, ga])
def test_a_name_that_nobody_uses_is_an_attribute_error(package: Any) -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = package.NoSuchName


@pytest.mark.parametrize(("package", "table"), [(beta, aliases.BETA), (ga, aliases.GA)])
def test_no_alias_hides_a_name_of_ours(package: Any, table: dict[str, str]) -> None:
    assert not set(table) & set(package.__all__)
    assert list(table) == sorted(table)


@pytest.mark.parametrize("package", [beta, ga])
def test_all_public_names_are_there(package: Any) -> None:
    public: list[str] = package.__all__
    assert [name for name in public if not hasattr(package, name)] == []
    assert len(set(public)) == len(public)


def test_the_enum_of_event_types_has_every_type() -> None:
    types: set[str] = {
        kind.__struct_config__.tag
        for (dialect, _), union in UNIONS.items()
        if dialect == "beta"
        for kind in get_args(union)
    }
    listed: list[str] = DART["RealtimeEventType"]["values"]
    application = set(listed) - types
    assert {str(one) for one in EventType} == types | application
    assert application == {
        "close", "conversation.interrupted", "conversation.updated", "conversation.item.appended",
        "conversation.item.completed", "realtime.event", "all", "server.all", "client.all",
    }  # fmt: skip
    assert {EventType(name) for name in CLASSIC_NAMES} <= set(EventType)
