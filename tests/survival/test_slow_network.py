"""A network that takes less than the microphone gives, over real sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from duologue import InputAudioDropped, RealtimeClient
from duologue.errors import ConfigurationError
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.testing import ChaosProxy
from duologue.transport.picows import connect_picows
from duologue.transport.websockets import connect_websockets

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.transport import Receiver, Transport

CHUNK = 4800
"""100 ms of pcm16."""

FILLING = 10
"""Chunks that are appended at once: less than what makes audio wait."""


@pytest.mark.asyncio
@pytest.mark.parametrize("connect", [connect_picows, connect_websockets])
async def test_a_stalled_network_costs_the_oldest_audio_and_never_blocks(
    connect: Callable[..., Any],
) -> None:
    async with LocalServer(record_audio=True) as server, ChaosProxy(server.url) as proxy:

        async def connector(receiver: Receiver) -> Transport:
            transport: Transport = await connect(f"{proxy.url}?model=m", receiver, keepalive=None)
            return transport

        client = RealtimeClient(connector=connector, max_input_delay=0.1, turn_detection=None)
        reports: list[InputAudioDropped] = []
        client.on(InputAudioDropped, reports.append)
        async with client:
            over = asyncio.create_task(_until_over(client))
            proxy.stall(towards="server")
            dropping = asyncio.create_task(client.wait_for_next(InputAudioDropped, timeout=15))
            appended = 0
            while not dropping.done():  # until the buffers of both ends and the proxy are full
                for _ in range(0 if client.statistics().waiting_input_ms else FILLING):
                    client.append_input_audio(bytes([appended % 251]) * CHUNK)
                    appended += 1
                await asyncio.wait({dropping}, timeout=0.005)
            proxy.resume()
            assert (await over).is_over
            await client.commit_input_audio()
            await client.drain()
        statistics = client.statistics()
        assert [report.is_over for report in reports] == [False, True]
        assert statistics.dropped_input_ms == reports[1].milliseconds > 0
        (session,) = server.sessions
        appends = [e for e in session.received if isinstance(e, ga.InputAudioBufferAppendEvent)]
        heard = sum(map(session.audio_bytes, appends)) // CHUNK
        assert heard == appended - statistics.dropped_input_ms / 100


async def _until_over(client: RealtimeClient) -> InputAudioDropped:
    while True:
        report = await client.wait_for_next(InputAudioDropped)
        if report.is_over:
            return report


@pytest.mark.parametrize("value", [0, -1, True, "5", float("inf"), float("nan")])
def test_the_limit_is_a_positive_number(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_input_delay"):
        RealtimeClient(url="ws://x", max_input_delay=value)
