from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from duologue.errors import ModelUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.engine.local.conftest import Speech

    from duologue.server.engine.stages import Engine

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]


async def transcript(
    engine: Engine, pcm: bytes, *, language: str | None = None, prompt: str | None = None
) -> str:
    stage = engine.transcriber()
    return "".join([t async for t in stage.transcribe(pcm, language=language, prompt=prompt)])


def words(text: str) -> list[str]:
    return re.sub(r"[^\w\s]", "", text.lower()).split()


def errors(heard: list[str], said: list[str]) -> int:
    row = list(range(len(said) + 1))
    for i, word in enumerate(heard, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(said, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]


@pytest.mark.asyncio
async def test_five_words_in_a_hundred_may_be_wrong(engine: Engine, speech: Speech) -> None:
    wrong = total = 0
    for name, said in speech.transcripts.items():
        if name not in {"noisy_reminder", "room_noise"}:
            heard = await transcript(engine, speech.pcm(name), language="en")
            wrong += errors(words(heard), words(said))
            total += len(words(said))
    assert wrong / total <= 0.05


@pytest.mark.asyncio
async def test_noise_and_silence_give_no_words(engine: Engine, speech: Speech) -> None:
    assert await transcript(engine, speech.pcm("room_noise")) == ""
    assert await transcript(engine, bytes(48_000)) == ""
    assert await transcript(engine, b"") == ""


@pytest.mark.asyncio
async def test_a_language_may_be_named_or_detected(engine: Engine, speech: Speech) -> None:
    pcm = speech.pcm("weather_paris")
    english = await transcript(engine, pcm, language="en")
    assert english == "What is the weather in Paris today?"
    assert await transcript(engine, pcm) == english
    assert await transcript(engine, pcm, language="en-GB") == english
    assert await transcript(engine, pcm, language="tlh") == english
    assert await transcript(engine, pcm, language="de") != english


@pytest.mark.asyncio
async def test_a_prompt_is_not_part_of_the_transcript(engine: Engine, speech: Speech) -> None:
    heard = await transcript(engine, speech.pcm("hello"), prompt="Greetings, hearing. " * 50)
    assert words(heard) == words("Hello, can you hear me?")


@pytest.mark.asyncio
async def test_a_turn_longer_than_the_window_comes_whole(engine: Engine, speech: Speech) -> None:
    names = ["pause_midturn", "weather_paris", "lights_kitchen", "human_amiable"]
    pcm = bytes(24_000).join(speech.pcm(name) for name in names)
    said = [word for name in names for word in words(speech.transcripts[name])]
    heard = words(await transcript(engine, pcm))
    assert errors(heard, said) <= 2


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    from duologue.server.engine.local.transcriber import (  # noqa: PLC0415  # an extra
        WhisperTranscriber,
    )

    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json"):
        WhisperTranscriber(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.bin").write_bytes(b"cut")
    with pytest.raises(ModelUnavailable, match="does not load"):
        WhisperTranscriber(tmp_path)
