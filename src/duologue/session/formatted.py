"""Items as an application reads them: immutable, and cheap to make for every delta.

A delta is appended to a `Log`. A snapshot remembers how long the log was, so that making one costs
the same after a minute of speech as at its start; text and audio are joined when they are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, AnyStr, Final, Generic

from duologue.protocol.ga import InputAudio, InputText, OutputAudio, OutputText
from duologue.protocol.model import replace

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart, Item

__all__ = [
    "FormattedItem",
    "FormattedProperty",
    "FormattedTool",
    "Log",
    "PartMark",
    "Span",
    "ToolCall",
]


class Log(Generic[AnyStr]):
    """Text or audio that only grows; what replaces it is another log."""

    __slots__ = ("_chunks", "_span", "length")

    def __init__(self, start: AnyStr) -> None:
        self._chunks: list[AnyStr] = [start]
        self.length = len(start)
        self._span: Span[AnyStr] | None = None

    def append(self, chunk: AnyStr) -> None:
        """Add a chunk, without touching what is there."""
        self._chunks.append(chunk)
        self.length += len(chunk)

    def read(self, length: int) -> AnyStr:
        """Return the beginning of the log; the joined whole is kept for the next time."""
        chunks = self._chunks
        if len(chunks) > 1:
            chunks[:] = [chunks[0][:0].join(chunks)]  # pyright: ignore[reportArgumentType]  # right for each
        whole: AnyStr = chunks[0]
        return whole if length == self.length else whole[:length]

    def span(self) -> Span[AnyStr]:
        """Return all of the log as it is now."""
        span = self._span
        if span is None or span.length != self.length:
            span = self._span = Span(self, self.length)
        return span


class Span(Generic[AnyStr]):
    """The beginning of a log, up to where it had come."""

    __slots__ = ("_log", "length")

    def __init__(self, log: Log[AnyStr], length: int) -> None:
        self._log: Log[AnyStr] = log
        self.length = length

    def read(self) -> AnyStr:
        """Return what was logged until then."""
        told: AnyStr = self._log.read(self.length)
        return told


@dataclass(frozen=True, slots=True)
class PartMark:
    """A content part as of one moment."""

    base: ContentPart
    text: Span[str] | None
    transcript: Span[str] | None

    def read(self) -> ContentPart:
        """Return the part with what it says."""
        match self.base:
            case InputText() | OutputText() if self.text is not None:
                return replace(self.base, text=self.text.read())
            case InputAudio() | OutputAudio() if self.transcript is not None:
                return replace(self.base, transcript=self.transcript.read())
            case _:
                return self.base


@dataclass(frozen=True, slots=True)
class FormattedTool:
    """A call of a function of the application."""

    name: str
    call_id: str
    arguments: str
    """As far as they have come: valid JSON only when the item is complete."""
    type: str = "function"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as of one moment."""

    name: str
    call_id: str
    arguments: Span[str]


class FormattedProperty:
    """What an item says, put together from its parts and deltas."""

    __slots__ = ("_audio", "_call", "_text", "_transcript", "output")

    def __init__(
        self,
        *,
        text: Span[str],
        transcript: Span[str],
        audio: Span[bytes],
        call: ToolCall | None,
        output: str | None,
    ) -> None:
        self._text = text
        self._transcript = transcript
        self._audio = audio
        self._call = call
        self.output: Final = output
        """What the application answered, for a function call output."""

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return self._text.read()

    @property
    def transcript(self) -> str:
        """What was spoken, in words; one space for speech without any."""
        return self._transcript.read()

    @property
    def audio(self) -> bytes:
        """What was spoken, in the session's format of that direction.

        Joining costs time: to play audio as it arrives, take the deltas.
        """
        return self._audio.read()

    @property
    def audio_bytes(self) -> int:
        """Size of `audio`, without joining it."""
        return self._audio.length

    @property
    def tool(self) -> FormattedTool | None:
        """The call, for a function call."""
        call = self._call
        if call is None:
            return None
        return FormattedTool(call.name, call.call_id, call.arguments.read())

    def __repr__(self) -> str:
        return (
            f"FormattedProperty(text={self.text!r}, transcript={self.transcript!r}, "
            f"audio=<{self.audio_bytes} bytes>, tool={self.tool!r}, output={self.output!r})"
        )


class FormattedItem:
    """An item of the conversation as it was when the update was made; it never changes."""

    __slots__ = ("_parts", "formatted", "id", "role", "status", "type", "wire")

    def __init__(
        self,
        *,
        wire: Item,
        id: str,  # noqa: A002  # the wire's own words
        type: str | None,  # noqa: A002  # the wire's own word
        role: str | None,
        status: str | None,
        parts: tuple[PartMark, ...],
        formatted: FormattedProperty,
    ) -> None:
        self.wire: Final = wire
        """The item as the server last sent it whole."""
        self.id: Final = id
        self.type: Final = type
        """`message`, `function_call`, `function_call_output`, ..."""
        self.role: Final = role
        """Who speaks, for a message."""
        self.status: Final = status
        """`in_progress`, `completed` or `incomplete`; `None` for items that have none."""
        self.formatted: Final = formatted
        self._parts = parts

    @property
    def content(self) -> tuple[ContentPart, ...]:
        """The parts of a message, with what deltas and transcripts have added."""
        return tuple(part.read() for part in self._parts)

    def __repr__(self) -> str:
        return (
            f"FormattedItem(id={self.id!r}, type={self.type!r}, role={self.role!r}, "
            f"status={self.status!r}, formatted={self.formatted!r})"
        )
