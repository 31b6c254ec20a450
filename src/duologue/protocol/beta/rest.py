"""Bodies of HTTP requests and responses: sessions and their client secrets.

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
    """Query of a WebSocket URL."""

    model: str


SessionCreateParams = SessionConfig
"""Request of a session and its client secret: `POST /realtime/sessions`."""


class SessionCreateResponse(SessionFields, frozen=True, kw_only=True):
    """A session and its client secret."""

    client_secret: ClientSecret
    """Expires a minute after its creation."""
    id: str | UnsetType = UNSET
    """`sess_…`"""
    object: str | UnsetType = UNSET
    """`realtime.session`"""
    expires_at: int | UnsetType = UNSET
    """Unix seconds."""
    audio: AudioConfig | UnsetType = UNSET
    """Sent by late beta servers, as are the next two fields: GA's form of some settings."""
    output_modalities: list[Open[Modality]] | UnsetType = UNSET
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET


TranscriptionSessionCreateParams = TranscriptionSessionConfig
"""Request of a transcription session and its secret: `POST /realtime/transcription_sessions`."""

TranscriptionSessionCreateResponse = TranscriptionSession
"""A transcription session and its client secret."""
