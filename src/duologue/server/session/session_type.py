"""What a session is for, and its configuration in the words of its kind.

A transcription session is a conversation's ear alone. It is kept as a conversation is, and told to
the client as what it is: its input, and nothing of answers.
"""

from __future__ import annotations

from enum import Enum

from duologue.protocol import ga
from duologue.protocol.ga.translation import TranslationSession
from duologue.protocol.model import UNSET, replace
from duologue.server.session.audio_formats import input_of
from duologue.server.session.config import DEFAULT_MODEL, merge, opened_session
from duologue.server.session.validation import InvalidRequest

__all__ = [
    "SessionType",
    "asked_change",
    "first_session",
    "session_type_of",
    "shown_session",
]


class SessionType(Enum):
    """What a session is for; chosen when connecting."""

    CONVERSATION = "realtime"
    """A model answers."""
    TRANSCRIPTION = "transcription"
    """The user's words, and no answer."""
    TRANSLATION = "translation"
    """The user's words in another language, spoken."""


def session_type_of(
    session: ga.RealtimeSession | ga.TranscriptionSession | TranslationSession,
) -> SessionType:
    """Return what a configuration is for."""
    match session:
        case ga.RealtimeSession():
            return SessionType.CONVERSATION
        case ga.TranscriptionSession():
            return SessionType.TRANSCRIPTION
        case TranslationSession():
            return SessionType.TRANSLATION


def first_session(
    kind: SessionType,
    asked: ga.RealtimeSession | ga.TranscriptionSession | None,
    *,
    session_id: str,
    model: str | None,
    expires_at: int,
) -> ga.RealtimeSession:
    """Return the configuration that a session begins with.

    Args:
        kind: A conversation, or transcription.
        asked: What a client secret is bound to; `None`: nothing yet.
        session_id: `sess_…`
        model: The one that answers; for transcription the one that transcribes, if it is named.
        expires_at: Unix seconds.

    Raises:
        InvalidRequest: If what is asked for cannot be.
    """
    change = None if asked is None else asked_change(asked, kind)
    answers = model if kind is SessionType.CONVERSATION and model is not None else DEFAULT_MODEL
    session = opened_session(change, session_id=session_id, model=answers, expires_at=expires_at)
    if kind is SessionType.CONVERSATION or model is None:
        return session
    heard = ga.AudioInput(transcription=ga.AudioTranscription(model=model))
    return merge(session, ga.RealtimeSession(audio=ga.AudioConfig(input=heard)))


def shown_session(session: ga.RealtimeSession, kind: SessionType) -> ga.Session:
    """Return a configuration as its client is told of it."""
    if kind is SessionType.CONVERSATION:
        return session
    return ga.TranscriptionSession(
        id=session.id,
        object="realtime.transcription_session",
        expires_at=session.expires_at,
        include=session.include,
        audio=ga.AudioConfig(input=_without_answers(input_of(session))),
    )


def asked_change(change: ga.Session, kind: SessionType) -> ga.RealtimeSession:
    """Return what a client wants changed, in the words in which the session is kept.

    Raises:
        InvalidRequest: If it is the change of a session of another kind.
    """
    if kind is SessionType.CONVERSATION and isinstance(change, ga.RealtimeSession):
        return change
    if kind is SessionType.CONVERSATION:
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
    heard = _without_answers(input_of(change))
    return ga.RealtimeSession(include=change.include, audio=ga.AudioConfig(input=heard))


def _without_answers(heard: ga.AudioInput) -> ga.AudioInput:
    """Leave out what turn detection says about answers: typed here, too, but without meaning."""
    match heard.turn_detection:
        case ga.ServerVad() as vad:
            silent = replace(
                vad, create_response=UNSET, interrupt_response=UNSET, idle_timeout_ms=UNSET
            )
            return replace(heard, turn_detection=silent)
        case ga.SemanticVad() as vad:
            silenced = replace(vad, create_response=UNSET, interrupt_response=UNSET)
            return replace(heard, turn_detection=silenced)
        case _:
            return heard
