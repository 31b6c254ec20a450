"""Transcribe a recording, word by word, in a transcription session."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from duologue import DuologueError, Endpoint, RealtimeAPI
from duologue.audio import read_wav
from duologue.protocol.ga import (
    AudioConfig,
    AudioInput,
    AudioTranscription,
    ConversationItemInputAudioTranscriptionCompletedEvent,
    ConversationItemInputAudioTranscriptionDeltaEvent,
    ConversationItemInputAudioTranscriptionFailedEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferCommitEvent,
    RealtimeErrorEvent,
    SessionUpdateEvent,
    TranscriptionSession,
)

HALF_A_SECOND = 24_000
"""Size of the audio in one event, in bytes of PCM16 at 24 kHz."""

SESSION = TranscriptionSession(
    audio=AudioConfig(
        input=AudioInput(
            transcription=AudioTranscription(model="gpt-4o-transcribe", language="en"),
            turn_detection=None,  # the whole recording is one turn
        )
    )
)


async def transcribe(url: str, recording: Path) -> None:
    """Print the transcript of a recording."""
    speech = read_wav(recording)
    # RealtimeAPI is enough, because there is no conversation to mirror.
    async with RealtimeAPI(endpoint=Endpoint(url, kind="transcription")) as api:
        api.send(SessionUpdateEvent(session=SESSION))
        for start in range(0, len(speech), HALF_A_SECOND):
            api.send(InputAudioBufferAppendEvent.of(speech[start : start + HALF_A_SECOND]))
            await api.drain()
        api.send(InputAudioBufferCommitEvent())
        async for event in api:
            match event:
                case ConversationItemInputAudioTranscriptionDeltaEvent():
                    print(event.delta or "", end="", flush=True)
                case ConversationItemInputAudioTranscriptionCompletedEvent():
                    print()
                    return
                case ConversationItemInputAudioTranscriptionFailedEvent() | RealtimeErrorEvent():
                    sys.exit(f"{event.error.message}")
                case _:
                    pass  # all other events


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, help="a WAV file")
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    options = parser.parse_args()
    try:
        asyncio.run(transcribe(options.url, options.recording))
    except DuologueError as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
