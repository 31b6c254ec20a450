"""History: the items of a conversation as a client creates them in another session, or in a file.

A server takes no audio of the assistant, so its speech becomes text, and the user's becomes its
transcript, or stays audio where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from pybase64 import b64encode

from duologue.errors import ConfigurationError
from duologue.protocol import codec, ga
from duologue.protocol.model import UNSET, UnsetType
from duologue.session._item_fields import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.protocol.ga import ContentPart, Item
    from duologue.session.items import ItemState

__all__ = [
    "History", "RestoredItem", "choose_history", "read_saved", "restored_item", "saved_history",
]  # fmt: skip

VERSION: Final = 1
"""Version of the form in which a conversation is saved."""

MAX_ID_LENGTH: Final = 32
"""Longest id of an item that OpenAI accepts from a client."""


@dataclass(frozen=True, slots=True)
class RestoredItem:
    """An item of the conversation, as a client creates it in a new session."""

    item_id: str
    """Its id in the conversation."""
    item: Item


@dataclass(frozen=True, slots=True)
class History:
    """The items for a new session."""

    items: tuple[RestoredItem, ...]
    """In the order of the conversation."""
    left_out: tuple[ItemState, ...] = ()
    """The oldest items, which were too large together."""
    lost: tuple[str, ...] = ()
    """Ids of items that cannot be created: nothing is kept of them, or only a server makes them."""


def choose_history(states: Iterable[ItemState], limit_bytes: int) -> History:
    """Return the newest item and those before it that fit, never an output without its call."""
    chosen: list[tuple[ItemState, Item]] = []
    lost: list[str] = []
    for state in states:
        item = restored_item(state)
        if item is None:
            lost.append(state.id)
        else:
            chosen.append((state, item))
    sizes = [len(codec.encode_model(item)) for _, item in chosen]
    # The newest is never left out: a question that was spoken may be larger than all else.
    size, count = sum(sizes[:-1]), 0
    while size > limit_bytes:
        size -= sizes[count]
        count += 1
    left_out = [state for state, _ in chosen[:count]]
    calls: set[object] = set()
    items: list[RestoredItem] = []
    for state, item in chosen[count:]:
        if isinstance(item, ga.FunctionCall):
            calls.add(item.call_id)
        if isinstance(item, ga.FunctionCallOutput) and item.call_id not in calls:
            left_out.append(state)
        else:
            items.append(RestoredItem(state.id, item))
    return History(tuple(items), tuple(left_out), tuple(lost))


def restored_item(state: ItemState) -> Item | None:
    """Return the item to create in a new session; `None` if an item cannot be restored."""
    item_id = state.id if len(state.id) <= MAX_ID_LENGTH else UNSET
    match state.wire:
        case ga.Message(role=role):
            content = _content(state)
            return ga.Message(id=item_id, role=role, content=content) if content else None
        case ga.FunctionCall() if state.response_id is not None and not state.is_completed:
            return None  # it was cut, and so did not run
        case ga.FunctionCall(name=name, call_id=call_id):
            tool = state.snapshot().formatted.tool
            arguments = "" if tool is None else tool.arguments
            return ga.FunctionCall(id=item_id, name=name, call_id=call_id, arguments=arguments)
        case ga.FunctionCallOutput(call_id=call_id, output=output):
            return ga.FunctionCallOutput(id=item_id, call_id=call_id, output=output)
        case _:
            return None


def _content(state: ItemState) -> list[ContentPart]:
    if state.heard_words is not None:  # it was cut: the server's own copy has no words any more
        return [ga.OutputText(text=state.heard_words)] if state.heard_words else []
    parts = [_part(state, part) for part in state.snapshot().content]
    spoken = [part for part in parts if isinstance(part, ga.InputAudio)]
    # The audio of an item is kept as a whole, not by its parts.
    return [
        part for part in parts if part is not None and not any(part is each for each in spoken[1:])
    ]


def _part(state: ItemState, part: ContentPart) -> ContentPart | None:
    match part:
        case ga.OutputText() | ga.OutputAudio():
            words = words_of(part)
            return ga.OutputText(text=words) if words else None
        case ga.InputImage(image_url=None | UnsetType()):
            return None  # the server's copy lacks it
        case ga.InputAudio():
            formatted = state.snapshot().formatted
            words = (words_of(part) or formatted.transcript).strip()
            if words:
                return ga.InputText(text=words)
            audio_bytes = formatted.audio
            return ga.InputAudio(audio=b64encode(audio_bytes).decode()) if audio_bytes else None
        case _:
            return part


class _Saved(msgspec.Struct, kw_only=True):
    """A conversation in a file, as `docs/client/survival.md` describes it."""

    duologue_conversation: int
    items: list[ga.Item]


def saved_history(states: Iterable[ItemState]) -> bytes:
    """Return items as JSON, which `read_saved` reads."""
    items = choose_history(states, 1 << 60).items
    text = b",\n".join(codec.encode_model(each.item) for each in items)
    return b'{"duologue_conversation":%d,"items":[\n%s\n]}\n' % (VERSION, text)


def read_saved(saved: bytes) -> tuple[Item, ...]:
    """Return the items of a saved conversation.

    Raises:
        ConfigurationError: If it is not one.
    """
    try:
        found = msgspec.json.decode(saved, type=_Saved)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"this is not a saved conversation: {error}") from error
    if found.duologue_conversation != VERSION:
        text = f"the conversation was saved in version {found.duologue_conversation} of its form"
        raise ConfigurationError(f"{text}, this duologue reads {VERSION}: update it")
    return tuple(found.items)
