"""Endpoints: a server's address and credentials, the kind of session and its dialect."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self, TypedDict, Unpack, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from duologue.client.credentials import KeyPlace, current_key, environment_key
from duologue.client.deadline import Deadline
from duologue.errors import ConfigurationError
from duologue.transport.connect import ConnectOptions, TransportChoice, open_websocket
from duologue.transport.handshake import check_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from duologue.client.credentials import Key
    from duologue.protocol.codec import Surface
    from duologue.transport.base import Connector, Receiver, Transport

__all__ = [
    "DEFAULT_MODEL", "DEFAULT_TRANSLATOR", "DEFAULT_URL", "DialectChoice", "Endpoint",
    "EndpointOptions", "ResolvedEndpoint", "SessionKind", "endpoint_from", "resolve_endpoint",
]  # fmt: skip

DEFAULT_URL: Final = "wss://api.openai.com/v1/realtime"
DEFAULT_MODEL: Final = "gpt-realtime"
DEFAULT_TRANSLATOR: Final = "gpt-realtime-translate"

SessionKind = Literal["conversation", "transcription", "translation"]
"""Purpose of a session."""

DialectChoice = Literal["ga", "beta", "auto"]
"""A dialect, or `auto`: the one of the server's first frame."""

_CHOOSES_MODEL: Final = frozenset({"model", "intent", "call_id", "deployment"})
"""Query parameters that choose the model: a transcription session or a call has no `model`."""


class EndpointOptions(ConnectOptions, total=False):
    """Options of the connection, and what the handshake sends besides the key."""

    headers: Mapping[str, str]
    """Additional headers of the request; `Authorization` or `api-key` replaces the key."""
    subprotocols: Sequence[str]
    """WebSocket subprotocols to offer to the server."""


class Endpoint:
    """A server's address and credentials, for any number of connections.

    The key is never printed: not by `repr`, in a log or in an error.

    Args:
        url: URL of a server with OpenAI's paths: `wss://host/v1/realtime`. Its query may choose the
            session: `model`, `intent`, `call_id`.
        api_key: The key, an ephemeral key (`ek_…`), or a function that returns one, asynchronous or
            not, called for each connection. `None` uses `OPENAI_API_KEY` for OpenAI's hosts; the
            environment's key is never sent to other servers.
        key_in: Where to send the key; `subprotocol` sends it as browsers do, without headers.
        model: The model that responds.
        kind: A conversation, a transcription (no model responds), or a translation.
        call_id: Id of a call over WebRTC or SIP (`rtc_…`) to join as a sideband connection.
        dialect: The dialect on the wire; `auto` detects it from the first frame, at the first
            connection.
        options: See `EndpointOptions`.

    Raises:
        ConfigurationError: If the URL is not a WebSocket URL, an option is unknown, the arguments
            contradict each other, or OpenAI's key is missing.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: Key | None = None,
        key_in: KeyPlace = "bearer",
        model: str | None = None,
        kind: SessionKind = "conversation",
        call_id: str | None = None,
        dialect: DialectChoice = "ga",
        **options: Unpack[EndpointOptions],
    ) -> None:
        _check_known("kind", kind, get_args(SessionKind))
        _check_known("key_in", key_in, get_args(KeyPlace))
        self.url: Final = _session_url(url, kind, model, call_id)
        """The URL with its query; the key is not part of it."""
        self.dialect: Final[DialectChoice] = dialect
        query = dict(parse_qsl(urlsplit(self.url).query))
        self.is_sideband: Final = "call_id" in query
        """Whether it joins a call; the server then sends no `session.created`."""
        self.kind: Final[SessionKind] = _kind(self.url, query)
        self._options: Final = options
        self._key_in: Final[KeyPlace] = key_in
        self._check()
        names = {name.lower() for name in self._headers()}
        has_key_header = not names.isdisjoint({"authorization", "api-key"})
        if api_key is None and not has_key_header:
            api_key = environment_key(urlsplit(self.url).hostname or "")
        self._key: Final = None if has_key_header else api_key or None

    @classmethod
    def azure(
        cls,
        resource: str,
        *,
        deployment: str | None = None,
        api_key: str | None = None,
        token_provider: Key | None = None,
        api_version: str | None = None,
        kind: SessionKind = "conversation",
        call_id: str | None = None,
        dialect: DialectChoice | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Self:
        """Return the endpoint of an Azure OpenAI resource.

        Args:
            resource: Address as shown in Azure's portal: `https://my-resource.openai.azure.com`.
            deployment: Name of the model's deployment.
            api_key: A key of the resource; `None` uses `AZURE_OPENAI_API_KEY`.
            token_provider: Function that returns a Microsoft Entra ID token, instead of a key; for
                example `azure.identity.get_bearer_token_provider(...)` or its asynchronous
                counterpart.
            api_version: Version of the API before GA, a date; it uses the beta dialect. `None`
                selects the GA API.
            kind: As in `Endpoint`.
            call_id: As in `Endpoint`.
            dialect: `None` selects beta if there is an `api_version`, GA otherwise.
            options: See `EndpointOptions`.

        Raises:
            ConfigurationError: If there is neither a key nor a provider, or the arguments
                contradict each other.

        Source: Azure OpenAI, "How to use the GPT Realtime API via WebSockets".
        """
        if api_version is not None and (kind == "translation" or call_id is not None):
            raise ConfigurationError(
                "a dated api_version has no translations or calls: leave out `api_version`"
            )
        key = token_provider or api_key or os.environ.get("AZURE_OPENAI_API_KEY")
        if not key:
            fix = "pass `api_key=` or `token_provider=`, or set AZURE_OPENAI_API_KEY"
            raise ConfigurationError(f"Azure needs a key: {fix}")
        base = _resource_url(resource)
        url, model = f"{base}/openai/v1/realtime", deployment
        if api_version is not None:
            query = {"api-version": api_version}
            if deployment is not None:
                query["deployment"] = deployment
            url, model = f"{base}/openai/realtime?{urlencode(query)}", None
        return cls(
            url,
            api_key=key,
            key_in="bearer" if token_provider else "api-key",
            model=model,
            kind=kind,
            call_id=call_id,
            dialect=dialect or ("ga" if api_version is None else "beta"),
            **options,
        )

    @property
    def surface(self) -> Surface:
        """The set of events of the session; translation sessions have their own."""
        return "translation" if self.kind == "translation" else "realtime"

    def __repr__(self) -> str:
        netloc = urlsplit(self.url).netloc.rpartition("@")[2]
        # No headers, query or user name: each may contain a key.
        return f"Endpoint({netloc!r}, kind={self.kind!r}, dialect={self.dialect!r})"

    async def open(self, receiver: Receiver, *, connect_timeout: float = 10.0) -> Transport:
        """Connect to the server; the receiver may be called before this returns.

        Raises:
            ConfigurationError: If the address or an option cannot be used.
            MissingExtra: If the proxy or the transport needs a package that is not installed.
            HandshakeRefused: If the server responds with an HTTP error.
            ConnectionLost: If the server cannot be reached.
            TimeoutError: If the token provider takes too long.
        """
        deadline = Deadline(connect_timeout)
        headers, subprotocols = await self.credentials(timeout=connect_timeout)
        return await open_websocket(
            self.url,
            receiver,
            self._options,
            headers=headers,
            subprotocols=subprotocols,
            connect_timeout=round(max(0.01, deadline.remaining), 2),  # an error shows it
        )

    async def credentials(self, *, timeout: float) -> tuple[dict[str, str], tuple[str, ...]]:  # noqa: ASYNC109  # of the provider
        """Return the headers and subprotocols of the next connection, including the key.

        Raises:
            ConfigurationError: If the token provider returns no token.
            TimeoutError: If it takes too long.
        """
        headers, subprotocols = self._headers(), tuple(self._options.get("subprotocols", ()))
        key = await self._current_key(timeout)
        if self._key_in == "subprotocol":
            # The reference's form for browsers, whose WebSockets cannot set headers: the key and
            # the dialect are written as names of subprotocols.
            with_key = [] if key is None else [f"openai-insecure-api-key.{key}"]
            beta = ["openai-beta.realtime-v1"] if self.dialect == "beta" else []
            return headers, ("realtime", *with_key, *beta, *subprotocols)
        return headers | self._key_header(key) | self._dialect_header(), subprotocols

    async def rest_headers(self, *, timeout: float) -> dict[str, str]:  # noqa: ASYNC109  # as above
        """Return the headers of a REST request; see `credentials`."""
        key = await self._current_key(timeout)
        return self._headers() | self._key_header(key) | self._dialect_header()

    @property
    def rest_url(self) -> str:
        """Base URL of the REST requests: `https://host/v1/realtime`.

        Raises:
            ConfigurationError: If the endpoint is Azure's dated API, which has no such requests.
        """
        parts = urlsplit(self.url)
        if "api-version" in parts.query:
            text = "Azure has REST requests in GA only: leave out `api_version`"
            raise ConfigurationError(text)
        scheme = "https" if parts.scheme == "wss" else "http"
        return f"{scheme}://{parts.netloc}{parts.path.removesuffix('/translations').rstrip('/')}"

    @property
    def way(self) -> ConnectOptions:
        """Options of the connection."""
        return self._options

    async def _current_key(self, timeout: float) -> str | None:  # noqa: ASYNC109  # as above
        return None if self._key is None else await current_key(self._key, timeout=timeout)

    def _key_header(self, key: str | None) -> dict[str, str]:
        if key is None:
            return {}
        return {"api-key": key} if self._key_in == "api-key" else {"Authorization": f"Bearer {key}"}

    def _dialect_header(self) -> dict[str, str]:
        is_given = "openai-beta" in {name.lower() for name in self._headers()}
        return {"OpenAI-Beta": "realtime=v1"} if self.dialect == "beta" and not is_given else {}

    def _headers(self) -> dict[str, str]:
        return dict(self._options.get("headers") or {})

    def _check(self) -> None:
        """Refuse unknown options, and options that contradict each other."""
        unknown = self._options.keys() - EndpointOptions.__annotations__.keys()
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            raise ConfigurationError(f"an endpoint has no option {names}")
        _check_known("transport", self._options.get("transport", "auto"), get_args(TransportChoice))
        _check_known("compression", self._options.get("compression"), ("deflate", None))
        if self.kind == "translation" and self.dialect != "ga":
            raise ConfigurationError("translation sessions exist in GA only: leave out `dialect`")
        if self.is_sideband and self.dialect == "auto":
            # Detection needs a first frame that differs by dialect, such as `session.created`.
            why = "the dialect of a call cannot be detected, as any event may come first"
            raise ConfigurationError(f"{why}: pass dialect='ga' or 'beta'")


class EndpointArguments(TypedDict):
    """Arguments of a client that can be passed instead of an endpoint."""

    url: str | None
    api_key: Key | None
    model: str | None
    headers: Mapping[str, str] | None
    dialect: DialectChoice | None


def endpoint_from(endpoint: Endpoint | None, **arguments: Unpack[EndpointArguments]) -> Endpoint:
    """Return the given endpoint, or the one that the arguments describe.

    Raises:
        ConfigurationError: If both are given, or as `Endpoint`.
    """
    given = [name for name, value in arguments.items() if value is not None]
    if endpoint is not None:
        if given:
            raise ConfigurationError(f"pass {', '.join(given)} to the endpoint, not beside it")
        return endpoint
    return Endpoint(
        DEFAULT_URL if arguments["url"] is None else arguments["url"],
        api_key=arguments["api_key"],
        model=arguments["model"],
        dialect=arguments["dialect"] or "ga",
        headers=arguments["headers"] or {},
    )


@dataclass(frozen=True, slots=True)
class ResolvedEndpoint:
    """Connector of a client, and what is known about the session before it begins."""

    connector: Connector
    dialect: DialectChoice = "ga"
    kind: SessionKind = "conversation"
    is_sideband: bool = False
    """Whether the server sends no `session.created`."""


def resolve_endpoint(
    connector: Connector | None,
    endpoint: Endpoint | None,
    *,
    connect_timeout: float,
    **arguments: Unpack[EndpointArguments],
) -> ResolvedEndpoint:
    """Return the connector that a client's arguments describe; a custom one needs no endpoint.

    Raises:
        ConfigurationError: If the arguments contradict each other.
    """
    if connector is not None:
        limited = _limited(connector, connect_timeout)
        return ResolvedEndpoint(limited, arguments["dialect"] or "ga")
    resolved = endpoint_from(endpoint, **arguments)

    async def connect(receiver: Receiver) -> Transport:
        return await resolved.open(receiver, connect_timeout=connect_timeout)

    return ResolvedEndpoint(connect, resolved.dialect, resolved.kind, resolved.is_sideband)


def _limited(connector: Connector, connect_timeout: float) -> Connector:
    async def connect(receiver: Receiver) -> Transport:
        deadline = Deadline(connect_timeout)
        return await deadline.limit(connector(receiver), "the connector opened no connection")

    return connect


def _check_known(what: str, given: object, known: Collection[object]) -> None:
    if given not in known:
        names = ", ".join(map(repr, known))
        raise ConfigurationError(f"{what} must be one of {names}, not {given!r}")


def _session_url(url: str, kind: SessionKind, model: str | None, call_id: str | None) -> str:
    """Return the URL with the path and query that choose the session."""
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


def _kind(url: str, query: Mapping[str, str]) -> SessionKind:
    """Return the kind of session that a URL opens; with a model it is always a conversation."""
    if urlsplit(url).path.endswith("/translations"):
        return "translation"
    if query.get("intent") == "transcription" and "model" not in query:
        return "transcription"
    return "conversation"


def _resource_url(resource: str) -> str:
    """Return the WebSocket address of an Azure resource; the portal shows it with various paths."""
    scheme, separator, rest = resource.strip().partition("://")
    if not separator:
        address = f"https://{resource.partition('.')[0]}.openai.azure.com"
        raise ConfigurationError(f"resource must be an address: {address}, not {resource!r}")
    base = rest.rstrip("/").removesuffix("/realtime").removesuffix("/openai/v1")
    return f"{ {'https': 'wss', 'http': 'ws'}.get(scheme, scheme) }://{base}"
