"""semantic_vad with the models that it is meant for, as if they answered at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.server.session.conftest import Harness

from duologue.protocol import ga
from duologue.server.session.engine_work import Transcribe

if TYPE_CHECKING:
    from tests.server.engine.local.conftest import Speech

    from duologue.server.engine.stages import Engine

pytestmark = [pytest.mark.models, pytest.mark.timeout(120), pytest.mark.asyncio]

CHUNK = 960
STOPPED = "input_audio_buffer.speech_stopped"


async def turns(engine: Engine, pcm: bytes) -> list[tuple[int, str]]:
    """Return where each turn ended, in milliseconds, and its words."""
    stages = engine.session()
    assert stages.turn_detector is not None
    harness = Harness(score=stages.vad.score, judge_words=stages.turn_detector.score)
    harness.configure(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    told = 0
    for start in range(0, len(pcm), CHUNK):
        part = pcm[start : start + CHUNK]
        harness.session.receive(ga.InputAudioBufferAppendEvent.of(part), harness.now)
        harness.take()
        for command in harness.commands[told:]:
            if isinstance(command, Transcribe):
                words = stages.transcriber.transcribe(command.pcm, language=None, prompt=None)
                text = "".join([word async for word in words]).strip()
                harness.engine.transcript(command.item_id, text)
                harness.take()
        told = len(harness.commands)
    ends = [e.audio_end_ms for e in harness.events if e.type == STOPPED]  # type: ignore[union-attr]  # its field
    items = harness.session.conversation.items()
    said = [str(item.content[0].transcript) for item in items]  # type: ignore[union-attr]  # user audio
    return list(zip(ends, said, strict=True))


async def test_a_pause_in_a_sentence_is_waited_out(engine: Engine, speech: Speech) -> None:
    pcm = speech.pcm("pause_midturn") + bytes(48 * 3000)
    [(_, words)] = await turns(engine, pcm)
    assert words == speech.transcripts["pause_midturn"]


@pytest.mark.parametrize("name", ["hello", "weather_paris", "lights_kitchen", "noisy_reminder"])
async def test_a_sentence_ends_soon_after_its_last_word(
    engine: Engine, speech: Speech, name: str
) -> None:
    pcm = speech.pcm(name)
    [(end_ms, words)] = await turns(engine, pcm + bytes(48 * 3000))
    assert words == speech.transcripts[name]
    assert end_ms - len(pcm) // 48 < 1100
