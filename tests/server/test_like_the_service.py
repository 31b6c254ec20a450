"""Where recordings of the service show more than the reference: nulls, codes, fields, refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from duologue.server import LocalServer

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from duologue.protocol.codec import Dialect

RESPONSE_FIELDS = [
    "instructions", "output_modalities", "audio", "tools", "tool_choice", "max_output_tokens",
    "metadata", "prompt", "conversation", "input", "reasoning", "parallel_tool_calls",
]  # fmt: skip
SESSION_FIELDS = [
    "instructions", "output_modalities", "audio", "tools", "tool_choice", "max_output_tokens",
    "tracing", "truncation", "prompt", "include", "reasoning",
]  # fmt: skip
BETA_SESSION_FIELDS = [
    "instructions", "modalities", "voice", "tools", "tool_choice", "temperature",
    "input_audio_format", "output_audio_format", "input_audio_transcription", "turn_detection",
    "max_response_output_tokens", "speed", "tracing",
]  # fmt: skip


async def send(connection: ClientConnection, kind: str, **fields: Any) -> None:
    await connection.send(json.dumps({"type": kind, "event_id": "mine", **fields}))


async def until(connection: ClientConnection, kind: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != kind:
        events.append(json.loads(await connection.recv()))
        assert events[-1]["type"] != "error", events[-1]
    return events


@pytest.mark.asyncio
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("field", RESPONSE_FIELDS)
async def test_null_means_absent_in_a_response(field: str, *, strict: bool) -> None:
    async with LocalServer(strict=strict) as server, connect(server.url) as connection:
        await send(connection, "response.create", response={field: None})
        await until(connection, "response.done")


@pytest.mark.asyncio
@pytest.mark.parametrize("field", SESSION_FIELDS)
async def test_null_means_absent_in_a_session(field: str) -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        [created] = await until(connection, "session.created")
        await send(connection, "session.update", session={"type": "realtime", field: None})
        [updated] = await until(connection, "session.updated")
    assert updated["session"] == created["session"]


@pytest.mark.asyncio
@pytest.mark.parametrize("field", BETA_SESSION_FIELDS)
async def test_null_means_absent_in_beta(field: str) -> None:
    async with LocalServer(dialect="beta") as server, connect(server.url) as connection:
        await send(connection, "session.update", session={field: None})
        await until(connection, "session.updated")
        await send(connection, "response.create", response={"instructions": None, "tools": None})
        await until(connection, "response.done")


@pytest.mark.asyncio
async def test_a_null_elsewhere_is_still_refused() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.recv()
        audio = {"output": {"speed": None}}
        await send(connection, "session.update", session={"type": "realtime", "audio": audio})
        error = json.loads(await connection.recv())["error"]
        assert (error["code"], error["param"]) == ("invalid_type", "session.audio.output.speed")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rate", "code"), [(16000, "integer_below_min_value"), (48000, "integer_above_max_value")]
)
async def test_a_rate_out_of_range_has_a_code_of_its_own(rate: int, code: str) -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.recv()
        audio = {"input": {"format": {"type": "audio/pcm", "rate": rate}}}
        await send(connection, "session.update", session={"type": "realtime", "audio": audio})
        error = json.loads(await connection.recv())["error"]
        assert (error["code"], error["param"]) == (code, "session.audio.input.format.rate")


async def spoken_turn(dialect: Dialect) -> list[dict[str, Any]]:
    script = {"role": "user", "type": "message", "content": [{"type": "input_text", "text": "Hi"}]}
    async with (
        LocalServer(dialect=dialect) as server,
        connect(server.url) as connection,
    ):
        await send(connection, "conversation.item.create", item=script)
        await send(connection, "response.create")
        return await until(connection, "response.done")


@pytest.mark.asyncio
async def test_ga_items_have_no_object_and_deltas_are_obfuscated() -> None:
    events = await spoken_turn("ga")
    items = [event["item"] for event in events if "item" in event]
    items += events[-1]["response"]["output"]
    assert len(items) >= 5
    assert [item for item in items if "object" in item] == []
    [delta, *_] = [e for e in events if e["type"] == "response.output_audio_transcript.delta"]
    assert (len(delta["delta"]) + len(delta["obfuscation"])) % 16 == 0
    [limits] = [e["rate_limits"] for e in events if e["type"] == "rate_limits.updated"] or [[]]
    assert {limit["name"] for limit in limits} <= {"tokens"}


@pytest.mark.asyncio
async def test_beta_items_have_an_object_and_deltas_are_plain() -> None:
    events = await spoken_turn("beta")
    items = [event["item"] for event in events if "item" in event]
    items += events[-1]["response"]["output"]
    assert len(items) >= 3
    assert {item["object"] for item in items} == {"realtime.item"}
    assert [event for event in events if "obfuscation" in event] == []


async def refusal(connection: ClientConnection) -> tuple[str, int, str]:
    error = json.loads(await connection.recv())
    with pytest.raises(ConnectionClosed) as closed:
        await connection.recv()
    assert closed.value.rcvd is not None
    return error["error"]["code"], closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.mark.asyncio
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
async def test_a_strict_server_closes_a_client_without_a_key(headers: dict[str, str]) -> None:
    server = LocalServer(strict=True, api_key="right")
    async with server, connect(server.url, additional_headers=headers) as connection:
        assert await refusal(connection) == (
            "invalid_api_key",
            3000,
            "invalid_request_error.invalid_api_key",
        )


@pytest.mark.asyncio
async def test_a_strict_server_refuses_an_unknown_model() -> None:
    async with LocalServer(strict=True) as server:
        async with connect(f"{server.url}?model=whatever") as connection:
            assert await refusal(connection) == (
                "invalid_model",
                4000,
                "invalid_request_error.invalid_model",
            )
        for model in ("gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-2031-01-01"):
            async with connect(f"{server.url}?model={model}") as connection:
                await until(connection, "session.created")
