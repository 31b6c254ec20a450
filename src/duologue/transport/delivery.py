"""Guarantees of a transport to its receiver: ordered frames, one ending, no lost exception."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from duologue.errors import Closed, ConnectionLost, DialectRefused, RemoteProtocolError

if TYPE_CHECKING:
    from duologue.transport.base import Receiver

__all__ = [
    "Delivery",
    "closed_by_peer",
    "connection_cut",
    "no_sign_of_life",
    "protocol_broken",
    "receiver_failed",
    "without_secrets",
]

CLOSE_DIALECT_REFUSED: Final = 4000
_BETA_DISABLED: Final = "beta_api_shape_disabled"
"""OpenAI's code in the reason of that close; with another code it refuses the model."""


def closed_by_peer(code: int, reason: str) -> ConnectionLost:
    """Return the error for a CLOSE frame that the peer sent on its own initiative."""
    if code == CLOSE_DIALECT_REFUSED and _BETA_DISABLED in reason:
        return DialectRefused(reason, code=code)
    return ConnectionLost(reason or "the server closed the session", code=code)


def no_sign_of_life(seconds: float) -> ConnectionLost:
    """Return the error for a peer that has sent nothing, and answered no ping."""
    return ConnectionLost(f"the server gave no sign of life for {seconds:g} s", code=1006)


def protocol_broken(code: int, reason: str) -> ConnectionLost:
    """Return the error for a connection that we ended because the peer broke the protocol."""
    lost = ConnectionLost(reason, code=code)
    lost.__cause__ = RemoteProtocolError(reason)
    return lost


def connection_cut() -> ConnectionLost:
    """Return the error for a connection that ended without a CLOSE frame."""
    return ConnectionLost("the connection was cut", code=1006)


def receiver_failed(failure: Exception) -> ConnectionLost:
    """Return the error for a connection that we ended because its receiver raised `failure`."""
    lost = ConnectionLost("the receiver of the frames failed", code=1011)
    lost.__cause__ = failure
    return lost


def without_secrets(text: str, secrets: frozenset[str]) -> str:
    """Return a text of the server without the words of our request that may be keys."""
    for secret in secrets:
        text = text.replace(secret, "[removed]")
    return text


class Delivery:
    """Link from a transport to its receiver; remembers how the connection ended.

    Args:
        receiver: Gets the frames.
        secrets: Words that no error may show: a server may repeat the key as the reason of a close.
    """

    __slots__ = ("_ending", "_is_reported", "_lost", "_receiver", "_secrets", "is_open")

    def __init__(self, receiver: Receiver, secrets: frozenset[str] = frozenset()) -> None:
        self._receiver: Final = receiver
        self._secrets: Final = secrets
        self._ending: Closed | ConnectionLost | None = None
        self._lost: ConnectionLost | None = None
        self._is_reported = False
        self.is_open: bool = True
        """Whether frames may still pass in either direction."""

    def check_open(self) -> None:
        """Raise the error with which the connection ended, if it has ended.

        Raises:
            Closed: If our side closed.
            ConnectionLost: If it ended in any other way.
        """
        if self._ending is not None:
            # One instance is raised many times: without this its traceback would grow each time.
            raise self._ending.with_traceback(None)

    def deliver(self, frame: bytes) -> Exception | None:
        """Pass one frame to the receiver; return the exception that the receiver raised."""
        try:
            self._receiver.on_frame(frame)
        except Exception as error:  # noqa: BLE001  # reported, and the caller ends the connection
            self._report_failure("on_frame", error)
            return error
        return None

    def end(self, lost: ConnectionLost | None) -> bool:
        """Record how the connection ended, `None` if we closed it; only the first call counts.

        Returns:
            Whether the connection was open until now.
        """
        if not self.is_open:
            return False
        self.is_open = False
        if lost is not None and any(secret in lost.reason for secret in self._secrets):
            lost = type(lost)(without_secrets(lost.reason, self._secrets), code=lost.code)
        self._lost = lost
        self._ending = lost or Closed("the session is closed")
        return True

    def report_end(self) -> None:
        """Call the receiver's `on_close`, unless that is done; call this after `end`."""
        if self._is_reported:
            return
        self._is_reported = True
        try:
            self._receiver.on_close(self._lost)
        except Exception as error:  # noqa: BLE001  # nothing is left to be ended, so reporting is all
            self._report_failure("on_close", error)

    def report_loss(self) -> None:
        """Report a loss at once; the end of a close of ours is reported when the socket is gone."""
        if self._lost is not None:
            self.report_end()

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
