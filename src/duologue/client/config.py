"""Session configuration from keywords: GA names, and a few flat ones of the reference client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict, TypeVar

from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    AudioConfig,
    AudioInput,
    AudioOutput,
    RealtimeSession,
)
from duologue.protocol.model import UnsetType, replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.ga import (
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

__all__ = ["SessionKeywords", "session_config"]


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


M = TypeVar("M", AudioConfig, AudioInput, AudioOutput)

_INPUT_FIELDS: Final = {
    "turn_detection": "turn_detection",
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
}
_OUTPUT_FIELDS: Final = {"voice": "voice", "speed": "speed"}


def session_config(
    session: RealtimeSession | None, keywords: SessionKeywords
) -> RealtimeSession | None:
    """Return the configuration of a struct with keywords laid over it; `None` if nothing is told.

    Raises:
        ConfigurationError: If a keyword is unknown.
    """
    if not keywords:
        return session
    told: dict[str, object] = dict(keywords)
    heard = {field: told.pop(name) for name, field in _INPUT_FIELDS.items() if name in told}
    spoken = {field: told.pop(name) for name, field in _OUTPUT_FIELDS.items() if name in told}
    unknown = told.keys() - set(RealtimeSession.__struct_fields__)
    if unknown:
        raise ConfigurationError(f"a session has no {', '.join(sorted(map(repr, unknown)))}")
    for name in ("tools", "output_modalities", "include"):
        value = told.get(name)
        if isinstance(value, tuple):
            told[name] = list(value)  # pyright: ignore[reportUnknownArgumentType]  # of whatever
    config = replace(session or RealtimeSession(), **told)
    if heard or spoken:
        audio = _or_new(config.audio, AudioConfig())
        if heard:
            audio = replace(audio, input=replace(_or_new(audio.input, AudioInput()), **heard))
        if spoken:
            audio = replace(audio, output=replace(_or_new(audio.output, AudioOutput()), **spoken))
        config = replace(config, audio=audio)
    return config


def _or_new(value: M | UnsetType, new: M) -> M:
    return new if isinstance(value, UnsetType) else value
