"""The events of one response, in the order that the API keeps.

A response has at most one open output item at a time. However it ends, every part and item that was
opened is closed before `response.done`.

Source: recorded GA traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from duologue.audio.streams import AudioStream, encoder
from duologue.protocol import ga
from duologue.protocol.model import UNSET, UnsetType, audio_field, replace
from duologue.server.session.audio_input import format_of
from duologue.server.session.conversation import ServerConversation, StoredItem
from duologue.server.session.usage import GeneratedOutput, ResponsePrompt, usage_of

if TYPE_CHECKING:
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.engine_work import TextTokens
    from duologue.server.session.idle_timeout import IdleTimer
    from duologue.server.session.response_config import ResponseConfig

__all__ = ["ResponseWriter"]

DELTA_CHARS: Final = 16
"""Arguments come whole from a brain, but go out in pieces: clients must be able to join them."""

MAX_DELTAS: Final = 64
"""Long arguments go out in larger pieces, so that a call has a bounded number of events."""


class _PartPlace(TypedDict):
    """Fields that locate a part event."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class _CallPlace(TypedDict):
    """Fields that locate a call event."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str


@dataclass(slots=True)
class _OpenMessage:
    stored: StoredItem
    item_id: str
    words: list[str]
    encoder: AudioStream
    """From PCM16 at 24 kHz to the client's format."""


class ResponseWriter:
    """Turns the engine's output into the events of one response."""

    def __init__(
        self,
        config: ResponseConfig,
        conversation: ServerConversation,
        context: ConversationContext,
        idle: IdleTimer,
    ) -> None:
        self.config: Final = config
        self._conversation: Final = conversation
        self._context: Final = context
        self._idle: Final = idle
        self._format: Final = format_of(config.audio_format)
        self._output: Final[list[StoredItem]] = []
        self._message: _OpenMessage | None = None
        self._generated: Final = GeneratedOutput(config.token_limit)
        self._has_called = False
        self.prompt: ResponsePrompt = ResponsePrompt()
        """The model's input, once the engine is asked for the response."""

    @property
    def is_full(self) -> bool:
        """Whether output was dropped because the response has reached its token limit."""
        return self._generated.is_full

    def has_call(self, call_id: str) -> bool:
        """Return whether the response has made a call with this id."""
        items = (stored.item for stored in self._output)
        return any(isinstance(item, ga.FunctionCall) and item.call_id == call_id for item in items)

    def begin(self) -> None:
        """Send `response.created`."""
        event_id = self._context.event_id()
        self._context.emit(ga.ResponseCreatedEvent(event_id=event_id, response=self._response()))

    def text(self, delta: str) -> None:
        """Add text: the content of a text response, the transcript of a spoken one."""
        delta = self._generated.add_text(delta)
        if not delta:
            return
        message = self._open_message()
        message.words.append(delta)
        place = self._place(message)
        event_id = self._context.event_id()
        if not self.config.speaks:
            self._context.emit(
                ga.ResponseTextDeltaEvent(
                    event_id=event_id,
                    delta=delta,
                    obfuscation=self._context.obfuscation(delta),
                    **place,
                )
            )
            return
        if not message.stored.is_truncated:
            message.stored.segments.append((message.stored.audio_bytes, delta))
        self._context.emit(
            ga.ResponseAudioTranscriptDeltaEvent(
                event_id=event_id,
                delta=delta,
                obfuscation=self._context.obfuscation(delta),
                **place,
            )
        )

    def audio(self, pcm: bytes) -> None:
        """Add speech of the text that was added last."""
        pcm = self._generated.add_audio(pcm)
        if not pcm:
            return
        message = self._open_message()
        message.stored.add_audio(pcm)
        if message.item_id in self._conversation:
            self._conversation.keep_audio(message.stored)
        if message.stored.segments:
            words = message.stored.segments[-1][1]
            # A later truncation keeps the words of the audio that was heard.
            message.stored.segments[-1] = (message.stored.audio_bytes, words)
        self._emit_audio(message, message.encoder.feed(pcm))

    def call(self, name: str, arguments: str) -> None:
        """Add a function call; without parallel calls only the first one counts."""
        if self._has_called and not self.config.parallel_tool_calls:
            return
        self._close_message("completed")
        arguments = self._generated.add_text(arguments)
        if self.is_full and not arguments:
            return
        self._has_called = True
        call_id = self._context.new_id("call")
        item = ga.FunctionCall(
            id=self._context.new_id("item"),
            status="in_progress",
            call_id=call_id,
            name=name,
            arguments="",
        )
        stored = self._open_item(item)
        place: _CallPlace = {
            "response_id": self.config.response_id,
            "item_id": str(item.id),
            "output_index": len(self._output) - 1,
            "call_id": call_id,
        }
        size = max(DELTA_CHARS, len(arguments) // MAX_DELTAS)
        for start in range(0, len(arguments), size):
            event_id = self._context.event_id()
            delta = arguments[start : start + size]
            self._context.emit(
                ga.ResponseFunctionCallArgumentsDeltaEvent(
                    event_id=event_id,
                    delta=delta,
                    obfuscation=self._context.obfuscation(delta),
                    **place,
                )
            )
        event_id = self._context.event_id()
        self._context.emit(
            ga.ResponseFunctionCallArgumentsDoneEvent(
                event_id=event_id, arguments=arguments, name=name, **place
            )
        )
        status = "incomplete" if self.is_full else "completed"
        self._close_item(stored, replace(item, arguments=arguments, status=status))

    def finish(
        self, status: str, details: ga.ResponseStatusDetails | None, tokens: TextTokens
    ) -> ga.Usage:
        """End the response, and return its usage."""
        self._close_message("completed" if status == "completed" else "incomplete")
        usage = usage_of(self.prompt, self._generated, tokens)
        response = replace(self._response(), status=status, status_details=details, usage=usage)
        self._context.emit(
            ga.ResponseDoneEvent(event_id=self._context.event_id(), response=response)
        )
        return usage

    def _response(self) -> ga.Response:
        config = self.config
        audio: ga.ResponseAudio | UnsetType = UNSET
        if config.speaks:
            output = ga.ResponseAudioOutput(format=config.audio_format, voice=config.voice)
            audio = ga.ResponseAudio(output=output)
        return ga.Response(
            id=config.response_id,
            object="realtime.response",
            status="in_progress",
            status_details=None,
            output=[stored.item for stored in self._output],
            conversation_id=config.conversation_id,
            output_modalities=["audio" if config.speaks else "text"],
            max_output_tokens=config.max_output_tokens,
            audio=audio,
            usage=None,
            metadata=config.metadata,
        )

    def _open_item(self, item: ga.Item) -> StoredItem:
        if self.config.conversation_id is None:
            stored = StoredItem(item)
        else:
            stored = self._conversation.insert(item, after=None)
        self._output.append(stored)
        self._context.emit(
            ga.ResponseOutputItemAddedEvent(
                event_id=self._context.event_id(),
                response_id=self.config.response_id,
                output_index=len(self._output) - 1,
                item=item,
            )
        )
        self._announce(ga.ConversationItemAdded, item)
        return stored

    def _close_item(self, stored: StoredItem, item: ga.Item) -> None:
        stored.item = item
        self._announce(ga.ConversationItemDone, item)
        self._context.emit(
            ga.ResponseOutputItemDoneEvent(
                event_id=self._context.event_id(),
                response_id=self.config.response_id,
                output_index=self._output.index(stored),
                item=item,
            )
        )

    def _announce(
        self, kind: type[ga.ConversationItemAdded | ga.ConversationItemDone], item: ga.Item
    ) -> None:
        item_id = str(item.id)
        if self.config.conversation_id is None or item_id not in self._conversation:
            return  # out-of-band, or deleted by the client in the meantime
        previous = self._conversation.before(item_id)
        event_id = self._context.event_id()
        self._context.emit(kind(event_id=event_id, item=item, previous_item_id=previous))

    def _open_message(self) -> _OpenMessage:
        if self._message is not None:
            return self._message
        item_id = self._context.new_id("item")
        item = ga.Message(id=item_id, status="in_progress", role="assistant", content=[])
        stored = self._open_item(item)
        stored.words = []
        self._message = _OpenMessage(stored, item_id, stored.words, encoder(self._format))
        empty = ga.Part(type="audio", transcript="") if self.config.speaks else _text_part("")
        self._context.emit(
            ga.ResponseContentPartAddedEvent(
                event_id=self._context.event_id(), part=empty, **self._place(self._message)
            )
        )
        part = ga.OutputAudio(transcript="") if self.config.speaks else ga.OutputText(text="")
        self._message.stored.item = replace(item, content=[part])
        return self._message

    def _close_message(self, status: str) -> None:
        message, self._message = self._message, None
        if message is None:
            return
        if status == "completed":
            self._emit_audio(message, message.encoder.finish())
        words = "".join(message.words)
        message.stored.words = None
        place = self._place(message)
        part = self._emit_part_done(words, place)
        event_id = self._context.event_id()
        done = ga.Part(type="audio", transcript=words) if self.config.speaks else _text_part(words)
        self._context.emit(ga.ResponseContentPartDoneEvent(event_id=event_id, part=done, **place))
        item = message.stored.item
        if not isinstance(item, ga.Message):
            raise AssertionError("an open message is a message")  # noqa: TRY004  # narrows the type
        # A message that the client truncated in the meantime keeps its truncated content.
        content = item.content if message.stored.is_truncated else [part]
        self._close_item(message.stored, replace(item, content=content, status=status))

    def _emit_audio(self, message: _OpenMessage, audio: bytes) -> None:
        if not audio:
            return
        ms = self._format.ms(len(audio))
        self._context.statistics.audio_sent(ms, self._context.now)
        self._idle.audio_sent(self.config.response_id, ms, self._context.now)
        delta, event_id = audio_field(audio), self._context.event_id()
        self._context.emit(
            ga.ResponseAudioDeltaEvent(event_id=event_id, delta=delta, **self._place(message))
        )

    def _emit_part_done(self, words: str, place: _PartPlace) -> ga.ContentPart:
        event_id = self._context.event_id()
        if not self.config.speaks:
            self._context.emit(ga.ResponseTextDoneEvent(event_id=event_id, text=words, **place))
            return ga.OutputText(text=words)
        self._context.emit(ga.ResponseAudioDoneEvent(event_id=event_id, **place))
        event_id = self._context.event_id()
        self._context.emit(
            ga.ResponseAudioTranscriptDoneEvent(event_id=event_id, transcript=words, **place)
        )
        return ga.OutputAudio(transcript=words)

    def _place(self, message: _OpenMessage) -> _PartPlace:
        return {
            "response_id": self.config.response_id,
            "item_id": message.item_id,
            "output_index": self._output.index(message.stored),
            "content_index": 0,
        }


def _text_part(text: str) -> ga.Part:
    return ga.Part(type="text", text=text)
