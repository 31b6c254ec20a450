"""Where to connect, and with which key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.protocol.codec import Dialect

__all__ = ["DEFAULT_MODEL", "DEFAULT_URL", "Endpoint", "endpoint"]

DEFAULT_URL: Final = "wss://api.openai.com/v1/realtime"
DEFAULT_MODEL: Final = "gpt-realtime"

_CHOOSES_MODEL: Final = frozenset({"model", "intent", "call_id", "deployment"})
"""Query parameters that say what answers: a transcription session or a call has no `model`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL and the headers that go with it."""

    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Endpoint(url={urlsplit(self.url).netloc!r})"  # never a header, never a query


def endpoint(
    url: str,
    *,
    api_key: str | None,
    model: str,
    headers: Mapping[str, str] | None,
    dialect: Dialect = "ga",
) -> Endpoint:
    """Return what to connect to; servers that speak both dialects take beta from a header.

    The environment's `OPENAI_API_KEY` goes to OpenAI's hosts only: a key that is meant for another
    server has to be passed.

    Raises:
        ConfigurationError: If the URL is no WebSocket URL, or OpenAI's and there is no key.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"ws", "wss"}:
        raise ConfigurationError(f"the URL must begin with wss:// or ws://, not {parts.scheme!r}")
    all_headers = dict(headers or {})
    is_authorized = any(name.lower() in {"authorization", "api-key"} for name in all_headers)
    if not is_authorized and (key := api_key or _environment_key(parts.hostname or "")):
        all_headers["Authorization"] = f"Bearer {key}"
    if dialect == "beta" and "openai-beta" not in {name.lower() for name in all_headers}:
        all_headers["OpenAI-Beta"] = "realtime=v1"
    query = parts.query
    if not _CHOOSES_MODEL & {name for name, _ in parse_qsl(query, keep_blank_values=True)}:
        query = "&".join(filter(None, [query, urlencode({"model": model})]))
    return Endpoint(urlunsplit(parts._replace(query=query)), all_headers)


def _environment_key(host: str) -> str | None:
    if host != "openai.com" and not host.endswith(".openai.com"):
        return None
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise ConfigurationError(
            f"{host} needs a key: pass `api_key=` or set the environment variable OPENAI_API_KEY; "
            "without a key, run `duologue serve` and pass `url=` of that server"
        )
    return key
