"""Client secrets: short-lived keys for browsers, each bound to one session configuration.

A secret opens any number of sessions until it expires; open sessions then continue.

Source: Realtime API reference, `/realtime/client_secrets` (GA).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from duologue.protocol import ga
from duologue.protocol.ga.translation import TranslationSession

__all__ = ["PREFIX", "BoundSession", "ClientSecrets"]

PREFIX: Final = "ek_"

MAX_SECRETS: Final = 10_000
"""Secrets that may be valid at a time."""

BoundSession = ga.RealtimeSession | ga.TranscriptionSession | TranslationSession
"""Configuration that the sessions of a secret begin with."""


@dataclass(frozen=True, slots=True)
class _Secret:
    session: BoundSession
    ends_at: float


class ClientSecrets:
    """The valid secrets of a server.

    Only digests are kept: no secret can be read out of memory, and how long a lookup takes tells
    nothing about a secret.
    """

    def __init__(self) -> None:
        self._secrets: dict[bytes, _Secret] = {}

    def issue(self, session: BoundSession, *, seconds: float, now: float) -> str | None:
        """Return a new secret; `None` if too many are valid."""
        self._secrets = {key: kept for key, kept in self._secrets.items() if now < kept.ends_at}
        if len(self._secrets) >= MAX_SECRETS:
            return None
        value = PREFIX + secrets.token_hex(16)
        self._secrets[_digest(value)] = _Secret(session, now + seconds)
        return value

    def find(self, value: str, now: float) -> BoundSession | None:
        """Return the configuration of a secret; `None` if it is unknown or has expired."""
        kept = self._secrets.get(_digest(value))
        return kept.session if kept is not None and now < kept.ends_at else None


def _digest(value: str) -> bytes:
    return sha256(value.encode(errors="surrogatepass")).digest()
