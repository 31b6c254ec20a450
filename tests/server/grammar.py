"""The order in which a server's events may come, as a checker that is fed with them.

    session      session.created, once and first; then anything below, interleaved
    update       session.updated
    turn         speech_started  speech_stopped  input        one turn at a time, of one item id;
                 speech_started  input | cleared              a commit or a clear ends it early
    input        committed  added  done                       in a row, of one new item
                 timeout_triggered  input                     of silence, when no turn is open
    item         added  done                                  client's items: in a row
                 then retrieved*, truncated*, deleted?        of items that are there only
    words        (transcription.delta)*  completed | failed   once per item, after speech_started
    response     created  output*  response.done              at most one of the conversation
                 rate_limits.updated?                         next after response.done
    output       output_item.added  added*  (part | arguments)  done*  output_item.done
                                                              added, done: next to it, and only for
                                                              an item that is in the conversation
    part         content_part.added  (text.delta)*  text.done  content_part.done
                 content_part.added  (transcript.delta | audio.delta)*
                                     audio.done  transcript.done  content_part.done
    arguments    (arguments.delta)*  arguments.done
    error        anywhere

Beta says `conversation.item.created` for added, and nothing for done. In both: event ids are
unique; `previous_item_id` agrees with the order of the items so far; what a `done` says is what the
deltas said; usage adds up.

Source: Realtime API reference, and recorded GA traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["Grammar"]

Frame = dict[str, Any]

_BETA_NAMES: Final = {
    "conversation.item.created": "conversation.item.added",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}
_TERMINAL: Final = {"completed", "cancelled", "incomplete", "failed"}


@dataclass
class _Output:
    """An output item of a response."""

    item_id: str
    kind: str
    is_open: bool = True
    part: str | None = None
    """`text` or `audio` while its part is open."""
    parts: int = 0
    said: str = ""
    """What the deltas said of the open part, or of the arguments."""
    ended: set[str] = field(default_factory=set[str])
    """Which streams of the part have ended: `text`, `audio`, `transcript`, `arguments`."""


@dataclass
class _Response:
    conversation_id: str | None
    outputs: list[_Output] = field(default_factory=list[_Output])


class Grammar:
    """Checks a session's server events, one by one, as decoded frames."""

    def __init__(self, dialect: str = "ga") -> None:
        self._is_beta = dialect == "beta"
        self.order: list[str] = []
        """The ids of the conversation's items."""
        self.active_id: str | None = None
        """The response of the conversation."""
        self._count = 0
        self._ids: set[str] = set()
        self._responses: dict[str, _Response] = {}
        self._ended: set[str] = set()
        self._open_items: set[str] = set()
        self._turn: str | None = None
        self._stopped: str | None = None
        self._clock_ms = 0
        self._words: dict[str, bool] = {}
        self._next: list[tuple[str, str]] = []
        self._may_limit = False

    def feed(self, event: Frame) -> None:
        """Take the next event; assert that it may come here."""
        kind: str = event["type"]
        kind = _BETA_NAMES.get(kind, kind) if self._is_beta else kind
        assert event["event_id"] not in self._ids, "event ids are unique"
        self._ids.add(event["event_id"])
        self._count += 1
        assert (kind == "session.created") == (self._count == 1), "session.created opens"
        if self._next:
            wanted, item_id = self._next.pop(0)
            assert (kind, _item_id(event)) == (wanted, item_id), f"{wanted} of {item_id} is next"
        may_limit, self._may_limit = self._may_limit, kind == "response.done"
        assert kind != "rate_limits.updated" or may_limit, "limits are told after a response"
        rule = _RULES[kind]
        if rule is not None:
            rule(self, event)

    def running(self) -> list[str]:
        """Return the ids of the responses in progress."""
        return list(self._responses)

    def rest(self) -> None:
        """Assert that nothing is owed when the server has told everything."""
        assert not self._next, f"{self._next} is owed"

    # The input audio.

    def _speech_started(self, event: Frame) -> None:
        assert self._turn is None, "one turn at a time"
        self._turn = event["item_id"]
        assert self._turn not in self.order
        self._tick(event["audio_start_ms"])

    def _speech_stopped(self, event: Frame) -> None:
        assert event["item_id"] == self._turn, "the turn that started stops"
        self._tick(event["audio_end_ms"])
        self._next.append(("input_audio_buffer.committed", event["item_id"]))

    def _timed_out(self, event: Frame) -> None:
        assert self._turn is None, "silence is no turn"
        self._tick(event["audio_start_ms"])
        self._tick(event["audio_end_ms"])
        self._next.append(("input_audio_buffer.committed", event["item_id"]))

    def _tick(self, ms: int) -> None:
        assert ms >= self._clock_ms, "the audio clock never goes back"
        self._clock_ms = ms

    def _committed(self, event: Frame) -> None:
        item_id = event["item_id"]
        assert self._turn in (None, item_id), "a commit during speech is of the turn's item"
        assert event.get("previous_item_id") == (self.order[-1] if self.order else None)
        self._turn = None
        self._next.append(("conversation.item.added", item_id))

    def _cleared(self, _event: Frame) -> None:
        self._turn = None

    # The items.

    def _added(self, event: Frame) -> None:
        item_id, previous = event["item"]["id"], event.get("previous_item_id")
        assert item_id not in self.order, "an item is added once"
        assert previous is None or previous in self.order
        self.order.insert(0 if previous is None else self.order.index(previous) + 1, item_id)
        if self._is_output(item_id):
            self._open_items.add(item_id)
        elif not self._is_beta:
            self._next.append(("conversation.item.done", item_id))
            self._open_items.add(item_id)

    def _done(self, event: Frame) -> None:
        item_id = event["item"]["id"]
        assert item_id in self._open_items, "what is done was added, and not done before"
        self._open_items.remove(item_id)
        place = self.order.index(item_id)
        assert event.get("previous_item_id") == (self.order[place - 1] if place else None)
        if self._is_output(item_id):
            self._next.append(("response.output_item.done", item_id))

    def _is_output(self, item_id: str) -> bool:
        outputs = (out for response in self._responses.values() for out in response.outputs)
        return any(out.item_id == item_id and out.is_open for out in outputs)

    def _retrieved(self, event: Frame) -> None:
        assert event["item"]["id"] in self.order

    def _truncated(self, event: Frame) -> None:
        assert event["item_id"] in self.order

    def _deleted(self, event: Frame) -> None:
        self.order.remove(event["item_id"])
        self._open_items.discard(event["item_id"])
        self._words.pop(event["item_id"], None)

    # The words of the user.

    def _words_delta(self, event: Frame) -> None:
        item_id = event["item_id"]
        assert item_id in self.order or item_id == self._turn
        assert not self._words.get(item_id), "nothing more comes after the transcript"

    def _words_end(self, event: Frame) -> None:
        self._words_delta(event)
        assert event["item_id"] in self.order
        self._words[event["item_id"]] = True

    # The responses.

    def _created(self, event: Frame) -> None:
        response = event["response"]
        assert response["id"] not in self._ended
        assert response["id"] not in self._responses, "a response is created once"
        assert response["status"] == "in_progress"
        assert response["output"] == []
        conversation_id = response.get("conversation_id")
        self._responses[response["id"]] = _Response(conversation_id)
        if conversation_id is not None:
            assert self.active_id is None, "the conversation has one response at a time"
            self.active_id = response["id"]

    def _output_added(self, event: Frame) -> None:
        response = self._responses[event["response_id"]]
        item = event["item"]
        assert event["output_index"] == len(response.outputs)
        assert item["status"] == "in_progress"
        response.outputs.append(_Output(item["id"], item["type"]))
        if response.conversation_id is not None:
            self._next.append(("conversation.item.added", item["id"]))

    def _output_of(self, event: Frame) -> _Output:
        output = self._responses[event["response_id"]].outputs[event["output_index"]]
        assert event.get("item_id", _item_id(event)) == output.item_id
        assert output.is_open
        return output

    def _part_added(self, event: Frame) -> None:
        output = self._output_of(event)
        assert output.kind == "message"
        assert output.part is None, "a part is closed before the next"
        assert event["content_index"] == output.parts
        output.part, output.said, output.ended = event["part"]["type"], "", set()

    def _stream(self, event: Frame, part: str) -> _Output:
        output = self._output_of(event)
        assert output.part == part, f"the {part} belongs to an open part of its kind"
        assert event["content_index"] == output.parts
        return output

    def _text_delta(self, event: Frame) -> None:
        _say(self._stream(event, "text"), event, "text")

    def _transcript_delta(self, event: Frame) -> None:
        _say(self._stream(event, "audio"), event, "transcript")

    def _audio_delta(self, event: Frame) -> None:
        output = self._stream(event, "audio")
        assert event["delta"]
        assert "audio" not in output.ended

    def _text_done(self, event: Frame) -> None:
        _end(self._stream(event, "text"), "text", event["text"])

    def _audio_done(self, event: Frame) -> None:
        _end(self._stream(event, "audio"), "audio", None)

    def _transcript_done(self, event: Frame) -> None:
        output = self._stream(event, "audio")
        assert "audio" in output.ended, "audio ends before its transcript"
        _end(output, "transcript", event["transcript"])

    def _part_done(self, event: Frame) -> None:
        output, part = self._output_of(event), event["part"]
        assert part["type"] == output.part
        assert output.ended == ({"text"} if output.part == "text" else {"audio", "transcript"})
        assert part["text" if output.part == "text" else "transcript"] == output.said
        output.part = None
        output.parts += 1

    def _arguments_delta(self, event: Frame) -> None:
        output = self._output_of(event)
        assert output.kind == "function_call"
        _say(output, event, "arguments")

    def _arguments_done(self, event: Frame) -> None:
        output = self._output_of(event)
        assert output.kind == "function_call"
        _end(output, "arguments", event["arguments"])

    def _output_done(self, event: Frame) -> None:
        output, item = self._output_of(event), event["item"]
        assert item["status"] in {"completed", "incomplete"}
        assert output.part is None, "parts are closed before their item"
        if output.kind == "function_call":
            assert item["arguments"] == output.said
            assert "arguments" in output.ended
        if not self._is_beta:
            assert output.item_id not in self._open_items, "the conversation hears of it first"
        self._open_items.discard(output.item_id)
        output.is_open = False

    def _response_done(self, event: Frame) -> None:
        told = event["response"]
        response = self._responses.pop(told["id"])
        self._ended.add(told["id"])
        assert told["status"] in _TERMINAL
        assert told.get("conversation_id") == response.conversation_id
        assert [item["id"] for item in told["output"]] == [o.item_id for o in response.outputs]
        assert not any(output.is_open for output in response.outputs), "items end before"
        if told["status"] != "completed":
            assert told["status_details"]["type"] == told["status"]
        if response.conversation_id is not None:
            assert self.active_id == told["id"]
            self.active_id = None
        _check_usage(told["usage"])


def _item_id(event: Frame) -> str | None:
    item_id = event.get("item_id") or event.get("item", {}).get("id")
    return item_id if isinstance(item_id, str) else None


def _say(output: _Output, event: Frame, stream: str) -> None:
    assert stream not in output.ended, "nothing is said after it is done"
    output.said += event["delta"]


def _end(output: _Output, stream: str, said: str | None) -> None:
    assert stream not in output.ended, "it is done once"
    assert said is None or said == output.said, "done says what the deltas said"
    output.ended.add(stream)


def _check_usage(usage: Frame) -> None:
    read, made = usage["input_token_details"], usage["output_token_details"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    kinds = ("text_tokens", "audio_tokens", "image_tokens")
    assert usage["input_tokens"] == sum(read.get(kind, 0) for kind in kinds)
    assert usage["output_tokens"] == made["text_tokens"] + made["audio_tokens"]
    cached = read.get("cached_tokens_details", {})
    assert read["cached_tokens"] == sum(cached.get(kind, 0) for kind in kinds)
    assert all(cached.get(kind, 0) <= read.get(kind, 0) for kind in kinds)


_WORDS: Final = "conversation.item.input_audio_transcription"
_RULES: Final[dict[str, Callable[[Grammar, Frame], None] | None]] = {
    "error": None,
    "session.created": None,
    "session.updated": None,
    "conversation.created": None,
    "rate_limits.updated": None,
    "input_audio_buffer.speech_started": Grammar._speech_started,
    "input_audio_buffer.speech_stopped": Grammar._speech_stopped,
    "input_audio_buffer.timeout_triggered": Grammar._timed_out,
    "input_audio_buffer.committed": Grammar._committed,
    "input_audio_buffer.cleared": Grammar._cleared,
    "conversation.item.added": Grammar._added,
    "conversation.item.done": Grammar._done,
    "conversation.item.retrieved": Grammar._retrieved,
    "conversation.item.truncated": Grammar._truncated,
    "conversation.item.deleted": Grammar._deleted,
    f"{_WORDS}.delta": Grammar._words_delta,
    f"{_WORDS}.completed": Grammar._words_end,
    f"{_WORDS}.failed": Grammar._words_end,
    "response.created": Grammar._created,
    "response.output_item.added": Grammar._output_added,
    "response.output_item.done": Grammar._output_done,
    "response.content_part.added": Grammar._part_added,
    "response.content_part.done": Grammar._part_done,
    "response.output_text.delta": Grammar._text_delta,
    "response.output_text.done": Grammar._text_done,
    "response.output_audio.delta": Grammar._audio_delta,
    "response.output_audio.done": Grammar._audio_done,
    "response.output_audio_transcript.delta": Grammar._transcript_delta,
    "response.output_audio_transcript.done": Grammar._transcript_done,
    "response.function_call_arguments.delta": Grammar._arguments_delta,
    "response.function_call_arguments.done": Grammar._arguments_done,
    "response.done": Grammar._response_done,
}
