"""Where to connect: the server's address, the kind of session, the key, the dialect, the way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal, Self, TypedDict, Unpack, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from duologue.client.keys import KeyPlace, environment_key, value_of
from duologue.errors import ConfigurationError
from duologue.transport.connect import ConnectOptions, TransportChoice, open_websocket
from duologue.transport.handshake import check_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from duologue.client.keys import Key
    from duologue.protocol.codec import Surface
    from duologue.transport.base import Receiver, Transport

__all__ = [
    "DEFAULT_MODEL", "DEFAULT_TRANSLATOR", "DEFAULT_URL",
    "Endpoint", "EndpointOptions", "Kind", "Spoken", "the_endpoint",
]  # fmt: skip

DEFAULT_URL: Final = "wss://api.openai.com/v1/realtime"
DEFAULT_MODEL: Final = "gpt-realtime"
DEFAULT_TRANSLATOR: Final = "gpt-realtime-translate"

Kind = Literal["conversation", "transcription", "translation"]
"""What a session is for."""

Spoken = Literal["ga", "beta", "auto"]
"""A dialect, or `auto`: the one of the server's first frame."""

_CHOOSES_MODEL: Final = frozenset({"model", "intent", "call_id", "deployment"})
"""Query parameters that say what answers: a transcription session or a call has no `model`."""


class EndpointOptions(ConnectOptions, total=False):
    """How a server is reached, and what is shown to it beside the key."""

    headers: Mapping[str, str]
    """Added to the request; an `Authorization` or `api-key` among them counts as the key."""
    subprotocols: Sequence[str]
    """Offered to the server."""


class Endpoint:
    """A server's address and what goes with it, for any number of connections.

    Nothing of it prints the key: neither its `repr`, nor a log, nor an error.

    Args:
        url: A server with OpenAI's paths: `wss://host/v1/realtime`. What its query says about the
            session holds: `model`, `intent`, `call_id`.
        api_key: The key, an ephemeral key (`ek_…`), or a function that returns one, asynchronous or
            not, called at each connection. For OpenAI's hosts `None` takes `OPENAI_API_KEY`; for
            others the environment's key is never used.
        key_in: Where the key is shown; `subprotocol` as browsers do, without headers.
        model: The model that answers.
        kind: A conversation, a transcription without a model that answers, or a translation.
        call_id: `rtc_…`: join a call that runs over WebRTC or SIP (sideband).
        dialect: What is spoken. `auto` finds out from the first frame, at the first connection.
        options: See `EndpointOptions`.

    Raises:
        ConfigurationError: If the URL is no WebSocket URL, an option is unknown, the arguments do
            not go together, or OpenAI's key is missing.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: Key | None = None,
        key_in: KeyPlace = "bearer",
        model: str | None = None,
        kind: Kind = "conversation",
        call_id: str | None = None,
        dialect: Spoken = "ga",
        **options: Unpack[EndpointOptions],
    ) -> None:
        _check_known("kind", kind, get_args(Kind))
        _check_known("key_in", key_in, get_args(KeyPlace))
        self.url: Final = _session_url(url, kind, model, call_id)
        """The address with its query, and without a key of ours."""
        self.dialect: Final[Spoken] = dialect
        query = dict(parse_qsl(urlsplit(self.url).query))
        self.is_sideband: Final = "call_id" in query
        """Whether a call is joined: `session.created` does not come then."""
        self.kind: Final[Kind] = _kind(self.url, query)
        self._options: Final = options
        self._key_in: Final[KeyPlace] = key_in
        self._check()
        is_authorized = any(n.lower() in {"authorization", "api-key"} for n in self._headers())
        if api_key is None and not is_authorized:
            api_key = environment_key(urlsplit(self.url).hostname or "")
        self._key: Final = None if is_authorized else api_key or None

    @classmethod
    def azure(  # by keyword only, but for the resource
        cls,
        resource: str,
        *,
        deployment: str | None = None,
        api_key: str | None = None,
        token_provider: Key | None = None,
        api_version: str | None = None,
        kind: Kind = "conversation",
        call_id: str | None = None,
        dialect: Spoken | None = None,
        **options: Unpack[EndpointOptions],
    ) -> Self:
        """Return a resource of Azure OpenAI.

        Args:
            resource: `https://my-resource.openai.azure.com`, as Azure's portal shows it.
            deployment: The name of the model's deployment.
            api_key: A key of the resource; `None` takes `AZURE_OPENAI_API_KEY`.
            token_provider: Instead of a key: returns a token of Microsoft Entra ID, such as
                `azure.identity.get_bearer_token_provider(...)` or its asynchronous twin.
            api_version: A date, for the API of before GA, which speaks beta. `None` is GA.
            kind: As of `Endpoint`.
            call_id: As of `Endpoint`.
            dialect: `None`: beta with an `api_version`, GA without.
            options: See `EndpointOptions`.

        Raises:
            ConfigurationError: If there is neither key nor provider, or the arguments do not go
                together.

        Source: DIALECTS.md §2.
        """
        if api_version is not None and (kind == "translation" or call_id is not None):
            raise ConfigurationError(
                "a dated api_version has no translations or calls: leave it out"
            )
        token = token_provider or api_key or os.environ.get("AZURE_OPENAI_API_KEY")
        if not token:
            fix = "pass `api_key=` or `token_provider=`, or set AZURE_OPENAI_API_KEY"
            raise ConfigurationError(f"Azure needs a key: {fix}")
        base = _resource_url(resource)
        url, model = f"{base}/openai/v1/realtime", deployment
        if api_version is not None:
            named = {"api-version": api_version, "deployment": deployment}
            asked = {name: value for name, value in named.items() if value is not None}
            url, model = f"{base}/openai/realtime?{urlencode(asked)}", None
        return cls(
            url,
            api_key=token,
            key_in="bearer" if token_provider else "api-key",
            model=model,
            kind=kind,
            call_id=call_id,
            dialect=dialect or ("ga" if api_version is None else "beta"),
            **options,
        )

    @property
    def surface(self) -> Surface:
        """Which events are spoken: those of translations are their own."""
        return "translation" if self.kind == "translation" else "realtime"

    def __repr__(self) -> str:
        netloc = urlsplit(self.url).netloc.rpartition("@")[2]
        # Never a header, a query or a user: each may hold a key.
        return f"Endpoint({netloc!r}, kind={self.kind!r}, dialect={self.dialect!r})"

    async def open(self, receiver: Receiver, *, connect_timeout: float = 10.0) -> Transport:
        """Connect; the receiver may be called before this returns.

        Raises:
            ConfigurationError: If the address or an option cannot be used.
            MissingExtra: If a package is needed for the proxy or the transport.
            HandshakeRefused: If the server answered with an HTTP error.
            ConnectionLost: If it could not be reached.
            TimeoutError: If the provider of the token took too long.
        """
        headers, subprotocols = await self.credentials(timeout=connect_timeout)
        return await open_websocket(
            self.url,
            receiver,
            self._options,
            headers=headers,
            subprotocols=subprotocols,
            connect_timeout=connect_timeout,
        )

    async def credentials(self, *, timeout: float) -> tuple[dict[str, str], tuple[str, ...]]:  # noqa: ASYNC109  # of the provider
        """Return the headers and subprotocols of the next connection, the key among them.

        Raises:
            ConfigurationError: If the provider of the token returns none.
            TimeoutError: If it takes too long.
        """
        headers, offered = self._headers(), tuple(self._options.get("subprotocols", ()))
        key, is_beta = await self._current_key(timeout), self.dialect == "beta"
        if self._key_in == "subprotocol":
            beta = ["openai-beta.realtime-v1"] if is_beta else []
            shown = [] if key is None else [f"openai-insecure-api-key.{key}"]
            return headers, ("realtime", *shown, *beta, *offered)
        return headers | self._key_header(key) | self._dialect_header(), offered

    async def rest_headers(self, *, timeout: float) -> dict[str, str]:  # noqa: ASYNC109  # as above
        """Return the headers of a request beside the socket; see `credentials`."""
        key = await self._current_key(timeout)
        return self._headers() | self._key_header(key) | self._dialect_header()

    @property
    def rest_url(self) -> str:
        """Where requests beside the socket go: `https://host/v1/realtime`.

        Raises:
            ConfigurationError: If the address is of Azure's dated API, which has none of them.
        """
        parts = urlsplit(self.url)
        if "api-version" in parts.query:
            raise ConfigurationError("Azure answers requests in GA only: leave `api_version` out")
        scheme = "https" if parts.scheme == "wss" else "http"
        return f"{scheme}://{parts.netloc}{parts.path.removesuffix('/translations').rstrip('/')}"

    @property
    def way(self) -> ConnectOptions:
        """How the server is reached."""
        return self._options

    async def _current_key(self, timeout: float) -> str | None:  # noqa: ASYNC109  # as above
        return None if self._key is None else await value_of(self._key, timeout=timeout)

    def _key_header(self, key: str | None) -> dict[str, str]:
        if key is None:
            return {}
        return {"api-key": key} if self._key_in == "api-key" else {"Authorization": f"Bearer {key}"}

    def _dialect_header(self) -> dict[str, str]:
        is_told = "openai-beta" in {name.lower() for name in self._headers()}
        return {"OpenAI-Beta": "realtime=v1"} if self.dialect == "beta" and not is_told else {}

    def _headers(self) -> dict[str, str]:
        return dict(self._options.get("headers") or {})

    def _check(self) -> None:
        """Refuse what does not exist, or does not go together."""
        unknown = self._options.keys() - EndpointOptions.__annotations__.keys()
        if unknown:
            raise ConfigurationError(f"an endpoint has no {', '.join(sorted(map(repr, unknown)))}")
        _check_known("transport", self._options.get("transport", "auto"), get_args(TransportChoice))
        _check_known("compression", self._options.get("compression"), ("deflate", None))
        if self.kind == "translation" and self.dialect != "ga":
            raise ConfigurationError("translation sessions speak GA only: leave `dialect` out")
        if self.is_sideband and self.dialect == "auto":
            why = "the first event of a call that is joined may be any"
            raise ConfigurationError(f"{why}: say which dialect is spoken, 'ga' or 'beta'")


def the_endpoint(endpoint: Endpoint | None, **told: Unpack[_Told]) -> Endpoint:
    """Return the endpoint that is given, or the one that is told.

    Raises:
        ConfigurationError: If it is both, or as `Endpoint`.
    """
    named = {name: value for name, value in told.items() if value is not None}
    if endpoint is not None:
        if named:
            raise ConfigurationError(f"give {', '.join(named)} to the endpoint, not beside it")
        return endpoint
    return Endpoint(
        DEFAULT_URL if told["url"] is None else told["url"],
        api_key=told.get("api_key"),
        model=told.get("model"),
        dialect=told.get("dialect") or "ga",
        headers=told.get("headers") or {},
    )


class _Told(TypedDict):
    url: str | None
    api_key: Key | None
    model: str | None
    headers: Mapping[str, str] | None
    dialect: Spoken | None


def _check_known(what: str, given: object, known: Collection[object]) -> None:
    if given not in known:
        names = ", ".join(map(repr, known))
        raise ConfigurationError(f"{what} is one of {names}, not {given!r}")


def _session_url(url: str, kind: Kind, model: str | None, call_id: str | None) -> str:
    """Return a URL that says what session is meant, by its path and query."""
    check_url(url)
    parts = urlsplit(url)
    if call_id is not None and (model is not None or kind != "conversation"):
        raise ConfigurationError("a call has its session already: leave `model` and `kind` out")
    if kind == "transcription" and model is not None:
        fix = "name the one that transcribes in the configuration, leave `model` out"
        raise ConfigurationError(f"nothing answers in a transcription session: {fix}")
    path = parts.path
    if kind == "translation" and not path.endswith("/translations"):
        path = path.rstrip("/") + "/translations"
    query = parts.query
    named = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    if call_id is not None:
        asked = {"call_id": call_id}
    elif kind == "transcription":
        asked = {} if "intent" in named else {"intent": "transcription"}
    else:
        default = DEFAULT_TRANSLATOR if path.endswith("/translations") else DEFAULT_MODEL
        asked = {} if _CHOOSES_MODEL & named else {"model": model or default}
    query = "&".join(filter(None, [query, urlencode(asked)]))
    return urlunsplit(parts._replace(path=path, query=query))


def _kind(url: str, query: Mapping[str, str]) -> Kind:
    """Return what a URL asks for; with a model GA opens a conversation whatever the intent."""
    if urlsplit(url).path.endswith("/translations"):
        return "translation"
    if query.get("intent") == "transcription" and "model" not in query:
        return "transcription"
    return "conversation"


def _resource_url(resource: str) -> str:
    """Return the address of a resource of Azure, which its portal shows with and without a path."""
    scheme, separator, rest = resource.strip().partition("://")
    if not separator:
        fix = f"https://{resource.partition('.')[0]}.openai.azure.com"
        raise ConfigurationError(f"a resource is its address: {fix}, not {resource!r}")
    base = rest.rstrip("/").removesuffix("/realtime").removesuffix("/openai/v1")
    return f"{ {'https': 'wss', 'http': 'ws'}.get(scheme, scheme) }://{base}"
