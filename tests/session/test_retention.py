"""Memory limits: the oldest audio is dropped first, then the oldest items."""

from __future__ import annotations

import tracemalloc
from base64 import b64encode
from typing import TYPE_CHECKING

from tests.session.session_events import (
    Probe,
    added,
    feed,
    message,
    output_item,
    part_event,
    server,
)

from duologue.protocol import ga
from duologue.session.retention import KEEP_ALL, KEEP_NO_AUDIO, Retention, remember
from duologue.session.updates import ConversationUpdated

if TYPE_CHECKING:
    from duologue.session.updates import Update

SECOND = bytes(48_000)


def new_core(retention: Retention) -> Probe:
    return Probe(retention=retention)


def speak(core: Probe, item_id: str, seconds: int) -> list[Update]:
    item = message(item_id, "assistant", status="in_progress")
    feed(core, output_item("added", item), added(item))
    sound = b64encode(SECOND).decode()
    event = part_event("response.output_audio.delta", item_id=item_id, delta=sound)
    return [update for _ in range(seconds) for update in feed(core, event)]


def sizes(core: Probe) -> list[int]:
    return [len(item.formatted.audio) // len(SECOND) for item in core.conversation]


def test_the_oldest_audio_is_dropped_and_its_text_stays() -> None:
    core = new_core(Retention(audio_minutes=0.1))
    speak(core, "a", 4)
    feed(core, part_event("response.output_text.delta", item_id="a", delta="words"))
    speak(core, "b", 2)
    assert sizes(core) == [4, 2]
    speak(core, "c", 1)
    assert sizes(core) == [0, 2, 1]
    assert core.conversation.item("a").formatted.text == "words"
    speak(core, "d", 20)
    assert sizes(core) == [0, 0, 0, 0]


def test_keep_all_keeps_everything() -> None:
    core = new_core(KEEP_ALL)
    speak(core, "a", 20)
    assert sizes(core) == [20]
    core.append_audio(SECOND, 1.0)
    feed(core, server("session.updated", session={"type": "realtime", "audio": {"output": {}}}))
    assert core.input_audio.sent_ms == 1000


def test_keep_no_audio_still_delivers_each_delta() -> None:
    core = new_core(KEEP_NO_AUDIO)
    updates = speak(core, "a", 3)
    audio = [u.delta.audio for u in updates if isinstance(u, ConversationUpdated) and u.delta]
    assert audio == [SECOND] * 3
    assert sizes(core) == [0]


def test_large_pieces_of_user_audio_are_dropped_at_once() -> None:
    core = new_core(KEEP_NO_AUDIO)
    tracemalloc.start()
    for _ in range(50):
        core.append_audio(bytes(1_000_000), 1.0)
        core.effects()
    kept_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept_bytes < 2_000_000  # the latest piece is kept
    assert core.input_audio.sent_bytes == 50_000_000


def test_user_audio_has_its_own_limit() -> None:
    core = new_core(Retention(audio_minutes=0.1))
    speak(core, "a", 6)
    for number in range(4):
        core.append_audio(SECOND * 2, 1.0)
        core.send(ga.InputAudioBufferCommitEvent(), 1.0)
        item = message(f"u{number}") | {"content": [{"type": "input_audio", "transcript": None}]}
        feed(core, server("input_audio_buffer.committed", item_id=f"u{number}"), added(item))
    assert sizes(core) == [6, 0, 2, 2, 2]


def test_deleting_an_item_frees_its_audio() -> None:
    core = new_core(Retention(audio_minutes=0.1))
    speak(core, "a", 5)
    feed(core, server("conversation.item.deleted", item_id="a"))
    speak(core, "b", 5)
    assert sizes(core) == [5]


def test_the_oldest_items_are_dropped() -> None:
    core = new_core(Retention(items=2))
    for item_id in "abc":
        feed(core, added(message(item_id)))
    assert [item.id for item in core.conversation] == ["b", "c"]


def test_the_limit_depends_on_the_audio_format() -> None:
    core = new_core(Retention(audio_minutes=0.1))
    audio = {"output": {"format": {"type": "audio/pcmu"}}}
    feed(core, server("session.updated", session={"type": "realtime", "audio": audio}))
    speak(core, "a", 1)
    assert len(core.conversation.item("a").formatted.audio) == 48_000
    speak(core, "b", 1)
    assert sizes(core) == [0, 1]


def test_remember_drops_the_oldest_entry() -> None:
    mapping: dict[str, int] = {}
    assert [remember(mapping, key, number, 2) for number, key in enumerate("abc")] == [0, 1, 2]
    assert mapping == {"b": 1, "c": 2}
