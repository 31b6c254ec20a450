"""Telephones that speak the messages which Twilio and Telnyx publish, over real WebSockets.

Time passes in them only when a test calls `play`, so what was heard is exact.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import websockets
from websockets.asyncio.client import connect

from duologue.audio.g711 import ALAW, ULAW
from duologue.server.listening import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from websockets.asyncio.client import ClientConnection


__all__ = [
    "PHONES",
    "AlawPhone",
    "FakePhone",
    "LinearPhone",
    "TelnyxPhone",
    "TwilioPhone",
    "loud",
    "serving",
]

WAIT_SECONDS = 10


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncGenerator[str]:
    """Serve an ASGI application with uvicorn, and return its URL."""
    listener = Listener()
    async with listener.serving(app):
        yield f"ws://127.0.0.1:{listener.port}"
    listener.close()


def loud(ms: int, codec: str = "PCMU") -> bytes:
    """Return G.711 audio that a VAD takes for speech."""
    law = ULAW if codec == "PCMU" else ALAW
    wave = (np.sin(np.arange(8 * ms) * 0.4) * 12_000).astype(np.int16)
    return law.encode(wave)


class FakePhone:
    """A call of a provider, with the person who holds the phone."""

    provider = ""
    codec = "PCMU"
    frame = 160

    def __init__(self, url: str, *, call_id: str = "call-1", **parameters: str) -> None:
        self.url = url
        self.call_id = call_id
        self.parameters = parameters
        self.headers: dict[str, str] = {}
        self.queue: deque[bytes | str] = deque()
        """Audio that was not played, as bytes, and the names of marks."""
        self.received: list[dict[str, Any]] = []
        self.heard = b""
        self.clears = 0
        self.close_code: int | None = None
        self._half = b""
        self._numbers = itertools.count(1)
        self._changed = asyncio.Condition()

    # Life of a call.

    async def __aenter__(self) -> Self:
        self.socket: ClientConnection = await connect(
            self.url, additional_headers=self.headers, compression=None
        )
        self._reading = asyncio.create_task(self._read())
        await self.begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()
        await self._reading

    async def begin(self) -> None:
        await self.send(self.connected())
        await self.send(self.start())

    async def hang_up(self) -> None:
        await self.send(self.stop())

    async def send(self, message: dict[str, Any] | str) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self.socket.send(text)

    async def say(self, audio: bytes) -> None:
        for index in range(0, len(audio), self.frame):
            await self.send(self.media(audio[index : index + self.frame]))

    async def speak(self) -> None:
        """Say something, and be silent until it counts as a turn."""
        await self.say(loud(400, self.codec))
        await self.say((b"\xff" if self.codec == "PCMU" else b"\xd5") * 8 * 700)

    async def press(self, digits: str) -> None:
        for digit in digits:
            await self.send(self.digit(digit))

    # What the phone plays.

    async def play(self, ms: int) -> None:
        """Let time pass: play what is queued, and return the marks that it passes."""
        left = ms * self.frame // 20
        while self.queue and (left or isinstance(self.queue[0], str)):
            entry = self.queue.popleft()
            if isinstance(entry, str):
                await self.send(self.mark(entry))
                continue
            self.heard += entry[:left]
            if len(entry) > left:
                self.queue.appendleft(entry[left:])
            left = max(0, left - len(entry))

    @property
    def queued(self) -> int:
        """Milliseconds of audio that wait."""
        return sum(len(each) for each in self.queue if isinstance(each, bytes)) * 20 // self.frame

    async def wait_for(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_SECONDS), self._changed:
            await self._changed.wait_for(condition)

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                message = json.loads(text)
                async with self._changed:
                    self.received.append(message)
                    await self._on_message(message)
                    self._changed.notify_all()
        except websockets.ConnectionClosed:
            pass
        async with self._changed:
            self.close_code = self.socket.close_code
            self._changed.notify_all()

    async def _on_message(self, message: dict[str, Any]) -> None:
        self.check(message)
        match message["event"]:
            case "media":
                audio = base64.b64decode(message["media"]["payload"], validate=True)
                assert len(audio) == self.frame
                self.queue.append(audio)
            case "mark" if not self.queue:
                await self.send(self.mark(message["mark"]["name"]))
            case "mark":
                self.queue.append(message["mark"]["name"])
            case "clear":
                self.clears += 1
                marks = [each for each in self.queue if isinstance(each, str)]
                self.queue.clear()
                for name in marks:
                    await self.send(self.mark(name))
            case other:
                raise AssertionError(f"no message of a phone: {other}")

    def number(self) -> str:
        return str(next(self._numbers))

    def check(self, message: dict[str, Any]) -> None:
        raise NotImplementedError

    def connected(self) -> dict[str, Any]:
        raise NotImplementedError

    def start(self) -> dict[str, Any]:
        raise NotImplementedError

    def media(self, audio: bytes) -> dict[str, Any]:
        raise NotImplementedError

    def digit(self, digit: str) -> dict[str, Any]:
        raise NotImplementedError

    def mark(self, name: str) -> dict[str, Any]:
        raise NotImplementedError

    def stop(self) -> dict[str, Any]:
        raise NotImplementedError


class TwilioPhone(FakePhone):
    """Source: Twilio, "Media Streams - WebSocket Messages"."""

    provider = "Twilio"

    @property
    def stream_id(self) -> str:
        return f"MZ{self.call_id}"

    def check(self, message: dict[str, Any]) -> None:
        assert message["streamSid"] == self.stream_id

    def connected(self) -> dict[str, Any]:
        return {"event": "connected", "protocol": "Call", "version": "1.0.0"}

    def start(self) -> dict[str, Any]:
        return {
            "event": "start",
            "sequenceNumber": self.number(),
            "start": {
                "accountSid": "AC1",
                "streamSid": self.stream_id,
                "callSid": self.call_id,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self.parameters,
            },
            "streamSid": self.stream_id,
        }

    def media(self, audio: bytes) -> dict[str, Any]:
        number = self.number()
        payload = base64.b64encode(audio).decode()
        media = {"track": "inbound", "chunk": number, "timestamp": "5", "payload": payload}
        return self._message("media", media=media, number=number)

    def digit(self, digit: str) -> dict[str, Any]:
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> dict[str, Any]:
        return self._message("mark", mark={"name": name})

    def stop(self) -> dict[str, Any]:
        return self._message("stop", stop={"accountSid": "AC1", "callSid": self.call_id})

    def _message(self, event: str, number: str = "", **fields: Any) -> dict[str, Any]:
        place = {"sequenceNumber": number or self.number(), "streamSid": self.stream_id}
        return {"event": event, **place, **fields}


class TelnyxPhone(FakePhone):
    """Source: Telnyx, "Stream call media over WebSocket"."""

    provider = "Telnyx"
    rate = 8000

    def check(self, message: dict[str, Any]) -> None:
        assert set(message) == {"event", message["event"]} - {"clear"} | {"event"}

    def connected(self) -> dict[str, Any]:
        return {"event": "connected", "version": "1.0.0"}

    def start(self) -> dict[str, Any]:
        return {
            "event": "start",
            "sequence_number": "1",
            "stream_id": "32DE0DEA",
            "start": {
                "user_id": "user-1",
                "call_control_id": self.call_id,
                "call_session_id": "session-1",
                "from": "+13122010094",
                "to": "+13122123456",
                "tags": ["TAG1"],
                "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
                "custom_parameters": self.parameters,
                "media_format": {
                    "encoding": self.codec,
                    "sample_rate": self.rate,
                    "channels": 1,
                },
            },
        }

    def media(self, audio: bytes) -> dict[str, Any]:
        number = self.number()
        payload = base64.b64encode(audio).decode()
        media = {"track": "inbound", "chunk": number, "timestamp": "5", "payload": payload}
        return self._message("media", media=media)

    def digit(self, digit: str) -> dict[str, Any]:
        when = "2024-03-01T00:00:00Z"
        return self._message("dtmf", dtmf={"digit": digit}, occurred_at=when)

    def mark(self, name: str) -> dict[str, Any]:
        return self._message("mark", mark={"name": name})

    def stop(self) -> dict[str, Any]:
        return self._message("stop", stop={"user_id": "user-1", "call_control_id": self.call_id})

    def _message(self, event: str, **fields: Any) -> dict[str, Any]:
        return {"event": event, "sequence_number": "4", "stream_id": "32DE0DEA", **fields}


class AlawPhone(TelnyxPhone):
    """A call from a network with A-law, which gets A-law, too."""

    codec = "PCMA"


class LinearPhone(TelnyxPhone):
    """A call with linear audio at 16 kHz in both directions."""

    codec = "L16"
    rate = 16_000
    frame = 640

    async def speak(self) -> None:
        wave = np.sin(np.arange(16 * 400) * 0.2) * 12_000
        await self.say(wave.astype(">i2").tobytes() + bytes(32 * 700))


PHONES = (TwilioPhone, TelnyxPhone, AlawPhone)
