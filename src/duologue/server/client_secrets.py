"""Client secrets: keys that a browser may hold, each bound to one configuration and to an end.

Source: Realtime API reference, `/realtime/client_secrets` (GA): a secret opens any number of
sessions until it expires, and ends none then.
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
"""Valid at once; no more are made then."""

BoundSession = ga.RealtimeSession | ga.TranscriptionSession | TranslationSession
"""The configuration that the sessions of a secret begin with."""


@dataclass(frozen=True, slots=True)
class _Secret:
    session: BoundSession
    ends_at: float


class ClientSecrets:
    """The secrets of a server that are still valid.

    Only their digests are kept: what is looked up tells nothing of a value, and no value can be
    read out of here.
    """

    def __init__(self) -> None:
        self._secrets: dict[bytes, _Secret] = {}

    def issue(self, session: BoundSession, *, seconds: float, now: float) -> str | None:
        """Return a new secret, or `None` if there are too many already."""
        self._secrets = {key: kept for key, kept in self._secrets.items() if now < kept.ends_at}
        if len(self._secrets) >= MAX_SECRETS:
            return None
        value = PREFIX + secrets.token_hex(16)
        self._secrets[_digest(value)] = _Secret(session, now + seconds)
        return value

    def find(self, value: str, now: float) -> BoundSession | None:
        """Return what a secret is bound to, unless it is none of ours or has expired."""
        kept = self._secrets.get(_digest(value))
        return kept.session if kept is not None and now < kept.ends_at else None


def _digest(value: str) -> bytes:
    return sha256(value.encode(errors="surrogatepass")).digest()
