"""Requests and replies beside the socket: keys for browsers.

Source: Realtime API reference, `/realtime/sessions` and `/realtime/transcription_sessions` (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.session import (
    ClientSecret,
    MaxOutputTokens,
    Modality,
    SessionConfig,
    SessionFields,
    TranscriptionSession,
    TranscriptionSessionConfig,
)
from duologue.protocol.ga.audio import AudioConfig
from duologue.protocol.model import UNSET, Model, Open, UnsetType

__all__ = [
    "ConnectParams",
    "SessionCreateParams",
    "SessionCreateResponse",
    "TranscriptionSessionCreateParams",
    "TranscriptionSessionCreateResponse",
]


class ConnectParams(Model, frozen=True, kw_only=True):
    """The query of a socket's URL."""

    model: str


SessionCreateParams = SessionConfig
"""Ask for a key bound to a session: `POST /realtime/sessions`."""


class SessionCreateResponse(SessionFields, frozen=True, kw_only=True):
    """The session and its key."""

    client_secret: ClientSecret
    """Ends a minute after it was made."""
    id: str | UnsetType = UNSET
    """`sess_…`"""
    object: str | UnsetType = UNSET
    """`realtime.session`"""
    expires_at: int | UnsetType = UNSET
    """Unix seconds."""
    audio: AudioConfig | UnsetType = UNSET
    """The last servers say some of it the GA way as well; so the next two."""
    output_modalities: list[Open[Modality]] | UnsetType = UNSET
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET


TranscriptionSessionCreateParams = TranscriptionSessionConfig
"""Ask for a key bound to a transcription session: `POST /realtime/transcription_sessions`."""

TranscriptionSessionCreateResponse = TranscriptionSession
"""The transcription session and its key."""
