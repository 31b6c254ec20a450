"""Speech to text by `/audio/transcriptions`, and text to speech by `/audio/speech`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from duologue.audio.wav import wav_bytes
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue.server.engine.chat import ChatObject
    from duologue.server.engine.http.endpoint import HttpEndpoint

__all__ = ["HttpSynthesizer", "HttpTranscriber"]

SHORTEST_MS: Final = 100
"""Shorter audio holds no word, and endpoints reject it."""

CHUNK_BYTES: Final = 200 * 48
"""200 ms: short enough to be sent soon, long enough that its event is mostly audio."""

SLOWEST: Final = 0.25
FASTEST: Final = 4.0
"""The speeds that `/audio/speech` accepts."""

_NOT_PCM: Final = ("text/", "application/json", "audio/mpeg", "audio/wav", "audio/x-wav")
"""Content types of endpoints that ignore `response_format`. Played as PCM, they are noise."""


class _Transcription(Struct):
    text: str


_decoder: msgspec.json.Decoder[_Transcription] = msgspec.json.Decoder(_Transcription)


class HttpTranscriber:
    """Transcription model of an endpoint, used for one turn at a time."""

    def __init__(self, endpoint: HttpEndpoint, *, model: str) -> None:
        """Use a model of an endpoint, which the caller closes."""
        self._endpoint: Final = endpoint
        self._model: Final = model

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript in one piece.

        Raises:
            EngineFailed: If the endpoint fails, or its response is not a transcript.
        """
        if PCM16.ms(len(pcm)) < SHORTEST_MS:
            return
        hints = {"language": language, "prompt": prompt}
        fields = {name: hint for name, hint in hints.items() if hint}
        async with self._endpoint.post(
            "/audio/transcriptions",
            data={"model": self._model, "response_format": "json", **fields},
            files={"file": ("speech.wav", wav_bytes(pcm), "audio/wav")},
        ) as response:
            body = await self._endpoint.body(response)
        try:
            yield _decoder.decode(body).text.strip()
        except msgspec.DecodeError as error:
            raise self._endpoint.malformed("something other than a transcript") from error


class HttpSynthesizer:
    """Speech model of an endpoint, which gets the name of the session's voice."""

    def __init__(self, endpoint: HttpEndpoint, *, model: str) -> None:
        """Use a model of an endpoint, which the caller closes."""
        self._endpoint: Final = endpoint
        self._model: Final = model

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield chunks of 200 ms as they arrive; the last one may be shorter.

        Raises:
            EngineFailed: If the endpoint fails, or its response is not PCM.
        """
        body: ChatObject = {
            "model": self._model,
            "input": text,
            "voice": voice,
            "response_format": "pcm",
            "speed": min(max(speed, SLOWEST), FASTEST),
        }
        async with self._endpoint.post("/audio/speech", json=body) as response:
            kind = response.headers.get("content-type", "").lower()
            if kind.startswith(_NOT_PCM):
                raise self._endpoint.malformed(f"{kind.partition(';')[0]} instead of PCM")
            held = bytearray()
            chunks = self._endpoint.pieces(response.aiter_bytes())
            async with aclosing(chunks):
                async for chunk in chunks:
                    held += chunk
                    while len(held) >= CHUNK_BYTES:
                        yield bytes(held[:CHUNK_BYTES])
                        del held[:CHUNK_BYTES]
            if len(held) >= PCM16.sample_bytes:
                yield bytes(held[: len(held) & ~1])  # whole samples
