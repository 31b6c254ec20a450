"""The server from outside: who may enter, what it does with bad input, how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duologue.errors import Closed, ConfigurationError
from duologue.server import Limits, LocalServer
from duologue.server.engine.scripted import ScriptedBrain, ToneSynthesizer
from duologue.server.engine.stages import Say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from duologue.server.engine.stages import BrainEvent, BrainRequest

TEXT: dict[str, Any] = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Hello"}],
}


async def receive(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            event = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def text_turn(connection: ClientConnection) -> dict[str, Any]:
    await connection.send(json.dumps({"type": "conversation.item.create", "item": TEXT}))
    params = {"output_modalities": ["text"]}
    await connection.send(json.dumps({"type": "response.create", "response": params}))
    done = await receive(connection, "response.done")
    return done["response"]


async def connect_as(name: str, url: str) -> ClientConnection:
    """Connect to a server of this machine under a name of its own."""
    parts = urlsplit(url)
    address = f"ws://{name}:{parts.port}{parts.path}"
    return await connect(address, host=parts.hostname, port=parts.port)


class BrokenBrain(ScriptedBrain):
    """Fails after its first words."""

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        async for event in super().respond(request):
            yield event
            raise RuntimeError("the model tripped")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("frame", "code", "message"),
    [
        ("no json", "invalid_json", "not JSON"),
        ("", "invalid_json", "not JSON"),
        ('{"type": "x"', "invalid_json", "not JSON"),
        ("[" * 100_000, "invalid_event", "200 levels"),
        ("[]", "invalid_event", "not an object"),
        ("{}", "invalid_event", "no `type`"),
        ('{"type":7}', "invalid_event", "no `type`"),
        (b"\xff", "invalid_event", "binary frame"),
        (b'{"type": "input_audio_buffer.clear"}', "invalid_event", "binary frame"),
    ],
)
async def test_a_frame_that_is_no_event_is_answered_and_the_session_lives(
    frame: str | bytes, code: str, message: str
) -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.send(frame)
        error = await receive(connection, "error")
        assert error["error"]["code"] == code
        assert message in error["error"]["message"]
        assert (await text_turn(connection))["status"] == "completed"


@pytest.mark.asyncio
async def test_an_engine_that_fails_fails_its_response_only() -> None:
    async with LocalServer(BrokenBrain()) as server, connect(server.url) as connection:
        for _ in range(2):
            response = await text_turn(connection)
            assert response["status"] == "failed"
            assert response["status_details"]["error"]["message"] == "the model tripped"


@pytest.mark.asyncio
async def test_a_client_that_leaves_in_the_middle_of_an_answer_stops_it() -> None:
    server = LocalServer(tts=ToneSynthesizer(pace=1))
    async with server, connect(server.url) as connection:
        await connection.send(json.dumps({"type": "conversation.item.create", "item": TEXT}))
        await connection.send(json.dumps({"type": "response.create"}))
        await receive(connection, "response.output_audio.delta")
    kinds = [event.type for event in server.sessions[0].sent]
    assert "response.done" not in kinds


@pytest.mark.asyncio
async def test_sessions_are_closed_with_1012_when_the_server_stops() -> None:
    server = LocalServer()
    await server.__aenter__()
    async with connect(server.url) as connection:
        await receive(connection, "session.created")
        await server.__aexit__(None, None, None)
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "subprotocols", "query"),
    [
        ({"Authorization": "Bearer sesame"}, [], ""),
        ({"api-key": "sesame"}, [], ""),
        ({}, ["realtime", "openai-insecure-api-key.sesame"], ""),
        ({}, [], "?api_key=sesame"),
    ],
)
async def test_a_key_opens_in_each_place_where_clients_put_it(
    headers: dict[str, str], subprotocols: list[Any], query: str
) -> None:
    async with LocalServer(api_key="sesame") as server:
        url = server.url + query
        async with connect(
            url, additional_headers=headers, subprotocols=subprotocols or None
        ) as connection:
            await receive(connection, "session.created")
            assert connection.subprotocol == ("realtime" if subprotocols else None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer sesam"}, 401),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
async def test_who_may_not_enter_is_told_why(headers: dict[str, str], status: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with LocalServer(api_key="sesame") as server:
            await connect(server.url, additional_headers=headers)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"")["error"]["message"]


@pytest.mark.asyncio
async def test_a_beta_client_may_be_told_what_openai_tells_it() -> None:
    async with (
        LocalServer(refuses_beta=True) as server,
        connect(server.url, additional_headers={"OpenAI-Beta": "realtime=v1"}) as connection,
    ):
        error = await receive(connection, "error")
        assert error["error"]["code"] == "beta_api_shape_disabled"
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000


@pytest.mark.asyncio
async def test_servers_run_side_by_side() -> None:
    async with LocalServer() as one, LocalServer() as two:
        assert one.url != two.url
        async with connect(one.url) as first, connect(two.url) as second:
            assert (await text_turn(first))["id"] != (await text_turn(second))["id"]


@pytest.mark.asyncio
async def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            await LocalServer(port=port).__aenter__()


class CountingBrain(ScriptedBrain):
    """Says how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        self.asked += 1
        yield Say(str(self.asked))


@pytest.mark.asyncio
@pytest.mark.parametrize(("brain", "told"), [(CountingBrain, "1"), (CountingBrain(), "2")])
async def test_a_class_of_brains_makes_one_for_each_session(brain: Any, told: str) -> None:
    async with LocalServer(brain) as server:
        async with connect(server.url) as first:
            await text_turn(first)
        async with connect(server.url) as second:
            response = await text_turn(second)
    assert response["output"][0]["content"][0]["text"] == told


def test_a_server_that_does_not_run_has_no_url() -> None:
    with pytest.raises(Closed):
        _ = LocalServer().url


@pytest.mark.asyncio
async def test_what_a_session_received_and_sent_is_there_to_assert_on() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await text_turn(connection)
    [session] = server.sessions
    assert [event.type for event in session.received] == [
        "conversation.item.create",
        "response.create",
    ]
    assert session.sent[0].type == "session.created"


@pytest.mark.asyncio
async def test_without_a_key_only_pages_of_this_machine_may_connect() -> None:
    async with LocalServer() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url, additional_headers={"Origin": "http://evil.example:1"})
        assert refused.value.response.status_code == 403
        async with connect(
            server.url, additional_headers={"Origin": "http://localhost:1"}
        ) as open_:
            await receive(open_, "session.created")


@pytest.mark.asyncio
async def test_a_name_that_was_made_to_point_here_is_refused_without_a_key() -> None:
    async with LocalServer() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect_as("evil.example", server.url)
        assert refused.value.response.status_code == 403
        async with await connect_as("me.localhost", server.url) as connection:
            await receive(connection, "session.created")


@pytest.mark.asyncio
async def test_a_key_is_demanded_where_others_can_reach_the_server() -> None:
    with pytest.raises(ConfigurationError, match="api_key="):
        await LocalServer(host="0.0.0.0").__aenter__()  # noqa: S104  # refused


@pytest.mark.asyncio
async def test_a_full_server_says_so() -> None:
    server = LocalServer(limits=Limits(sessions=1))
    async with server, connect(server.url) as first:
        await receive(first, "session.created")
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url)
    assert refused.value.response.status_code == 503
    error = json.loads(refused.value.response.body or b"")["error"]
    assert error["code"] == "server_full"
    assert "1 sessions" in error["message"]


@pytest.mark.asyncio
async def test_a_wrong_path_is_not_found() -> None:
    async with LocalServer() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url + "s")
    assert refused.value.response.status_code == 404
    assert b"connect a WebSocket to /v1/realtime" in (refused.value.response.body or b"")


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["", "  "])
async def test_an_empty_key_opens_nothing(key: str) -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        await LocalServer(api_key=key).__aenter__()


@pytest.mark.asyncio
@pytest.mark.parametrize("port", [-1, 70_000])
async def test_a_port_that_cannot_be_is_one_clear_sentence(port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
        await LocalServer(port=port).__aenter__()


@pytest.mark.asyncio
async def test_another_beta_of_openai_is_not_the_beta_dialect() -> None:
    headers = {"OpenAI-Beta": "assistants=v2"}
    async with (
        LocalServer() as server,
        connect(server.url, additional_headers=headers) as connection,
    ):
        created = await receive(connection, "session.created")
    assert created["session"]["type"] == "realtime"


@pytest.mark.asyncio
async def test_no_key_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with (
        LocalServer(api_key="sesame") as server,
        connect(server.url + "?api_key=sesame") as connection,
    ):
        await receive(connection, "session.created")
    assert "session opened" in caplog.text
    assert "sesame" not in caplog.text


@pytest.mark.asyncio
async def test_what_clients_say_wrongly_is_logged_or_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    create = json.dumps({"type": "response.create", "response": {"modalities": ["text"]}})
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.send(create)
        done = await receive(connection, "response.done")
    assert done["response"]["output_modalities"] == ["text"]
    assert "it is read as 'response.output_modalities'" in caplog.text
    async with LocalServer(strict=True) as server, connect(server.url) as connection:
        await connection.send(create)
        error = await receive(connection, "error")
    assert error["error"]["param"] == "response.modalities"
