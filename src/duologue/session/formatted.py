"""Immutable snapshots of items, cheap enough to make one for every delta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import Struct

from duologue.protocol.ga import FunctionCall, FunctionCallOutput, Item, Message
from duologue.session._item_fields import type_of
from duologue.session.journal import ARGUMENTS, TEXT, TRANSCRIPT, Journal

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart

__all__ = ["FormattedItem", "FormattedProperty", "FormattedTool"]


@dataclass(frozen=True, slots=True)
class FormattedTool:
    """A function call of the model."""

    name: str
    call_id: str
    arguments: str
    """The arguments so far; valid JSON only once the item is complete."""
    type: str = "function"


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

    def __repr__(self) -> str:
        return (
            f"FormattedProperty(text={self.text!r}, transcript={self.transcript!r}, "
            f"audio=<{self.audio_bytes} bytes>, tool={self.tool!r}, output={self.output!r})"
        )
