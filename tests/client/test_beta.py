"""A client on a beta connection: beta on the wire, GA in the conversation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import MemoryServer

from duologue import (
    ConfigurationError,
    LocalProtocolError,
    RealtimeAPI,
    RealtimeClient,
    RealtimeEvent,
)
from duologue.client.endpoint import Endpoint
from duologue.protocol import beta, ga

if TYPE_CHECKING:
    from duologue.protocol.model import Event, UnknownEvent

pytestmark = pytest.mark.asyncio

DEFAULTS = {
    "modalities": ["text", "audio"],
    "instructions": "",
    "voice": "verse",
    "input_audio_format": "pcm16",
    "output_audio_format": "pcm16",
    "input_audio_transcription": None,
    "turn_detection": None,
    "tools": [],
    "tool_choice": "auto",
    "temperature": 0.8,
    "max_response_output_tokens": 4096,
}


def client_of(server: MemoryServer, **options: Any) -> RealtimeClient:
    return RealtimeClient(connector=server.connect, dialect="beta", **options)


async def test_a_session_begins_with_the_reference_clients_defaults() -> None:
    server = MemoryServer()
    async with client_of(server, voice="alloy", temperature=0.6) as client:
        assert server.received[0]["session"] == DEFAULTS | {"voice": "alloy", "temperature": 0.6}
        assert isinstance(client.session, ga.RealtimeSession)
        client.update_session(turn_detection=ga.ServerVad())
        update = await server.got("session.update", 2)
        settings = DEFAULTS | {"voice": "alloy", "temperature": 0.6}
        assert update["session"] == settings | {"turn_detection": {"type": "server_vad"}}


async def test_an_update_can_send_the_change_alone() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        await client.update_session(beta.SessionConfig(temperature=1.0), full=False)
        assert server.received[-1]["session"] == {"temperature": 1.0}


async def test_callbacks_can_use_the_names_of_either_dialect() -> None:
    server = MemoryServer()
    calls: list[tuple[str, type]] = []

    def note(key: str) -> Any:
        return lambda event: calls.append((key, type(event)))

    async with client_of(server) as client:
        client.on("response.text.delta", note("beta name"))
        client.on("response.output_text.delta", note("GA name"))
        client.on(beta.ResponseTextDeltaEvent, note("beta class"))
        client.on(ga.ResponseTextDeltaEvent, note("GA class"))
        client.on("server.*", note("any"))
        client.on(ga.ResponseCreatedEvent, note("named alike"))
        shown: list[Event | UnknownEvent] = []
        client.on(RealtimeEvent, lambda update: shown.append(update.event))
        server.begin()
        place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        server.send("response.text.delta", **place, delta="Hi")
        await client.wait_for_next("response.text.delta")
    assert calls == [
        ("any", beta.ResponseCreatedEvent),
        ("named alike", ga.ResponseCreatedEvent),
        ("beta class", beta.ResponseTextDeltaEvent),
        ("beta name", beta.ResponseTextDeltaEvent),
        ("any", beta.ResponseTextDeltaEvent),
        ("GA class", ga.ResponseTextDeltaEvent),
        ("GA name", ga.ResponseTextDeltaEvent),
    ]
    assert [type(event) for event in shown] == [
        beta.ResponseCreatedEvent,
        beta.ResponseTextDeltaEvent,
    ]


async def test_events_of_either_dialect_can_be_sent() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        given = beta.ResponseCreateParams(modalities=["text"], temperature=0.7)
        client.send(beta.ResponseCreateEvent(response=given))
        params = (await server.got("response.create"))["response"]
        assert params == {"modalities": ["text"], "temperature": 0.7}
        client.create_response(output_modalities=["text"])
        params = (await server.got("response.create", 2))["response"]
        assert params == {"modalities": ["text"]}
        client.send(beta.SessionUpdateEvent(session=beta.SessionConfig(temperature=0.9)))
        assert (await server.got("session.update", 2))["session"] == {"temperature": 0.9}
        client.append_input_audio(b"\x01\x02")
        assert (await server.got("input_audio_buffer.append"))["audio"] == "AQI="


async def test_a_field_without_a_beta_form_is_refused() -> None:
    async with client_of(MemoryServer()) as client:
        with pytest.raises(LocalProtocolError, match="beta has no "):
            client.create_response(parallel_tool_calls=False)


async def test_realtime_api_sends_and_receives_beta_events() -> None:
    server = MemoryServer()
    async with RealtimeAPI(connector=server.connect, dialect="beta") as api:
        assert isinstance(await anext(aiter(api)), beta.SessionCreatedEvent)
        api.send(beta.SessionUpdateEvent(session=beta.SessionConfig(voice="alloy")))
        assert (await server.got("session.update"))["session"] == {"voice": "alloy"}


async def test_beta_sets_a_header_and_an_unknown_dialect_is_refused() -> None:
    headers, _ = await Endpoint("ws://x", dialect="beta").credentials(timeout=1)
    assert headers == {"OpenAI-Beta": "realtime=v1"}
    endpoint = Endpoint("ws://x", headers={"openai-beta": "x"}, dialect="beta")
    assert await endpoint.credentials(timeout=1) == ({"openai-beta": "x"}, ())
    wrong: Any = "alpha"
    with pytest.raises(ConfigurationError, match="'alpha'"):
        RealtimeAPI(connector=MemoryServer().connect, dialect=wrong)
    with pytest.raises(ConfigurationError, match="temperature"):
        RealtimeClient(connector=MemoryServer().connect, temperature=0.5)
    config = beta.SessionConfig(temperature=0.5)
    with pytest.raises(ConfigurationError, match="temperature"):
        RealtimeClient(connector=MemoryServer().connect, session=config)


async def test_a_transcription_session_does_not_receive_the_defaults() -> None:
    server = MemoryServer(greets=False)
    client = client_of(server)
    connecting = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0)
    session = {"id": "sess_1", "input_audio_format": "pcm16"}
    server.send("transcription_session.created", session=session)
    await connecting
    assert server.received == []
    assert isinstance(client.session, ga.TranscriptionSession)
    await client.close()
