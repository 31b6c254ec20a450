"""The catalog and the example frames, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect, Direction, Surface

DATA: Final = Path(__file__).parent.parent / "data" / "protocol"


@dataclass(frozen=True)
class Example:
    """A frame that the reference shows, or that was recorded."""

    dialect: Dialect
    id: str
    direction: Direction
    surface: Surface
    type: str
    payload: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.dialect}/{self.id}"

    @property
    def frame(self) -> bytes:
        return json.dumps(self.payload).encode()


@cache
def catalog() -> dict[str, Any]:
    body: dict[str, Any] = json.loads((DATA / "catalog.json").read_text())
    return body


@cache
def examples() -> list[Example]:
    found: list[Example] = []
    dialects: tuple[Dialect, ...] = ("beta", "ga")
    for dialect in dialects:
        lines = (DATA / "examples" / f"{dialect}.jsonl").read_text().splitlines()
        found += [Example(dialect=dialect, **json.loads(line)) for line in lines]
    return found


@cache
def rest_examples() -> list[dict[str, Any]]:
    lines = (DATA / "examples" / "rest.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Say whether decoded JSON is an object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Say whether decoded JSON is an array."""
    return isinstance(value, list)
