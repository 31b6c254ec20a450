from __future__ import annotations

from itertools import zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.protocol import ga
from duologue.server.session.audio_input import InputAudioProcessor
from duologue.server.session.turn_detection import (
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    TurnChange,
    TurnTracker,
    rule_of,
)

FRAME_MS = 16


def finder(silence_duration_ms: int = 200) -> TurnTracker:
    rule = rule_of(ga.ServerVad(silence_duration_ms=silence_duration_ms))
    return TurnTracker(rule, frame_ms=FRAME_MS)


def changes(turns: TurnTracker, scores: list[float]) -> list[TurnChange]:
    found = [turns.feed(score, (place + 1) * FRAME_MS) for place, score in enumerate(scores)]
    return [change for change in found if change is not None]


def test_a_turn_begins_with_its_first_frame_and_ends_after_the_silence() -> None:
    scores = [0.1] * 10 + [0.9] * 20 + [0.1] * 20
    assert changes(finder(silence_duration_ms=200), scores) == [
        SpeechStarted(160),
        SpeechStopped(30 * FRAME_MS + 192),
    ]


def test_a_click_is_no_turn() -> None:
    assert changes(finder(), [0.9, 0.9, 0.1] * 20) == []


def test_a_likelihood_that_dips_a_little_does_not_end_the_turn() -> None:
    assert changes(finder(silence_duration_ms=100), [0.9] * 5 + [0.4] * 50) == [SpeechStarted(0)]


def test_a_pause_shorter_than_the_rule_does_not_end_the_turn() -> None:
    scores = [0.9] * 5 + [0.0] * 11 + [0.9] * 5
    assert changes(finder(silence_duration_ms=200), scores) == [SpeechStarted(0)]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.45, 0.6, 1.0]), max_size=300))
def test_turns_begin_and_end_alternately_and_in_time(scores: list[float]) -> None:
    found = changes(finder(silence_duration_ms=100), scores)
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


def hearing() -> InputAudioProcessor:
    ears = InputAudioProcessor(lambda frame: 1.0 if any(frame) else 0.0)
    audio = ga.AudioConfig(input=ga.AudioInput(turn_detection=ga.ServerVad()))
    ears.configure(ga.RealtimeSession(audio=audio))
    return ears


def test_the_buffer_holds_little_while_nobody_speaks() -> None:
    ears = hearing()
    for _ in range(1000):
        list(ears.append(bytes(4800)))
    assert len(ears.take()) <= 48 * (300 + 200 + FRAME_MS)


def test_a_pause_is_noticed_once_and_so_is_its_end() -> None:
    turns = TurnTracker(rule_of(ga.ServerVad()), frame_ms=FRAME_MS, notices_pauses=True)
    scores = [0.9] * 5 + [0.0] * 8 + [0.9] * 5 + [0.0] * 12
    assert changes(turns, scores) == [
        SpeechStarted(0),
        SpeechPaused((5 + 6) * FRAME_MS),
        SpeechResumed(),
        SpeechPaused((18 + 6) * FRAME_MS),
        SpeechStopped(30 * FRAME_MS),
    ]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 1.0])
def test_silence_ends_a_turn_whatever_the_threshold(threshold: float) -> None:
    turns = TurnTracker(rule_of(ga.ServerVad(threshold=threshold)), frame_ms=FRAME_MS)
    found = changes(turns, [1.0] * 5 + [0.0] * 12)
    assert found == [SpeechStarted(0), SpeechStopped(17 * FRAME_MS)]


@pytest.mark.parametrize("silence_duration_ms", [0, 1, 16])
def test_the_shortest_silence_is_a_frame(silence_duration_ms: int) -> None:
    found = changes(finder(silence_duration_ms), [0.9] * 5 + [0.0])
    assert found == [SpeechStarted(0), SpeechStopped(6 * FRAME_MS)]


def semantic(eagerness: str = "auto", *, reads_words: bool = True) -> TurnTracker:
    rule = rule_of(ga.SemanticVad(eagerness=eagerness), reads_words=reads_words)
    return TurnTracker(rule, frame_ms=FRAME_MS, notices_pauses=reads_words)


@pytest.mark.parametrize(
    ("eagerness", "longest_ms"), [("low", 8000), ("medium", 4000), ("auto", 4000), ("high", 2000)]
)
def test_eagerness_is_a_time_out(eagerness: str, longest_ms: int) -> None:
    found = changes(semantic(eagerness), [0.9] * 5 + [0.0] * 600)
    [_, _, stopped] = found
    assert stopped == SpeechStopped(5 * FRAME_MS + longest_ms)


def test_without_words_silence_alone_ends_the_turn_sooner() -> None:
    [_, stopped] = changes(semantic(reads_words=False), [0.9] * 5 + [0.0] * 600)
    assert stopped == SpeechStopped(5 * FRAME_MS + 1200)


def test_words_that_sound_finished_shorten_the_silence() -> None:
    turns = semantic()
    started, paused = changes(turns, [0.9] * 5 + [0.0] * 10)
    assert (started, paused) == (SpeechStarted(0), SpeechPaused(11 * FRAME_MS))
    assert turns.expect(0.9) is None  # 400 ms, of which 160 are over
    assert changes(turns, [0.0] * 15)[0].end_ms == 15 * FRAME_MS  # type: ignore[union-attr]  # on a new clock


def test_words_that_come_late_end_the_turn_where_it_should_have_ended() -> None:
    turns = semantic()
    changes(turns, [0.9] * 5 + [0.0] * 100)
    assert turns.expect(0.75) == SpeechStopped(5 * FRAME_MS + 992)


def test_words_of_the_pause_before_mean_nothing() -> None:
    turns = semantic()
    changes(turns, [0.9] * 5 + [0.0] * 20 + [0.9])
    assert turns.expect(1.0) is None
    assert turns.is_speaking


def test_even_what_is_surely_finished_is_not_cut_at_once() -> None:
    turns = semantic("high")
    changes(turns, [0.9] * 5 + [0.0] * 10)
    assert turns.expect(1.0) is None
    assert changes(turns, [0.0] * 2) == [SpeechStopped(2 * FRAME_MS)]


def test_a_turn_that_is_open_goes_on_under_another_rule() -> None:
    turns = finder()
    assert changes(turns, [0.9] * 5) == [SpeechStarted(0)]
    turns.follow(rule_of(ga.ServerVad(silence_duration_ms=400)), notices_pauses=False)
    assert changes(turns, [0.0] * 24) == []
    turns.follow(rule_of(ga.ServerVad(silence_duration_ms=200)), notices_pauses=False)
    assert turns.feed(0.0, 1000) == SpeechStopped(1000 - (25 - 12) * FRAME_MS)


def advance(turns: TurnTracker, clock: int, kind: str, amount: int) -> tuple[int, list[TurnChange]]:
    """Let frames pass, or words come that are finished by so many percent."""
    if kind == "words":
        stopped = turns.expect(amount / 100)
        return clock, [] if stopped is None else [stopped]
    for _ in range(amount):
        clock += FRAME_MS
        change = turns.feed(1.0 if kind == "speech" else 0.0, clock)
        if isinstance(change, SpeechStarted | SpeechStopped):
            return clock, [change]  # the rest of the step is of no interest
    return clock, []


@given(
    st.lists(
        st.tuples(st.sampled_from(["speech", "silence", "words"]), st.integers(1, 100)),
        max_size=40,
    ),
    st.sampled_from(["low", "auto", "high"]),
)
def test_words_may_only_move_the_end_within_its_bounds(
    steps: list[tuple[str, int]], eagerness: str
) -> None:
    turns = semantic(eagerness)
    longest_ms = {"low": 8000, "auto": 4000, "high": 2000}[eagerness]
    clock = last_loud = 0
    is_open = False
    for kind, amount in steps:
        clock, found = advance(turns, clock, kind, amount)
        last_loud = clock if kind == "speech" else last_loud
        for change in found:
            assert isinstance(change, SpeechStopped) == is_open
            is_open = not is_open
            if isinstance(change, SpeechStopped):
                silence_ms = change.end_ms - last_loud
                assert 200 - FRAME_MS < silence_ms < longest_ms + FRAME_MS
                assert change.end_ms <= clock
    assert turns.is_speaking == is_open
