from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from duologue.server.engine.stages import Engine

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

SENTENCE = "The lights in the kitchen are on."


async def chunks(
    engine: Engine, text: str, *, voice: str = "alloy", speed: float = 1
) -> list[bytes]:
    return [pcm async for pcm in engine.synthesizer().speak(text, voice=voice, speed=speed)]


@pytest.mark.asyncio
async def test_a_clause_is_spoken_in_chunks_of_200_ms(engine: Engine) -> None:
    spoken = await chunks(engine, SENTENCE)
    assert {len(chunk) for chunk in spoken[:-1]} == {9_600}
    assert 0 < len(spoken[-1]) <= 9_600
    assert 1 <= sum(map(len, spoken)) / 48_000 <= 4


@pytest.mark.asyncio
async def test_the_same_words_sound_the_same_in_every_voice(engine: Engine) -> None:
    assert await chunks(engine, SENTENCE) == await chunks(engine, SENTENCE, voice="marin")


@pytest.mark.asyncio
async def test_speed_is_followed_as_far_as_the_voice_goes(engine: Engine) -> None:
    sizes = [sum(map(len, await chunks(engine, SENTENCE, speed=s))) for s in (0.25, 0.5, 1, 1.5)]
    assert sizes[0] == sizes[1] > sizes[2] > sizes[3]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["", " ", "...", "🙂", "—"])
async def test_what_has_no_words_is_silent(engine: Engine, text: str) -> None:
    assert await chunks(engine, text) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["日本", "naïve café", "3.5 + 4 = 7.5", "x" * 600, "\u0000a"])
async def test_odd_text_does_no_harm(engine: Engine, text: str) -> None:
    assert all(len(chunk) % 2 == 0 for chunk in await chunks(engine, text))
