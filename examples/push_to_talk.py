"""Send a recording as what the user says, show the answer's words, and write its speech."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from duologue import DuologueError, RealtimeClient
from duologue.audio.wav import read_wav, write_wav

HALF_A_SECOND = 24_000
"""Bytes of PCM16 at 24 kHz: what one event holds."""


async def ask(url: str, question: Path, answer: Path) -> None:
    """Say one recording, and write the answer as another."""
    speech = read_wav(question)
    # Without turn detection the user's turn ends where the application says so.
    async with RealtimeClient(url=url, turn_detection=None) as client:
        for start in range(0, len(speech), HALF_A_SECOND):
            client.append_input_audio(speech[start : start + HALF_A_SECOND])
            await client.drain()  # a long recording goes out no faster than the server takes it
        response = client.create_response()  # commits the audio first
        async for delta in response:
            print(delta.transcript or "", end="", flush=True)
        print()
        await response  # raises if it failed
        write_wav(answer, response.audio)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question", type=Path, help="a WAV file")
    parser.add_argument("answer", type=Path, help="the WAV file to write")
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    told = parser.parse_args()
    try:
        asyncio.run(ask(told.url, told.question, told.answer))
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
