"""Input audio while the network takes less than is appended."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.session.session_events import Probe, added, feed, message, new_core, server

from duologue.errors import ConnectionLost, LocalProtocolError
from duologue.protocol import codec, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.session import input_backlog
from duologue.session.effects import Notify
from duologue.session.input_backlog import LOOK_SECONDS, ROOM_BYTES
from duologue.session.reconnect import ReconnectPolicy
from duologue.session.updates import InputAudioDropped, RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK_MS = 100
CHUNK = 4800  # bytes of 100 ms
STALLED = ROOM_BYTES + 1


class Network:
    """A transport's write buffer, and a microphone before it."""

    def __init__(self, **options: Any) -> None:
        self.unsent = 0
        self.now = 0.0
        options.setdefault("max_input_delay", 5.0)
        self.core: Probe = new_core(unsent_bytes=lambda: self.unsent, **options)
        self.spoken = 0

    def speak(self, seconds: float) -> None:
        """Append audio as a microphone does; each chunk has another byte."""
        for _ in range(round(seconds * 1000 / CHUNK_MS)):
            self.spoken += 1
            self.core.append_audio(chunk(self.spoken), self.now)
            self.now = round(self.now + CHUNK_MS / 1000, 3)

    def stall(self) -> None:
        """Take nothing any more; the next look notices it."""
        self.unsent = STALLED
        self.core.backlog.unchecked_bytes = input_backlog.CHECK_BYTES

    def look(self) -> None:
        self.now += LOOK_SECONDS
        self.core.handle_deadline(self.now)

    def sent(self) -> list[int]:
        """Return the numbers of the chunks that were sent since the last call."""
        events = self.core.events_to_send()
        return [e.audio_data[0] for e in events if isinstance(e, ga.InputAudioBufferAppendEvent)]


def chunk(number: int) -> bytes:
    return bytes([number % 251]) * CHUNK


def dropped(core: Probe) -> list[tuple[float, bool]]:
    updates = core.take_updates()
    return [(u.milliseconds, u.is_over) for u in updates if isinstance(u, InputAudioDropped)]


def numbers(*spans: Iterable[int]) -> list[int]:
    return [number for span in spans for number in span]


def test_audio_waits_while_the_network_takes_nothing_and_follows_in_order() -> None:
    network = Network()
    network.speak(1)
    assert network.sent() == numbers(range(1, 11))
    network.stall()
    network.speak(3)
    assert network.sent() == []
    assert (network.core.backlog.waiting_ms, network.core.input_audio.sent_ms) == (3000, 1000)
    network.unsent = 0
    network.look()
    sent = network.sent()
    network.speak(0.1)
    while network.core.next_deadline() is not None:
        network.look()
        sent += network.sent()
    assert sent == numbers(range(11, 42))
    assert network.core.input_audio.sent_ms == 4100
    assert dropped(network.core) == []


def test_only_what_there_is_room_for_leaves() -> None:
    network = Network()
    network.stall()
    network.speak(4)
    network.unsent = ROOM_BYTES - CHUNK
    network.look()
    assert network.sent() == [1]
    network.unsent = ROOM_BYTES
    network.look()
    assert network.sent() == []


def test_the_oldest_audio_beyond_the_limit_is_dropped_and_reported_twice() -> None:
    network = Network()
    network.stall()
    network.speak(8)
    core = network.core
    assert core.backlog.waiting_ms <= 5000 + 2 * CHUNK_MS
    ((first, is_over),) = dropped(core)
    assert (first, is_over) == (200, False)
    network.unsent = 0
    while core.next_deadline() is not None:
        network.look()
    sent = network.sent()
    assert sent == list(range(81 - len(sent), 81))
    lost = 8000 - len(sent) * CHUNK_MS
    assert 2500 <= lost <= 3500
    assert dropped(core) == [(lost, True)]
    assert core.backlog.dropped_ms == lost


def test_a_clip_and_the_clock_are_without_the_audio_that_was_dropped() -> None:
    network = Network()
    core = network.core
    network.speak(1)
    network.stall()
    network.speak(10)
    network.unsent = 0
    while core.next_deadline() is not None:
        network.look()
    sent = network.sent()
    assert core.input_audio.sent_ms == len(sent) * CHUNK_MS < 11_000
    spoken = message("item_u") | {"content": [{"type": "input_audio", "transcript": None}]}
    feed(
        core,
        server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=900),
        server("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=1200),
        server("input_audio_buffer.committed", item_id="item_u"),
        added(spoken),
    )
    clip = core.conversation.item("item_u").formatted.audio
    assert clip == b"".join(chunk(number) for number in sent[9:12])
    assert sent[9] == 10
    assert sent[10] > 12  # after the gap


def test_a_commit_is_sent_after_the_audio_before_it() -> None:
    network = Network()
    network.core.active.session = ga.RealtimeSession()
    network.stall()
    network.speak(0.3)
    network.core.send(ga.InputAudioBufferCommitEvent(), network.now)
    kinds = [event.type for event in network.core.events_to_send()]
    assert kinds == ["input_audio_buffer.append"] * 3 + ["input_audio_buffer.commit"]
    assert network.core.next_deadline() != LOOK_SECONDS


def test_a_response_without_turn_detection_commits_audio_that_waits() -> None:
    network = Network()
    core = network.core
    off = ga.RealtimeSession(audio=ga.AudioConfig(input=ga.AudioInput(turn_detection=None)))
    core.send(ga.SessionUpdateEvent(session=off), 0.0)
    core.events_to_send()
    network.stall()
    network.speak(0.1)
    core.create_response(ga.ResponseCreateEvent(), network.now)
    kinds = [event.type for event in core.events_to_send()]
    assert kinds == ["input_audio_buffer.append", "input_audio_buffer.commit", "response.create"]


def test_a_change_of_the_format_comes_after_the_audio_in_the_old_one() -> None:
    network = Network()
    network.stall()
    network.speak(0.2)
    ulaw = ga.AudioConfig(input=ga.AudioInput(format=ga.AudioPcmu()))
    session = ga.RealtimeSession(audio=ulaw)
    network.core.send(ga.SessionUpdateEvent(session=session), network.now)
    kinds = [event.type for event in network.core.events_to_send()]
    assert kinds == ["input_audio_buffer.append"] * 2 + ["session.update"]
    assert network.core.input_audio.sent_ms == 200


def test_clearing_discards_what_waits() -> None:
    network = Network()
    network.stall()
    network.speak(0.2)
    network.core.send(ga.InputAudioBufferClearEvent(), network.now)
    kinds = [event.type for event in network.core.events_to_send()]
    assert kinds == ["input_audio_buffer.clear"]
    assert (network.core.input_audio.sent_ms, len(network.core.backlog)) == (0, 0)
    assert dropped(network.core) == []


def test_other_events_overtake_the_audio() -> None:
    network = Network()
    network.stall()
    network.speak(0.2)
    network.core.send(ga.ResponseCancelEvent(), network.now)
    assert [e.type for e in network.core.events_to_send()] == ["response.cancel"]
    assert network.core.backlog.waiting_ms == 200


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_an_append_that_was_sent_as_an_event_waits_too(dialect: Any) -> None:
    network = Network(dialect=dialect_adapter(dialect))
    network.stall()
    one, two = (codec.append_event(chunk(number), f"mine_{number}")[1] for number in (1, 2))
    network.core.send(one, 1.0)
    network.core.send(two, 1.0)
    network.core.append_audio(chunk(3), 1.0)
    assert network.sent() == []
    network.unsent = 0
    network.now = 1.0
    network.look()
    assert network.sent() == [1, 2, 3]
    bad = ga.InputAudioBufferAppendEvent(audio=msgspec.Raw(b'"?"'))
    with pytest.raises(LocalProtocolError, match="base64"):
        network.core.send(bad, 2.0)


def test_what_waits_at_a_loss_is_for_the_next_session() -> None:
    network = Network(reconnect=ReconnectPolicy())
    network.stall()
    network.speak(2)
    network.core.suspend(ConnectionLost("reset"), network.now)
    assert (network.core.input_audio.sent_ms, len(network.core.backlog)) == (2000, 0)
    network.speak(1)  # without a connection: recorded, whatever the old transport says
    assert network.core.input_audio.sent_ms == 3000
    assert network.sent() == []


def test_the_end_discards_what_waits() -> None:
    network = Network()
    network.stall()
    network.speak(6)
    network.core.end(None)
    assert len(network.core.backlog) == 0
    assert [is_over for _, is_over in dropped(network.core)] == [False, True]
    assert network.core.next_deadline() is None


def test_without_a_limit_the_transport_gets_all() -> None:
    network = Network(max_input_delay=None)
    network.stall()
    network.speak(10)
    assert len(network.sent()) == 100


def test_a_recording_that_is_appended_at_once_is_not_late() -> None:
    """A minute appended in one moment, over a network of three times the speed of speech."""
    network = Network()
    network.stall()
    for number in range(200):
        network.core.append_audio(bytes([number]) * (CHUNK * 3), 0.0)
    sent: list[int] = []
    while network.core.next_deadline() is not None:
        network.unsent = ROOM_BYTES - CHUNK * 4 if len(sent) * 0.1 < network.now else STALLED
        network.look()
        sent += network.sent()
    assert sent == list(range(200))
    assert dropped(network.core) == []
    assert network.now < 30


def test_the_backlog_has_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_backlog, "MAX_WAITING_BYTES", 10 * CHUNK)
    network = Network()
    network.stall()
    for number in range(1, 31):
        network.core.append_audio(chunk(number), 0.0)
    assert len(network.core.backlog) == 10 * CHUNK
    network.core.backlog.flush()
    assert network.sent() == list(range(21, 31))
    assert dropped(network.core) == [(100, False), (2000, True)]


def test_an_event_of_audio_that_waited_is_shown_when_it_is_sent() -> None:
    network = Network()
    network.stall()
    network.core.append_audio(chunk(1), 1.0, is_shown=True)
    network.core.append_audio(chunk(2), 1.0, is_shown=False)
    assert network.core.take(Notify) == []
    network.core.handle_deadline(1.0 + LOOK_SECONDS)
    network.unsent = 0
    network.core.handle_deadline(2.0)
    (shown,) = [update for effect in network.core.take(Notify) for update in effect.updates]
    assert isinstance(shown, RealtimeEvent)
    assert isinstance(shown.event, ga.InputAudioBufferAppendEvent)
    assert base64.b64decode(bytes(shown.event.audio)) == chunk(1)
    assert network.sent() == [1, 2]


def test_a_network_that_is_always_too_slow_costs_audio_and_no_memory() -> None:
    network = Network()
    network.stall()
    network.speak(3600)
    assert network.core.backlog.waiting_ms <= 5000 + 2 * CHUNK_MS
    assert network.core.backlog.dropped_ms >= 3_594_000
    assert [is_over for _, is_over in dropped(network.core)] == [False]
