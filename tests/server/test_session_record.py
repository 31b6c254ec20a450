"""Records of sessions: bounded in memory, and enough for a test."""

from __future__ import annotations

import pytest

from duologue import RealtimeClient
from duologue.protocol import ga
from duologue.protocol.model import UnknownEvent, audio_field
from duologue.server import LocalServer, SessionRecord
from duologue.server.event_store import MAX_BYTES, EventLog, EventStore, audio_bytes
from duologue.server.fault_injection import FaultRegistry

SECOND = bytes(48_000)


def delta(number: int, audio: bytes = SECOND) -> ga.ResponseAudioDeltaEvent:
    return ga.ResponseAudioDeltaEvent(
        delta=audio_field(audio),
        event_id=f"event_{number}",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
    )


def record(store: EventStore) -> SessionRecord:
    with FaultRegistry().injecting() as injector:
        return SessionRecord(injector, store)


@pytest.mark.asyncio
async def test_an_hour_of_audio_leaves_lengths_only() -> None:
    store = EventStore()
    sessions = [record(store) for _ in range(4)]
    for session in sessions:
        for number in range(900):
            session.observe(ga.InputAudioBufferAppendEvent.of(SECOND))
            session.observe(delta(number))
    kept = [event for session in sessions for event in (*session.received, *session.sent)]
    assert len(kept) > 4000
    assert {audio_bytes(event) for event in kept} == {len(SECOND)}
    appends = [e for e in kept if isinstance(e, ga.InputAudioBufferAppendEvent)]
    assert sum(len(event.audio_data) for event in appends) < 1 << 20
    assert appends[0].audio_data == b""
    assert appends[-1].audio_data == SECOND
    assert len(sessions[3].sent) == 900


def test_texts_types_and_lengths_are_kept() -> None:
    store, log = EventStore(), EventLog[ga.ConversationItemCreateEvent]()
    spoken = ga.InputAudio(audio="AAAA" * 1000, transcript="Hello")
    item = ga.Message(role="user", content=[ga.InputText(text="Hi"), spoken])
    store.add(log, ga.ConversationItemCreateEvent(event_id="mine", item=item))
    assert log[0].item == item
    for _ in range(20):
        store.add(
            EventLog[ga.InputAudioBufferAppendEvent](), ga.InputAudioBufferAppendEvent.of(SECOND)
        )
    [event] = log
    assert isinstance(event.item, ga.Message)
    assert event.event_id == "mine"
    assert event.item.content == [ga.InputText(text="Hi"), ga.InputAudio(transcript="Hello")]
    assert audio_bytes(event) == 3000


@pytest.mark.parametrize(("all_audio", "seconds"), [(False, 14), (True, 450)])
def test_more_audio_is_kept_on_request(*, all_audio: bool, seconds: int) -> None:
    store = EventStore(all_audio=all_audio)
    log = EventLog[ga.InputAudioBufferAppendEvent]()
    for _ in range(500):
        store.add(log, ga.InputAudioBufferAppendEvent.of(SECOND))
    assert len([event for event in log if event.audio_data]) == pytest.approx(seconds, rel=0.1)


def test_an_event_that_is_too_large_is_kept_by_its_type() -> None:
    store, log = EventStore(), EventLog[UnknownEvent]()
    store.add(log, UnknownEvent(type="x", raw=b"a" * MAX_BYTES))
    assert (log[0].type, log[0].raw) == ("x", b"")


@pytest.mark.asyncio
async def test_an_event_that_was_forgotten_still_counts() -> None:
    store = EventStore()
    session, other = record(store), record(store)
    for number in range(3):
        session.observe(ga.ResponseCreateEvent(event_id=f"mine_{number}"))
    for _ in range(MAX_BYTES // 10_000):
        other.observe(ga.SessionUpdateEvent(session=ga.RealtimeSession(instructions="x" * 10_000)))
    session.observe(ga.ResponseCreateEvent(event_id="mine_3"))
    assert [event.event_id for event in session.received] == ["mine_3"]
    assert await session.wait_for("response.create", nth=4) is session.received[0]
    with pytest.raises(LookupError, match="was forgotten"):
        await session.wait_for("response.create", nth=3)


@pytest.mark.asyncio
async def test_a_server_records_audio_on_request() -> None:
    server = LocalServer(transport="memory", record_audio=True)
    async with server, RealtimeClient(connector=server.connector) as client:
        client.append_input_audio(SECOND)
        event = await server.sessions[0].wait_for("input_audio_buffer.append")
        assert event is server.sessions[0].received[-1]
        assert server.sessions[0].audio_bytes(event) == len(SECOND)
