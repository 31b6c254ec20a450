"""One item while it grows: what the server said of it whole, and what its deltas added."""

from __future__ import annotations

from typing import TYPE_CHECKING, AnyStr, Final

from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Message,
    OutputAudio,
    OutputText,
)
from duologue.session.formatted import FormattedItem, FormattedProperty, Log, PartMark, ToolCall
from duologue.session.wire import first_status, last_status, type_of

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart, Item

__all__ = ["ItemState"]


class _Part:
    """A content part and its logs; those that its kind cannot have are `None`."""

    __slots__ = ("_mark", "base", "text", "transcript")

    def __init__(self, base: ContentPart) -> None:
        self.base: Final = base
        self.text: Log[str] | None = None
        self.transcript: Log[str] | None = None
        self._mark: PartMark | None = None
        match base:
            case InputText(text=str(text)) | OutputText(text=str(text)):
                self.text = Log(text)
            case InputAudio(transcript=str(transcript)) | OutputAudio(transcript=str(transcript)):
                self.transcript = Log(transcript)
            case _:
                pass

    def mark(self) -> PartMark:
        text = None if self.text is None else self.text.span()
        transcript = None if self.transcript is None else self.transcript.span()
        mark = self._mark
        if mark is None or mark.text is not text or mark.transcript is not transcript:
            mark = self._mark = PartMark(self.base, text, transcript)
        return mark


class ItemState:
    """An item of the conversation, or of a response beside it."""

    __slots__ = (
        "_arguments",
        "_audio",
        "_is_streamed",
        "_is_truncated",
        "_parts",
        "_split",
        "_text",
        "_transcript",
        "id",
        "is_announced_done",
        "status",
        "wire",
    )

    def __init__(self, item_id: str, wire: Item) -> None:
        self.id: Final = item_id
        self.wire = wire
        self.status = first_status(wire)
        """`in_progress`, `completed`, `incomplete`, or what the server says."""
        self.is_announced_done = False
        """Whether `conversation.item.done` told the end before `response.output_item.done`."""
        self._parts: dict[int, _Part] = {}
        self._text = Log("")
        self._transcript = Log("")
        self._audio = Log(b"")
        self._split = b""
        self._arguments = Log(wire.arguments if isinstance(wire, FunctionCall) else "")
        self._is_streamed = self._is_truncated = False
        self._read_content(wire)

    @property
    def is_completed(self) -> bool:
        """Whether the item is whole."""
        return self.status == "completed"

    def add_text(self, index: int, text: str) -> None:
        """Take a text delta."""
        self._is_streamed = True
        self._text.append(text)
        part = self._part(index, OutputText(text=""))
        if part.text is not None:
            part.text.append(text)

    def add_transcript(self, index: int, transcript: str) -> None:
        """Take a delta of what the assistant says."""
        self._is_streamed = True
        self._transcript.append(transcript)
        part = self._part(index, OutputAudio(transcript=""))
        if part.transcript is not None:
            part.transcript.append(transcript)

    def add_audio(self, index: int, audio: bytes, sample_bytes: int) -> bytes:
        """Take an audio delta; return the samples that are whole by it."""
        self._is_streamed = True
        self._part(index, OutputAudio(transcript=""))
        self._audio.append(audio)
        if not self._split and not len(audio) % sample_bytes:
            return audio
        whole = self._split + audio
        end = len(whole) - len(whole) % sample_bytes
        self._split = whole[end:]
        return whole[:end]

    def add_arguments(self, arguments: str) -> None:
        """Take a delta of a call's arguments."""
        self._arguments.append(arguments)

    def add_part(self, index: int, part: ContentPart) -> None:
        """Take the announcement of a part, unless deltas were faster."""
        self._part(index, part)

    def hear(self, index: int, words: str, *, is_final: bool) -> None:
        """Take words of the user's transcript, or all of it."""
        part = self._parts.get(index)
        is_audio = part is not None and isinstance(part.base, InputAudio)
        if is_final:
            self._transcript = Log(words or " ")
            if part is not None and is_audio:
                part.transcript = Log(words)
            return
        self._transcript.append(words)
        if part is not None and is_audio:
            part.transcript = part.transcript or Log("")
            part.transcript.append(words)

    def attach_audio(self, audio: bytes) -> None:
        """Set what the user was heard to say."""
        self._audio = Log(audio)

    def truncate(self, index: int, size_bytes: int) -> None:
        """Cut the audio, and drop the words: nobody knows which of them were heard."""
        self._is_truncated = True
        if size_bytes < self._audio.length:
            self._audio = Log(self._audio.read(size_bytes))
        self._transcript = Log("")
        part = self._parts.get(index)
        if part is not None and part.transcript is not None:
            part.transcript = Log("")

    def finish(self, wire: Item) -> bool:
        """Take the item as it ended; return whether that changed anything.

        What was streamed stays as it was streamed; what was not is read from the item.
        """
        self.wire = wire
        status = last_status(wire) or self.status
        is_changed = status != self.status
        self.status = status
        arguments = wire.arguments if isinstance(wire, FunctionCall) else ""
        if arguments and _differs(self._arguments, arguments):
            self._arguments = Log(arguments)
            is_changed = True
        if not self._is_truncated:
            is_changed |= self._read_content(wire)
        return is_changed

    def snapshot(self) -> FormattedItem:
        """Return the item as it is now, for good."""
        wire = self.wire
        call = None
        if isinstance(wire, FunctionCall):
            call = ToolCall(wire.name, wire.call_id or "", self._arguments.span())
        formatted = FormattedProperty(
            text=self._text.span(),
            transcript=self._transcript.span(),
            audio=self._audio.span(),
            call=call,
            output=wire.output if isinstance(wire, FunctionCallOutput) else None,
        )
        return FormattedItem(
            wire=wire,
            id=self.id,
            type=type_of(wire),
            role=wire.role if isinstance(wire, Message) else None,
            status=self.status,
            parts=tuple(part.mark() for part in self._in_order()),
            formatted=formatted,
        )

    def _in_order(self) -> list[_Part]:
        parts = self._parts
        return [parts[index] for index in sorted(parts)]

    def _part(self, index: int, fallback: ContentPart) -> _Part:
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = _Part(fallback)
        return part

    def _read_content(self, wire: Item) -> bool:
        """Take over the parts of a whole message that say more than what was streamed."""
        if not isinstance(wire, Message):
            return False
        is_changed = False
        for index, base in enumerate(wire.content):
            told, known = _Part(base), self._parts.get(index)
            if known is None or (
                _says_else(known.text, told.text) or _says_else(known.transcript, told.transcript)
            ):
                self._parts[index] = told
                is_changed = True
        if not self._is_streamed and is_changed:
            self._text = Log("".join(_words(part.text) for part in self._in_order()))
            spoken = "".join(_words(part.transcript) for part in self._in_order())
            if spoken:
                self._transcript = Log(spoken)
        return is_changed


def _words(log: Log[str] | None) -> str:
    return "" if log is None else log.read(log.length)


def _says_else(known: Log[str] | None, told: Log[str] | None) -> bool:
    return bool(told and told.length) and _differs(known, _words(told))


def _differs(log: Log[AnyStr] | None, value: AnyStr) -> bool:
    return log is None or log.length != len(value) or log.read(log.length) != value
