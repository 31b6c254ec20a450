"""Keys of callbacks: classes, names of the reference client, and event types of the wire."""

from __future__ import annotations

from functools import cache
from typing import Final, get_args

from duologue.client.coercion import nearest
from duologue.errors import ConfigurationError
from duologue.protocol import codec
from duologue.protocol.ga import InputAudioBufferAppendEvent
from duologue.protocol.model import Event, UnknownEvent
from duologue.session.updates import (
    ConversationUpdated,
    Disconnected,
    ErrorUpdate,
    Interrupted,
    ItemAppended,
    ItemCompleted,
    RealtimeEvent,
    Update,
)

__all__ = ["CLASSIC_NAMES", "SENT_AUDIO", "CallbackKey", "resolve"]

CallbackKey = type | str
"""Key of a callback; see `RealtimeEventHandler`."""

CLASSIC_NAMES: Final[dict[str, type]] = {
    "conversation.updated": ConversationUpdated,
    "conversation.item.appended": ItemAppended,
    "conversation.item.completed": ItemCompleted,
    "conversation.interrupted": Interrupted,
    "realtime.event": RealtimeEvent,
    "error": ErrorUpdate,
    "close": Disconnected,
}
"""The application events of the reference client."""

_OWN_NAMES: Final[dict[str, type]] = {"disconnected": Disconnected}
"""Names of updates beside those of the reference client."""

_SYNONYMS: Final = {"all": "*", "server.all": "server.*", "client.all": "client.*"}
"""Names that the Dart client has for all events."""

_OF_PROVIDERS: Final = frozenset(
    {
        "output_audio_buffer.audio_started",
        "output_audio_buffer.audio_stopped",
        "output_audio_buffer.audio_cleared",
        "conversation.item.input_audio_transcription.updated",
        "ping",
        "session.avatar.connecting",
        "response.animation_blendshapes.delta",
        "response.animation_blendshapes.done",
        "response.animation_viseme.delta",
        "response.animation_viseme.done",
        "response.audio_timestamp.delta",
        "response.audio_timestamp.done",
    }
)
"""Events of Azure Voice Live and xAI that neither dialect has; they arrive as `UnknownEvent`."""

_WILDCARDS: Final = frozenset({"*", "server.*", "client.*"})

SENT_AUDIO: Final[frozenset[CallbackKey]] = frozenset(
    {
        RealtimeEvent,
        InputAudioBufferAppendEvent,
        "input_audio_buffer.append",
        "client.input_audio_buffer.append",
        "client.*",
        "*",
    }
)
"""The keys of an event of `append_input_audio`."""


def resolve(key: object) -> CallbackKey:
    """Return the key under which callbacks are kept: one for all names of the same values.

    Raises:
        ConfigurationError: If no event or update has this key; the message has the nearest name.
    """
    if isinstance(key, type):
        if key in get_args(Update) or _is_event(key):
            return key
        text = f"{key.__name__} is no class of an update or event: it would never be called"
        raise ConfigurationError(text)
    if not isinstance(key, str):
        text = f"a callback's key must be a name or a class, not {type(key).__name__}"
        raise ConfigurationError(text)
    name = str(key)
    update = CLASSIC_NAMES.get(name) or _OWN_NAMES.get(name)
    if update is not None:
        return update
    name = _SYNONYMS.get(name, name)
    source, _, rest = name.partition(".")
    is_explicit = source in {"server", "client"} and bool(rest)
    if name in _WILDCARDS or is_explicit or name in _types("ga") or name in _other_types():
        return name
    raise ConfigurationError(_unknown(name))


def _is_event(kind: type) -> bool:
    if issubclass(kind, UnknownEvent):
        return True
    if not issubclass(kind, Event):
        return False
    tag = kind.__struct_config__.tag  # a base class has one, too: its own name
    return tag in _types("ga") or tag in _other_types()


def _unknown(name: str) -> str:
    text = f"there is no event {name!r}"
    classes = {kind.__name__: kind for kind in get_args(Update)}
    names = [*CLASSIC_NAMES, *_OWN_NAMES, *_types("ga"), *_other_types(), *classes]
    match = nearest(name, names, likeness=0.75)
    if match in classes:
        return f"{text}: did you mean the class {match}?"
    if match is not None:
        return f"{text}: did you mean {match!r}? An event that we do not know is 'server.{name}'"
    return f"{text}; if the server has one that we do not know, it is 'server.{name}'"


@cache
def _types(dialect: codec.Dialect) -> frozenset[str]:
    """Return the types of the events of a dialect, of both sides."""
    server, client = codec.event_union(dialect), codec.event_union(dialect, "client")
    members = (*get_args(server), *get_args(client))
    return frozenset(str(member.__struct_config__.tag) for member in members)


@cache
def _other_types() -> frozenset[str]:
    """Return the types of events that a GA conversation does not have; this imports beta."""
    received = codec.event_union("ga", "server", "translation")
    sent = codec.event_union("ga", "client", "translation")
    members = (*get_args(received), *get_args(sent))
    of_translation = {str(member.__struct_config__.tag) for member in members}
    return _types("beta") | _OF_PROVIDERS | of_translation
