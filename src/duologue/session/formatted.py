"""Items as an application reads them: immutable snapshots, cheap enough for every delta."""

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
    """The arguments so far: valid JSON only when the item is complete."""
    type: str = "function"


class FormattedItem(Struct, frozen=True, eq=False, gc=False):
    """An item of the conversation as it was at the time of the update; immutable.

    Only its audio may be dropped later: see `Retention`.
    """

    id: str
    wire: Item
    """The complete item as the server last sent it."""
    status: str | None
    """`in_progress`, `completed` or `incomplete`; `None` for items that have none."""
    _journal: Journal
    _length: int

    @property
    def type(self) -> str | None:
        """`message`, `function_call`, `function_call_output`, ..."""
        return type_of(self.wire)

    @property
    def role(self) -> str | None:
        """Role of a message: `user`, `assistant` or `system`."""
        return self.wire.role if isinstance(self.wire, Message) else None

    @property
    def content(self) -> tuple[ContentPart, ...]:
        """Content parts of a message, including what deltas and transcripts have added."""
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
        """What was spoken, in words; one space for speech without any."""
        return self._journal.words(TRANSCRIPT, self._length)

    @property
    def audio(self) -> bytes:
        """What was spoken, in the session's format of that direction.

        Decoded and joined when it is read: to play audio as it arrives, take the deltas. What is
        not base64 is left out.
        """
        return self._journal.audio(self._length)

    @property
    def audio_bytes(self) -> int:
        """Size of `audio`, without joining it."""
        return self._journal.audio_bytes(self._length)

    @property
    def tool(self) -> FormattedTool | None:
        """The call, for a function call."""
        wire = self._wire
        if not isinstance(wire, FunctionCall):
            return None
        arguments = self._journal.words(ARGUMENTS, self._length)
        return FormattedTool(wire.name, wire.call_id or "", arguments)

    @property
    def output(self) -> str | None:
        """What the application answered, for a function call output."""
        return self._wire.output if isinstance(self._wire, FunctionCallOutput) else None

    def __repr__(self) -> str:
        return (
            f"FormattedProperty(text={self.text!r}, transcript={self.transcript!r}, "
            f"audio=<{self.audio_bytes} bytes>, tool={self.tool!r}, output={self.output!r})"
        )
