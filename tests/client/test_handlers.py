from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import ConversationUpdated, ItemAppended, RealtimeEvent
from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.protocol.ga import ResponseDoneEvent

pytestmark = pytest.mark.asyncio


async def test_callbacks_are_called_for_every_kind_of_key() -> None:
    server = MemoryServer()
    server.replies("Hi")
    calls: list[tuple[str, str]] = []
    async with client_of(server) as client:
        keys: list[Any] = [
            ItemAppended,
            "conversation.item.appended",
            ga.ResponseDoneEvent,
            "response.done",
            "server.response.done",
            "client.response.create",
        ]
        for key in keys:
            name = key if isinstance(key, str) else key.__name__
            client.on(key, lambda value, name=name: calls.append((name, type(value).__name__)))
        client.on("server.*", lambda event: calls.append(("server.*", event.type)))
        client.on("client.*", lambda event: calls.append(("client.*", event.type)))
        await client.create_response()
    assert {entry for entry in calls if "*" not in entry[0]} == {
        ("ItemAppended", "ItemAppended"),
        ("conversation.item.appended", "ItemAppended"),
        ("ResponseDoneEvent", "ResponseDoneEvent"),
        ("response.done", "ResponseDoneEvent"),
        ("server.response.done", "ResponseDoneEvent"),
        ("client.response.create", "ResponseCreateEvent"),
    }
    assert ("client.*", "response.create") in calls
    assert ("server.*", "response.output_text.delta") in calls


async def test_the_decorator_registers_and_returns_the_function() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        done: list[ResponseDoneEvent] = []

        @client.on(ga.ResponseDoneEvent)
        def note(event: ResponseDoneEvent) -> None:
            done.append(event)

        assert callable(note)
        await client.create_response()
        client.off(ga.ResponseDoneEvent, note)
        await client.create_response()
        assert len(done) == 1


async def test_on_next_calls_once_and_off_removes_all() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        once: list[object] = []
        never: list[object] = []
        client.on_next(ConversationUpdated, once.append)
        client.on("conversation.updated", never.append)
        client.off("conversation.updated")
        client.on_next("realtime.event", once.append)
        await client.create_response()
        assert len(once) == 1
        assert isinstance(once[0], RealtimeEvent)
        assert never == []


async def test_asynchronous_callbacks_run_in_order_and_may_await_the_client() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        order: list[str] = []
        finished = asyncio.Event()

        async def slow(update: ConversationUpdated) -> None:
            if update.delta is None:
                return
            order.append(f"begin {update.delta.text}")
            await client.update_session(instructions="x")
            order.append(f"end {update.delta.text}")
            if update.delta.text == "i":
                finished.set()

        client.on(ConversationUpdated, slow)
        await client.create_response()
        await asyncio.wait_for(finished.wait(), 5)
        assert order == ["begin H", "end H", "begin i", "end i"]


async def test_an_object_with_an_asynchronous_call_is_awaited() -> None:
    class Listener:
        def __init__(self) -> None:
            self.events: list[object] = []
            self.called = asyncio.Event()

        async def __call__(self, event: object) -> None:
            self.events.append(event)
            self.called.set()

    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        listener = Listener()
        client.on("response.done", listener)
        await client.create_response()
        await asyncio.wait_for(listener.called.wait(), 5)
        assert [type(event) for event in listener.events] == [ga.ResponseDoneEvent]


async def test_an_exception_in_a_callback_is_reported_and_the_session_continues() -> None:
    loop = asyncio.get_running_loop()
    reports: list[Any] = []
    loop.set_exception_handler(lambda _, context: reports.append(context["exception"]))
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        failure = RuntimeError("mine")

        def fail(_: object) -> None:
            raise failure

        async def fail_later(_: object) -> None:
            raise failure

        client.on_next("response.created", fail)
        client.on_next("response.done", fail_later)
        await client.create_response()
        await client.create_response()
        assert reports == [failure, failure]
        assert client.statistics().failed_calls == 2


class Unhashable:
    """A callable whose class defines equality, and so has no hash."""

    def __init__(self) -> None:
        self.calls = 0

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]  # what Python does by itself

    def __call__(self, _: object) -> object:
        self.calls += 1
        raise RuntimeError("mine")


class UnhashableCoroutine(Unhashable):
    async def __call__(self, _: object) -> None:
        super().__call__(_)


@pytest.mark.parametrize("make", [Unhashable, UnhashableCoroutine])
async def test_an_exception_in_an_unhashable_callback_is_reported_once(
    make: type[Unhashable],
) -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reports.append(type(context["exception"]))
    )
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        callback = make()
        client.on("response.done", callback)
        await client.create_response()
        await client.create_response()
        await asyncio.sleep(0)
        assert callback.calls == client.statistics().failed_calls == 2
        assert reports == [RuntimeError]


async def test_each_lambda_that_returns_a_failing_coroutine_is_reported() -> None:
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: reports.append(str(context["exception"]))
    )
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:

        async def fail(text: str) -> None:
            raise RuntimeError(text)

        client.on("response.created", lambda _: fail("first"))
        client.on("response.done", lambda _: fail("second"))
        await client.create_response()
        await client.create_response()
        await asyncio.sleep(0)
        assert client.statistics().failed_calls == 4
    assert reports == ["first", "second"]


async def test_a_callback_that_awaits_a_cancelled_future_does_not_stop_the_others() -> None:
    loop = asyncio.get_running_loop()
    reports: list[Any] = []
    loop.set_exception_handler(lambda _, context: reports.append(type(context["exception"])))
    cancelled = loop.create_future()
    cancelled.cancel()
    called = asyncio.Event()
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:

        async def wait_for_it(_: object) -> None:
            await cancelled

        async def note(_: object) -> None:
            called.set()

        client.on("response.created", lambda _: cancelled.result())
        client.on("response.done", wait_for_it)
        client.on("response.done", note)
        await client.create_response()
        await asyncio.wait_for(called.wait(), 5)
        called.clear()
        await client.create_response()
        await asyncio.wait_for(called.wait(), 5)
        assert client.statistics().failed_calls == 4
    assert reports == [asyncio.CancelledError] * 2  # the first of each callback


async def test_a_coroutine_that_a_callback_returns_is_awaited() -> None:
    server = MemoryServer()
    server.replies("Hi")
    called = asyncio.Event()
    async with client_of(server) as client:

        async def note(response_id: object) -> None:
            assert response_id == "resp_1"
            called.set()

        client.on(ga.ResponseDoneEvent, lambda event: note(event.response.id))
        await client.create_response()
        await asyncio.wait_for(called.wait(), 5)


async def test_a_callback_that_ignores_cancellation_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("duologue.client._concurrency.PATIENCE", 0.01)
    loop = asyncio.get_running_loop()
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    server = MemoryServer()
    server.replies("Hi")
    begun, over = asyncio.Event(), asyncio.Event()
    async with client_of(server) as client:

        async def hold_on(_: object) -> None:
            begun.set()
            while not over.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await over.wait()

        client.on("response.done", hold_on)
        await client.create_response()
        await asyncio.wait_for(begun.wait(), 5)
    [context] = reports
    assert "callbacks is still running" in context["message"]
    over.set()
    await context["task"]


async def test_a_callback_that_closes_the_session_does_not_wait_for_itself() -> None:
    server = MemoryServer()
    server.replies("Hi")
    client = client_of(server)
    await client.connect()
    closed = asyncio.Event()

    async def close(_: object) -> None:
        await client.close()
        closed.set()

    client.on("response.done", close)
    await client.create_response()
    await asyncio.wait_for(closed.wait(), 5)
    assert not client.is_connected


async def test_closing_cancels_a_running_callback() -> None:
    server = MemoryServer()
    server.replies("Hi")
    cancelled = asyncio.Event()
    async with client_of(server) as client:
        begun = asyncio.Event()

        async def hang(_: object) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        client.on("response.done", hang)
        await client.create_response()
        await asyncio.wait_for(begun.wait(), 5)
    assert cancelled.is_set()


async def test_a_timed_out_wait_names_the_event() -> None:
    async with client_of(MemoryServer()) as client:
        with pytest.raises(TimeoutError, match=r"response\.done"):
            await client.wait_for_next("response.done", timeout=0.001)


async def test_a_callback_can_remove_the_next_callback() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        calls: list[object] = []
        client.on("response.done", lambda _: client.off("response.done", calls.append))
        client.on_next("response.done", calls.append)
        await client.create_response()
        assert calls == []
