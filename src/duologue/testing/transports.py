"""The contract of transports as a test: `await check_transport(make)`.

Each check opens a connection of its own and tells what does not hold by an `AssertionError` of one
sentence. `over_websocket` makes the far end for whatever speaks WebSocket; for another wire write a
`Far` of your own, as `in_memory` does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from duologue.errors import Closed, ConnectionLost, DialectRefused
from duologue.testing._raw_server import PATIENCE
from duologue.testing._remote_ends import in_memory, over_websocket
from duologue.transport import Receiver, Transport

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["CHECKS", "Far", "MakeLink", "check_transport", "in_memory", "over_websocket"]

T = TypeVar("T")

MEGABYTE: Final = b"x" * (1 << 20)


class Far(Protocol):
    """The other end of the transport under test: it reads nothing before it is told to."""

    async def send(self, *fragments: bytes, is_text: bool = True) -> None:
        """Send one message, in fragments and as binary data where the wire has such."""

    async def ping(self) -> None:
        """Ask for a sign of life and wait for it, where the wire has such."""

    async def receive(self) -> bytes:
        """Return the next message."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close from this end, without waiting for the answer."""

    async def closed_with(self) -> int:
        """Return the code with which the transport under test closed."""
        ...

    def cut(self) -> None:
        """Break the connection, as a pulled cable does."""

    def read_on(self) -> None:
        """Read and forget everything from now on."""


MakeLink = Callable[[Receiver], contextlib.AbstractAsyncContextManager[tuple[Transport, Far]]]
"""Opens a connection that pushes to a receiver; leaving the context closes what is still open."""


async def check_transport(make: MakeLink) -> None:
    """Check that a transport keeps the contract of `duologue.transport.base`.

    Args:
        make: Opens connections of the transport under test.

    Raises:
        AssertionError: If it does not; the message says what.
    """
    for check in CHECKS:
        await check(make)


class _Recorder:
    """A receiver that keeps what it got, and can be waited on."""

    def __init__(self, fails_on: str = "") -> None:
        self.frames: list[bytes] = []
        self.endings: list[ConnectionLost | None] = []
        self._fails_on = fails_on
        self._is_late = False
        self._news = asyncio.Event()

    def on_frame(self, frame: bytes) -> None:
        self._is_late = bool(self.endings)
        self.frames.append(frame)
        self._news.set()
        if self._fails_on == "on_frame":
            raise ZeroDivisionError(frame)

    def on_close(self, error: ConnectionLost | None) -> None:
        self.endings.append(error)
        self._news.set()
        if self._fails_on == "on_close":
            raise ZeroDivisionError(error)

    async def got(self, frames: list[bytes], what: str) -> None:
        """Wait for as many frames, and compare them."""
        await self._until(lambda: len(self.frames) >= len(frames), what)
        _require(self.frames == frames, what)

    async def ending(self) -> ConnectionLost | None:
        await self._until(lambda: bool(self.endings), "the end of a connection is told")
        _require(len(self.endings) == 1, "`on_close` is called once")
        _require(not self._is_late, "nothing arrives after `on_close`")
        return self.endings[0]

    async def loss(self) -> ConnectionLost:
        lost = await self.ending()
        if lost is None:
            raise AssertionError("broken: an end that our side did not ask for is no None")
        return lost

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        async def wait() -> None:
            while not is_so():
                self._news.clear()
                await self._news.wait()

        await _in_time(wait(), what)


def _require(is_so: bool, what: str) -> None:  # noqa: FBT001  # a claim and its words
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
    """Return what `send` raises; `drain` must raise the like."""
    await _raises(near.drain(), kind, f"`drain` raises {when}")
    try:
        near.send(b"{}")
    except kind as error:
        return error
    raise AssertionError(f"broken: `send` raises `{kind.__name__}` {when}")


async def _draining(near: Transport) -> asyncio.Future[None]:
    """Send more than fits, and return the wait for it."""
    for _ in range(32):
        near.send(MEGABYTE)
    draining = asyncio.ensure_future(near.drain())
    await asyncio.wait({draining}, timeout=0)
    _require(not draining.done(), "`drain` waits while nobody reads")
    return draining


@contextlib.contextmanager
def _reports() -> Generator[list[dict[str, Any]]]:
    """Collect what the event loop's exception handler is told."""
    loop, reports = asyncio.get_running_loop(), list[dict[str, Any]]()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    try:
        yield reports
    finally:
        loop.set_exception_handler(before)


async def frames_arrive_in_order(make: MakeLink) -> None:
    """Fifty messages cross each way."""
    got, sent = _Recorder(), [b'{"n":%d}' % number for number in range(50)]
    async with make(got) as (near, far):
        for frame in sent:
            near.send(frame)
            await far.send(frame)
        what = "messages arrive in the order in which they were sent"
        for frame in sent:
            _require(await _in_time(far.receive(), what) == frame, what)
        await got.got(sent, what)


async def messages_arrive_whole(make: MakeLink) -> None:
    """Fragments are joined, a character may lie across two, and binary JSON is JSON."""
    got = _Recorder()
    async with make(got) as (_, far):
        await far.send(b'{"a": "\xc3', b"", b'\xa9"}')
        await far.send(b'{"b": ', b"1}", is_text=False)
        await far.send(b"")
        what = "a message arrives as one, in however many fragments it was sent"
        await got.got(['{"a": "é"}'.encode(), b'{"b": 1}', b""], what)


async def a_ping_is_answered(make: MakeLink) -> None:
    """Also between the fragments of nothing: the far end waits for the answer."""
    async with make(_Recorder()) as (_, far):
        await _in_time(far.ping(), "a ping is answered")


async def large_messages_arrive(make: MakeLink) -> None:
    """20 MB, which is an append of the 15 MiB that the API allows."""
    large, got = b"x" * 20_000_000, _Recorder()
    async with make(got) as (near, far):
        near.send(large)
        what = "a message of 20 MB arrives"
        _require(await _in_time(far.receive(), what) == large, what)
        await far.send(large)
        await got.got([large], what)


async def closing_is_told_once(make: MakeLink) -> None:
    """Our close: what was sent before arrives, then the code; nothing may be sent after."""
    got = _Recorder()
    async with make(got) as (near, far):
        near.send(b"{}")
        both = asyncio.gather(near.close(3001, "enough"), near.close())
        _require(await _in_time(far.receive(), "a frame") == b"{}", "a close waits for its turn")
        code = await _in_time(far.closed_with(), "a close reaches the far end")
        _require(code == 3001, "a close carries its code")
        await _in_time(both, "`close` returns, and may be called twice")
        _require(await got.ending() is None, "our own close is told as None")
        await near.close()
        await _refuses(near, Closed, "after `close`")
    _require(got.endings == [None], "our own close is told once")


async def a_close_of_the_peer_is_a_loss(make: MakeLink) -> None:
    """Frames before it arrive before it; it carries code and reason."""
    got = _Recorder()
    async with make(got) as (near, far):
        await far.send(b'{"last":1}')
        await far.close(1001, "the server goes away")
        lost = await got.loss()
        _require(got.frames == [b'{"last":1}'], "frames before a close arrive before it")
        told = (type(lost), lost.code, lost.reason)
        _require(told == (ConnectionLost, 1001, "the server goes away"), "code and reason are told")
        caught = await _refuses(near, ConnectionLost, "after a loss")
        _require(caught is lost, "`send` raises the loss that was told")


async def a_clean_close_unasked_is_a_loss(make: MakeLink) -> None:
    """1000 is no less of a loss."""
    got = _Recorder()
    async with make(got) as (_, far):
        await far.close(1000, "")
        _require((await got.loss()).code == 1000, "a clean close unasked is a loss with code 1000")


async def close_4000_is_a_refused_dialect(make: MakeLink) -> None:
    """Source: DIALECTS.md §1."""
    got = _Recorder()
    async with make(got) as (_, far):
        await far.close(4000, "invalid_request_error.beta_api_shape_disabled")
        _require(type(await got.loss()) is DialectRefused, "close 4000 is `DialectRefused`")


async def a_cut_is_a_loss(make: MakeLink) -> None:
    """No CLOSE came: 1006."""
    got = _Recorder()
    async with make(got) as (near, far):
        far.cut()
        _require((await got.loss()).code == 1006, "a cut connection is a loss with code 1006")
        await _in_time(near.close(), "`close` returns after a loss")
        await _refuses(near, ConnectionLost, "after a cut")


async def a_failing_receiver_ends_the_connection(make: MakeLink) -> None:
    """It is reported to the loop's exception handler; the far end is told 1011."""
    got = _Recorder("on_frame")
    with _reports() as reports:
        async with make(got) as (_, far):
            await far.send(b"1")
            await far.send(b"2")
            lost = await got.loss()
            is_told = lost.code == 1011 and isinstance(lost.__cause__, ZeroDivisionError)
            _require(is_told, "an exception of `on_frame` is the cause of a loss with code 1011")
            code = await _in_time(far.closed_with(), "the far end hears of it")
            _require(code == 1011, "the far end hears 1011")
    _require(got.frames == [b"1"], "a receiver that failed gets no more frames")
    _require(len(reports) == 1, "an exception of `on_frame` is reported once")


async def a_receiver_that_fails_in_on_close_is_reported(make: MakeLink) -> None:
    """And that is all."""
    got = _Recorder("on_close")
    with _reports() as reports:
        async with make(got) as (near, far):
            far.cut()
            await got.loss()
            await _in_time(near.close(), "`close` returns")
    _require(len(reports) == 1, "an exception of `on_close` is reported once")


async def drain_waits_for_a_slow_reader(make: MakeLink) -> None:
    """32 MB are more than a kernel keeps for a loopback socket."""
    async with make(_Recorder()) as (near, far):
        await _in_time(near.drain(), "`drain` returns at once while nothing waits")
        draining = await _draining(near)
        far.read_on()
        await _in_time(draining, "`drain` returns when the far end has read")


async def a_loss_ends_the_waiting_of_drain(make: MakeLink) -> None:
    """It raises the loss."""
    async with make(_Recorder()) as (near, far):
        draining = await _draining(near)
        far.cut()
        await _raises(draining, ConnectionLost, "a loss ends the waiting of `drain`")


async def a_close_ends_the_waiting_of_drain(make: MakeLink) -> None:
    """The reader stays slow, so that the close is cut short."""
    got = _Recorder()
    async with make(got) as (near, _):
        draining = await _draining(near)
        await _in_time(near.close(), "`close` is bounded when nobody reads")
        await _raises(draining, Closed, "`close` ends the waiting of `drain`")
        _require(await got.ending() is None, "our own close is told as None")


async def a_peer_that_never_reads_is_given_up(make: MakeLink) -> None:
    """What waits is bounded for a caller that never drains, too."""
    got = _Recorder()
    async with make(got) as (near, _):
        try:
            for _number in range(90):
                near.send(MEGABYTE)
        except ConnectionLost:
            _require(not got.endings, "`on_close` is not called from inside `send`")
        else:
            raise AssertionError("broken: `send` raises when MAX_UNSENT_BYTES wait")
        await got.loss()


async def nothing_arrives_after_close(make: MakeLink) -> None:
    """Also what was under way."""
    got = _Recorder()
    async with make(got) as (near, far):
        closing_down = asyncio.ensure_future(near.close())
        await asyncio.wait({closing_down}, timeout=0)
        with contextlib.suppress(ConnectionLost):  # in memory the news may be there already
            await far.send(b"late")
        await _in_time(closing_down, "`close` returns")
    _require((got.frames, got.endings) == ([], [None]), "no frame arrives after `close` was called")


async def a_cancelled_close_still_closes(make: MakeLink) -> None:
    """Cancelling stops the waiting alone."""
    got = _Recorder()
    async with make(got) as (near, _):
        closing_down = asyncio.ensure_future(near.close())
        await asyncio.wait({closing_down}, timeout=0)
        closing_down.cancel()
        _require(await got.ending() is None, "a cancelled `close` still closes")


CHECKS: Final[tuple[Callable[[MakeLink], Awaitable[None]], ...]] = (
    frames_arrive_in_order,
    messages_arrive_whole,
    a_ping_is_answered,
    large_messages_arrive,
    closing_is_told_once,
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
"""What `check_transport` checks, one by one."""
