"""What every transport owes its receiver: ordered frames, one ending, no swallowed exception."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from duologue.errors import Closed, ConnectionLost, DialectRefused, RemoteProtocolError

if TYPE_CHECKING:
    from duologue.transport.base import Receiver

__all__ = ["Delivery", "broken_rule", "closed_by_peer", "cut", "receiver_failed"]

CLOSE_DIALECT_REFUSED: Final = 4000
_REFUSED: Final = "beta_api_shape_disabled"
"""OpenAI's code in the reason of that close; with another one it refuses something else."""


def closed_by_peer(code: int, reason: str) -> ConnectionLost:
    """Return what a CLOSE from the peer, unasked, means to us."""
    kind, _, named = reason.partition(".")
    is_of_another_kind = kind == "invalid_request_error" and named != _REFUSED
    if code == CLOSE_DIALECT_REFUSED and not is_of_another_kind:
        return DialectRefused(reason or "the server does not speak this dialect", code=code)
    return ConnectionLost(reason or "the server closed the session", code=code)


def broken_rule(code: int, reason: str) -> ConnectionLost:
    """Return the error of a connection that we ended because the peer broke the protocol."""
    lost = ConnectionLost(reason, code=code)
    lost.__cause__ = RemoteProtocolError(reason)
    return lost


def cut() -> ConnectionLost:
    """Return the error of a connection that ended without a CLOSE frame."""
    return ConnectionLost("the connection was cut", code=1006)


def receiver_failed(failure: Exception) -> ConnectionLost:
    """Return the error of a connection that we ended because its receiver raised `failure`."""
    lost = ConnectionLost("the receiver of the frames failed", code=1011)
    lost.__cause__ = failure
    return lost


class Delivery:
    """The way from a transport to its receiver; remembers how the connection ended."""

    __slots__ = ("_ending", "_is_reported", "_lost", "_receiver", "is_open")

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._ending: Closed | ConnectionLost | None = None
        self._lost: ConnectionLost | None = None
        self._is_reported = False
        self.is_open: bool = True
        """Whether frames may still pass, either way."""

    def check_open(self) -> None:
        """Raise the ending, if there is one.

        Raises:
            Closed: If our side closed.
            ConnectionLost: If it ended in any other way.
        """
        if self._ending is not None:
            # One instance is raised many times: without this its traceback would grow each time.
            raise self._ending.with_traceback(None)

    def frame(self, frame: bytes) -> Exception | None:
        """Hand over one frame, and return what the receiver raised."""
        try:
            self._receiver.on_frame(frame)
        except Exception as error:  # noqa: BLE001  # reported, and the caller ends the connection
            self._report_failure("on_frame", error)
            return error
        return None

    def end(self, lost: ConnectionLost | None) -> bool:
        """Settle how it ended (`None`: we closed it); return whether it was open until now."""
        if not self.is_open:
            return False
        self.is_open = False
        self._lost = lost
        self._ending = lost or Closed("the session is closed")
        return True

    def report(self) -> None:
        """Tell the receiver about the ending, unless it knows; call after `end`."""
        if self._is_reported:
            return
        self._is_reported = True
        try:
            self._receiver.on_close(self._lost)
        except Exception as error:  # noqa: BLE001  # nothing is left to be ended, so reporting is all
            self._report_failure("on_close", error)

    def report_loss(self) -> None:
        """Report at once, unless our side closed: that is told when the connection is gone."""
        if self._lost is not None:
            self.report()

    def silence(self) -> None:
        """Never call the receiver again: the caller got the ending as an exception."""
        self.end(None)
        self._is_reported = True

    def _report_failure(self, method: str, error: Exception) -> None:
        asyncio.get_running_loop().call_exception_handler(
            {
                "message": f"{type(self._receiver).__qualname__}.{method} raised",
                "exception": error,
            }
        )
