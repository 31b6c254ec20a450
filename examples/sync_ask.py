"""Ask one question with the blocking client, without `await`."""

from __future__ import annotations

import argparse
import sys

from duologue import DuologueError
from duologue.sync import RealtimeClient


def ask(url: str, question: str) -> None:
    """Print the answer as it arrives."""
    with RealtimeClient(url=url, output_modalities=["text"]) as client:
        answer = client.send_user_message_content(question)
        for delta in answer:
            print(delta.text or "", end="", flush=True)
        print()
        response = answer.result(timeout=10)  # raises if the response failed
        if response.status == "incomplete":
            print("The answer was cut short.", file=sys.stderr)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    options = parser.parse_args()
    try:
        ask(options.url, options.question)
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
