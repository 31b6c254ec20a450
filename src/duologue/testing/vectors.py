"""Command that runs behaviour vectors: `python -m duologue.testing.vectors FILE.jsonl`."""

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
A vector is one line of JSON: a sequence of Realtime events, and the state of a client after them.

  {"name": "hello", "events": [...], "expect": {"items": [...], "responses": [...], "sent": [...]}}

Events are server events, client events that the application sends, or calls of the client:
{"type": "@call", "name": "create_response", "args": {}}. Expectations are the conversation, the
responses, the frames that the client sends and, where given, "emitted" and "log". Vectors are
written in the beta dialect; --dialect ga translates them to today's events. In GA a session.update
contains only what has changed, and the order of the log is not compared.

Exit status: 0 if every vector passes, 1 if one fails, 2 if the file cannot be read.
"""


class _Event(msgspec.Struct):
    type: str


class _Expected(msgspec.Struct):
    items: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    sent: list[dict[str, Any]]


class _Vector(msgspec.Struct):
    """Fields that every vector has."""

    name: str
    events: list[_Event]
    expect: _Expected


class BadVectors(ValueError):
    """The file contains no vectors, or a line is not a vector; the message names the line."""


def load(path: Path) -> list[dict[str, Any]]:
    """Return the vectors of a file.

    Raises:
        BadVectors: If the file cannot be read, or a line is not a vector.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadVectors(f"{path}: {error}") from None
    vectors = [_vector(line, f"{path}:{n}") for n, line in enumerate(lines, 1) if line.strip()]
    if not vectors:
        raise BadVectors(f"{path}: the file contains no vector")
    return vectors


def check(vector: dict[str, Any], dialect: Dialect = "beta") -> list[str]:
    """Play a vector through a new client; return the differences from its expectations.

    Args:
        vector: A vector of `load`, in the beta dialect.
        dialect: Dialect in which to play it.
    """
    translated = in_ga(vector) if dialect == "ga" else vector
    return asyncio.run(_check(translated, dialect))


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
        "--dialect", choices=("beta", "ga"), default="beta", help="dialect of the session (beta)"
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
    except Exception as error:  # noqa: BLE001  # any exception is a failure of this vector
        return [f"the client raised {type(error).__name__}: {error}"]
    return differences(player, vector)


def _vector(line: str, where: str) -> dict[str, Any]:
    try:
        body: object = json.loads(line)  # unlike msgspec, it accepts lone surrogates
        msgspec.convert(body, _Vector)
    except ValueError as error:  # msgspec's errors, too
        raise BadVectors(f"{where}: not a vector: {error}") from None
    vector: dict[str, Any] = json.loads(line)
    return vector


if __name__ == "__main__":
    sys.exit(main())
