"""One response, written event by event in the order that the API keeps.

A response opens at most one output item at a time. Whatever happens, every part and item that was
opened is closed before `response.done`.

Source: DIALECTS.md §6, recorded GA traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from duologue.audio.streams import AudioStream, encoder
from duologue.protocol import ga
from duologue.protocol.model import UNSET, UnsetType, audio_field, replace
from duologue.server.session.audio_formats import format_of
from duologue.server.session.conversation import ServerConversation, StoredItem
from duologue.server.session.usage import NOTHING_READ, Output, Tokens, usage_of

if TYPE_CHECKING:
    from duologue.server.session.response_config import ResponseConfig

__all__ = ["ResponseWriter"]

DELTA_CHARS: Final = 16
"""Arguments come whole from a brain, and go out in pieces: clients must be able to join them."""

MAX_DELTAS: Final = 64
"""Long arguments go out in larger pieces."""


class _Place(TypedDict):
    """Where a part event belongs."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class _CallPlace(TypedDict):
    """Where a call event belongs."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str


@dataclass(slots=True)
class _OpenMessage:
    stored: StoredItem
    item_id: str
    words: list[str]
    speech: AudioStream
    """To the client's format."""


class ResponseWriter:
    """Turns what the engine makes into the events of one response."""

    def __init__(
        self,
        plan: ResponseConfig,
        conversation: ServerConversation,
        *,
        emit: Callable[[ga.KnownServerEvent], None],
        new_id: Callable[[str], str],
    ) -> None:
        self.plan = plan
        self._conversation = conversation
        self._emit = emit
        self._new_id = new_id
        self._output: list[StoredItem] = []
        self._message: _OpenMessage | None = None
        self._made = Output(plan.token_limit)
        self._has_called = False
        self.read = NOTHING_READ
        """What the model was given to read."""

    @property
    def is_full(self) -> bool:
        """Whether something was left out because the response may not have more tokens."""
        return self._made.is_full

    def holds_call(self, call_id: str) -> bool:
        """Say whether the response has made a call of this id."""
        items = (stored.item for stored in self._output)
        return any(isinstance(item, ga.FunctionCall) and item.call_id == call_id for item in items)

    def begin(self) -> None:
        """Announce the response."""
        event_id = self._new_id("event")
        self._emit(ga.ResponseCreatedEvent(event_id=event_id, response=self._response()))

    def text(self, delta: str) -> None:
        """Add words: text of a text response, the transcript of a spoken one."""
        delta = self._made.take_text(delta)
        if not delta:
            return
        message = self._open_message()
        message.words.append(delta)
        place = self._place(message)
        event_id = self._new_id("event")
        if not self.plan.speaks:
            self._emit(ga.ResponseTextDeltaEvent(event_id=event_id, delta=delta, **place))
            return
        if not message.stored.is_truncated:
            message.stored.segments.append((message.stored.audio_bytes, delta))
        self._emit(ga.ResponseAudioTranscriptDeltaEvent(event_id=event_id, delta=delta, **place))

    def audio(self, pcm: bytes) -> None:
        """Add speech: it belongs to the words added last."""
        pcm = self._made.take_audio(pcm)
        if not pcm:
            return
        message = self._open_message()
        message.stored.add_audio(pcm)
        if message.item_id in self._conversation:
            self._conversation.keep_audio(message.stored)
        if message.stored.segments:
            words = message.stored.segments[-1][1]
            message.stored.segments[-1] = (message.stored.audio_bytes, words)
        self._emit_audio(message, message.speech.feed(pcm))

    def call(self, name: str, arguments: str) -> None:
        """Add a function call; only the first, when they may not be parallel."""
        if self._has_called and not self.plan.parallel_tool_calls:
            return
        self._close_message("completed")
        arguments = self._made.take_text(arguments)
        if self.is_full and not arguments:
            return
        self._has_called = True
        call_id = self._new_id("call")
        item = ga.FunctionCall(
            id=self._new_id("item"),
            object="realtime.item",
            status="in_progress",
            call_id=call_id,
            name=name,
            arguments="",
        )
        stored = self._open_item(item)
        place: _CallPlace = {
            "response_id": self.plan.response_id,
            "item_id": str(item.id),
            "output_index": len(self._output) - 1,
            "call_id": call_id,
        }
        size = max(DELTA_CHARS, len(arguments) // MAX_DELTAS)
        for start in range(0, len(arguments), size):
            event_id = self._new_id("event")
            delta = arguments[start : start + size]
            self._emit(
                ga.ResponseFunctionCallArgumentsDeltaEvent(event_id=event_id, delta=delta, **place)
            )
        event_id = self._new_id("event")
        self._emit(
            ga.ResponseFunctionCallArgumentsDoneEvent(
                event_id=event_id, arguments=arguments, name=name, **place
            )
        )
        status = "incomplete" if self.is_full else "completed"
        self._close_item(stored, replace(item, arguments=arguments, status=status))

    def finish(self, status: str, details: ga.ResponseStatusDetails | None, tokens: Tokens) -> None:
        """End the response; nothing may be added after it."""
        self._close_message("completed" if status == "completed" else "incomplete")
        usage = usage_of(self.read, self._made, tokens)
        response = replace(self._response(), status=status, status_details=details, usage=usage)
        self._emit(ga.ResponseDoneEvent(event_id=self._new_id("event"), response=response))

    def _response(self) -> ga.Response:
        plan = self.plan
        audio: ga.ResponseAudio | UnsetType = UNSET
        if plan.speaks:
            output = ga.ResponseAudioOutput(format=plan.audio_format, voice=plan.voice)
            audio = ga.ResponseAudio(output=output)
        return ga.Response(
            id=plan.response_id,
            object="realtime.response",
            status="in_progress",
            status_details=None,
            output=[stored.item for stored in self._output],
            conversation_id=plan.conversation_id,
            output_modalities=[plan.modality],
            max_output_tokens=plan.max_output_tokens,
            audio=audio,
            usage=None,
            metadata=plan.metadata,
        )

    def _open_item(self, item: ga.Item) -> StoredItem:
        if self.plan.conversation_id is None:
            stored = StoredItem(item)
        else:
            stored = self._conversation.insert(item, after=None)
        self._output.append(stored)
        self._emit(
            ga.ResponseOutputItemAddedEvent(
                event_id=self._new_id("event"),
                response_id=self.plan.response_id,
                output_index=len(self._output) - 1,
                item=item,
            )
        )
        self._emit_placed(ga.ConversationItemAdded, item)
        return stored

    def _close_item(self, stored: StoredItem, item: ga.Item) -> None:
        stored.item = item
        self._emit_placed(ga.ConversationItemDone, item)
        self._emit(
            ga.ResponseOutputItemDoneEvent(
                event_id=self._new_id("event"),
                response_id=self.plan.response_id,
                output_index=self._output.index(stored),
                item=item,
            )
        )

    def _emit_placed(
        self, kind: type[ga.ConversationItemAdded | ga.ConversationItemDone], item: ga.Item
    ) -> None:
        item_id = str(item.id)
        if self.plan.conversation_id is None or item_id not in self._conversation:
            return  # out-of-band, or deleted by the client meanwhile
        previous = self._conversation.before(item_id)
        event_id = self._new_id("event")
        self._emit(kind(event_id=event_id, item=item, previous_item_id=previous))

    def _open_message(self) -> _OpenMessage:
        if self._message is not None:
            return self._message
        item_id = self._new_id("item")
        item = ga.Message(
            id=item_id, object="realtime.item", status="in_progress", role="assistant", content=[]
        )
        stored = self._open_item(item)
        stored.words = []
        speech = encoder(format_of(self.plan.audio_format))
        self._message = _OpenMessage(stored, item_id, stored.words, speech)
        empty = ga.Part(type="audio", transcript="") if self.plan.speaks else _text_part("")
        self._emit(
            ga.ResponseContentPartAddedEvent(
                event_id=self._new_id("event"), part=empty, **self._place(self._message)
            )
        )
        part = ga.OutputAudio(transcript="") if self.plan.speaks else ga.OutputText(text="")
        self._message.stored.item = replace(item, content=[part])
        return self._message

    def _close_message(self, status: str) -> None:
        message, self._message = self._message, None
        if message is None:
            return
        if status == "completed":
            self._emit_audio(message, message.speech.finish())
        words = "".join(message.words)
        message.stored.words = None
        place = self._place(message)
        part = self._emit_part_done(words, place)
        event_id = self._new_id("event")
        done = ga.Part(type="audio", transcript=words) if self.plan.speaks else _text_part(words)
        self._emit(ga.ResponseContentPartDoneEvent(event_id=event_id, part=done, **place))
        item = message.stored.item
        assert isinstance(item, ga.Message), "a message stays a message"  # noqa: S101  # an invariant
        # What the client has cut meanwhile stays cut.
        content = item.content if message.stored.is_truncated else [part]
        self._close_item(message.stored, replace(item, content=content, status=status))

    def _emit_audio(self, message: _OpenMessage, audio: bytes) -> None:
        if audio:
            delta, event_id = audio_field(audio), self._new_id("event")
            event = ga.ResponseAudioDeltaEvent(
                event_id=event_id, delta=delta, **self._place(message)
            )
            self._emit(event)

    def _emit_part_done(self, words: str, place: _Place) -> ga.ContentPart:
        event_id = self._new_id("event")
        if not self.plan.speaks:
            self._emit(ga.ResponseTextDoneEvent(event_id=event_id, text=words, **place))
            return ga.OutputText(text=words)
        self._emit(ga.ResponseAudioDoneEvent(event_id=event_id, **place))
        event_id = self._new_id("event")
        self._emit(
            ga.ResponseAudioTranscriptDoneEvent(event_id=event_id, transcript=words, **place)
        )
        return ga.OutputAudio(transcript=words)

    def _place(self, message: _OpenMessage) -> _Place:
        return {
            "response_id": self.plan.response_id,
            "item_id": message.item_id,
            "output_index": self._output.index(message.stored),
            "content_index": 0,
        }


def _text_part(text: str) -> ga.Part:
    return ga.Part(type="text", text=text)
