"""Sessions that are replaced while the user speaks and the assistant answers: nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
import struct
from typing import TYPE_CHECKING

import pytest

from duologue import RealtimeClient, Reconnected, ReconnectPolicy
from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from duologue.client.endpoint import DialectChoice
    from duologue.server.engine.stages import BrainRequest

FRAME_MS = 20
SPEECH_FRAMES, PAUSE_FRAMES = 20, 40
DETECTION = {"type": "server_vad", "silence_duration_ms": 500, "prefix_padding_ms": 0}
ROLLOVERS = 20


class Loudness:
    """Voice activity detector: all that is not silence is speech."""

    def score(self, frame: bytes) -> float:
        return 1.0 if any(frame) else 0.0


def numbers_in(pcm: bytes) -> list[int]:
    """Return the numbers of the frames of speech in a recording, each as often as it is there."""
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
    return [number for number, _ in itertools.groupby(samples) if number]


class Ears:
    """Transcriber that writes down the numbers of the frames."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        del language, prompt
        yield " ".join(map(str, numbers_in(pcm)))


async def reply(request: BrainRequest) -> AsyncIterator[str]:
    """Answer each turn with its number in the conversation."""
    yield f"Reply {sum(getattr(item, 'role', '') == 'user' for item in request.items)}."


def speech() -> Iterator[bytes]:
    """Yield frames of audio for ever: turns, in which each frame has a number, and pauses."""
    numbers = itertools.count(1)
    while True:
        for _ in range(SPEECH_FRAMES):
            yield struct.pack("<h", next(numbers)) * (24 * FRAME_MS)
        for _ in range(PAUSE_FRAMES):
            yield bytes(48 * FRAME_MS)


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_no_sample_is_lost_or_doubled_by_twenty_rollovers(dialect: DialectChoice) -> None:
    policy = ReconnectPolicy(session_seconds=60.02, rollover_seconds=60)  # 20 ms after its start
    server = LocalServer(reply, stt=Ears(), vad=Loudness)
    client_options = {
        "turn_detection": DETECTION,
        "modalities" if dialect == "beta" else "output_modalities": ["text"],
        "input_audio_transcription": {"model": "whisper-1"},
    }
    async with server:
        client = RealtimeClient(
            url=server.url, dialect=dialect, reconnect=policy, session=None, **client_options
        )
        rollovers: list[Reconnected] = []
        client.on(Reconnected, rollovers.append)
        async with client:
            sent: list[int] = []
            for frame in speech():
                client.append_input_audio(frame)
                sent += numbers_in(frame)
                await asyncio.sleep(0)
                if len(rollovers) >= ROLLOVERS and len(sent) % SPEECH_FRAMES == 0:
                    break
            client.append_input_audio(bytes(48_000))
            async with asyncio.timeout(15):
                while True:
                    texts = [item.formatted.transcript for item in client.conversation]
                    heard = [int(number) for text in texts for number in text.split()]
                    if heard and heard[-1] == sent[-1]:
                        break
                    await client.wait_for_next("conversation.updated", timeout=5)
            clips = [numbers_in(i.formatted.audio) for i in client.conversation if i.role == "user"]
    assert heard == sent
    assert [number for clip in clips for number in clip] == sent
    assert all(each.error is None and each.lost_audio_ms == 0 for each in rollovers)
