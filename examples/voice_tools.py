"""Talk with an assistant that uses a tool, and that you can interrupt.

Reads the audio of the microphone from standard input, and writes the audio for the loudspeaker to
standard output, both as mono PCM16 at 24 kHz. Transcripts go to standard error. Wear headphones, or
the assistant hears itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from duologue import (
    ConversationUpdated,
    DuologueError,
    ErrorUpdate,
    Interrupted,
    ItemCompleted,
    PlaybackLedger,
    RealtimeClient,
)
from duologue.protocol.ga import ServerVad

CHUNK_SAMPLES = 480  # 20 ms
MICROPHONE_BYTES = 4800  # 100 ms


async def play(ledger: PlaybackLedger) -> None:
    """Play audio, or silence when there is none, until cancelled."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        sys.stdout.buffer.write(ledger.take(CHUNK_SAMPLES))
        sys.stdout.buffer.flush()
        due += CHUNK_SAMPLES / 24_000
        await asyncio.sleep(due - loop.time())


def assistant(url: str, ledger: PlaybackLedger) -> RealtimeClient:
    """Return a client with its tools and callbacks."""
    client = RealtimeClient(
        url=url,
        instructions="You are a friendly assistant. Answer in one short sentence.",
        turn_detection=ServerVad(),  # the server detects when the user speaks
    )

    @client.tool
    def get_weather(city: str) -> dict[str, object]:
        """Look up the weather.

        Args:
            city: Its name in English.
        """
        return {"city": city, "sky": "sunny", "celsius": 21}  # ask a real service here

    client.on(ConversationUpdated, ledger.receive)

    @client.on(Interrupted)
    def stop(_: Interrupted) -> None:
        # The server has cancelled its response, but only the player knows what the user heard.
        client.truncate_items(ledger.interrupt())

    @client.on(ItemCompleted)
    def show(update: ItemCompleted) -> None:
        content = update.item.formatted
        if content.tool:
            print(f"Tool: {content.tool.name} {content.tool.arguments}", file=sys.stderr)
        elif update.item.role == "assistant":
            print(f"Assistant: {content.transcript}", file=sys.stderr)

    @client.on(ErrorUpdate)
    def report(update: ErrorUpdate) -> None:
        print(f"Error: {update.error}", file=sys.stderr)

    return client


async def talk(url: str) -> None:
    """Hold a conversation until standard input ends."""
    ledger = PlaybackLedger()
    async with assistant(url, ledger) as client, asyncio.TaskGroup() as tasks:
        player = tasks.create_task(play(ledger))
        while audio := await asyncio.to_thread(sys.stdin.buffer.read, MICROPHONE_BYTES):
            client.append_input_audio(audio)
        player.cancel()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    try:
        asyncio.run(talk(parser.parse_args().url))
    except* KeyboardInterrupt:
        pass  # Ctrl-C ends the conversation
    except* (DuologueError, TimeoutError, BrokenPipeError) as errors:
        sys.exit("; ".join(map(str, errors.exceptions)))


if __name__ == "__main__":
    main()
