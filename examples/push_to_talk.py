"""Send a recording as the user's turn, print the answer's transcript, and save its audio."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from duologue import DuologueError, RealtimeClient
from duologue.audio import read_wav, write_wav

HALF_A_SECOND = 24_000
"""Size of the audio in one event, in bytes of PCM16 at 24 kHz."""


async def ask(url: str, question: Path, answer: Path) -> None:
    """Send one recording, and save the answer as another."""
    speech = read_wav(question)
    # Without turn detection, the application decides when the user's turn ends.
    async with RealtimeClient(url=url, turn_detection=None) as client:
        for start in range(0, len(speech), HALF_A_SECOND):
            client.append_input_audio(speech[start : start + HALF_A_SECOND])
            await client.drain()  # send a long recording no faster than the server reads
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
    options = parser.parse_args()
    try:
        asyncio.run(ask(options.url, options.question, options.answer))
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
