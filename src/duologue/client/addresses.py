"""Addresses of servers: the environment's, Azure's, and the query that chooses a session."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from duologue.errors import ConfigurationError
from duologue.transport.handshake import check_url

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_TRANSLATOR",
    "DEFAULT_URL",
    "AzureAddress",
    "SessionKind",
    "azure_address",
    "environment_url",
    "kind_of",
    "session_url",
]

DEFAULT_URL: Final = "wss://api.openai.com/v1/realtime"
DEFAULT_MODEL: Final = "gpt-realtime"
DEFAULT_TRANSLATOR: Final = "gpt-realtime-translate"

SessionKind = Literal["conversation", "transcription", "translation"]
"""Purpose of a session."""

_CHOOSES_MODEL: Final = frozenset({"model", "intent", "call_id", "deployment"})
"""Query parameters that choose the model: a transcription session or a call has no `model`."""

_WEBSOCKET: Final = {"https": "wss", "http": "ws"}


def environment_url() -> str | None:
    """Return the WebSocket URL of `OPENAI_BASE_URL`, or `None` if it is not set.

    Raises:
        ConfigurationError: If it is not a URL with a host.
    """
    base = os.environ.get("OPENAI_BASE_URL", "").strip()
    if not base:
        return None
    try:
        parts = urlsplit(base)
        scheme = _WEBSOCKET.get(parts.scheme, parts.scheme)
        path = parts.path.rstrip("/") or "/v1"
        if not path.endswith(("/realtime", "/translations")):
            path += "/realtime"
        url = urlunsplit(parts._replace(scheme=scheme, path=path))
        check_url(url)
    except (ConfigurationError, ValueError) as error:
        reason = error if isinstance(error, ConfigurationError) else "it cannot be parsed"
        fix = "write https://host/v1"
        raise ConfigurationError(f"OPENAI_BASE_URL is wrong: {reason}; {fix}") from None
    return url


def session_url(url: str, kind: SessionKind, model: str | None, call_id: str | None) -> str:
    """Return the URL with the path and query that choose the session.

    Raises:
        ConfigurationError: If the URL cannot be used, or the arguments contradict each other.
    """
    check_url(url)
    parts = urlsplit(url)
    if call_id is not None and (model is not None or kind != "conversation"):
        raise ConfigurationError("a call has its session already: leave out `model` and `kind`")
    if kind == "transcription" and model is not None:
        fix = "leave out `model`, and name the transcription model in the configuration"
        raise ConfigurationError(f"no model responds in a transcription session: {fix}")
    path = parts.path
    if kind == "translation" and not path.endswith("/translations"):
        path = path.rstrip("/") + "/translations"
    query = parts.query
    named = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if call_id is not None:
        added = {"call_id": call_id}
    elif kind == "transcription":
        added = {} if "intent" in named else {"intent": "transcription"}
    else:
        default = DEFAULT_TRANSLATOR if path.endswith("/translations") else DEFAULT_MODEL
        added = {} if _CHOOSES_MODEL & named else {"model": model or default}
    query = "&".join(filter(None, [query, urlencode(added)]))
    return urlunsplit(parts._replace(path=path, query=query))


def kind_of(url: str, query: Mapping[str, str]) -> SessionKind:
    """Return the kind of session that a URL opens; with a model it is always a conversation."""
    if urlsplit(url).path.endswith("/translations"):
        return "translation"
    if query.get("intent") == "transcription" and "model" not in query:
        return "transcription"
    return "conversation"


@dataclass(frozen=True, slots=True)
class AzureAddress:
    """A resource of Azure, and what its URL says about the sessions."""

    base: str
    """`wss://` and the host."""
    deployment: str | None = None
    api_version: str | None = None
    """A dated version: the API before GA."""
    call_id: str | None = None
    is_transcription: bool = False
    voice_live: str | None = None
    """The path of Voice Live, if the URL has it: another service with models of its own."""


_AZURE_PATH: Final = re.compile(
    r"""
    (?P<voice_live>(?:/[^/]+)*/voice-(?:live|agent)/realtime)
    | (?:/api/projects/[^/]+)?  # of Azure AI Foundry
      (?:
        (?P<ga>/openai/v1(?:/.*)?)
        | /openai/deployments/(?P<deployment>[^/]+)(?P<of_deployment>/.*)?
        | /openai/realtime
        | /openai
        | /realtime
      )?
    """,
    re.VERBOSE,
)
"""Paths under which Azure's portal and its documentation show a resource."""


def azure_address(resource: str) -> AzureAddress:
    """Return what the URL of an Azure resource says, in any of the forms that Azure shows.

    The version in the URL of another API, such as chat completions, is not one of Realtime.

    Raises:
        ConfigurationError: If it is not the URL of a resource; the message names the fix.
    """
    resource = resource.strip()
    if "://" not in resource:
        raise ConfigurationError(f"resource must be an address: {_likely_address(resource)}")
    try:
        parts = urlsplit(resource)
        base = urlunsplit((_WEBSOCKET.get(parts.scheme, parts.scheme), parts.netloc, "", "", ""))
        check_url(base)
    except ValueError:
        raise ConfigurationError("resource must be an address: it cannot be parsed") from None
    path = _AZURE_PATH.fullmatch(parts.path.rstrip("/"))
    if path is None:
        fix = f"pass https://{parts.hostname}, and the deployment as `deployment=`"
        raise ConfigurationError(f"resource has a path that Azure's Realtime API lacks: {fix}")
    query = dict(parse_qsl(parts.query))
    is_realtime = (path["of_deployment"] or "/realtime").endswith("/realtime")
    in_path = unquote(path["deployment"]) if path["deployment"] else None
    return AzureAddress(
        base,
        deployment=in_path or query.get("deployment") or query.get("model"),
        api_version=None if path["ga"] or not is_realtime else query.get("api-version"),
        call_id=query.get("call_id"),
        is_transcription=query.get("intent") == "transcription",
        voice_live=path["voice_live"],
    )


def _likely_address(resource: str) -> str:
    # Whoever passes the key here must not find it in a log. Azure's keys have 32 or 84 characters.
    name = resource.partition("/")[0]
    if not re.fullmatch(r"[A-Za-z0-9-]{1,24}(\.[A-Za-z0-9.-]+)?", name) or name.startswith("sk-"):
        return "https://my-resource.openai.azure.com"
    return f"https://{name}" if "." in name else f"https://{name}.openai.azure.com"
