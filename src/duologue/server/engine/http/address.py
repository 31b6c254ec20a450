"""Where an endpoint is: `https://host/v1#model`. Its key comes from the environment alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Address", "key_of", "key_variable", "parse_address"]

OPENAI: Final = "https://api.openai.com"

_SECRET: Final = ("key", "token", "secret", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A parsed URI of a stage."""

    origin: str
    """`https://host:port`: what a key belongs to."""
    path: str
    """What the paths of the API are appended to: `/v1`."""
    query: str
    """Sent with every request: `api-version=…`."""
    model: str | None
    """What the URI names after `#`."""

    @property
    def host(self) -> str:
        """Host and port, for people."""
        return self.origin.partition("://")[2]

    def url(self, path: str) -> str:
        """Return where to find a path of the API (`/chat/completions`)."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.origin}{self.path}{path}{query}"


def parse_address(uri: str) -> Address:
    """Return the address that a URI gives.

    Raises:
        ConfigurationError: If it is none, or holds a key. The message does not repeat the URI.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"the URL of an engine cannot be read: {error}") from error
    if not host:
        raise ConfigurationError(
            "the URL of an engine has no host; write http://host:port/v1#model"
        )
    names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.username or parts.password or any(s in n for n in names for s in _SECRET):
        fix = f"set the environment variable {key_variable('brain')} instead"
        raise ConfigurationError(f"a key does not belong in a URL, where others see it; {fix}")
    name = f"[{host}]" if ":" in host else host
    return Address(
        origin=f"{parts.scheme}://{name}" + (f":{port}" if port else ""),
        path=parts.path.rstrip("/"),
        query=parts.query,
        model=parts.fragment or None,
    )


def key_variable(option: str) -> str:
    """Return the environment variable that holds the key of a stage (`brain`, `stt`, `tts`)."""
    return f"DUOLOGUE_{option.upper()}_KEY"


def key_of(
    option: str, address: Address, *, brain: Address | None, environ: Mapping[str, str]
) -> str | None:
    """Return the key to show at a stage's address, if there is one.

    A stage at the brain's own address shows the brain's key, unless it has one of its own; OpenAI's
    variable is shown to OpenAI alone.
    """
    names = [key_variable(option)]
    if brain is not None and brain.origin == address.origin:
        names.append(key_variable("brain"))
    if address.origin == OPENAI:
        names.append("OPENAI_API_KEY")
    keys = (environ.get(name, "").strip() for name in names)
    return next((key for key in keys if key), None)
