from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import SESSION, MemoryServer, client_of

from duologue import (
    Closed,
    ConfigurationError,
    ConnectionLost,
    ConversationUpdated,
    DecodeError,
    ErrorUpdate,
    Interrupted,
    ItemAppended,
    LocalProtocolError,
    RealtimeClient,
    RealtimeEvent,
    ResponseFailed,
    ServerError,
)
from duologue.client.update_stream import BACKLOG
from duologue.protocol import ga
from duologue.session.response_state import RequestState

if TYPE_CHECKING:
    from duologue import Update
    from duologue.transport import Receiver, Transport

pytestmark = pytest.mark.asyncio


async def test_connecting_waits_for_the_session() -> None:
    server = MemoryServer()
    client = client_of(server)
    assert not client.is_connected
    async with client:
        assert client.is_connected
        assert isinstance(client.session, ga.RealtimeSession)
        assert client.session.id == SESSION["id"]
        assert await client.wait_for_session_created() is client.session
        assert server.received == []
    assert not client.is_connected
    assert server.is_closed.is_set() or await server.is_closed.wait()


async def test_connecting_times_out_without_session_created() -> None:
    client = client_of(MemoryServer(greets=False), connect_timeout=0.01)
    with pytest.raises(TimeoutError, match=r"session\.created"):
        await client.connect()
    assert not client.is_connected


async def test_session_keywords_are_sent_and_confirmed() -> None:
    server = MemoryServer()
    async with client_of(server, instructions="Be brief.", voice="marin", turn_detection=None):
        assert [event["session"] for event in server.received] == [
            {
                "type": "realtime",
                "instructions": "Be brief.",
                "audio": {"input": {"turn_detection": None}, "output": {"voice": "marin"}},
            }
        ]


async def test_connecting_fails_if_the_configuration_is_refused() -> None:
    server = MemoryServer()
    server.answers["session.update"] = server.refuse
    client = client_of(server, instructions="x")
    with pytest.raises(ServerError) as caught:
        await client.connect()
    assert caught.value.event_id == server.received[0]["event_id"]
    assert not client.is_connected


async def test_connecting_fails_if_the_configuration_is_not_answered() -> None:
    server = MemoryServer()
    server.answers.clear()
    with pytest.raises(TimeoutError, match=r"session\.update"):
        await client_of(server, instructions="x", connect_timeout=0.05).connect()


async def test_an_invalid_change_is_not_sent_to_the_next_session() -> None:
    server = MemoryServer()
    client = client_of(server, validate=True)
    async with client:
        with pytest.raises(LocalProtocolError, match="max_output_tokens"):
            client.update_session(max_output_tokens=9999)
    async with client:
        assert server.received == []


async def test_an_unanswered_change_is_sent_to_the_next_session() -> None:
    server = MemoryServer()
    answer = server.answers.pop("session.update")
    client = client_of(server, reconnect=False)
    async with client:
        change = client.update_session(instructions="Be brief.")
        await server.got("session.update")
        server.end.cut()
        with pytest.raises(ConnectionLost):
            await change
    server.answers["session.update"] = answer
    async with client:
        assert client.session == ga.RealtimeSession(instructions="Be brief.")


async def test_an_event_that_cannot_be_encoded_is_refused_and_leaves_no_command() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        tools: Any = [object()]
        unwritable = r"(instructions|tools).* cannot be written"
        for change in ({"instructions": "\ud800"}, {"tools": tools}):
            options: Any = change
            with pytest.raises(LocalProtocolError, match=unwritable):
                client.update_session(**options)
            with pytest.raises(LocalProtocolError, match=unwritable):
                client.create_response(**options)
        async with asyncio.timeout(5):
            await client.update_session(instructions="Be brief.")
            await client.create_response()


async def test_connecting_twice_is_an_error() -> None:
    async with client_of(MemoryServer()) as client:
        with pytest.raises(LocalProtocolError):
            await client.connect()
    async with client:
        pass
    first, second = await asyncio.gather(client.connect(), client.connect(), return_exceptions=True)
    assert first is None
    assert isinstance(second, LocalProtocolError)
    await client.close()


@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_closing_while_connecting_raises_closed(dialect: Any) -> None:
    server = MemoryServer()
    answers = asyncio.Event()

    async def connect(receiver: Receiver) -> Transport:
        await answers.wait()
        return await server.connect(receiver)

    client = RealtimeClient(connector=connect, dialect=dialect)
    connecting = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0)
    await client.close()
    answers.set()
    with pytest.raises(Closed):
        await connecting
    await asyncio.wait_for(server.is_closed.wait(), 5)
    with pytest.raises(Closed):
        await client.wait_for_next(ItemAppended)
    async with client:
        assert client.is_connected


async def test_a_cancelled_close_leaves_no_connection() -> None:
    server = MemoryServer()
    client = client_of(server)
    begun, over = asyncio.Event(), asyncio.Event()

    @client.tool
    async def linger() -> None:
        begun.set()
        try:
            await over.wait()
        finally:
            await over.wait()

    await client.connect()
    server.begin()
    server.call("linger")
    await asyncio.wait_for(begun.wait(), 5)
    closing = asyncio.ensure_future(client.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await asyncio.wait_for(server.is_closed.wait(), 5)
    over.set()
    await client.close()


async def test_tools_of_a_lost_session_end_before_the_next_one() -> None:
    server = MemoryServer()
    client = client_of(server, reconnect=False)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    @client.tool
    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with client:
        server.begin()
        server.call("hang")
        await asyncio.wait_for(begun.wait(), 5)
        server.end.cut()
        with pytest.raises(ConnectionLost):
            await client.wait_for_next(ItemAppended)
        await client.connect()
        assert cancelled.is_set()


async def test_closing_while_tools_of_a_lost_session_end_raises_closed() -> None:
    server = MemoryServer()
    client = client_of(server, reconnect=False)
    begun, cancelled, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @client.tool
    async def linger() -> None:
        begun.set()
        try:
            await over.wait()
        finally:
            cancelled.set()
            await over.wait()

    await client.connect()
    server.begin()
    server.call("linger")
    await asyncio.wait_for(begun.wait(), 5)
    server.end.cut()
    await asyncio.wait_for(server.is_closed.wait(), 5)
    connecting = asyncio.ensure_future(client.connect())
    await asyncio.wait_for(cancelled.wait(), 5)
    closing = asyncio.ensure_future(client.close())
    await asyncio.sleep(0)
    over.set()
    await closing
    with pytest.raises(Closed):
        await asyncio.wait_for(connecting, 5)
    assert not client.is_connected
    with pytest.raises(Closed):
        await client.wait_for_next(ItemAppended, timeout=0.01)


async def test_nothing_is_sent_before_the_dialect_is_detected() -> None:
    server = MemoryServer(greets=False)
    client = client_of(server, dialect="auto")
    connecting = asyncio.ensure_future(client.connect())
    await asyncio.sleep(0.01)
    assert not client.is_connected
    with pytest.raises(Closed):
        client.create_response()
    with pytest.raises(Closed):
        client.append_input_audio(b"12")
    kept = client.update_session(instructions="Be brief")
    assert kept.is_done
    server.send("session.created", session=SESSION)
    await asyncio.wait_for(connecting, 5)
    assert client.is_connected
    await client.close()
    assert server.types() == ["session.update"]
    assert server.received[0]["session"]["instructions"] == "Be brief"


async def test_a_client_connects_again_with_an_empty_conversation() -> None:
    server = MemoryServer()
    server.replies("Hi")
    client = client_of(server)
    async with client:
        await client.create_response()
    assert len(client.conversation) == 1
    async with client:
        assert len(client.conversation) == 0
    await client.disconnect()
    assert client.session is None


async def test_an_unopened_client_raises_closed() -> None:
    client = client_of(MemoryServer())
    with pytest.raises(Closed):
        client.create_response()
    with pytest.raises(Closed):
        await client.wait_for_next_item()
    with pytest.raises(Closed):
        await client.drain()


async def test_a_message_receives_a_response() -> None:
    server = MemoryServer()
    server.replies("Hello")
    async with client_of(server) as client:
        handle = client.send_user_message_content("Hi")
        assert (handle.id, handle.text, handle.is_done) == (None, "", False)
        response = await handle
        assert response.status == "completed"
        assert (handle.id, handle.text, handle.transcript, handle.audio) == (
            "resp_1",
            "Hello",
            "",
            b"",
        )
        assert handle.state is RequestState.COMPLETED
        assert "completed" in repr(handle)
        assert await handle is response
        handle.cancel()
        assert server.types() == ["conversation.item.create", "response.create"]
        assert client.conversation.item("item_a").formatted.text == "Hello"


async def test_empty_content_requests_a_response_without_a_message() -> None:
    server = MemoryServer()
    server.replies("Hello")
    async with client_of(server) as client:
        await client.send_user_message_content("")
        assert server.types() == ["response.create"]


async def test_parameters_of_a_single_response_are_sent() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.create_response(instructions="x", conversation="none")
        params = ga.ResponseCreateParams(metadata={"a": "b"})
        handle = client.create_response(params, output_modalities=["text"])
        event = await server.got("response.create", 2)
        assert event["response"] == {"metadata": {"a": "b"}, "output_modalities": ["text"]}
        assert event["event_id"] == handle.event_id
        assert server.received[0]["response"] == {"instructions": "x", "conversation": "none"}
        wrong: Any = {"volume": 11}
        with pytest.raises(ConfigurationError, match="'volume'"):
            client.create_response(**wrong)
        with pytest.raises(ConfigurationError, match="'volume'"):
            client.update_session(**wrong)
        with pytest.raises(ConfigurationError):
            client.update_session()


async def test_awaiting_a_refused_response_raises() -> None:
    server = MemoryServer()
    server.answers["response.create"] = server.refuse
    async with client_of(server) as client:
        handle = client.create_response()
        with pytest.raises(ServerError) as caught:
            await handle
        assert caught.value.event_id == handle.event_id


async def test_an_error_without_a_waiter_becomes_an_update() -> None:
    server = MemoryServer()
    server.answers["response.create"] = server.refuse
    async with client_of(server) as client:
        client.create_response()
        update = await client.wait_for_next(ErrorUpdate, timeout=5)
        assert isinstance(update.error, ServerError)


async def test_a_failed_response_raises_and_becomes_an_update_without_a_waiter() -> None:
    server = MemoryServer()
    details = {"type": "failed", "error": {"code": "c", "message": "m"}}
    async with client_of(server) as client:
        handle = client.create_response()
        await server.got("response.create")
        server.begin()
        server.finish(status="failed", status_details=details)
        update = await client.wait_for_next("error", timeout=5)
        assert isinstance(update.error, ResponseFailed)
        with pytest.raises(ResponseFailed, match="m"):
            await handle


async def test_cancelling_the_await_leaves_the_response_running() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        handle = client.create_response()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(handle, 0.01)
        server.begin()
        await client.wait_for_next("response.created")
        handle.cancel()
        assert (await server.got("response.cancel"))["response_id"] == "resp_1"
        server.finish(status="cancelled")
        assert (await handle).status == "cancelled"


async def test_commands_return_the_servers_answers() -> None:
    server = MemoryServer()
    item: dict[str, object] = {"id": "item_u", "type": "message", "role": "user", "content": []}
    about = {"item_id": "item_u"}
    server.answers |= {
        "input_audio_buffer.commit": lambda _: server.send("input_audio_buffer.committed", **about),
        "input_audio_buffer.clear": lambda _: server.send("input_audio_buffer.cleared"),
        "conversation.item.create": lambda _: server.send("conversation.item.added", item=item),
        "conversation.item.retrieve": lambda _: server.send(
            "conversation.item.retrieved", item=item
        ),
        "conversation.item.truncate": lambda _: server.send(
            "conversation.item.truncated", **about, content_index=0, audio_end_ms=5
        ),
        "conversation.item.delete": lambda _: server.send("conversation.item.deleted", **about),
    }
    async with client_of(server) as client:
        session = await client.update_session(speed=1.5, tools=[])
        assert session == ga.RealtimeSession(
            audio=ga.AudioConfig(output=ga.AudioOutput(speed=1.5)), tools=[]
        )
        pending = client.commit_input_audio()
        assert await pending == "item_u"
        assert pending.is_done
        assert pending.event_id == server.received[-1]["event_id"]
        await client.clear_input_audio()
        message = ga.Message(role="user", content=[])
        assert await client.create_item(message, previous_item_id="root") == "item_u"
        assert isinstance(await client.retrieve_item("item_u"), ga.Message)
        await client.truncate_item("item_u", 5)
        await client.delete_item("item_u")
        assert client.conversation.items == ()


async def test_without_turn_detection_audio_is_committed_before_the_response() -> None:
    server = MemoryServer()
    async with client_of(server, turn_detection=None) as client:
        client.append_input_audio(b"")
        client.append_input_audio(bytearray(b"\x01\x02"))
        client.create_response()
        await server.got("response.create")
        await client.drain()
    assert server.types()[1:] == [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "response.create",
    ]
    assert server.received[1]["audio"] == "AQI="
    assert len({event["event_id"] for event in server.received}) == 4


async def test_a_commit_is_sent_although_the_response_is_refused() -> None:
    server = MemoryServer()
    async with client_of(server, turn_detection=None, validate=True) as client:
        client.append_input_audio(bytes(960))
        with pytest.raises(LocalProtocolError):
            client.create_response(max_output_tokens=-1)
        await asyncio.wait_for(server.got("input_audio_buffer.commit"), 1)
        assert "response.create" not in server.types()


async def test_iteration_starts_at_the_connection_and_ends_with_close() -> None:
    server = MemoryServer()
    server.replies("Hi")
    updates: list[Update] = []
    async with client_of(server) as client:
        await client.create_response()
        asyncio.get_running_loop().call_soon(asyncio.ensure_future, client.close())
        async with asyncio.timeout(5):
            updates = [update async for update in client]
    events = [update.event.type for update in updates if isinstance(update, RealtimeEvent)]
    assert events[:3] == ["session.created", "response.create", "response.created"]
    assert events[-1] == "response.done"
    texts = [u.delta.text for u in updates if isinstance(u, ConversationUpdated) and u.delta]
    assert texts == ["H", "i"]


async def test_iteration_can_be_resumed_after_a_break() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        await client.create_response()
        seen: list[str] = []
        for _ in range(2):
            async for update in client:
                if isinstance(update, ConversationUpdated) and update.delta:
                    seen.append(update.delta.text or "")
                    break
        assert seen == ["H", "i"]


async def test_two_tasks_cannot_iterate_at_once() -> None:
    async with client_of(MemoryServer()) as client:
        await anext(aiter(client))
        first = asyncio.ensure_future(anext(aiter(client)))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError):
            await anext(aiter(client))
        first.cancel()


async def test_updates_beyond_the_backlog_are_dropped_and_counted() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        for _ in range(BACKLOG + 10):
            server.send("rate_limits.updated", rate_limits=[])
        server.send("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        await client.wait_for_next("conversation.interrupted")
        statistics = client.statistics()
        assert statistics.waiting_updates == BACKLOG + 1
        assert statistics.dropped_updates == 12


async def test_all_updates_wait_for_a_late_iteration() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        for number in range(BACKLOG * 2):
            server.send("input_audio_buffer.speech_started", item_id="u", audio_start_ms=number)
        for _ in range(BACKLOG * 2):
            await client.wait_for_next("conversation.interrupted")
        await client.close()
        starts = [each.audio_start_ms async for each in client if isinstance(each, Interrupted)]
        assert starts == list(range(BACKLOG * 2))


async def test_with_callbacks_only_recent_updates_wait_for_a_late_iteration() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.on("conversation.interrupted", lambda _: None)
        for number in range(BACKLOG * 2):
            server.send("input_audio_buffer.speech_started", item_id="u", audio_start_ms=number)
        for _ in range(BACKLOG * 2):
            await client.wait_for_next("conversation.interrupted")
        await client.close()
        starts = [each.audio_start_ms async for each in client if isinstance(each, Interrupted)]
        assert starts == list(range(BACKLOG * 2))[-BACKLOG + 1 :]  # and `Disconnected`


async def test_all_waiters_fail_at_once_when_the_connection_is_lost() -> None:
    server = MemoryServer()
    async with client_of(server, reconnect=False) as client:
        await anext(aiter(client))
        waiting = [
            asyncio.ensure_future(awaitable)
            for awaitable in (
                client.create_response(),
                client.delete_item("x"),
                client.wait_for_next_item(),
                client.wait_for_next_completed_item(),
                _drain_updates(client),
            )
        ]
        await server.got("conversation.item.delete")
        server.end.cut()
        async with asyncio.timeout(5):
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionLost] * 5
        assert not client.is_connected
        with pytest.raises(ConnectionLost):
            client.append_input_audio(b"12")
        with pytest.raises(ConnectionLost):
            await client.wait_for_next_item()


async def _drain_updates(client: Any) -> None:
    async for _ in client:
        pass


async def test_closing_settles_everything_that_is_open() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        handle = client.create_response()
        pending = client.delete_item("x")
        waiter = asyncio.ensure_future(client.wait_for_next_item())
        await asyncio.sleep(0)
    for awaitable in (handle, pending, waiter):
        with pytest.raises(Closed):
            await awaitable
    with pytest.raises(Closed):
        client.cancel_response()
    await client.close()


async def test_an_invalid_frame_becomes_an_error_update_and_the_session_continues() -> None:
    server = MemoryServer()
    server.replies("Hi")
    async with client_of(server) as client:
        server.end.send(b"nonsense")
        update = await client.wait_for_next(ErrorUpdate, timeout=5)
        assert isinstance(update.error, DecodeError)
        await client.create_response()


async def test_events_sent_by_a_callback_keep_their_order() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.on_next(ga.ConversationItemDeleteEvent, lambda _: client.append_input_audio(b"12"))
        client.delete_item("x")
        await server.got("input_audio_buffer.append")
        assert server.types() == ["conversation.item.delete", "input_audio_buffer.append"]


async def test_events_sent_by_a_callback_of_a_delta_keep_their_order() -> None:
    server = MemoryServer()
    shown: list[str] = []
    async with client_of(server) as client:
        client.on_next(ga.ResponseTextDeltaEvent, lambda _: client.delete_item("x"))
        client.on_next(ga.ResponseTextDeltaEvent, lambda _: client.append_input_audio(b"12"))
        client.on("*", lambda event: shown.append(event.type))
        place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
        server.send("response.output_text.delta", **place, delta="Hi")
        await server.got("input_audio_buffer.append")
        sent = ["conversation.item.delete", "input_audio_buffer.append"]
        assert server.types() == sent
        assert shown == ["response.output_text.delta", *sent]


async def test_sending_on_a_lost_connection_raises() -> None:
    async def send_on(client: RealtimeClient) -> None:
        async with asyncio.timeout(5):
            while True:
                client.clear_input_audio()
                await asyncio.sleep(0)

    server = MemoryServer()
    async with client_of(server, reconnect=False) as client:
        server.end.cut()
        with pytest.raises(ConnectionLost):
            await send_on(client)


async def test_any_event_can_be_sent() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.send(ga.OutputAudioBufferClearEvent())
        assert (await server.got("output_audio_buffer.clear"))["event_id"].startswith("event_")


async def test_with_validate_an_invalid_event_is_refused_before_it_is_sent() -> None:
    server = MemoryServer()
    async with client_of(server, validate=True) as client:
        with pytest.raises(LocalProtocolError, match=r"max_output_tokens.*Fix: "):
            client.create_response(max_output_tokens=9999)
        assert server.received == []
        client.send(ga.InputAudioBufferClearEvent())
    assert [event["type"] for event in server.received] == ["input_audio_buffer.clear"]


async def test_iterating_over_an_unopened_client_raises() -> None:
    client = client_of(MemoryServer())
    with pytest.raises(Closed, match="not open"):
        async for _ in client:
            pass
