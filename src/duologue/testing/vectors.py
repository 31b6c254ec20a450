"""Behaviour vectors for the real client: `python -m duologue.testing.vectors FILE.jsonl`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from duologue.testing._expectations import differences, in_ga
from duologue.testing._player import Player

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.codec import Dialect

__all__ = ["BadVectors", "check", "load", "main"]

HELP = """\
A vector is one line of JSON: a sequence of Realtime events, and what a client makes of them.

  {"name": "hello", "events": [...], "expect": {"items": [...], "responses": [...], "sent": [...]}}

Events are server events, client events that the application sends, or calls of the client:
{"type": "@call", "name": "create_response", "args": {}}. Expectations are the conversation, the
responses and the frames that the client sends; "emitted" and "log" too, where they are given. They
are written in the beta dialect. With --dialect ga they are renamed to today's: there an update of
the session says what has changed, and the order of the log is not compared.

Exit status: 0 if every vector holds, 1 if one does not, 2 if the file cannot be read.
"""


class _Event(msgspec.Struct):
    type: str


class _Expected(msgspec.Struct):
    items: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    sent: list[dict[str, Any]]


class _Vector(msgspec.Struct):
    """What every vector has."""

    name: str
    events: list[_Event]
    expect: _Expected


class BadVectors(ValueError):
    """A file does not hold vectors; the message names the line."""


def load(path: Path) -> list[dict[str, Any]]:
    """Return the vectors of a file.

    Raises:
        BadVectors: If it cannot be read, or a line is no vector.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadVectors(f"{path}: {error}") from None
    vectors = [_vector(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not vectors:
        raise BadVectors(f"{path}: there is no vector in it")
    return vectors


def check(vector: dict[str, Any], dialect: Dialect = "beta") -> list[str]:
    """Play a vector through a client of its own; return what was otherwise than expected.

    Args:
        vector: As `load` returns it, in beta.
        dialect: What to play it in.
    """
    spoken = in_ga(vector) if dialect == "ga" else vector
    return asyncio.run(_check(spoken, dialect))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m duologue.testing.vectors",
        description="Run behaviour vectors through duologue's client, in memory.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the vectors, one line of JSON each")
    parser.add_argument(
        "--dialect", choices=("beta", "ga"), default="beta", help="what to speak (beta)"
    )
    options = parser.parse_args(arguments)
    try:
        vectors = load(options.file)
    except BadVectors as error:
        sys.stderr.write(f"{error}\n")
        return 2
    failed = 0
    for vector in vectors:
        found = check(vector, options.dialect)
        failed += bool(found)
        sys.stdout.write(f"{'FAIL' if found else 'ok'}  {vector['name']}\n")
        sys.stdout.writelines(f"      {line}\n" for line in found)
    sys.stdout.write(f"{len(vectors) - failed} of {len(vectors)} hold ({options.dialect})\n")
    return 1 if failed else 0


async def _check(vector: dict[str, Any], dialect: Dialect) -> list[str]:
    player = Player(vector, dialect)
    try:
        await player.play()
    except Exception as error:  # noqa: BLE001  # whatever it is, this vector does not hold
        return [f"the client raised {type(error).__name__}: {error}"]
    return differences(player, vector)


def _vector(line: str, where: str) -> dict[str, Any]:
    try:
        body: object = json.loads(line)  # takes half a character, which vectors are about
        msgspec.convert(body, _Vector)
    except ValueError as error:  # msgspec's errors, too
        raise BadVectors(f"{where}: this is no vector: {error}") from None
    vector: dict[str, Any] = json.loads(line)
    return vector


if __name__ == "__main__":
    sys.exit(main())
