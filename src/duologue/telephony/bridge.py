"""`PhoneBridge`, an ASGI application that connects telephone calls to the model."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from duologue.errors import ConfigurationError
from duologue.telephony.asgi import (
    PhoneSocket,
    Receive,
    Scope,
    Send,
    answer_http,
    answer_lifespan,
    headers_of,
)
from duologue.telephony.call import PhoneCall
from duologue.telephony.call_runner import CallHooks, CallRunner
from duologue.telephony.call_state import CallState
from duologue.telephony.messages import CallStarted, CallStopped, PhoneProvider, printable

if TYPE_CHECKING:
    from duologue.telephony.call import CallHook, ClientFactory, DigitHook
    from duologue.telephony.messages import PhoneDialect

__all__ = ["PhoneBridge"]

logger: Final = logging.getLogger("duologue.telephony")

START_SECONDS: Final = 10.0
"""Time for the first messages of a stream; the providers send them at once."""


class PhoneBridge:
    """Connects the calls of a telephone provider to the model, each in a session of its own.

    An ASGI application for the provider's WebSocket: mount it in Starlette, FastAPI or any other
    ASGI application, or serve it by itself. In each call the phone's audio goes to the model, and
    the model's to the phone, in the G.711 format of the phone. When the caller interrupts, the
    phone is cleared, and the conversation cut to what the phone has played.

    Hooks may be functions or coroutine functions. An exception of a hook is reported to the event
    loop's exception handler; in `new_client` or `on_call` it also ends the call.

    Args:
        provider: `Twilio(...)` or `Telnyx(...)`.
        new_client: Makes the client of a call, with its configuration, tools and callbacks; called
            with the `PhoneCall` before the session begins. The bridge sets the audio formats,
            unless the client has some, connects it, and closes it.
        on_call: Called with the call and the client when the session has begun, to greet the
            caller. It may go on during the call, and is cancelled at its end.
        on_digit: Called with the call, the client and the digit for each key that is pressed, one
            after the other.
        on_end: Called with the call and the client when both have ended, to store the conversation,
            or to hang up in the provider's API. It is cancelled after 30 seconds.
        digits_as_text: Send the pressed keys to the model, as a message of the user: after `#`, 32
            digits or two seconds without another one.
        max_call_seconds: A call that lasts longer is ended.
        max_calls: Connections beyond this number are refused.

    Raises:
        ConfigurationError: If a limit is not positive.
    """

    def __init__(
        self,
        provider: PhoneProvider,
        new_client: ClientFactory,
        *,
        on_call: CallHook | None = None,
        on_digit: DigitHook | None = None,
        on_end: CallHook | None = None,
        digits_as_text: bool = False,
        max_call_seconds: float = 3600.0,
        max_calls: int = 100,
    ) -> None:
        if not (max_call_seconds > 0 and max_calls > 0):
            raise ConfigurationError("max_call_seconds and max_calls must be positive")
        self._provider: Final = provider
        self._hooks: Final = CallHooks(
            new_client, on_call, on_digit, on_end, digits_as_text=digits_as_text
        )
        self._max_call_seconds: Final = max_call_seconds
        self._max_calls: Final = max_calls
        self._connections = 0
        self._calls: Final[dict[CallState, PhoneCall]] = {}

    @property
    def calls(self) -> tuple[PhoneCall, ...]:
        """The calls that go on."""
        return tuple(self._calls.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] == "websocket":
            await self._serve(scope, PhoneSocket(receive, send))
        elif scope["type"] == "http":
            await answer_http(send)
        elif scope["type"] == "lifespan":
            await answer_lifespan(receive, send)

    async def _serve(self, scope: Scope, socket: PhoneSocket) -> None:
        if not self._provider.is_authentic(headers_of(scope)):
            logger.warning("connection refused: it is not authentic")
            await socket.refuse()
            return
        if self._connections >= self._max_calls:
            logger.warning("connection refused: there are %d calls already", self._max_calls)
            await socket.refuse()
            return
        self._connections += 1
        try:
            await socket.accept()
            await self._begin(socket)
        finally:
            self._connections -= 1

    async def _begin(self, socket: PhoneSocket) -> None:
        dialect = self._provider.open()
        try:
            async with asyncio.timeout(START_SECONDS):
                started = await _first_message(dialect, socket)
        except TimeoutError:
            started = None
        if started is None:
            logger.warning("connection closed: it is no stream of %s", self._provider.name)
            await socket.close(1002)
            return
        if started.receives is None:
            text = "call refused: the codec of its stream, %s, is not supported; use PCMU"
            logger.error(text, printable(started.codec))
            await socket.close(1003)
            return
        state = CallState(started, self._provider.name)
        call = self._calls[state] = PhoneCall(state)
        try:
            runner = CallRunner(call, state, dialect, socket, self._hooks)
            await runner.run(started.receives, max_seconds=self._max_call_seconds)
        finally:
            del self._calls[state]


async def _first_message(dialect: PhoneDialect, socket: PhoneSocket) -> CallStarted | None:
    """Return the start of the stream; `None` if it ends before that."""
    while (message := await socket.receive()) is not None:
        for event in dialect.receive(message):
            if isinstance(event, CallStarted):
                return event
            if isinstance(event, CallStopped):
                return None
    return None
