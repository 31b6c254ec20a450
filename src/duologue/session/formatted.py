"""Immutable snapshots of items, cheap enough to make one for every delta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import msgspec
from msgspec import Struct
from pybase64 import b64encode

from duologue.protocol.codec import encode_model
from duologue.protocol.ga import FunctionCall, FunctionCallOutput, Item, Message
from duologue.session._item_fields import first_status, id_of, is_text, type_of, words_of
from duologue.session.journal import ARGUMENTS, TEXT, TRANSCRIPT, Journal, PartState

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart
    from duologue.protocol.model import Json

__all__ = ["FormattedItem", "FormattedProperty", "FormattedTool", "ItemSpeech"]


@dataclass(frozen=True, slots=True)
class FormattedTool:
    """A function call of the model."""

    name: str
    call_id: str
    arguments: str
    """The arguments so far; valid JSON only once the item is complete."""
    type: str = "function"


@dataclass(frozen=True, slots=True)
class ItemSpeech:
    """The time of a user's speech, in milliseconds of the session's input audio."""

    audio_start_ms: int | None
    """Start, with the padding that turn detection adds; `None` if the server did not send it."""
    audio_end_ms: int | None
    """End; `None` if the server had not sent it when it added the item."""


# A snapshot is the journal and a length in it: nothing is joined or copied until it is read.
# gc=False: there is one for every delta, and it cannot be part of a reference cycle.
class FormattedItem(Struct, frozen=True, eq=False, gc=False):
    """An item of the conversation as it was at the time of the update.

    It never changes, except that its audio may be dropped later; see `Retention`.
    """

    id: str
    wire: Item
    """The complete item as the server last sent it."""
    status: str | None
    """`in_progress`, `completed` or `incomplete`; `None` for items without a status."""
    _journal: Journal
    _length: int
    speech: ItemSpeech | None = None
    """When the user spoke it; `None` for other items, and without turn detection."""

    @classmethod
    def of(cls, item: Item, *, audio: bytes = b"", speech: ItemSpeech | None = None) -> Self:
        """Return an item that is not of a conversation: one that was stored, or is made for a test.

        Args:
            item: The item.
            audio: Its audio, in the format of its session.
            speech: When the user spoke it.
        """
        parts = item.content if isinstance(item, Message) else []
        texts = [words_of(part) or "" for part in parts if is_text(part)]
        transcripts = [words_of(part) or "" for part in parts if not is_text(part)]
        journal = Journal(
            text="".join(texts),
            transcript="".join(transcripts),
            arguments=item.arguments if isinstance(item, FunctionCall) else "",
            audio=audio,
        )
        for index, part in enumerate(parts):
            journal.parts[index] = PartState(part, words_of(part), 0)
        return cls(id_of(item) or "", item, first_status(item), journal, 0, speech)

    def to_dict(self) -> dict[str, Json]:
        """Return the item as plain JSON, with its audio as base64: the reference client's form."""
        formatted = self.formatted
        fields: dict[str, Json] = {
            "id": self.id,
            "type": self.type,
            "role": self.role,
            "status": self.status,
            "content": [msgspec.json.decode(encode_model(part)) for part in self.content],
            "formatted": formatted.to_dict(),
        }
        if self.speech is not None:
            fields["speech"] = msgspec.to_builtins(self.speech)
        return fields

    @property
    def type(self) -> str | None:
        """Type of the item: `message`, `function_call`, `function_call_output`, ..."""
        return type_of(self.wire)

    @property
    def role(self) -> str | None:
        """Role of a message: `user`, `assistant` or `system`."""
        return self.wire.role if isinstance(self.wire, Message) else None

    @property
    def content(self) -> tuple[ContentPart, ...]:
        """Content parts of a message, with the text and transcripts of its deltas."""
        return self._journal.content(self._length)

    @property
    def formatted(self) -> FormattedProperty:
        """Content of the item, joined from its parts and deltas."""
        return FormattedProperty(self.wire, self._journal, self._length)

    def __repr__(self) -> str:
        return (
            f"FormattedItem(id={self.id!r}, type={self.type!r}, role={self.role!r}, "
            f"status={self.status!r}, formatted={self.formatted!r})"
        )


class FormattedProperty(Struct, frozen=True, eq=False, gc=False):
    """Content of an item, joined from its parts and deltas."""

    _wire: Item
    _journal: Journal
    _length: int

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return self._journal.words(TEXT, self._length)

    @property
    def transcript(self) -> str:
        """Transcript of the item's audio; a single space for speech without words."""
        return self._journal.words(TRANSCRIPT, self._length)

    @property
    def audio(self) -> bytes:
        """Audio of the item, in the session's input or output format.

        It is decoded and joined when it is read: to play audio as it arrives, use the deltas.
        Deltas that are not valid base64 are left out.
        """
        return self._journal.audio(self._length)

    @property
    def audio_bytes(self) -> int:
        """Size of `audio` in bytes, computed without joining it."""
        return self._journal.audio_bytes(self._length)

    @property
    def tool(self) -> FormattedTool | None:
        """The call of a `function_call` item, else `None`."""
        wire = self._wire
        if not isinstance(wire, FunctionCall):
            return None
        arguments = self._journal.words(ARGUMENTS, self._length)
        return FormattedTool(wire.name, wire.call_id or "", arguments)

    @property
    def output(self) -> str | None:
        """The output of a `function_call_output` item, else `None`."""
        return self._wire.output if isinstance(self._wire, FunctionCallOutput) else None

    def to_dict(self) -> dict[str, Json]:
        """Return the content as plain JSON, with the audio as base64."""
        return {
            "text": self.text,
            "transcript": self.transcript,
            "audio": b64encode(self.audio).decode(),
            "tool": msgspec.to_builtins(self.tool),
            "output": self.output,
        }

    def __repr__(self) -> str:
        return (
            f"FormattedProperty(text={self.text!r}, transcript={self.transcript!r}, "
            f"audio=<{self.audio_bytes} bytes>, tool={self.tool!r}, output={self.output!r})"
        )
