"""Recorded sessions of OpenAI and Azure, replayed to the client: every event in the recorded order.

The orders are of recordings in pydantic/pydantic-ai (`tests/realtime/cassettes`), see
`tests/data/protocol/real_event_orders.txt`. What the events contain is made up here.
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.client.replays.service import Service, Watch, both_dialects, call, message, speech
from tests.server.recordings import Recording, recordings

from duologue.protocol import ga
from duologue.protocol.model import UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue import RealtimeClient
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio

Body = dict[str, Any]

SAID: Final = "Hello, my name is Ann."
ARGUMENTS: Final = '{"city":"Bonn"}'
AUDIO: Final = base64.b64encode(bytes(480)).decode()
TRANSCRIPTION: Final = "conversation.item.input_audio_transcription."
HEADING: Final = ["session.created", "session.update", "session.updated"]
"""The beginning of every recording: what `connect` does."""


@dataclass
class Output:
    """An item of a response, as far as it has been sent."""

    id: str
    kind: str
    """`text`, `audio` or `call`."""
    words: str = ""
    is_said: bool = False

    def item(self) -> Body:
        """Return the item as it is now."""
        status = "completed" if self.is_said else "in_progress"
        if self.kind == "call":
            said = self.words if self.is_said else ""
            return call(self.id, f"call_{self.id}", "look", said, status)
        item = message(self.id, self.words if self.is_said else "", status=status)
        if self.kind == "text" and self.is_said:
            item["content"] = [{"type": "output_text", "text": self.words}]
        return item


class Player:
    """Sends the events of a recording, and acts as its application did."""

    def __init__(self, server: Service, client: RealtimeClient, recording: Recording) -> None:
        self.conversation: dict[str, str] = {}
        """The words of each item that the client must have in the end."""
        self.handles: list[Any] = []
        self._server: Final = server
        self._client: Final = client
        self._ahead: Final = deque(recording.events)
        self._numbers: Final = Counter[str]()
        self._turn = self._response = ""
        self._sent: Final[deque[Body]] = deque()
        self._undone: Final[deque[Body]] = deque()
        """Items of the user, of which `conversation.item.done` is to come."""
        self._open: Final[list[Output]] = []
        self._ended: list[Output] = []
        self._senders: Final[dict[str, Callable[[], Body]]] = {
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": lambda: self._of_turn(audio_end_ms=900),
            "input_audio_buffer.committed": self._of_turn,
            f"{TRANSCRIPTION}delta": lambda: self._of_turn(delta=self._letter()),
            f"{TRANSCRIPTION}completed": self._transcribed,
            f"{TRANSCRIPTION}failed": lambda: self._of_turn(error={"message": "no"}),
            "conversation.item.added": self._added,
            "conversation.item.done": lambda: self._item(
                self._undone.popleft() if self._undone else self._open[0].item()
            ),
            "response.created": self._created,
            "response.output_item.added": self._output_added,
            "response.output_item.done": self._output_done,
            "response.done": self._response_done,
            "rate_limits.updated": lambda: {"rate_limits": []},
        }

    async def play(self) -> None:
        """Play the whole recording."""
        assert [self._ahead.popleft()[1] for _ in HEADING] == HEADING
        while self._ahead:
            way, kind = self._ahead.popleft()
            if way == ">":
                await self._act(kind)
            else:
                sender = self._senders.get(kind) or (lambda of=kind: self._of_content(of))
                self._server.send(kind, **sender())
        await self._server.processed(self._client)

    async def _act(self, kind: str) -> None:
        """Do what the application did."""
        await self._server.processed(self._client)
        number = self._number(kind)
        match kind:
            case "input_audio_buffer.append":
                self._client.append_input_audio(bytes(4800))
            case "response.create":
                self.handles.append(self._client.create_response())
            case _:
                self.handles.append(self._client.create_item(self._new_item(number)))
        if kind == "response.create" and self._is_active:
            return  # it waits its turn
        event = await self._server.got(kind, number)
        if kind == "conversation.item.create":
            self._sent.append({"id": f"item_s{number}", **event["item"]})

    _is_active = False

    def _new_item(self, number: int) -> ga.Item:
        """Return the item that the application added: the output of a call, if one is open."""
        calls = [output for output in self._ended if output.kind == "call"]
        if calls:
            return ga.FunctionCallOutput(call_id=f"call_{calls[-1].id}", output="sunny")
        return ga.Message(role="user", content=[ga.InputText(text=f"Text {number}")])

    def _of_turn(self, **fields: object) -> Body:
        return {"item_id": self._turn, "content_index": 0, **fields}

    def _speech_started(self) -> Body:
        self._turn = f"item_u{self._number('turn')}"
        return self._of_turn(audio_start_ms=100)

    def _letter(self) -> str:
        number = self._number(self._turn)
        return SAID[number - 1 : number]

    def _transcribed(self) -> Body:
        self.conversation[self._turn] = SAID
        return self._of_turn(transcript=SAID)

    def _item(self, item: Body) -> Body:
        return {"previous_item_id": None, "item": item}

    def _added(self) -> Body:
        new = [output for output in self._open if output.id not in self.conversation]
        if new:
            self.conversation[new[0].id] = ""
            return self._item(new[0].item())
        item = self._sent.popleft() if self._sent else speech(self._turn)
        texts = [part.get("text", "") for part in item.get("content", [])]
        self.conversation[item["id"]] = item.get("output") or "".join(texts)
        self._undone.append(item)
        return self._item(item)

    def _created(self) -> Body:
        self._response, self._is_active = f"resp_{self._number('response')}", True
        self._ended = []
        return {"response": {"id": self._response, "status": "in_progress", "output": []}}

    def _output_added(self) -> Body:
        kinds = {"function_call": "call", "output_text": "text", "output_audio": "audio"}
        ahead = (kind for _, kind in self._ahead)
        names = (name for kind in ahead for name in kinds if f".{name}" in kind)
        # The content of an item that is open already is not that of this one.
        taken = {output.kind for output in self._open}
        kind = next(kinds[name] for name in names if kinds[name] not in taken)
        output = Output(f"item_o{self._number('output')}", kind)
        self._open.append(output)
        return self._of_response(item=output.item())

    def _of_response(self, **fields: object) -> Body:
        index = len(self._ended)
        return {"response_id": self._response, "output_index": index, **fields}

    def _output_done(self) -> Body:
        output = self._open.pop(0)
        self._ended.append(output)
        said = f"look({output.words})" if output.kind == "call" else output.words
        self.conversation[output.id] = said
        return self._of_response(item=output.item())

    def _response_done(self) -> Body:
        self._is_active = False
        items = [output.item() for output in self._ended]
        return {"response": {"id": self._response, "status": "completed", "output": items}}

    def _of_content(self, kind: str) -> Body:
        """Return the fields of an event about the content of an item."""
        *_, subject, end = kind.split(".")
        is_call = subject == "function_call_arguments"
        output = next(each for each in self._open if (each.kind == "call") is is_call)
        fields = self._of_response(item_id=output.id, content_index=0)
        delta, whole = f"{self._number(output.id)}-", {"transcript": output.words}
        if output.kind == "text":
            whole = {"text": output.words}
        if is_call:
            delta, whole = ARGUMENTS if not output.words else "", {"arguments": ARGUMENTS}
            fields["call_id"] = f"call_{output.id}"
        if subject == "content_part":
            output.is_said = end == "done"
            return fields | {"part": {"type": output.kind, **whole}}
        if end == "done":
            output.is_said = True
            return fields | ({} if subject == "output_audio" else whole)
        if subject == "output_audio":
            return fields | {"delta": AUDIO}
        output.words += delta
        return fields | {"delta": delta}

    def _number(self, what: str) -> int:
        self._numbers[what] += 1
        return self._numbers[what]


@both_dialects
@pytest.mark.parametrize("recording", recordings(), ids=str)
async def test_a_recorded_session_ends_with_the_right_conversation(
    dialect: Dialect, recording: Recording
) -> None:
    server = Service(dialect)
    tool = {"type": "function", "name": "look"}
    async with server.client(tools=[tool], turn_detection={"type": "server_vad"}) as client:
        watch = Watch(client)
        unknown: list[str] = []
        client.on(UnknownEvent, lambda event: unknown.append(event.type))
        player = Player(server, client, recording)
        await player.play()
        for handle in player.handles:
            await handle
        assert dict(watch.conversation()) == player.conversation
        assert {item.status for item in client.conversation} == {"completed"}
        assert sorted(watch.completed) == sorted(watch.appended) == sorted(player.conversation)
        spoken = {key: words for key, words in player.conversation.items() if key in watch.words}
        assert watch.words == spoken
        assert [kind for kind in unknown if not kind.startswith("mark.")] == []
        assert watch.errors == []
        assert client.statistics().failed_events == 0
        assert all(response.is_done for response in client.responses)
