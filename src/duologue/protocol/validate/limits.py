"""Limits of the service: a table from types and their fields to constraints on the values.

Source: Realtime API reference (GA, beta). Requirements of the service that the reference does not
state are marked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pybase64 import b64decode

from duologue.errors import DecodeError
from duologue.protocol import beta, ga
from duologue.protocol.beta.rest import SessionCreateResponse
from duologue.protocol.ga import rest, translation
from duologue.protocol.ga.items import ConversationItem
from duologue.protocol.ga.server_events.base import ServerEvent
from duologue.protocol.ga.transcription_session import ExpiresAfter, FlatTurnDetection
from duologue.protocol.model import UNSET, read_audio
from duologue.protocol.validate.rules import (
    Constraint,
    Violation,
    at_least,
    at_most,
    between,
    each,
    exactly,
    matching,
    not_empty,
    one_of,
)

__all__ = ["CLIENT_FIELDS", "LIMITS", "MAX_ENTRIES", "REQUIRED_OF_CLIENTS"]

MAX_EVENT_ID: Final = 512
MAX_AUDIO_BYTES: Final = 15 << 20
MAX_METADATA: Final = (16, 64, 512)
MAX_TOKENS: Final = 4096
MAX_ENTRIES: Final = 1000
"""Entries of a list of a client: content parts, tools, items. The reference states no number."""


def _tokens(value: int | str) -> Iterator[Violation]:
    if value != "inf" and not (isinstance(value, int) and 1 <= value <= MAX_TOKENS):
        yield Violation(
            f"expected 1 to {MAX_TOKENS} or 'inf', but got {value!r}.",
            "use a number in range, or 'inf'",
        )


def _metadata(pairs: dict[str, str]) -> Iterator[Violation]:
    count, key_size, value_size = MAX_METADATA
    if len(pairs) > count:
        yield Violation(f"expected at most {count} pairs, but got {len(pairs)}.", "drop some pairs")
    for key, value in pairs.items():
        if len(key) > key_size:
            yield Violation(
                f"the key '{key[:key_size]}...' has more than {key_size} characters.",
                "shorten the key",
            )
        if len(value) > value_size:
            yield Violation(
                f"the value has more than {value_size} characters.",
                "shorten the value",
                path=f".{key}",
            )


def _audio(field: Any) -> Iterator[Violation]:  # noqa: ANN401  # checkers take `Raw` for a str
    size = (len(memoryview(field)) - 2) * 3 // 4
    if bytes(memoryview(field)[:1]) != b'"':
        yield Violation("", "send base64 in a string", "invalid_type")
    elif size > MAX_AUDIO_BYTES:
        yield Violation(
            f"expected at most {MAX_AUDIO_BYTES} bytes of audio, but got {size}.",
            "send shorter pieces",
        )
    else:
        yield from _base64(field)


def _base64(field: Any) -> Iterator[Violation]:  # noqa: ANN401  # `Raw`, or a string
    try:
        if isinstance(field, str):
            b64decode(field, validate=True)
        else:
            read_audio(field)
    except (DecodeError, ValueError):
        yield Violation("it is not base64.", "encode the audio as base64, with its padding")


def _uri(value: str) -> Iterator[Violation]:
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S", value):
        yield Violation("it is not a URI.", "begin with a scheme: https:, data:")


def _callers(values: list[str]) -> Iterator[Violation]:
    yield from not_empty(values)
    yield from each(one_of(ga.AllowedCallers))(values)


def _one_modality(values: list[str]) -> Iterator[Violation]:
    if sorted(values) not in (["audio"], ["text"]):
        yield Violation(
            f"{values} is not supported. Use ['audio'] or ['text'].",
            "name one: audio includes its text",
        )


def _audio_with_text(values: list[str]) -> Iterator[Violation]:
    if sorted(values) not in (["audio", "text"], ["text"]):
        yield Violation(
            f"{values} is not supported. Use ['text', 'audio'] or ['text'].",
            "add 'text' to 'audio'",
        )


def _rate_is_set(value: object) -> Iterator[Violation]:
    """Require the rate of output audio, as the service does; in the reference it is optional."""
    if isinstance(value, ga.AudioPcm) and value.rate is UNSET:
        yield Violation("", "set rate=24000", "missing_required_parameter", ".rate")


def _input_only(audio: ga.AudioConfig) -> Iterator[Violation]:
    if audio.output is not UNSET:
        yield Violation(
            "", "leave it out: the session has no output audio", "unknown_parameter", ".output"
        )


_NAMED: Final = {"name": not_empty}

_VAD: Final[Mapping[str, Constraint]] = {
    "threshold": between(0, 1),
    "prefix_padding_ms": at_least(0),
    "silence_duration_ms": at_least(0),
    "idle_timeout_ms": between(5000, 30000),
    "eagerness": one_of(ga.Eagerness),
    "type": one_of(beta.TurnDetectionType),
}
_FLAT: Final[Mapping[str, Constraint]] = {
    "modalities": _audio_with_text,
    "temperature": between(0.6, 1.2),
    "speed": between(0.25, 1.5),
    "max_response_output_tokens": _tokens,
    "max_output_tokens": _tokens,
    "input_audio_format": one_of(beta.AudioFormat),
    "output_audio_format": one_of(beta.AudioFormat),
    "tool_choice": one_of(ga.ToolChoiceMode),
    "conversation": one_of(ga.ConversationMode),
    "include": each(one_of(ga.Include)),
    "tracing": one_of("auto"),
    "truncation": one_of(ga.TruncationStrategy),
    "metadata": _metadata,
}
_GA: Final[Mapping[str, Constraint]] = {
    "output_modalities": _one_modality,
    "max_output_tokens": _tokens,
    "tool_choice": one_of(ga.ToolChoiceMode),
    "conversation": one_of(ga.ConversationMode),
    "include": each(one_of(ga.Include)),
    "tracing": one_of("auto"),
    "truncation": one_of(ga.TruncationStrategy),
    "metadata": _metadata,
}
_TRANSCRIPTION: Final[Mapping[str, Constraint]] = {
    "input_audio_format": one_of(beta.AudioFormat),
    "include": each(one_of(ga.Include)),
}
_ITEM: Final[Mapping[str, Constraint]] = {
    "id": not_empty,
    "status": one_of(ga.ItemStatus),
    "role": one_of(ga.MessageRole),
}
_PLACE: Final[Mapping[str, Constraint]] = {
    "item_id": not_empty,
    "previous_item_id": not_empty,
    "response_id": not_empty,
    "content_index": at_least(0),
    "audio_end_ms": at_least(0),
    "audio": _audio,
}

LIMITS: Final[Mapping[type, Mapping[str, Constraint]]] = {
    ga.ClientEvent: {"event_id": at_most(MAX_EVENT_ID), **_PLACE},
    ServerEvent: {"event_id": not_empty},
    beta.TranscriptionSessionUpdate: {"event_id": at_most(MAX_EVENT_ID)},
    ga.RealtimeSession: _GA,
    ga.TranscriptionSession: {"include": each(one_of(ga.Include)), "audio": _input_only},
    ga.ResponseCreateParams: _GA,
    ga.Response: {
        "output_modalities": _one_modality,
        "max_output_tokens": _tokens,
        "metadata": _metadata,
    },
    beta.Session: _FLAT,
    beta.SessionConfig: _FLAT,
    SessionCreateResponse: _FLAT,
    beta.ResponseCreateParams: _FLAT,
    beta.Response: _FLAT,
    beta.TranscriptionSession: _TRANSCRIPTION,
    beta.TranscriptionSessionConfig: _TRANSCRIPTION,
    ga.ServerVad: _VAD,
    ga.SemanticVad: _VAD,
    FlatTurnDetection: _VAD,
    ga.AudioPcm: {"rate": exactly(24000)},
    ga.AudioOutput: {"speed": between(0.25, 1.5), "format": _rate_is_set},
    ga.ResponseAudioOutput: {"format": _rate_is_set},
    ga.NoiseReduction: {"type": one_of(ga.NoiseReductionType), "strength": between(0, 1)},
    ga.AudioTranscription: {"languages": not_empty, "delay": one_of(ga.Delay)},
    ga.Reasoning: {"effort": one_of(ga.ReasoningEffort)},
    ga.RetentionRatio: {"retention_ratio": between(0, 1)},
    ga.TokenLimits: {"post_instructions": at_least(0)},
    ga.FunctionTool: _NAMED,
    ga.ToolChoiceFunction: _NAMED,
    ga.McpTool: {
        "server_label": not_empty,
        "tunnel_id": matching("tunnel_[a-z0-9]{32}"),
        "connector_id": one_of(ga.ConnectorId),
        "server_url": _uri,
        "allowed_callers": _callers,
        "require_approval": one_of("always", "never"),
    },
    ConversationItem: _ITEM,
    ga.InputAudio: {"audio": _base64},
    ga.InputImage: {"image_url": _uri, "detail": one_of(ga.ContentDetail)},
    ga.PromptImage: {"image_url": _uri, "detail": one_of(ga.PromptImageDetail)},
    ga.PromptFile: {"file_url": _uri, "detail": one_of(ga.ContentDetail)},
    ExpiresAfter: {
        "anchor": one_of("created_at"),
        "seconds": between(10, 7200),
    },
    translation.TranslationNoiseReduction: {
        "type": one_of(ga.NoiseReductionType),
        "strength": between(0, 1),
    },
    rest.CallRejectParams: {"status_code": between(300, 699)},
}
"""Constraints by type and field. A type has those of its bases, too."""

CLIENT_FIELDS: Final = frozenset({"modalities", "output_modalities"})
"""Fields that are constrained in client events only: servers send `["audio"]` to beta clients."""

REQUIRED_OF_CLIENTS: Final[Mapping[type, tuple[tuple[str, ...], ...]]] = {
    ga.FunctionTool: (("name",),),
    ga.McpTool: (("server_url", "connector_id", "tunnel_id"),),
    ga.VoiceId: (("id",),),
    ga.InputText: (("text",),),
    ga.InputAudio: (("audio",),),
    ga.InputImage: (("image_url",),),
    ga.OutputText: (("text",),),
    ga.OutputAudio: (("text",),),
    beta.Text: (("text",),),
    beta.Audio: (("text",),),
    beta.ReferencePart: (("id",),),
    beta.Message: (("role",), ("content",)),
    beta.FunctionCall: (("name",), ("arguments",)),
    beta.FunctionCallOutput: (("call_id",), ("output",)),
}
"""Fields that a client must set although they are optional in the types: one of each group.

The service does not accept audio of the assistant in an item, so it requires the text instead.
"""
