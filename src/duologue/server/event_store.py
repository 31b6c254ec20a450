"""Bounded store of the events that a `LocalServer` keeps for tests, over all of its sessions."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

import msgspec

from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, Raw, UnknownEvent, replace
from duologue.server.connection import AnyReceived, AnySent

__all__ = ["MAX_BYTES", "EventLog", "EventStore", "audio_bytes"]

MAX_BYTES: Final = 4 << 20
"""Size of the events that a server keeps, without their audio."""

RECENT_AUDIO_BYTES: Final = 2 << 20
"""Size of the audio that a server keeps: the latest 14 seconds, enough for most tests."""

ALL_AUDIO_BYTES: Final = 64 << 20
"""The same on request: the latest 7 minutes."""

AUDIO_COPIES: Final = 3
"""Copies of the audio of an event: base64 takes one and a third, decoded audio another."""

EVENT_BYTES: Final = 700
"""Size of an event besides its fields: its object, its ids, and its place in the store."""

DECODED_SIZE: Final = 3
"""Size of the fields of an event relative to its JSON: objects take more than their text."""

LARGEST_SHARE: Final = 4
"""An event of more than a fourth of the store is kept by its type alone."""

_EMPTY: Final = Raw(b'""')

AnyEvent = AnyReceived | AnySent
E = TypeVar("E", bound=AnyEvent)


def audio_bytes(event: AnyEvent) -> int:
    """Return how many bytes of audio an event has, or had before the store dropped it."""
    if isinstance(event, UnknownEvent):
        return 0
    dropped: int | None = vars(event).get("audio_bytes")
    return _audio_size(event) if dropped is None else dropped


class EventLog(deque[E]):
    """The events of one session in one direction, as far as the store keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: Final = Counter[str]()
        """Events that the store keeps no more, by type; those of unknown types count as `""`."""

    def forget_oldest(self) -> None:
        """Remove the oldest event."""
        event = self.popleft()
        self.forgotten["" if isinstance(event, UnknownEvent) else event.type] += 1

    def forget_audio(self, number: int) -> None:
        """Remove the audio of an event that is still kept.

        Args:
            number: Number of the event, counted from the beginning of the session.
        """
        index = number - self.forgotten.total()
        if index >= 0:
            self[index] = _without_audio(self[index])


class EventStore:
    """Keeps the latest events of all sessions, up to a number of bytes, and less of their audio."""

    def __init__(self, *, all_audio: bool = False) -> None:
        self._max_audio_bytes: Final = ALL_AUDIO_BYTES if all_audio else RECENT_AUDIO_BYTES
        self._events: Final = deque[tuple[EventLog[Any], int]]()
        self._event_bytes = 0
        self._audio: Final = deque[tuple[EventLog[Any], int, int]]()
        self._audio_bytes = 0

    def add(self, log: EventLog[E], event: E) -> None:
        """Append an event to a log; the oldest events of any log may be forgotten for it."""
        may_have_audio = type(event) in _AUDIO_FIELD or hasattr(event, "item")
        silent = _without_audio(event) if may_have_audio else event
        size = EVENT_BYTES + DECODED_SIZE * len(msgspec.json.encode(silent))
        if size > MAX_BYTES // LARGEST_SHARE:
            reason = "the event is too large to be recorded"
            silent = cast("E", UnknownEvent(type=event.type[:1024], raw=b"", reason=reason))
            size = EVENT_BYTES + len(silent.type)
            event = silent
        if event is not silent:
            audio_size = AUDIO_COPIES * audio_bytes(event)
            self._audio.append((log, len(log) + log.forgotten.total(), audio_size))
            self._audio_bytes += audio_size
        log.append(event)
        self._events.append((log, size))
        self._event_bytes += size
        while self._audio_bytes > self._max_audio_bytes:
            oldest, number, freed = self._audio.popleft()
            oldest.forget_audio(number)
            self._audio_bytes -= freed
        while self._event_bytes > MAX_BYTES:
            oldest, freed = self._events.popleft()
            oldest.forget_oldest()
            self._event_bytes -= freed


# Audio.


_AUDIO_FIELD: Final[Mapping[type, str]] = {
    ga.InputAudioBufferAppendEvent: "audio",
    ga.ResponseAudioDeltaEvent: "delta",
    translation.RealtimeTranslationInputAudioBufferAppendEvent: "audio",
    translation.RealtimeTranslationOutputAudioDeltaEvent: "delta",
}


def _audio_size(event: AnyEvent) -> int:
    field = _AUDIO_FIELD.get(type(event))
    size = 0 if field is None else len(memoryview(getattr(event, field))) - 2
    item = getattr(event, "item", None)
    if isinstance(item, ga.Message):
        for part in item.content:
            if isinstance(part, ga.InputAudio | ga.OutputAudio) and isinstance(part.audio, str):
                size += len(part.audio)
    return size * 3 // 4


def _without_audio(event: E) -> E:
    """Return an event without its audio, or the event itself if it has none."""
    size = _audio_size(event)
    if not size or isinstance(event, UnknownEvent):
        return event
    field = _AUDIO_FIELD.get(type(event))
    changes: dict[str, object] = {} if field is None else {field: _EMPTY}
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
