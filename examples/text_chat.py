"""Chat in text, line by line; an empty line ends the program."""

from __future__ import annotations

import argparse
import asyncio
import sys

from duologue import DuologueError, RealtimeClient, ResponseFailed, ServerError


async def chat(url: str) -> None:
    """Answer each line of standard input."""
    async with RealtimeClient(url=url, output_modalities=["text"]) as client:
        # A thread reads the input, because reading blocks and the session must go on.
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            answer = client.send_user_message_content(line)
            async for delta in answer:
                print(delta.text or "", end="", flush=True)
            print()
            try:
                await answer  # raises if the response failed
            except (ResponseFailed, ServerError) as error:
                print(f"No answer: {error}", file=sys.stderr)  # the session goes on


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    try:
        asyncio.run(chat(parser.parse_args().url))
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
