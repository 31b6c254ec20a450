"""Short sequences of events against a client's core: any server, any application, any timing."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
from tests.fuzz.mutation import Mutator

from duologue.errors import ConnectionLost, DecodeError, DuologueError, ToolFailed
from duologue.protocol import codec, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.session.client_session import ClientSession
from duologue.session.dead_air import DeadAirPolicy
from duologue.session.effects import CancelTool, DropConnection, Notify, RunTool, SendFrame, Settled
from duologue.session.reconnect import ReconnectPolicy

if TYPE_CHECKING:
    from random import Random

    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.commands import Command
    from duologue.session.response_state import ResponseRequest

__all__ = ["ClientSequence", "client_sequence"]

MAX_EVENTS: Final = 30
MAX_DEADLINES: Final = 200
"""Deadlines that may be due at one time; beyond it the core would keep the event loop busy."""

ANSWERS: Final = {
    "session.update": "session.updated",
    "input_audio_buffer.commit": "input_audio_buffer.committed",
    "input_audio_buffer.clear": "input_audio_buffer.cleared",
    "conversation.item.delete": "conversation.item.deleted",
    "conversation.item.truncate": "conversation.item.truncated",
    "response.create": "response.created",
    "response.cancel": "response.done",
}
"""What a server that is nearly right answers."""


def client_sequence(random: Random) -> None:
    """Play one sequence."""
    ClientSequence(random).play()


class ClientSequence:
    """One session; see `play`."""

    def __init__(self, random: Random) -> None:
        self._random: Final = random
        self._dialect: Final = random.choice(("ga", "ga", "beta"))
        chance = random.choice((0.1, 0.5, 0.9))
        self._server: Final = Mutator(random, self._dialect, "server", chance=chance)
        self._application: Final = Mutator(random, self._dialect, "client", chance=chance / 2)
        self._application.ids[:] = self._server.ids
        numbers = itertools.count(1)
        self._adapter: Final = dialect_adapter(self._dialect)
        self.core: Final = ClientSession(
            new_id=lambda kind: f"{kind}_c{next(numbers)}",
            dialect=self._adapter,
            validates=random.random() < 0.2,
            timeout=random.choice((None, 5.0)),
            reconnect=ReconnectPolicy(asks_again=random.random() < 0.8),
            dead_air=DeadAirPolicy(),
            has_tool=lambda name: name in {"get_weather", "look"},
        )
        self._now = 1.0
        self._settled: Final[set[int]] = set()
        self._records: Final[list[Command | ResponseRequest]] = []
        self._calls: Final[dict[str, None]] = {}
        self._ran: Final[set[str]] = set()
        self._sent: list[str] = []
        self._event_ids: Final[set[str]] = set()
        self._steps: Final = [self._receive] * 8 + [
            self._receive_answer,
            self._receive_answer,
            self._receive_answer,
            self._call,
            self._call,
            self._call,
            self._send_any,
            self._append,
            self._wait,
            self._answer_tool,
            self._read,
            self._lose_connection,
        ]

    def play(self) -> None:
        """Take steps, end the session, and check that nothing is left open."""
        self._take(self._server.about("session.created"))
        for _ in range(self._random.randrange(1, MAX_EVENTS)):
            self._random.choice(self._steps)()
            self._carry_out()
        self._read()
        assert self.core.failures == 0
        self.core.end(ConnectionLost("it is over") if self._random.random() < 0.5 else None)
        self._carry_out()
        for record in self._records:
            assert id(record) in self._settled or not _is_open(record), "a handle hangs"

    # What the server does.

    def _receive(self) -> None:
        self._take(self._server.with_known_ids())

    def _receive_answer(self) -> None:
        kind = ANSWERS.get(self._random.choice(self._sent)) if self._sent else None
        if kind is not None:
            self._take(self._server.about(kind, item_id=self._random.choice(self._server.ids)))

    def _take(self, frame: bytes) -> None:
        try:
            event = self._adapter.decode_server(frame)
        except DecodeError:
            return
        self.core.receive(event, self._now)
        if self.core.failures:
            for effect in self.core.effects():
                for update in effect.updates if isinstance(effect, Notify) else ():
                    cause = getattr(getattr(update, "error", None), "__cause__", None)
                    if cause is not None:
                        raise AssertionError(f"the core failed at {frame!r}") from cause

    # What the application does.

    def _call(self) -> None:
        now, item_id = self._now, self._random.choice(self._server.ids)
        item = ga.Message(role="user", content=[ga.InputText(text="a")])
        output = ga.FunctionCallOutput(call_id=item_id, output="b")
        own = ga.Message(id=f"item_{len(self._records)}", role="user", content=[])
        change = ga.RealtimeSession(instructions="c", output_modalities=["text"])
        manual = ga.AudioConfig(input=ga.AudioInput(turn_detection=None))
        aside = ga.ResponseCreateParams(conversation="none")
        core = self.core
        calls = [
            lambda: core.send(ga.ConversationItemCreateEvent(item=item), now),
            lambda: core.send(ga.ConversationItemCreateEvent(item=output), now),
            lambda: core.send(ga.ConversationItemCreateEvent(item=own), now),
            lambda: core.send(ga.ConversationItemDeleteEvent(item_id=item_id), now),
            lambda: core.send(ga.ConversationItemRetrieveEvent(item_id=item_id), now),
            lambda: core.send(ga.InputAudioBufferCommitEvent(), now),
            lambda: core.send(ga.InputAudioBufferClearEvent(), now),
            lambda: core.truncate_item(item_id, self._random.choice((0, 1, 10**6)), 0, now),
            lambda: core.cancel_response(None, self._random.choice((None, item_id)), 480, now),
            lambda: core.update_session(change, now),
            lambda: core.update_session(ga.RealtimeSession(audio=manual), now),
            lambda: core.create_response(ga.ResponseCreateEvent(), now),
            lambda: core.create_response(ga.ResponseCreateEvent(), now),
            lambda: core.create_response(ga.ResponseCreateEvent(response=aside), now),
            self._cancel_request,
            self._limit,
        ]
        self._do(self._random.choice(calls))

    def _send_any(self) -> None:
        """Send what an application built out of anything."""
        try:
            event = codec.decode(
                self._application.with_known_ids(), dialect=self._dialect, direction="client"
            )
        except DecodeError:
            return
        any_event: Event | UnknownEvent = event
        self._do(lambda: self.core.send(any_event, self._now))

    def _append(self) -> None:
        size = self._random.choice((0, 1, 480, 4800, 48_000))
        self._do(lambda: self.core.append_audio(bytes(size), self._now))

    def _cancel_request(self) -> None:
        requests = [record for record in self._records if hasattr(record, "follow_up")]
        if requests:
            self.core.cancel_request(self._random.choice(requests), self._now)  # type: ignore[arg-type]

    def _limit(self) -> None:
        if self._records:
            record, limit = (
                self._random.choice(self._records),
                self._random.choice((None, 0.0, 3.0)),
            )
            self.core.limit(record, limit, self._now)

    def _do(self, call: Any) -> None:
        try:
            record = call()
        except DuologueError:
            return
        if record is not None:
            self._records.append(record)

    def _answer_tool(self) -> None:
        if self._calls:
            call_id = self._random.choice(list(self._calls))
            del self._calls[call_id]
            error = self._random.choice((None, ToolFailed("look", call_id, "no")))
            self.core.answer_call(call_id, "{}", error, self._now)

    def _read(self) -> None:
        core = self.core
        for item in core.conversation:
            repr(item)
            _ = (item.formatted.text, item.formatted.audio, item.formatted.transcript)
        for response in core.responses:
            repr((response.status, response.usage, response.metadata))
        repr((core.active.session, core.input_audio.sent_ms, core.resumption.is_at_boundary))

    # What time and the network do.

    def _wait(self) -> None:
        deadline = self.core.next_deadline()
        seconds = self._random.choice((0.001, 0.5, 6.0, 100.0))
        due = deadline is not None and self._random.random() < 0.5
        self._now = max(self._now, deadline or 0.0) if due else self._now + seconds
        for _ in range(MAX_DEADLINES):
            deadline = self.core.next_deadline()
            if deadline is None or deadline > self._now:
                return
            self.core.handle_deadline(self._now)
            self._carry_out()
        raise AssertionError("the deadline stays due: the event loop would spin")

    def _lose_connection(self) -> None:
        """Lose the connection, go on without one, and continue in another session."""
        lost = self._random.choice((ConnectionLost("gone", code=1006), None))
        self.core.suspend(lost, self._now)
        self._carry_out()
        for _ in range(self._random.randrange(4)):
            self._random.choice((self._call, self._append, self._wait, self._answer_tool))()
            self._carry_out()
        restoration = self.core.restoration(self.core.resumption.history().items)
        frames = [self._server.about("session.created")]
        for _ in range(self._random.randrange(40)):
            if restoration.is_complete or restoration.error is not None:
                break
            for frame, kind in restoration.take_frames():
                frames += self._answers(frame, kind)
            if not frames:
                break
            try:
                event = self._adapter.decode_server(frames.pop(0))
            except DecodeError:
                continue
            restoration.receive(event)
        restoration.update(self.core.resumption.history().items)
        self.core.resume(restoration, attempts=1, now=self._now)

    def _answers(self, frame: bytes, kind: str) -> list[bytes]:
        if kind == "conversation.item.create" and self._random.random() < 0.8:
            answer = "conversation.item.created" if self._dialect == "beta" else ""
            item = msgspec.json.decode(frame)["item"]
            return [self._server.about(answer or "conversation.item.added", item=item)]
        answer = ANSWERS.get(kind, "error")
        return [self._server.about(answer if self._random.random() < 0.8 else "error")]

    # The driver.

    def _carry_out(self) -> None:
        for effect in self.core.effects():
            match effect:
                case Notify():
                    repr(effect.updates)
                case SendFrame():
                    self._on_frame(effect.frame, effect.type)
                case Settled():
                    assert id(effect.record) not in self._settled, "it was settled twice"
                    assert not _is_open(effect.record)
                    self._settled.add(id(effect.record))
                    self._records.append(effect.record)  # its id must stay its own
                case RunTool():
                    assert effect.call.call_id not in self._ran, "the call ran twice"
                    self._ran.add(effect.call.call_id)
                    self._calls[effect.call.call_id] = None
                    self._server.ids.append(effect.call.call_id)
                case CancelTool():
                    self._calls.pop(effect.call_id, None)
                case DropConnection():
                    self.core.suspend(ConnectionLost(effect.reason), self._now)
                    restoration = self.core.restoration(())
                    self.core.resume(restoration, attempts=1, now=self._now)

    def _on_frame(self, frame: bytes, kind: str) -> None:
        body = json.loads(frame)  # it knows no limit of numbers, for what was passed on unread
        assert body["type"] == kind
        self._sent.append(kind)
        for known in (body.get("event_id"), body.get("item_id")):
            if isinstance(known, str):
                self._server.ids.append(known)
        if isinstance(item := body.get("item"), dict) and isinstance(item.get("id"), str):
            self._server.ids.append(item["id"])


def _is_open(record: Command | ResponseRequest) -> bool:
    return record.state.name in {"PENDING", "QUEUED", "REQUESTED", "IN_PROGRESS"}
