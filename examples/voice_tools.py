"""Talk with an assistant that looks things up, and that can be interrupted.

It takes what the microphone hears from standard input, and plays on standard output, both as mono
PCM16 at 24 kHz; words go to standard error. Wear headphones, or it hears itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import deque

from duologue import (
    ConversationUpdated,
    DuologueError,
    ErrorUpdate,
    Interrupted,
    ItemCompleted,
    RealtimeClient,
)
from duologue.protocol.ga import ServerVad

CHUNK_MS = 20
CHUNK_BYTES = CHUNK_MS * 48


class Speaker:
    """Plays in real time, though speech comes faster: so it knows what was heard."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._item_id = ""
        self._heard_ms = 0

    def add(self, item_id: str, speech: bytes) -> None:
        """Play it when all before has been played."""
        for start in range(0, len(speech), CHUNK_BYTES):
            self._waiting.append((item_id, speech[start : start + CHUNK_BYTES]))

    def stop(self) -> tuple[str, int] | None:
        """Fall silent; return what was cut, and after how many milliseconds."""
        if not self._waiting:
            return None
        item_id, _ = self._waiting[0]
        self._waiting.clear()
        return item_id, self._heard_ms if item_id == self._item_id else 0

    async def play(self) -> None:
        """Play without end; silence keeps the loudspeaker from running dry."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            chunk = bytes(CHUNK_BYTES)
            if self._waiting:
                item_id, chunk = self._waiting.popleft()
                if item_id != self._item_id:
                    self._item_id, self._heard_ms = item_id, 0
                self._heard_ms += len(chunk) // 48
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            due += CHUNK_MS / 1000
            await asyncio.sleep(due - loop.time())


def assistant(url: str, speaker: Speaker) -> RealtimeClient:
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

    @client.on(ConversationUpdated)
    def play(update: ConversationUpdated) -> None:
        if update.delta and update.delta.audio and update.item.role == "assistant":
            speaker.add(update.item.id, update.delta.audio)

    @client.on(Interrupted)
    def stop(_: Interrupted) -> None:
        # The server has stopped its response, but what was heard of it only we can know.
        if cut := speaker.stop():
            client.truncate_item(*cut)

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
    speaker = Speaker()
    async with assistant(url, speaker) as client, asyncio.TaskGroup() as tasks:
        player = tasks.create_task(speaker.play())
        while heard := await asyncio.to_thread(sys.stdin.buffer.read, 5 * CHUNK_BYTES):
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
