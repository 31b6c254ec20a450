"""Every example frame of the reference and of recordings, intact and disturbed."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from tests.protocol.official import is_unknown_to_the_sdk, refusal
from tests.protocol.protocol_data import (
    Example,
    catalog,
    examples,
    is_array,
    is_object,
    rest_examples,
)

from duologue.protocol import beta, codec, ga
from duologue.protocol._unknown_fields import keep_unknown
from duologue.protocol.beta import rest as beta_rest
from duologue.protocol.codec import encode_model
from duologue.protocol.ga import rest
from duologue.protocol.model import UNSET, Event, Raw, UnknownEvent, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]

REST: Final[dict[str, tuple[Any, Any]]] = {
    "/realtime/calls/{call_id}/accept": (rest.CallAcceptParams, None),
    "/realtime/calls/{call_id}/refer": (rest.CallReferParams, None),
    "/realtime/calls/{call_id}/reject": (rest.CallRejectParams, None),
    "/realtime/client_secrets": (rest.ClientSecretCreateParams, rest.ClientSecretCreateResponse),
    "/realtime/sessions": (beta_rest.SessionCreateParams, beta_rest.SessionCreateResponse),
    "/realtime/transcription_sessions": (
        beta_rest.TranscriptionSessionCreateParams,
        beta_rest.TranscriptionSessionCreateResponse,
    ),
    "/realtime/translations/client_secrets": (
        rest.TranslationClientSecretCreateParams,
        rest.TranslationClientSecretCreateResponse,
    ),
}
every_example = pytest.mark.parametrize("example", examples(), ids=str)


def decode(example: Example, payload: Any = None) -> Event | UnknownEvent:
    frame = json.dumps(example.payload if payload is None else payload).encode()
    return codec.decode(
        frame, dialect=example.dialect, direction=example.direction, surface=example.surface
    )


def json_of(event: Event | UnknownEvent) -> Any:
    return json.loads(event.raw if isinstance(event, UnknownEvent) else encode_model(event))


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a payload, itself included."""
    yield path
    if is_object(value):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif is_array(value):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def with_change(payload: Any, path: Path, new: Any) -> Any:
    changed = copy.deepcopy(payload)
    at(changed, path[:-1])[path[-1]] = new
    return changed


def without(payload: Any, path: Path) -> Any:
    changed = copy.deepcopy(payload)
    del at(changed, path[:-1])[path[-1]]
    return changed


def turned(value: Any) -> Any:
    """Return a payload with the keys of all objects in the opposite order."""
    if is_object(value):
        return {key: turned(item) for key, item in reversed(value.items())}
    return [turned(item) for item in value] if is_array(value) else value


@every_example
def test_an_example_decodes_to_its_own_type_and_comes_back_as_it_was(example: Example) -> None:
    event = decode(example)
    assert isinstance(event, Event)
    assert event.type == example.type
    assert codec.encode(event) == example.frame
    assert json_of(event) == example.payload
    assert json_of(replace(event)) == example.payload


@every_example
def test_added_fields_are_kept_at_any_depth(example: Example) -> None:
    for path in places(example.payload):
        if not isinstance(at(example.payload, path), dict):
            continue
        new: Any = "two" if path[-1:] == ("metadata",) else {"deep": [1, None, "two"]}
        payload = with_change(example.payload, (*path, "x_new"), new)
        event = decode(example, payload)
        assert isinstance(event, Event), path
        assert json_of(event) == payload


@every_example
def test_unknown_words_are_kept(example: Example) -> None:
    """Any string may be one that nobody knows yet: a status, a voice, the type of an item."""
    for path in places(example.payload):
        if path in {(), ("type",)} or not isinstance(at(example.payload, path), str):
            continue
        payload = with_change(example.payload, path, "invented")
        event = decode(example, payload)
        if example.surface != "translation":  # its session is no union: the type is its own
            assert isinstance(event, Event), path
        assert json_of(event) == payload


@every_example
def test_an_unknown_type_is_an_unknown_event(example: Example) -> None:
    payload = example.payload | {"type": "invented"}
    event = decode(example, payload)
    assert isinstance(event, UnknownEvent)
    assert (event.type, event.reason) == ("invented", None)
    assert json_of(event) == payload


@every_example
def test_the_order_of_keys_does_not_matter(example: Example) -> None:
    payload = turned(example.payload)
    event = decode(example, payload)
    assert isinstance(event, Event)
    assert codec.encode(event) == json.dumps(payload).encode()
    assert json_of(event) == payload


@every_example
def test_absent_and_null_are_told_apart(example: Example) -> None:
    """Where null or absence is not allowed, the event is unknown, says why, and is still whole."""
    for path in places(example.payload):
        if path in {(), ("type",)} or isinstance(path[-1], int):
            continue
        for payload in (with_change(example.payload, path, None), without(example.payload, path)):
            event = decode(example, payload)
            assert json_of(event) == payload, path
            if isinstance(event, UnknownEvent):
                assert event.reason


@pytest.mark.parametrize("example", rest_examples(), ids=lambda one: one["id"])
def test_a_rest_body_decodes_and_comes_back(example: dict[str, Any]) -> None:
    kinds = REST.get(example["path"], (None, None))
    for kind, body in zip(kinds, (example["request_body"], example["response_body"]), strict=True):
        if kind is None:
            assert body is None or "_raw" in body  # SDP, or nothing
            continue
        model = msgspec.convert(keep_unknown(body, kind), kind)
        assert json.loads(encode_model(model)) == body


def test_official_examples_that_contradict_the_official_types_are_named() -> None:
    listed: dict[str, str] = catalog()["sdk_differences"][
        "official_examples_failing_official_types"
    ]
    refused = {str(example) for example in examples() if refusal(example)}
    nameless = {str(example) for example in examples() if is_unknown_to_the_sdk(example)}
    named = {name for name in listed if not name.startswith("rest/")}
    assert refused - nameless == named | set(CONTRADICTING)


CONTRADICTING: Final = {
    "beta/session.update#null_vad": "the type that reads knows no null, the one that writes does",
}
"""Examples beyond the catalog's list that the official types refuse."""


def test_audio_stays_as_it_came() -> None:
    event = codec.decode(
        b'{"type":"response.output_audio.delta","event_id":"e","response_id":"r","item_id":"i",'
        b'"output_index":0,"content_index":0,"delta":"AAA="}'
    )
    assert isinstance(event, ga.ResponseAudioDeltaEvent)
    assert isinstance(event.delta, Raw)
    assert event.audio_data == b"\0\0"


def test_audio_of_a_beta_delta_is_decoded_once() -> None:
    event = codec.decode(
        b'{"type":"response.audio.delta","event_id":"e","response_id":"r","item_id":"i",'
        b'"output_index":0,"content_index":0,"delta":"AAA="}',
        dialect="beta",
    )
    assert isinstance(event, beta.ResponseAudioDeltaEvent)
    assert event.audio_data is event.audio_data


def test_an_item_that_nobody_knows_has_its_id() -> None:
    assert ga.UnknownItem(raw={"type": "dance", "id": "item_1"}).id == "item_1"
    assert ga.UnknownItem(raw={"id": 5}).id is UNSET
