"""One telephone call, as the application sees it, and the types of its hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from duologue.errors import Closed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.client.client import RealtimeClient
    from duologue.telephony.call_state import CallState
    from duologue.telephony.messages import CallEnding, CallStarted

__all__ = ["CallHook", "ClientFactory", "DigitHook", "PhoneCall"]

ClientFactory: TypeAlias = "Callable[[PhoneCall], RealtimeClient | Awaitable[RealtimeClient]]"
"""Function or coroutine function that makes the client of a call."""
CallHook: TypeAlias = "Callable[[PhoneCall, RealtimeClient], object]"
"""Function or coroutine function of the application, for a call."""
DigitHook: TypeAlias = "Callable[[PhoneCall, RealtimeClient, str], object]"
"""Function or coroutine function of the application, for a pressed key."""


class PhoneCall:
    """A telephone call; `PhoneBridge` makes it.

    Everything happens on the event loop of the ASGI server, and nothing is safe for other threads:
    a tool that hangs up must be a coroutine function.
    """

    def __init__(self, state: CallState) -> None:
        self._state: Final = state

    @property
    def id(self) -> str:
        """The call's id in the provider's REST API."""
        return self._state.started.call_id

    @property
    def provider(self) -> str:
        """`Twilio` or `Telnyx`."""
        return self._state.provider

    @property
    def parameters(self) -> Mapping[str, str]:
        """Custom parameters, as your application has set them for the provider."""
        return self._state.started.parameters

    @property
    def started(self) -> CallStarted:
        """The beginning of the stream: ids, numbers, parameters and encodings."""
        return self._state.started

    @property
    def ending(self) -> CallEnding | None:
        """The way in which the call ended; `None` while it goes on."""
        return self._state.ending

    def hang_up(self) -> None:
        """End the call: close the stream, and the session with the model.

        Twilio ends the call if no TwiML follows `<Connect>`. Telnyx keeps it until its `hangup`
        command is sent, for example in `on_end`.
        """
        self._state.end("application")

    async def wait_until_heard(self, *, timeout: float = 30.0) -> bool:  # noqa: ASYNC109  # returns instead of raising
        """Wait until the phone has played all audio of the assistant, such as a farewell.

        Return false if it has not within `timeout` seconds, or the call ends first.
        """
        state = self._state
        try:
            async with asyncio.timeout(timeout):
                while state.ending is None and state.player and not state.player.is_idle:
                    await state.wait_for_progress()
        except TimeoutError:
            return False
        return state.ending is None

    async def wait_until_ended(self) -> CallEnding:
        """Wait until the call ends; return how it ended."""
        return await self._state.wait_until_ended()

    def interrupt(self) -> None:
        """Stop the assistant: cancel its response, clear the phone, and cut what was not heard.

        The bridge does so by itself when turn detection has interrupted a response. Use this with
        `interrupt_response=False`, or for a key of the phone.

        Raises:
            Closed: If the session with the model has not begun, or has ended.
            ConnectionLost: If it was lost.
        """
        if self._state.client is None:
            raise Closed("the session with the model has not begun")
        self._state.client.cancel_response()
        self._state.stop_playback()
