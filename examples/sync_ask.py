"""Ask one question from a script: no `await`, nothing to set up."""

from __future__ import annotations

import argparse
import sys

from duologue import DuologueError
from duologue.sync import RealtimeClient


def ask(url: str, question: str) -> None:
    """Print the answer as it comes."""
    with RealtimeClient(url=url, output_modalities=["text"]) as client:
        answer = client.send_user_message_content(question)
        for delta in answer:
            print(delta.text or "", end="", flush=True)
        print()
        response = answer.result(timeout=10)  # it has ended: this tells how
        if response.status == "incomplete":
            print("The answer was cut short.", file=sys.stderr)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("question")
    parser.add_argument("--url", default="wss://api.openai.com/v1/realtime")
    told = parser.parse_args()
    try:
        ask(told.url, told.question)
    except (DuologueError, TimeoutError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
