"""A client's core and a server's core, connected without a network."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests.server.session.conftest import Engine

from duologue.protocol import codec, ga
from duologue.server.session.engine_work import ConversationWork, Respond, Transcribe
from duologue.server.session.session import ServerSession
from duologue.session.client_session import ClientSession
from duologue.session.contract import SendEvent
from duologue.session.effects import Notify, SendFrame

if TYPE_CHECKING:
    from duologue.session.updates import Update


TRANSCRIBING = ga.RealtimeSession(
    audio=ga.AudioConfig(
        input=ga.AudioInput(transcription=ga.AudioTranscription(model="whisper-1"))
    )
)
"""Without a transcription model the server sends no transcripts of the user."""


class TwoEnds:
    """Both cores; the server's events wait until `deliver` is called."""

    def __init__(self) -> None:
        server_ids, client_ids = itertools.count(1), itertools.count(1)
        self.server = ServerSession(
            model="gpt-realtime",
            score=lambda frame: 1.0 if any(frame) else 0.0,
            new_id=lambda prefix: f"{prefix}_{next(server_ids)}",
            requested=TRANSCRIBING,
        )
        self.engine = Engine(lambda result: self.server.send(result, 1.0))
        self.client = ClientSession(new_id=lambda kind: f"{kind}_c{next(client_ids)}")
        self.updates: list[Update] = []
        self.responding: list[str] = []
        self.transcribing: list[str] = []
        self._line: list[ga.KnownServerEvent] = []
        self.deliver()

    def send(self, event: ga.AnyClientEvent) -> None:
        """Send an event from the client to the server."""
        self.client.send(event, 1.0)
        self.settle()

    def settle(self) -> None:
        """Pass the client's frames to the server, and queue the server's events."""
        for effect in self.client.effects():
            if isinstance(effect, SendFrame):
                self.server.receive(codec.decode(effect.frame, direction="client"), 1.0)
            elif isinstance(effect, Notify):
                self.updates += effect.updates
        for work in self.server.effects():
            if isinstance(work, SendEvent):
                self._line.append(work.event)
            else:
                self._note(work)

    def deliver(self, count: int | None = None) -> None:
        """Pass `count` of the server's events to the client; `None` passes all."""
        self.settle()
        while self._line and count != 0:
            event = self._line.pop(0)
            self.client.receive(codec.decode(codec.encode(event)), 1.0)
            count = None if count is None else count - 1
            self.settle()

    def _note(self, command: ConversationWork) -> None:
        if isinstance(command, Respond):
            self.responding.append(command.response_id)
        elif isinstance(command, Transcribe):
            self.transcribing.append(command.item_id)


def mirrored(client: ClientSession) -> list[dict[str, Any]]:
    """Return the items of the client's mirror."""
    return [
        _summary(item.wire, item.status) | {"content": _content(item.content)}
        for item in client.conversation
    ]


def held(server: ServerSession) -> list[dict[str, Any]]:
    """Return the server's items; a truncated item has no transcript, as in the client's mirror."""
    items: list[dict[str, Any]] = []
    for stored in server.conversation.stored():
        item = stored.current
        content = item.content if isinstance(item, ga.Message) else []
        parts = _content(tuple(content))
        if stored.is_truncated:
            parts = [(kind, "" if kind == "output_audio" else words) for kind, words in parts]
        status = item.status if isinstance(item, ga.Message | ga.FunctionCall) else "completed"
        items.append(
            _summary(item, status if isinstance(status, str) else None) | {"content": parts}
        )
    return items


def _summary(item: ga.Item, status: str | None) -> dict[str, Any]:
    call = (item.name, item.arguments) if isinstance(item, ga.FunctionCall) else None
    role = item.role if isinstance(item, ga.Message) else None
    return {"id": item.id, "role": role, "call": call, "status": status}


def _content(parts: tuple[ga.ContentPart, ...]) -> list[tuple[str, str]]:
    return [(str(part.__struct_config__.tag), _words(part)) for part in parts]


def _words(part: ga.ContentPart) -> str:
    match part:
        case ga.InputText(text=str(words)) | ga.OutputText(text=str(words)):
            return words
        case ga.InputAudio(transcript=str(words)) | ga.OutputAudio(transcript=str(words)):
            return words
        case _:
            return ""
