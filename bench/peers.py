"""Three clients of the same session: ours, OpenAI's SDK, and picows with msgspec alone.

The bare one is the lower bound, a voice application that keeps nothing: it decodes a frame to a
typed struct, and encodes audio to a frame. Each counts the audio deltas that reach its callback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from pybase64 import b64encode

__all__ = ["PEERS", "Peer"]


class Peer(Protocol):
    """One session."""

    deltas: int

    async def open(self, url: str) -> None:
        """Connect, and return when `session.created` has come."""

    async def append(self, audio: bytes) -> None:
        """Send input audio."""

    async def close(self) -> None:
        """Close the session."""


class Ours:
    def __init__(self) -> None:
        self.deltas = 0

    async def open(self, url: str) -> None:
        from duologue import ConversationUpdated, RealtimeClient  # noqa: PLC0415  # in its process

        self.client = RealtimeClient(url=url, api_key="none")
        self.client.on(ConversationUpdated, self._on_update)
        await self.client.connect()

    def _on_update(self, update: Any) -> None:
        if update.delta is not None:
            self.deltas += 1

    async def append(self, audio: bytes) -> None:
        self.client.append_input_audio(audio)

    async def close(self) -> None:
        await self.client.close()


class OpenAI:
    api: Any = None

    def __init__(self) -> None:
        self.deltas = 0

    async def open(self, url: str) -> None:
        from openai import AsyncOpenAI  # noqa: PLC0415  # in its process

        if OpenAI.api is None:
            OpenAI.api = AsyncOpenAI(api_key="none", base_url=url, websocket_base_url=url)
        self.connection = await OpenAI.api.realtime.connect(model="gpt-realtime").enter()
        await self.connection.recv()
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.connection:
            if event.type == "response.output_audio.delta":
                self.deltas += 1

    async def append(self, audio: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=b64encode(audio).decode())

    async def close(self) -> None:
        self.reading.cancel()
        await self.connection.close()


class Delta(msgspec.Struct, tag_field="type", tag="response.output_audio.delta"):
    event_id: str
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: msgspec.Raw


class Created(msgspec.Struct, tag_field="type", tag="session.created"):
    event_id: str
    session: msgspec.Raw


class Begun(msgspec.Struct, tag_field="type", tag="response.created"):
    event_id: str
    response: msgspec.Raw


class Output(msgspec.Struct, tag_field="type", tag="response.output_item.added"):
    event_id: str
    item: msgspec.Raw


class Added(msgspec.Struct, tag_field="type", tag="conversation.item.added"):
    event_id: str
    item: msgspec.Raw


DECODER = msgspec.json.Decoder(Delta | Created | Begun | Output | Added)


class Bare(WSListener):
    def __init__(self) -> None:
        self.deltas = 0
        self.created = asyncio.Event()

    async def open(self, url: str) -> None:
        await ws_connect(lambda _request, _response: self, f"{url}/realtime")
        await self.created.wait()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        event = DECODER.decode(frame.get_payload_as_bytes())
        if type(event) is Delta:
            self.deltas += 1
        elif type(event) is Created:
            self.created.set()

    async def append(self, audio: bytes) -> None:
        frame = b'{"type":"input_audio_buffer.append","audio":"%b"}' % b64encode(audio)
        self.transport.send(WSMsgType.TEXT, frame)

    async def close(self) -> None:
        self.transport.disconnect()
        await self.transport.wait_disconnected()


PEERS: dict[str, Callable[[], Peer]] = {"bare": Bare, "ours": Ours, "openai": OpenAI}
