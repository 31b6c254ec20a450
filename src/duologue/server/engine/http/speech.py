"""Speech to text behind `/audio/transcriptions`, text to speech behind `/audio/speech`."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from duologue.audio.wav import wav_of
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue.server.engine.chat import ChatObject
    from duologue.server.engine.http.endpoint import Endpoint

__all__ = ["HttpSynthesizer", "HttpTranscriber"]

SHORTEST_MS: Final = 100
"""Less audio than this holds no word, and endpoints refuse it."""

CHUNK_BYTES: Final = 200 * 48
"""200 ms: small enough to be sent at once, large enough that its event is mostly audio."""

SLOWEST: Final = 0.25
FASTEST: Final = 4.0
"""What `/audio/speech` takes."""

_OTHER_SOUND: Final = ("text/", "application/json", "audio/mpeg", "audio/wav", "audio/x-wav")
"""What an endpoint answers with that does not know `response_format`."""


class _Transcription(Struct):
    text: str


_decoder: msgspec.json.Decoder[_Transcription] = msgspec.json.Decoder(_Transcription)


class HttpTranscriber:
    """Transcribes a turn at a time with a model of an endpoint."""

    def __init__(self, endpoint: Endpoint, *, model: str) -> None:
        """Take an endpoint, which whoever made it closes, and one of its models."""
        self._endpoint = endpoint
        self._model = model

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript in one piece.

        Raises:
            EngineFailed: If the endpoint fails, or answers with something else.
        """
        if PCM16.ms(len(pcm)) < SHORTEST_MS:
            return
        hints = {"language": language, "prompt": prompt}
        fields = {name: hint for name, hint in hints.items() if hint}
        async with self._endpoint.ask(
            "/audio/transcriptions",
            data={"model": self._model, "response_format": "json", **fields},
            files={"file": ("speech.wav", wav_of(pcm), "audio/wav")},
        ) as response:
            body = await self._endpoint.body(response)
        try:
            yield _decoder.decode(body).text.strip()
        except msgspec.DecodeError as error:
            raise self._endpoint.malformed("something else than a transcript") from error


class HttpSynthesizer:
    """Speaks with a model of an endpoint, which is told the session's voice by name."""

    def __init__(self, endpoint: Endpoint, *, model: str) -> None:
        """Take an endpoint, which whoever made it closes, and one of its models."""
        self._endpoint = endpoint
        self._model = model

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield chunks of 200 ms as they come; the last one may be shorter.

        Raises:
            EngineFailed: If the endpoint fails, or answers with something else than PCM.
        """
        body: ChatObject = {
            "model": self._model,
            "input": text,
            "voice": voice,
            "response_format": "pcm",
            "speed": min(max(speed, SLOWEST), FASTEST),
        }
        async with self._endpoint.ask("/audio/speech", json=body) as response:
            kind = response.headers.get("content-type", "").lower()
            if kind.startswith(_OTHER_SOUND):
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
                yield bytes(held[: len(held) & ~1])
