from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duologue.server.engine.stages import VAD_FRAME_BYTES

if TYPE_CHECKING:
    from tests.server.engine.local.conftest import Speech

    from duologue.server.engine.stages import Vad

pytestmark = pytest.mark.models


def new_vad() -> Vad:
    from duologue.server.engine.local.vad import EarshotVad  # noqa: PLC0415  # an extra

    return EarshotVad()


def scores(vad: Vad, pcm: bytes) -> list[float]:
    starts = range(0, len(pcm) - VAD_FRAME_BYTES + 1, VAD_FRAME_BYTES)
    return [vad.score(pcm[start : start + VAD_FRAME_BYTES]) for start in starts]


@pytest.mark.parametrize("name", ["hello", "weather_paris", "lights_kitchen", "human_amiable"])
def test_speech_is_heard(speech: Speech, name: str) -> None:
    heard = [score >= 0.5 for score in scores(new_vad(), speech.pcm(name))]
    assert sum(heard) > len(heard) / 2


def test_noise_and_silence_are_no_speech(speech: Speech) -> None:
    assert max(scores(new_vad(), speech.pcm("room_noise"))) < 0.5
    assert max(scores(new_vad(), bytes(VAD_FRAME_BYTES * 50))) < 0.5


def test_sessions_do_not_hear_each_other(speech: Speech) -> None:
    one, other = new_vad(), new_vad()
    scores(other, speech.pcm("hello"))
    assert scores(one, speech.pcm("weather_paris")) == scores(
        new_vad(), speech.pcm("weather_paris")
    )


def test_a_frame_has_one_size() -> None:
    with pytest.raises(AssertionError, match="768 bytes"):
        new_vad().score(bytes(100))


@pytest.mark.parametrize(("tone_hz", "lowest", "highest"), [(1_000, 0.99, 1.01), (10_000, 0, 0.01)])
def test_resampling_keeps_speech_and_drops_what_would_fold(
    tone_hz: int, lowest: float, highest: float
) -> None:
    import numpy as np  # noqa: PLC0415  # an extra

    from duologue.server.engine.local.vad import FrameResampler  # noqa: PLC0415  # an extra

    tone = np.sin(2 * np.pi * tone_hz * np.arange(384 * 20) / 24_000) * 16_384
    pcm = tone.astype("<i2").tobytes()
    resampler = FrameResampler()
    frames = [resampler.feed(pcm[i : i + 768]) for i in range(0, len(pcm), 768)]
    assert {frame.size for frame in frames} == {256}
    sound = np.concatenate(frames)[64:]
    assert lowest <= float(np.sqrt(np.mean(sound**2) * 2)) / 0.5 <= highest
