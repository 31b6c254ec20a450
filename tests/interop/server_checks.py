"""What our client does with a server that nobody here wrote; each function is a check."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, TypeVar

import pytest
from tests.interop.scene import AUDIO

from duologue import (
    ConnectionLost,
    DialectRefused,
    ErrorUpdate,
    Interrupted,
    RealtimeAPI,
    RealtimeClient,
    RealtimeEvent,
    RemoteProtocolError,
    ResponseFailed,
    ResponseHandle,
    ServerError,
)
from duologue.protocol import ga
from duologue.protocol.model import UnknownEvent

__all__ = ["SERVER_CHECKS", "ServerCheck"]

HEARD: Final = "Hello from the microphone."
STORY: Final = "Once upon a time there was a server that hung up."
CHECK_SECONDS: Final = 15

WEATHER: Final = ga.FunctionTool(
    name="get_weather",
    description="Get the weather of a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
)

E = TypeVar("E")


@asynccontextmanager
async def talk(url: str, **options: Any) -> AsyncGenerator[RealtimeClient]:
    """Yield a session; at its end every event that came must have fitted the client's types."""
    misfits: list[ErrorUpdate] = []
    client = RealtimeClient(url=url, **options)
    client.on(ErrorUpdate, misfits.append)
    async with asyncio.timeout(CHECK_SECONDS), client:
        yield client
    assert not [update for update in misfits if isinstance(update.error, RemoteProtocolError)]


async def until(client: RealtimeClient, kind: type[E], count: int = 1) -> list[E]:
    """Return so many of the first updates or events of a type, from the connection on."""
    found: list[E] = []
    async for update in client:
        told = update.event if isinstance(update, RealtimeEvent) else update
        if isinstance(told, kind):
            found.append(told)
        if len(found) == count:
            return found
    raise AssertionError(f"the session ended after {len(found)} of {count} {kind.__name__}")


def say(client: RealtimeClient) -> bytes:
    """Send speech and the silence after it, in pieces, and return all of it."""
    with wave.open(str(AUDIO / "hello.wav")) as file:
        pcm = file.readframes(file.getnframes()) + bytes(48 * 800)
    for start in range(0, len(pcm), 960):
        client.append_input_audio(pcm[start : start + 960])
    return pcm


def words(handle: ResponseHandle) -> str:
    """Return what a response says, in text or in speech."""
    return handle.text + handle.transcript


def said(client: RealtimeClient) -> list[tuple[str | None, str]]:
    """Return who says what in the conversation."""
    messages = (item for item in client.conversation if item.type == "message")
    return [(item.role, item.formatted.text + item.formatted.transcript) for item in messages]


async def connect(url: str) -> None:
    async with talk(url) as client:
        session = await client.wait_for_session_created()
        assert isinstance(session, ga.RealtimeSession)
        assert session.id


async def session_update(url: str) -> None:
    async with talk(url, instructions="Be brief.") as client:
        session = await client.update_session(tools=[WEATHER])
        assert isinstance(session, ga.RealtimeSession)
        assert (session.instructions, session.tools) == ("Be brief.", [WEATHER])
        assert client.session == session


async def text_turn(url: str) -> None:
    async with talk(url) as client:
        handle = client.send_user_message_content("Hello")
        streamed = [delta async for delta in handle]
        response = await handle
        assert response.status == "completed"
        assert words(handle) == "You said: Hello"
        assert "".join(d.text or d.transcript or "" for d in streamed) == words(handle)
        assert said(client) == [("user", "Hello"), ("assistant", "You said: Hello")]


async def events_alone(url: str) -> None:
    item = ga.Message(role="user", content=[ga.InputText(text="Hello")])
    types: list[str] = []
    async with asyncio.timeout(CHECK_SECONDS), RealtimeAPI(url=url) as api:
        api.send(ga.ConversationItemCreateEvent(item=item))
        api.send(ga.ResponseCreateEvent())
        async for event in api:
            assert not isinstance(event, UnknownEvent), event
            types.append(event.type)
            if isinstance(event, ga.ResponseDoneEvent):
                break
    assert types[0] == "session.created"
    assert "response.output_item.done" in types


async def tool_call(url: str) -> None:
    asked: list[dict[str, Any]] = []

    async def look(arguments: dict[str, Any]) -> str:
        asked.append(arguments)
        return "sunny"

    async with talk(url) as client:
        await client.add_tool(WEATHER, look)
        handle = client.send_user_message_content("What is the weather in Paris?")
        await handle
        await until(client, ga.ResponseDoneEvent, 2)
        assert asked == [{"city": "Paris"}]
        role, answer = said(client)[-1]
        assert role == "assistant"
        assert "sunny" in answer
        types = [item.type for item in client.conversation]
        assert types == ["message", "function_call", "function_call_output", "message"]


async def two_calls(url: str) -> None:
    asked: list[str] = []

    async def look(arguments: dict[str, Any]) -> str:
        asked.append(arguments["city"])
        return "sunny"

    async with talk(url) as client:
        await client.add_tool(WEATHER, look)
        await client.send_user_message_content("How is it in both?")
        await until(client, ga.ResponseDoneEvent, 2)
        assert sorted(asked) == ["Paris", "Rome"]
        _, (_, remark), (_, answer) = said(client)
        assert remark == "Let me look."
        assert "sunny" in answer


async def in_turn(url: str) -> None:
    async with talk(url) as client:
        first = client.send_user_message_content("Hello")
        second = client.create_response()
        assert [(await handle).status for handle in (first, second)] == ["completed"] * 2
        assert first.id != second.id


async def failed_response(url: str) -> None:
    async with talk(url) as client:
        with pytest.raises(ResponseFailed) as caught:
            await client.send_user_message_content("Now break")
        assert caught.value.code
        assert (await client.send_user_message_content("Hello")).status == "completed"


async def cancel(url: str) -> None:
    async with talk(url) as client:
        handle = client.send_user_message_content("Tell me a long story")
        async for delta in handle:
            if delta.audio:
                handle.cancel()
        assert (await handle).status == "cancelled"
        assert client.conversation.items[-1].status == "incomplete"


async def audio_turn(url: str) -> None:
    formats = {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}
    async with talk(url, **formats) as client:
        pcm = say(client)
        await until(client, ga.ResponseDoneEvent)
        user, assistant = client.conversation
        assert (user.formatted.transcript, assistant.formatted.transcript) == (
            HEARD,
            f"You said: {HEARD}",
        )
        assert user.formatted.audio
        assert user.formatted.audio in pcm
        seconds = len(assistant.formatted.audio) / 48_000
        assert seconds == pytest.approx(0.6, abs=0.05)  # the voice hums 0.1 s for a word


async def barge_in(url: str) -> None:
    formats = {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}
    async with talk(url, **formats) as client:
        handle = client.send_user_message_content("Tell me a long story")
        async for delta in handle:
            if delta.audio:
                break
        say(client)
        response = await handle
        assert response.status == "cancelled"
        assert response.status_details
        assert response.status_details.reason == "turn_detected"
        (interrupted,) = await until(client, Interrupted)
        await until(client, ga.ResponseDoneEvent)
        assert interrupted.item_id in client.conversation
        assert said(client)[-2:] == [("user", HEARD), ("assistant", f"You said: {HEARD}")]


async def delete(url: str) -> None:
    async with talk(url) as client:
        await client.send_user_message_content("Hello")
        await client.delete_item(client.conversation.items[0].id)
        assert said(client) == [("assistant", "You said: Hello")]


async def out_of_band(url: str) -> None:
    question = ga.Message(role="user", content=[ga.InputText(text="aside")])
    async with talk(url) as client:
        handle = client.create_response(
            conversation="none",
            input=[question],
            metadata={"topic": "x"},
            output_modalities=["text"],
        )
        response = await handle
        assert response.metadata
        assert response.metadata["topic"] == "x"
        assert "aside" in handle.text
        assert len(client.conversation) == 0


async def transcription(url: str) -> None:
    async with talk(f"{url}?intent=transcription") as client:
        assert isinstance(client.session, ga.TranscriptionSession)
        say(client)
        await client.commit_input_audio()
        await until(client, ga.ConversationItemInputAudioTranscriptionCompletedEvent)
        assert said(client) == [("user", HEARD)]


async def unknown_events(url: str) -> None:
    snapshot = "speech_to_speech.input_audio_transcription.snapshot"
    async with talk(url) as client:
        session = await client.update_session(ga.RealtimeSession(extra={"extensions": [snapshot]}))
        assert isinstance(session, ga.RealtimeSession)
        assert session.extra
        assert session.extra["extensions"] == [snapshot]
        say(client)
        event, *_ = await until(client, UnknownEvent)
        assert (event.type, event.reason) == (snapshot, None)
        assert b"transcript" in event.raw


async def bad_event(url: str) -> None:
    async with talk(url) as client:
        with pytest.raises(ServerError) as caught:
            await client.retrieve_item("item_nobody_has")
        assert caught.value.event_id
        assert (await client.send_user_message_content("Hello")).status == "completed"


async def cut_off(url: str) -> None:
    client = RealtimeClient(url=url)
    async with asyncio.timeout(CHECK_SECONDS), client:
        handle = client.send_user_message_content("Tell me a long story")
        with pytest.raises(ConnectionLost):
            await handle
        assert handle.text
        assert STORY.startswith(handle.text)


async def beta_refused(url: str) -> None:
    with pytest.raises(DialectRefused):
        await RealtimeClient(url=url, dialect="beta").connect()
    with pytest.raises(DialectRefused):
        await _collect(RealtimeAPI(url=url, dialect="beta"))


async def _collect(api: RealtimeAPI) -> None:
    # The refusal may come along with the answer to the handshake: then `connect` raises it.
    async with asyncio.timeout(CHECK_SECONDS), api:
        async for event in api:
            assert isinstance(event, ga.RealtimeErrorEvent)


class ServerCheck(NamedTuple):
    """One thing that our client does with a server."""

    shows: str
    run: Callable[[str], Coroutine[Any, Any, None]]
    """Takes the server's URL; fails if it cannot be done."""


SERVER_CHECKS: Final = {
    "connect": ServerCheck("the session begins, and has an id", connect),
    "session update": ServerCheck(
        "what `connect` and `update_session` want comes back in `client.session`", session_update
    ),
    "text turn": ServerCheck(
        "the deltas are the words of the response and of the conversation's last item", text_turn
    ),
    "events alone": ServerCheck(
        "`RealtimeAPI` has a turn; every event has its own type", events_alone
    ),
    "tool call": ServerCheck(
        "the handler is called, its output goes back, the next response uses it", tool_call
    ),
    "two calls": ServerCheck(
        "words and two calls in one response; both are answered, then one response asked for",
        two_calls,
    ),
    "in turn": ServerCheck("a second request waits, and is answered after the first", in_turn),
    "failed response": ServerCheck(
        "`ResponseFailed` with a code; the session goes on", failed_response
    ),
    "cancel": ServerCheck("a spoken answer ends `cancelled`, its item `incomplete`", cancel),
    "audio turn": ServerCheck(
        "speech becomes an item with its transcript and the very sound that was sent; the answer"
        " is heard at the right speed",
        audio_turn,
    ),
    "barge-in": ServerCheck(
        "speech over an answer ends it, `turn_detected`, tells `Interrupted`, and is answered",
        barge_in,
    ),
    "delete": ServerCheck("a deleted item leaves the conversation", delete),
    "out of band": ServerCheck(
        "`conversation: none` with input and metadata leaves the conversation empty", out_of_band
    ),
    "transcription": ServerCheck(
        "a transcription session; a commit is answered, and the words come", transcription
    ),
    "unknown events": ServerCheck(
        "an event of the server's own is kept as it came, and a field of its own comes back",
        unknown_events,
    ),
    "bad event": ServerCheck(
        "the error fails the call that caused it; the session goes on", bad_event
    ),
    "cut off": ServerCheck("a response that the server drops fails with `ConnectionLost`", cut_off),
    "beta refused": ServerCheck(
        "a beta client is closed with 4000: `DialectRefused`, from both classes", beta_refused
    ),
}
