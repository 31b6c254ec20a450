"""Turns of the user, transcripts and interruptions, as public threads report them.

The threads are on GitHub, written as `owner/repository#number`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.replays.service import Service, Watch, both_dialects, call, message, speech

from duologue import Interrupted, PlaybackLedger
from duologue.protocol import ga
from duologue.session import tool_calls

if TYPE_CHECKING:
    from duologue import ConversationUpdated
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio

SAID = "Hello, my name is Ann."

TRANSCRIPTS: list[Any] = [
    pytest.param([("completed", SAID)] * 4, id="OpenWhispr/openwhispr#790"),
    pytest.param(
        [("delta", "Hello, "), ("delta", "my name is Ann."), ("completed", SAID)],
        id="mastra-ai/mastra#16759",
    ),
    pytest.param(
        [("delta", " Hello,"), ("delta", " my name is Ann."), ("completed", SAID)] * 1,
        id="Azure-Samples/aoai-realtime-audio-sdk#129",
    ),
    pytest.param(
        [("completed", "Hello, my name is"), ("completed", SAID), ("completed", SAID)],
        id="TheSmokeDev/hermes-talk#71",
    ),
    pytest.param(
        [("updated", "Hello?"), ("completed", "Hello?"), ("completed", SAID)],
        id="livekit/agents#5320",
    ),
    pytest.param([("completed", ""), ("completed", SAID)], id="empty-at-first"),
]


@both_dialects
@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("pieces", TRANSCRIPTS)
async def test_the_words_of_the_user_come_once(
    dialect: Dialect, pieces: list[tuple[str, str]], is_early: bool
) -> None:
    """The threads report the same words two to six times."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        if not is_early:
            server.hear("item_u")
        for kind, words in pieces:
            server.transcribe("item_u", words, kind)
        if is_early:
            server.hear("item_u")
        await server.processed(client)
        assert watch.conversation() == [("item_u", SAID)]
        assert watch.appended == watch.completed == ["item_u"]
        is_streamed = any(kind == "delta" for kind, _ in pieces)
        if is_early and not is_streamed:  # then the item comes with its words
            assert watch.words == {}
        else:
            letters = "".join(filter(str.isalpha, watch.words["item_u"]))
            assert letters == "HellomynameisAnn"
        assert watch.errors == []


@both_dialects
async def test_transcripts_of_two_turns_do_not_mix(dialect: Dialect) -> None:
    """openclaw/openclaw#113723, livekit/agents#6579, livekit/agents-js#2165: transcripts of two
    turns overlap, and come after the answers, the second one first.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.hear("item_1")
        server.answer("Yes?", "resp_1", "item_a")
        server.hear("item_2", "item_a")
        for item_id, words in [("item_1", "one "), ("item_2", "three "), ("item_1", "two")]:
            server.transcribe(item_id, words, "delta")
        server.answer("I see.", "resp_2", "item_b")
        server.transcribe("item_2", "three four")
        server.transcribe("item_1", "one two")
        await server.processed(client)
        assert watch.conversation() == [
            ("item_1", "one two"),
            ("item_a", "Yes?"),
            ("item_2", "three four"),
            ("item_b", "I see."),
        ]
        assert (watch.words["item_1"], watch.words["item_2"]) == ("one two", "three four")


@both_dialects
@pytest.mark.parametrize("code", [None, "DeploymentNotFound"])
async def test_a_transcription_that_fails_is_shown_and_harms_no_other(
    dialect: Dialect, code: str | None
) -> None:
    """openai/openai-realtime-console#46, 2FastLabs/agent-squad#641, hashintel/hash#9356."""
    kind = "conversation.item.input_audio_transcription.failed"
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        failed: list[Any] = []
        client.on(kind, failed.append)
        server.hear("item_1")
        fault = {"type": "server_error", "code": code, "message": "Failed.", "param": None}
        server.send(kind, item_id="item_1", content_index=0, error=fault)
        server.answer("Hello.")
        server.hear("item_2", "item_a")
        server.transcribe("item_2", "Again.")
        await server.processed(client)
        [event] = failed
        assert (event.item_id, event.error.message) == ("item_1", "Failed.")
        assert watch.conversation() == [("item_1", ""), ("item_a", "Hello."), ("item_2", "Again.")]


@both_dialects
async def test_speech_that_never_stops_holds_up_no_request(dialect: Dialect) -> None:
    """twilio-samples/speech-assistant-openai-realtime-api-python#6, livekit/agents#5118."""
    server = Service(dialect)
    server.replies("Hello.")
    async with server.client() as client:
        watch = Watch(client)
        server.send("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=512)
        await client.wait_for_next(Interrupted, timeout=5)
        response = client.create_response()
        await response
        assert response.transcript == "" != response.text == "Hello."
        server.send("input_audio_buffer.speech_started", item_id="item_v", audio_start_ms=900)
        server.send("input_audio_buffer.speech_stopped", item_id="item_w", audio_end_ms=950)
        server.send("input_audio_buffer.committed", item_id="item_v", previous_item_id="item_a")
        server.add(speech("item_v"), "item_a")
        await server.processed(client)
        assert watch.appended == ["item_a", "item_v"]
        assert watch.errors == []


@both_dialects
async def test_the_answer_of_a_tool_is_used_though_the_user_was_muted(
    dialect: Dialect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pipecat-ai/pipecat#4124, #5455: muted in the middle of speech, the turn never ends."""
    for name in ("SPEECH_TIMEOUT", "UNHEARD_SPEECH_TIMEOUT", "PATIENCE"):
        monkeypatch.setattr(tool_calls, name, 0.01)
    server = Service(dialect)
    async with server.client() as client:

        @client.tool
        def look() -> str:
            """Look out of the window."""
            return "sunny"

        client.create_response()
        await server.got("response.create")
        server.begin()
        item = call("item_c", "call_1", "look")
        server.send("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
        server.finish(output=[item])
        output = await server.got("conversation.item.create")
        assert output["item"]["output"] == "sunny"
        assert await server.got("response.create", 2)


@both_dialects
@pytest.mark.parametrize("fields", [{}, {"audio_start_ms": None}, {"audio_start_ms": 227.0}])
async def test_times_of_speech_may_be_missing(dialect: Dialect, fields: dict[str, Any]) -> None:
    """BerriAI/litellm#42479 (Sarvam): `speech_started` has an item and nothing else."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        interrupted: list[Interrupted] = []
        client.on(Interrupted, interrupted.append)
        client.append_input_audio(bytes(48_000))
        server.send("input_audio_buffer.speech_started", item_id="item_u", **fields)
        server.send("input_audio_buffer.speech_stopped", item_id="item_u")
        server.send("input_audio_buffer.committed", item_id="item_u")
        server.add(speech("item_u"))
        server.transcribe("item_u", "Hello.")
        await server.processed(client)
        assert [update.item_id for update in interrupted] == ["item_u"]
        assert watch.conversation() == [("item_u", "Hello.")]
        assert watch.errors == []


@both_dialects
async def test_an_interruption_ends_the_answer_and_not_the_conversation(dialect: Dialect) -> None:
    """livekit/agents#3418: turn detection cancels the response in
    mid-sentence; twice, as the user goes on.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        for number in (1, 2):
            ids = (f"resp_{number}", f"item_{number}")
            server.begin(ids[0])
            server.speak("My name is", *ids, ends=False)
            user = f"item_u{number}"
            server.send("input_audio_buffer.speech_started", item_id=user, audio_start_ms=number)
            cut = message(ids[1], "My name is", status="incomplete")
            server.send("response.output_item.done", response_id=ids[0], output_index=0, item=cut)
            reason = {"type": "cancelled", "reason": "turn_detected"}
            server.finish(ids[0], "cancelled", status_details=reason, output=[cut])
            server.send("input_audio_buffer.speech_stopped", item_id=user, audio_end_ms=500)
            server.send("input_audio_buffer.committed", item_id=user, previous_item_id=ids[1])
            server.add(speech(user), ids[1])
        server.answer("Hello, John Doe.", "resp_3", "item_3")
        await server.processed(client)
        assert (await response).status == "cancelled"
        statuses = [(item.id, item.status) for item in client.conversation]
        assert statuses == [
            ("item_1", "incomplete"),
            ("item_u1", "completed"),
            ("item_2", "incomplete"),
            ("item_u2", "completed"),
            ("item_3", "completed"),
        ]
        assert watch.errors == []


@both_dialects
async def test_late_audio_of_an_interrupted_answer_is_not_played(dialect: Dialect) -> None:
    """microsoft/vscode#326611, openai/openai-agents-js#1173, sgl-project/sglang-omni#1344: deltas
    that were under way restart the playback.
    """
    server = Service(dialect)
    async with server.client() as client:
        ledger = PlaybackLedger(client.conversation.output_format)
        played: list[str] = []

        def play(update: ConversationUpdated) -> None:
            if ledger.receive(update):
                played.append(update.item.id)

        client.on("conversation.updated", play)
        server.begin()
        server.speak("One two", audio=bytes(480), ends=False)
        await server.processed(client)
        ledger.take(120)
        cuts = ledger.interrupt()
        client.truncate_items(cuts)
        server.sound(bytes(960))
        reason = {"type": "cancelled", "reason": "turn_detected"}
        server.finish(status="cancelled", status_details=reason)
        server.sound(bytes(960))
        event = await server.got("conversation.item.truncate")
        assert event["audio_end_ms"] == 5
        server.sound(bytes(960))
        server.begin("resp_2")
        server.speak("Three", "resp_2", "item_b", audio=bytes(480))
        await server.processed(client)
        assert played == ["item_a", "item_b"]
        assert ledger.waiting == 240


@both_dialects
async def test_audio_after_the_end_of_a_response_is_kept(dialect: Dialect) -> None:
    """microsoft/vscode#326611: audio comes after the end of its response; only the player of an
    interrupted answer must not play it.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.begin()
        server.speak("Hello.", audio=bytes(480))
        server.finish()
        server.sound(bytes(480))
        server.send("response.output_audio.done", response_id="resp_1", item_id="item_a")
        await server.processed(client)
        [item] = client.conversation
        assert (item.status, item.formatted.audio_bytes) == ("completed", 960)
        assert watch.completed == ["item_a"]
        assert watch.errors == []


async def test_an_idle_user_is_asked() -> None:
    """openai/openai-agents-python#1505: `input_audio_buffer.timeout_triggered`."""
    server = Service()
    async with server.client() as client:
        watch = Watch(client)
        idle: list[ga.InputAudioBufferTimeoutTriggered] = []
        client.on(ga.InputAudioBufferTimeoutTriggered, idle.append)
        times = {"audio_start_ms": 13_216, "audio_end_ms": 19_232}
        server.send("input_audio_buffer.timeout_triggered", item_id="item_u", **times)
        server.send("input_audio_buffer.committed", item_id="item_u", previous_item_id=None)
        server.add(speech("item_u"))
        server.answer("Are you still there?")
        await server.processed(client)
        assert [event.audio_end_ms for event in idle] == [19_232]
        assert watch.conversation() == [("item_u", ""), ("item_a", "Are you still there?")]
        assert watch.errors == []


@both_dialects
async def test_a_loop_that_waits_for_items_misses_none(dialect: Dialect) -> None:
    """The loop of openai/openai-realtime-api-beta's README, `waitForNextCompletedItem`, with items
    that come in one segment (pipecat-ai/pipecat#2179: the answer is there, the program waits).
    """
    server = Service(dialect)
    async with server.client() as client:

        async def answer() -> str:
            while True:
                item = await client.wait_for_next_completed_item(timeout=5)
                if item.role == "assistant":
                    return item.formatted.transcript

        waiting = asyncio.ensure_future(answer())
        await asyncio.sleep(0)
        for number in range(3):
            server.add(message(f"item_{number}", "Hello", role="user"))
        server.answer("It is sunny.")
        assert await waiting == "It is sunny."
