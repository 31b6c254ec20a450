"""REST requests, to the embedded server and to a server that records them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import traceback
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest

from duologue import (
    Closed,
    ConfigurationError,
    ConnectionLost,
    DecodeError,
    Endpoint,
    HandshakeRefused,
    MissingExtra,
    RealtimeClient,
    RealtimeRest,
    RemoteProtocolError,
    RequestRefused,
)
from duologue.protocol import beta, ga
from duologue.protocol.ga.translation import TranslationSessionParams
from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

KEY = "sk-secret-of-mine-0123"
CALL = "/v1/realtime/calls"

pytestmark = pytest.mark.asyncio


@dataclass
class RecordingServer:
    """HTTP server that records requests and gives the same answer to all."""

    url: str = ""
    answer: bytes = b""
    requests: list[tuple[str, dict[str, str], bytes]] = field(
        default_factory=list[tuple[str, dict[str, str], bytes]]
    )
    served: list[asyncio.Task[None] | None] = field(default_factory=list[Any])

    def set_answer(self, status: str, body: bytes = b"", *headers: str) -> None:
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")
        self.answer = "\r\n".join(lines).encode() + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served.append(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                pairs = (line.partition(": ") for line in lines if line)
                headers = {name.lower(): value for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.requests.append((head.split()[1], headers, body))
                writer.write(self.answer)
        writer.close()


@contextlib.asynccontextmanager
async def recording_server() -> AsyncGenerator[RecordingServer]:
    server = RecordingServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        server.url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1/realtime"
        yield server
        await asyncio.gather(*filter(None, server.served))


# Ephemeral keys, from the embedded server.


async def test_a_client_secret_opens_a_session_with_its_configuration() -> None:
    async with (
        LocalServer(api_key=KEY) as server,
        RealtimeRest(url=server.url, api_key=KEY) as rest,
    ):
        session = ga.RealtimeSession(instructions="Speak like a pirate")
        secret = await rest.create_client_secret(session, seconds=60)
        assert secret.value not in repr(secret)
        async with RealtimeClient(url=server.url, api_key=secret.value) as client:
            assert isinstance(client.session, ga.RealtimeSession)
            assert client.session.instructions == "Speak like a pirate"
        plain = await rest.create_client_secret()
        assert plain.expires_at > secret.expires_at
        assert isinstance(plain.session, ga.RealtimeSession)


async def test_a_translation_secret_is_created_and_an_unknown_session_refused() -> None:
    async with LocalServer() as server, RealtimeRest(url=server.url) as rest:
        params = TranslationSessionParams(model="gpt-realtime-translate")
        secret = await rest.create_translation_client_secret(params)
        assert secret.session.type == "translation"
        endpoint = Endpoint(server.url, kind="translation", api_key=secret.value)
        async with RealtimeRest(endpoint=endpoint) as with_secret:
            with pytest.raises(RequestRefused):
                await with_secret.create_client_secret(ga.UnknownSession(raw={"type": "odd"}))


async def test_beta_sessions_are_created_with_an_ephemeral_key() -> None:
    async with LocalServer() as server, RealtimeRest(url=server.url) as rest:
        created = await rest.create_session(beta.SessionConfig(voice="verse"))
        assert created.voice == "verse"
        secret = created.client_secret.value
        assert secret not in repr(created)
        async with RealtimeClient(url=server.url, api_key=secret, dialect="beta"):
            pass
        words = await rest.create_transcription_session()
        assert words.client_secret is not None
        assert (await rest.create_session()).id


# Calls.


async def test_a_webrtc_call_is_created_from_an_offer() -> None:
    async with recording_server() as server, RealtimeRest(url=server.url, api_key=KEY) as rest:
        server.set_answer("201 Created", b"v=0 answer", "Location: /v1/realtime/calls/rtc_1")
        call = await rest.create_call("v=0 offer")
        assert (call.call_id, call.sdp) == ("rtc_1", "v=0 answer")
        await rest.create_call("v=0 offer", ga.RealtimeSession(model="gpt-realtime"))
    (path, headers, body), (_, with_session, form) = server.requests
    assert (path, body, headers["content-type"]) == (CALL, b"v=0 offer", "application/sdp")
    assert headers["authorization"] == f"Bearer {KEY}"
    kind = f"Content-Type: {with_session['content-type']}\r\n\r\n".encode()
    parts: Any = message_from_bytes(kind + form).get_payload()
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["sdp", "session"]
    assert [part.get_content_type() for part in parts] == ["application/sdp", "application/json"]
    assert json.loads(parts[1].get_payload()) == {"type": "realtime", "model": "gpt-realtime"}


async def test_a_phone_call_is_accepted_rejected_transferred_and_ended() -> None:
    async with recording_server() as server, RealtimeRest(url=server.url) as rest:
        server.set_answer("200 OK")
        await rest.accept_call("rtc_1", ga.RealtimeSession(instructions="Be brief"))
        await rest.reject_call("rtc_1")
        await rest.reject_call("rtc_1", status_code=486)
        await rest.refer_call("rtc_1", "tel:+15550100")
        await rest.hang_up_call("../odd")
    assert [(path, json.loads(body or b"null")) for path, _, body in server.requests] == [
        (f"{CALL}/rtc_1/accept", {"type": "realtime", "instructions": "Be brief"}),
        (f"{CALL}/rtc_1/reject", {}),
        (f"{CALL}/rtc_1/reject", {"status_code": 486}),
        (f"{CALL}/rtc_1/refer", {"target_uri": "tel:+15550100"}),
        (f"{CALL}/..%2Fodd/hangup", None),
    ]


async def test_azure_requests_use_its_own_paths_and_header() -> None:
    async with recording_server() as server:
        server.set_answer("200 OK")
        resource = server.url.replace("ws://", "http://").removesuffix("/v1/realtime")
        endpoint = Endpoint.azure(resource, deployment="d", api_key=KEY)
        async with RealtimeRest(endpoint=endpoint) as rest:
            await rest.hang_up_call("rtc_1")
        [(path, headers, _)] = server.requests
        assert (path, headers["api-key"]) == ("/openai/v1/realtime/calls/rtc_1/hangup", KEY)
        dated = Endpoint.azure(resource, api_key=KEY, api_version="2025-04-01-preview")
        with pytest.raises(ConfigurationError, match="api_version"):
            RealtimeRest(endpoint=dated)


# Errors.


async def test_a_refused_request_carries_the_servers_error_without_the_key() -> None:
    async with recording_server() as server, RealtimeRest(url=server.url, api_key=KEY) as rest:
        error = {"message": f"No {KEY}", "type": "invalid_request_error", "code": "c", "param": "p"}
        server.set_answer("401 Unauthorized", json.dumps({"error": error}).encode())
        with pytest.raises(RequestRefused) as caught:
            await rest.create_client_secret()
        refused = caught.value
        assert (refused.status, refused.code, refused.param) == (401, "c", "p")
        assert str(refused) == (
            "the server refused the request with HTTP 401: No [removed] (code=c, param=p)"
        )
        server.set_answer("502 Bad Gateway", b"<html>full</html>")
        with pytest.raises(RequestRefused, match="<html>full") as caught:
            await rest.hang_up_call("rtc_1")
        server.set_answer("500 Oops", b"")
        with pytest.raises(RequestRefused, match="no reason given"):
            await rest.hang_up_call("rtc_1")


@pytest.mark.parametrize("slip", ["\n", "\r\nX: y", "“"])
async def test_a_malformed_key_is_refused_and_not_shown(slip: str) -> None:
    """Such as a key read from a file with its line end, or copied from a document with quotes."""
    async with RealtimeRest(url="ws://127.0.0.1:9/v1/realtime", api_key=KEY + slip) as rest:
        with pytest.raises(ConfigurationError, match="header 'Authorization'") as caught:
            await rest.create_client_secret()
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("scheme", ["gopher://", "socks4://", ""])
async def test_an_unusable_proxy_is_refused_without_showing_its_password(scheme: str) -> None:
    endpoint = Endpoint("ws://10.0.0.1/v1/realtime", proxy=f"{scheme}me:{KEY}@proxy:1")
    with pytest.raises(ConfigurationError, match="proxy") as caught:
        RealtimeRest(endpoint=endpoint)
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_a_socks_proxy_without_its_package_raises_with_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    endpoint = Endpoint("ws://10.0.0.1/v1/realtime", proxy="socks5h://proxy:1")
    with pytest.raises(ConfigurationError, match="socksio"):
        RealtimeRest(endpoint=endpoint)


async def test_a_request_after_close_raises_closed() -> None:
    async with RealtimeRest(url="ws://127.0.0.1:9/v1/realtime") as rest:
        pass
    with pytest.raises(Closed, match="async with"):
        await rest.create_client_secret()


async def test_the_embedded_servers_refusal_names_the_parameter() -> None:
    async with LocalServer() as server, RealtimeRest(url=server.url) as rest:
        with pytest.raises(RequestRefused, match="seconds") as caught:
            await rest.create_client_secret(seconds=1)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"value": 1}'])
async def test_an_invalid_response_body_raises_decode_error(body: bytes) -> None:
    async with recording_server() as server, RealtimeRest(url=server.url) as rest:
        server.set_answer("200 OK", body)
        with pytest.raises(DecodeError, match="the answer"):
            await rest.create_client_secret()


async def test_a_response_body_beyond_the_limit_raises() -> None:
    async with recording_server() as server, RealtimeRest(url=server.url) as rest:
        server.set_answer("200 OK", b" " * (1 << 21))
        with pytest.raises(RemoteProtocolError, match="more than"):
            await rest.create_client_secret()


async def test_an_unreachable_server_and_a_silent_one_raise_different_errors() -> None:
    with pytest.raises(ConnectionLost, match="cannot reach http://127"):
        async with RealtimeRest(url="ws://127.0.0.1:1/v1/realtime") as rest:
            await rest.create_client_secret()
    async with recording_server() as server, RealtimeRest(url=server.url, timeout=0.05) as rest:
        with pytest.raises(TimeoutError, match=r"client_secrets did not answer within 0\.05 s"):
            await rest.create_client_secret()


async def test_a_missing_httpx2_package_raises_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    monkeypatch.delitem(sys.modules, "duologue.client.rest", raising=False)
    with pytest.raises(MissingExtra, match=r"duologue\[rest\]"):
        import duologue.client.rest  # noqa: F401, PLC0415  # the import is what is tested


async def test_an_unknown_secret_is_refused() -> None:
    async with LocalServer(api_key=KEY) as server:
        with pytest.raises(HandshakeRefused):
            await RealtimeClient(url=server.url, api_key="ek_0123456789abcdef").connect()
