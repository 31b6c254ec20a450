from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, get_args

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import (
    ConfigurationError,
    ConnectionLost,
    ConversationUpdated,
    Disconnected,
    ItemAppended,
    LocalProtocolError,
    RealtimeAPI,
    RealtimeClient,
    RealtimeEvent,
)
from duologue.client.callback_keys import CLASSIC_NAMES, resolve
from duologue.protocol import beta, ga
from duologue.protocol.model import Event, UnknownEvent

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


# Keys.


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("conversation.updted", "did you mean 'conversation.updated'"),
        ("respone.done", "did you mean 'response.done'"),
        ("respone.audio.delta", "did you mean 'response.audio.delta'"),
        ("session.inputaudio.transcript.delta", "did you mean 'session.input_transcript.delta'"),
        ("ItemComplete", "did you mean the class ItemCompleted"),
        ("event.of.tomorrow", r"it is 'server\.event\.of\.tomorrow'"),
        ("", "no event"),
        ("server.", "no event"),
        (3, "not int"),
        (None, "not NoneType"),
        ([], "not list"),
        (int, "int is no class of an update"),
        (ga.Message, "Message is no class"),
        (ga.ServerVad, "ServerVad is no class"),
        (Event, "Event is no class"),
    ],
    ids=map(str, range(15)),
)
async def test_a_key_that_no_event_has_is_refused(key: Any, reason: str) -> None:
    async with client_of(MemoryServer()) as client:
        for method in (client.on, client.on_next):
            with pytest.raises(ConfigurationError, match=reason):
                method(key, print)
        for remove in (client.off, client.off_next):
            with pytest.raises(ConfigurationError, match=reason):
                remove(key)
        with pytest.raises(ConfigurationError, match=reason):
            await client.wait_for_next(key)


async def test_every_event_type_and_class_of_both_dialects_is_a_key() -> None:
    for union in (ga.AnyServerEvent, ga.AnyClientEvent, beta.AnyServerEvent, beta.AnyClientEvent):
        for kind in get_args(union):
            assert resolve(kind) is kind
            if kind is not UnknownEvent:
                tag = str(kind.__struct_config__.tag)
                assert resolve(tag) == CLASSIC_NAMES.get(tag, tag)


async def test_an_unknown_event_is_a_key_with_its_source() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        events: list[Any] = []
        client.on("server.event.of.tomorrow", events.append)
        waiting = asyncio.ensure_future(client.wait_for_next("server.event.of.tomorrow"))
        await asyncio.sleep(0)
        server.send("event.of.tomorrow", depth=3)
        assert (await waiting).type == "event.of.tomorrow"
        assert len(events) == 1


async def test_a_callback_that_cannot_be_called_is_refused() -> None:
    client = client_of(MemoryServer())
    callback: Any = "print"
    with pytest.raises(ConfigurationError, match="must be a function, not str"):
        client.on("response.done", callback)


async def test_all_events_have_the_names_of_the_reference() -> None:
    server = MemoryServer()
    calls: dict[str, list[str]] = {}
    async with client_of(server) as client:
        for key in ("*", "all", "server.all", "client.all", "server.*", "client.*"):
            types = calls[key] = []
            client.on(key, lambda event, types=types: types.append(event.type))
        client.append_input_audio(b"ab")
        await server.got("input_audio_buffer.append")
        server.send("input_audio_buffer.cleared")
        await client.wait_for_next("input_audio_buffer.cleared", timeout=5)
    assert calls["*"] == ["input_audio_buffer.append", "input_audio_buffer.cleared"]
    assert calls["all"] == calls["*"]
    assert calls["server.all"] == calls["server.*"] == ["input_audio_buffer.cleared"]
    assert calls["client.all"] == calls["client.*"] == ["input_audio_buffer.append"]


# The end of a session.


async def test_a_lost_connection_reaches_callbacks_at_once() -> None:
    server = MemoryServer()
    async with client_of(server, reconnect=False) as client:
        ends: list[Disconnected] = []
        client.on("close", ends.append)
        client.on(Disconnected, ends.append)
        client.on("disconnected", ends.append)
        waiting = asyncio.ensure_future(client.wait_for_next(Disconnected))
        await asyncio.sleep(0)
        server.end.cut()
        update = await asyncio.wait_for(waiting, 5)
        assert isinstance(update.error, ConnectionLost)
        assert not update.will_retry
        assert ends == [update] * 3
        assert not client.is_connected
    assert len(ends) == 3


async def test_a_session_that_is_closed_reports_no_error() -> None:
    client = client_of(MemoryServer())
    ends: list[Disconnected] = []
    client.on("close", ends.append)
    async with client:
        updates = aiter(client)
    assert ends == [Disconnected(None)]
    assert [u async for u in updates if not isinstance(u, RealtimeEvent)] == ends


async def test_a_connection_that_could_not_be_made_has_no_end() -> None:
    async def refuse(_receiver: object) -> Any:
        raise ConnectionLost("nobody answers")

    client = RealtimeClient(connector=refuse)
    ends: list[Disconnected] = []
    client.on("close", ends.append)
    with pytest.raises(ConnectionLost):
        await client.connect()
    assert ends == []


async def test_a_plain_connection_reports_its_end() -> None:
    server = MemoryServer()
    ends: list[Disconnected] = []
    async with RealtimeAPI(connector=server.connect) as api:
        api.on("close", ends.append)
        server.end.cut()
        with pytest.raises(ConnectionLost):
            async for _ in api:
                pass
        await api.disconnect()
    [end] = ends
    assert isinstance(end.error, ConnectionLost)


# The methods of the reference client.


async def test_off_next_leaves_the_callbacks_of_on() -> None:
    client = client_of(MemoryServer())
    calls: list[str] = []

    def note(_: object) -> None:
        calls.append("note")

    client.on("close", note)
    client.on_next("close", note)
    client.on_next("close", lambda _: calls.append("other"))
    client.off_next("close", note)
    client.dispatch("close", Disconnected(None))
    assert calls == ["note", "other"]
    client.on_next("close", note)
    client.off_next("close")
    client.dispatch(Disconnected, None)
    assert calls == ["note", "other", "note"]


async def test_clearing_the_callbacks_leaves_those_who_wait() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        calls: list[object] = []
        client.on("input_audio_buffer.cleared", calls.append)
        waiting = asyncio.ensure_future(client.wait_for_next("input_audio_buffer.cleared"))
        await asyncio.sleep(0)
        client.clear_event_handlers()
        client.off("input_audio_buffer.cleared")
        server.send("input_audio_buffer.cleared")
        await asyncio.wait_for(waiting, 5)
        assert calls == []


async def test_dispatching_needs_an_event_loop() -> None:
    api = RealtimeAPI(url="ws://127.0.0.1:1")
    with pytest.raises(LocalProtocolError, match="running event loop"):
        await asyncio.to_thread(api.dispatch, "close", None)


async def test_resetting_begins_again_as_at_first() -> None:
    server = MemoryServer()
    client = client_of(server, instructions="Be brief.", turn_detection={"type": "semantic_vad"})
    assert client.get_turn_detection_type() == "semantic_vad"
    async with client:
        client.on("close", print)
        client.add_tool({"name": "add"}, print)
        assert list(client.tools) == ["add"]
        await client.update_session(instructions="Be long.", turn_detection=None)
        assert client.get_turn_detection_type() is None
        client.append_input_audio(b"abcd")
        assert client.input_audio_buffer == b"abcd"
        client.clear_input_audio()
        assert client.input_audio_buffer == b""
        await client.reset()
    assert not client.is_connected
    assert client.tools == {}
    assert client.session_config.instructions == "Be brief."
    assert client.get_turn_detection_type() == "semantic_vad"
    async with client:
        assert server.received[-1]["session"]["instructions"] == "Be brief."


# Slow callbacks.


async def test_a_slow_callback_delays_no_other() -> None:
    server = MemoryServer()
    server.replies("Hi")
    released, last = asyncio.Event(), asyncio.Event()
    slow_calls: list[str | None] = []
    other_calls: list[str | None] = []
    async with client_of(server) as client:

        @client.on(ConversationUpdated)
        async def slow(update: ConversationUpdated) -> None:
            if update.delta is not None:
                slow_calls.append(update.delta.text)
                await released.wait()
                if update.delta.text == "i":
                    last.set()

        @client.on(ConversationUpdated)
        async def other(update: ConversationUpdated) -> None:
            if update.delta is not None:
                other_calls.append(update.delta.text)

        done = asyncio.Event()

        @client.on("response.done")
        async def end(_: object) -> None:
            done.set()

        await client.create_response()
        await asyncio.wait_for(done.wait(), 5)
        assert (slow_calls, other_calls) == (["H"], ["H", "i"])
        assert client.statistics().waiting_calls > 0
        released.set()
        await asyncio.wait_for(last.wait(), 5)
        assert slow_calls == ["H", "i"]


async def test_the_calls_of_one_callback_keep_the_order_of_its_keys() -> None:
    server = MemoryServer()
    server.replies("Hi")
    types: list[str] = []
    last = asyncio.Event()

    async def note(event: Any) -> None:
        await asyncio.sleep(0)
        types.append(event.type)
        if event.type == "response.done":
            last.set()

    async with client_of(server) as client:
        for key in ("response.created", "response.output_text.delta", "response.done"):
            client.on(key, note)
        await client.create_response()
        await asyncio.wait_for(last.wait(), 5)
    assert types == ["response.created", *["response.output_text.delta"] * 2, "response.done"]


async def test_a_callback_that_cannot_be_hashed_is_called() -> None:
    class Listener(dict[str, object]):
        async def __call__(self, event: object) -> None:
            self["event"] = event
            raise RuntimeError

    loop = asyncio.get_running_loop()
    reported = asyncio.Event()
    loop.set_exception_handler(lambda _, __: reported.set())
    server = MemoryServer()
    async with client_of(server) as client:
        listener = Listener()
        client.on("input_audio_buffer.cleared", listener)
        server.send("input_audio_buffer.cleared")
        await asyncio.wait_for(reported.wait(), 5)
        assert "event" in listener


@pytest.mark.parametrize("seconds", ["1", float("nan"), [], {}])
async def test_a_timeout_that_is_no_number_is_refused(seconds: Any) -> None:
    async with client_of(MemoryServer()) as client:
        with pytest.raises(LocalProtocolError, match="number of seconds"):
            await client.wait_for_next("response.done", timeout=seconds)
