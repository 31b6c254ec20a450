"""State of a call, shared by its tasks and the application's `PhoneCall`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from duologue.telephony.messages import printable

if TYPE_CHECKING:
    from duologue.client.client import RealtimeClient
    from duologue.telephony.messages import CallEnding, CallStarted
    from duologue.telephony.phone_player import PhonePlayer

__all__ = ["CallState"]


class CallState:
    """The session, the playback and the ending of a call."""

    def __init__(self, started: CallStarted, provider: str) -> None:
        self.started: Final = started
        self.provider: Final = provider
        self.label: Final = printable(started.call_id)
        """The call's id, for the log."""
        self.client: RealtimeClient | None = None
        """The client, once its session has begun."""
        self.player: PhonePlayer | None = None
        """The player of the session."""
        self.ending: CallEnding | None = None
        """The way in which the call ended; `None` while it goes on."""
        self._ended: Final = asyncio.Event()
        self._moved: Final = asyncio.Event()
        self.more_to_send: Final = asyncio.Event()
        """Set when there may be something to send to the phone."""

    def stop_playback(self) -> None:
        """Clear the phone, and cut what was not heard."""
        if self.client is not None and self.player is not None:
            self.client.truncate_items(self.player.interrupt())
            self.more_to_send.set()
            self.report_progress()

    def report_progress(self) -> None:
        """Wake the tasks in `wait_for_progress`."""
        self._moved.set()
        self._moved.clear()

    async def wait_for_progress(self) -> None:
        """Wait until something was heard, or the call ends."""
        await self._moved.wait()

    def end(self, ending: CallEnding) -> None:
        """End the call; only the first ending counts."""
        if self.ending is None:
            self.ending = ending
            self._ended.set()
            self.report_progress()

    async def wait_until_ended(self) -> CallEnding:
        """Wait until the call ends; return how it ended."""
        await self._ended.wait()
        if self.ending is None:
            raise AssertionError("a call has ended, and nothing says how")
        return self.ending
