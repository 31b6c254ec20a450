"""RealtimeClient: a session with its conversation, for applications."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, Unpack, overload

from duologue.client.callbacks import RealtimeEventHandler
from duologue.client.client_events import client_event
from duologue.client.coercion import (
    all_of,
    argument,
    audio_bytes,
    content_parts,
    is_number,
    plain,
)
from duologue.client.coercion import item as checked_item
from duologue.client.deadline import Deadline
from duologue.client.driver import ClientOptions, Driver, new_ids
from duologue.client.endpoint import Endpoint, EndpointArguments, resolve_endpoint
from duologue.client.handles import Pending, ResponseHandle, TimeLimit
from duologue.client.session_keywords import (
    ParamsArgument,
    ResponseKeywords,
    SessionArgument,
    SessionKeywords,
    function_tool,
    response_params,
    session_config,
)
from duologue.client.tool_schema import CallContext, ToolFunction
from duologue.client.tools import RegisteredTool, ToolOptions, ToolRegistry
from duologue.errors import Closed, ConfigurationError, LocalProtocolError
from duologue.protocol import ga
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET
from duologue.session.commands import DEFAULT_TIMEOUT, Command, CommandState
from duologue.session.configuration import Configuration
from duologue.session.conversation import RealtimeConversation
from duologue.session.dead_air import DEFAULT_DEAD_AIR, DeadAirPolicy
from duologue.session.error_reports import explained
from duologue.session.history import read_saved
from duologue.session.input_backlog import DEFAULT_INPUT_DELAY
from duologue.session.latency import LatencyReport, LatencyTracker
from duologue.session.playback import PlaybackCut
from duologue.session.prices import PRICES, PriceTable
from duologue.session.rate_limits import RateLimitPolicy
from duologue.session.reconnect import NEVER, ReconnectPolicy
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.updates import ItemAppended, ItemCompleted
from duologue.session.usage import Budget, UsageMeter, UsageReport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    from opentelemetry.trace import Tracer
    from typing_extensions import Buffer

    from duologue.client.client_events import EventArgument
    from duologue.client.credentials import Key
    from duologue.client.endpoint import DialectChoice
    from duologue.client.tools import ToolHandler
    from duologue.client.tracing import SpanRecorder
    from duologue.client.update_stream import UpdateStream
    from duologue.protocol import beta
    from duologue.protocol.codec import Dialect
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.formats import Format
    from duologue.protocol.ga import (
        ContentPart,
        FunctionTool,
        Item,
        RateLimit,
        RealtimeSession,
        Session,
    )
    from duologue.session.client_session import ClientSession
    from duologue.session.formatted import FormattedItem
    from duologue.session.response_state import ResponseState
    from duologue.session.tool_calls import ToolCall
    from duologue.session.updates import Update
    from duologue.transport.base import Connector

__all__ = ["RealtimeClient", "Statistics", "ToolContext"]

F = TypeVar("F", bound="Callable[..., object]")
T = TypeVar("T")

_NO_ARGUMENTS: Final[EndpointArguments] = {
    "url": None, "api_key": None, "model": None, "dialect": None, "headers": None,
}  # fmt: skip

_NOT_OPEN: Final = "the session is not open: use `async with`, or await `connect()`"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Fill levels of the client's queues, and what was dropped."""

    waiting_updates: int
    """Updates that `async for` has not taken yet."""
    dropped_updates: int
    """Updates that were dropped because `async for` was too slow."""
    dropped_calls: int
    """Calls of asynchronous callbacks that were dropped because the callbacks were too slow."""
    failed_calls: int
    """Exceptions that callbacks have raised."""
    failed_events: int
    """Server events that could not be processed because of a fault of duologue's."""
    waiting_calls: int
    """Calls of asynchronous callbacks that have not begun, of all callbacks together."""
    waiting_input_ms: float = 0.0
    """Milliseconds of input audio that wait because the network is too slow."""
    dropped_input_ms: float = 0.0
    """Milliseconds of input audio that were dropped because the network was too slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext(CallContext):
    """One call of a tool, and the client that received it.

    A tool gets it in the parameter that is annotated with this class; the model does not see that
    parameter.
    """

    client: RealtimeClient
    """The client. In a thread (a tool that is not a coroutine function) only read it."""


class RealtimeClient(RealtimeEventHandler):
    """One conversation over a WebSocket.

    `async with` connects, waits for `session.created`, sends the session keywords if there are any
    and waits until they are in force. Iterating yields every `Update` since the connection, ends
    when the session is closed, and raises `ConnectionLost` when the connection is lost. Up to
    8192 updates wait for it, and as many raw events beside them; then the oldest are dropped, and
    counted in `statistics()`. Before the first iteration only the last 32 raw events wait, without
    those of sent audio, and if there are callbacks, only the last 32 updates. One task may iterate
    at a time; an iteration that was left can be resumed.

    Commands are sent at once, and in order. The handle that a method returns may be awaited for the
    server's answer; an error that nothing awaits arrives as an `ErrorUpdate`. A command that the
    server does not answer in time fails with a `TimeoutError`, and so does a response that it does
    not begin or go on with: `command_timeout`, or `timeout` of the method. Every method that
    sends raises `Closed` if the session is closed or not open, and `ConnectionLost` if the
    connection has ended.

    The calls of a response run side by side, each on a task of its own: coroutine functions on the
    event loop, others in a thread, both with the context variables of `connect`. When all are
    answered and the response has ended, the next one is requested. A call that fails is answered
    with `{"error": "…"}`, and reported as an `ErrorUpdate` of a `ToolFailed`. Leaving the session
    cancels running calls; a function in a thread runs to its end. Calls of tools that the
    configuration itself declares are left to the application; calls of unknown names are answered
    with an error.

    Everything runs on the event loop of `connect`, and nothing is safe for other threads.

    Args:
        endpoint: The server; `OPENAI_BASE_URL` or OpenAI by default. The next four, and `dialect`,
            describe it without one. The others of a list are used when the first is lost.
        url: Address of the server; `?model=` is added unless it names a model, intent or call.
        api_key: The key, or a function that returns one for each connection; see `Endpoint`. For
            OpenAI's hosts and `OPENAI_BASE_URL`, `None` uses `OPENAI_API_KEY`.
        model: The model that responds.
        session: Configuration to begin with, of either dialect; keywords are added to it.
        headers: Added to the request.
        connect_timeout: Seconds for `connect` as a whole: the connection, the beginning of the
            session, its configuration, and closing it again if one of them fails.
        command_timeout: Seconds for the server to answer a command, to begin a response, and to go
            on with it; `None`: no limit. The server adds the output of a tool only when the
            response that called it has ended, so this must be longer than a response takes.
        connector: Opens another transport than a WebSocket; `url` and the like are not used then.
        dialect: The dialect on the wire, GA by default; `auto` detects it from the first frame of
            the first connection. On a beta connection `RealtimeEvent.event` is a beta event,
            callbacks may use the names and classes of either dialect, and the session begins with
            the reference client's defaults.
        reconnect: Whether to connect again when the connection is lost, and to continue the
            conversation in a new session; a `ReconnectPolicy` says how. Not for calls (`call_id`).
        dead_air: How long the server may be silent while it owes a response; `None`: no limit.
        rate_limits: Whether requests of responses wait where a rate limit of the server is reached,
            and are repeated; a `RateLimitPolicy` says how.
        max_input_delay: Seconds that input audio may wait while the network is too slow; what is
            older is dropped, and an `InputAudioDropped` says so. `None`: nothing is dropped, and
            the connection is given up when 64 MiB wait.
        resume: A conversation to continue, in each session of `connect`: the path of a file that
            `RealtimeConversation.save` has written, or the JSON itself.
        retention: How much of the conversation is kept: by default the audio of the last 10 minutes
            of each side, and the words of 50,000 items.
        validate: Refuse at once, with a `LocalProtocolError` that names the fix, what the service
            would answer with an error: see `duologue.protocol.validate`.
        budget: Limit of the cost or the tokens, over all connections. When it is used up, methods
            that request a response raise `BudgetExceeded`. Responses that turn detection begins
            go on, and are reported once.
        prices: The prices by which `usage` and `budget` compute the cost.
        tracer: Makes OpenTelemetry spans of turns, responses and tools, without content; `True`: a
            tracer of the global provider. It needs `duologue[otel]`.
        keywords: See `SessionKeywords`.

    Raises:
        ConfigurationError: If the URL or a keyword is wrong, OpenAI's key is missing, or `resume`
            is not a saved conversation.
        MissingExtra: If `tracer` is given, and OpenTelemetry is not installed.
    """

    _context_class: type[CallContext] = ToolContext

    def __init__(  # noqa: PLR0913  # by keyword only, and each with a default
        self,
        *,
        endpoint: Endpoint | Sequence[Endpoint] | None = None,
        url: str | None = None,
        api_key: Key | None = None,
        model: str | None = None,
        session: SessionArgument | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        command_timeout: float | None = DEFAULT_TIMEOUT,
        connector: Connector | None = None,
        dialect: DialectChoice | None = None,
        reconnect: ReconnectPolicy | bool = True,
        dead_air: DeadAirPolicy | None = DEFAULT_DEAD_AIR,
        rate_limits: RateLimitPolicy | bool = True,
        max_input_delay: float | None = DEFAULT_INPUT_DELAY,
        resume: str | PathLike[str] | bytes | None = None,
        retention: Retention = KEEP_RECENT,
        validate: bool = False,
        budget: Budget | None = None,
        prices: PriceTable = PRICES,
        tracer: Tracer | bool = False,
        **keywords: Unpack[SessionKeywords],
    ) -> None:
        super().__init__()
        self._endpoint: Final = resolve_endpoint(
            connector,
            endpoint,
            url=url,
            api_key=api_key,
            model=model,
            headers=headers,
            dialect=dialect,
            connect_timeout=connect_timeout,
        )
        if self._endpoint.kind == "translation":
            raise ConfigurationError("a translation has no conversation: use RealtimeAPI for it")
        self._timeout: Final = connect_timeout
        self._transcribes: Final = self._endpoint.kind == "transcription"
        self._dialect: DialectChoice = self._endpoint.dialect
        adapter = dialect_adapter("ga" if self._dialect == "auto" else self._dialect)
        wanted = session_config(session, keywords, dialect=adapter.dialect)
        has_defaults = adapter.dialect == "beta" and not self._transcribes
        start = adapter.initial_session(wanted) if has_defaults else wanted
        self._configuration: Final = Configuration(
            start, is_full=has_defaults, transcribes=self._transcribes
        )
        self._configuration.wanted_session()  # refuse now what such a session cannot have
        latency = LatencyTracker()
        self._spans: Final = self._span_recorder(tracer, latency) if tracer is not False else None
        self._tools: Final = self._tool_registry()
        self._options: Final = ClientOptions(
            self._configuration,
            self._tools,
            retention=retention,
            validates=validate,
            reconnect=_reconnect_policy(reconnect),
            dead_air=dead_air
            if dead_air is None
            else argument(dead_air, DeadAirPolicy, "dead_air"),
            command_timeout=command_timeout,
            rate_limits=_rate_limit_policy(rate_limits),
            max_input_delay=_input_delay(max_input_delay),
            usage=UsageMeter(prices, budget),
            latency=latency,
        )
        self._resumed: Final = () if resume is None else _saved_items(resume)
        self._driver: Driver | None = None
        self._is_connecting = False

    # The session.

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self._driver is not None and self._driver.is_connected

    @property
    def is_reconnecting(self) -> bool:
        """Whether the connection was lost, and another is being made: see `ReconnectPolicy`."""
        return self._driver is not None and self._driver.is_reconnecting

    @property
    def conversation(self) -> RealtimeConversation:
        """The items of the session; after `close` as they were last."""
        return RealtimeConversation() if self._driver is None else self._driver.core.conversation

    @property
    def session(self) -> Session | None:
        """The configuration in force, as the server last sent it; `None` before that."""
        return None if self._driver is None else self._driver.core.active.session

    @property
    def session_config(self) -> RealtimeSession:
        """The configuration that the application wants; fields that were never set are unset."""
        return self._configuration.wanted

    @property
    def tools(self) -> Mapping[str, FunctionTool]:
        """The tools that were added, by name."""
        return self._configuration.added

    @property
    def input_audio_buffer(self) -> bytes:
        """The user's audio after the last commit or clear, as far as it was sent and is kept."""
        return b"" if self._driver is None else self._driver.core.input_audio.uncommitted

    def get_turn_detection_type(self) -> str | None:
        """Return the kind of turn detection, `server_vad` or `semantic_vad`; `None` if it is off.

        Of the configuration in force; before a session, of the one that is wanted.
        """
        session = self.session_config if self.session is None else self.session
        if isinstance(session, ga.UnknownSession) or not session.audio or not session.audio.input:
            return None
        detection = session.audio.input.turn_detection
        return plain(detection, at="turn_detection").get("type") if detection else None

    @property
    def responses(self) -> tuple[ResponseState, ...]:
        """The responses of the session, oldest first: the last thousand, whoever began them."""
        return () if self._driver is None else tuple(self._driver.core.responses)

    @property
    def rate_limits(self) -> Mapping[str, RateLimit]:
        """The rate limits by name, as the server last reported them: `requests`, `tokens`."""
        return {} if self._driver is None else dict(self._driver.core.limiter.latest)

    @property
    def usage(self) -> UsageReport:
        """The tokens by modality and their cost, so far and over all connections."""
        return self._options.usage.report()

    @property
    def latency(self) -> LatencyReport:
        """The times of the last turns, over all connections: when each got its answer."""
        return self._options.latency.report()

    @property
    def input_format(self) -> Format:
        """Format of the audio that `append_input_audio` expects."""
        return PCM16 if self._driver is None else self._driver.core.input_audio.format

    async def connect(self) -> None:
        """Open a session, with an empty conversation; tools of one that was lost are cancelled.

        Raises:
            LocalProtocolError: If one is open, or being opened.
            Closed: If `close` was called meanwhile.
            HandshakeRefused: If the server answered with an HTTP error.
            SessionRefused: If the server refused the key or the model.
            ConnectionLost: If it could not be reached, or closed at once.
            TimeoutError: If the session did not begin within `connect_timeout`, or the token
                provider took longer.
            ServerError: If the server refused the configuration.
        """
        if self._is_connecting or self.is_connected or self.is_reconnecting:
            raise LocalProtocolError("a session is open already, or being opened")
        self._is_connecting = True
        if self._spans is not None:
            self._spans.open()
        try:
            await self._connect()
        finally:
            self._is_connecting = False

    async def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat.

        A `connect` that is under way raises `Closed`.
        """
        if self._driver is not None:
            await self._driver.close()

    async def restart(
        self,
        session: SessionArgument | None = None,
        *,
        endpoint: Endpoint | None = None,
        **keywords: Unpack[SessionKeywords],
    ) -> None:
        """Continue the conversation in a new session at once.

        Use it when a session hangs, and for what a session cannot change: its model, or its voice.
        The old session goes on until the new one has the conversation. A response that is in
        progress is cut, and requested again.

        Args:
            session: A change of the configuration, as for `update_session`.
            endpoint: The server from now on; `None`: the same.
            keywords: Added to `session`.

        Raises:
            ConfigurationError: If the configuration is wrong.
            Closed: If the session was closed, or is not open.
            HandshakeRefused: If the server refused the connection. The old session goes on, as it
                does after the errors below.
            SessionRefused: If the server refused the key or the model.
            ServerError: If the server refused the configuration.
            ConnectionLost: If the server could not be reached.
            TimeoutError: If the new session did not begin within `connect_timeout`.
        """
        driver = self._opened()
        connector = None
        if endpoint is not None:
            checked = argument(endpoint, Endpoint, "endpoint")
            connector = resolve_endpoint(
                None, checked, connect_timeout=self._timeout, **_NO_ARGUMENTS
            ).connector
        change = session_config(session, keywords, dialect=self._dialect_name)
        if change is not None:
            self._configuration.update(change)
            self._configuration.keep(change)
        await driver.restart(connector)

    async def disconnect(self) -> None:
        """Close the session, and empty the conversation as the reference client does."""
        await self.close()
        if not self._is_connecting:
            self._driver = None

    async def reset(self) -> None:
        """Close the session, and forget the callbacks, the tools and all changes of the session."""
        await self.disconnect()
        self.clear_event_handlers()
        self._configuration.reset()
        self._tools.handlers.clear()
        self._dialect = self._endpoint.dialect

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> UpdateStream[Update]:
        return aiter(self._opened().updates)

    async def wait_for_session_created(self, *, timeout: float | None = None) -> Session:  # noqa: ASYNC109  # as `wait_for_next`
        """Return the session's configuration, as soon as there is one; see `wait_for_next`."""
        while self.session is None:  # some servers begin with another event: session.updated, ping
            await self.wait_for_next("server.*", timeout=timeout)
        return self.session

    async def wait_for_next_item(self, *, timeout: float | None = None) -> FormattedItem:  # noqa: ASYNC109  # as `wait_for_next`
        """Return the next item that is added to the conversation; see `wait_for_next`."""
        return (await self.wait_for_next(ItemAppended, timeout=timeout)).item

    async def wait_for_next_completed_item(self, *, timeout: float | None = None) -> FormattedItem:  # noqa: ASYNC109  # as `wait_for_next`
        """Return the next item that is completed; see `wait_for_next`."""
        return (await self.wait_for_next(ItemCompleted, timeout=timeout)).item

    def items(self) -> UpdateStream[FormattedItem]:
        """Return an iterator over the items that are added to the conversation from now on.

        It misses none, whatever its task awaits in between: up to 8192 wait. It ends when the
        session is closed, and raises `ConnectionLost` when the connection is lost.

        Raises:
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection has ended.
        """
        return self._callbacks.stream(ItemAppended, lambda update: update.item)

    def completed_items(self) -> UpdateStream[FormattedItem]:
        """Return an iterator over the items that are completed from now on; see `items`."""
        return self._callbacks.stream(ItemCompleted, lambda update: update.item)

    def statistics(self) -> Statistics:
        """Return the fill levels of the client's queues."""
        updates = None if self._driver is None else self._driver.updates
        waiting, dropped = (0, 0) if updates is None else (len(updates), updates.dropped)
        queues = self._callbacks.queues
        core = None if self._driver is None else self._driver.core
        return Statistics(
            waiting_updates=waiting,
            dropped_updates=dropped,
            dropped_calls=queues.dropped,
            failed_calls=queues.failures,
            failed_events=0 if core is None else core.failures,
            waiting_calls=len(queues),
            waiting_input_ms=0.0 if core is None else core.backlog.waiting_ms,
            dropped_input_ms=0.0 if core is None else core.backlog.dropped_ms,
        )

    # Sending.

    def send(self, event: EventArgument) -> None:
        """Send any event, of either dialect; it gets an `event_id` if it has none.

        Args:
            event: A struct, or a dictionary of the same fields. A dictionary of a type that
                duologue does not know is sent as it is.

        Raises:
            ConfigurationError: If a field of its session or response is wrong.
            LocalProtocolError: If another field is, if a command with the same `event_id` awaits
                its answer, or if the event cannot be expressed in the dialect of the connection.
        """
        driver = self._opened()
        checked = client_event(event, self._dialect_name)
        driver.call(lambda core, now: core.send(checked, now))

    async def drain(self) -> None:
        """Wait until the write buffer has drained; use it when sending continuously.

        While the client connects again, wait until it has.
        """
        await self._opened().drain()

    def update_session(
        self,
        session: SessionArgument | None = None,
        *,
        full: bool | None = None,
        timeout: TimeLimit = UNSET,
        **keywords: Unpack[SessionKeywords],
    ) -> Pending[Session]:
        """Change the session; the result is the configuration then in force.

        What is unset stays as it is, `None` switches off. Without a session the change is kept for
        `connect`, and waiting for its result raises `Closed`.

        Args:
            session: The change, in either dialect, as a struct or a dictionary.
            full: Whether to send the whole wanted configuration with it, or the change alone. By
                default: the whole in beta, as the reference client does, the change alone in GA.
            timeout: Seconds, instead of `command_timeout`.
            keywords: Added to `session`.

        Raises:
            ConfigurationError: If there is no change, a field is unknown or its value wrong, a
                transcription session cannot have it, or a tool has the name of one that `add_tool`
                added.
        """
        change = session_config(session, keywords, dialect=self._dialect_name)
        if change is None:
            raise ConfigurationError("update_session needs a configuration, or keywords")
        return self._update(change, full=full, timeout=timeout)

    def append_input_audio(self, audio: Buffer) -> None:
        """Send user audio, in the session's input format; empty audio sends nothing.

        The server does not confirm it. This never waits: see `max_input_delay`.

        Args:
            audio: Bytes, in chunks of any size, or an array of 16-bit samples of one channel, as
                those of NumPy and `array`.

        Raises:
            LocalProtocolError: If it is neither; the message names the fix.
        """
        if type(audio) is not bytes:
            audio = audio_bytes(audio, self.input_format)
        if audio:
            if self._driver is None:
                raise Closed(_NOT_OPEN)
            self._driver.append_audio(audio)

    def commit_input_audio(self, *, timeout: TimeLimit = UNSET) -> Pending[str]:
        """Make the input audio a user message; the result is the id of its item."""
        return self._command(ga.InputAudioBufferCommitEvent(), _committed_id, timeout)

    def clear_input_audio(self, *, timeout: TimeLimit = UNSET) -> Pending[None]:
        """Discard the input audio that is not committed."""
        return self._command(ga.InputAudioBufferClearEvent(), _none, timeout)

    def send_user_message_content(
        self, content: str | Sequence[ContentPart | Mapping[str, Any]]
    ) -> ResponseHandle:
        """Send a user message and request a response; without content only request it.

        Raises:
            LocalProtocolError: If a content part is wrong.
            BudgetExceeded: If the budget is used up; the message is not sent then.
        """
        parts = content_parts(content)
        self._opened().call(lambda core, _now: core.check_budget())
        if parts:
            self.create_item(ga.Message(role="user", content=parts))
        return self.create_response()

    async def ask(self, content: str | Sequence[ContentPart | Mapping[str, Any]]) -> ResponseHandle:
        """Send a user message and return its answer: the response that has ended.

        If the model calls tools, the answer is the response after their results. Read its `text`,
        or its `transcript` and `audio`.

        Raises:
            ResponseFailed: If a response failed.
            ServerError: If the server refused to begin one.
            BudgetExceeded: If the budget is used up.
            TimeoutError: If the server did not begin one, or go on with it, in time.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first, or is not open.
        """
        return await self.send_user_message_content(content).answer()

    def create_item(
        self,
        item: Item | beta.Item | Mapping[str, Any],
        *,
        previous_item_id: str | None = None,
        timeout: TimeLimit = UNSET,
    ) -> Pending[str]:
        """Add an item to the conversation; the result is its id.

        Args:
            item: A struct of either dialect, or a dictionary. Anything but audio of the assistant:
                restore that as its text.
            previous_item_id: Insert after this item; `root`: at the front; `None`: at the end.
            timeout: Seconds, instead of `command_timeout`.

        Raises:
            LocalProtocolError: If a field of the item is wrong.
        """
        previous = UNSET if previous_item_id is None else previous_item_id
        event = ga.ConversationItemCreateEvent(item=checked_item(item), previous_item_id=previous)
        return self._command(event, _added_id, timeout)

    def retrieve_item(self, item_id: str, *, timeout: TimeLimit = UNSET) -> Pending[Item]:
        """Request the server's copy of an item; the result includes its audio."""
        return self._command(ga.ConversationItemRetrieveEvent(item_id=item_id), _item, timeout)

    def delete_item(self, item_id: str, *, timeout: TimeLimit = UNSET) -> Pending[None]:
        """Delete an item; it leaves `conversation` once the server has deleted it."""
        return self._command(ga.ConversationItemDeleteEvent(item_id=item_id), _none, timeout)

    def truncate_item(
        self,
        item_id: str,
        audio_end_ms: int,
        content_index: int = 0,
        *,
        timeout: TimeLimit = UNSET,
    ) -> Pending[None]:
        """Cut the assistant's audio to what was heard of it; its transcript is dropped.

        The end is clamped to what was received, as the server refuses more, if the conversation has
        the audio. Nothing is sent for an item that has ended and was heard to its end.
        """
        argument(item_id, str, "item_id")
        argument(audio_end_ms, int, "audio_end_ms")
        argument(content_index, int, "content_index")
        return self._pending(
            lambda core, now: core.truncate_item(item_id, audio_end_ms, content_index, now),
            _none,
            timeout,
        )

    def truncate_items(self, cuts: Iterable[PlaybackCut]) -> None:
        """Cut items to what was heard of them: the result of `PlaybackLedger.interrupt`.

        An item of which nothing was heard is deleted, unless it has text, too: the server refuses
        to truncate an item that has no audio yet. Items that the conversation does not have are
        ignored.
        """
        checked = all_of(cuts, PlaybackCut, "cuts")
        if checked:  # an application that stops its player after the session has nothing to send
            self._opened().call(lambda core, now: core.truncate_items(checked, now))

    def create_response(
        self,
        params: ParamsArgument | None = None,
        *,
        timeout: TimeLimit = UNSET,
        **keywords: Unpack[ResponseKeywords],
    ) -> ResponseHandle:
        """Request a response.

        While another response of the conversation is in progress it waits its turn; an out-of-band
        response does not. Without turn detection, uncommitted input audio is committed first.

        Args:
            params: What the response does differently from its session, in either dialect, as a
                struct or a dictionary.
            timeout: Seconds to begin, and to go on, instead of `command_timeout`.
            keywords: Added to `params`.

        Raises:
            ConfigurationError: If a field is unknown, or its value wrong.
            LocalProtocolError: If too many responses wait already.
            BudgetExceeded: If the budget is used up.
        """
        response = response_params(params, keywords, dialect=self._dialect_name)
        event = ga.ResponseCreateEvent(response=response)
        driver = self._opened()
        request = driver.request(
            lambda core, now: core.create_response(event, now), timeout=timeout
        )
        return ResponseHandle(request, driver)

    def cancel_response(
        self, response_id: str | None = None, *, item_id: str | None = None, heard_samples: int = 0
    ) -> None:
        """Cancel a response, by default the conversation's; harmless when there is none.

        Args:
            response_id: The response.
            item_id: The item of the assistant that is being played: it is cut to what was heard, as
                `truncate_item` does, if it has audio.
            heard_samples: How much of that item was heard.

        Raises:
            ItemNotFound: If there is no such item; nothing is sent then.
            LocalProtocolError: If the item is not the assistant's; nothing is sent then.
        """
        for value, name in ((response_id, "response_id"), (item_id, "item_id")):
            if value is not None:
                argument(value, str, name)
        argument(heard_samples, int, "heard_samples")
        self._opened().call(
            lambda core, now: core.cancel_response(response_id, item_id, heard_samples, now)
        )

    # Tools.

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[ToolOptions],
    ) -> Callable[[F], F]: ...
    def tool(
        self,
        function: F | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[ToolOptions],
    ) -> F | Callable[[F], F]:
        """Offer a function to the model, as a decorator with or without options.

        The schema comes from the signature, the descriptions from the docstring and `Annotated`. A
        parameter of the class `ToolContext` gets the call and is not shown to the model. The result
        is sent as JSON, a string as it is. It may be used before the session and during it.

        Args:
            function: The function; it is returned unchanged.
            name: Name of the tool, instead of the function's.
            description: Description of the tool, instead of the docstring's.
            options: See `ToolOptions`.

        Raises:
            ConfigurationError: If a parameter has no schema, an option is wrong, or there is a tool
                of this name.
        """

        def add(function: F) -> F:
            tool = ToolFunction(
                function, name=name, description=description, context=self._context_class
            )
            self._add_tool(tool.definition, RegisteredTool.of(tool, options))
            return function

        return add if function is None else add(function)

    def add_tool(
        self,
        definition: FunctionTool | Mapping[str, Any],
        handler: ToolHandler,
        **options: Unpack[ToolOptions],
    ) -> Pending[Session]:
        """Offer a function with a schema of your own to the model; the session is updated.

        Args:
            definition: Name, description and `parameters` (JSON Schema), as a struct or as JSON.
            handler: Receives the arguments; see `ToolHandler`.
            options: See `ToolOptions`.

        Raises:
            ConfigurationError: If it has no name, or that of another tool, or an option is wrong.
        """
        return self._add_tool(function_tool(definition), RegisteredTool.of(handler, options))

    def remove_tool(self, name: str) -> Pending[Session]:
        """Remove a tool; the session is updated. Its running calls are finished.

        Raises:
            ConfigurationError: If it was not added.
        """
        change = self._configuration.remove(argument(name, str, "name"))
        del self._tools.handlers[name]
        return self._update(change)

    def approve_mcp_call(self, request_id: str) -> Pending[str]:
        """Let the API call a tool of an MCP server; the result is the id of the new item.

        Args:
            request_id: Id of the item of type `mcp_approval_request`.
        """
        return self._answer_mcp(request_id, approve=True, reason=None)

    def reject_mcp_call(self, request_id: str, *, reason: str | None = None) -> Pending[str]:
        """Forbid a call of an MCP server's tool; see `approve_mcp_call`.

        Args:
            request_id: Id of the item of type `mcp_approval_request`.
            reason: For the model.
        """
        return self._answer_mcp(request_id, approve=False, reason=reason)

    # The driver.

    @property
    def _dialect_name(self) -> Dialect:
        return "ga" if self._dialect == "auto" else self._dialect

    def _opened(self) -> Driver:
        if self._driver is None:
            raise Closed(_NOT_OPEN)
        return self._driver

    async def _connect(self) -> None:
        old, driver = self._driver, self._new_driver()
        deadline = Deadline(self._timeout)
        self._driver = driver  # before anything is awaited: `close` ends this session
        try:
            if old is not None:
                await old.stop_tools()
            driver.check_not_ended()
            self._callbacks.open()
            await driver.open(self._endpoint.connector, deadline)
            if not self._endpoint.is_sideband:
                failure = "the server sent no session.created"
                await deadline.limit(self.wait_for_session_created(), failure)
            await driver.configure(deadline)
            commands = [self.create_item(item) for item in self._resumed]
            for command in commands:
                await deadline.limit(command, "the server did not restore the conversation")
            if not self._endpoint.is_sideband:
                connectors = (self._endpoint.connector, *self._endpoint.fallbacks)
                driver.keep_alive(connectors, connect_timeout=self._timeout)
        except TimeoutError as error:
            reason = explained(error, driver.connection.last_event)
            await driver.give_up(reason, deadline)
            raise reason from error.__cause__
        except BaseException as error:
            await driver.give_up(error, deadline)
            raise

    def _new_driver(self) -> Driver:
        return Driver(
            self._callbacks,
            self._options,
            dialect=None if self._dialect == "auto" else dialect_adapter(self._dialect),
            on_dialect=self._on_dialect,
            new_id=new_ids(),
        )

    def _on_dialect(self, adapter: DialectAdapter[Any, Any]) -> None:
        """Use the detected dialect from now on, and its defaults."""
        self._dialect = adapter.dialect
        if adapter.dialect == "beta" and not self._transcribes:
            self._configuration.set_defaults(adapter.initial_session(None))

    def _span_recorder(self, tracer: Tracer | bool, latency: LatencyTracker) -> SpanRecorder:  # noqa: FBT001  # either
        from duologue.client.tracing import SpanRecorder  # noqa: PLC0415  # an extra

        return SpanRecorder(tracer, self._callbacks, latency, self._active_model)

    def _tool_registry(self) -> ToolRegistry:
        if self._spans is None:
            return ToolRegistry(self._context)
        from duologue.client.tracing import TracedTools  # noqa: PLC0415  # an extra

        return TracedTools(self._context, self._spans)

    def _active_model(self) -> str:
        return "" if self._driver is None else self._driver.core.active.model

    def _context(self, call: ToolCall) -> CallContext:
        return ToolContext(client=self, call_id=call.call_id, item=call.item)

    def _command(
        self, event: ga.KnownClientEvent, read: Callable[[Any], T], timeout: TimeLimit
    ) -> Pending[T]:
        checked = client_event(event, self._dialect_name)
        return self._pending(lambda core, now: core.send_command(checked, now), read, timeout)

    def _pending(
        self,
        method: Callable[[ClientSession, float], Command],
        read: Callable[[Any], T],
        timeout: TimeLimit,
    ) -> Pending[T]:
        driver = self._opened()
        return Pending(driver.request(method, timeout=timeout), driver.waiters, read)

    def _update(
        self, change: RealtimeSession, *, full: bool | None = None, timeout: TimeLimit = UNSET
    ) -> Pending[Session]:
        if self.is_connected or self.is_reconnecting:
            return self._pending(
                lambda core, now: core.update_session(change, now, is_full=full), _session, timeout
            )
        session = self._configuration.update(change, is_full=full)
        self._configuration.keep(change)
        error = Closed("the session is not open: the change is kept, and sent by `connect()`")
        event = ga.SessionUpdateEvent(session=session)
        return Pending(Command("", event, CommandState.FAILED, error=error), None, _session)

    def _add_tool(self, definition: FunctionTool, tool: RegisteredTool) -> Pending[Session]:
        change = self._configuration.add(definition)
        name = str(definition.name)
        self._tools.handlers[name] = tool
        try:
            return self._update(change)
        except BaseException:  # a transcription session has no tools
            self._configuration.remove(name)
            del self._tools.handlers[name]
            raise

    def _answer_mcp(self, request_id: str, *, approve: bool, reason: str | None) -> Pending[str]:
        response = ga.McpApprovalResponse(
            id=self._opened().core.new_id("mcpr"),
            approval_request_id=request_id,
            approve=approve,
            reason=UNSET if reason is None else reason,
        )
        return self.create_item(response)


def _reconnect_policy(choice: ReconnectPolicy | bool) -> ReconnectPolicy:  # noqa: FBT001  # as given
    if isinstance(choice, bool):
        return ReconnectPolicy() if choice else NEVER
    return argument(choice, ReconnectPolicy, "reconnect")


def _rate_limit_policy(choice: RateLimitPolicy | bool) -> RateLimitPolicy | None:  # noqa: FBT001  # as given
    if isinstance(choice, bool):
        return RateLimitPolicy() if choice else None
    return argument(choice, RateLimitPolicy, "rate_limits")


def _input_delay(choice: float | None) -> float | None:
    if choice is not None and not (is_number(choice) and 0 < choice < math.inf):
        text = "must be a number of seconds above 0, or None for no limit"
        raise ConfigurationError(f"max_input_delay {text}, not {choice!r}")
    return choice


def _saved_items(saved: str | PathLike[str] | bytes) -> tuple[Item, ...]:
    if isinstance(saved, bytes):
        return read_saved(saved)
    try:
        return read_saved(Path(saved).read_bytes())
    except OSError as error:
        raise ConfigurationError(f"the saved conversation cannot be read: {error}") from error


def _session(answer: ga.SessionUpdatedEvent) -> Session:
    return answer.session


def _committed_id(answer: ga.InputAudioBufferCommittedEvent) -> str:
    return answer.item_id


def _added_id(answer: ga.ConversationItemAdded) -> str:
    return answer.item.id if isinstance(answer.item.id, str) else ""


def _item(answer: ga.ConversationItemRetrieved) -> Item:
    return answer.item


def _none(_: object) -> None:
    return None
