"""Conversation items of the client: checked, created, retrieved, truncated and deleted.

Every item is announced twice: `conversation.item.added` when it joins the conversation, and
`conversation.item.done` when it is complete. Items of the client and turns of the user are complete
at once; those of a response are written by `response_writer`.

Source: recorded GA traffic.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pybase64 import b64decode, b64encode

from duologue.audio.streams import decoder, encoder
from duologue.protocol import ga
from duologue.protocol.model import UNSET, Unknown, replace
from duologue.server.session.audio_input import format_of, input_of, output_of
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.protocol.formats import Format
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.conversation import ServerConversation
    from duologue.server.session.transcription import InputTranscription

__all__ = ["ItemEvents", "prepared", "with_audio"]


class ItemEvents:
    """Changes the conversation's items, and emits the events that confirm it."""

    def __init__(
        self,
        conversation: ServerConversation,
        transcription: InputTranscription,
        context: ConversationContext,
    ) -> None:
        self._conversation: Final = conversation
        self._transcription: Final = transcription
        self._context: Final = context

    def create(self, event: ga.ConversationItemCreateEvent, config: ga.RealtimeSession) -> None:
        """Add a client's item.

        Raises:
            InvalidRequest: If the item is invalid, or the conversation is full.
        """
        source = format_of(input_of(config).format)
        item, pcm = prepared(event.item, source, new_id=self._context.new_id)
        self._transcription.check_room(len(pcm), "item.content")
        after = event.previous_item_id
        self.add(item, pcm, after=after if isinstance(after, str) else None)

    def add(self, item: ga.Item, pcm: bytes, *, after: str | None, has_words: bool = True) -> None:
        """Add a complete item.

        Args:
            item: Has an id.
            pcm: The audio of its audio part, PCM16 at 24 kHz; may be empty.
            after: The item before it; `None` for the end.
            has_words: Whether its audio is to be transcribed.

        Raises:
            InvalidRequest: If the conversation refuses it.
        """
        stored = self._conversation.insert(item, after=after)
        item_id = str(item.id)
        previous = self._conversation.before(item_id)
        for kind in (ga.ConversationItemAdded, ga.ConversationItemDone):
            event_id = self._context.event_id()
            self._context.emit(kind(event_id=event_id, item=item, previous_item_id=previous))
        if pcm:
            stored.add_audio(pcm)
            self._conversation.keep_audio(stored)
            if has_words:
                self._transcription.transcribe(item_id, stored)

    def retrieve(self, event: ga.ConversationItemRetrieveEvent, config: ga.RealtimeSession) -> None:
        """Send an item with its audio, in the session's input or output format.

        Raises:
            InvalidRequest: If there is no such item.
        """
        stored = self._conversation.get(event.item_id)
        item = stored.current
        is_users = isinstance(item, ga.Message) and item.role == ga.MessageRole.USER
        direction = input_of(config) if is_users else output_of(config)
        item = with_audio(item, bytes(stored.audio), format_of(direction.format))
        event_id = self._context.event_id()
        self._context.emit(ga.ConversationItemRetrieved(event_id=event_id, item=item))

    def truncate(self, event: ga.ConversationItemTruncateEvent) -> None:
        """Cut an assistant message to the audio that the user has heard.

        Raises:
            InvalidRequest: If there is no such audio, or less of it.
        """
        self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._context.emit(
            ga.ConversationItemTruncatedEvent(
                event_id=self._context.event_id(),
                item_id=event.item_id,
                content_index=event.content_index,
                audio_end_ms=event.audio_end_ms,
            )
        )

    def delete(self, event: ga.ConversationItemDeleteEvent) -> None:
        """Delete an item, and stop transcribing it.

        Raises:
            InvalidRequest: If there is no such item.
        """
        self._conversation.delete(event.item_id)
        event_id = self._context.event_id()
        self._context.emit(
            ga.ConversationItemDeletedEvent(event_id=event_id, item_id=event.item_id)
        )
        self._transcription.drop(event.item_id)


def prepared(
    item: ga.Item, source: Format, *, new_id: Callable[[str], str], path: str = "item"
) -> tuple[ga.Item, bytes]:
    """Return a client's item as the server keeps it, and its audio as PCM16 at 24 kHz.

    Args:
        item: As the client sent it.
        source: Format of its audio: the session's input format.
        new_id: Returns a new id for a prefix.
        path: Path of the item in its event, for errors.

    Raises:
        InvalidRequest: If a client may not create such an item.
    """
    if isinstance(item, Unknown | ga.ItemReference):
        message = "Item references belong in response.input."
        raise InvalidRequest("invalid_value", message, f"{path}.type")
    if item.id is UNSET:
        item = replace(item, id=new_id("item"))
    if isinstance(item, ga.FunctionCall) and item.call_id is UNSET:
        item = replace(item, call_id=new_id("call"))
    if not isinstance(item, ga.Message):
        has_object = isinstance(item, ga.FunctionCall | ga.FunctionCallOutput)
        return (replace(item, object=UNSET) if has_object else item), b""
    pcm = b""
    parts: list[ga.ContentPart] = []
    for index, part in enumerate(item.content):
        here = f"{path}.content[{index}]"
        _check(item.role, part, here)
        if isinstance(part, ga.InputAudio) and isinstance(part.audio, str):
            pcm += _read(part.audio, source, f"{here}.audio")
            part = replace(part, audio=UNSET)  # noqa: PLW2901  # the audio is kept beside the item
        parts.append(part)
    return replace(item, content=parts, status="completed", object=UNSET), pcm


def with_audio(item: ga.Item, pcm: bytes, target: Format) -> ga.Item:
    """Return an item with its audio in its audio part, in a format.

    Source: Realtime API reference, content part, `audio`.
    """
    if not pcm or not isinstance(item, ga.Message):
        return item
    stream = encoder(target)
    audio = b64encode(stream.feed(pcm) + stream.finish()).decode()
    parts = [
        replace(part, audio=audio) if isinstance(part, ga.InputAudio | ga.OutputAudio) else part
        for part in item.content
    ]
    return replace(item, content=parts)


_PARTS = {
    "user": (ga.InputText, ga.InputAudio, ga.InputImage),
    "system": (ga.InputText,),
    "assistant": (ga.OutputText, ga.OutputAudio),
}


def _check(role: str, part: ga.ContentPart, path: str) -> None:
    allowed = _PARTS.get(role, ())
    if not isinstance(part, allowed):
        kinds = ", ".join(f"'{kind.__struct_config__.tag}'" for kind in allowed)
        text = f"Invalid content type for role '{role}'. Supported values are: {kinds}."
        raise InvalidRequest("invalid_value", text, f"{path}.type")
    if isinstance(part, ga.InputImage) and isinstance(part.image_url, str):
        _check_image(part.image_url, f"{path}.image_url")
    if isinstance(part, ga.OutputAudio):
        text = f"Missing required parameter: '{path}.text'."
        raise InvalidRequest("missing_required_parameter", text, f"{path}.text")


_IMAGE: Final = re.compile(r"data:image/(png|jpe?g)(;[\w=-]+)*;base64,", re.IGNORECASE)


def _check_image(url: str, path: str) -> None:
    if re.match("https://.", url, re.IGNORECASE):
        return
    message = "Invalid image: expected an https: URL, or a data: URL of a PNG or JPEG in base64."
    begin = _IMAGE.match(url)
    if begin is None:
        raise InvalidRequest("invalid_value", message, path)
    try:
        seen = b64decode(url[begin.end() :], validate=True)
    except ValueError:
        raise InvalidRequest("invalid_value", message, path) from None
    if not seen:
        raise InvalidRequest("invalid_value", message, path)


def _read(audio: str, source: Format, path: str) -> bytes:
    try:
        sent = b64decode(audio, validate=True)
    except ValueError:
        raise InvalidRequest("invalid_value", "Invalid audio: not base64.", path) from None
    stream = decoder(source)
    pcm = stream.feed(sent) + stream.finish()
    return pcm[: len(pcm) & ~1]
