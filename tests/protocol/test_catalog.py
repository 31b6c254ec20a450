"""Every event, model, field, enum and union of the catalog is in our types.

`DIFFERENCES` names, with reasons, each place where we differ on purpose; a test fails as well when
one of them is no longer true.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import pytest
from tests.protocol.catalog_differences import DIFFERENCES, ENUM_DIFFERENCES, expected_at
from tests.protocol.protocol_data import catalog, is_array, is_object
from tests.protocol.strategies import UNIONS
from tests.protocol.type_hints import enums, hints_of, is_nullable, members, structs

from duologue.protocol import beta, ga
from duologue.protocol.ga import rest, translation
from duologue.protocol.model import Raw, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

Dialect = Literal["ga", "beta"]
DIALECTS: Final[tuple[Dialect, ...]] = ("ga", "beta")
EVENT_SECTIONS: Final = ("client_events", "server_events")
TRANSLATION: Final = {
    "translation_client_events": translation.KnownTranslationClientEvent,
    "translation_server_events": translation.KnownTranslationServerEvent,
}

ENUMS: Final[dict[Dialect, dict[str, Any]]] = {
    "ga": {
        "AllowedCallers": ga.AllowedCallers,
        "ConnectorId": ga.ConnectorId,
        "ContentDetail": ga.ContentDetail,
        "Conversation": ga.ConversationMode,
        "Delay": ga.Delay,
        "Eagerness": ga.Eagerness,
        "ItemStatus": ga.ItemStatus,
        "McpRequireApprovalSetting": ga.McpApprovalSetting,
        "Model": ga.RealtimeModel,
        "NoiseReductionType": ga.NoiseReductionType,
        "OutputModality": ga.OutputModality,
        "PartType": ga.PartType,
        "RateLimitName": ga.RateLimitName,
        "ReasoningEffort": ga.ReasoningEffort,
        "ResponseInputImageDetail": ga.PromptImageDetail,
        "ResponseStatus": ga.ResponseStatus,
        "ResponseStatusReason": ga.ResponseStatusReason,
        "ResponseStatusType": ga.ResponseStatusType,
        "ToolChoiceMode": ga.ToolChoiceMode,
        "TranscriptionModel": ga.TranscriptionModel,
        "TruncationStrategy": ga.TruncationStrategy,
        "Ttl": ga.PromptCacheTtl,
        "Voice": ga.Voice,
    },
    "beta": {
        "AudioFormat": beta.AudioFormat,
        "ContentType": beta.ContentType,
        "Conversation": beta.ConversationMode,
        "Eagerness": beta.Eagerness,
        "ItemRole": beta.MessageRole,
        "ItemStatus": beta.ItemStatus,
        "ItemType": beta.ItemType,
        "Modality": beta.Modality,
        "Model": beta.RealtimeModel,
        "NoiseReductionType": beta.NoiseReductionType,
        "PartType": beta.PartType,
        "RateLimitName": beta.RateLimitName,
        "ReferenceContentType": beta.ContentType,
        "ReferenceItemType": beta.ItemType,
        "ResponseStatus": beta.ResponseStatus,
        "ResponseStatusReason": beta.ResponseStatusReason,
        "ResponseStatusType": beta.ResponseStatusType,
        "TranscriptionModel": beta.TranscriptionModel,
        "TurnDetectionType": beta.TurnDetectionType,
        "Voice": beta.Voice,
    },
}
TAG_ENUMS: Final = {
    "AssistantContentType": ga.ContentPart,
    "UserContentType": ga.ContentPart,
}
"""Enums whose values are the tags of a union."""

SCALARS: Final = {"string": (str, Raw), "integer": (int,), "number": (float,), "boolean": (bool,)}


def ours(dialect: Dialect, name: str) -> Any:
    """Return our type of a catalog model or union."""
    if name.startswith("translations."):
        name = name.replace("translations.", "Translations.")
    flat = name.replace(".", "")
    package = beta if dialect == "beta" else ga
    return getattr(package, flat, None)


def tag_of(kind: type[msgspec.Struct]) -> str | None:
    tag = kind.__struct_config__.tag
    return tag if isinstance(tag, str) else None


def fields_of(kind: Any) -> dict[str, tuple[bool, bool, Any]]:
    """Return required, nullable and annotation by field; of a union, of all its members at once."""
    found: dict[str, tuple[bool, bool, Any]] = {}
    for struct in structs(kind):
        if issubclass(struct, Unknown):
            continue
        for field in msgspec.structs.fields(struct):
            hint = hints_of(struct)[field.name]
            found.setdefault(field.encode_name, (field.required, is_nullable(hint), hint))
    return {name: value for name, value in found.items() if not name.startswith("\ufdd0")}


def entries() -> Iterator[tuple[Dialect, str, dict[str, Any], Any]]:
    """Yield everything in the catalog that has fields, with our type for it."""
    for dialect in DIALECTS:
        sections: dict[str, Any] = catalog()["dialects"][dialect]
        for section in EVENT_SECTIONS:
            direction: Literal["client", "server"] = "client" if section[0] == "c" else "server"
            by_tag = {tag_of(kind): kind for kind in get_args(UNIONS[dialect, direction])}
            for name, entry in sections[section].items():
                yield dialect, name, entry, by_tag.get(name)
        for section, union in TRANSLATION.items():
            by_tag = {tag_of(kind): kind for kind in get_args(union)}
            for name, entry in sections.get(section, {}).items():
                yield dialect, f"translation {name}", entry, by_tag.get(name)
        for name, entry in sections["models"].items():
            yield dialect, name, entry, ours(dialect, name)


ENTRIES: Final = {f"{dialect}/{name}": (entry, kind) for dialect, name, entry, kind in entries()}


def differences(place: str) -> set[str]:
    """Compare an entry of the catalog with our type, field by field."""
    entry, kind = ENTRIES[place]
    dialect: Dialect = "beta" if place.startswith("beta/") else "ga"
    mine = fields_of(kind)
    found: set[str] = set()
    for name, field in entry["fields"].items():
        is_tag = name == "type" and name not in mine
        if is_tag:
            if "const" in field and field["const"] not in {tag_of(one) for one in structs(kind)}:
                found.add(f"{name} has no member {field['const']}")
            if not field["required"]:
                found.add(f"{name} required")
            continue
        if name not in mine:
            found.add(f"{name} missing")
            continue
        required, nullable, hint = mine[name]
        if required != field["required"]:
            found.add(f"{name} {'required' if required else 'optional'}")
        if nullable != bool(field.get("nullable")):
            found.add(f"{name} {'nullable' if nullable else 'not nullable'}")
        found |= {f"{name} {what}" for what in misfits(dialect, field, hint)}
    known = {
        *entry["fields"],
        *entry.get("spec_only_fields", {}),
        *entry.get("wire_observed_fields", {}),
        *entry.get("wire_extra_fields", {}),
    }
    return found | {f"{name} added" for name in mine.keys() - known}


def misfits(dialect: Dialect, field: dict[str, Any], hint: Any) -> Iterator[str]:
    """Compare what a field may hold."""
    schema = field.get("schema")
    if schema is None:
        scalars = SCALARS.get(field["type"])
        if scalars and not set(scalars) & set(base(hint)):
            yield "of another type"
        return
    wanted = set(refs(schema))
    for name in wanted:
        parts = structs(ours(field.get("dialect", dialect), name))
        if not {*structs(hint)} >= {*parts}:
            yield f"does not hold {name}"
    for name in enums_in(schema):
        if (
            ENUMS[field.get("dialect", dialect)].get(name) not in enums(hint)
            and name not in TAG_ENUMS
        ):
            yield f"is no {name}"


def base(hint: Any) -> list[Any]:
    return [getattr(one, "__origin__", one) for one in members(hint)]


def refs(schema: Any) -> Iterator[str]:
    if is_object(schema):
        for key, value in schema.items():
            if key == "ref":
                yield value
            else:
                yield from refs(value)
    elif is_array(schema):
        for value in schema:
            yield from refs(value)


def enums_in(schema: Any) -> Iterator[str]:
    if is_object(schema):
        for key, value in schema.items():
            if key == "enum":
                yield value
            else:
                yield from enums_in(value)
    elif is_array(schema):
        for value in schema:
            yield from enums_in(value)


@pytest.mark.parametrize("place", ENTRIES)
def test_an_entry_has_its_struct_with_the_same_fields(place: str) -> None:
    assert ENTRIES[place][1] is not None, "no type of this name"
    assert differences(place) == expected_at(place)


def test_every_difference_is_somewhere() -> None:
    stale = [
        difference
        for difference in DIFFERENCES
        for pattern in difference.places
        if not any(fnmatchcase(place, pattern) for place in ENTRIES)
    ]
    assert stale == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_enum_has_the_same_values(dialect: Dialect) -> None:
    for name, entry in catalog()["dialects"][dialect]["enums"].items():
        if name in TAG_ENUMS:
            tags = {tag_of(kind) for kind in structs(TAG_ENUMS[name])}
            assert tags >= set(entry["values"]), name
            continue
        values = {str(member) for member in ENUMS[dialect][name]}
        if f"{dialect}/{name}" in ENUM_DIFFERENCES:
            assert values > set(entry["values"]), name
        else:
            assert values == set(entry["values"]), name


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_union_has_the_same_members(dialect: Dialect) -> None:
    for name, entry in catalog()["dialects"][dialect]["unions"].items():
        union = ours(dialect, name)
        assert union is not None, name
        for ref in refs(entry["members"]):
            assert {*structs(union)} >= {*structs(ours(dialect, ref))}, (name, ref)


def test_every_union_of_events_has_the_catalogs_events() -> None:
    for dialect in DIALECTS:
        for section in EVENT_SECTIONS:
            union = UNIONS[dialect, "client" if section[0] == "c" else "server"]
            tags = {tag_of(kind) for kind in get_args(union)}
            listed = set(catalog()["dialects"][dialect][section])
            where = f"dialects.{dialect}.{section} of tests/data/protocol/catalog.json"
            assert tags - listed == set(), f"add them to {where}"
            assert listed - tags == set(), f"no types, but listed in {where}"
    for section, union in TRANSLATION.items():
        tags = {tag_of(kind) for kind in get_args(union)}
        assert tags == set(catalog()["dialects"]["ga"][section]), section


def test_every_rest_body_has_its_struct() -> None:
    for dialect in DIALECTS:
        for call in catalog()["dialects"][dialect]["rest"]:
            for body in (call["request"], call["response"]):
                if isinstance(body, str):
                    assert ours(dialect, body) is not None, body
    (webhook,) = (one for one in catalog()["dialects"]["ga"]["rest"] if one["method"] == "WEBHOOK")
    assert set(fields_of(rest.RealtimeCallIncoming)) | {"type"} == set(webhook["request"])
    assert set(fields_of(rest.IncomingCall)) == set(webhook["request"]["data"])
