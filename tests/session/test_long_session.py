"""A day of conversation through the core: memory stays flat."""

from __future__ import annotations

import tracemalloc

from tests.session.session_events import (
    Probe,
    added,
    message,
    new_core,
    output_item,
    part_event,
    response,
    server,
)

from duologue.session.input_backlog import ROOM_BYTES
from duologue.session.rate_limits import RateLimitPolicy
from duologue.session.reconnect import ReconnectPolicy

STEP_SECONDS = 5
STEP = bytes(8000 * STEP_SECONDS)
"""Speech in G.711: a day of pcm16 would be four gigabytes to encode."""

TURN_SECONDS = 120
HOURS = 24

ULAW = {"format": {"type": "audio/pcmu"}, "turn_detection": {"type": "server_vad"}}
SESSION = {"type": "realtime", "audio": {"input": ULAW}}


def talk(core: Probe, turn: int) -> None:
    """Speak for two minutes, and get an answer."""
    now = float(turn * TURN_SECONDS)
    for second in range(0, TURN_SECONDS, STEP_SECONDS):
        core.append_audio(STEP, now + second, is_shown=False)
        core.handle_deadline(now + second)
        core.effects()
    item, answer, response_id = f"item_{turn}", f"answer_{turn}", f"resp_{turn}"
    start = int(core.input_audio.sent_ms) - 60_000
    spoken = message(item) | {"content": [{"type": "input_audio", "transcript": None}]}
    said = message(answer, "assistant")
    events = [
        server("input_audio_buffer.speech_started", item_id=item, audio_start_ms=start),
        server("input_audio_buffer.speech_stopped", item_id=item, audio_end_ms=start + 59_000),
        server("input_audio_buffer.committed", item_id=item),
        added(spoken),
        response("created", response_id, conversation_id="conv_1"),
        output_item("added", said, response_id),
        added(said, item),
        *(
            part_event("response.output_text.delta", answer, response_id, delta="word ")
            for _ in range(10)
        ),
        response("done", response_id, status="completed", conversation_id="conv_1"),
        server(
            "rate_limits.updated",
            rate_limits=[{"name": "tokens", "limit": 1000, "remaining": 0, "reset_seconds": 1.0}],
        ),
    ]
    for event in events:
        core.receive(event, now + TURN_SECONDS)
        core.effects()


def test_a_day_of_speech_and_answers_needs_no_more_memory_than_an_hour() -> None:
    unsent = 0  # while a turn of three is spoken, the network takes nothing
    core = new_core(
        unsent_bytes=lambda: unsent,
        max_input_delay=5.0,
        rate_limits=RateLimitPolicy(),
        reconnect=ReconnectPolicy(),
    )
    core.receive(server("session.created", session=SESSION), 0.0)
    tracemalloc.start(1)
    try:
        sizes: list[int] = []
        for turn in range(HOURS * 3600 // TURN_SECONDS):
            unsent = ROOM_BYTES + 1 if turn % 3 == 0 else 0
            talk(core, turn)
            if turn % (3600 // TURN_SECONDS) == 0:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    audio = sum(len(item.formatted.audio) for item in core.conversation)
    words = (sizes[-1] - sizes[2]) / (HOURS - 3)
    assert 0 < audio <= 600 * 48_000 * 5 // 4
    assert words < 500_000, sizes  # of an hour: the words of 50,000 items are kept
    assert core.backlog.dropped_ms > 0
    assert core.backlog.waiting_ms <= 5000 + 2 * STEP_SECONDS * 1000
