"""Mutation of published frames: events that are nearly right, and bytes that are hardly events.

Random bytes alone never get past the JSON parser. So a mutation begins with an example of the
reference and changes a few of its places, its keys, or its bytes. A seed repeats everything.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from tests.protocol.protocol_data import examples, is_array, is_object

if TYPE_CHECKING:
    from random import Random

    from duologue.protocol.codec import Dialect, Direction, Surface

__all__ = ["Mutator", "places"]

Body = dict[str, Any]

LITERALS: Final = [
    b"null", b"true", b"-1", b"0", b"1", b"1.5", b"3.0", b"1e308", b"-1e308", b"1e999", b"-0.0",
    b"2147483648", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616",
    b"1" * 400, b'""', b'"completed"', b'"in_progress"', b'"cancelled"', b'"root"', b'"AAAA"',
    b'"AAA"', b'"auto"', b'"none"', b'"inf"', b'"function_call"', b'"\\ud800"', b'"\\ud83d\\ude00"',
    b'"\\u0000"', b'"\xef\xb7\x90"', b"[]", b"{}", b"[null]", b"[[]]", b"[{}]", b'{"type":"zz"}',
    b'{"type":null}', b'{"type":"message"}', b'{"type":5}', b'{"":{}}', b'{"extra":{"type":"a"}}',
    b'"' + b"x" * 3000 + b'"', b"[" * 150 + b"]" * 150, b'{"a":' * 150 + b"1" + b"}" * 150,
    b"[" + b"0," * 500 + b"0]", b"NaN", b"Infinity", b"01", b"'a'",
]  # fmt: skip
"""Values of JSON, and what only looks like one."""

KEYS: Final = [
    "type",
    "event_id",
    "extra",
    "raw",
    "",
    "item",
    "__class__",
    "\ufdd0extra",
    "x" * 300,
]

TOKENS: Final = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\u",
    b"\\ud83d", b"\0", b"null", b"\xef\xbb\xbf", b"e9", b"/", b" ", b"\n", b'"type":"error",',
]  # fmt: skip


@cache
def _frames(dialect: Dialect, direction: Direction, surface: Surface) -> dict[str, list[bytes]]:
    """Return the examples of one side of a connection, by type."""
    wanted = (dialect, direction, surface)
    found: dict[str, list[bytes]] = {}
    for each in examples():
        if (each.dialect, each.direction, each.surface) == wanted:
            found.setdefault(each.type, []).append(msgspec.json.encode(each.payload))
    assert found, f"there is no example of {wanted}"
    return found


class Mutator:
    """Makes frames out of the examples of one side of a connection.

    Args:
        random: Decides everything.
        dialect: Dialect of the frames.
        direction: Sender of the frames.
        surface: Purpose of the connection.
        chance: Probability that a frame is changed at all.
    """

    def __init__(
        self,
        random: Random,
        dialect: Dialect,
        direction: Direction,
        surface: Surface = "realtime",
        *,
        chance: float = 1.0,
    ) -> None:
        self.ids: Final[list[str]] = ["", "item_1", "resp_1", "call_1"]
        """Ids of things of the session, which frames are about."""
        self._random: Final = random
        self._chance: Final = chance
        self._by_type: Final = _frames(dialect, direction, surface)
        self._types: Final = list(self._by_type)

    def frame(self) -> bytes:
        """Return a frame of any type."""
        return self._changed(self._any())

    def about(self, kind: str, **fields: object) -> bytes:
        """Return a frame of a type that has an example, with some fields given."""
        body = msgspec.json.decode(self._random.choice(self._by_type[kind])) | fields
        return self._changed(msgspec.json.encode(body))

    def with_known_ids(self) -> bytes:
        """Return a frame that is about things of the session."""
        body: Body = msgspec.json.decode(self._any())
        for container, key in places(body):
            if str(key).endswith("id") and self._random.random() < 0.7:
                container[key] = self._random.choice(self.ids)
        return self._changed(msgspec.json.encode(body))

    def _any(self) -> bytes:
        return self._random.choice(self._by_type[self._random.choice(self._types)])

    def _changed(self, frame: bytes) -> bytes:
        if self._random.random() >= self._chance:
            return frame
        kind = self._random.random()
        if kind < 0.7:
            body: Body = msgspec.json.decode(frame)
            for _ in range(self._random.choice((1, 1, 1, 2, 5))):
                self._change_place(body)
            frame = msgspec.json.encode(body)
        if kind > 0.6:
            frame = self._with_other_bytes(frame)
        return frame

    def _change_place(self, body: Body) -> None:
        found = places(body)
        if not found:
            return
        container, key = self._random.choice(found)
        match self._random.randrange(7):
            case 0 if is_object(container):
                del container[key]
            case 1:
                container[key] = self._random.choice(self.ids)
            case 2 if is_object(container):
                container[self._random.choice(KEYS)] = container.pop(key)
            case 3 if is_object(container):
                container[f"x_{key}"] = self._literal()
            case 4:  # a value from elsewhere in the frame
                other, name = self._random.choice(found)
                if isinstance(value := other.get(name) if is_object(other) else None, str | int):
                    container[key] = value
            case 5 if is_array(container):
                container.extend(container[:3] * self._random.choice((1, 1, 20)))
            case _:
                container[key] = self._literal()

    def _literal(self) -> msgspec.Raw:
        return msgspec.Raw(self._random.choice(LITERALS))

    def _with_other_bytes(self, frame: bytes) -> bytes:
        at = self._random.randrange(len(frame) + 1)
        end = min(len(frame), at + self._random.choice((0, 1, 1, 4, 40)))
        match self._random.randrange(6):
            case 0:
                return frame[:at]
            case 1:
                return frame[:at] + frame[end:]
            case 2:
                return frame[:at] + frame[at:end] * self._random.choice((2, 3, 40)) + frame[end:]
            case 3:
                return frame[:at] + bytes([self._random.randrange(256)]) + frame[at + 1 :]
            case 4:
                other = self._any()
                return frame[:at] + other[self._random.randrange(len(other)) :]
            case _:
                return frame[:at] + self._random.choice(TOKENS) + frame[end:]


def places(body: Body) -> list[tuple[Any, Any]]:
    """Return every place of decoded JSON: its container, and its key or index."""
    found: list[tuple[Any, Any]] = []
    open_values: list[Any] = [body]
    while open_values:
        value = open_values.pop()
        pairs = value.items() if is_object(value) else enumerate(value)
        for key, entry in pairs:
            found.append((value, key))
            if isinstance(entry, dict | list):
                open_values.append(entry)
    return found
