"""Rate limits of a server, over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from duologue import RateLimited, RateLimitPolicy, RealtimeClient, ServerError
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.faults import SendError

WORDS = "Rate limit reached. Please try again in 20ms."


def refuse(times: int | None) -> SendError:
    return SendError("rate_limit_exceeded", WORDS, at="response.create", times=times)


def creations(client: RealtimeClient) -> list[ga.ResponseCreateEvent]:
    """Return the list in which the requests of a client appear."""
    created: list[ga.ResponseCreateEvent] = []
    client.on("client.response.create", created.append)
    return created


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_refused_request_is_answered_after_the_delay(dialect: Any) -> None:
    async with LocalServer(faults=[refuse(1)]) as server:
        client = RealtimeClient(url=server.url, dialect=dialect)
        delays: list[float] = []
        client.on(RateLimited, lambda update: delays.append(update.seconds))
        async with client:
            answer = await client.ask("Hello")
            assert answer.transcript == "You said: Hello"
            assert delays == [pytest.approx(0.02)]
            assert set(client.rate_limits) == {"tokens"}
        assert client.statistics().failed_events == 0


@pytest.mark.asyncio
async def test_a_server_that_always_refuses_gets_no_storm_of_requests() -> None:
    async with LocalServer(faults=[refuse(None)]) as server:
        async with RealtimeClient(url=server.url) as client:
            created = creations(client)
            asides = [client.create_response(conversation="none") for _ in range(5)]
            handles = [client.create_response(), *asides]
            results = await asyncio.gather(*handles, return_exceptions=True)
            assert [type(result) for result in results] == [ServerError] * 6
            assert all(result.code == "rate_limit_exceeded" for result in results)  # type: ignore[union-attr]  # as above
        assert len(created) == 12


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("policy", "sent"),
    [(False, 1), (RateLimitPolicy(retries=0), 1), (RateLimitPolicy(retries=3), 4)],
)
async def test_the_policy_says_how_often_a_request_is_repeated(policy: Any, sent: int) -> None:
    async with LocalServer(faults=[refuse(None)]) as server:
        async with RealtimeClient(url=server.url, rate_limits=policy) as client:
            created = creations(client)
            with pytest.raises(ServerError, match="rate_limit_exceeded"):
                await client.create_response()
        assert len(created) == sent
