"""Hold a conversation, and classify each message with an out-of-band response."""

from __future__ import annotations

import argparse
import asyncio
import sys

from duologue import DuologueError, RealtimeClient
from duologue.protocol.ga import InputText, ItemReference, Message

TOPICS = ("billing", "delivery", "something else")


async def topic_of(client: RealtimeClient, item_id: str) -> str:
    """Return the topic of an item of the conversation."""
    answer = client.create_response(
        conversation="none",  # out of band: not part of the conversation
        input=[ItemReference(id=item_id)],  # the model sees only this item
        instructions=f"Name the topic of the message, nothing else: {', '.join(TOPICS)}.",
        output_modalities=["text"],
        metadata={"purpose": "topic"},  # to recognise the response in logs
    )
    await answer
    return answer.text.strip()


async def support(url: str) -> None:
    """Answer each line of standard input, and print its topic."""
    async with RealtimeClient(url=url, output_modalities=["text"]) as client:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            message = Message(role="user", content=[InputText(text=line)])
            item_id = await client.create_item(message)
            answer = client.create_response()
            topic, _ = await asyncio.gather(topic_of(client, item_id), answer)  # in parallel
            print(f"[{topic}] {answer.text}", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    try:
        asyncio.run(support(parser.parse_args().url))
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
