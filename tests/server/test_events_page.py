"""The page on events is whole, and says of each what the server does."""

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


def test_what_the_page_says_is_told_is_built_by_the_server_and_nothing_else_is() -> None:
    for event in get_args(ga.KnownServerEvent):
        is_built = re.search(rf"\b{event.__name__}\b", SERVER) is not None
        kind = str(event.__struct_config__.tag)
        assert SERVER_EVENTS[kind]["ga"] == ("yes" if is_built else "no"), kind


def test_what_is_told_in_ga_is_told_in_beta_by_the_name_on_the_page() -> None:
    """Whatever GA tells, as examples show it, is translated to events that the page lists."""
    told: set[str] = set()
    for example in examples():
        if example.dialect == "ga" and example.direction == "server":
            event = example_event(example.frame)
            if event is not None and SERVER_EVENTS[event.type]["ga"] == "yes":
                told |= {each.type for each in to_beta(event).events}
    assert told <= {kind for kind, marks in SERVER_EVENTS.items() if marks["beta"] == "yes"}


def example_event(frame: bytes) -> Any:
    event = codec.decode(frame)
    return event if isinstance(event, ga.KnownServerEvent) else None


@pytest.mark.parametrize("kind", CLIENT)
def test_what_a_client_may_send_is_taken(kind: str) -> None:
    """Refused for what it says it may be, but never for what it is."""
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
            told.error.param for told in harness.events if isinstance(told, ga.RealtimeErrorEvent)
        }
        is_taken = "type" not in params
        assert CLIENT[kind][dialect] == ("yes" if is_taken else "no"), dialect


def decode_client(frame: bytes, dialect: str) -> beta.AnyClientEvent | ga.AnyClientEvent:
    if dialect == "beta":
        return codec.decode(frame, dialect="beta", direction="client")
    return codec.decode(frame, direction="client")


def test_an_mcp_server_is_told_to_have_failed_and_the_session_is_updated() -> None:
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


def test_a_diarizing_model_is_told_who_spoke() -> None:
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
