"""A voice application on one of several clients: `python survival_peer.py CLIENT URL`.

It runs where the client is installed, without duologue. Each line of its input is JSON: text for
the user to write and be answered, or audio for the user to speak. It does nothing about a loss of
its connection: that is the client's part.
"""

# ruff: noqa: PLC0415  # a client is installed where its process runs, and nowhere else

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

URL = sys.argv[2]
BASE_URL = URL.removesuffix("/realtime").replace("ws:", "http:")
VAD = {"type": "server_vad", "silence_duration_ms": 300, "prefix_padding_ms": 100}
SESSION: dict[str, Any] = {
    "type": "realtime",
    "output_modalities": ["text"],
    "audio": {"input": {"turn_detection": VAD, "transcription": {"model": "whisper-1"}}},
}

Say = Callable[[str], Awaitable[object]]
Speak = Callable[[bytes], Awaitable[object]]


@contextlib.asynccontextmanager
async def duologue() -> AsyncIterator[tuple[Say, Speak]]:
    from duologue import RealtimeClient

    async with RealtimeClient(url=URL, api_key="none", session=SESSION) as client:

        async def say(text: str) -> None:
            client.send_user_message_content(text)

        async def speak(pcm: bytes) -> None:
            client.append_input_audio(pcm)

        yield say, speak


@contextlib.asynccontextmanager
async def openai() -> AsyncIterator[tuple[Say, Speak]]:
    from openai import AsyncOpenAI

    sdk = AsyncOpenAI(api_key="none", base_url=BASE_URL, websocket_base_url=BASE_URL)
    connecting = sdk.realtime.connect(model="gpt-realtime", on_reconnecting=lambda _event: None)
    async with connecting as connection:
        await connection.session.update(session=SESSION)  # type: ignore[arg-type]

        async def read() -> None:
            async for _ in connection:
                pass

        reading = asyncio.create_task(read())

        async def say(text: str) -> None:
            content = [{"type": "input_text", "text": text}]
            item = {"type": "message", "role": "user", "content": content}
            await connection.conversation.item.create(item=item)  # type: ignore[arg-type]
            await connection.response.create()

        async def speak(pcm: bytes) -> None:
            await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

        yield say, speak
        reading.cancel()


@contextlib.asynccontextmanager
async def livekit() -> AsyncIterator[tuple[Say, Speak]]:
    from livekit import rtc
    from livekit.plugins.openai.realtime import RealtimeModel
    from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

    model = RealtimeModel(
        base_url=BASE_URL, api_key="none", modalities=["text"], turn_detection=ServerVad(**VAD)
    )
    session = model.session()
    asking: set[Any] = set()

    async def say(text: str) -> None:
        chat = session.chat_ctx.copy()
        chat.add_message(role="user", content=text)
        await session.update_chat_ctx(chat)
        asking.add(session.generate_reply())

    async def speak(pcm: bytes) -> None:
        session.push_audio(rtc.AudioFrame(pcm, 24000, 1, len(pcm) // 2))

    yield say, speak
    await session.aclose()
    await model.aclose()


@contextlib.asynccontextmanager
async def pydantic_ai() -> AsyncIterator[tuple[Say, Speak]]:
    from pydantic_ai import Agent
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.realtime.openai import OpenAIRealtimeModel

    provider = OpenAIProvider(base_url=BASE_URL, api_key="none")
    model = OpenAIRealtimeModel("gpt-realtime", provider=provider)
    settings: Any = {"output_modality": "text", "openai_turn_detection": VAD, "reconnect": {}}
    async with Agent().realtime(model, model_settings=settings).session() as session:

        async def read() -> None:
            async for _ in session:
                pass

        reading = asyncio.create_task(read())

        async def speak(pcm: bytes) -> None:
            await session.send_audio(pcm)

        yield session.send, speak
        reading.cancel()


CLIENTS = {"duologue": duologue, "openai": openai, "livekit": livekit, "pydantic-ai": pydantic_ai}


async def main() -> None:
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with CLIENTS[sys.argv[1]]() as (say, speak):
        print("ready", flush=True)
        while line := await reader.readline():
            order = json.loads(line)
            try:
                if "say" in order:
                    await say(order["say"])
                else:
                    await speak(base64.b64decode(order["speak"]))
            except Exception as error:  # noqa: BLE001  # whatever it is, the application goes on
                print(repr(error), file=sys.stderr, flush=True)


asyncio.run(main())
