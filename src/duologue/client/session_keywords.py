"""Keyword arguments of sessions and responses: GA names, and the reference client's flat names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict, cast

from duologue.client.coercion import (
    coerce,
    hint,
    is_mapping,
    nearest,
    plain,
    with_ga_parts,
)
from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    FunctionTool,
    RealtimeSession,
    ResponseCreateParams,
    TranscriptionSession,
)
from duologue.protocol.model import UNSET, Model, UnsetType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol import beta
    from duologue.protocol.codec import Dialect
    from duologue.protocol.ga import (
        AudioConfig,
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
    from duologue.protocol.model import Json

__all__ = [
    "AUDIO_FIELDS", "ParamsArgument", "ResponseKeywords", "SessionArgument", "SessionKeywords",
    "function_tool", "response_params", "session_config",
]  # fmt: skip


Fields: TypeAlias = Mapping[str, Any]
"""A dictionary in place of a struct."""


class SessionKeywords(TypedDict, total=False):
    """Fields of a session; those that are left out keep their values.

    Where a struct is expected, a dictionary of its fields is accepted, too.
    """

    instructions: str
    """The system prompt."""
    output_modalities: Sequence[str]
    """`["audio"]` or `["text"]`."""
    audio: AudioConfig | Fields
    tools: Sequence[Tool | Fields]
    tool_choice: ToolChoice | Fields
    parallel_tool_calls: bool
    max_output_tokens: int | str
    include: Sequence[str] | None
    prompt: Prompt | Fields | None
    reasoning: Reasoning | Fields
    tracing: str | TracingConfig | Fields | None
    truncation: Truncation | Fields
    voice: str | VoiceId | Fields
    """`audio.output.voice`"""
    speed: float
    """`audio.output.speed`"""
    turn_detection: TurnDetection | Fields | None
    """`audio.input.turn_detection`; `None` is push to talk."""
    input_audio_transcription: AudioTranscription | Fields | None
    """`audio.input.transcription`"""
    input_audio_noise_reduction: NoiseReduction | Fields | None
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
    input: Sequence[Item | beta.Item | Fields]
    instructions: str
    output_modalities: Sequence[str]
    audio: ResponseAudio | Fields
    tools: Sequence[Tool | Fields]
    tool_choice: ToolChoice | Fields
    parallel_tool_calls: bool
    max_output_tokens: int | str
    metadata: Mapping[str, str] | None
    prompt: Prompt | Fields | None
    reasoning: Reasoning | Fields


SessionArgument: TypeAlias = (
    "RealtimeSession | TranscriptionSession | beta.SessionConfig | Mapping[str, Any]"
)
"""A configuration as an application may give it."""

ParamsArgument: TypeAlias = "ResponseCreateParams | beta.ResponseCreateParams | Mapping[str, Any]"
"""Parameters of a response as an application may give them."""

_Json = dict[str, Any]

AUDIO_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "turn_detection": ("input", "turn_detection"),
    "input_audio_transcription": ("input", "transcription"),
    "input_audio_noise_reduction": ("input", "noise_reduction"),
    "input_audio_format": ("input", "format"),
    "voice": ("output", "voice"),
    "speed": ("output", "speed"),
    "output_audio_format": ("output", "format"),
}
"""Flat names of audio settings, and their places in `audio`."""

_SESSION_NAMES: Final = frozenset(
    {*RealtimeSession.__struct_fields__, *SessionKeywords.__annotations__}
)
_RESPONSE_NAMES: Final = frozenset(
    {
        *ResponseCreateParams.__struct_fields__,
        *("voice", "output_audio_format"),
        *("modalities", "max_response_output_tokens", "temperature"),
    }
)
"""Names of fields in either dialect."""

_FORMATS: Final[Mapping[str, Mapping[str, Json]]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}

_LIKENESS: Final = 0.85
"""Unknown fields of a dictionary that resemble a known name more than this are misspelled."""


def session_config(
    session: SessionArgument | None, keywords: Mapping[str, object], *, dialect: Dialect = "ga"
) -> RealtimeSession | None:
    """Return a configuration with the keywords applied, as a GA conversation's; `None` without any.

    Raises:
        ConfigurationError: If a keyword is unknown, a value does not fit its field, or the dialect
            has no such field.
    """
    given = _fields_of(session, "session", dialect)
    _check_temperature(keywords, dialect)
    fields = given | plain(keywords, at="")
    if not fields:
        return RealtimeSession() if isinstance(session, Model) else None
    if fields.pop("type", "realtime") not in ("realtime", "transcription"):
        raise ConfigurationError("session.type must be 'realtime' or 'transcription'")
    _check_names(session, keywords, _SESSION_NAMES, "a session")
    config: RealtimeSession = coerce(
        {"type": "realtime", **_in_ga(fields, _SESSION_NAMES)},
        RealtimeSession,
        at="session" if given else "",
        error=ConfigurationError,
        has_extra=isinstance(session, Model),
    )
    return config


def response_params(
    params: ParamsArgument | None, keywords: Mapping[str, object], *, dialect: Dialect = "ga"
) -> ResponseCreateParams | UnsetType:
    """Return the parameters of a response with the keywords applied; `UNSET` if there are none.

    Raises:
        ConfigurationError: If a keyword is unknown, or a value does not fit its field.
    """
    if params is None and not keywords:
        return UNSET
    given = _fields_of(params, "response", dialect)
    _check_temperature(keywords, dialect)
    fields = given | plain(keywords, at="")
    _check_names(params, keywords, _RESPONSE_NAMES, "a response")
    if isinstance(fields.get("input"), list):
        fields["input"] = [with_ga_parts(item) for item in fields["input"]]
    result: ResponseCreateParams = coerce(
        _in_ga(fields, _RESPONSE_NAMES),
        ResponseCreateParams,
        at="response" if given else "",
        error=ConfigurationError,
        has_extra=isinstance(params, Model),
    )
    return result


def function_tool(definition: FunctionTool | Mapping[str, Any]) -> FunctionTool:
    """Return a function's definition as a struct.

    Raises:
        ConfigurationError: If the mapping is not the definition of a function.
    """
    fields = _fields_of(definition, "the definition", "ga")
    tool: FunctionTool = coerce(
        {"type": "function", **fields},
        FunctionTool,
        at="the definition",
        error=ConfigurationError,
        has_extra=isinstance(definition, FunctionTool),
    )
    return tool


def _fields_of(value: object, name: str, dialect: Dialect) -> _Json:
    """Return the fields of a configuration, under the names that it has for them."""
    if value is None:
        return {}
    if not (isinstance(value, Model) or is_mapping(value)):
        text = f"{name} must be a struct of duologue.protocol, or a dictionary"
        raise ConfigurationError(f"{text}, not {type(value).__name__}")
    fields = cast("_Json", plain(value, at=name))
    if isinstance(value, TranscriptionSession):
        fields = {key: fields[key] for key in ("audio", "include") if key in fields}
    if not isinstance(value, RealtimeSession | ResponseCreateParams):
        _check_temperature(fields, dialect)
    return fields


def _check_temperature(fields: Mapping[str, object], dialect: Dialect) -> None:
    if dialect == "ga" and "temperature" in fields:
        raise ConfigurationError("GA has no temperature: leave it out, or use dialect='beta'")


def _check_names(
    config: object, keywords: Mapping[str, object], known: Collection[str], owner: str
) -> None:
    """Refuse unknown keywords, and names in a dictionary that are misspelled.

    Other unknown names in a dictionary are meant: services add fields of their own.
    """
    for name in keywords:
        if name not in known:
            raise ConfigurationError(f"{owner} has no field {name!r}{hint(name, known)}")
    for name in map(str, config) if is_mapping(config) else ():
        match = None if name in known else nearest(name, known, likeness=_LIKENESS)
        if match is not None:
            raise ConfigurationError(f"{owner} has no field {name!r}: did you mean {match!r}?")


def _in_ga(fields: _Json, names: Collection[str]) -> _Json:
    """Return the fields of a configuration under their names in GA.

    GA has no temperature: it stays an unknown field, which the translation to beta writes back.
    """
    fields = dict(fields)
    if "modalities" in fields:
        modalities = fields.pop("modalities")
        has_audio = isinstance(modalities, Collection) and "audio" in modalities
        fields["output_modalities"] = ["audio"] if has_audio else ["text"]
    if "max_response_output_tokens" in fields:
        fields["max_output_tokens"] = fields.pop("max_response_output_tokens")
    for name, (side, field) in AUDIO_FIELDS.items():
        if name in fields and name in names:
            value = fields.pop(name)
            audio = fields["audio"] = _object(fields.get("audio"), "audio")
            settings = audio[side] = _object(audio.get(side), f"audio.{side}")
            settings[field] = _format(value, name) if field == "format" else value
    return fields


def _object(value: object, name: str) -> _Json:
    if isinstance(value, dict):
        return dict(cast("_Json", value))
    if value is None:
        return {}
    raise ConfigurationError(f"{name} must be an object, not {type(value).__name__}")


def _format(value: object, name: str) -> Mapping[str, Json]:
    if isinstance(value, str) and value in _FORMATS:
        return _FORMATS[value]
    known = ", ".join(map(repr, _FORMATS))
    raise ConfigurationError(f"{name} must be one of {known}, not {value!r}")
