"""Faults as a client meets them, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from duologue import Closed, ConnectionLost, HandshakeRefused, RealtimeClient
from duologue.server import LocalServer
from duologue.server.engine.scripted import ScriptedBrain, ToneSynthesizer
from duologue.server.faults import (
    Close,
    Delay,
    Drop,
    Duplicate,
    Expire,
    Fault,
    RefuseHandshake,
    Reorder,
    SendError,
    SlowNetwork,
    Stall,
    TruncateFrame,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

DELTA = "response.output_audio.delta"
ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Tell me about the weather in Paris"}],
}
TURN = [
    {"type": "conversation.item.create", "event_id": "mine_1", "item": ITEM},
    {"type": "response.create", "event_id": "mine_2"},
]


def session_type_of(frame: str | bytes) -> str:
    try:
        event: dict[str, Any] = json.loads(frame)
    except ValueError:
        return "no event"
    kind: str = event["type"]
    return kind


async def until_end(connection: ClientConnection, last: str = "rate_limits.updated") -> list[str]:
    """Return the types of what comes, up to the last one or the close."""
    kinds: list[str] = []
    async with asyncio.timeout(10):
        try:
            while last not in kinds:
                kinds.append(session_type_of(await connection.recv()))
        except ConnectionClosed:
            pass
    return kinds


async def turn(*faults: Fault, seed: int = 0) -> list[str]:
    """Return the types of the events of one turn."""
    async with LocalServer(faults=faults, seed=seed) as server, connect(server.url) as connection:
        for event in TURN:
            await connection.send(json.dumps(event))
        return await until_end(connection)


@pytest.mark.asyncio
async def test_a_dropped_event_does_not_come() -> None:
    kinds = await turn(Drop(at=DELTA, nth=2), Drop(at="response.created"))
    whole = await turn()
    whole.remove("response.created")
    whole.remove(DELTA)
    assert kinds == whole


@pytest.mark.asyncio
async def test_events_come_twice_cut_or_in_another_order() -> None:
    kinds = await turn(
        Duplicate(at="response.done"),
        TruncateFrame(at="response.output_item.done"),
        Reorder(at="response.created"),
    )
    assert kinds.count("response.done") == 2
    assert kinds.count("no event") == 1
    created = kinds.index("response.created")
    assert kinds[created - 1] == "response.output_item.added"


@pytest.mark.asyncio
async def test_what_only_takes_time_changes_no_order() -> None:
    slow = [
        Delay(0.02, 0.01, at="response.*"),
        SlowNetwork(2_000_000, 0.01, 0.01),
        Stall(0.05, at=DELTA, nth=1),
        Delay(0.02, at="client.*"),
    ]
    assert await turn(*slow) == await turn()


@pytest.mark.asyncio
async def test_two_runs_of_one_seed_are_the_same_and_another_seed_differs() -> None:
    faults = [
        Drop(at=DELTA, chance=0.5),
        Duplicate(at="response.*", chance=0.5),
        TruncateFrame(at="response.*", chance=0.3),
        Reorder(chance=0.2),
    ]
    first, second, other = [await turn(*faults, seed=seed) for seed in (7, 7, 8)]
    assert first == second
    assert first != other


@pytest.mark.asyncio
@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4000])
async def test_the_server_closes_right_after_an_event(code: int) -> None:
    fault = Close(code, "so it goes", at=DELTA, nth=3)
    async with LocalServer(faults=[fault]) as server, connect(server.url) as connection:
        for event in TURN:
            await connection.send(json.dumps(event))
        kinds = await until_end(connection)
        assert (kinds.count(DELTA), kinds[-1]) == (3, DELTA)
        assert (connection.close_code, connection.close_reason) == (code, "so it goes")
        assert [injection.fault for injection in server.sessions[0].injected] == [fault]


@pytest.mark.asyncio
async def test_1006_breaks_the_connection_without_a_close_frame() -> None:
    fault = Close(1006, at=DELTA, nth=3)
    async with LocalServer(faults=[fault]) as server, connect(server.url) as connection:
        for event in TURN:
            await connection.send(json.dumps(event))
        kinds = await until_end(connection)
        assert (kinds.count(DELTA), kinds[-1]) == (3, DELTA)
        with pytest.raises(ConnectionClosedError) as lost:
            await connection.recv()
        assert lost.value.rcvd is None


@pytest.mark.asyncio
async def test_our_client_reports_what_was_done_to_it() -> None:
    async with LocalServer(faults=[Close(1013, at="response.created")]) as server:
        async with RealtimeClient(url=server.url) as client:
            response = client.send_user_message_content("Hello")
            with pytest.raises(ConnectionLost) as lost:
                await response
        assert lost.value.code == 1013


@pytest.mark.asyncio
async def test_a_session_expires_early() -> None:
    async with (
        LocalServer(faults=[Expire(after=0.05)]) as server,
        connect(server.url) as connection,
    ):
        assert (await until_end(connection))[-1] == "error"
        assert connection.close_code == 1001
        assert connection.close_reason == "Your session hit the maximum duration of 60 minutes."


@pytest.mark.asyncio
async def test_an_error_comes_after_an_event_or_instead_of_carrying_one_out() -> None:
    faults = [
        SendError("server_overloaded", "Busy.", at="session.created"),
        SendError("rate_limit_exceeded", at="response.create"),
    ]
    async with LocalServer(faults=faults) as server, connect(server.url) as connection:
        for event in TURN:
            await connection.send(json.dumps(event))
        async with asyncio.timeout(5):
            events = [json.loads(await connection.recv()) for _ in range(5)]
        kinds = [event["type"] for event in events]
        assert kinds[:2] == ["session.created", "error"]
        assert kinds[2:] == ["conversation.item.added", "conversation.item.done", "error"]
        error = events[1]["error"]
        assert (error["code"], error["message"], error["type"], error["event_id"]) == (
            "server_overloaded",
            "Busy.",
            "server_error",
            None,
        )
        assert events[4]["error"]["event_id"] == "mine_2"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "invalid_api_key"),
        (403, "permission_denied"),
        (429, "rate_limit_exceeded"),
        (503, "service_unavailable"),
    ],
)
async def test_a_handshake_is_refused_as_openai_does(status: int, code: str) -> None:
    fault = RefuseHandshake(status, 7 if status in (429, 503) else None, connection=1)
    async with LocalServer(faults=[fault]) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url)
        response = refused.value.response
        assert response.status_code == status
        assert json.loads(response.body or b"")["error"]["code"] == code
        assert response.headers.get("Retry-After") == ("7" if status in (429, 503) else None)
        async with connect(server.url) as connection:
            assert session_type_of(await connection.recv()) == "session.created"


@pytest.mark.asyncio
async def test_what_the_client_sends_is_lost_doubled_or_cut() -> None:
    faults = [
        Drop(at="session.update", nth=1),
        Duplicate(at="input_audio_buffer.clear"),
        TruncateFrame(at="response.create"),
    ]
    async with LocalServer(faults=faults) as server, connect(server.url) as connection:
        for kind in ("session.update", "input_audio_buffer.clear", "response.create"):
            await connection.send(json.dumps({"type": kind}))
        kinds = [session_type_of(await connection.recv()) for _ in range(4)]
        cleared = "input_audio_buffer.cleared"
        assert kinds == ["session.created", cleared, cleared, "error"]
        received = [event.type for event in server.sessions[0].received]
        assert received == ["input_audio_buffer.clear"] * 2


@pytest.mark.asyncio
async def test_delayed_client_events_wait_without_blocking_what_the_server_sends() -> None:
    faults = [Delay(0.2, at="input_audio_buffer.clear")]
    async with (
        LocalServer(faults=faults, tts=ToneSynthesizer(pace=20)) as server,
        connect(server.url) as connection,
    ):
        for event in (*TURN, {"type": "input_audio_buffer.clear"}, {"type": "response.cancel"}):
            await connection.send(json.dumps(event))
        kinds = await until_end(connection, "input_audio_buffer.cleared")
    assert DELTA in kinds


@pytest.mark.asyncio
async def test_a_session_that_stalls_for_ever_ends_when_the_client_leaves() -> None:
    async with LocalServer(faults=[Stall(at=DELTA)]) as server:
        async with connect(server.url) as connection:
            for event in TURN:
                await connection.send(json.dumps(event))
            assert (await until_end(connection, DELTA))[-1] == DELTA
            await server.sessions[0].wait_for("response.done")
        await server.sessions[0].wait_closed()
        with pytest.raises(Closed):
            server.sessions[0].fail(Drop())


@pytest.mark.asyncio
async def test_things_go_wrong_from_the_moment_when_they_are_told_to() -> None:
    async with LocalServer() as server:
        async with connect(server.url) as first, connect(server.url) as second:
            for connection in (first, second):
                assert session_type_of(await connection.recv()) == "session.created"
            server.sessions[0].fail(SendError("one"))
            assert session_type_of(await first.recv()) == "error"
            server.fail(SendError("all"))
            for connection in (first, second):
                assert json.loads(await connection.recv())["error"]["code"] == "all"
            server.sessions[1].close(4000, "enough")
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == 4000
        server.fail(RefuseHandshake(503), sessions="next")
        with pytest.raises(HandshakeRefused):
            await RealtimeClient(url=server.url).connect()
        async with connect(server.url) as third:
            kinds = [session_type_of(await third.recv()) for _ in range(2)]
            assert kinds == ["session.created", "error"]


@pytest.mark.asyncio
async def test_what_is_injected_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    fault = Drop(at="session.created")
    async with LocalServer(faults=[fault]) as server, connect(server.url) as connection:
        address = server.url.replace("ws:", "http:").replace("/v1/realtime", "/healthz")
        body = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())  # noqa: S310
        assert json.loads(body)["faults"] == ["drop@session.created"]
        await connection.close()
    assert "drop@session.created" in caplog.text
    assert "in connection 1" in caplog.text


@pytest.mark.asyncio
async def test_beta_clients_meet_faults_named_in_ga() -> None:
    headers = {"OpenAI-Beta": "realtime=v1"}
    async with (
        LocalServer(faults=[Drop(at=DELTA)]) as server,
        connect(server.url, additional_headers=headers) as connection,
    ):
        for event in TURN:
            await connection.send(json.dumps(event))
        kinds = await until_end(connection)
    assert "response.audio.done" in kinds
    assert "response.audio.delta" not in kinds


@pytest.mark.asyncio
async def test_a_test_waits_for_what_the_server_receives_and_sends() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.recv()
        [session] = server.sessions
        waiting = asyncio.create_task(session.wait_for("conversation.item.added", nth=2))
        for event in (TURN[0], TURN[0]):
            await connection.send(json.dumps(event))
        assert await waiting is [each for each in session.sent if "added" in each.type][1]
        assert (await session.wait_for("session.created")).type == "session.created"
        with pytest.raises(
            TimeoutError, match=r"no 'response\.done' came .* conversation\.item\.done"
        ):
            await session.wait_for("response.done", timeout=0.01)
        ending = asyncio.create_task(session.wait_for("response.done"))
        await connection.close()
        with pytest.raises(Closed, match=r"received last: conversation\.item\.create"):
            await ending


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(4))
async def test_however_much_goes_wrong_nothing_is_left_running(seed: int) -> None:
    faults = [
        Delay(0.01, 0.05, at="client.*", chance=0.5),
        Delay(0.0, 0.02, chance=0.3),
        Reorder(2, 0.05, chance=0.3),
        Drop(chance=0.1),
        Stall(0.02, at="response.*", chance=0.1),
        Stall(at="client.*", chance=0.1),
        SendError(at="*", chance=0.1),
        Expire(at="response.*", chance=0.02),
        Close(1006, at="response.*", chance=0.02),
        Close(1011, at="client.response.create", chance=0.2),
        Close(4000, after=0.3),
        Expire(after=0.3),
    ]
    async with LocalServer(faults=faults, seed=seed) as server:
        for _ in range(3):
            async with connect(server.url) as connection:
                with contextlib.suppress(ConnectionClosed):
                    for event in TURN:
                        await connection.send(json.dumps(event))
                await until_end(connection)
            await server.sessions[-1].wait_closed()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_a_line_that_is_too_slow_for_the_answer_holds_its_making_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("duologue.server.send_queue.ROOM_BYTES", 20_000)
    async with (
        LocalServer(faults=[SlowNetwork(200_000)]) as server,
        connect(server.url) as connection,
    ):
        for event in TURN:
            await connection.send(json.dumps(event))
        await until_end(connection, DELTA)
        made = [event.type for event in server.sessions[0].sent]
        assert "response.done" not in made
        assert "response.done" in await until_end(connection)


@pytest.mark.asyncio
@pytest.mark.parametrize("at", ["error", "*", "client.*"])
async def test_a_session_expires_once_even_if_its_last_error_fits_the_rule(at: str) -> None:
    server = LocalServer(faults=[Expire(at=at), SendError("first", after=0.05)])
    async with server, connect(server.url) as connection:
        await connection.send(json.dumps(TURN[0]))
        kinds = await until_end(connection)
        assert connection.close_code == 1001
        assert kinds.count("error") <= 2


@pytest.mark.asyncio
async def test_a_session_that_is_about_to_go_is_not_told_to_fail() -> None:
    class Lingering(ToneSynthesizer):
        """Takes its time when it is stopped."""

        async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
            try:
                yield bytes(4800)
                await asyncio.Event().wait()
            finally:
                lingers.set()
                await may_go.wait()

    lingers, may_go = asyncio.Event(), asyncio.Event()
    async with LocalServer(tts=Lingering()) as server:
        async with connect(server.url) as connection:
            await connection.send(json.dumps(TURN[1]))
            while session_type_of(await connection.recv()) != DELTA:
                pass
        async with asyncio.timeout(5):
            await lingers.wait()
        server.fail(Drop())
        may_go.set()


@pytest.mark.asyncio
async def test_a_session_that_never_began_is_over_for_who_waits() -> None:
    class Stillborn(ScriptedBrain):
        """Cannot be made."""

        def __init__(self) -> None:
            raise RuntimeError("no brain today")

    async with LocalServer(Stillborn) as server:
        async with connect(server.url) as connection:
            assert await until_end(connection) == []
            assert connection.close_code == 1011
        async with asyncio.timeout(5):
            await server.sessions[0].wait_closed()
