"""Keyword arguments of sessions and responses: GA names, and the reference client's flat names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

import msgspec

from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    AudioConfig,
    AudioInput,
    AudioOutput,
    AudioPcm,
    AudioPcma,
    AudioPcmu,
    FunctionTool,
    RealtimeSession,
    ResponseCreateParams,
    TranscriptionSession,
)
from duologue.protocol.model import UNSET, UnsetType, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol import beta
    from duologue.protocol.codec import Dialect
    from duologue.protocol.ga import (
        AudioFormat,
        AudioTranscription,
        Item,
        NoiseReduction,
        Prompt,
        Reasoning,
        ResponseAudio,
        Tool,
        ToolChoice,
        TracingConfig,
        Truncation,
        TurnDetection,
        VoiceId,
    )

__all__ = [
    "ResponseKeywords", "SessionKeywords", "function_tool", "response_params", "session_config",
]  # fmt: skip


class SessionKeywords(TypedDict, total=False):
    """Fields of a session; those that are left out keep their values."""

    instructions: str
    """The system prompt."""
    output_modalities: Sequence[str]
    """`["audio"]` or `["text"]`."""
    audio: AudioConfig
    tools: Sequence[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | str
    include: Sequence[str] | None
    prompt: Prompt | None
    reasoning: Reasoning
    tracing: str | TracingConfig | None
    truncation: Truncation
    voice: str | VoiceId
    """`audio.output.voice`"""
    speed: float
    """`audio.output.speed`"""
    turn_detection: TurnDetection | None
    """`audio.input.turn_detection`; `None` is push to talk."""
    input_audio_transcription: AudioTranscription | None
    """`audio.input.transcription`"""
    input_audio_noise_reduction: NoiseReduction | None
    """`audio.input.noise_reduction`"""
    input_audio_format: str
    """`audio.input.format`: `pcm16`, `g711_ulaw` or `g711_alaw`"""
    output_audio_format: str
    """`audio.output.format`"""
    modalities: Sequence[str]
    """`output_modalities` in beta's form: `["text", "audio"]` or `["text"]`"""
    max_response_output_tokens: int | str
    """`max_output_tokens`"""
    temperature: float
    """Beta only."""


class ResponseKeywords(TypedDict, total=False):
    """Fields of one response that override its session; see `ResponseCreateParams`."""

    conversation: str
    """`none` requests an out-of-band response, whose items stay outside the conversation."""
    input: list[Item]
    instructions: str
    output_modalities: list[str]
    audio: ResponseAudio
    tools: list[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | str
    metadata: dict[str, str] | None
    prompt: Prompt | None
    reasoning: Reasoning


M = TypeVar("M", AudioConfig, AudioInput, AudioOutput)

_INPUT_FIELDS: Final = {
    "turn_detection": "turn_detection",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "input_audio_format": "format",
}
_OUTPUT_FIELDS: Final = {"voice": "voice", "speed": "speed", "output_audio_format": "format"}
_FORMATS: Final[Mapping[str, AudioFormat]] = {
    "pcm16": AudioPcm(rate=24_000),
    "g711_ulaw": AudioPcmu(),
    "g711_alaw": AudioPcma(),
}


def session_config(
    session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None,
    keywords: SessionKeywords,
    *,
    dialect: Dialect = "ga",
) -> RealtimeSession | None:
    """Return a configuration with the keywords applied; `None` if both are empty.

    Raises:
        ConfigurationError: If a keyword is unknown, or the dialect has no such field.
    """
    session = _as_conversation(session, dialect)
    if not keywords:
        return session
    fields = _with_ga_names(keywords, dialect)
    input_ = {field: fields.pop(name) for name, field in _INPUT_FIELDS.items() if name in fields}
    output = {field: fields.pop(name) for name, field in _OUTPUT_FIELDS.items() if name in fields}
    unknown = fields.keys() - set(RealtimeSession.__struct_fields__)
    if unknown:
        names = ", ".join(sorted(map(repr, unknown)))
        raise ConfigurationError(f"a session has no field {names}")
    for name in ("tools", "output_modalities", "include"):  # typed as lists in the struct
        value = fields.get(name)
        if isinstance(value, tuple):
            fields[name] = list(value)  # pyright: ignore[reportUnknownArgumentType]  # of anything
    if isinstance(fields.get("audio"), Mapping):
        raise ConfigurationError("audio must be an AudioConfig of duologue.protocol.ga, not a dict")
    config = replace(session or RealtimeSession(), **fields)
    if input_ or output:
        audio = _or_new(config.audio, AudioConfig())
        if input_:
            audio = replace(audio, input=replace(_or_new(audio.input, AudioInput()), **input_))
        if output:
            audio = replace(audio, output=replace(_or_new(audio.output, AudioOutput()), **output))
        config = replace(config, audio=audio)
    return config


def _as_conversation(
    session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None, dialect: Dialect
) -> RealtimeSession | None:
    """Return a configuration of any kind and dialect in the form of a GA conversation's."""
    if session is None or isinstance(session, RealtimeSession):
        return session
    if isinstance(session, TranscriptionSession):
        return RealtimeSession(audio=session.audio, include=session.include)
    from duologue.protocol.dialects.beta import session_to_ga  # noqa: PLC0415  # imports beta

    if dialect == "ga":
        _refuse_temperature(session.temperature)
    return session_to_ga(session)


def response_params(
    params: ResponseCreateParams | None, keywords: ResponseKeywords
) -> ResponseCreateParams | UnsetType:
    """Return the parameters of a response with the keywords applied; `UNSET` if both are empty.

    Raises:
        ConfigurationError: If a keyword is unknown.
    """
    if not keywords:
        return UNSET if params is None else params
    unknown = keywords.keys() - set(ResponseCreateParams.__struct_fields__)
    if unknown:
        names = ", ".join(sorted(map(repr, unknown)))
        raise ConfigurationError(f"a response has no field {names}")
    return replace(params or ResponseCreateParams(), **keywords)


def function_tool(definition: FunctionTool | Mapping[str, Any]) -> FunctionTool:
    """Return a function's definition as a struct.

    Raises:
        ConfigurationError: If the mapping is not the definition of a function.
    """
    if isinstance(definition, FunctionTool):
        return definition
    try:
        return msgspec.convert({"type": "function", **definition}, FunctionTool)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"this is not the definition of a function: {error}") from None


def _with_ga_names(keywords: SessionKeywords, dialect: Dialect) -> dict[str, object]:
    """Return the keywords with beta names and values replaced by those of GA.

    The flat names of audio settings stay; `session_config` moves them to their places.
    """
    fields: dict[str, object] = dict(keywords)
    if "modalities" in fields:
        modalities = fields.pop("modalities")
        has_audio = isinstance(modalities, Collection) and "audio" in modalities
        fields["output_modalities"] = ["audio"] if has_audio else ["text"]
    if "max_response_output_tokens" in fields:
        fields["max_output_tokens"] = fields.pop("max_response_output_tokens")
    for name in fields.keys() & {"input_audio_format", "output_audio_format"}:
        value = fields[name]
        if not isinstance(value, str) or value not in _FORMATS:
            known = ", ".join(map(repr, _FORMATS))
            raise ConfigurationError(f"{name} must be one of {known}, not {value!r}")
        fields[name] = _FORMATS[value]
    if "temperature" in fields:
        if dialect == "ga":
            _refuse_temperature(fields["temperature"])
        # GA's struct has no such field; `extra` carries it to the translation into beta.
        fields["extra"] = {"temperature": fields.pop("temperature")}
    return fields


def _refuse_temperature(value: object) -> None:
    if not isinstance(value, UnsetType):
        raise ConfigurationError("GA has no temperature: leave it out, or use dialect='beta'")


def _or_new(value: M | UnsetType, new: M) -> M:
    return new if isinstance(value, UnsetType) else value
