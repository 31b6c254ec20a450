"""The page on events lists every event, and how the server handles it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.protocol.protocol_data import catalog, examples
from tests.server.session.conftest import Harness

from duologue.protocol import beta, codec, ga
from duologue.protocol.translate import to_beta, to_ga
from duologue.server.session.engine_work import Transcribe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "server" / "events.md").read_text()
SERVER = "".join(path.read_text() for path in (ROOT / "src/duologue/server").rglob("*.py"))


def table(heading: str) -> dict[str, dict[str, str]]:
    """Return a section's table of events: type to column to mark."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (\S+) \| (\S+) \|", section, re.MULTILINE)
    return {kind: {"ga": in_ga, "beta": second} for kind, in_ga, second in rows}


CLIENT = table("Client events")
SERVER_EVENTS = table("Server events")
TRANSLATION = table("Translation sessions")


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize(
    ("listed", "events"), [(CLIENT, "client_events"), (SERVER_EVENTS, "server_events")]
)
def test_every_event_of_the_catalog_is_listed(
    dialect: str, listed: dict[str, dict[str, str]], events: str
) -> None:
    there = {kind for kind, marks in listed.items() if marks[dialect] in {"yes", "no"}}
    assert there == set(catalog()["dialects"][dialect][events])


def test_every_event_of_translation_sessions_is_listed() -> None:
    in_ga = catalog()["dialects"]["ga"]
    listed = in_ga["translation_client_events"] | in_ga["translation_server_events"]
    assert set(TRANSLATION) == set(listed)


def test_the_server_builds_exactly_the_events_that_the_page_marks_as_sent() -> None:
    for event in get_args(ga.KnownServerEvent):
        is_built = re.search(rf"\b{event.__name__}\b", SERVER) is not None
        kind = str(event.__struct_config__.tag)
        assert kind in SERVER_EVENTS, f"add a row for {kind} to docs/server/events.md"
        assert SERVER_EVENTS[kind]["ga"] == ("yes" if is_built else "no"), kind


def test_events_sent_in_ga_are_sent_in_beta_by_the_name_on_the_page() -> None:
    """Every example of an event that the server sends is translated to events that it lists."""
    sent: set[str] = set()
    for example in examples():
        if example.dialect == "ga" and example.direction == "server":
            event = example_event(example.frame)
            if event is not None and SERVER_EVENTS[event.type]["ga"] == "yes":
                sent |= {each.type for each in to_beta(event).events}
    assert sent <= {kind for kind, marks in SERVER_EVENTS.items() if marks["beta"] == "yes"}


def example_event(frame: bytes) -> Any:
    event = codec.decode(frame)
    return event if isinstance(event, ga.KnownServerEvent) else None


@pytest.mark.parametrize("kind", CLIENT)
def test_the_server_accepts_the_client_events_that_the_page_marks(kind: str) -> None:
    """Its content may be refused, but not its type."""
    for dialect in ("ga", "beta"):
        example = next(
            e
            for e in examples()
            if (e.dialect, e.type, e.direction, e.surface) == (dialect, kind, "client", "realtime")
        )
        harness = Harness()
        event: Any = decode_client(example.frame, dialect)
        for each in to_ga(event).events if dialect == "beta" else [event]:
            harness.session.receive(each, harness.now)
        harness.take()
        params = {
            sent.error.param for sent in harness.events if isinstance(sent, ga.RealtimeErrorEvent)
        }
        is_accepted = "type" not in params
        assert CLIENT[kind][dialect] == ("yes" if is_accepted else "no"), dialect


def decode_client(frame: bytes, dialect: str) -> beta.AnyClientEvent | ga.AnyClientEvent:
    if dialect == "beta":
        return codec.decode(frame, dialect="beta", direction="client")
    return codec.decode(frame, direction="client")


def test_an_mcp_server_is_reported_as_failed_and_the_session_is_updated() -> None:
    harness = Harness()
    tools = [{"type": "mcp", "server_label": "files", "server_url": "https://files.example"}]
    assert harness.configure(tools=tools) == [
        "session.updated",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.failed",
    ]
    begun, failed = harness.events[-2:]
    assert isinstance(begun, ga.McpListToolsInProgress)
    assert isinstance(failed, ga.McpListToolsFailed)
    assert begun.item_id == failed.item_id


def test_a_diarizing_model_reports_the_speaker() -> None:
    harness = Harness()
    harness.configure(audio={"input": {"transcription": {"model": "gpt-4o-transcribe-diarize"}}})
    harness.say(400, silence_ms=300)
    [item_id] = [c.item_id for c in harness.commands if isinstance(c, Transcribe)]
    harness.engine.transcript(item_id, "hello")
    assert harness.take()[-2:] == [
        "conversation.item.input_audio_transcription.segment",
        "conversation.item.input_audio_transcription.completed",
    ]
    segment = harness.last("conversation.item.input_audio_transcription.segment")
    assert isinstance(segment, ga.ConversationItemInputAudioTranscriptionSegment)
    assert (segment.speaker, segment.text, segment.start) == ("spk_1", "hello", 0.0)
