"""Sessions: how they begin, what servers say in between, how they end, as public threads report it.

The threads are on GitHub, written as `owner/repository#number`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import SESSION
from tests.client.replays.service import Service, Watch, both_dialects, message, refusal

from duologue import ConnectionLost, Reconnected
from duologue.protocol import ga
from duologue.protocol.model import UnknownEvent

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect
    from duologue.transport import Receiver, Transport

pytestmark = pytest.mark.asyncio


class Greeting(Service):
    """Server whose first events are given."""

    def __init__(self, dialect: Dialect, *events: dict[str, Any]) -> None:
        super().__init__(dialect, greets=False)
        self._greeting = events

    async def connect(self, receiver: Receiver) -> Transport:
        ours = await super().connect(receiver)
        for event in self._greeting:
            self.end.send(json.dumps(event).encode())
        return ours


BEGUN = {"id": "sess_1", "model": "gpt-realtime"}

GREETINGS: list[Any] = [
    pytest.param(
        "ga",
        [{"type": "session.updated", "session": {"type": "realtime", **BEGUN}}],
        id="gptme/gptme-contrib#709",
    ),
    pytest.param(
        "ga",
        [
            {"type": "conversation.created", "conversation": {"id": "conv_1"}},
            {"type": "ping", "timestamp": 1},
            {"type": "session.created", "session": {"type": "realtime", **BEGUN}},
            {"type": "session.created", "session": {"type": "realtime", **BEGUN}},
        ],
        id="BerriAI/litellm-docs#362",
    ),
    pytest.param(
        "ga",
        [
            {"type": "session.created", "session": None, "event_id": None},
            {"type": "session.updated"},
        ],
        id="BerriAI/litellm#42479",
    ),
    pytest.param(
        "beta",
        [
            {
                "type": "transcription_session.created",
                "session": {"id": "sess_1", "object": "realtime.transcription_session"},
            }
        ],
        id="richiejp/VoxInput#22",
    ),
    pytest.param("beta", [{"type": "session.updated", "session": BEGUN}], id="gptme-beta"),
]


@pytest.mark.parametrize(("dialect", "events"), GREETINGS)
async def test_a_session_begins(dialect: Dialect, events: list[dict[str, Any]]) -> None:
    """The threads: the client waits for an event that this server does not send, or sends later."""
    server = Greeting(dialect, *events)
    async with server.client(connect_timeout=5) as client:
        watch = Watch(client)
        server.answer("Hello.")
        await server.processed(client)
        assert client.session is not None
        assert watch.conversation() == [("item_a", "Hello.")]
        assert watch.errors == []


@both_dialects
async def test_a_session_that_expires_fails_what_waits_and_says_why(dialect: Dialect) -> None:
    """pollen-robotics/reachy_mini_conversation_app#134, sonichi/sutando#1307 (Azure),
    livekit/agents#1252: the session ends silently, or with a bare close.
    """
    text = "Your session hit the maximum duration of 60 minutes."
    server = Service(dialect)
    async with server.client(reconnect=False) as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        server.speak("I was", ends=False)
        server.error(refusal(text, "session_expired"))
        await server.end.close(1001, text)
        with pytest.raises(ConnectionLost, match="maximum duration of 60 minutes") as caught:
            await response
        assert caught.value.code == 1001
        assert response.transcript == "I was"
        with pytest.raises(ConnectionLost, match="maximum duration"):
            client.create_response()
        assert watch.errors == []  # the end of the connection says it
        assert not client.is_connected


@both_dialects
async def test_a_conversation_outlives_a_session_that_expires(dialect: Dialect) -> None:
    """sonichi/sutando#1307, livekit/agents#1252: a new session is needed, with the old items."""
    text = "Your session hit the maximum duration of 60 minutes."
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.hear("item_u")
        server.transcribe("item_u", "Hello.")
        server.answer("Good day.")
        await server.processed(client)
        server.answers["conversation.item.create"] = lambda event: server.add(
            {"id": f"item_{event['event_id']}", **event["item"]}
        )
        again = asyncio.ensure_future(client.wait_for_next(Reconnected, timeout=5))
        await asyncio.sleep(0)
        server.error(refusal(text, "session_expired"))
        await server.end.close(1001, text)
        await again
        roles = [e["item"]["role"] for e in server.received if "item" in e]
        assert roles == ["user", "assistant"]
        response = client.create_response()
        await server.got("response.create")
        server.answer("Still here.", "resp_2", "item_b")
        await response
        words = [words for _, words in watch.conversation()]
        assert words == ["Hello.", "Good day.", "Still here."]


KEY = {"event": "9", "received_at": 1_763_605_109}

EVENTS: list[Any] = [
    pytest.param(kind, fields, id=f"{thread}-{kind}")
    for thread, kind, fields in [
        ("dongri/openai-api-rs#160", "output_audio_buffer.started", {"response_id": "resp_1"}),
        ("dongri/openai-api-rs#160", "output_audio_buffer.stopped", {"response_id": "resp_1"}),
        ("dongri/openai-api-rs#160", "output_audio_buffer.cleared", {"response_id": "resp_1"}),
        ("aplisay/llm-agent#98", "input_audio_buffer.dtmf_event_received", KEY),
        ("langchain-ai/react-voice-agent#10", "response.audio_buffer.speech_started", {}),
        ("openai/openai-python#3243", "mcp_list_tools.completed", {"item_id": "mcpl_1"}),
        ("Azure/azure-sdk-for-js#39227", "response.invocation.delta", {"delta": "{}"}),
        ("pydantic/pydantic-ai#6642", "response.audio_timestamp.delta", {"text": "Hi"}),
        ("TheSmokeDev/hermes-talk#71", "ping", {"timestamp": 1_784_603_669_974}),
    ]
]


@both_dialects
@pytest.mark.parametrize(("kind", "fields"), EVENTS)
async def test_an_event_of_another_surface_is_shown_whole(
    dialect: Dialect, kind: str, fields: dict[str, Any]
) -> None:
    """The threads: an event that the client does not know ends the program, or is dropped."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        seen: list[Any] = []
        client.on(f"server.{kind}", seen.append)
        server.begin()
        server.send(kind, **fields)
        whole = server.speak("Hello.")
        server.send(kind, **fields)
        server.finish(output=[whole])
        await server.processed(client)
        assert len(seen) == 2
        assert all(json.loads(event.raw).items() >= fields.items() for event in seen)
        assert watch.conversation() == [("item_a", "Hello.")]
        assert watch.errors == []


LIMITS: list[Any] = [
    [{"name": "tokens", "limit": 15_000_000, "remaining": 14_999_370, "reset_seconds": 0.002}],
    [{"name": "requests"}, {"name": None, "limit": 5.0, "remaining": "4"}],
    [None, {}, "requests"],
    [],
    None,
]


@both_dialects
@pytest.mark.parametrize("limits", LIMITS)
async def test_rate_limits_may_have_any_form(dialect: Dialect, limits: object) -> None:
    """openai/openai-python#2502 (Azure): models that are incomplete make an event useless."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        seen: list[Any] = []
        client.on("rate_limits.updated", seen.append)
        server.send("rate_limits.updated", rate_limits=limits)
        server.send("rate_limits.updated")
        server.answer("Hello.")
        await server.processed(client)
        assert [isinstance(event, UnknownEvent) for event in seen] == [False, False]
        assert watch.errors == []


SESSIONS: list[Any] = [
    pytest.param(
        {"voice": "marin"}, id="twilio-samples/speech-assistant-openai-realtime-api-python#54"
    ),
    pytest.param({"voice": {"name": "alloy", "type": "openai"}}, id="livekit/agents#4693"),
    pytest.param({"voice": None, "temperature": -1.0}, id="livekit/agents#1183"),
    pytest.param(
        {"temperature": "0.8", "max_output_tokens": 4096.0},
        id="RageAgainstThePixel/OpenAI-DotNet#184",
    ),
    pytest.param({"turn_detection": {"type": None}, "tools": None}, id="dograh-hq/dograh#682"),
    pytest.param(
        {"input_audio_format": "not specified", "expires_at": 1_786_422_310.0},
        id="BerriAI/litellm#20381",
    ),
    pytest.param(
        {"audio": {"input": {"format": "pcm16"}, "output": None}},
        id="Azure-Samples/aisearch-openai-rag-audio#132",
    ),
    pytest.param({"tracing": "auto", "prompt": {}, "include": [None]}, id="BerriAI/litellm#40615"),
]


@both_dialects
@pytest.mark.parametrize("fields", SESSIONS)
async def test_a_session_may_have_any_values(dialect: Dialect, fields: dict[str, Any]) -> None:
    """The threads: voices that are new or objects, nulls, floats for integers, other formats."""
    server = Service(dialect, session=SESSION | fields)
    async with server.client() as client:
        watch = Watch(client)
        server.send("session.updated", session=SESSION | fields)
        server.begin()
        server.speak("Hello.", audio=bytes(480))
        server.finish()
        await server.processed(client)
        assert client.session is not None
        [item] = client.conversation
        assert (item.formatted.transcript, item.formatted.audio_bytes) == ("Hello.", 480)
        assert watch.errors == []


@both_dialects
async def test_whole_numbers_may_be_floats_and_texts_null(dialect: Dialect) -> None:
    """BerriAI/litellm#13471, pipecat-ai/pipecat#5718: strict models refuse
    events of gateways.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin(usage=None, metadata=None, status_details=None, output=None)
        item = message("item_a", status="in_progress") | {"content": None, "object": None}
        place: dict[str, Any] = {"response_id": "resp_1", "output_index": 0.0}
        server.send("response.output_item.added", **place, item=item)
        place |= {"item_id": "item_a", "content_index": 0.0, "logprobs": None}
        server.send("response.output_audio_transcript.delta", **place, delta="Hello.")
        server.send("response.output_audio_transcript.delta", **place, delta=None)
        usage = {"total_tokens": 89.0, "input_tokens": None, "output_token_details": None}
        server.finish(usage=usage, output=[message("item_a", "Hello.") | {"phase": None}])
        await response
        assert response.transcript == "Hello."
        assert response.usage is not None
        assert response.usage.total_tokens == 89
        assert watch.errors == []


@both_dialects
async def test_an_event_of_two_megabytes_is_received(dialect: Dialect) -> None:
    """ls1intum/edutelligence#565, openai/openai-realtime-console#464: an item that comes back with
    its audio is larger than the 1 MiB at which Python's `websockets` closes with 1009.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.begin()
        server.speak("Hello.", audio=bytes(1_500_000))
        server.finish()
        await server.processed(client)
        [item] = client.conversation
        assert item.formatted.audio_bytes == 1_500_000
        assert watch.errors == []
        assert isinstance(item.wire, ga.Message)
