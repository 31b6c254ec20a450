from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.session.session_events import added, feed, message, new_core, server

from duologue.protocol import ga
from duologue.protocol.formats import G711_ULAW, PCM16
from duologue.session.input_audio import MAX_TURNS, SentAudio

KEPT_SECONDS = 600

SPOKEN = message("item_u") | {"content": [{"type": "input_audio", "transcript": None}]}


def test_the_clock_counts_in_each_format() -> None:
    audio = SentAudio()
    audio.append(bytes(4800))
    audio.set_format(G711_ULAW)
    audio.append(bytes(800))
    assert audio.sent_ms == 200.0
    assert audio.sent_bytes == 5600


def test_clear_and_commit_do_not_reset_the_clock() -> None:
    audio = SentAudio()
    audio.append(bytes(4800))
    audio.commit("event_1")
    audio.clear()
    assert (audio.sent_ms, audio.uncommitted_bytes) == (100.0, 0)


def test_a_clip_extends_from_speech_started_to_speech_stopped() -> None:
    core = new_core()
    recorded = bytes(range(256)) * 75  # 400 ms
    core.append_audio(recorded[:9600], 1.0)
    core.append_audio(recorded[9600:], 1.0)
    feed(
        core,
        server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=100),
        server("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=300),
        server("input_audio_buffer.committed", item_id="item_u"),
        added(SPOKEN),
    )
    assert core.conversation.item("item_u").formatted.audio == recorded[4800:14400]


def test_clips_are_cut_in_the_format_of_their_time() -> None:
    core = new_core()
    core.append_audio(bytes(4800), 1.0)
    ulaw = ga.AudioConfig(input=ga.AudioInput(format=ga.AudioPcmu()))
    core.send(ga.SessionUpdateEvent(session=ga.RealtimeSession(audio=ulaw)), 1.0)
    core.append_audio(bytes(range(200)) * 4, 1.0)
    feed(
        core,
        server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=125),
        server("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=150),
        added(SPOKEN),
    )
    assert core.conversation.item("item_u").formatted.audio == bytes(range(200))


def test_without_turn_detection_a_commit_takes_the_uncommitted_audio() -> None:
    core = new_core()
    core.append_audio(b"old.", 1.0)
    core.send(ga.InputAudioBufferClearEvent(), 1.0)
    core.append_audio(b"one.", 1.0)
    core.send(ga.InputAudioBufferCommitEvent(), 1.0)
    core.append_audio(b"two.", 1.0)
    core.send(ga.InputAudioBufferCommitEvent(), 1.0)
    feed(core, server("input_audio_buffer.committed", item_id="item_u"), added(SPOKEN))
    feed(core, server("input_audio_buffer.committed", item_id="item_v"))
    feed(core, added(SPOKEN | {"id": "item_v"}))
    clips = [item.formatted.audio for item in core.conversation.items]
    assert clips == [b"one.", b"two."]


def test_the_audio_of_a_refused_commit_belongs_to_no_item() -> None:
    core = new_core()
    core.append_audio(b"tiny", 1.0)
    core.send(ga.InputAudioBufferCommitEvent(event_id="mine"), 1.0)
    error = {"type": "invalid_request_error", "message": "too small", "event_id": "mine"}
    feed(core, server("error", error=error))
    feed(core, server("input_audio_buffer.committed", item_id="item_u"), added(SPOKEN))
    assert core.conversation.item("item_u").formatted.audio == b""


def test_speech_stopped_without_speech_started_is_an_empty_clip() -> None:
    audio = SentAudio()
    audio.append(bytes(4800))
    stop = server("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=50)
    assert isinstance(stop, ga.InputAudioBufferSpeechStoppedEvent)
    audio.on_speech_stopped(stop)
    assert audio.take_clip("item_u") == b""
    assert audio.take_clip("item_u") is None


def test_old_audio_is_dropped_and_the_clock_continues() -> None:
    audio = SentAudio()
    second = bytes(48_000)
    for _ in range(KEPT_SECONDS * 5 // 4 + 2):
        audio.append(second)
    start = server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
    assert isinstance(start, ga.InputAudioBufferSpeechStartedEvent)
    audio.on_speech_started(start)
    clip = audio.take_clip("item_u")
    assert clip is not None
    assert KEPT_SECONDS * 48_000 <= len(clip) < KEPT_SECONDS * 48_000 * 5 // 4
    assert audio.sent_ms == (KEPT_SECONDS * 5 // 4 + 2) * 1000


def test_unanswered_commits_are_bounded() -> None:
    audio = SentAudio()
    audio.set_format(PCM16)
    for number in range(MAX_TURNS + 1):
        audio.append(b"%02d" % number)
        audio.commit(f"event_{number}")
    committed = server("input_audio_buffer.committed", item_id="item_u")
    assert isinstance(committed, ga.InputAudioBufferCommittedEvent)
    audio.on_committed(committed)
    assert audio.take_clip("item_u") == b"01"


@given(
    st.lists(st.binary(max_size=300), max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_a_clip_is_a_slice_of_the_appended_audio(
    chunks: list[bytes], start_ms: int, end_ms: int
) -> None:
    audio = SentAudio()
    for chunk in chunks:
        audio.append(chunk)
    for kind, name, ms in (("started", "start", start_ms), ("stopped", "end", end_ms)):
        event = server(f"input_audio_buffer.speech_{kind}", item_id="i", **{f"audio_{name}_ms": ms})
        if isinstance(event, ga.InputAudioBufferSpeechStartedEvent):
            audio.on_speech_started(event)
        else:
            assert isinstance(event, ga.InputAudioBufferSpeechStoppedEvent)
            audio.on_speech_stopped(event)
    whole = b"".join(chunks)
    assert audio.take_clip("i") == whole[PCM16.bytes(start_ms) : PCM16.bytes(end_ms)]
