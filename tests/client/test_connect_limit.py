"""`connect` ends within its limit, whatever the server does; later calls say why it failed."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import SESSION

from duologue import Closed, HandshakeRefused, RealtimeAPI, RealtimeClient, ServerError
from duologue.client.endpoint import Endpoint
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.testing._raw_server import PATIENCE, TEXT, Peer, raw_server

if TYPE_CHECKING:
    from duologue.transport import Receiver, Transport

pytestmark = pytest.mark.asyncio

LIMIT = 0.2
LATE = 3.0
"""More than the limit on a busy machine, less than any other limit."""

CREATED = {"type": "session.created", "event_id": "e", "session": SESSION}
ERROR = {"type": "invalid_request_error", "code": "invalid_value", "message": "no"}


def event(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


async def silent(peer: Peer) -> None:
    await peer.accept()
    await peer.gone()


async def greeting(peer: Peer) -> None:
    await peer.accept()
    peer.send(TEXT, event(CREATED))
    await peer.gone()


async def refusing(peer: Peer) -> None:
    await peer.accept()
    peer.send(TEXT, event(CREATED))
    _, payload = await peer.receive()
    error = ERROR | {"event_id": json.loads(payload)["event_id"]}
    peer.send(TEXT, event({"type": "error", "event_id": "e", "error": error}))
    await peer.gone()


@pytest.mark.parametrize("transport", ["picows", "websockets"])
@pytest.mark.parametrize(
    ("script", "options", "failure"),
    [
        (silent, {}, r"no session\.created within 0\.2 s"),
        (silent, {"dialect": "auto"}, r"to detect its dialect from within 0\.2 s"),
        (silent, {"dialect": "beta"}, r"no session\.created within 0\.2 s"),
        (greeting, {}, r"did not answer session\.update within 0\.2 s"),
    ],
)
async def test_a_server_that_never_answers_a_close_does_not_delay_connect(
    script: Any, options: dict[str, Any], failure: str, transport: Any
) -> None:
    async with raw_server(script) as server:
        endpoint = Endpoint(server.url, transport=transport, **options)
        client = RealtimeClient(endpoint=endpoint, connect_timeout=LIMIT, instructions="Hi")
        async with asyncio.timeout(LATE):
            with pytest.raises(TimeoutError, match=failure):
                await client.connect()
        with pytest.raises(Closed, match=f"the session did not begin: .*{failure}"):
            client.send(ga.ResponseCreateEvent())
        await client.close()
        await server.finished()


@pytest.mark.parametrize("transport", ["picows", "websockets"])
async def test_a_refused_configuration_is_raised_within_the_limit(transport: Any) -> None:
    async with raw_server(refusing) as server:
        endpoint = Endpoint(server.url, transport=transport)
        client = RealtimeClient(endpoint=endpoint, connect_timeout=LIMIT, instructions="Hi")
        async with asyncio.timeout(LATE):
            with pytest.raises(ServerError, match="no"):
                await client.connect()


async def test_the_plain_api_detects_the_dialect_within_the_limit() -> None:
    async with raw_server(silent) as server:
        api = RealtimeAPI(url=server.url, dialect="auto", connect_timeout=LIMIT)
        async with asyncio.timeout(LATE):
            with pytest.raises(TimeoutError, match="to detect its dialect"):
                await api.connect()
        with pytest.raises(Closed, match="the session did not begin: the server sent nothing"):
            api.send(ga.ResponseCreateEvent())


@pytest.mark.parametrize("kind", [RealtimeClient, RealtimeAPI])
async def test_a_connector_has_the_same_limit(kind: Any) -> None:
    async def connector(_: Receiver) -> Transport:
        await asyncio.Event().wait()
        raise AssertionError("nothing sets this event")

    client = kind(connector=connector, connect_timeout=0.01)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(TimeoutError, match=r"the connector opened no connection within 0\.01"):
            await client.connect()


async def test_the_token_provider_and_the_handshake_share_the_limit() -> None:
    async def token() -> str:
        await asyncio.sleep(LIMIT / 2)
        return "token"

    async def mute(peer: Peer) -> None:
        await peer.gone()

    async with raw_server(mute) as server:
        endpoint = Endpoint(server.url, api_key=token)
        async with asyncio.timeout(LATE):
            with pytest.raises(Exception, match=r"did not answer within 0\.\d+ s"):
                await RealtimeClient(endpoint=endpoint, connect_timeout=LIMIT).connect()


@pytest.mark.parametrize("kind", [RealtimeClient, RealtimeAPI])
async def test_a_call_after_a_refused_handshake_says_so(kind: Any) -> None:
    async with LocalServer(api_key="a-key-of-the-server") as server:
        client = kind(url=server.url, api_key="another-key-0123")
        with pytest.raises(HandshakeRefused) as refused:
            await client.connect()
        with pytest.raises(Closed, match=r"the session did not begin: .*401") as closed:
            client.send(ga.ResponseCreateEvent())
        assert closed.value.__cause__ is refused.value
        with pytest.raises(Closed, match=r"the session did not begin: .*401"):
            await client.wait_for_next(ga.SessionUpdatedEvent)
        await client.close()


async def test_a_call_after_a_cancelled_connect_says_so() -> None:
    async with raw_server(silent) as server:
        client = RealtimeClient(url=server.url)
        connecting = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        with pytest.raises(Closed, match="did not begin: connecting was cancelled"):
            client.send(ga.ResponseCreateEvent())
