"""Client secrets: made over HTTP by who holds the key, used by pages that do not."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from duologue.errors import ConfigurationError
from duologue.protocol import ga
from duologue.protocol.ga import rest
from duologue.server import Limits, LocalServer, client_secrets
from duologue.server.client_secrets import ClientSecrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

BOUND: Any = {
    "type": "realtime",
    "model": "gpt-realtime-mini",
    "instructions": "Speak like a pirate.",
    "audio": {"output": {"voice": "cedar"}},
}


def http_url(server: LocalServer) -> str:
    return server.url.replace("ws:", "http:").removesuffix("/realtime")


@asynccontextmanager
async def http(
    server: LocalServer, key: str | None = "sesame"
) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=http_url(server), headers=headers) as client:
        yield client


async def first(connection: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await connection.recv())
    return event


@pytest.mark.asyncio
async def test_openais_sdk_makes_a_secret_that_opens_a_session_with_its_configuration() -> None:
    async with LocalServer(api_key="sesame") as server:
        async with AsyncOpenAI(api_key="sesame", base_url=http_url(server)) as client:
            made = await client.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 60}, session=BOUND
            )
        assert made.session.type == "realtime"
        assert made.session.instructions == "Speak like a pirate."
        async with AsyncOpenAI(
            api_key=made.value,
            base_url=http_url(server),
            websocket_base_url=server.url.removesuffix("/realtime"),
        ) as page:
            for _ in range(2):  # a secret opens any number of sessions
                async with page.realtime.connect(model="gpt-realtime") as connection:
                    created = await connection.recv()
                    assert created.type == "session.created"
                    session = created.session.to_dict()
                    assert session["model"] == "gpt-realtime-mini"
                    assert session["instructions"] == "Speak like a pirate."
                    assert session["audio"]["output"]["voice"] == "cedar"  # type: ignore[index]  # JSON
                    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"  # type: ignore[index]  # JSON


@pytest.mark.asyncio
async def test_openais_sdk_makes_betas_secrets() -> None:
    async with LocalServer(api_key="sesame") as server:
        async with AsyncOpenAI(api_key="sesame", base_url=http_url(server)) as client:
            made = await client.beta.realtime.sessions.create(
                instructions="Be brief.", voice="sage", modalities=["text"], temperature=0.7
            )
            words = await client.beta.realtime.transcription_sessions.create(
                input_audio_transcription={"model": "whisper-1", "language": "de"}
            )
        assert (made.instructions, made.voice, made.modalities) == ("Be brief.", "sage", ["text"])
        assert words.client_secret.value.startswith("ek_")
        assert words.input_audio_transcription is not None
        assert words.input_audio_transcription.language == "de"
        headers = {
            "OpenAI-Beta": "realtime=v1",
            "Authorization": f"Bearer {made.client_secret.value}",
        }
        async with connect(server.url, additional_headers=headers) as connection:
            session = (await first(connection))["session"]
            assert (session["instructions"], session["voice"]) == ("Be brief.", "sage")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/realtime/client_secrets", rest.ClientSecretCreateResponse),
        ("/realtime/translations/client_secrets", rest.TranslationClientSecretCreateResponse),
    ],
)
async def test_the_answer_is_what_the_reference_says(path: str, kind: type[Any]) -> None:
    session: Any = {"model": "gpt-realtime-translate", "audio": {"output": {"language": "es"}}}
    body = {"session": session} if "translations" in path else {}
    async with LocalServer() as server, http(server, None) as client:
        answer = await client.post(path, json=body)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    made = msgspec.json.decode(answer.content, type=kind)
    assert made.value.startswith("ek_")
    assert made.session.id.startswith("sess_")


@pytest.mark.asyncio
async def test_azures_path_makes_secrets_too() -> None:
    async with LocalServer(api_key="sesame") as server:
        url = http_url(server).replace("/v1", "/openai/v1/realtime/client_secrets")
        async with httpx2.AsyncClient() as client:
            answer = await client.post(url, json={}, headers={"api-key": "sesame"})
    assert answer.status_code == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"session": {"type": "realtime", "volume": 3}}, "unknown_parameter", "session.volume"),
        ({"expires_after": {"seconds": 9}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, "invalid_value", "expires_after.anchor"),
        ({"session": {"type": "realtime", "tools": 1}}, "invalid_type", "session.tools"),
        ({"session": {"type": "dance"}}, "invalid_value", "session.type"),
        (
            {"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}},
            "invalid_value",
            "session.audio.output.speed",
        ),
    ],
)
async def test_what_is_wrong_in_a_body_is_named(body: Any, code: str, param: str) -> None:
    async with LocalServer() as server, http(server, None) as client:
        answer = await client.post("/realtime/client_secrets", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert error["type"] == "invalid_request_error"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (400, {"content": "{", "headers": {"Content-Type": "application/json"}}),
        (400, {"content": "[]", "headers": {"Content-Type": "application/json"}}),
        (400, {"content": "[" * 9999, "headers": {"Content-Type": "application/json"}}),
        (401, {"json": {}, "headers": {"Authorization": "Bearer sesam"}}),
        (403, {"json": {}, "headers": {"Origin": "https://evil.example"}}),
        (405, {"method": "GET"}),
        (413, {"json": {"session": {"type": "realtime", "instructions": "x" * (1 << 20)}}}),
        (415, {"data": {"session": "realtime"}}),
        (404, {"url": "/realtime/client_secret", "json": {}}),
    ],
)
async def test_a_request_that_cannot_be_is_told_why(status: int, request_: dict[str, Any]) -> None:
    request: dict[str, Any] = {"method": "POST", "url": "/realtime/client_secrets"} | request_
    async with LocalServer(api_key="sesame") as server, http(server) as client:
        answer = await client.request(**request)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.asyncio
async def test_a_secret_makes_no_secrets() -> None:
    async with LocalServer(api_key="sesame") as server:
        async with http(server) as client:
            value = (await client.post("/realtime/client_secrets", json={})).json()["value"]
        async with http(server, value) as client:
            answer = await client.post("/realtime/client_secrets", json={})
    assert answer.status_code == 401


@pytest.mark.asyncio
async def test_a_page_of_another_host_enters_with_a_secret_but_not_with_the_key() -> None:
    async with LocalServer(api_key="sesame") as server:
        async with http(server) as client:
            value = (await client.post("/realtime/client_secrets", json={})).json()["value"]
        for key, is_welcome in ((value, True), ("sesame", False)):
            opening = connect(
                server.url,
                origin="https://app.example",  # type: ignore[arg-type]  # a NewType of str
                subprotocols=["realtime", f"openai-insecure-api-key.{key}"],  # type: ignore[list-item]  # as above
            )
            if is_welcome:
                async with opening as connection:
                    assert (await first(connection))["type"] == "session.created"
            else:
                with pytest.raises(InvalidStatus):
                    await opening


@pytest.mark.asyncio
@pytest.mark.parametrize("api_key", [None, "sesame"])
async def test_a_secret_that_is_none_opens_nothing(api_key: str | None) -> None:
    async with LocalServer(api_key=api_key) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url, additional_headers={"Authorization": "Bearer ek_0"})
    assert refused.value.response.status_code == 401


@pytest.mark.asyncio
async def test_pages_of_this_machine_may_ask_for_secrets() -> None:
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with LocalServer() as server, http(server, None) as client:
        for origin, status in (("http://localhost:3000", 200), ("https://evil.example", 400)):
            answer = await client.options(
                "/realtime/client_secrets", headers=preflight | {"Origin": origin}
            )
            assert answer.status_code == status
        answer = await client.post(
            "/realtime/client_secrets", json={}, headers={"Origin": "http://localhost:3000"}
        )
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_a_secret_ends_with_its_time_and_no_other_opens() -> None:
    secrets = ClientSecrets()
    session = ga.RealtimeSession()
    value = secrets.issue(session, seconds=10, now=100.0)
    assert value is not None
    assert secrets.find(value, 109.9) is session
    assert secrets.find(value, 110.0) is None
    assert secrets.find("ek_", 100.0) is None
    assert value not in repr(vars(secrets))


def test_secrets_are_bounded_and_expired_ones_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MAX_SECRETS", 2)
    secrets = ClientSecrets()
    for _ in range(2):
        assert secrets.issue(ga.RealtimeSession(), seconds=10, now=0.0)
    assert secrets.issue(ga.RealtimeSession(), seconds=10, now=9.0) is None
    assert secrets.issue(ga.RealtimeSession(), seconds=10, now=10.0)


@pytest.mark.asyncio
async def test_too_many_secrets_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_secrets, "MAX_SECRETS", 0)
    async with LocalServer(limits=Limits()) as server, http(server, None) as client:
        answer = await client.post("/realtime/client_secrets", json={})
    assert answer.status_code == 429


@pytest.mark.asyncio
async def test_no_secret_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="duologue")
    async with LocalServer() as server:
        async with http(server, None) as client:
            value = (await client.post("/realtime/client_secrets", json={})).json()["value"]
        async with connect(
            server.url, additional_headers={"Authorization": f"Bearer {value}"}
        ) as connection:
            await first(connection)
    # What the test's own client logs of its headers, if another test has made it talk, is its own.
    servers = [record for record in caplog.records if record.name != "websockets.client"]
    told = "\n".join(caplog.handler.format(record) for record in servers)
    assert "session opened" in told
    assert value not in told


@pytest.mark.asyncio
async def test_a_key_that_looks_like_a_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose another"):
        await LocalServer(api_key="ek_mine").__aenter__()
