"""Transcripts of a conversation with the embedded server, in both dialects and both faces."""

from __future__ import annotations

from typing import Any

import pytest

import duologue.sync
from duologue import ConversationUpdated, Interrupted, PlaybackLedger, RealtimeClient, Transcript
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.engine.scripted import ScriptedTranscriber
from duologue.sync import serving

TONE = b"\x00\x30" * 12_000
"""Half a second that turn detection takes for speech."""
STORY = "Once upon a time there was a king. " * 10
WHISPER = ga.AudioTranscription(model="whisper-1")


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_an_interrupted_answer_shows_what_was_heard(dialect: Any) -> None:
    ledger = PlaybackLedger()
    async with (
        LocalServer(lambda _: STORY, stt=ScriptedTranscriber(["Tell me more.", "Stop."])) as server,
        RealtimeClient(
            url=server.url,
            dialect=dialect,
            turn_detection=ga.ServerVad(),
            input_audio_transcription=WHISPER,
        ) as client,
    ):
        client.on(ConversationUpdated, ledger.receive)
        client.on(Interrupted, lambda _: client.truncate_items(ledger.interrupt()))
        client.append_input_audio(bytes(24_000) + TONE + bytes(48_000))
        await client.wait_for_next("response.done", timeout=5)
        ledger.take(24_000)
        client.append_input_audio(TONE + bytes(48_000))
        await client.wait_for_next("conversation.item.truncated", timeout=5)
        while len(client.conversation.transcript()) < 3:
            await client.wait_for_next(ConversationUpdated, timeout=5)
        transcript = client.conversation.transcript()
    question, answer, interruption, *_ = transcript
    assert (question.text, question.is_measured) == ("Tell me more.", True)
    assert question.start_ms <= 500 <= question.end_ms < interruption.start_ms
    assert answer.end_ms - answer.start_ms == 1000
    assert answer.heard
    assert answer.heard + " " + answer.unheard == STORY.strip()
    assert len(answer.heard) / len(STORY) == pytest.approx(
        1000 / (answer.full_end_ms - answer.start_ms), abs=0.03
    )
    assert question.end_ms <= answer.start_ms <= interruption.start_ms


def test_the_blocking_client_has_the_same_transcript() -> None:
    with (
        serving(LocalServer()) as server,
        duologue.sync.RealtimeClient(url=server.url) as client,
    ):
        client.send_user_message_content("Hello").result(timeout=5)
        transcript = client.conversation.transcript()
    assert isinstance(transcript, Transcript)
    assert transcript.to_text() == "User: Hello\nAssistant: You said: Hello\n"
    assert [each.is_spoken for each in transcript] == [False, True]
