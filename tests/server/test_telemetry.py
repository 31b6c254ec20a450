"""What operators see of the server: its counts, and its log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from duologue.server import Limits, LocalServer
from duologue.server.log_format import JsonFormatter, TextFormatter
from duologue.server.session.statistics import Histogram, SessionStatistics
from duologue.server.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.client import ClientConnection

SAY = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "a secret of mine"}],
}


async def send(connection: ClientConnection, **event: Any) -> None:
    await connection.send(json.dumps(event))


async def receive(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            event: dict[str, Any] = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def read(server: LocalServer, path: str, **headers: str) -> httpx2.Response:
    url = server.url.replace("ws:", "http:").replace("/v1/realtime", path)
    async with httpx2.AsyncClient() as client:
        return await client.get(url, headers=headers)


async def counted(server: LocalServer) -> dict[str, float]:
    """Return every sample, as Prometheus' own parser reads it: `name{label=value}`."""
    text = (await read(server, "/metrics")).text
    return {
        sample.name
        + "".join(
            f"{{{name}={value}}}" for name, value in sorted(sample.labels.items())
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def converse(connection: ClientConnection) -> None:
    await send(connection, type="input_audio_buffer.append", audio="AAAA" * 8000)
    await send(connection, type="conversation.item.create", item=SAY)
    await send(connection, type="response.create")
    await receive(connection, "response.done")
    for _ in range(3):
        await send(connection, type="conversation.item.delete", item_id="none")
        await receive(connection, "error")
    await send(connection, type='never.heard.of.\n"it')
    await receive(connection, "error")


@pytest.mark.asyncio
async def test_what_sessions_do_is_counted() -> None:
    server = LocalServer(limits=Limits(sessions=1))
    async with server:
        async with connect(server.url) as connection:
            await converse(connection)
            with pytest.raises(InvalidStatus):
                await connect(server.url)
            counts = await counted(server)
        beta = {"OpenAI-Beta": "realtime=v1"}
        async with connect(server.url, additional_headers=beta) as connection:
            await receive(connection, "session.created")
            later = await counted(server)
    prefix = "duologue_"
    assert counts[f"{prefix}sessions_active"] == 1
    assert counts[f"{prefix}sessions_total{{dialect=ga}}"] == 1
    assert counts[f"{prefix}events_total{{direction=in}}{{type=response.create}}"] == 1
    assert counts[f"{prefix}events_total{{direction=in}}{{type=unknown}}"] == 1
    assert counts[f"{prefix}events_total{{direction=out}}{{type=response.done}}"] == 1
    assert counts[f"{prefix}errors_total{{code=invalid_value}}"] >= 1
    assert counts[f"{prefix}responses_total{{status=completed}}"] == 1
    assert counts[f"{prefix}refusals_total{{status=503}}"] == 1
    assert counts[f"{prefix}audio_seconds_total{{direction=in}}"] == 0.5
    assert counts[f"{prefix}audio_seconds_total{{direction=out}}"] > 0.5
    assert counts[f"{prefix}first_audio_seconds_count"] == 1
    assert counts[f"{prefix}first_audio_seconds_bucket{{le=+Inf}}"] == 1
    assert later[f"{prefix}sessions_total{{dialect=beta}}"] == 1
    assert later[f"{prefix}closes_total{{code=1000}}"] == 1


@pytest.mark.asyncio
async def test_metrics_want_the_key_and_health_does_not() -> None:
    async with LocalServer(api_key="sesame") as server:
        assert (await read(server, "/metrics")).status_code == 401
        metrics = await read(server, "/metrics", authorization="Bearer sesame")
        assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert (await read(server, "/healthz")).json() == {"status": "ok"}


def test_a_histogram_counts_a_bound_as_below() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 1, 1], 12.0)


def test_codes_that_are_made_up_are_bounded() -> None:
    metrics = Metrics()
    for half in range(2):
        statistics = SessionStatistics()
        for number in range(500):
            statistics.error_sent(f"code {500 * half + number}")
        assert len(statistics.errors) <= 101
        metrics.session_opened("ga", statistics)
    errors = metrics.total().errors
    assert len(errors) <= 101
    assert errors.total() == 1000
    assert errors["other"] == 900


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The server's log, in the format that the test is marked with."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(request.param())
    logger = logging.getLogger("duologue.server")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.asyncio
@pytest.mark.parametrize("log", [JsonFormatter], indirect=True)
async def test_machines_read_a_line_per_session_opened_closed_and_kind_of_error(
    log: io.StringIO,
) -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        session_id = (await receive(connection, "session.created"))["session"]["id"]
        host, port = connection.local_address[:2]
        await converse(connection)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    opened, *errors, closed = lines
    assert (opened["message"], opened["session"]) == ("session opened", session_id)
    assert (opened["dialect"], opened["client"]) == ("ga", f"{host}:{port}")
    assert opened["level"] == "info"
    assert opened["time"].endswith("Z")
    assert sum(closed["errors"].values()) == 4
    assert [error["code"] for error in errors] == list(closed["errors"])
    assert (closed["message"], closed["code"]) == ("session closed", 1000)
    assert (closed["responses"], closed["audio_in_seconds"]) == (1, 0.5)
    assert closed["events_in"] == 7
    assert closed["events_out"] > 10
    assert closed["seconds"] >= 0


@pytest.mark.asyncio
@pytest.mark.parametrize("log", [TextFormatter], indirect=True)
async def test_nothing_that_is_said_reaches_the_log(log: io.StringIO) -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await converse(connection)
    text = log.getvalue()
    assert "session closed" in text
    assert " responses=1 " in text
    assert "secret" not in text
    assert "AAAA" not in text
    assert "never.heard" not in text


def test_a_record_with_an_exception_stays_one_line_of_json() -> None:
    info = (ValueError, ValueError("no"), None)
    record = logging.LogRecord("duologue.server", logging.ERROR, "", 0, "it broke", None, info)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "ValueError: no" in json.loads(line)["exception"]


def test_codes_that_clients_make_up_are_counted_as_one() -> None:
    metrics = Metrics()
    for code in (1000, 1012, 3000, 4000, 4999):
        metrics.session_closed(code, SessionStatistics())
    assert metrics.closes == {"1000": 1, "1012": 1, "other": 3}
