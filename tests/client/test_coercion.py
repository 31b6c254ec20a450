"""Dictionaries, structs of beta and arrays of audio as arguments, and arguments that are wrong."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import ConfigurationError, DuologueError, LocalProtocolError, RealtimeAPI
from duologue.protocol import beta, ga

pytestmark = pytest.mark.asyncio

DIALECTS = pytest.mark.parametrize("dialect", ["ga", "beta"])
TEXT = {"type": "input_text", "text": "Hello"}
MESSAGE: dict[str, Any] = {"type": "message", "role": "user", "content": [TEXT]}


async def last(server: MemoryServer) -> dict[str, Any]:
    """Return the last event that the server has received, without an `event_id` of ours."""
    await settle()
    event = dict(server.received[-1])
    if event.get("event_id", "").startswith("event_"):
        del event["event_id"]
    return event


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@DIALECTS
async def test_an_item_may_be_a_dictionary(dialect: str) -> None:
    server = MemoryServer()
    async with client_of(server, dialect=dialect) as client:
        client.create_item(MESSAGE, previous_item_id="root")
        assert (await last(server))["item"] == MESSAGE
        assert (await last(server))["previous_item_id"] == "root"
        client.create_item({"type": "function_call_output", "call_id": "call_1", "output": "{}"})
        assert (await last(server))["item"]["output"] == "{}"
        client.create_item(ga.Message(role="user", content=[TEXT]))  # type: ignore[list-item]  # a dict
        assert (await last(server))["item"] == MESSAGE


@DIALECTS
async def test_an_item_may_be_of_the_other_dialect(dialect: str) -> None:
    server = MemoryServer()
    named = "text" if dialect == "beta" else "output_text"
    async with client_of(server, dialect=dialect) as client:
        for item in (
            beta.Message(role="assistant", content=[beta.Text(text="Hi")]),
            ga.Message(role="assistant", content=[ga.OutputText(text="Hi")]),
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
        ):
            client.create_item(item)
            assert (await last(server))["item"]["content"] == [{"type": named, "text": "Hi"}]
            event: Any = ga.ConversationItemCreateEvent(item=item)  # type: ignore[arg-type]  # of any kind
            client.send(event)
            assert (await last(server))["item"]["content"] == [{"type": named, "text": "Hi"}]


@DIALECTS
async def test_content_may_be_dictionaries(dialect: str) -> None:
    server = MemoryServer()
    async with client_of(server, dialect=dialect) as client:
        client.send_user_message_content([TEXT, {"type": "text", "text": "again"}])
        await settle()
        [item] = [event["item"] for event in server.received if "item" in event]
        assert item["content"] == [TEXT, {"type": "input_text", "text": "again"}]


async def test_a_session_may_be_a_dictionary_with_the_names_of_either_dialect() -> None:
    server = MemoryServer()
    async with client_of(server, turn_detection={"type": "server_vad"}) as client:
        assert (await last(server))["session"]["audio"]["input"]["turn_detection"] == {
            "type": "server_vad"
        }
        client.update_session({"instructions": "Be brief.", "voice": "marin", "tools": []})
        assert (await last(server))["session"] == {
            "type": "realtime",
            "instructions": "Be brief.",
            "tools": [],
            "audio": {"output": {"voice": "marin"}},
        }
        client.update_session({"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        assert (await last(server))["session"]["audio"] == {"input": {"turn_detection": None}}
        client.send({"type": "session.update", "session": {"modalities": ["text"]}})
        assert (await last(server))["session"] == {
            "type": "realtime",
            "output_modalities": ["text"],
        }
        client.update_session({"flavour": "of a service"})
        assert (await last(server))["session"] == {"type": "realtime", "flavour": "of a service"}


async def test_a_beta_session_may_be_a_dictionary() -> None:
    server = MemoryServer()
    async with client_of(server, dialect="beta") as client:
        client.update_session({"voice": "alloy", "temperature": 0.7}, full=False)
        assert (await last(server))["session"] == {"voice": "alloy", "temperature": 0.7}
        client.send({"type": "session.update", "session": {"modalities": ["text"]}})
        assert (await last(server))["session"] == {"modalities": ["text"]}


@DIALECTS
async def test_parameters_of_a_response_may_be_a_dictionary(dialect: str) -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server, dialect=dialect) as client:
        client.create_response({"conversation": "none", "input": [MESSAGE], "voice": "marin"})
        sent = (await last(server))["response"]
        assert sent["input"] == [MESSAGE]
        assert sent["conversation"] == "none"
        voice = sent["voice"] if dialect == "beta" else sent["audio"]["output"]["voice"]
        assert voice == "marin"


async def test_parameters_of_a_response_may_be_of_beta() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.create_response(beta.ResponseCreateParams(modalities=["text"]), voice="marin")
        assert (await last(server))["response"] == {
            "output_modalities": ["text"],
            "audio": {"output": {"voice": "marin"}},
        }
        client.send(
            beta.ResponseCreateEvent(response=beta.ResponseCreateParams(modalities=["text"]))
        )
        assert (await last(server))["response"] == {"output_modalities": ["text"]}


async def test_an_event_may_be_a_dictionary() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.send({"type": "input_audio_buffer.append", "audio": "AAAA"})
        assert (await last(server))["audio"] == "AAAA"
        client.send({"type": "conversation.item.delete", "item_id": "item_1", "event_id": "mine"})
        assert (await last(server)) == {
            "type": "conversation.item.delete", "item_id": "item_1", "event_id": "mine",
        }  # fmt: skip
        client.send({"type": "event.of.tomorrow", "depth": [1, 2.5, None]})
        assert (await last(server)) == {"type": "event.of.tomorrow", "depth": [1, 2.5, None]}


async def test_the_plain_connection_accepts_dictionaries() -> None:
    server = MemoryServer()
    async with RealtimeAPI(connector=server.connect) as api:
        api.send({"type": "response.create", "response": {"instructions": "Be brief."}})
        assert (await last(server))["response"] == {"instructions": "Be brief."}
        with pytest.raises(LocalProtocolError, match=r"response\.create\.response\.instructions"):
            api.send({"type": "response.create", "response": {"instructions": 3}})
        with pytest.raises(LocalProtocolError, match="must be a struct or a dictionary"):
            api.send(3)  # type: ignore[arg-type]  # the point of the test


WRONG: list[tuple[str, str, Any]] = [
    ("create_item", r"item\.role is missing", {"type": "message", "content": []}),
    ("create_item", r"item\.content\[0\]\.text", {**MESSAGE, "content": [{**TEXT, "text": 3}]}),
    ("create_item", r"item\.content: expected `array`", {**MESSAGE, "content": "Hello"}),
    ("create_item", r"item\.type is missing", {"role": "user", "content": []}),
    ("create_item", "did you mean 'message'", {**MESSAGE, "type": "mesage"}),
    ("create_item", "did you mean 'content'", {**MESSAGE, "contents": []}),
    ("create_item", "expected `object`", 3),
    ("create_item", "expected `object`", None),
    ("create_item", r"item\.role", ga.Message(role=3, content=[])),  # type: ignore[arg-type]  # wrong
    ("create_item", "encode it as base64", {**MESSAGE, "content": [{"audio": b"a"}]}),
    ("send", "must be a struct or a dictionary", 3),
    ("send", "no `type`", {}),
    ("send", "no `type`", {"type": 3}),
    ("send", r"did you mean 'response\.create'", {"type": "respone.create"}),
    ("send", "event of the server", {"type": "response.done"}),
    ("send", r"item_id is missing", {"type": "conversation.item.delete"}),
    ("send", r"append\.audio must be base64", {"type": "input_audio_buffer.append", "audio": 3}),
    ("send", "not base64", {"type": "input_audio_buffer.append", "audio": "???"}),
    ("send", r"event_id", {"type": "response.cancel", "event_id": 3}),
    ("send", r"event_id", {"type": "event.of.tomorrow", "event_id": 3}),
    ("send", "key of type int", {"type": "response.cancel", 3: 4}),
    ("send", r"session.*instructions", {"type": "session.update", "session": {"instructions": 3}}),
    ("update_session", r"session\.tools\[0\]\.name", {"tools": [{"type": "function", "name": 3}]}),
    ("update_session", "did you mean 'instructions'", {"instruction": "Be brief."}),
    ("update_session", "did you mean 'server_vad'", {"turn_detection": {"type": "server-vad"}}),
    ("update_session", "type is missing", {"turn_detection": {"silence_duration_ms": 300}}),
    ("update_session", r"session\.type", {"type": "chat"}),
    ("update_session", "must be a struct", 3),
    ("update_session", "temperature", {"temperature": 0.8}),
    ("update_session", "audio must be an object", {"audio": 3, "voice": "marin"}),
    ("update_session", "input_audio_format", {"input_audio_format": "mp3"}),
    ("create_response", r"response\.input", {"input": 3}),
    ("create_response", r"response\.input\[0\]\.role", {"input": [{**MESSAGE, "role": 3}]}),
    ("create_response", "nan", {"metadata": {"a": float("nan")}}),
    ("create_response", "must be a struct", "text"),
    ("send_user_message_content", r"content\[0\]", [3]),
    ("send_user_message_content", "must be text", 3),
    ("send_user_message_content", "must be text", TEXT),
]


@pytest.mark.parametrize(("method", "reason", "value"), WRONG, ids=map(str, range(len(WRONG))))
@DIALECTS
async def test_what_is_wrong_is_named_and_not_sent(
    method: str, reason: str, value: Any, dialect: str
) -> None:
    if dialect == "beta" and reason == "temperature":
        return  # beta has one
    server = MemoryServer()
    async with client_of(server, dialect=dialect) as client:
        sent = len(server.received)
        with pytest.raises((ConfigurationError, LocalProtocolError), match=reason):
            getattr(client, method)(value)
        await settle()
        assert len(server.received) == sent
        assert client.is_connected


WRONG_CALLS: list[Callable[[Any], object]] = [
    lambda client: client.delete_item(3),
    lambda client: client.retrieve_item(None),
    lambda client: client.truncate_item(3, 4),
    lambda client: client.truncate_item("item", "4"),
    lambda client: client.truncate_items(3),
    lambda client: client.truncate_items([3]),
    lambda client: client.create_item(MESSAGE, previous_item_id=3),
    lambda client: client.cancel_response(3),
    lambda client: client.cancel_response(heard_samples="3"),
    lambda client: client.approve_mcp_call(3),
    lambda client: client.reject_mcp_call("request", reason=3),
    lambda client: client.remove_tool([]),
    lambda client: client.add_tool(3, print),
    lambda client: client.update_session(turn_detection="server_vad"),
    lambda client: client.update_session(tools=3),
    lambda client: client.create_response(input=[3]),
]


@pytest.mark.parametrize("call", WRONG_CALLS, ids=map(str, range(len(WRONG_CALLS))))
async def test_arguments_of_wrong_types_are_refused(call: Any) -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        with pytest.raises(DuologueError):
            call(client)
        await settle()
        assert server.received == []


SAMPLES = [0, 1000, -1000]


@pytest.mark.parametrize(
    "audio",
    [
        np.array(SAMPLES, "<i2"),
        np.array(SAMPLES, "<i2").reshape(3, 1),
        np.repeat(np.array(SAMPLES, "<i2"), 2)[::2],
        array.array("h", SAMPLES),
        memoryview(np.array(SAMPLES, "<i2").tobytes()),
        bytearray(np.array(SAMPLES, "<i2").tobytes()),
    ],
    ids=["int16", "one column", "strided", "array", "memoryview", "bytearray"],
)
async def test_audio_may_be_any_buffer_of_samples(audio: Any) -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.append_input_audio(audio)
        assert (await last(server))["audio"] == "AADoAxj8"


async def test_an_odd_number_of_bytes_is_sent() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.append_input_audio(b"abc")
        client.append_input_audio(b"")
        client.append_input_audio(np.array([], "<i2"))
        await settle()
        assert [event["audio"] for event in server.received] == ["YWJj"]


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        ("AAAA", "decode base64 first"),
        (np.zeros(3, "float32"), r"\* 32767\)\.astype"),
        (np.zeros(3, "float64"), "floating-point"),
        (np.zeros(3, "int32"), "astype"),
        (np.zeros(3, ">i2"), "astype"),
        (np.zeros(3, "bool"), "astype"),
        (np.zeros((3, 2), "<i2"), "one channel"),
        (np.int16(3), "one channel"),
        (array.array("f", [0.0]), "floating-point"),
        ([1, 2], "not list"),
        (3, "not int"),
        (None, "not NoneType"),
    ],
    ids=map(str, range(12)),
)
async def test_what_is_no_audio_is_refused(audio: Any, reason: str) -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        with pytest.raises(LocalProtocolError, match=reason):
            client.append_input_audio(audio)
        await settle()
        assert server.received == []


async def test_samples_are_refused_where_the_format_has_bytes() -> None:
    server = MemoryServer()
    async with client_of(server, input_audio_format="g711_ulaw") as client:
        with pytest.raises(LocalProtocolError, match="one byte a sample"):
            client.append_input_audio(np.zeros(3, "<i2"))
        client.append_input_audio(np.zeros(3, "uint8"))
        assert (await last(server))["audio"] == "AAAA"
