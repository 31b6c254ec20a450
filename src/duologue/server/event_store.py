"""Bounded store of the events that a `LocalServer` keeps for tests, over all of its sessions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from functools import cache
from typing import Final, TypeVar, cast

import msgspec

from duologue.protocol import ga
from duologue.protocol.model import UNSET, Raw, UnknownEvent, replace
from duologue.server.connection import AnyReceived, AnySent

__all__ = ["AUDIO_STORE_BYTES", "STORE_BYTES", "EventLog", "EventStore", "audio_bytes"]

STORE_BYTES: Final = 4 << 20
"""Size of the events that a server keeps, without their audio."""

AUDIO_STORE_BYTES: Final = 64 << 20
"""The same with audio: 15 minutes of speech."""

EVENT_BYTES: Final = 700
"""Size of an event besides its texts: its object, its ids, and its place in the store."""

LARGEST_SHARE: Final = 4
"""An event of more than a fourth of the store is kept by its type alone."""

_EMPTY: Final = Raw(b'""')

AnyEvent = AnyReceived | AnySent
E = TypeVar("E", bound=AnyEvent)


def audio_bytes(event: AnyEvent) -> int:
    """Return how many bytes of audio an event has, or had before it was stored without it."""
    if isinstance(event, UnknownEvent):
        return 0
    stored: int | None = vars(event).get("audio_bytes")
    return _audio_size(event) if stored is None else stored


class EventLog(deque[E]):
    """The events of one session in one direction, as far as the store keeps them."""

    forgotten: Counter[str]
    """Events that the store keeps no more, by type; those of unknown types count as `""`."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten = Counter()

    def forget_oldest(self) -> None:
        """Remove the oldest event."""
        event = self.popleft()
        self.forgotten["" if isinstance(event, UnknownEvent) else event.type] += 1


class EventStore:
    """Keeps the latest events of all sessions, up to a number of bytes."""

    def __init__(self, *, with_audio: bool = False) -> None:
        """Create an empty store.

        Args:
            with_audio: Whether to keep audio; otherwise only its length is known (`audio_bytes`).
        """
        self._with_audio: Final = with_audio
        self._max_bytes: Final = AUDIO_STORE_BYTES if with_audio else STORE_BYTES
        self._entries: Final = deque[tuple[EventLog[AnyReceived] | EventLog[AnySent], int]]()
        self._bytes = 0

    def add(self, log: EventLog[E], event: E) -> None:
        """Append an event to a log; the oldest events of any log may be forgotten for it."""
        kept = event if self._with_audio else _without_audio(event)
        size = EVENT_BYTES + _text_size(kept)
        if size > self._max_bytes // LARGEST_SHARE:
            reason = "the event is too large to be recorded"
            kept = cast("E", UnknownEvent(type=event.type[:1024], raw=b"", reason=reason))
            size = EVENT_BYTES + len(kept.type)
        log.append(kept)
        self._entries.append((cast("EventLog[AnySent]", log), size))
        self._bytes += size
        while self._bytes > self._max_bytes:
            oldest, freed = self._entries.popleft()
            oldest.forget_oldest()
            self._bytes -= freed


# Audio.


@cache
def _audio_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(each.name for each in msgspec.structs.fields(kind) if each.type is Raw)


def _audio_size(event: AnyEvent) -> int:
    fields = [getattr(event, name) for name in _audio_fields(type(event))]
    parts = [part.audio for part in _audio_parts(event) if isinstance(part.audio, str)]
    sizes = [len(memoryview(field)) - 2 for field in fields if field is not UNSET]
    return sum(size * 3 // 4 for size in (*sizes, *map(len, parts)))


def _audio_parts(event: AnyEvent) -> list[ga.InputAudio | ga.OutputAudio]:
    item = getattr(event, "item", None)
    if not isinstance(item, ga.Message):
        return []
    return [part for part in item.content if isinstance(part, ga.InputAudio | ga.OutputAudio)]


def _without_audio(event: E) -> E:
    """Return an event without its audio, or the event itself if it has none."""
    if isinstance(event, UnknownEvent):
        return event
    size = _audio_size(event)
    if not size:
        return event
    changes: dict[str, object] = dict.fromkeys(_audio_fields(event.__class__), _EMPTY)
    item = getattr(event, "item", None)
    if isinstance(item, ga.Message):
        parts = [
            replace(part, audio=UNSET) if isinstance(part, ga.InputAudio | ga.OutputAudio) else part
            for part in item.content
        ]
        changes["item"] = replace(item, content=parts)
    silent = replace(event, **changes)
    vars(silent)["audio_bytes"] = size
    return silent


# Sizes.


def _text_size(value: object) -> int:
    """Return roughly how many bytes a value takes: its texts, and a little for every object."""
    if isinstance(value, str | bytes):
        return 50 + len(value)
    if isinstance(value, Raw):
        return 50 + len(memoryview(value))
    raw = getattr(value, "raw", None)
    if isinstance(raw, bytes):
        return 2 * len(raw)  # the frame, and what was decoded from it
    return 60 + sum(map(_text_size, _members(value)))


def _members(value: object) -> Iterable[object]:
    if isinstance(value, list):
        return cast("list[object]", value)
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        return [*mapping.keys(), *mapping.values()]
    if isinstance(value, msgspec.Struct):
        return [getattr(value, name) for name in value.__struct_fields__]
    return ()
