"""Connections to all kinds of servers and sessions, and the errors where they fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from tests.client.client_doubles import SESSION, MemoryServer, client_of
from websockets.asyncio.server import ServerConnection, serve

from duologue import (
    ConfigurationError,
    ConnectionLost,
    DialectRefused,
    HandshakeRefused,
    MissingExtra,
    RealtimeAPI,
    RealtimeClient,
    RealtimeEvent,
    SessionRefused,
)
from duologue.client.endpoint import Endpoint
from duologue.protocol import beta, ga
from duologue.protocol.ga import translation
from duologue.server import LocalServer
from duologue.server.engine.scripted import ScriptedTranscriber
from duologue.transport.proxies import proxy_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.transport.base import Receiver, Transport

KEY = "sk-secret-of-mine-0123"
SPEECH = b"\x00\x30" * 12_000 + bytes(24_000)

pytestmark = pytest.mark.asyncio


def azure(server: LocalServer, **options: Any) -> Endpoint:
    resource = server.url.removesuffix("/v1/realtime").replace("ws://", "http://")
    return Endpoint.azure(resource, deployment="gpt-realtime", **options)


@contextlib.asynccontextmanager
async def socket_server(*frames: dict[str, Any]) -> AsyncGenerator[tuple[str, list[str]]]:
    """Run a server that sends frames and answers updates; yield its URL and the requested paths."""
    paths: list[str] = []

    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        paths.append(socket.request.path)
        for frame in frames:
            await socket.send(json.dumps(frame))
        async for text in socket:
            event = json.loads(text)
            if event["type"] == "session.update":
                answer = {"type": "session.updated", "event_id": "e", "session": event["session"]}
                await socket.send(json.dumps(answer))

    async with serve(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime", paths


# Azure and keys.


@pytest.mark.parametrize("api_version", [None, "2025-04-01-preview"])
async def test_the_api_version_of_azure_selects_the_dialect(api_version: str | None) -> None:
    async with LocalServer(api_key=KEY) as server:
        client = RealtimeClient(endpoint=azure(server, api_key=KEY, api_version=api_version))
        events: list[type] = []
        client.on(RealtimeEvent, lambda update: events.append(type(update.event)))
        async with client:
            await client.send_user_message_content("Hello")
    assert events[0] is (
        ga.SessionCreatedEvent if api_version is None else beta.SessionCreatedEvent
    )


async def test_each_connection_asks_the_token_provider() -> None:
    tokens = iter(["an-old-token-0123", KEY])
    async with LocalServer(api_key=KEY) as server:
        client = RealtimeClient(endpoint=azure(server, token_provider=lambda: next(tokens)))
        with pytest.raises(HandshakeRefused):
            await client.connect()
        async with client:
            assert client.is_connected


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_key_in_the_subprotocols_is_accepted(dialect: Any) -> None:
    async with LocalServer(api_key=KEY) as server:
        endpoint = Endpoint(server.url, api_key=KEY, key_in="subprotocol", dialect=dialect)
        async with RealtimeClient(endpoint=endpoint) as client:
            await client.send_user_message_content("Hello")
        assert server.sessions[0].received[-1].type == "response.create"
        wrong = Endpoint(server.url, api_key="another-key", key_in="subprotocol", dialect=dialect)
        with pytest.raises(HandshakeRefused):
            await RealtimeClient(endpoint=wrong).connect()


@pytest.mark.parametrize("transport", ["picows", "websockets"])
@pytest.mark.parametrize("key_in", ["bearer", "api-key", "subprotocol"])
async def test_a_key_appears_in_no_log_and_no_error(
    caplog: pytest.LogCaptureFixture, key_in: Any, transport: Any
) -> None:
    caplog.set_level(1)
    async with LocalServer(api_key="another-key") as server:
        endpoint = Endpoint(server.url, api_key=KEY, key_in=key_in, transport=transport)
        client = RealtimeClient(endpoint=endpoint)
        with pytest.raises(HandshakeRefused) as caught:
            await client.connect()
    error: BaseException | None = caught.value
    while error is not None:
        assert KEY not in f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    ours = [r for r in caplog.records if not r.name.startswith(("uvicorn", "websockets.server"))]
    assert not any(KEY in record.getMessage() for record in ours)


async def test_a_client_without_arguments_uses_the_base_url_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with LocalServer(api_key=KEY) as server:
        base = server.url.replace("ws://", "http://").removesuffix("/realtime")
        monkeypatch.setenv("OPENAI_BASE_URL", base)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        async with RealtimeClient() as client:
            await client.send_user_message_content("Hello")
        async with RealtimeAPI() as api:
            assert api.is_connected


# Kinds of sessions.


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_transcription_session_has_its_own_configuration(dialect: Any) -> None:
    async with LocalServer(stt=ScriptedTranscriber(["What time is it?"])) as server:
        endpoint = Endpoint(server.url, kind="transcription", dialect=dialect)
        client = RealtimeClient(
            endpoint=endpoint, input_audio_transcription=ga.AudioTranscription(model="whisper-1")
        )
        async with client:
            assert isinstance(client.session, ga.TranscriptionSession)
            completed = "conversation.item.input_audio_transcription.completed"
            waiting = asyncio.ensure_future(client.wait_for_next(completed, timeout=5))
            client.append_input_audio(SPEECH)
            await waiting
            assert client.conversation.items[-1].formatted.transcript == "What time is it?"
            session = await client.update_session(turn_detection=None)
            assert isinstance(session, ga.TranscriptionSession)


async def test_a_transcription_session_refuses_instructions_and_tools() -> None:
    async with LocalServer() as server:
        endpoint = Endpoint(server.url, kind="transcription")
        with pytest.raises(ConfigurationError, match="no instructions, tools"):
            RealtimeClient(endpoint=endpoint, instructions="Be brief", tools=[])
        session = ga.TranscriptionSession(include=["item.input_audio_transcription.logprobs"])
        client = RealtimeClient(endpoint=endpoint, session=session)
        for _ in range(2):  # before the first session, and after refusals in it
            with pytest.raises(ConfigurationError, match="no instructions"):
                client.update_session(instructions="Be brief")
            with pytest.raises(ConfigurationError, match="no tools"):
                client.add_tool({"name": "weather"}, lambda _: "sunny")
            async with client:
                assert isinstance(client.session, ga.TranscriptionSession)
                with pytest.raises(ConfigurationError, match="no tools"):
                    client.add_tool({"name": "weather"}, lambda _: "sunny")


async def test_a_translation_has_its_own_events() -> None:
    async with LocalServer() as server, RealtimeAPI(
        endpoint=Endpoint(server.url, kind="translation")
    ) as api:  # fmt: skip
        events = aiter(api)
        created = await anext(events)
        assert isinstance(created, translation.RealtimeTranslationSessionCreatedEvent)
        spanish = translation.TranslationOutput(language="es")
        config = translation.TranslationSessionConfig(
            audio=translation.TranslationAudio(output=spanish)
        )
        api.send(translation.RealtimeTranslationSessionUpdateEvent(session=config))
        updated = await anext(events)
        assert isinstance(updated, translation.RealtimeTranslationSessionUpdatedEvent)
        assert updated.session.audio.output == spanish


async def test_joining_a_call_does_not_wait_for_session_created() -> None:
    async with socket_server() as (url, paths):
        async with RealtimeClient(endpoint=Endpoint(url, call_id="rtc_1")) as client:
            assert client.session is None
            session = await client.update_session(instructions="Be brief")
            assert isinstance(session, ga.RealtimeSession)
        async with RealtimeClient(url=f"{url}?call_id=rtc_2", instructions="x") as client:
            assert isinstance(client.session, ga.RealtimeSession)
    assert paths == ["/v1/realtime?call_id=rtc_1", "/v1/realtime?call_id=rtc_2"]


async def test_an_unknown_call_is_refused() -> None:
    async with LocalServer() as server:
        with pytest.raises(HandshakeRefused) as caught:
            await RealtimeClient(endpoint=Endpoint(server.url, call_id="rtc_1")).connect()
    assert caught.value.status == 404
    assert "call_id_not_found" in caught.value.body


# Dialects.


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_the_first_frame_decides_the_dialect(dialect: Any) -> None:
    async with LocalServer(dialect=dialect) as server:
        client = RealtimeClient(
            url=server.url, dialect="auto", instructions="Be brief", output_modalities=["text"]
        )
        events: list[type] = []
        client.on(RealtimeEvent, lambda update: events.append(type(update.event)))
        for _ in range(2):
            async with client:
                response = client.send_user_message_content("Hello")
                await response
                assert response.text
        module = beta if dialect == "beta" else ga
        assert (
            events.count(module.SessionCreatedEvent) == events.count(module.SessionUpdateEvent) == 2
        )
        async with RealtimeAPI(url=server.url, dialect="auto") as api:
            assert isinstance(await anext(aiter(api)), module.SessionCreatedEvent)


async def test_detecting_the_dialect_fails_without_a_first_frame() -> None:
    for refuse, error in ((False, TimeoutError), (True, ConnectionLost)):
        server = MemoryServer(greets=False)
        client = RealtimeClient(connector=server.connect, dialect="auto", connect_timeout=0.05)
        connecting = asyncio.ensure_future(client.connect())
        await asyncio.sleep(0)
        if refuse:
            server.end.cut()
        with pytest.raises(error):
            await connecting
        await asyncio.wait_for(server.is_closed.wait(), 5)


async def test_a_refused_dialect_raises_with_a_fix() -> None:
    async with LocalServer(refuses_beta=True) as server:
        client = RealtimeClient(url=server.url, dialect="beta")
        with pytest.raises(DialectRefused, match="GA only, leave `dialect='beta'` out"):
            await client.connect()


async def test_close_code_4000_for_another_reason_is_not_a_refused_dialect() -> None:
    async with LocalServer() as server:
        url = f"{server.url}?intent=transcription&model=whisper-1"
        with pytest.raises(SessionRefused, match="invalid_model") as caught:
            await RealtimeClient(url=url, dialect="beta").connect()
    assert not isinstance(caught.value, ConnectionLost)


# Sessions that end before they begin. Source: probes of the service, which upgrades the connection,
# sends an `error`, and closes with 3000 (the key) or 4000 (the model, the dialect).


def refusing(server: MemoryServer, close: tuple[int, str], error: object = None) -> Any:
    """Return a connector to a server that sends an `error`, if there is one, and closes."""

    async def connect(receiver: Receiver) -> Transport:
        transport = await server.connect(receiver)
        if error is not None:
            server.send("error", error=error)
        await server.end.close(*close)
        return transport

    return connect


@pytest.mark.parametrize("face", [RealtimeClient, RealtimeAPI])
@pytest.mark.parametrize("dialect", ["ga", "beta", "auto"])
@pytest.mark.parametrize(
    ("close", "code"),
    [
        ((3000, "invalid_request_error.invalid_api_key"), "invalid_api_key"),
        ((3000, ""), None),
        ((4000, "invalid_request_error.missing_model"), "missing_model"),
        ((1008, ""), "invalid_api_key"),
    ],
)
async def test_a_refused_session_raises_the_servers_words(
    close: tuple[int, str], code: str | None, dialect: Any, face: Any
) -> None:
    error = {"type": "invalid_request_error", "code": code, "message": "Incorrect API key: s***A."}
    client = face(connector=refusing(MemoryServer(greets=False), close, error), dialect=dialect)

    async def read() -> None:
        await client.connect()
        await anext(aiter(client))  # RealtimeAPI is connected before the server's first event

    with pytest.raises(SessionRefused, match=r"Incorrect API key: s\*\*\*A\.") as caught:
        await read()
    refused = caught.value
    assert not isinstance(refused, ConnectionLost)
    assert refused.code == close[0]
    assert close[1] in str(refused)
    assert refused.error is not None
    assert (refused.error.code, refused.error.message) == (code, error["message"])


async def test_a_session_that_does_not_begin_has_the_words_of_the_error() -> None:
    server = MemoryServer(greets=False)

    async def connect(receiver: Receiver) -> Transport:
        transport = await server.connect(receiver)
        server.send("error", error={"message": "No capacity."})
        return transport

    with pytest.raises(TimeoutError, match="No capacity"):
        await RealtimeClient(connector=connect, connect_timeout=0.05).connect()


@pytest.mark.parametrize("transport", ["picows", "websockets"])
async def test_a_refused_session_over_a_socket(transport: Any) -> None:
    error = {"type": "invalid_request_error", "code": "invalid_model", "message": "No such model."}

    async def handle(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "error", "event_id": "e", "error": error}))
        await socket.close(4000, "invalid_request_error.invalid_model")

    async with serve(handle, "127.0.0.1", 0) as listening:
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/realtime"
        with pytest.raises(SessionRefused, match=r"No such model\..*invalid_model") as caught:
            await RealtimeClient(endpoint=Endpoint(url, transport=transport)).connect()
    assert caught.value.code == 4000


async def test_a_refusal_without_an_error_event_has_the_words_of_the_close() -> None:
    connector = refusing(MemoryServer(greets=False), (3000, "invalid_api_key"))
    with pytest.raises(SessionRefused, match="invalid_api_key") as caught:
        await RealtimeClient(connector=connector).connect()
    assert caught.value.error is None


@pytest.mark.parametrize("code", [1001, 1006, 1011, 1013])
async def test_a_failing_server_is_a_lost_connection_with_its_words(code: int) -> None:
    error = {"type": "server_error", "code": "invalid_model", "message": "Try again."}
    connector = refusing(MemoryServer(greets=False), (code, "busy"), error)
    with pytest.raises(ConnectionLost, match="busy: Try again") as caught:
        await RealtimeClient(connector=connector).connect()
    assert not isinstance(caught.value, SessionRefused)


async def test_a_refused_dialect_is_told_by_the_error_event_too() -> None:
    error = {"type": "invalid_request_error", "code": "beta_api_shape_disabled", "message": "no"}
    connector = refusing(MemoryServer(greets=False), (4000, ""), error)
    with pytest.raises(DialectRefused, match="GA only") as caught:
        await RealtimeClient(connector=connector, dialect="beta").connect()
    assert isinstance(caught.value, SessionRefused)
    assert isinstance(caught.value, ConnectionLost)  # as it was before `SessionRefused`


async def test_a_refusal_in_mid_session_ends_all_that_waits() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        response = client.send_user_message_content("Hello")
        error = {"type": "invalid_request_error", "code": "account_deactivated", "message": "Gone."}
        server.send("error", error=error)
        await server.end.close(4000, "account")
        with pytest.raises(SessionRefused, match="Gone"):
            await response
        with pytest.raises(SessionRefused, match="Gone"):
            client.send_user_message_content("Hello?")
        with pytest.raises(SessionRefused, match="Gone"):
            async for _ in client:
                pass


# TLS, proxies and compression.


async def test_tls_uses_the_given_ssl_context() -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    created = {"type": "session.created", "event_id": "e", "session": SESSION}

    async def handle(socket: ServerConnection) -> None:
        await socket.send(json.dumps(created))
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, ssl=context) as server:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for transport in ("picows", "websockets"):
            options: Any = {"transport": transport}
            async with RealtimeClient(endpoint=Endpoint(url, ssl_context=trusting, **options)):
                pass
            with pytest.raises(ConnectionLost, match="not trusted"):
                await RealtimeClient(endpoint=Endpoint(url, **options)).connect()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("all", "http", "https", "ws", "wss", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    return monkeypatch


async def test_the_proxy_is_read_from_the_environment(no_proxies: pytest.MonkeyPatch) -> None:
    assert proxy_for("wss://api.openai.com/v1/realtime") is None
    no_proxies.setenv("HTTPS_PROXY", "http://secure:1")
    no_proxies.setenv("http_proxy", "http://plain:1")
    no_proxies.setenv("NO_PROXY", "inside.example")
    assert proxy_for("wss://api.openai.com/v1/realtime") == "http://secure:1"
    assert proxy_for("ws://api.example:8080") == "http://plain:1"
    assert proxy_for("wss://host.inside.example") is None
    for host in ("127.0.0.1:1", "[::1]:1", "localhost:1", "my.localhost"):
        assert proxy_for(f"ws://{host}") is None
    no_proxies.setenv("all_proxy", "socks5h://all:1")
    assert proxy_for("wss://api.openai.com") == "socks5h://all:1"


async def test_a_proxy_selects_the_websockets_library(no_proxies: pytest.MonkeyPatch) -> None:
    no_proxies.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with pytest.raises(ConnectionLost, match=r"through the proxy http://127\.0\.0\.1:1"):
        await RealtimeAPI(url="ws://10.0.0.1").connect()
    with pytest.raises(ConnectionLost, match=r"through the proxy http://127\.0\.0\.1:2"):
        await RealtimeAPI(endpoint=Endpoint("ws://10.0.0.1", proxy="http://127.0.0.1:2")).connect()
    for proxy in (None, "http://127.0.0.1:2"):
        endpoint = Endpoint("ws://127.0.0.1:1", proxy=proxy, transport="picows")
        error = ConnectionLost if proxy is None else ConfigurationError
        with pytest.raises(error, match="refused" if proxy is None else "'websockets'"):
            await RealtimeAPI(endpoint=endpoint).connect()


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_compression_selects_the_websockets_library(compression: Any) -> None:
    names: list[str] = []

    async def handle(socket: ServerConnection) -> None:
        names.extend(extension.name for extension in socket.protocol.extensions)
        await socket.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression="deflate") as listening:
        port = listening.sockets[0].getsockname()[1]
        api = RealtimeAPI(endpoint=Endpoint(f"ws://127.0.0.1:{port}", compression=compression))
        await api.connect()
        await api.close()
    assert names == (["permessage-deflate"] if compression else [])


async def test_compression_is_optional_for_the_server() -> None:
    async with LocalServer() as server:
        endpoint = Endpoint(server.url, compression="deflate")
        async with RealtimeClient(endpoint=endpoint) as client:
            response = await client.send_user_message_content("Hello")
            assert response.status == "completed"


async def test_a_missing_websockets_package_raises_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "websockets"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "websockets", None)
    monkeypatch.delitem(sys.modules, "duologue.transport.websockets", raising=False)
    with pytest.raises(MissingExtra, match=r"duologue\[proxy\]"):
        await RealtimeAPI(endpoint=Endpoint("ws://h", transport="websockets")).connect()
