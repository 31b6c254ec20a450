"""Session configurations: flat in beta, nested in GA, with a type of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

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
from duologue.protocol.translate._carry import Extra, carry, json_of, reread, without
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


def session_to_ga(session: beta.Session | beta.SessionConfig, losses: Losses) -> ga.Session:
    """Return a beta session in GA's words."""
    if isinstance(session.extra, dict) and "type" in session.extra:
        return ga.UnknownSession(raw=json_of(session))  # it was GA's, of a kind nobody knows
    losses.drop("temperature", session.temperature, LossRule.TEMPERATURE)
    losses.drop("client_secret", session.client_secret, LossRule.CLIENT_SECRET)
    extra, rest = without(session.extra, "audio")
    output = {
        "format": format_to_ga(session.output_audio_format),
        "voice": session.voice,
        "speed": session.speed,
    }
    return carry(
        session,
        ga.RealtimeSession,
        extra=extra,
        output_modalities=modalities_to_ga(session.modalities),
        max_output_tokens=session.max_response_output_tokens,
        audio=_audio_to_ga(rest, ga.AudioConfig, input=_input_to_ga(session), output=output),
    )


def session_to_beta(
    session: ga.RealtimeSession | ga.UnknownSession, kind: type[Flat], losses: Losses
) -> Flat:
    """Return a GA session in beta's words."""
    if isinstance(session, ga.UnknownSession):
        known: Flat | None = reread(session.raw, kind)
        return known or kind(extra=session.raw)
    losses.drop("reasoning", session.reasoning, LossRule.REASONING)
    losses.drop("parallel_tool_calls", session.parallel_tool_calls, LossRule.PARALLEL_TOOL_CALLS)
    output = (session.audio and session.audio.output) or ga.AudioOutput()
    flat = carry(
        session,
        kind,
        extra=_with_state(_with_rest(session.extra, session.audio), session, kind),
        modalities=modalities_to_beta(session.output_modalities),
        max_response_output_tokens=session.max_output_tokens,
        output_audio_format=format_to_beta(output.format, losses, "audio.output.format"),
        voice=output.voice,
        speed=output.speed,
    )
    return _with_input(flat, session.audio, losses)


def transcription_to_ga(
    session: beta.TranscriptionSession | beta.TranscriptionSessionConfig, losses: Losses
) -> ga.TranscriptionSession:
    """Return a beta transcription session in GA's words."""
    losses.drop("client_secret", session.client_secret, LossRule.CLIENT_SECRET)
    losses.drop("modalities", session.modalities, LossRule.TRANSCRIPTION_MODALITIES)
    extra, rest = without(session.extra, "audio")
    audio = _audio_to_ga(rest, ga.AudioConfig, input=_input_to_ga(session))
    return carry(session, ga.TranscriptionSession, extra=extra, audio=audio)


def transcription_to_beta(
    session: ga.TranscriptionSession, kind: type[FlatTranscription], losses: Losses
) -> FlatTranscription:
    """Return a GA transcription session in beta's words."""
    extra = _with_state(_with_rest(session.extra, session.audio, has_voice=False), session, kind)
    return _with_input(carry(session, kind, extra=extra), session.audio, losses)


def response_audio_to_ga(
    response: beta.Response | beta.ResponseCreateParams,
) -> tuple[Extra, ga.ResponseAudio | UnsetType]:
    """Return a response's unknown fields, and its voice and format as GA nests them."""
    extra, rest = without(response.extra, "audio")
    output = {"format": format_to_ga(response.output_audio_format), "voice": response.voice}
    return extra, _audio_to_ga(rest, ga.ResponseAudio, output=output)


def response_audio_to_beta(
    response: ga.Response | ga.ResponseCreateParams, losses: Losses
) -> dict[str, object]:
    """Return the fields of a beta response that say what GA nests."""
    output = (response.audio and response.audio.output) or ga.ResponseAudioOutput()
    return {
        "extra": _with_rest(response.extra, response.audio),
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


def _with_input(flat: S, audio: ga.AudioConfig | UnsetType, losses: Losses) -> S:
    """Return a flat session with what it says of GA's `audio.input`."""
    given = (audio and audio.input) or ga.AudioInput()
    return msgspec.structs.replace(
        flat,
        input_audio_format=format_to_beta(given.format, losses, "audio.input.format"),
        input_audio_transcription=given.transcription,
        input_audio_noise_reduction=given.noise_reduction,
        turn_detection=turn_detection_to_beta(given.turn_detection),
    )


def _audio_to_ga(
    rest: dict[str, Json], kind: type[S], **sides: Mapping[str, object]
) -> S | UnsetType:
    """Return `audio`: what `_with_rest` kept of it, and what the flat fields say."""
    audio = reread(rest, kind) or kind()
    for side, fields in sides.items():
        given = {name: value for name, value in fields.items() if value is not UNSET}
        if given:
            before = getattr(audio, side) or _SIDES[kind, side]()
            after = msgspec.structs.replace(before, **given)
            audio = msgspec.structs.replace(audio, **{side: after})
    return UNSET if audio == kind() else audio


_SIDES: dict[tuple[type, str], type[msgspec.Struct]] = {
    (ga.AudioConfig, "input"): ga.AudioInput,
    (ga.AudioConfig, "output"): ga.AudioOutput,
    (ga.ResponseAudio, "output"): ga.ResponseAudioOutput,
}


def _with_rest(
    extra: Extra,
    audio: ga.AudioConfig | ga.ResponseAudio | UnsetType,
    *,
    has_voice: bool = True,
) -> Extra:
    """Return unknown fields with what flat fields cannot say of `audio`, in its own place.

    These are the unknown fields of the nested objects, and a transcription session's output.
    """
    if not audio:
        return extra
    rest: dict[str, Json] = dict(audio.extra) if isinstance(audio.extra, dict) else {}
    if isinstance(audio, ga.AudioConfig) and audio.input and isinstance(audio.input.extra, dict):
        rest["input"] = audio.input.extra
    if audio.output and not has_voice:
        rest["output"] = json_of(audio.output)
    elif audio.output and isinstance(audio.output.extra, dict):
        rest["output"] = audio.output.extra
    if not rest:
        return extra
    return ({} if extra is UNSET else extra) | {"audio": rest}


def _with_state(
    extra: Extra, session: ga.RealtimeSession | ga.TranscriptionSession, kind: type[msgspec.Struct]
) -> Extra:
    """Return unknown fields with what only a server says, if beta's type for clients lacks it."""
    state = {"id": session.id, "object": session.object, "expires_at": session.expires_at}
    lacking = {
        name: value
        for name, value in state.items()
        if value is not UNSET and name not in kind.__struct_fields__
    }
    return ({} if extra is UNSET else extra) | lacking if lacking else extra
