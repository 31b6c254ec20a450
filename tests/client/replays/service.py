"""Server that repeats what a real one was seen to send, in the words of either dialect."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.client.client_doubles import MemoryServer, client_of
from tests.protocol.protocol_data import is_array, is_object

from duologue import ConversationUpdated, ErrorUpdate, ItemAppended, ItemCompleted
from duologue.protocol.ga import Message

if TYPE_CHECKING:
    from duologue import RealtimeClient
    from duologue.protocol.codec import Dialect
    from duologue.session.formatted import FormattedItem

__all__ = ["Service", "Watch", "both_dialects", "call", "message", "refusal", "speech"]

Body = dict[str, Any]

both_dialects = pytest.mark.parametrize("dialect", ["ga", "beta"])

_BETA_TYPES: Final = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "conversation.item.added": "conversation.item.created",
}
_BETA_PARTS: Final[dict[object, str]] = {"output_text": "text", "output_audio": "audio"}
_ONLY_GA: Final = "conversation.item.done"


def message(
    item_id: str, words: str = "", *, role: str = "assistant", status: str = "completed"
) -> Body:
    """Return a message: of the assistant, spoken; of anybody else, typed."""
    part = {"type": "output_audio", "transcript": words}
    if role != "assistant":
        part = {"type": "input_text", "text": words}
    content = [part] if words else []
    return {
        "id": item_id, "object": "realtime.item", "type": "message", "status": status,
        "role": role, "content": content,
    }  # fmt: skip


def speech(item_id: str, transcript: str | None = None) -> Body:
    """Return a message that the user spoke."""
    part = {"type": "input_audio", "transcript": transcript}
    return message(item_id, role="user") | {"content": [part]}


def call(
    item_id: str, call_id: str, name: str, arguments: str = "{}", status: str = "completed"
) -> Body:
    """Return a function call."""
    return {
        "id": item_id, "object": "realtime.item", "type": "function_call", "status": status,
        "name": name, "call_id": call_id, "arguments": arguments,
    }  # fmt: skip


def refusal(text: str, code: str | None = None, **more: object) -> Body:
    """Return the content of an `error`, by default without the id of its cause."""
    nothing = {"param": None, "event_id": None}
    return {"type": "invalid_request_error", "code": code, "message": text, **nothing, **more}


class Service(MemoryServer):
    """Server of one session; it sends nothing by itself but what every server answers.

    Args:
        dialect: Dialect of its events. Those in GA's words are translated.
        options: See `MemoryServer`.
    """

    def __init__(self, dialect: Dialect = "ga", **options: Any) -> None:
        super().__init__(**options)
        self.dialect: Final = dialect
        self._marks = 0

    def client(self, **options: Any) -> RealtimeClient:
        """Return a client of it."""
        return client_of(self, dialect=self.dialect, **options)

    def send(self, kind: str, **fields: object) -> None:
        if self.dialect == "ga":
            super().send(kind, **fields)
        elif kind != _ONLY_GA:
            beta: Any = _in_beta(fields)
            super().send(_BETA_TYPES.get(kind, kind), **beta)

    async def processed(self, client: RealtimeClient) -> None:
        """Wait until a client has processed everything that was sent."""
        self._marks += 1
        kind = f"mark.{self._marks}"
        super().send(kind)
        await client.wait_for_next(f"server.{kind}", timeout=5)

    def add(self, item: Body, after: str | None = None) -> None:
        """Add an item to the conversation."""
        self.send("conversation.item.added", previous_item_id=after, item=item)
        self.send("conversation.item.done", previous_item_id=after, item=item)

    def speak(
        self,
        words: str,
        response_id: str = "resp_1",
        item_id: str = "item_a",
        *,
        index: int = 0,
        audio: bytes = b"",
        ends: bool = True,
    ) -> Body:
        """Send a spoken message of a response, and return it; its end only if it `ends`."""
        output = {"response_id": response_id, "output_index": index}
        place = output | {"item_id": item_id, "content_index": 0}
        begun, whole = message(item_id, status="in_progress"), message(item_id, words)
        self.send("response.output_item.added", **output, item=begun)
        self.send("conversation.item.added", previous_item_id=None, item=begun)
        self.send("response.content_part.added", **place, part={"type": "audio", "transcript": ""})
        for word in words.split(" "):
            delta = word if words.startswith(word) else f" {word}"
            self.send("response.output_audio_transcript.delta", **place, delta=delta)
        if audio:
            self.sound(audio, response_id, item_id)
        if ends:
            self.send("response.output_audio.done", **place)
            self.send("response.output_audio_transcript.done", **place, transcript=words)
            part = {"type": "audio", "transcript": words}
            self.send("response.content_part.done", **place, part=part)
            self.send("conversation.item.done", previous_item_id=None, item=whole)
            self.send("response.output_item.done", **output, item=whole)
        return whole

    def sound(self, audio: bytes, response_id: str = "resp_1", item_id: str = "item_a") -> None:
        """Send a delta of audio."""
        place = {"response_id": response_id, "output_index": 0, "item_id": item_id}
        delta = base64.b64encode(audio).decode()
        self.send("response.output_audio.delta", **place, content_index=0, delta=delta)

    def answer(self, words: str, response_id: str = "resp_1", item_id: str = "item_a") -> None:
        """Send a whole response that says something."""
        self.begin(response_id)
        whole = self.speak(words, response_id, item_id)
        self.finish(response_id, output=[whole])

    def hear(self, item_id: str, after: str | None = None) -> None:
        """Detect a turn of the user, and commit it."""
        self.send("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        self.send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=500)
        self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=after)
        self.add(speech(item_id), after)

    def transcribe(self, item_id: str, words: str, kind: str = "completed", **more: object) -> None:
        """Send words of the user."""
        name = "delta" if kind == "delta" else "transcript"
        place: Body = {"item_id": item_id, "content_index": 0, name: words, **more}
        self.send(f"conversation.item.input_audio_transcription.{kind}", **place)

    def error(self, content: Body) -> None:
        """Send an error."""
        self.send("error", error=content)


class Watch:
    """Everything that an application with callbacks sees of a session."""

    def __init__(self, client: RealtimeClient) -> None:
        self.client: Final = client
        self.errors: list[str] = []
        self.words: dict[str, str] = {}
        """The deltas of each item's transcript, joined."""
        self.appended: list[str] = []
        self.completed: list[str] = []
        client.on(ErrorUpdate, lambda update: self.errors.append(str(update.error)))
        client.on(ConversationUpdated, self._on_updated)
        client.on(ItemAppended, lambda update: self.appended.append(update.item.id))
        client.on(ItemCompleted, lambda update: self.completed.append(update.item.id))

    def conversation(self) -> list[tuple[str, str]]:
        """Return the ids and words of the conversation's items."""
        return [(item.id, words_of(item)) for item in self.client.conversation]

    def _on_updated(self, update: ConversationUpdated) -> None:
        if update.delta is not None and update.delta.transcript:
            so_far = self.words.get(update.item.id, "")
            self.words[update.item.id] = so_far + update.delta.transcript


def words_of(item: FormattedItem) -> str:
    """Return what was said, typed or called."""
    formatted = item.formatted
    if formatted.tool is not None:
        return f"{formatted.tool.name}({formatted.tool.arguments})"
    typed = formatted.text if isinstance(item.wire, Message) else formatted.output or ""
    return typed or formatted.transcript.strip()


def _in_beta(value: object) -> object:
    """Return a value of an event with the names that beta has for the types of parts."""
    if is_array(value):
        return [_in_beta(entry) for entry in value]
    if not is_object(value):
        return value
    body = {key: _in_beta(entry) for key, entry in value.items()}
    kind = body.get("type")
    return body | {"type": _BETA_PARTS[kind]} if kind in _BETA_PARTS else body
