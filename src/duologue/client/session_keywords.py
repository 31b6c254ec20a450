"""Session configuration from keywords: GA names, and the flat ones of the reference client."""

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
        NoiseReduction,
        Prompt,
        Reasoning,
        Tool,
        ToolChoice,
        TracingConfig,
        Truncation,
        TurnDetection,
        VoiceId,
    )

__all__ = ["SessionKeywords", "function_tool", "session_config", "transcription_config"]


class SessionKeywords(TypedDict, total=False):
    """What a session can be told; what is left out stays as it is."""

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
    """`output_modalities`, as beta says it: `["text", "audio"]` or `["text"]`"""
    max_response_output_tokens: int | str
    """`max_output_tokens`"""
    temperature: float
    """Beta only."""


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
    """Return the configuration of a struct with keywords laid over it; `None` if nothing is told.

    Raises:
        ConfigurationError: If a keyword is unknown, or the dialect has no such thing.
    """
    session = _of_a_conversation(session, dialect)
    if not keywords:
        return session
    told = _renamed(keywords, dialect)
    heard = {field: told.pop(name) for name, field in _INPUT_FIELDS.items() if name in told}
    spoken = {field: told.pop(name) for name, field in _OUTPUT_FIELDS.items() if name in told}
    unknown = told.keys() - set(RealtimeSession.__struct_fields__)
    if unknown:
        raise ConfigurationError(f"a session has no {', '.join(sorted(map(repr, unknown)))}")
    for name in ("tools", "output_modalities", "include"):
        value = told.get(name)
        if isinstance(value, tuple):
            told[name] = list(value)  # pyright: ignore[reportUnknownArgumentType]  # of whatever
    if isinstance(told.get("audio"), Mapping):
        raise ConfigurationError("audio is an AudioConfig of duologue.protocol.ga, not a dict")
    config = replace(session or RealtimeSession(), **told)
    if heard or spoken:
        audio = _or_new(config.audio, AudioConfig())
        if heard:
            audio = replace(audio, input=replace(_or_new(audio.input, AudioInput()), **heard))
        if spoken:
            audio = replace(audio, output=replace(_or_new(audio.output, AudioOutput()), **spoken))
        config = replace(config, audio=audio)
    return config


def _of_a_conversation(
    session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None, dialect: Dialect
) -> RealtimeSession | None:
    """Return a configuration in the words that all are kept in."""
    if session is None or isinstance(session, RealtimeSession):
        return session
    if isinstance(session, TranscriptionSession):
        return RealtimeSession(audio=session.audio, include=session.include)
    from duologue.client.beta import session_in_ga  # noqa: PLC0415  # only where beta is spoken

    if dialect == "ga":
        _refuse_temperature(session.temperature)
    return session_in_ga(session)


def transcription_config(config: RealtimeSession) -> TranscriptionSession:
    """Return a configuration as one of a session that transcribes.

    Raises:
        ConfigurationError: If it tells what such a session has not.
    """
    blank, rest = RealtimeSession(), replace(config, audio=UNSET, include=UNSET)
    told = [name for name in rest.__struct_fields__ if getattr(rest, name) != getattr(blank, name)]
    if told:
        raise ConfigurationError(f"a transcription session has no {', '.join(told)}")
    return TranscriptionSession(audio=config.audio, include=config.include)


def function_tool(definition: FunctionTool | Mapping[str, Any]) -> FunctionTool:
    """Return a tool's definition as a struct.

    Raises:
        ConfigurationError: If it is JSON of something else.
    """
    if isinstance(definition, FunctionTool):
        return definition
    try:
        return msgspec.convert({"type": "function", **definition}, FunctionTool)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"this is not the definition of a function: {error}") from None


def _renamed(keywords: SessionKeywords, dialect: Dialect) -> dict[str, object]:
    """Return keywords with classic names and values in today's place."""
    told: dict[str, object] = dict(keywords)
    if "modalities" in told:
        modalities = told.pop("modalities")
        has_audio = isinstance(modalities, Collection) and "audio" in modalities
        told["output_modalities"] = ["audio"] if has_audio else ["text"]
    if "max_response_output_tokens" in told:
        told["max_output_tokens"] = told.pop("max_response_output_tokens")
    for name in told.keys() & {"input_audio_format", "output_audio_format"}:
        wanted = told[name]
        if not isinstance(wanted, str) or wanted not in _FORMATS:
            known = ", ".join(map(repr, _FORMATS))
            raise ConfigurationError(f"{name} is one of {known}, not {wanted!r}")
        told[name] = _FORMATS[wanted]
    if "temperature" in told:
        if dialect == "ga":
            _refuse_temperature(told["temperature"])
        told["extra"] = {"temperature": told.pop("temperature")}
    return told


def _refuse_temperature(value: object) -> None:
    if not isinstance(value, UnsetType):
        raise ConfigurationError("GA has no temperature: leave it out, or connect in beta")


def _or_new(value: M | UnsetType, new: M) -> M:
    return new if isinstance(value, UnsetType) else value
