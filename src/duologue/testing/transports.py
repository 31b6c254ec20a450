"""Checks of the transport contract: `await check_transport(make)`.

Each check opens a connection of its own and raises an `AssertionError` with one sentence if the
contract is broken. `over_websocket` provides the remote end for WebSocket transports; for another
wire, write a `RemoteEnd` of your own, as `in_memory` does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.errors import Closed, ConnectionLost, DialectRefused
from duologue.testing._raw_server import PATIENCE
from duologue.testing._remote_ends import MakeConnection, RemoteEnd, in_memory, over_websocket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from duologue.transport import Transport

__all__ = [
    "CHECKS", "MakeConnection", "RemoteEnd", "check_transport", "in_memory", "over_websocket",
]  # fmt: skip

T = TypeVar("T")

MEGABYTE: Final = b"x" * (1 << 20)


async def check_transport(make: MakeConnection) -> None:
    """Check that a transport keeps the contract of `duologue.transport.base`.

    Args:
        make: Opens connections of the transport under test.

    Raises:
        AssertionError: If the transport breaks the contract; the message names the broken rule.
    """
    for check in CHECKS:
        await check(make)


class _Recorder:
    """Receiver that stores frames and endings, and can be waited on."""

    def __init__(self, fails_on: str = "") -> None:
        self.frames: list[bytes] = []
        self.endings: list[ConnectionLost | None] = []
        self._fails_on = fails_on
        self._is_late = False
        self._changed = asyncio.Event()

    def on_frame(self, frame: bytes) -> None:
        self._is_late = bool(self.endings)
        self.frames.append(frame)
        self._changed.set()
        if self._fails_on == "on_frame":
            raise ZeroDivisionError(frame)

    def on_close(self, error: ConnectionLost | None) -> None:
        self.endings.append(error)
        self._changed.set()
        if self._fails_on == "on_close":
            raise ZeroDivisionError(error)

    async def got(self, frames: list[bytes], what: str) -> None:
        """Wait for as many frames as given, and compare them."""
        await self._until(lambda: len(self.frames) >= len(frames), what)
        _require(self.frames == frames, what)

    async def ending(self) -> ConnectionLost | None:
        await self._until(lambda: bool(self.endings), "the end of a connection is reported")
        _require(len(self.endings) == 1, "`on_close` is called once")
        _require(not self._is_late, "nothing arrives after `on_close`")
        return self.endings[0]

    async def loss(self) -> ConnectionLost:
        lost = await self.ending()
        if lost is None:
            raise AssertionError("broken: an end that we did not ask for is reported as an error")
        return lost

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        async def wait() -> None:
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

        await _in_time(wait(), what)


def _require(is_so: bool, what: str) -> None:  # noqa: FBT001  # a claim and its sentence
    if not is_so:
        raise AssertionError(f"broken: {what}")


async def _in_time(waiting: Awaitable[T], what: str) -> T:
    limit = asyncio.timeout(PATIENCE)
    try:
        async with limit:
            return await waiting
    except TimeoutError:
        if not limit.expired():
            raise
        raise AssertionError(f"broken: {what} (not within {PATIENCE:g} s)") from None


async def _raises(waiting: Awaitable[None], kind: type[Exception], what: str) -> Exception:
    try:
        await _in_time(waiting, what)
    except kind as error:
        return error
    raise AssertionError(f"broken: {what}, with `{kind.__name__}`")


async def _refuses(near: Transport, kind: type[Exception], when: str) -> Exception:
    """Return the error that `send` raises; `drain` must raise the same kind."""
    await _raises(near.drain(), kind, f"`drain` raises {when}")
    try:
        near.send(b"{}")
    except kind as error:
        return error
    raise AssertionError(f"broken: `send` raises `{kind.__name__}` {when}")


async def _draining(near: Transport) -> asyncio.Future[None]:
    """Send more than fits into the buffers, and return the waiting `drain`."""
    for _ in range(32):
        near.send(MEGABYTE)
    draining = asyncio.ensure_future(near.drain())
    await asyncio.wait({draining}, timeout=0)
    _require(not draining.done(), "`drain` waits while nobody reads")
    return draining


@contextlib.contextmanager
def _reports() -> Generator[list[dict[str, Any]]]:
    """Collect the calls of the event loop's exception handler."""
    loop, reports = asyncio.get_running_loop(), list[dict[str, Any]]()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    try:
        yield reports
    finally:
        loop.set_exception_handler(before)


async def frames_arrive_in_order(make: MakeConnection) -> None:
    """Fifty messages cross each way."""
    got, sent = _Recorder(), [b'{"n":%d}' % number for number in range(50)]
    async with make(got) as (near, remote):
        for frame in sent:
            near.send(frame)
            await remote.send(frame)
        what = "messages arrive in the order in which they were sent"
        for frame in sent:
            _require(await _in_time(remote.receive(), what) == frame, what)
        await got.got(sent, what)


async def messages_arrive_whole(make: MakeConnection) -> None:
    """Fragments are joined, also within a character, and binary messages are accepted."""
    got = _Recorder()
    async with make(got) as (_, remote):
        await remote.send(b'{"a": "\xc3', b"", b'\xa9"}')
        await remote.send(b'{"b": ', b"1}", is_text=False)
        await remote.send(b"")
        what = "a message arrives whole, however many fragments it was sent in"
        await got.got(['{"a": "é"}'.encode(), b'{"b": 1}', b""], what)


async def a_ping_is_answered(make: MakeConnection) -> None:
    """The remote end waits for the pong."""
    async with make(_Recorder()) as (_, remote):
        await _in_time(remote.ping(), "a ping is answered")


async def large_messages_arrive(make: MakeConnection) -> None:
    """20 MB: an append of 15 MiB of audio, the API's limit, in base64."""
    large, got = b"x" * 20_000_000, _Recorder()
    async with make(got) as (near, remote):
        near.send(large)
        what = "a message of 20 MB arrives"
        _require(await _in_time(remote.receive(), what) == large, what)
        await remote.send(large)
        await got.got([large], what)


async def closing_is_reported_once(make: MakeConnection) -> None:
    """Frames sent before our close arrive before its code; nothing may be sent after it."""
    got = _Recorder()
    async with make(got) as (near, remote):
        near.send(b"{}")
        both = asyncio.gather(near.close(3001, "enough"), near.close())
        what = "frames sent before our close arrive before it"
        _require(await _in_time(remote.receive(), what) == b"{}", what)
        code = await _in_time(remote.closed_with(), "a close reaches the remote end")
        _require(code == 3001, "a close carries its code")
        await _in_time(both, "`close` returns, and may be called twice")
        _require(await got.ending() is None, "our own close is reported as None")
        await near.close()
        await _refuses(near, Closed, "after `close`")
    _require(got.endings == [None], "our own close is reported once")


async def a_close_of_the_peer_is_a_loss(make: MakeConnection) -> None:
    """Frames sent before it arrive first; the loss has its code and reason."""
    got = _Recorder()
    async with make(got) as (near, remote):
        await remote.send(b'{"last":1}')
        await remote.close(1001, "the server goes away")
        lost = await got.loss()
        _require(got.frames == [b'{"last":1}'], "frames before a close arrive before it")
        seen = (type(lost), lost.code, lost.reason)
        expected = (ConnectionLost, 1001, "the server goes away")
        _require(seen == expected, "a loss has the code and the reason of the close")
        caught = await _refuses(near, ConnectionLost, "after a loss")
        _require(caught is lost, "`send` raises the loss that was reported")


async def a_clean_close_unasked_is_a_loss(make: MakeConnection) -> None:
    """A close with 1000 that our side did not ask for is a loss as well."""
    got = _Recorder()
    async with make(got) as (_, remote):
        await remote.close(1000, "")
        _require((await got.loss()).code == 1000, "a clean close unasked is a loss with code 1000")


async def close_4000_is_a_refused_dialect(make: MakeConnection) -> None:
    """Source: api.openai.com's answer to a beta client (langwatch/scenario, issue 602)."""
    got = _Recorder()
    async with make(got) as (_, remote):
        await remote.close(4000, "invalid_request_error.beta_api_shape_disabled")
        _require(type(await got.loss()) is DialectRefused, "close 4000 is `DialectRefused`")


async def a_cut_is_a_loss(make: MakeConnection) -> None:
    """Without a CLOSE frame the code is 1006."""
    got = _Recorder()
    async with make(got) as (near, remote):
        remote.cut()
        _require((await got.loss()).code == 1006, "a cut connection is a loss with code 1006")
        await _in_time(near.close(), "`close` returns after a loss")
        await _refuses(near, ConnectionLost, "after a cut")


async def a_failing_receiver_ends_the_connection(make: MakeConnection) -> None:
    """The exception is reported to the loop's exception handler, and the code is 1011."""
    got = _Recorder("on_frame")
    with _reports() as reports:
        async with make(got) as (_, remote):
            await remote.send(b"1")
            await remote.send(b"2")
            lost = await got.loss()
            has_cause = lost.code == 1011 and isinstance(lost.__cause__, ZeroDivisionError)
            _require(has_cause, "an exception of `on_frame` is the cause of a loss with code 1011")
            code = await _in_time(remote.closed_with(), "the remote end gets a close")
            _require(code == 1011, "the remote end gets the close code 1011")
    _require(got.frames == [b"1"], "a receiver that failed gets no more frames")
    _require(len(reports) == 1, "an exception of `on_frame` is reported once")


async def a_receiver_that_fails_in_on_close_is_reported(make: MakeConnection) -> None:
    """The exception is reported once, and has no other effect."""
    got = _Recorder("on_close")
    with _reports() as reports:
        async with make(got) as (near, remote):
            remote.cut()
            await got.loss()
            await _in_time(near.close(), "`close` returns")
    _require(len(reports) == 1, "an exception of `on_close` is reported once")


async def drain_waits_for_a_slow_reader(make: MakeConnection) -> None:
    """32 MB are more than the kernel buffers for a loopback socket."""
    async with make(_Recorder()) as (near, remote):
        await _in_time(near.drain(), "`drain` returns at once while nothing waits")
        draining = await _draining(near)
        remote.read_on()
        await _in_time(draining, "`drain` returns when the remote end has read")


async def a_loss_ends_the_waiting_of_drain(make: MakeConnection) -> None:
    """`drain` raises the loss."""
    async with make(_Recorder()) as (near, remote):
        draining = await _draining(near)
        remote.cut()
        await _raises(draining, ConnectionLost, "a loss ends the waiting of `drain`")


async def a_close_ends_the_waiting_of_drain(make: MakeConnection) -> None:
    """The remote end never reads, so that the close is cut short."""
    got = _Recorder()
    async with make(got) as (near, _):
        draining = await _draining(near)
        await _in_time(near.close(), "`close` is bounded when nobody reads")
        await _raises(draining, Closed, "`close` ends the waiting of `drain`")
        _require(await got.ending() is None, "our own close is reported as None")


async def a_peer_that_never_reads_is_given_up(make: MakeConnection) -> None:
    """Unsent data is bounded, also for a caller that never drains."""
    got = _Recorder()
    async with make(got) as (near, _):
        try:
            for _number in range(90):
                near.send(MEGABYTE)
        except ConnectionLost:
            _require(not got.endings, "`on_close` is not called from inside `send`")
        else:
            raise AssertionError("broken: `send` raises when MAX_UNSENT_BYTES are queued")
        await got.loss()


async def nothing_arrives_after_close(make: MakeConnection) -> None:
    """Frames on their way are dropped as well."""
    got = _Recorder()
    async with make(got) as (near, remote):
        closing_down = asyncio.ensure_future(near.close())
        await asyncio.wait({closing_down}, timeout=0)
        with contextlib.suppress(ConnectionLost):  # in memory the end may be known already
            await remote.send(b"late")
        await _in_time(closing_down, "`close` returns")
    _require((got.frames, got.endings) == ([], [None]), "no frame arrives after `close` was called")


async def a_cancelled_close_still_closes(make: MakeConnection) -> None:
    """Cancelling stops only the waiting."""
    got = _Recorder()
    async with make(got) as (near, _):
        closing_down = asyncio.ensure_future(near.close())
        await asyncio.wait({closing_down}, timeout=0)
        closing_down.cancel()
        _require(await got.ending() is None, "a cancelled `close` still closes")


CHECKS: Final[tuple[Callable[[MakeConnection], Awaitable[None]], ...]] = (
    frames_arrive_in_order,
    messages_arrive_whole,
    a_ping_is_answered,
    large_messages_arrive,
    closing_is_reported_once,
    a_close_of_the_peer_is_a_loss,
    a_clean_close_unasked_is_a_loss,
    close_4000_is_a_refused_dialect,
    a_cut_is_a_loss,
    a_failing_receiver_ends_the_connection,
    a_receiver_that_fails_in_on_close_is_reported,
    drain_waits_for_a_slow_reader,
    a_loss_ends_the_waiting_of_drain,
    a_close_ends_the_waiting_of_drain,
    a_peer_that_never_reads_is_given_up,
    nothing_arrives_after_close,
    a_cancelled_close_still_closes,
)
"""Checks of `check_transport`, in order."""
