"""RealtimeClient: a session with its conversation, for applications."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self, Unpack

from duologue.client.context import CallContext, ToolContext
from duologue.client.driver import Driver, Setup
from duologue.client.offering import Offering
from duologue.client.session_keywords import SessionKeywords, session_config
from duologue.client.target import opened, target
from duologue.client.tools import Tools
from duologue.client.words import words_of
from duologue.errors import Closed, ConfigurationError, LocalProtocolError
from duologue.protocol.ga import RealtimeSession, SessionCreatedEvent, TranscriptionSession
from duologue.session.configuration import Configuration
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.updates import ItemAppended, ItemCompleted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from duologue.client.endpoint import Endpoint, Spoken
    from duologue.client.keys import Key
    from duologue.client.link import Connector
    from duologue.client.reader import Reader
    from duologue.protocol import beta
    from duologue.protocol.codec import Dialect
    from duologue.protocol.formats import Format
    from duologue.protocol.ga import Session
    from duologue.session.conversation import RealtimeConversation
    from duologue.session.formatted import FormattedItem
    from duologue.session.response_state import ResponseState
    from duologue.session.tool_calls import ToolCall
    from duologue.session.updates import Update

__all__ = ["RealtimeClient", "Statistics"]


@dataclass(frozen=True, slots=True)
class Statistics:
    """How full the client's queues are, and what did not fit."""

    waiting_updates: int
    """Updates that `async for` has not taken."""
    dropped_updates: int
    """Updates that nobody took in time."""
    dropped_calls: int
    """Calls of asynchronous callbacks that were not made: they were too slow for too long."""
    failed_calls: int
    """Callbacks that raised."""


class RealtimeClient(Offering):
    """One conversation over a WebSocket.

    `async with` connects, waits for `session.created`, sends the session keywords if there are any
    and waits until they hold. Iterating yields every `Update` from the connection on, ends when the
    session is closed, and raises `ConnectionLost` when the connection ends unasked. Until the first
    iteration the last 32 updates wait, later up to 8192, and as many raw events beside them; the
    oldest are dropped then, and counted in `statistics()`. One task may iterate at a time; a loop
    that was left can be taken up again.

    Everything runs on the event loop of `connect`, and none of it is safe for other threads.

    Args:
        endpoint: Where to connect; what is not said here is OpenAI. The next four, and `dialect`,
            say the usual of it without one.
        url: Where the server is; `?model=` is added unless it names a model, intent or call.
        api_key: The key, or a function that gives one at each connection; see `Endpoint`. For
            OpenAI's hosts it comes from `OPENAI_API_KEY` when it is `None`.
        model: The model that answers.
        session: What to tell the session first; keywords are laid over it.
        headers: Added to the request.
        connect_timeout: Seconds for the connection, and as many for the session to begin.
        connector: Opens another transport than a WebSocket; `url` and what goes with it is unused.
        dialect: What is spoken on the wire, GA by default; `auto`: what the first frame of the
            first connection speaks. On a beta connection `RealtimeEvent.event` is beta's,
            callbacks may be registered under the names and classes of either dialect, and the
            session begins with the reference client's defaults, as if they had been named.
        retention: How much of the conversation is kept: by default the audio of the last 10
            minutes of each side, and the words of 50,000 items.
        validate: Refuse at once, with a `LocalProtocolError` that names the fix, what the service
            would answer with an error: see `duologue.protocol.validate`.
        keywords: See `SessionKeywords`.

    Raises:
        ConfigurationError: If the URL or a keyword is wrong, or OpenAI's key is missing.
    """

    def __init__(  # noqa: PLR0913  # by keyword only, and each with a default
        self,
        *,
        endpoint: Endpoint | None = None,
        url: str | None = None,
        api_key: Key | None = None,
        model: str | None = None,
        session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        connector: Connector | None = None,
        dialect: Spoken | None = None,
        retention: Retention = KEEP_RECENT,
        validate: bool = False,
        **keywords: Unpack[SessionKeywords],
    ) -> None:
        there = target(
            connector,
            endpoint,
            url=url,
            api_key=api_key,
            model=model,
            headers=headers,
            dialect=dialect,
            connect_timeout=connect_timeout,
        )
        if there.kind == "translation":
            raise ConfigurationError("a translation is no conversation: take RealtimeAPI for it")
        self._is_detecting = there.dialect == "auto"
        words = words_of("ga" if there.dialect == "auto" else there.dialect)
        wanted = session_config(session, keywords, dialect=words.dialect)
        self._transcribes = there.kind == "transcription"
        is_full = words.dialect == "beta" and not self._transcribes
        start = words.start(wanted) if is_full else wanted
        configuration = Configuration(start, is_full=is_full)
        super().__init__(Setup(words, configuration, Tools(self._context), retention, validate))
        self._is_connecting = False
        self._of_its_kind(configuration.wanted)
        self._target: Final = there
        self._timeout: Final = connect_timeout

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self._driver.is_connected

    @property
    def conversation(self) -> RealtimeConversation:
        """What was said; after `close` as it was last."""
        return self._driver.core.conversation

    @property
    def session(self) -> Session | None:
        """The configuration that holds, as the server last told it; `None` before it did."""
        return self._driver.core.session

    @property
    def responses(self) -> tuple[ResponseState, ...]:
        """The responses of the session, oldest first: the last thousand, whoever asked for them."""
        return tuple(self._driver.core.responses)

    @property
    def input_format(self) -> Format:
        """In which `append_input_audio` takes audio."""
        return self._driver.core.input_audio.format

    async def connect(self) -> None:
        """Open a session, with an empty conversation; tools of one that was lost are cancelled.

        Raises:
            LocalProtocolError: If one is open, or being opened.
            Closed: If `close` was called meanwhile.
            HandshakeRefused: If the server answered with an HTTP error.
            ConnectionLost: If it could not be reached, or closed at once.
            TimeoutError: If the session did not begin within `connect_timeout`, or the provider of
                the token took longer.
            ServerError: If the server refused the configuration.
        """
        if self._is_connecting or self._driver.is_connected:
            raise LocalProtocolError("a session is open already, or being opened")
        self._is_connecting = True
        try:
            await self._connect()
        finally:
            self._is_connecting = False

    async def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat.

        A `connect` that is under way raises `Closed`.
        """
        await self._driver.close()

    async def disconnect(self) -> None:
        """Close the session, and empty the conversation as the reference client does."""
        await self.close()
        if not self._is_connecting:
            self._driver = self._new_driver()

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

    def __aiter__(self) -> Reader[Update]:
        if not self._driver.was_opened:
            raise Closed("the client is not connected: use `async with` or `await connect()`")
        return aiter(self._driver.reader)

    async def wait_for_session_created(self, *, timeout: float | None = None) -> Session:  # noqa: ASYNC109  # as `wait_for_next`
        """Return the session's configuration, as soon as there is one; see `wait_for_next`."""
        if self.session is None:
            await self.wait_for_next(SessionCreatedEvent, timeout=timeout)
        if self.session is None:
            raise AssertionError("session.created came, but told no session")
        return self.session

    async def wait_for_next_item(self, *, timeout: float | None = None) -> FormattedItem:  # noqa: ASYNC109  # as `wait_for_next`
        """Return the next item that enters the conversation; see `wait_for_next`."""
        return (await self.wait_for_next(ItemAppended, timeout=timeout)).item

    async def wait_for_next_completed_item(self, *, timeout: float | None = None) -> FormattedItem:  # noqa: ASYNC109  # as `wait_for_next`
        """Return the next item that is completed; see `wait_for_next`."""
        return (await self.wait_for_next(ItemCompleted, timeout=timeout)).item

    def statistics(self) -> Statistics:
        """Return the state of the client's queues."""
        reader, dispatcher = self._driver.reader, self._registry.dispatcher
        return Statistics(len(reader), reader.dropped, dispatcher.dropped, dispatcher.failures)

    async def _connect(self) -> None:
        connector = self._target.connector
        old, self._driver = self._driver, self._new_driver()
        begun = self._driver
        await old.stop_tools()
        if self._is_detecting:
            dialect, connector = await opened(connector, timeout=self._timeout)
            self._is_detecting = False
            self._speak(dialect)
            self._driver = self._new_driver()
        driver = self._driver
        self._registry.open()
        try:
            if begun.ending is not None:  # closed meanwhile
                driver.on_end(None)
            await driver.open(connector)
            if not self._target.is_sideband:
                await self.wait_for_session_created(timeout=self._timeout)
            wanted = self._setup.configuration.wanted
            if wanted != RealtimeSession() and not self._asks_beta_for_words():
                await self._configure(wanted)
        except BaseException:
            await driver.close()
            raise

    def _new_driver(self) -> Driver:
        return Driver(self._registry, self._setup, new_id=_ids())

    def _context(self, call: ToolCall) -> CallContext:
        return ToolContext(client=self, call_id=call.call_id, item=call.item)

    def _speak(self, dialect: Dialect) -> None:
        """Speak what was detected, and ask of the session what is asked in that dialect."""
        words = words_of(dialect)
        self._setup = replace(self._setup, words=words)
        if dialect == "beta" and not self._transcribes:
            self._setup.configuration.lay_under(words.start(None))

    def _asks_beta_for_words(self) -> bool:
        """Tell whether a beta session that was opened for transcription alone is asked for more."""
        is_for_words = isinstance(self.session, TranscriptionSession)
        return is_for_words and self._setup.configuration.is_full

    async def _configure(self, config: RealtimeSession) -> None:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                await self._tell(config)
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the server did not answer session.update within {self._timeout} s"
            raise TimeoutError(text) from None


def _ids() -> Callable[[str], str]:
    """Return what makes the ids of one session: unique in the world, cheap, in order."""
    session, numbers = secrets.token_hex(6), itertools.count(1)
    return lambda kind: f"{kind}_{session}_{next(numbers)}"
