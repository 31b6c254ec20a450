"""The blocking client has all methods of the asynchronous one, on any thread."""

from __future__ import annotations

import contextlib
import inspect
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import MemoryServer

import duologue
import duologue.sync
from duologue import (
    Closed,
    ConfigurationError,
    ConnectionLost,
    DuologueError,
    ErrorUpdate,
    HandshakeRefused,
    ItemCompleted,
    LocalProtocolError,
    ServerError,
    devices,
)
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest, Call
from duologue.sync import RealtimeClient, ToolContext, serving
from tools import generate_sync

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator


@contextmanager
def talking(brain: Any = "scripted:", **options: Any) -> Generator[RealtimeClient]:
    with (
        serving(LocalServer(brain)) as server,
        RealtimeClient(url=server.url, output_modalities=["text"], **options) as client,
    ):
        yield client


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("name", ["RealtimeClient", "Pending", "ResponseHandle"])
def test_every_name_of_the_asynchronous_client_is_there_with_the_same_arguments(name: str) -> None:
    there, here = getattr(duologue, name), getattr(duologue.sync, name)
    assert public(there) == public(here) - {"result"}
    for method in public(there):
        ours, theirs = getattr(here, method), getattr(there, method)
        assert isinstance(ours, property) == isinstance(theirs, property)
        assert ours.__doc__
        if not isinstance(ours, property):
            assert [*inspect.signature(ours).parameters] == [*inspect.signature(theirs).parameters]


def test_the_conversation_has_what_an_application_reads() -> None:
    assert public(duologue.sync.RealtimeConversation) == public(duologue.RealtimeConversation)


def test_the_generated_methods_are_up_to_date() -> None:
    text = generate_sync.formatted(generate_sync.generated())
    assert generate_sync.TARGET.read_text() == text, "run `python -m tools.generate_sync`"


def test_a_response_is_waited_for_streamed_and_read() -> None:
    with talking() as client:
        response = client.send_user_message_content("Hello there")
        streamed = "".join(delta.text or "" for delta in response)
        assert response.result(5).status == "completed"
        assert response.text == streamed == "You said: Hello there"
        assert (response.transcript, response.audio, response.is_done) == ("", b"", True)
        assert response.usage is not None
        assert [item.id for item in response.items] == [client.conversation.items[1].id]
        assert repr(response) == f"<ResponseHandle {response.id} completed>"
        assert response.state.name == "COMPLETED"
        assert response.event_id
        response.cancel()


def test_the_usage_is_read_and_a_used_up_budget_refuses() -> None:
    with talking(model="gpt-realtime", budget=duologue.Budget(tokens=1)) as client:
        assert client.ask("Hello there").text == "You said: Hello there"
        assert client.usage.total.total_tokens > 1
        assert client.usage.cost == client.usage.cost_of("gpt-realtime")
        assert client.latency.turns[0].to_done is not None
        with pytest.raises(duologue.BudgetExceeded) as caught:
            client.ask("Hello again")
        assert (caught.value.spent, caught.value.limit) == (client.usage.total.total_tokens, 1)


def test_the_conversation_is_read_while_it_grows_and_when_it_is_over() -> None:
    with talking() as client:
        item_id = client.create_item(
            ga.Message(role="user", content=[ga.InputText(text="Hi")])
        ).result(5)
        assert item_id in client.conversation
        assert client.conversation.item(item_id).formatted.text == "Hi"
        assert client.conversation.output_format.rate_hz == 24_000
    assert [item.id for item in client.conversation] == [item_id]
    assert len(client.conversation) == 1
    client.disconnect()
    assert len(client.conversation) == 0


def test_updates_are_iterated_over_until_the_session_is_closed() -> None:
    with talking() as client:
        client.send_user_message_content("Hello")
        for update in client:
            if isinstance(update, ItemCompleted) and update.item.role == "assistant":
                assert update.item.formatted.text == "You said: Hello"
                client.close()
        assert not client.is_connected


def test_a_stream_that_is_left_goes_on_for_others() -> None:
    with talking() as client:
        response = client.send_user_message_content("Hello")
        next(iter(response))
        assert "".join(delta.text or "" for delta in response) == "You said: Hello"


def test_callbacks_may_call_what_blocks() -> None:
    with talking() as client:
        told: list[str] = []
        done = threading.Event()

        @client.on("response.done")
        def ask_again(event: ga.ResponseDoneEvent) -> None:
            told.append(client.update_session(instructions="Be brief.").result(5).instructions)  # type: ignore[union-attr,arg-type]  # of a conversation
            done.set()

        client.send_user_message_content("Hello").result(5)
        assert done.wait(5)
        assert told == ["Be brief."]


def test_callbacks_come_in_order_once_and_no_more() -> None:
    with talking() as client:
        seen: list[str] = []

        def note(event: ga.ResponseDoneEvent) -> None:
            seen.append("each")

        client.on_next(ga.ResponseDoneEvent, lambda _: seen.append("once"))
        client.on(ga.ResponseDoneEvent, note)
        client.send_user_message_content("Hello").result(5)
        client.send_user_message_content("Hello").result(5)
        client.off(ga.ResponseDoneEvent, note)
        client.send_user_message_content("Hello").result(5)
        client.off(ga.ResponseDoneEvent)
        last = threading.Event()
        client.on("session.updated", lambda _: last.set())
        client.update_session(instructions="").result(5)
        assert last.wait(5)
        assert seen == ["once", "each", "each"]


def test_a_callback_may_end_the_session() -> None:
    with talking() as client:
        client.on("response.done", lambda _: client.close())
        client.send_user_message_content("Hello")
        for _ in client:
            pass
        assert not client.is_connected


def test_a_callback_that_raises_is_counted_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with talking() as client:

        def refuse(_: object) -> None:
            raise LookupError

        client.on("response.done", refuse)
        seen = threading.Event()
        client.on("response.done", lambda _: seen.set())
        client.send_user_message_content("Hello").result(5)
        assert seen.wait(5)
        assert client.statistics().failed_calls == 1
        assert "refuse raised" in caplog.text


def test_a_callback_that_exits_does_not_end_the_session() -> None:
    with talking() as client:
        client.on("response.done", lambda _: sys.exit())
        client.send_user_message_content("Hello").result(5)
        client.send_user_message_content("Hello").result(5)
        assert client.is_connected


def test_what_cannot_be_called_is_no_callback() -> None:
    client = RealtimeClient(url="ws://127.0.0.1:1")
    callback: Any = "print"
    with pytest.raises(ConfigurationError, match="must be a function"):
        client.on("error", callback)
    client.on_next("close", print)
    client.off_next("close", print)
    client.clear_event_handlers()
    client.reset()


def test_a_coroutine_function_is_no_callback() -> None:
    async def callback(_: object) -> None: ...

    with pytest.raises(ConfigurationError, match="plain functions"):
        RealtimeClient(url="ws://127.0.0.1:1").on("error", callback)


def test_many_threads_use_one_client() -> None:
    def work(number: int) -> list[str]:
        client.append_input_audio(bytes(480))
        return [
            client.create_item(
                ga.Message(role="user", content=[ga.InputText(text=f"{number} {turn}")])
            ).result(10)
            for turn in range(10)
        ]

    with talking() as client, ThreadPoolExecutor(8) as threads:
        made = [item_id for ids in threads.map(work, range(8)) for item_id in ids]
        assert len(set(made)) == 80
        assert {item.id for item in client.conversation} == set(made)


def test_who_waits_when_another_thread_closes_hears_of_it() -> None:
    begun = [threading.Event() for _ in range(3)]

    def wait(event: threading.Event, call: Callable[[], object]) -> str:
        event.set()
        with pytest.raises(Closed) as told:
            call()
        return type(told.value).__name__

    server = MemoryServer()
    with RealtimeClient(connector=server.connect) as client, ThreadPoolExecutor(5) as threads:
        handle = client.create_response()
        pending = client.clear_input_audio()
        calls = (handle.result, pending.result, lambda: client.wait_for_next("server.future.event"))
        waits = [threads.submit(wait, e, c) for e, c in zip(begun, calls, strict=True)]
        assert all(event.wait(5) for event in begun)
        list(threads.map(lambda _: client.close(), range(2)))
        assert [each.result(5) for each in waits] == ["Closed"] * 3


def test_threads_may_connect_and_close_as_they_please() -> None:
    with serving(LocalServer()) as server:
        client = RealtimeClient(url=server.url)

        def come_and_go(number: int) -> None:
            for _ in range(15):
                with contextlib.suppress(DuologueError):
                    (client.connect if number % 2 else client.close)()
                    client.statistics()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(come_and_go, range(8)))
        client.close()
        assert not client.is_connected


def test_what_takes_too_long_is_a_time_out_and_can_be_waited_for_again() -> None:
    server = MemoryServer()
    with RealtimeClient(connector=server.connect) as client:
        pending = client.clear_input_audio()
        with pytest.raises(TimeoutError, match=r"0\.01 s"):
            pending.result(0.01)
        with pytest.raises(TimeoutError, match="future"):
            client.wait_for_next("server.future.event", timeout=0.01)
        assert not pending.is_done
        server.answers["response.create"] = lambda _: server.send("input_audio_buffer.cleared")
        client.create_response()
        pending.result(5)
        assert pending.is_done
        assert pending.event_id


def test_what_is_sent_without_an_answer_is_sent_in_order() -> None:
    server = MemoryServer()
    with RealtimeClient(connector=server.connect) as client:
        client.send(ga.InputAudioBufferClearEvent())
        client.commit_input_audio()
        client.truncate_item("item_a", 100)
        client.truncate_items([])
        client.retrieve_item("item_a")
        client.cancel_response()
        client.approve_mcp_call("mcpr_1")
        client.reject_mcp_call("mcpr_2", reason="no")
        client.add_tool({"name": "nap"}, lambda _: None, timeout=1).result(5)
        client.remove_tool("nap").result(5)
        client.drain()
        assert client.input_format.rate_hz == 24_000
        assert client.responses == ()
    assert server.types() == [
        "input_audio_buffer.clear",
        "input_audio_buffer.commit",
        "conversation.item.truncate",
        "conversation.item.retrieve",
        "response.cancel",
        "conversation.item.create",
        "conversation.item.create",
        "session.update",
        "session.update",
    ]


def test_the_next_items_are_waited_for() -> None:
    with talking() as client:
        over = threading.Event()

        def say() -> None:
            while not over.is_set():
                client.send_user_message_content("Hello").result(5)

        with ThreadPoolExecutor(1) as threads:
            saying = threads.submit(say)
            assert client.wait_for_next_item(timeout=5).id
            assert client.wait_for_next_completed_item(timeout=5).id
            assert client.wait_for_next(ga.ResponseDoneEvent, timeout=5).response.id
            over.set()
            saying.result(5)


def test_errors_come_through() -> None:
    with talking() as client:
        with pytest.raises(ServerError):
            client.delete_item("item_nobody_made").result(5)
        with pytest.raises(LocalProtocolError, match="open already"):
            client.connect()
        assert client.is_connected


@pytest.mark.timeout(5)  # the server's loop is awake at once, not at its next timer
def test_a_lost_connection_ends_what_waits() -> None:
    with (
        serving(LocalServer()) as server,
        RealtimeClient(url=server.url, reconnect=False) as client,
    ):
        client.on(ErrorUpdate, lambda _: None)
        updates = iter(client)
        next(updates)
        server.sessions[0].close(1011)
        with pytest.raises(ConnectionLost):
            list(updates)
        with pytest.raises(ConnectionLost):
            client.create_response()


def test_a_client_that_is_refused_leaves_nothing_behind() -> None:
    with serving(LocalServer(api_key="secret")) as server:
        with pytest.raises(HandshakeRefused):
            RealtimeClient(url=server.url, api_key="wrong").connect()
        loops = [each for each in threading.enumerate() if each.name == "duologue"]
        assert len(loops) == 1  # the server's


def test_a_client_connects_again() -> None:
    with talking() as client:
        client.close()
        client.connect()
        assert client.wait_for_session_created(timeout=5)
        assert client.send_user_message_content("Hello").result(5)


def test_without_a_session_there_is_nothing_to_wait_for() -> None:
    client = RealtimeClient(url="ws://127.0.0.1:1")
    client.close()
    assert not client.is_connected
    assert client.session is None
    with pytest.raises(Closed):
        client.create_response()
    with pytest.raises(Closed):
        client.wait_for_next("error")
    with pytest.raises(Closed):
        iter(client).__next__()


def call_once(name: str) -> Callable[[BrainRequest], Iterator[str | Call]]:
    def respond(request: BrainRequest) -> Iterator[str | Call]:
        yield Call(name, "{}") if request.output is None else f"Told: {request.output}"

    return respond


def told(client: RealtimeClient) -> str:
    client.send_user_message_content("Go.")
    for update in client:
        if isinstance(update, ItemCompleted) and update.item.role == "assistant":
            return update.item.formatted.text
    raise AssertionError("the session ended")


def test_a_tool_may_call_what_blocks() -> None:
    with talking(call_once("rename")) as client:

        @client.tool
        def rename(context: ToolContext) -> str:
            assert context.client is client
            session = context.client.update_session(instructions="Be kind.").result(5)
            assert isinstance(session, ga.RealtimeSession)
            return str(session.instructions)

        assert told(client) == "Told: Be kind."


def test_a_coroutine_function_as_a_tool_is_told_not_to_block() -> None:
    with talking(call_once("stall")) as client:

        @client.tool(name="stall")
        async def stall() -> object:
            return client.statistics()

        assert "use a function without `async`" in told(client)


def test_a_coroutine_function_as_a_tool_does_not_end_the_session_under_itself() -> None:
    with talking(call_once("leave")) as client:

        @client.tool(name="leave")
        async def leave() -> None:
            client.close()

        assert "use a function without `async`" in told(client)
        assert client.is_connected


def test_what_is_done_can_be_read_when_the_session_is_over() -> None:
    with talking() as client:
        response = client.send_user_message_content("Hello there")
        change = client.update_session(instructions="Be kind.")
        response.result(5)
        change.result(5)
    assert response.result().status == response.result(5).status == "completed"
    assert change.result(5) == change.result()
    assert "".join(delta.text or "" for delta in response) == response.text


def test_the_context_of_the_other_client_is_refused() -> None:
    def hear(context: duologue.ToolContext) -> None: ...

    def hear_here(context: ToolContext) -> None: ...

    url = "ws://127.0.0.1:1"
    with pytest.raises(ConfigurationError, match="another client"):
        RealtimeClient(url=url).tool(hear)
    with pytest.raises(ConfigurationError, match="another client"):
        duologue.RealtimeClient(url=url).tool(hear_here)


def test_ctrl_c_ends_a_program_that_waits() -> None:
    """The awaited connector sends the signal, so that it never arrives before the wait."""
    code = """
import asyncio, os, signal
from duologue.server import LocalServer
from duologue.sync import RealtimeClient, serving

signal.signal(signal.SIGINT, signal.default_int_handler)  # who started us may ignore it

async def interrupt(receiver):
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.Event().wait()

with serving(LocalServer()) as server, RealtimeClient(url=server.url) as client:
    with RealtimeClient(connector=interrupt):
        pass
"""
    program = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    errors = program.stderr
    assert program.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"
    assert errors.count("Traceback") == 1
    assert "Warning" not in errors


def test_a_voice_conversation_is_held_on_the_clients_thread() -> None:
    clock = devices.VirtualClock()
    sounds = devices.VirtualMicrophone(clock)
    microphone, speaker = devices.Microphone(sounds), devices.Speaker(devices.VirtualSpeaker(clock))
    policy = devices.VoicePolicy(interrupted_by="push_to_talk", echo="off")
    notices: list[devices.Notice] = []
    with (
        serving(LocalServer(lambda _: "Once upon a time. " * 20)) as server,
        RealtimeClient(url=server.url) as client,
        duologue.sync.attach(
            client, microphone, speaker, policy=policy, on_notice=notices.append
        ) as voice,
    ):
        items = client.completed_items()
        voice.press()
        sounds.say(b"\x00\x10" * 12_000)
        clock.advance(500)
        while microphone.statistics().delivered_samples < 12_000:
            client.conversation.items  # noqa: B018  # a round trip to the thread
        voice.release()
        assert [next(items).role for _ in range(2)] == ["user", "assistant"]
        clock.advance(1000)
        assert voice.send_text("Enough").result(timeout=10).status == "completed"
        assert speaker.waiting_ms
        voice.interrupt()
        assert not speaker.waiting_ms
        assert len(notices) == 2
        voice.is_muted = True
        assert voice.is_muted
        assert not voice.is_half_duplex
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(voice.wait)
            client.close()
            clock.advance(20)
            waiting.result(timeout=10)
