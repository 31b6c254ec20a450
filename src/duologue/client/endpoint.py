"""Endpoints: a server's address and credentials, the kind of session and its dialect."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self, TypedDict, Unpack, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from duologue.client.addresses import (
    DEFAULT_MODEL,
    DEFAULT_TRANSLATOR,
    DEFAULT_URL,
    SessionKind,
    azure_address,
    environment_url,
    kind_of,
    session_url,
)
from duologue.client.credentials import KeyPlace, current_key, environment_key
from duologue.client.deadline import Deadline
from duologue.errors import ConfigurationError
from duologue.transport.connect import ConnectOptions, TransportChoice, open_websocket

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from duologue.client.credentials import Key
    from duologue.protocol.codec import Surface
    from duologue.transport.base import Connector, Receiver, Transport

__all__ = [
    "DEFAULT_MODEL", "DEFAULT_TRANSLATOR", "DEFAULT_URL", "DialectChoice", "Endpoint",
    "EndpointOptions", "ResolvedEndpoint", "SessionKind", "endpoint_from", "resolve_endpoint",
]  # fmt: skip

DialectChoice = Literal["ga", "beta", "auto"]
"""A dialect, or `auto`: the one of the server's first frame."""

VOICE_LIVE_VERSION: Final = "2026-04-10"
"""Version of Azure Voice Live's API, unless the caller names another."""


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
            session: `model`, `intent`, `call_id`. `None` uses `OPENAI_BASE_URL`, or OpenAI.
        api_key: The key, an ephemeral key (`ek_…`), or a function that returns one, asynchronous or
            not, called for each connection. `None` uses `OPENAI_API_KEY` for OpenAI's hosts and for
            the server of `OPENAI_BASE_URL`; the environment's key is never sent to other servers.
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
        url: str | None = None,
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
        from_environment = environment_url() if url is None else None
        base = url if url is not None else from_environment or DEFAULT_URL
        self.url: Final = session_url(base, kind, model, call_id)
        """The URL with its query; the key is not part of it."""
        self.dialect: Final[DialectChoice] = dialect
        query = dict(parse_qsl(urlsplit(self.url).query))
        self.is_sideband: Final = "call_id" in query
        """Whether it joins a call; the server then sends no `session.created`."""
        self.kind: Final[SessionKind] = kind_of(self.url, query)
        self._options: Final = options
        self._key_in: Final[KeyPlace] = key_in
        self._check()
        names = {name.lower() for name in self._headers()}
        has_key_header = not names.isdisjoint({"authorization", "api-key"})
        if api_key is None and not has_key_header:
            host = urlsplit(self.url).hostname or ""
            api_key = environment_key(host, is_trusted=from_environment is not None)
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
        """Return the endpoint of an Azure OpenAI resource, or of Azure Voice Live.

        Args:
            resource: Address as shown in Azure's portal: `https://my-resource.openai.azure.com`,
                with any path and query that the portal adds. They may name the deployment and a
                dated version; the path `/voice-live/realtime` selects Voice Live.
            deployment: Name of the model's deployment; of the model for Voice Live.
            api_key: A key of the resource; `None` uses `AZURE_OPENAI_API_KEY`.
            token_provider: Function that returns a Microsoft Entra ID token, instead of a key; for
                example `azure.identity.get_bearer_token_provider(...)` or its asynchronous
                counterpart.
            api_version: Version of the API before GA, a date; it uses the beta dialect. `None`
                selects that of the address, or the GA API.
            kind: As in `Endpoint`.
            call_id: As in `Endpoint`.
            dialect: `None` selects beta if there is an `api_version`, GA otherwise.
            options: See `EndpointOptions`.

        Raises:
            ConfigurationError: If there is neither a key nor a provider, the address is not one of
                a resource, or the arguments contradict each other.

        Source: Azure OpenAI, "How to use the GPT Realtime API via WebSockets".
        """
        address = azure_address(resource)
        deployment = _agreed("deployment", deployment, address.deployment)
        api_version = _agreed("api_version", api_version, address.api_version)
        call_id = _agreed("call_id", call_id, address.call_id)
        if address.is_transcription and kind == "conversation":
            kind = "transcription"
        is_dated = api_version is not None or address.voice_live is not None
        if is_dated and (kind == "translation" or call_id is not None):
            raise ConfigurationError(
                "a dated api_version has no translations or calls: leave out `api_version`"
            )
        key = token_provider or api_key or os.environ.get("AZURE_OPENAI_API_KEY")
        if not key:
            fix = "pass `api_key=` or `token_provider=`, or set AZURE_OPENAI_API_KEY"
            raise ConfigurationError(f"Azure needs a key: {fix}")
        url, model = f"{address.base}/openai/v1/realtime", deployment
        if address.voice_live is not None:
            version = urlencode({"api-version": api_version or VOICE_LIVE_VERSION})
            url = f"{address.base}{address.voice_live}?{version}"
        elif api_version is not None:
            query = {"api-version": api_version}
            if deployment is not None:
                query["deployment"] = deployment
            url, model = f"{address.base}/openai/realtime?{urlencode(query)}", None
        return cls(
            url,
            api_key=key,
            key_in="bearer" if token_provider else "api-key",
            model=model,
            kind=kind,
            call_id=call_id,
            dialect=dialect or ("beta" if is_dated else "ga"),
            **options,
        )

    @classmethod
    def from_env(
        cls,
        *,
        api_key: Key | None = None,
        model: str | None = None,
        kind: SessionKind = "conversation",
        call_id: str | None = None,
        dialect: DialectChoice | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Self:
        """Return the endpoint that the environment describes, as the openai package reads it.

        `OPENAI_API_KEY` and `OPENAI_BASE_URL` describe OpenAI or a server with its paths;
        `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY` and, for the API before GA,
        `OPENAI_API_VERSION` a resource of Azure. If both are set, `OPENAI_API_TYPE` decides:
        `openai` or `azure`.

        Args:
            api_key: The key, instead of the environment's.
            model: The model, or the deployment in Azure. `None` uses `AZURE_OPENAI_DEPLOYMENT`
                there.
            kind: As in `Endpoint`.
            call_id: As in `Endpoint`.
            dialect: As in `Endpoint` and `azure`.
            options: See `EndpointOptions`.

        Raises:
            ConfigurationError: If nothing or both are set, or as `Endpoint`.
        """
        if _environment_is_azure(has_key=api_key is not None):
            if kind == "conversation" and call_id is None:
                model = model or os.environ.get("AZURE_OPENAI_DEPLOYMENT") or None
            return cls.azure(
                os.environ["AZURE_OPENAI_ENDPOINT"],
                deployment=model,
                api_key=api_key if isinstance(api_key, str) else None,
                token_provider=None if isinstance(api_key, str) else api_key,
                api_version=os.environ.get("OPENAI_API_VERSION") or None,
                kind=kind,
                call_id=call_id,
                dialect=dialect,
                **options,
            )
        return cls(
            api_key=api_key,
            model=model,
            kind=kind,
            call_id=call_id,
            dialect=dialect or "ga",
            **options,
        )

    @property
    def surface(self) -> Surface:
        """The set of events of the session; translation sessions have their own."""
        return "translation" if self.kind == "translation" else "realtime"

    def __repr__(self) -> str:
        fields = vars(self)  # of an endpoint that its constructor refused, some are missing
        if "url" not in fields:
            return "Endpoint()"
        netloc = urlsplit(self.url).netloc.rpartition("@")[2]
        # No headers, query or user name: each may contain a key.
        named = (f"{name}={fields[name]!r}" for name in ("kind", "dialect") if name in fields)
        return f"Endpoint({', '.join([repr(netloc), *named])})"

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
        arguments["url"],
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
    fallbacks: tuple[Connector, ...] = ()
    """Connectors of other servers, in the order in which they are tried."""


def resolve_endpoint(
    connector: Connector | None,
    endpoint: Endpoint | Sequence[Endpoint] | None,
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
    if endpoint is None or isinstance(endpoint, Endpoint):
        servers = [endpoint_from(endpoint, **arguments)]
    else:
        servers = [endpoint_from(each, **arguments) for each in endpoint]
    if not servers:
        raise ConfigurationError("the list of endpoints is empty")
    first, *others = servers
    if any((each.dialect, each.kind) != (first.dialect, first.kind) for each in others):
        raise ConfigurationError("all endpoints of a client must have the same dialect and kind")
    connectors = [_connector(each, connect_timeout) for each in servers]
    return ResolvedEndpoint(
        connectors[0], first.dialect, first.kind, first.is_sideband, tuple(connectors[1:])
    )


def _connector(endpoint: Endpoint, connect_timeout: float) -> Connector:
    async def connect(receiver: Receiver) -> Transport:
        return await endpoint.open(receiver, connect_timeout=connect_timeout)

    return connect


def _limited(connector: Connector, connect_timeout: float) -> Connector:
    async def connect(receiver: Receiver) -> Transport:
        deadline = Deadline(connect_timeout)
        return await deadline.limit(connector(receiver), "the connector opened no connection")

    return connect


def _check_known(what: str, given: object, known: Collection[object]) -> None:
    if given not in known:
        names = ", ".join(map(repr, known))
        raise ConfigurationError(f"{what} must be one of {names}, not {given!r}")


def _agreed(name: str, argument: str | None, in_address: str | None) -> str | None:
    """Return an argument, or what the address says."""
    if argument is not None and in_address is not None and argument != in_address:
        text = f"the address names another {name} than `{name}=`: leave one of them out"
        raise ConfigurationError(text)
    return in_address if argument is None else argument


def _environment_is_azure(*, has_key: bool) -> bool:
    """Return whether the environment describes a resource of Azure.

    Args:
        has_key: Whether the caller has a key, which alone describes OpenAI.
    """
    has_azure = bool(os.environ.get("AZURE_OPENAI_ENDPOINT"))
    has_openai = bool(os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY"))
    chosen = os.environ.get("OPENAI_API_TYPE", "").lower()
    if chosen == "azure" and not has_azure:
        raise ConfigurationError("OPENAI_API_TYPE is azure: set AZURE_OPENAI_ENDPOINT, too")
    if chosen in ("openai", "azure"):
        return chosen == "azure"
    if has_azure and has_openai:
        fix = "set OPENAI_API_TYPE to openai or azure"
        raise ConfigurationError(f"the environment describes OpenAI and Azure: {fix}")
    if not has_azure and not has_openai and not has_key:
        names = "OPENAI_API_KEY, OPENAI_BASE_URL or AZURE_OPENAI_ENDPOINT"
        raise ConfigurationError(f"the environment describes no server: set {names}")
    return has_azure
