from __future__ import annotations

from itertools import zip_longest

from hypothesis import given
from hypothesis import strategies as st

from duologue.protocol import ga
from duologue.server.session.hearing import Hearing
from duologue.server.session.turns import (
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnChange,
    TurnDetector,
)

FRAME_MS = 16


def detector(silence_duration_ms: int = 200) -> TurnDetector:
    config = ga.ServerVad(silence_duration_ms=silence_duration_ms)
    return TurnDetector(config, frame_ms=FRAME_MS)


def changes(turns: TurnDetector, scores: list[float]) -> list[TurnChange]:
    found = [turns.feed(score, (place + 1) * FRAME_MS) for place, score in enumerate(scores)]
    return [change for change in found if change is not None]


def test_a_turn_begins_with_its_first_frame_and_ends_after_the_silence() -> None:
    scores = [0.1] * 10 + [0.9] * 20 + [0.1] * 20
    assert changes(detector(silence_duration_ms=200), scores) == [
        SpeechStarted(160),
        SpeechStopped(30 * FRAME_MS + 208),
    ]


def test_a_click_is_no_turn() -> None:
    assert changes(detector(), [0.9, 0.9, 0.1] * 20) == []


def test_a_likelihood_that_dips_a_little_does_not_end_the_turn() -> None:
    assert changes(detector(silence_duration_ms=100), [0.9] * 5 + [0.4] * 50) == [SpeechStarted(0)]


def test_a_pause_shorter_than_the_rule_does_not_end_the_turn() -> None:
    scores = [0.9] * 5 + [0.0] * 12 + [0.9] * 5
    assert changes(detector(silence_duration_ms=200), scores) == [SpeechStarted(0)]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.45, 0.6, 1.0]), max_size=300))
def test_turns_begin_and_end_alternately_and_in_time(scores: list[float]) -> None:
    found = changes(detector(silence_duration_ms=100), scores)
    kinds = [type(change) for change in found]
    assert kinds == [SpeechStarted, SpeechStopped] * (len(kinds) // 2) + kinds[len(kinds) & ~1 :]
    starts = [c.onset_ms for c in found if isinstance(c, SpeechStarted)]
    ends = [c.end_ms for c in found if isinstance(c, SpeechStopped)]
    times = [time for turn in zip_longest(starts, ends) for time in turn if time is not None]
    assert times == sorted(times)


@given(st.lists(st.integers(min_value=1, max_value=4000), max_size=40))
def test_any_chunking_of_the_audio_gives_the_same_turns(sizes: list[int]) -> None:
    audio = bytes(9600) + b"\1" * 30_000 + bytes(24_000) + b"\1" * 9600 + bytes(24_000)
    whole = list(hearing().append(audio))
    pieces = hearing()
    found: list[TurnChange] = []
    start = 0
    for size in [*sizes, len(audio)]:
        found += pieces.append(audio[start : start + 2 * size])
        start += 2 * size
    assert found == whole


def hearing() -> Hearing:
    ears = Hearing(lambda frame: 1.0 if any(frame) else 0.0)
    audio = ga.AudioConfig(input=ga.AudioInput(turn_detection=ga.ServerVad()))
    ears.configure(ga.RealtimeSession(audio=audio))
    return ears


def test_the_buffer_holds_little_while_nobody_speaks() -> None:
    ears = hearing()
    for _ in range(1000):
        list(ears.append(bytes(4800)))
    assert len(ears.take()) <= 48 * (300 + 200 + FRAME_MS)


def test_a_pause_is_noticed_once_and_so_is_its_end() -> None:
    config = ga.ServerVad(silence_duration_ms=200)
    turns = TurnDetector(config, frame_ms=FRAME_MS, notices_pauses=True)
    scores = [0.9] * 5 + [0.0] * 8 + [0.9] * 5 + [0.0] * 13
    assert changes(turns, scores) == [
        SpeechStarted(0),
        SpeechPaused((5 + 6) * FRAME_MS),
        SpeechResumed(),
        SpeechPaused((18 + 6) * FRAME_MS),
        SpeechStopped(31 * FRAME_MS),
    ]
