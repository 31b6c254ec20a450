"""Playback ledgers: heard audio, counted to the sample."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.session.session_events import (
    added,
    done,
    feed,
    message,
    new_core,
    output_item,
    part_event,
    response,
)

from duologue import (
    ConversationUpdated,
    Interrupted,
    PlaybackCut,
    PlaybackLedger,
    RealtimeClient,
    ServerError,
)
from duologue.protocol import ga
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format
from duologue.server import LocalServer
from duologue.session.playback import MAX_ITEMS, MAX_WAITING_MINUTES

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyServerEvent

ITEMS = ("item_a", "item_b", "item_c")


def sound(first: int, count: int) -> bytes:
    """Return samples that are all different, and none of them silence."""
    return b"".join(number.to_bytes(2, "little") for number in range(first + 1, first + 1 + count))


# Properties: a ledger against a listener that records every sample.


class Listener:
    """Model that counts each sample, where the ledger counts spans."""

    def __init__(self) -> None:
        self.ledger = PlaybackLedger()
        self.received: dict[str, int] = {}
        self.waiting: dict[str, list[bytes]] = {}
        self.ended: set[str] = set()
        self.closed: set[str] = set()
        self.timeline: list[tuple[str, bytes] | None] = []
        self._next = 0

    def add(self, item_id: str, count: int) -> None:
        audio = sound(self._next, count)
        self._next += count
        is_played = item_id not in self.closed
        assert self.ledger.add(item_id, audio) is (is_played and count > 0)
        if is_played:
            self.received[item_id] = self.received.get(item_id, 0) + count
            samples = self.waiting.setdefault(item_id, [])
            samples += [audio[at : at + 2] for at in range(0, len(audio), 2)]

    def end(self, item_id: str) -> None:
        self.ledger.end(item_id)
        if item_id in self.received:
            self.ended.add(item_id)

    def take(self, count: int | None) -> None:
        taken = self.ledger.take(count)
        played: list[tuple[str, bytes] | None] = []
        for item_id, samples in self.waiting.items():
            more = len(samples) if count is None else min(len(samples), count - len(played))
            played += [(item_id, sample) for sample in samples[:more]]
            del samples[:more]
        played += [None] * ((count or 0) - len(played))
        assert taken == b"".join(sample[1] if sample else b"\0\0" for sample in played)
        self.timeline += played
        assert self.ledger.position == len(self.timeline)

    def interrupt(self, unheard: int) -> None:
        heard = dict.fromkeys(self.received, 0)
        for sample in self.timeline[: max(0, len(self.timeline) - unheard)]:
            if sample and sample[0] in heard:
                heard[sample[0]] += 1
        cuts = self.ledger.interrupt(unheard=unheard)
        assert cuts == [
            PlaybackCut(item_id, 0, count, count // 24)
            for item_id, count in heard.items()
            if count < self.received[item_id] or item_id not in self.ended
        ]
        for cut in cuts:  # never more than was received, or than was heard
            assert 0 <= cut.heard_samples <= self.received[cut.item_id]
            assert cut.audio_end_ms * 24 <= cut.heard_samples
        self.closed |= self.received.keys()
        self.received.clear()
        self.waiting.clear()
        assert self.ledger.waiting == 0


COUNTS = st.integers(0, 60)
STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(ITEMS), COUNTS),
    st.tuples(st.just("end"), st.sampled_from(ITEMS)),
    st.tuples(st.just("take"), COUNTS | st.none()),
    st.tuples(st.just("interrupt"), COUNTS),
)


@given(st.lists(STEPS, max_size=40))
def test_cuts_match_a_listener_that_counts_every_sample(steps: list[tuple[str, ...]]) -> None:
    listener = Listener()
    for name, *arguments in steps:
        getattr(listener, name)(*arguments)
    listener.interrupt(0)
    assert listener.ledger.interrupt() == []
    assert not any(listener.ledger.take(100))


@given(
    st.integers(0, 400),
    st.lists(st.integers(0, 800), max_size=9),
    st.integers(0, 500),
    st.lists(st.integers(0, 500), max_size=9),
    st.integers(0, 200),
)
def test_any_chunking_gives_the_same_audio_and_the_same_cut(
    samples: int, cuts_at: list[int], taken: int, takes_at: list[int], unheard: int
) -> None:
    audio = sound(0, samples)
    ledger = PlaybackLedger()
    bounds = sorted(min(at, len(audio)) for at in [0, *cuts_at, len(audio)])
    for start, end in pairwise(bounds):  # bounds may lie within a sample
        ledger.add("item_a", audio[start:end])
    bounds = sorted(min(at, taken) for at in [0, *takes_at, taken])
    played = b"".join(ledger.take(end - start) for start, end in pairwise(bounds))
    assert played == audio[: taken * 2].ljust(taken * 2, b"\0")
    heard = min(samples, max(0, taken - unheard))
    assert ledger.interrupt(unheard=unheard) == [PlaybackCut("item_a", 0, heard, heard // 24)]


# Typical cases.


def test_an_item_heard_to_its_end_is_not_cut() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 480))
    ledger.end("item_a")
    ledger.take(480)
    assert ledger.interrupt(unheard=1) == [PlaybackCut("item_a", 0, 479, 19)]
    ledger.add("item_b", sound(0, 480))
    ledger.end("item_b")
    ledger.take(480)
    assert ledger.interrupt() == []


def test_progress_is_what_has_left_the_player() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 480))
    ledger.add("item_b", sound(480, 480))
    ledger.take(720)
    assert ledger.heard_samples("item_a", unheard=300) == 420
    assert ledger.heard_samples("item_b", unheard=300) == 0
    assert ledger.heard_samples("item_b") == 240
    ledger.interrupt()
    assert ledger.heard_samples("item_a") == 0


def test_an_item_in_progress_is_cut_even_if_all_its_audio_was_heard() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 480))
    ledger.take(960)
    assert ledger.interrupt() == [PlaybackCut("item_a", 0, 480, 20)]
    assert not ledger.add("item_a", sound(480, 480))
    assert ledger.take() == b""


def test_audio_played_before_a_silence_has_left_the_device() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 480))
    ledger.end("item_a")
    ledger.take(480 + 240)
    assert ledger.interrupt(unheard=240) == []


def test_items_play_in_order_and_later_items_are_cut_to_zero() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 100))
    ledger.add("item_b", sound(100, 100))
    ledger.add("item_c", sound(200, 100))
    assert ledger.take(150) == sound(0, 150)
    assert ledger.waiting == 150
    cuts = ledger.interrupt(unheard=75)
    assert [(cut.item_id, cut.heard_samples) for cut in cuts] == [
        ("item_a", 75),
        ("item_b", 0),
        ("item_c", 0),
    ]


def test_marks_count_the_heard_audio_of_a_telephone_with_its_own_queue() -> None:
    ledger = PlaybackLedger(G711_ULAW)
    marks = []
    for _ in range(5):
        assert ledger.add("item_a", bytes(160))
        assert len(ledger.take()) == 160
        marks.append(ledger.position)
    assert marks == [160, 320, 480, 640, 800]
    [cut] = ledger.interrupt(unheard=ledger.position - marks[1])
    assert cut == PlaybackCut("item_a", 0, 320, 40)
    assert ledger.interrupt(unheard=ledger.position - marks[1]) == []


@pytest.mark.parametrize(
    ("format_", "silence"), [(PCM16, b"\0\0"), (G711_ULAW, b"\xff"), (G711_ALAW, b"\xd5")]
)
def test_a_device_gets_silence_when_no_audio_waits(format_: Format, silence: bytes) -> None:
    ledger = PlaybackLedger(format_)
    assert ledger.take(3) == silence * 3
    assert ledger.take(-1) == b""
    assert ledger.position == 3


def test_a_negative_latency_counts_as_zero() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 48))
    ledger.take(24)
    assert ledger.interrupt(unheard=-10) == [PlaybackCut("item_a", 0, 24, 1)]


def test_waiting_audio_is_bounded() -> None:
    ledger = PlaybackLedger(G711_ULAW)
    minute = bytes(60 * 8000)
    assert all(ledger.add("item_a", minute) for _ in range(MAX_WAITING_MINUTES))
    assert not ledger.add("item_a", b"x")
    ledger.take(8000)
    assert not ledger.add("item_a", b"x")  # it would follow a gap
    assert ledger.add("item_b", b"x")
    ledger.end("item_a")
    ledger.take()
    [cut, _] = ledger.interrupt()
    assert (cut.item_id, cut.heard_samples) == ("item_a", 600 * 8000)


def test_old_items_are_forgotten() -> None:
    ledger = PlaybackLedger()
    for number in range(MAX_ITEMS + 1):
        ledger.add(f"item_{number}", sound(0, 1))
    cuts = ledger.interrupt()
    assert [cut.item_id for cut in cuts] == [f"item_{n}" for n in range(1, MAX_ITEMS + 1)]


# Updates of a conversation.

SPOKEN = {"type": "audio", "transcript": ""}
WRITTEN = {"type": "text", "text": ""}


def audio(samples: int, index: int = 0) -> AnyServerEvent:
    delta = base64.b64encode(sound(0, samples)).decode()
    return part_event("response.output_audio.delta", delta=delta, content_index=index)


def part(index: int, kind: dict[str, str]) -> AnyServerEvent:
    return part_event("response.content_part.added", part=kind, content_index=index)


def words(text: str) -> AnyServerEvent:
    return part_event("response.output_audio_transcript.delta", delta=text)


def feed_ledger(ledger: PlaybackLedger, *events: AnyServerEvent) -> list[bool]:
    core = new_core()
    created = response("created", status="in_progress", conversation_id="conv_1")
    updates = feed(core, created, *events)
    return [ledger.receive(each) for each in updates if isinstance(each, ConversationUpdated)]


def assistant() -> AnyServerEvent:
    return added(message("item_a", "assistant", status="in_progress"))


def test_updates_add_audio_and_end_items() -> None:
    ended = output_item("done", message("item_a", "assistant", status="completed"))
    ledger = PlaybackLedger()
    played = feed_ledger(ledger, assistant(), words("Hi"), audio(480), ended)
    assert played == [False, False, True, False]
    ledger.take(480)
    assert ledger.interrupt() == []
    ledger = PlaybackLedger()
    feed_ledger(ledger, assistant(), words("Hi"), audio(480))
    ledger.take(480)
    assert len(ledger.interrupt()) == 1


def test_a_transcript_registers_an_item_before_its_audio() -> None:
    ledger = PlaybackLedger()
    feed_ledger(ledger, assistant(), words("Well"))
    assert ledger.interrupt() == [PlaybackCut("item_a", 0, 0, 0)]
    feed_ledger(ledger, assistant(), words("Well"), audio(480))
    assert ledger.waiting == 0


def test_user_items_and_text_are_not_played() -> None:
    ledger = PlaybackLedger()
    text = part_event("response.output_text.delta", delta="Hello")
    events = [added(message("item_u", text="Hi")), assistant(), text]
    spoken = message("item_v") | {"content": [{"type": "input_audio", "transcript": None}]}
    transcript = part_event(
        "conversation.item.input_audio_transcription.delta", "item_v", delta="x"
    )
    feed_ledger(ledger, *events, added(spoken), transcript, done(message("item_u", text="Hi")))
    assert ledger.interrupt() == []


def test_each_part_of_an_item_is_counted_separately() -> None:
    ledger = PlaybackLedger()
    feed_ledger(
        ledger,
        assistant(),
        part(0, WRITTEN),
        part(1, SPOKEN),
        audio(240, 1),
        part(2, SPOKEN),
        audio(240, 2),
    )
    ledger.take(360)
    assert ledger.interrupt() == [PlaybackCut("item_a", 2, 120, 5)]


# Over a real socket.

SPEECH = b"\x00\x30" * 12_000 + bytes(24_000)


@pytest.mark.asyncio
@pytest.mark.parametrize("heard_samples", [12_345, 0])
async def test_barge_in_leaves_the_server_with_the_heard_audio(heard_samples: int) -> None:
    ledger = PlaybackLedger()
    cuts: list[PlaybackCut] = []
    async with (
        LocalServer(lambda _: "A long answer. " * 20) as server,
        RealtimeClient(url=server.url, turn_detection=ga.ServerVad()) as client,
    ):

        def play(update: ConversationUpdated) -> None:
            if ledger.receive(update) and ledger.waiting >= 24_000 and not ledger.position:
                ledger.take(heard_samples + 240)
                client.append_input_audio(SPEECH)

        def stop(_: Interrupted) -> None:
            cuts.extend(ledger.interrupt(unheard=240))
            client.truncate_items(cuts)

        client.on(ConversationUpdated, play)
        client.on(Interrupted, stop)
        await client.send_user_message_content("Tell me everything.")
        [session] = server.sessions
        await session.wait_for(f"conversation.item.{'truncated' if heard_samples else 'deleted'}")
        [cut] = cuts
        assert cut == PlaybackCut(cut.item_id, 0, heard_samples, heard_samples // 24)
        if heard_samples:
            assert await held(client, cut.item_id) == PCM16.bytes(514)
            kept = client.conversation.item(cut.item_id).formatted
            assert (kept.audio_bytes, kept.transcript) == (PCM16.bytes(514), "")
        else:
            with pytest.raises(ServerError, match="not found"):
                await client.retrieve_item(cut.item_id)
            assert cut.item_id not in client.conversation


async def held(client: RealtimeClient, item_id: str) -> int:
    """Return the number of bytes of an item's audio on the server."""
    item = await client.retrieve_item(item_id)
    assert isinstance(item, ga.Message)
    [part] = item.content
    assert isinstance(part, ga.OutputAudio)
    assert isinstance(part.audio, str)
    return len(base64.b64decode(part.audio))


def test_a_paused_ledger_returns_silence_and_goes_on_where_it_stopped() -> None:
    ledger = PlaybackLedger()
    ledger.add("item_a", sound(0, 30))
    assert ledger.take(10) == sound(0, 10)
    ledger.is_paused = True
    assert ledger.take(5) == bytes(10)
    assert ledger.take() == b""
    assert (ledger.position, ledger.waiting) == (15, 20)
    ledger.is_paused = False
    assert ledger.take(10) == sound(10, 10)
    assert [cut.heard_samples for cut in ledger.interrupt(unheard=12)] == [10]


def test_a_dropped_item_is_not_played_and_needs_no_cut() -> None:
    ledger = PlaybackLedger()
    for item_id, first in (("item_a", 0), ("item_b", 50)):
        ledger.add(item_id, sound(first, 30))
    ledger.take(10)
    ledger.drop("item_a")
    assert not ledger.add("item_a", sound(30, 10))
    assert ledger.take(10) == sound(50, 10)
    assert [cut.item_id for cut in ledger.interrupt()] == ["item_b"]
