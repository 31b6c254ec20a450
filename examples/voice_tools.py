"""Talk with an assistant that looks things up, and that can be interrupted.

It takes what the microphone hears from standard input, and plays on standard output, both as mono
PCM16 at 24 kHz; words go to standard error. Wear headphones, or it hears itself.
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
    """Play without end; silence keeps the loudspeaker from running dry."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        sys.stdout.buffer.write(ledger.take(CHUNK_SAMPLES))
        sys.stdout.buffer.flush()
        due += CHUNK_SAMPLES / 24_000
        await asyncio.sleep(due - loop.time())


def assistant(url: str, ledger: PlaybackLedger) -> RealtimeClient:
    """Return a client that knows its tools, and what to do with what comes."""
    client = RealtimeClient(
        url=url,
        instructions="You are a friendly assistant. Answer in one short sentence.",
        turn_detection=ServerVad(),  # the server hears when the user begins and ends
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
        # The server has stopped its response, but what was heard of it only we can know.
        client.truncate_items(ledger.interrupt())

    @client.on(ItemCompleted)
    def show(update: ItemCompleted) -> None:
        said = update.item.formatted
        if said.tool:
            print(f"Tool: {said.tool.name} {said.tool.arguments}", file=sys.stderr)
        elif update.item.role == "assistant":
            print(f"Assistant: {said.transcript}", file=sys.stderr)

    @client.on(ErrorUpdate)
    def report(update: ErrorUpdate) -> None:
        print(f"Error: {update.error}", file=sys.stderr)

    return client


async def talk(url: str) -> None:
    """Hold a conversation until the microphone is switched off."""
    ledger = PlaybackLedger()
    async with assistant(url, ledger) as client, asyncio.TaskGroup() as tasks:
        player = tasks.create_task(play(ledger))
        while heard := await asyncio.to_thread(sys.stdin.buffer.read, MICROPHONE_BYTES):
            client.append_input_audio(heard)
        player.cancel()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    try:
        asyncio.run(talk(parser.parse_args().url))
    except* KeyboardInterrupt:
        pass  # that is how one hangs up
    except* (DuologueError, TimeoutError, BrokenPipeError) as errors:
        sys.exit("; ".join(map(str, errors.exceptions)))


if __name__ == "__main__":
    main()
