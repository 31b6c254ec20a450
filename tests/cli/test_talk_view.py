"""The view of `duologue talk`: updates of a session in, lines and a phase out."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import click
import pytest
from tests.session.session_events import (
    added,
    done,
    message,
    new_core,
    output_item,
    part_event,
    response,
    server,
)

from duologue import ConnectionLost, Disconnected, Reconnected
from duologue.cli.talk.lines import LinePrinter
from duologue.cli.talk.view import MAX_LINES, Phase, TalkView
from duologue.devices import BackchannelHeard, EchoHeard, ReplyAskedAgain, ReplyInterrupted
from duologue.protocol.formats import PCM16
from duologue.session.effects import Notify
from duologue.session.latency import LatencyReport, ResponseLatency, TurnLatency
from duologue.session.playback import PlaybackCut
from duologue.session.prices import PRICES, TokenUsage
from duologue.session.updates import ConversationUpdated, DeadAir
from duologue.session.usage import UsageReport

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyServerEvent

SPOKEN: dict[str, Any] = {"content": [{"type": "input_audio", "transcript": None}]}
LOST = ConnectionLost("the network is down")
BACK = Reconnected(
    error=LOST,
    attempts=1,
    seconds=0.4,
    restored_items=1,
    missing_items=(),
    renamed_items={},
    asked_again=0,
    resent_audio_ms=0.0,
    lost_audio_ms=0.0,
)


class Shown:
    """A view that is fed by a session."""

    def __init__(self) -> None:
        self.core = new_core()
        self.view = TalkView(PCM16)
        self.heard: dict[str, float] = {}
        self.printed: list[str] = []
        self._printer = LinePrinter(self.printed.append)

    def feed(self, *events: AnyServerEvent) -> None:
        for event in events:
            self.core.receive(event, 1.0)
        for effect in self.core.take(Notify):
            for update in effect.updates:
                if (
                    isinstance(update, ConversationUpdated)
                    and update.item.id not in self.core.conversation
                ):
                    self.view.remove(update.item.id)
                else:
                    self.view.receive(update)

    def ask(self, item_id: str, words: str | None) -> None:
        start = server("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        stop = server("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=900)
        commit = server("input_audio_buffer.committed", item_id=item_id)
        self.feed(start, stop, commit, added(message(item_id) | SPOKEN))
        if words is not None:
            kind = "conversation.item.input_audio_transcription.completed"
            self.feed(server(kind, item_id=item_id, content_index=0, transcript=words))

    def answer(self, item_id: str, words: str, ms: int, response_id: str = "resp_1") -> None:
        about = {"item_id": item_id, "response_id": response_id}
        item = message(item_id, "assistant", status="in_progress")
        self.feed(
            response("created", response_id, status="in_progress"),
            output_item("added", item, response_id),
            added(item),
            part_event("response.output_audio_transcript.delta", delta=words, **about),
            part_event(
                "response.output_audio.delta", delta=b64encode(bytes(48 * ms)).decode(), **about
            ),
        )

    def finish(self, item_id: str, response_id: str = "resp_1") -> None:
        item = message(item_id, "assistant", status="completed")
        ended = response("done", response_id, status="completed")
        self.feed(output_item("done", item, response_id), done(item), ended)

    def play(self, item_id: str, ms: float) -> None:
        self.heard[item_id] = ms
        self.view.advance(lambda item_id: self.heard.get(item_id, 0.0))

    def phase(self, *, is_playing: bool = False) -> Phase:
        return self.view.phase(is_playing=is_playing)

    def words(self) -> list[tuple[str, str, str]]:
        return [(each.kind, each.heard_text, each.unheard_text) for each in self.view.lines]

    def print(self, *, is_last: bool = False) -> list[str]:
        self.printed.clear()
        self._printer.print(self.view, is_last=is_last)
        return [click.unstyle(line).strip() for line in self.printed]


def test_a_turn_goes_through_its_phases() -> None:
    shown = Shown()
    assert shown.phase() is Phase.LISTENING
    shown.feed(server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0))
    assert shown.phase() is Phase.USER_SPEAKS
    shown.feed(server("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=900))
    assert shown.phase() is Phase.THINKING
    shown.answer("item_a", "Hello there", 1000)
    assert shown.phase(is_playing=True) is Phase.SPEAKING
    assert shown.phase() is Phase.THINKING
    shown.finish("item_a")
    assert shown.phase() is Phase.LISTENING


def test_words_appear_as_they_are_heard() -> None:
    shown = Shown()
    shown.ask("item_u", "What is it?")
    shown.answer("item_a", "One two three four", 1000)
    assert shown.words() == [("user", "What is it?", ""), ("assistant", "", "One two three four")]
    shown.play("item_a", 500)
    assert shown.words()[1] == ("assistant", "One two", " three four")
    shown.finish("item_a")
    shown.play("item_a", 999.5)
    assert shown.words()[1] == ("assistant", "One two three four", "")
    assert [line.is_final for line in shown.view.lines] == [True, True]


def test_an_interrupted_answer_keeps_what_was_not_heard() -> None:
    shown = Shown()
    shown.answer("item_a", "One two three four", 1000)
    shown.view.notice(ReplyInterrupted((PlaybackCut("item_a", 0, 12_000, 500),)))
    about = {"item_id": "item_a", "content_index": 0}
    shown.feed(
        part_event("response.output_audio_transcript.delta", item_id="item_a", delta=" five"),
        server("conversation.item.truncated", audio_end_ms=500, **about),
    )
    assert shown.words() == [("assistant", "One two", " three four five")]
    assert shown.print() == ["assistant ▸ One two [not heard: three four five]"]


def test_an_answer_of_which_nothing_was_heard_stays_shown() -> None:
    shown = Shown()
    shown.answer("item_a", "One two", 1000)
    shown.view.notice(ReplyInterrupted((PlaybackCut("item_a", 0, 0, 0),)))
    shown.feed(server("conversation.item.deleted", item_id="item_a"))
    assert shown.words() == [("assistant", "", "One two")]


def test_an_answer_that_is_requested_again_is_removed() -> None:
    shown = Shown()
    shown.answer("item_a", "One two", 1000)
    shown.feed(server("conversation.item.deleted", item_id="item_a"))
    assert shown.words() == []


def test_text_is_read_as_it_arrives() -> None:
    shown = Shown()
    item = message("item_a", "assistant", status="in_progress")
    shown.feed(
        response("created", "resp_1", status="in_progress"),
        output_item("added", item),
        added(item),
        part_event("response.output_text.delta", delta="Hello"),
    )
    assert shown.words() == [("assistant", "Hello", "")]
    shown.finish("item_a")
    shown.play("item_a", 0)
    assert shown.view.lines[0].is_final


def test_a_call_shows_its_arguments_and_its_output() -> None:
    shown = Shown()
    call = {
        "id": "item_c", "type": "function_call", "call_id": "call_1", "name": "get_weather",
        "arguments": '{"city":"Paris"}', "status": "completed",
    }  # fmt: skip
    output = {
        "id": "item_o", "type": "function_call_output", "call_id": "call_1", "output": "sunny",
    }  # fmt: skip
    shown.feed(response("created", "resp_1", status="in_progress"), output_item("added", call))
    shown.feed(added(call), output_item("done", call), response("done", status="completed"))
    assert shown.phase() is Phase.CALLING
    shown.feed(added(output))
    assert shown.phase() is Phase.LISTENING
    assert shown.print() == ['tool ▸ get_weather({"city":"Paris"}) → sunny']


def test_a_lost_connection_is_shown_until_it_is_back() -> None:
    shown = Shown()
    shown.view.receive(Disconnected(LOST, will_retry=True))
    assert shown.phase() is Phase.CONNECTING
    shown.view.receive(BACK)
    assert shown.phase() is Phase.LISTENING
    shown.view.receive(Disconnected(None))
    assert shown.phase() is Phase.CLOSED
    assert shown.print() == [
        "· the connection was lost (the network is down): connecting again…",
        "· connected again after 0.4 s",
    ]


@pytest.mark.parametrize(
    ("notice", "words"),
    [
        (EchoHeard(is_half_duplex=True), "off while the assistant speaks"),
        (EchoHeard(is_half_duplex=False), "headphones"),
        (BackchannelHeard("item_u", "uh-huh"), "not an interruption: uh-huh"),
        (ReplyAskedAgain(), "goes on"),
    ],
)
def test_decisions_are_notes(notice: Any, words: str) -> None:
    shown = Shown()
    shown.view.notice(notice)
    assert words in shown.view.lines[0].text


def test_silence_of_the_server_is_a_note() -> None:
    shown = Shown()
    shown.view.receive(DeadAir(kind="response_stalled", seconds=20.2, remedy="reconnecting"))
    assert shown.print() == ["· the server has been silent for 20 s"]


def test_speech_that_becomes_no_message_is_forgotten() -> None:
    shown = Shown()
    shown.feed(server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0))
    shown.feed(server("input_audio_buffer.cleared"))
    assert shown.words() == []
    assert shown.phase() is Phase.LISTENING


def test_lines_are_printed_in_spoken_order() -> None:
    shown = Shown()
    shown.ask("item_u", None)
    shown.answer("item_a", "Hello", 1000)
    assert shown.print() == []
    shown.ask("item_u", "Hi.")
    assert shown.print() == ["you ▸ Hi."]
    shown.finish("item_a")
    shown.play("item_a", 1000)
    assert shown.print() == ["assistant ▸ Hello"]
    assert shown.print(is_last=True) == []


def test_a_transcript_that_does_not_come_holds_nothing_up() -> None:
    shown = Shown()
    shown.ask("item_u", None)
    shown.answer("item_a", "Hello", 1000)
    shown.finish("item_a")
    shown.play("item_a", 1000)
    assert shown.print() == ["assistant ▸ Hello"]
    kind = "conversation.item.input_audio_transcription.completed"
    shown.feed(server(kind, item_id="item_u", content_index=0, transcript="Hi."))
    assert shown.print() == ["you ▸ Hi."]


@pytest.mark.parametrize(("stage", "words"), [("completed", "(no words)"), ("failed", "(no tr")])
def test_speech_without_words_is_said_to_have_none(stage: str, words: str) -> None:
    shown = Shown()
    shown.ask("item_u", None)
    kind = f"conversation.item.input_audio_transcription.{stage}"
    error = {"type": "server_error", "message": "no"}
    shown.feed(server(kind, item_id="item_u", content_index=0, transcript=" ", error=error))
    [line] = shown.view.lines
    assert line.is_final
    assert line.text.startswith(words)


def test_totals_are_of_the_last_turn_and_of_all() -> None:
    shown = Shown()
    shown.answer("item_a", "Hello", 1000)
    turns = tuple(
        TurnLatency(
            speech_stopped=1.0,
            responses=(ResponseLatency(response_id="resp", created=1.1, first_audio=time),),
        )
        for time in (1.5, 1.6, 1.75)
    )
    usage = TokenUsage(count=3)
    report = UsageReport(
        responses=usage, transcriptions=TokenUsage(), models={"m": usage}, prices=PRICES
    )
    shown.view.measure(LatencyReport(turns), report)
    assert shown.view.latency == "first audio 0.75 s, median 0.60 s of 3"
    assert shown.view.usage == "0 tokens"
    assert shown.view.lines[0].detail == "0.75 s"


def test_the_oldest_lines_are_dropped() -> None:
    view = TalkView(PCM16)
    for number in range(MAX_LINES + 5):
        view.note(str(number))
    assert len(view.lines) == MAX_LINES
    assert view.lines[0].text == "5"
