from __future__ import annotations

import asyncio
import json
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duologue.server.engine.stages import Engine

AUDIO = Path(__file__).parents[3] / "data" / "audio"


class Speech:
    """The recordings of `tests/data/audio`."""

    transcripts: dict[str, str]

    def __init__(self) -> None:
        entries = json.loads((AUDIO / "transcripts.json").read_text("utf-8"))
        self.transcripts = {Path(e["file"]).stem: e["transcript"] for e in entries}

    def pcm(self, name: str) -> bytes:
        with wave.open(str(AUDIO / f"{name}.wav")) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
            return file.readframes(file.getnframes())


@pytest.fixture(scope="session")
def speech() -> Speech:
    return Speech()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    from duologue.server.engine.uris import open_engine  # noqa: PLC0415  # an extra

    loaded = asyncio.run(open_engine(brain="local:"))
    yield loaded
    asyncio.run(loaded.close())
