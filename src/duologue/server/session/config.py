"""The session's configuration: what holds from the start, and how an update changes it.

Source: DIALECTS.md §4, the defaults recorded on the wire.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from duologue.protocol.ga import (
    AudioConfig,
    AudioInput,
    AudioOutput,
    AudioPcm,
    RealtimeSession,
    SemanticVad,
    ServerVad,
)
from duologue.protocol.model import UNSET, Model
from duologue.server.session.audio_formats import check_format, input_of, output_of
from duologue.server.session.validation import InvalidRequest

__all__ = [
    "DEFAULT_INSTRUCTIONS",
    "DEFAULT_MODEL",
    "default_session",
    "merge",
    "opened_session",
    "updated_session",
]

DEFAULT_MODEL: Final = "gpt-realtime"

DEFAULT_INSTRUCTIONS: Final = (
    "You are a helpful, friendly voice assistant. Answer in one or two short spoken sentences."
)

_DEFAULT_VAD: Final = ServerVad(
    threshold=0.5,
    prefix_padding_ms=300,
    silence_duration_ms=200,
    create_response=True,
    interrupt_response=True,
    idle_timeout_ms=None,
)

_DEFAULTS: Final[dict[type, ServerVad | SemanticVad]] = {
    ServerVad: _DEFAULT_VAD,
    SemanticVad: SemanticVad(eagerness="auto", create_response=True, interrupt_response=True),
}

M = TypeVar("M", bound=Model)


def opened_session(
    asked: RealtimeSession | None, *, session_id: str, model: str, expires_at: int
) -> RealtimeSession:
    """Return the configuration that a session begins with: the defaults, and what was asked for.

    Args:
        asked: What a client secret is bound to.
        session_id: `sess_…`
        model: The one named in the URL, unless `asked` names one.
        expires_at: Unix seconds.

    Raises:
        InvalidRequest: If it cannot be.
    """
    if asked is not None and asked.model is not UNSET:
        model = asked.model
    session = default_session(session_id=session_id, model=model, expires_at=expires_at)
    return session if asked is None else updated_session(session, asked, spoken=False)


def default_session(*, session_id: str, model: str, expires_at: int) -> RealtimeSession:
    """Return the configuration of a session whose client has asked for nothing."""
    pcm = AudioPcm(rate=24000)
    return RealtimeSession(
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
        audio=AudioConfig(
            input=AudioInput(
                format=pcm,
                transcription=None,
                noise_reduction=None,
                turn_detection=_DEFAULT_VAD,
            ),
            output=AudioOutput(format=pcm, voice="alloy", speed=1.0),
        ),
    )


def merge(base: M, change: M) -> M:
    """Return `base` with what is set in `change`, object by object; lists are replaced whole."""
    changes: dict[str, object] = {}
    for field in msgspec.structs.fields(change):
        new = getattr(change, field.name)
        if new is UNSET:
            continue
        old = getattr(base, field.name)
        same_kind = isinstance(new, Model) and type(new) is type(old)
        changes[field.name] = merge(old, new) if same_kind else new
    return msgspec.structs.replace(base, **changes)


def updated_session(
    session: RealtimeSession, change: RealtimeSession, *, spoken: bool
) -> RealtimeSession:
    """Return the configuration after a `session.update`.

    Args:
        session: The one that holds.
        change: What the client sent.
        spoken: Whether the session has spoken: its voice is fixed then.

    Raises:
        InvalidRequest: If the change cannot be; then none of it is made.
    """
    _check(session, change, spoken=spoken)
    ignored = {"id": UNSET, "object": UNSET, "expires_at": UNSET, "model": UNSET}
    return merge(session, msgspec.structs.replace(_filled(change), **ignored))


def _filled(change: RealtimeSession) -> RealtimeSession:
    """Return a change whose turn detection is whole: it begins from the defaults when it is set."""
    asked = input_of(change).turn_detection
    default = _DEFAULTS.get(type(asked))
    if default is None or not isinstance(asked, ServerVad | SemanticVad):
        return change
    whole = AudioInput(turn_detection=merge(default, asked))
    return merge(change, RealtimeSession(audio=AudioConfig(input=whole)))


def _check(session: RealtimeSession, change: RealtimeSession, *, spoken: bool) -> None:
    check_format(input_of(change).format, "session.audio.input.format")
    check_format(output_of(change).format, "session.audio.output.format")
    voice = output_of(change).voice
    if spoken and voice not in (UNSET, output_of(session).voice):
        raise InvalidRequest(
            "cannot_update_voice",
            "Cannot update a conversation's voice if assistant audio is present.",
            "session.audio.output.voice",
        )
