"""The configuration of a session: its type, its defaults, and how an update changes it.

A transcription session is a conversation that never responds. Its configuration is kept in a
conversation's shape, and shown to the client in its own.

Source: Realtime API reference, session object; the defaults of recorded GA traffic.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, TypeVar

import msgspec

from duologue.protocol import ga
from duologue.protocol.ga.translation import TranslationSession
from duologue.protocol.model import UNSET, Model, replace
from duologue.server.session.audio_input import check_format, input_of, output_of
from duologue.server.session.validation import InvalidRequest

__all__ = [
    "DEFAULT_INSTRUCTIONS",
    "DEFAULT_MODEL",
    "SessionType",
    "default_session",
    "first_session",
    "merge",
    "opened_session",
    "requested_change",
    "session_type_of",
    "shown_session",
    "updated_session",
]

DEFAULT_MODEL: Final = "gpt-realtime"

DEFAULT_INSTRUCTIONS: Final = (
    "You are a helpful, friendly voice assistant. Answer in one or two short spoken sentences."
)

_DEFAULT_VAD: Final = ga.ServerVad(
    threshold=0.5,
    prefix_padding_ms=300,
    silence_duration_ms=200,
    create_response=True,
    interrupt_response=True,
    idle_timeout_ms=None,
)

_DETECTION_DEFAULTS: Final[dict[type, ga.ServerVad | ga.SemanticVad]] = {
    ga.ServerVad: _DEFAULT_VAD,
    ga.SemanticVad: ga.SemanticVad(eagerness="auto", create_response=True, interrupt_response=True),
}

M = TypeVar("M", bound=Model)


class SessionType(Enum):
    """Purpose of a session, chosen when the client connects."""

    CONVERSATION = "realtime"
    """A model responds to the user."""
    TRANSCRIPTION = "transcription"
    """The user's speech is transcribed, without responses."""
    TRANSLATION = "translation"
    """The user's speech is translated, and spoken in another language."""


def session_type_of(
    session: ga.RealtimeSession | ga.TranscriptionSession | TranslationSession,
) -> SessionType:
    """Return the type of session that a configuration belongs to."""
    match session:
        case ga.RealtimeSession():
            return SessionType.CONVERSATION
        case ga.TranscriptionSession():
            return SessionType.TRANSCRIPTION
        case TranslationSession():
            return SessionType.TRANSLATION


# The first configuration.


def first_session(
    session_type: SessionType,
    requested: ga.RealtimeSession | ga.TranscriptionSession | None,
    *,
    session_id: str,
    model: str | None,
    expires_at: int,
) -> ga.RealtimeSession:
    """Return the configuration that a session begins with.

    Args:
        session_type: Conversation or transcription.
        requested: Configuration that a client secret is bound to.
        session_id: `sess_…`
        model: The model that responds; in a transcription session, the one that transcribes.
        expires_at: Unix seconds.

    Raises:
        InvalidRequest: If `requested` is invalid.
    """
    is_conversation = session_type is SessionType.CONVERSATION
    change = None if requested is None else requested_change(requested, session_type)
    session = opened_session(
        change,
        session_id=session_id,
        model=model if is_conversation and model is not None else DEFAULT_MODEL,
        expires_at=expires_at,
    )
    if is_conversation or model is None:
        return session
    audio_input = ga.AudioInput(transcription=ga.AudioTranscription(model=model))
    return merge(session, ga.RealtimeSession(audio=ga.AudioConfig(input=audio_input)))


def opened_session(
    requested: ga.RealtimeSession | None, *, session_id: str, model: str, expires_at: int
) -> ga.RealtimeSession:
    """Return the defaults, changed by what a client secret requests.

    Args:
        requested: Configuration that the client secret is bound to.
        session_id: `sess_…`
        model: The model of the URL; that of `requested` takes precedence.
        expires_at: Unix seconds.

    Raises:
        InvalidRequest: If `requested` is invalid.
    """
    if requested is not None and requested.model is not UNSET:
        model = requested.model
    session = default_session(session_id=session_id, model=model, expires_at=expires_at)
    return session if requested is None else updated_session(session, requested, spoken=False)


def default_session(*, session_id: str, model: str, expires_at: int) -> ga.RealtimeSession:
    """Return the configuration of a session whose client requests nothing."""
    pcm = ga.AudioPcm(rate=24000)
    return ga.RealtimeSession(
        id=session_id,
        object="realtime.session",
        model=model,
        output_modalities=["audio"],
        instructions=DEFAULT_INSTRUCTIONS,
        tools=[],
        tool_choice="auto",
        max_output_tokens="inf",
        tracing=None,
        truncation="auto",
        prompt=None,
        include=None,
        expires_at=expires_at,
        audio=ga.AudioConfig(
            input=ga.AudioInput(
                format=pcm,
                transcription=None,
                noise_reduction=None,
                turn_detection=_DEFAULT_VAD,
            ),
            output=ga.AudioOutput(format=pcm, voice="alloy", speed=1.0),
        ),
    )


# Updates.


def updated_session(
    session: ga.RealtimeSession, change: ga.RealtimeSession, *, spoken: bool
) -> ga.RealtimeSession:
    """Return the configuration after a `session.update`.

    Args:
        session: The present configuration.
        change: The client's update.
        spoken: Whether the session has generated audio: its voice cannot change after that.

    Raises:
        InvalidRequest: If the change is invalid; then none of it is made.
    """
    check_format(input_of(change).format, "session.audio.input.format")
    check_format(output_of(change).format, "session.audio.output.format")
    voice = output_of(change).voice
    if spoken and voice not in (UNSET, output_of(session).voice):
        raise InvalidRequest(
            "cannot_update_voice",
            "Cannot update a conversation's voice if assistant audio is present.",
            "session.audio.output.voice",
        )
    read_only = {"id": UNSET, "object": UNSET, "expires_at": UNSET, "model": UNSET}
    return merge(session, msgspec.structs.replace(_with_detection_defaults(change), **read_only))


def merge(base: M, change: M) -> M:
    """Return `base` with the fields that are set in `change`; lists are replaced whole."""
    changes: dict[str, object] = {}
    for name in change.__struct_fields__:
        new = getattr(change, name)
        if new is UNSET:
            continue
        old = getattr(base, name)
        same_type = isinstance(new, Model) and type(new) is type(old)
        changes[name] = merge(old, new) if same_type else new
    return msgspec.structs.replace(base, **changes)


def _with_detection_defaults(change: ga.RealtimeSession) -> ga.RealtimeSession:
    """Complete the turn detection of a change: it does not build on the present one."""
    requested = input_of(change).turn_detection
    default = _DETECTION_DEFAULTS.get(type(requested))
    if default is None or not isinstance(requested, ga.ServerVad | ga.SemanticVad):
        return change
    audio_input = ga.AudioInput(turn_detection=merge(default, requested))
    return merge(change, ga.RealtimeSession(audio=ga.AudioConfig(input=audio_input)))


# Transcription sessions.


def shown_session(session: ga.RealtimeSession, session_type: SessionType) -> ga.Session:
    """Return a configuration as the client of this type of session receives it."""
    session = _with_transcription_defaults(session)
    if session_type is SessionType.CONVERSATION:
        return session
    return ga.TranscriptionSession(
        id=session.id,
        object="realtime.transcription_session",
        expires_at=session.expires_at,
        include=session.include,
        audio=ga.AudioConfig(input=_without_responses(input_of(session))),
    )


def _with_transcription_defaults(session: ga.RealtimeSession) -> ga.RealtimeSession:
    """Show `language` and `prompt` of the transcription as null if they are not set."""
    transcription = input_of(session).transcription
    if not isinstance(transcription, ga.AudioTranscription):
        return session
    shown = merge(ga.AudioTranscription(language=None, prompt=None), transcription)
    audio_input = ga.AudioInput(transcription=shown)
    return merge(session, ga.RealtimeSession(audio=ga.AudioConfig(input=audio_input)))


def requested_change(change: ga.Session, session_type: SessionType) -> ga.RealtimeSession:
    """Return a client's update in the shape in which the configuration is kept.

    Raises:
        InvalidRequest: If it is the update of another type of session.
    """
    if session_type is SessionType.CONVERSATION and isinstance(change, ga.RealtimeSession):
        return change
    if session_type is SessionType.CONVERSATION:
        message = (
            "Passing a transcription session update event to a realtime session is not allowed."
            " Connect with ?intent=transcription and without a model."
        )
        raise InvalidRequest("invalid_parameter", message, "session.type")
    if not isinstance(change, ga.TranscriptionSession):
        message = (
            "Passing a realtime session update event to a transcription session is not allowed."
            " Connect with ?model= and without an intent."
        )
        raise InvalidRequest("invalid_parameter", message, "session.type")
    if change.audio is not UNSET and change.audio.output is not UNSET:
        path = "session.audio.output"
        raise InvalidRequest("unknown_parameter", f"Unknown parameter: '{path}'.", path)
    audio_input = _without_responses(input_of(change))
    return ga.RealtimeSession(include=change.include, audio=ga.AudioConfig(input=audio_input))


def _without_responses(audio_input: ga.AudioInput) -> ga.AudioInput:
    """Leave out the fields of turn detection that are about responses: they have no meaning."""
    match audio_input.turn_detection:
        case ga.ServerVad() as server_vad:
            silent = replace(
                server_vad, create_response=UNSET, interrupt_response=UNSET, idle_timeout_ms=UNSET
            )
            return replace(audio_input, turn_detection=silent)
        case ga.SemanticVad() as semantic_vad:
            silenced = replace(semantic_vad, create_response=UNSET, interrupt_response=UNSET)
            return replace(audio_input, turn_detection=silenced)
        case _:
            return audio_input
