"""Sending 20 ms of audio, against OpenAI's SDK into a socket that does nothing (bar: 200 x)."""

from __future__ import annotations

import asyncio
from typing import Any

from openai.resources.realtime.realtime import AsyncRealtimeConnection
from pybase64 import b64encode

from bench.corpus import append_pcm
from bench.timing import interleaved
from duologue.protocol import codec, ga

COUNT = 2000


class NullSocket:
    """Takes everything."""

    async def send(self, _data: object) -> None:
        pass


def run() -> dict[str, object]:
    pcm = append_pcm()
    socket: Any = NullSocket()
    peer = AsyncRealtimeConnection(socket)

    def ours() -> None:
        for _ in range(COUNT):
            codec.append_frame(pcm)

    def typed() -> None:
        for _ in range(COUNT):
            codec.encode(ga.InputAudioBufferAppendEvent.of(pcm))

    def openai() -> None:
        async def send() -> None:
            for _ in range(COUNT // 10):
                await peer.input_audio_buffer.append(audio=b64encode(pcm).decode())

        asyncio.run(send())

    took = interleaved({"ours": ours, "typed": typed, "openai": openai})
    each = took["openai"] * 10
    return {
        "openai over ours, append of 20 ms (>= 200)": round(each / took["ours"]),
        "openai over a typed event of ours": round(each / took["typed"]),
        "append_frame, us": round(took["ours"] / COUNT * 1e6, 2),
    }
