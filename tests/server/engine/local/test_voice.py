"""What the voice says, a client sends, and the server understands: the whole way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.server.engine.local.test_transcriber import errors, words

from duologue import RealtimeClient
from duologue.protocol import ga
from duologue.server import LocalServer

if TYPE_CHECKING:
    from tests.server.engine.local.conftest import Speech

    from duologue.server.engine.stages import Engine

pytestmark = [pytest.mark.models, pytest.mark.timeout(120), pytest.mark.asyncio]

SENTENCES = [
    "Please remind me to call my sister tomorrow morning.",
    "How long does it take to boil an egg?",
    "Could you play some quiet music in the living room?",
    "The train to Berlin leaves from platform nine.",
    "I would like a large coffee without sugar.",
    "What is the capital city of Australia?",
    "Set a timer for twenty minutes, please.",
    "My order has not arrived yet, can you check it?",
    "Is it going to rain this afternoon?",
    "Send a message to Anna that I am running late.",
    "Who wrote the book about the white whale?",
    "Thank you very much, that is all for today.",
]
SPOKEN = {"hello", "weather_paris", "lights_kitchen", "human_amiable", "human_young_man"}
SILENCE = bytes(48 * 900)


async def test_spoken_sentences_are_understood_over_the_wire(
    engine: Engine, speech: Speech
) -> None:
    said = {text: await spoken(engine, text) for text in SENTENCES}
    said |= {speech.transcripts[name]: speech.pcm(name) for name in SPOKEN}
    turns = ga.ServerVad(silence_duration_ms=700, create_response=False)
    heard: dict[str, str] = {}
    server = LocalServer(stt="local:", vad="local:")
    async with server, RealtimeClient(url=server.url, turn_detection=turns) as client:
        await client.update_session(input_audio_transcription=ga.AudioTranscription(language="en"))
        for text, pcm in said.items():
            client.append_input_audio(SILENCE + pcm + SILENCE)
            done = await client.wait_for_next(
                ga.ConversationItemInputAudioTranscriptionCompletedEvent, timeout=60
            )
            heard[text] = done.transcript
    wrong = {text: errors(words(heard[text]), words(text)) for text in said}
    assert sum(wrong.values()) / sum(len(words(text)) for text in said) <= 0.05, heard


async def spoken(engine: Engine, text: str) -> bytes:
    stage = engine.synthesizer()
    return b"".join([pcm async for pcm in stage.speak(text, voice="alloy", speed=1)])
