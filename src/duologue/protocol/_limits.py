"""What the service takes: one table, from a type and its field to the rule of the value.

Source: constraints of the Realtime API reference (GA, beta); what the service demands although no
type says so is marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from duologue.protocol import beta, ga
from duologue.protocol.beta.rest import SessionCreateResponse
from duologue.protocol.ga import flat, rest, translation
from duologue.protocol.ga.items import ConversationItem
from duologue.protocol.ga.server_events.base import ServerEvent
from duologue.protocol.model import UNSET

__all__ = ["ASKED", "LIMITS", "Fault", "Rule"]

MAX_EVENT_ID: Final = 512
MAX_AUDIO_BYTES: Final = 15 << 20
MAX_METADATA: Final = (16, 64, 512)
MAX_TOKENS: Final = 4096


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a value, without saying where the value is."""

    message: str
    """Goes on after `Invalid 'path': `; the whole message where something is missing."""
    fix: str
    code: str = "invalid_value"
    path: str = ""
    """Below the value: `.rate`, `[2]`."""


Rule: TypeAlias = Callable[[Any], Iterator[Fault]]
"""Gives the faults of a value that is set and not null."""


def between(low: float, high: float) -> Rule:
    """Demand a number from `low` to `high`."""

    def rule(value: float) -> Iterator[Fault]:
        if not low <= value <= high:
            yield Fault(
                f"expected {low:g} to {high:g}, but got {value:g}.",
                f"stay within {low:g} to {high:g}",
            )

    return rule


def at_least(low: int) -> Rule:
    """Demand a number that is not smaller."""

    def rule(value: float) -> Iterator[Fault]:
        if value < low:
            yield Fault(f"expected at least {low}, but got {value}.", f"use {low} or more")

    return rule


def exactly(only: float) -> Rule:
    """Demand one number."""

    def rule(value: float) -> Iterator[Fault]:
        if value != only:
            yield Fault(f"expected {only}, but got {value}.", f"use {only}")

    return rule


def one_of(*known: type[StrEnum] | str) -> Rule:
    """Demand one of the values of closed enums; objects in their place have rules of their own."""
    values = [str(one) for each in known for one in ([each] if isinstance(each, str) else each)]

    def rule(value: object) -> Iterator[Fault]:
        if isinstance(value, str) and value not in values:
            listed = ", ".join(f"'{one}'" for one in values)
            yield Fault(
                f"'{value}' is not supported. Supported values are: {listed}.",
                f"use one of {listed}",
            )

    return rule


def each(of: Rule) -> Rule:
    """Apply a rule to every entry of a list."""

    def rule(values: list[Any]) -> Iterator[Fault]:
        for index, value in enumerate(values):
            for fault in of(value):
                yield Fault(fault.message, fault.fix, fault.code, f"[{index}]{fault.path}")

    return rule


def at_most(size: int) -> Rule:
    """Demand a text that is not empty and not longer."""

    def rule(value: str) -> Iterator[Fault]:
        if len(value) > size:
            yield Fault(
                f"expected at most {size} characters, but got {len(value)}.",
                f"shorten it to {size}",
            )
        yield from _not_empty(value)

    return rule


def matching(pattern: str) -> Rule:
    """Demand a text of this form."""

    def rule(value: str) -> Iterator[Fault]:
        if not re.fullmatch(pattern, value):
            yield Fault(f"'{value}' does not match '{pattern}'.", f"use the form {pattern}")

    return rule


def _not_empty(value: Sized) -> Iterator[Fault]:
    if not value:
        yield Fault("it must not be empty.", "leave it out, or say something")


def _tokens(value: int | str) -> Iterator[Fault]:
    if value != "inf" and not (isinstance(value, int) and 1 <= value <= MAX_TOKENS):
        yield Fault(
            f"expected 1 to {MAX_TOKENS} or 'inf', but got {value!r}.",
            "use a number in range, or 'inf'",
        )


def _metadata(pairs: dict[str, str]) -> Iterator[Fault]:
    count, key_size, value_size = MAX_METADATA
    if len(pairs) > count:
        yield Fault(f"expected at most {count} pairs, but got {len(pairs)}.", "drop some pairs")
    for key, value in pairs.items():
        if len(key) > key_size:
            yield Fault(
                f"the key '{key[:key_size]}...' has more than {key_size} characters.",
                "shorten the key",
            )
        if len(value) > value_size:
            yield Fault(
                f"the value has more than {value_size} characters.",
                "shorten the value",
                path=f".{key}",
            )


def _audio(field: Any) -> Iterator[Fault]:  # noqa: ANN401  # `Raw`, a str subclass for checkers
    text = memoryview(field)
    if bytes(text[:1]) != b'"':
        yield Fault("", "send base64 in a string", "invalid_type")
        return
    size = (len(text) - 2) * 3 // 4
    if size > MAX_AUDIO_BYTES:
        yield Fault(
            f"expected at most {MAX_AUDIO_BYTES} bytes of audio, but got {size}.",
            "send shorter pieces",
        )


def _one_modality(values: list[str]) -> Iterator[Fault]:
    if sorted(values) not in (["audio"], ["text"]):
        yield Fault(
            f"{values} is not supported. Use ['audio'] or ['text'].",
            "name one: audio brings its text",
        )


def _audio_with_text(values: list[str]) -> Iterator[Fault]:
    if sorted(values) not in (["audio", "text"], ["text"]):
        yield Fault(
            f"{values} is not supported. Use ['text', 'audio'] or ['text'].",
            "add 'text' to 'audio'",
        )


def _rate_said(value: object) -> Iterator[Fault]:
    """The service demands the rate of the output, though it is typed optional (MantaUI 1196)."""
    if isinstance(value, ga.AudioPcm) and value.rate is UNSET:
        yield Fault("", "say rate=24000", "missing_required_parameter", ".rate")


def _input_only(audio: ga.AudioConfig) -> Iterator[Fault]:
    if audio.output is not UNSET:
        yield Fault("", "leave it out: nothing speaks here", "unknown_parameter", ".output")


_SAID: Final = {"name": _not_empty}

_VAD: Final[Mapping[str, Rule]] = {
    "threshold": between(0, 1),
    "prefix_padding_ms": at_least(0),
    "silence_duration_ms": at_least(0),
    "idle_timeout_ms": between(5000, 30000),
    "eagerness": one_of(ga.Eagerness),
    "type": one_of(beta.TurnDetectionType),
}
_FLAT: Final[Mapping[str, Rule]] = {
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
_GA: Final[Mapping[str, Rule]] = {
    "output_modalities": _one_modality,
    "max_output_tokens": _tokens,
    "tool_choice": one_of(ga.ToolChoiceMode),
    "conversation": one_of(ga.ConversationMode),
    "include": each(one_of(ga.Include)),
    "tracing": one_of("auto"),
    "truncation": one_of(ga.TruncationStrategy),
    "metadata": _metadata,
}
_TRANSCRIPTION: Final[Mapping[str, Rule]] = {
    "input_audio_format": one_of(beta.AudioFormat),
    "include": each(one_of(ga.Include)),
}
_ITEM: Final[Mapping[str, Rule]] = {
    "id": _not_empty,
    "status": one_of(ga.ItemStatus),
    "role": one_of(ga.MessageRole),
}
_PLACE: Final[Mapping[str, Rule]] = {
    "item_id": _not_empty,
    "previous_item_id": _not_empty,
    "response_id": _not_empty,
    "content_index": at_least(0),
    "audio_end_ms": at_least(0),
    "audio": _audio,
}

LIMITS: Final[Mapping[type, Mapping[str, Rule]]] = {
    ga.ClientEvent: {"event_id": at_most(MAX_EVENT_ID), **_PLACE},
    ServerEvent: {"event_id": _not_empty},
    beta.TranscriptionSessionUpdate: {"event_id": at_most(MAX_EVENT_ID)},
    ga.RealtimeSession: _GA,
    ga.TranscriptionSession: {"include": each(one_of(ga.Include)), "audio": _input_only},
    ga.ResponseCreateParams: _GA,
    ga.Response: {"output_modalities": _one_modality, "metadata": _metadata},
    beta.Session: _FLAT,
    beta.SessionConfig: _FLAT,
    SessionCreateResponse: _FLAT,
    beta.ResponseCreateParams: _FLAT,
    beta.Response: {"temperature": between(0.6, 1.2), "metadata": _metadata},
    beta.TranscriptionSession: _TRANSCRIPTION,
    beta.TranscriptionSessionConfig: _TRANSCRIPTION,
    ga.ServerVad: _VAD,
    ga.SemanticVad: _VAD,
    flat.FlatTurnDetection: _VAD,
    ga.AudioPcm: {"rate": exactly(24000)},
    ga.AudioOutput: {"speed": between(0.25, 1.5), "format": _rate_said},
    ga.ResponseAudioOutput: {"format": _rate_said},
    ga.NoiseReduction: {"type": one_of(ga.NoiseReductionType), "strength": between(0, 1)},
    ga.AudioTranscription: {"languages": _not_empty, "delay": one_of(ga.Delay)},
    ga.Reasoning: {"effort": one_of(ga.ReasoningEffort)},
    ga.RetentionRatio: {"retention_ratio": between(0, 1)},
    ga.TokenLimits: {"post_instructions": at_least(0)},
    ga.FunctionTool: _SAID,
    ga.ToolChoiceFunction: _SAID,
    ga.McpTool: {
        "server_label": _not_empty,
        "tunnel_id": matching("tunnel_[a-z0-9]{32}"),
        "connector_id": one_of(ga.ConnectorId),
        "allowed_callers": each(one_of(ga.AllowedCallers)),
        "require_approval": one_of("always", "never"),
    },
    ConversationItem: _ITEM,
    ga.InputImage: {"detail": one_of(ga.ContentDetail)},
    flat.ExpiresAfter: {"anchor": one_of("created_at"), "seconds": between(10, 7200)},
    translation.TranslationNoiseReduction: {
        "type": one_of(ga.NoiseReductionType),
        "strength": between(0, 1),
    },
    rest.CallRejectParams: {"status_code": between(300, 699)},
}
"""The rules of a type are its bases' as well."""

ASKED: Final[Mapping[type, tuple[tuple[str, ...], ...]]] = {
    ga.FunctionTool: (("name",),),
    ga.McpTool: (("server_url", "connector_id", "tunnel_id"),),
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
"""What a client must say although its type does not demand it: one field of each group.

The assistant's speech cannot be put back, so the service asks for its text (agents-js 963).
"""
