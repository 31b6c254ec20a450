"""Translation of session configurations: flat in beta, nested and tagged with a type in GA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET, Json, UnsetType
from duologue.protocol.translate._audio import (
    format_to_beta,
    format_to_ga,
    modalities_to_beta,
    modalities_to_ga,
    turn_detection_to_beta,
    turn_detection_to_ga,
)
from duologue.protocol.translate._copy import (
    Extra,
    copy_as,
    fit,
    join,
    json_of,
    with_nulls,
)
from duologue.protocol.translate._losses import Losses, LossRule

__all__ = [
    "response_audio_to_beta",
    "response_audio_to_ga",
    "session_to_beta",
    "session_to_ga",
    "transcription_to_beta",
    "transcription_to_ga",
]

Flat = TypeVar("Flat", bound="beta.Session | beta.SessionConfig")
FlatTranscription = TypeVar(
    "FlatTranscription", bound="beta.TranscriptionSession | beta.TranscriptionSessionConfig"
)
S = TypeVar("S", bound=msgspec.Struct)
A = TypeVar("A", ga.AudioConfig, ga.ResponseAudio)

_REALTIME: Final = "realtime"
_TRANSCRIPTION: Final = "transcription"


def session_to_ga(session: beta.Session | beta.SessionConfig, losses: Losses) -> ga.Session:
    """Return a beta session in GA. If it has a `type`, that is GA's."""
    kind = session.extra.get("type", _REALTIME) if isinstance(session.extra, dict) else _REALTIME
    if kind not in (_REALTIME, _TRANSCRIPTION):  # no set: it may be a list
        return ga.UnknownSession(raw=json_of(session))
    session = with_nulls(_without_type(session))
    losses.drop("temperature", session.temperature, LossRule.TEMPERATURE)
    losses.drop("client_secret", session.client_secret, LossRule.CLIENT_SECRET)
    if kind == _TRANSCRIPTION:
        losses.drop("modalities", session.modalities, LossRule.TRANSCRIPTION_MODALITIES)
        session = msgspec.structs.replace(session, modalities=UNSET)
    output = {
        "format": format_to_ga(session.output_audio_format),
        "voice": session.voice,
        "speed": session.speed,
    }
    conversation = copy_as(
        session,
        ga.RealtimeSession,
        losses,
        output_modalities=modalities_to_ga(session.modalities),
        max_output_tokens=session.max_response_output_tokens,
        **_audio_to_ga(
            session.extra, ga.AudioConfig, losses, input=_input_to_ga(session), output=output
        ),
    )
    if kind == _TRANSCRIPTION:
        body = json_of(conversation) | {"type": _TRANSCRIPTION}
        return fit(body, ga.TranscriptionSession) or ga.UnknownSession(raw=body)
    return conversation


def _without_type(
    session: beta.Session | beta.SessionConfig,
) -> beta.Session | beta.SessionConfig:
    if session.extra is UNSET:
        return session
    rest = {name: value for name, value in session.extra.items() if name != "type"}
    return msgspec.structs.replace(session, extra=rest or UNSET)


def session_to_beta(
    session: ga.RealtimeSession | ga.UnknownSession, kind: type[Flat], losses: Losses
) -> Flat:
    """Return a GA session in beta."""
    if isinstance(session, ga.UnknownSession):
        return fit(session.raw, kind) or kind(extra=session.raw)
    session = with_nulls(session)
    losses.drop("reasoning", session.reasoning, LossRule.REASONING)
    losses.drop("parallel_tool_calls", session.parallel_tool_calls, LossRule.PARALLEL_TOOL_CALLS)
    audio = _without_nulls(session.audio, ga.AudioConfig, losses)
    output = with_nulls(audio.output or ga.AudioOutput())
    return copy_as(
        session,
        kind,
        losses,
        extra=_with_state(_with_rest(session.extra, audio), session, kind),
        modalities=modalities_to_beta(session.output_modalities),
        max_response_output_tokens=session.max_output_tokens,
        output_audio_format=format_to_beta(output.format, losses, "audio.output.format"),
        voice=output.voice,
        speed=output.speed,
        **_input_to_beta(audio, losses),
    )


def transcription_to_ga(
    session: beta.TranscriptionSession | beta.TranscriptionSessionConfig, losses: Losses
) -> ga.TranscriptionSession:
    """Return a beta transcription session in GA."""
    session = with_nulls(session)
    losses.drop("client_secret", session.client_secret, LossRule.CLIENT_SECRET)
    losses.drop("modalities", session.modalities, LossRule.TRANSCRIPTION_MODALITIES)
    audio = _audio_to_ga(session.extra, ga.AudioConfig, losses, input=_input_to_ga(session))
    return copy_as(session, ga.TranscriptionSession, losses, **audio)


def transcription_to_beta(
    session: ga.TranscriptionSession, kind: type[FlatTranscription], losses: Losses
) -> FlatTranscription:
    """Return a GA transcription session in beta."""
    session = with_nulls(session)
    audio = _without_nulls(session.audio, ga.AudioConfig, losses)
    extra = _with_state(_with_rest(session.extra, audio, has_voice=False), session, kind)
    return copy_as(session, kind, losses, extra=extra, **_input_to_beta(audio, losses))


def response_audio_to_ga(
    response: beta.Response | beta.ResponseCreateParams, losses: Losses
) -> dict[str, Any]:
    """Return the `audio` and `extra` of a GA response: GA nests the voice and the format."""
    output = {"format": format_to_ga(response.output_audio_format), "voice": response.voice}
    return _audio_to_ga(response.extra, ga.ResponseAudio, losses, output=output)


def response_audio_to_beta(
    response: ga.Response | ga.ResponseCreateParams, losses: Losses
) -> dict[str, Any]:
    """Return the flat fields of a beta response that GA nests in `audio`."""
    audio = _without_nulls(response.audio, ga.ResponseAudio, losses)
    output = with_nulls(audio.output or ga.ResponseAudioOutput())
    return {
        "extra": _with_rest(response.extra, audio),
        "output_audio_format": format_to_beta(output.format, losses, "audio.output.format"),
        "voice": output.voice,
    }


def _input_to_ga(
    session: beta.Session
    | beta.SessionConfig
    | beta.TranscriptionSession
    | beta.TranscriptionSessionConfig,
) -> dict[str, object]:
    return {
        "format": format_to_ga(session.input_audio_format),
        "transcription": session.input_audio_transcription,
        "noise_reduction": session.input_audio_noise_reduction,
        "turn_detection": turn_detection_to_ga(session.turn_detection),
    }


def _input_to_beta(audio: ga.AudioConfig, losses: Losses) -> dict[str, Any]:
    """Return the flat fields of a beta session that GA nests in `audio.input`."""
    given = with_nulls(audio.input or ga.AudioInput())
    return {
        "input_audio_format": format_to_beta(given.format, losses, "audio.input.format"),
        "input_audio_transcription": given.transcription,
        "input_audio_noise_reduction": given.noise_reduction,
        "turn_detection": turn_detection_to_beta(given.turn_detection),
    }


def _audio_to_ga(
    extra: Extra, kind: type[S], losses: Losses, **sides: Mapping[str, object]
) -> dict[str, Any]:
    """Return the `audio` and `extra` of a GA object, from flat fields and unknown fields.

    Args:
        extra: Unknown fields of the beta object. An `audio` among them comes from `_with_rest`, or
            from a server that mixes the dialects, and is merged with the flat fields.
        kind: Type of `audio`.
        losses: Receives what the merge overrides.
        sides: Flat fields of `input` and `output`, by their GA names.
    """
    ours: dict[str, dict[str, Json]] = {}
    for side, fields in sides.items():
        given = {name: _json(value) for name, value in fields.items() if value is not UNSET}
        if given:
            ours[side] = given
    theirs: Json = {} if extra is UNSET else extra.get("audio", {})
    if not isinstance(theirs, dict):
        if not ours:
            return {"extra": extra, "audio": UNSET}
        losses.drop("audio", theirs, LossRule.TAKEN)
        theirs = {}
    rest = {} if extra is UNSET else {name: extra[name] for name in extra if name != "audio"}
    audio = _joined(theirs, ours, kind, losses.under("audio"))
    return {"extra": rest or UNSET, "audio": UNSET if audio == kind() else audio}


def _joined(
    theirs: dict[str, Json], ours: dict[str, dict[str, Json]], kind: type[S], losses: Losses
) -> S:
    known: dict[str, object] = {}
    for side, side_kind in _SIDES[kind].items():
        existing = theirs.get(side, {})
        given = ours.get(side, {})
        if isinstance(existing, dict):
            if side in theirs or given:
                known[side] = fit(join(existing, given, losses.under(side)), side_kind)
        elif given:
            losses.drop(side, existing, LossRule.TAKEN)
            known[side] = fit(given, side_kind)
    rest = {name: value for name, value in theirs.items() if name not in known}
    return kind(**known, extra=rest or UNSET)


def _json(value: object) -> Any:  # noqa: ANN401  # any JSON
    return json_of(value) if isinstance(value, msgspec.Struct) else value


_SIDES: Final[Mapping[type, Mapping[str, type[msgspec.Struct]]]] = {
    ga.AudioConfig: {"input": ga.AudioInput, "output": ga.AudioOutput},
    ga.ResponseAudio: {"output": ga.ResponseAudioOutput},
}


def _without_nulls(audio: A | UnsetType | None, kind: type[A], losses: Losses) -> A:
    """Return GA's `audio` without nulls in place of objects, which beta cannot express."""
    if audio is None:
        losses.drop("audio", None, LossRule.NULL_OBJECT)
    whole = with_nulls(audio or kind())
    nulls = {side: UNSET for side in _SIDES[kind] if getattr(whole, side) is None}
    for side in nulls:
        losses.under("audio").drop(side, None, LossRule.NULL_OBJECT)
    return msgspec.structs.replace(whole, **nulls)


def _with_rest(
    extra: Extra, audio: ga.AudioConfig | ga.ResponseAudio, *, has_voice: bool = True
) -> Extra:
    """Return unknown fields plus an `audio` with all that beta's flat fields cannot express.

    These are the unknown fields of the nested objects, and the output of a transcription session.
    """
    rest: dict[str, Json] = dict(audio.extra) if isinstance(audio.extra, dict) else {}
    if isinstance(audio, ga.AudioConfig) and audio.input:
        rest |= _side("input", with_nulls(audio.input).extra)
    if audio.output and not has_voice:
        rest["output"] = json_of(audio.output)
    elif audio.output:
        rest |= _side("output", with_nulls(audio.output).extra)
    if not rest:
        return extra
    return ({} if extra is UNSET else extra) | {"audio": rest}


def _side(name: str, extra: Extra) -> dict[str, Json]:
    return {} if extra is UNSET else {name: extra}


def _with_state(
    extra: Extra, session: ga.RealtimeSession | ga.TranscriptionSession, kind: type[msgspec.Struct]
) -> Extra:
    """Return unknown fields plus those that only servers set, if beta's type lacks them."""
    state = {"id": session.id, "object": session.object, "expires_at": session.expires_at}
    lacking = {
        name: value
        for name, value in state.items()
        if value is not UNSET and name not in kind.__struct_fields__
    }
    return ({} if extra is UNSET else extra) | lacking if lacking else extra
