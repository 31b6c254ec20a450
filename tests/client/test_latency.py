"""`client.latency`, against a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duologue import RealtimeClient
from duologue.server import LocalServer

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect
    from duologue.session.latency import Stage

pytestmark = pytest.mark.asyncio

SPOKEN: tuple[Stage, ...] = ("to_commit", "to_response", "to_first_audio", "to_done")


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_the_times_of_a_turn_are_in_the_order_of_its_events(dialect: Dialect) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, dialect=dialect, turn_detection=None) as client,
    ):
        await client.ask("Hello")
        client.append_input_audio(bytes(24_000))
        await client.create_response()
        assert [item.role for item in client.conversation] == ["user", "assistant"] * 2
        text, spoken = client.latency.turns
    assert text.to_commit is None
    assert text.to_first_audio is not None
    times = [getattr(spoken, stage) for stage in SPOKEN]
    assert times == sorted(times)
    assert times[0] >= 0.0
    assert [each.status for each in spoken.responses] == ["completed"]
    assert client.latency.percentile(100, "to_done") == max(client.latency.values("to_done"))


async def test_the_times_stay_after_the_session() -> None:
    async with LocalServer() as server:
        client = RealtimeClient(url=server.url)
        assert client.latency.turns == ()
        for _ in range(2):
            async with client:
                await client.ask("Hello")
        assert len(client.latency.values("to_first_audio")) == 2
