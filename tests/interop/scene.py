"""The server that every client meets: scripted, with a key, its replies paced like speech."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from duologue.audio.wav import read_wav
from duologue.server import LocalServer

__all__ = ["AUDIO", "KEY", "make_server"]

AUDIO: Final = Path(__file__).parents[1] / "data" / "audio"
KEY: Final = "sk-interop"

_SCRIPT: Final = Path(__file__).with_name("scene.toml")


class Ear:
    """Knows the words of the recordings in `tests/data/audio` by a stretch from their middle."""

    def __init__(self) -> None:
        self._known: list[tuple[bytes, str]] = []
        for entry in json.loads((AUDIO / "transcripts.json").read_text("utf-8")):
            pcm = read_wav(AUDIO / entry["file"])
            middle = len(pcm) // 4 * 2
            self._known.append((pcm[middle : middle + 4800], entry["transcript"]))

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the words of the first recording that is heard."""
        yield next((words for sound, words in self._known if sound in pcm), "something")


def make_server(*, secure: bool) -> LocalServer:
    """Return the server, to be entered; a secure one makes its own certificate."""
    tls = "self-signed" if secure else None
    return LocalServer(f"scripted:{_SCRIPT}", stt=Ear(), tls=tls, api_key=KEY)
