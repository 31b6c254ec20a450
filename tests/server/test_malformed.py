"""Every example of a client event, disturbed in every way: the right error, and the session lives.

The catalog says what is right (`malformed.py`); the tables here say where the service, or a server
without WebRTC, demands more than the catalog tells.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.protocol.protocol_data import Example, examples
from tests.server.malformed import LEGAL, Malformed, malformed
from tests.server.session.conftest import Engine, loud
from websockets.asyncio.client import connect

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.dialects import InvalidClientEvent, dialect_adapter
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET, UnsetType
from duologue.server import LocalServer
from duologue.server.session.config import SessionType
from duologue.server.session.engine_work import ConversationWork, Respond, Transcribe
from duologue.server.session.session import ServerSession
from duologue.server.session.validation import InvalidRequest
from duologue.session.contract import SendEvent

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_OURS: Final = {"ga/transcription_session.update"}
"""Shown for GA by the specification, but beta's."""

EXAMPLES: Final = [
    example
    for example in examples()
    if example.direction == "client"
    and example.surface == "realtime"
    and str(example) not in NOT_OURS
]

MISSING: Final = "missing_required_parameter"
_ITEM = r"(item|input\[\d+\])"
SETTLED: Final[list[tuple[str, str, str | None, str | None]]] = [
    # How, where: the code, and the param if it is another. The first that fits holds.
    (r".*", r"type", "invalid_event", None),  # what it is cannot be told; S example of `error`
    (r"null", r"response", LEGAL, None),  # SDKs send it for "no parameters"
    # Null means absent: probed at the service.
    (r"null", r"(response|session)\.(?!type$)\w+", LEGAL, None),
    (r"null", r"session\.include", LEGAL, None),  # nothing besides, as in GA
    # Azure's beta shows both so.
    (r"null", r"session\.input_audio_transcription\.(language|prompt)", LEGAL, None),
    # Optional by type, for one type serves several kinds; yet nothing can be made without them.
    (r"removed", rf"(.*\.)?{_ITEM}\.(type|role|content|call_id|output)", MISSING, ""),
    (r"removed", r".*content\[\d+\]\.(type|text|audio|image_url)", MISSING, ""),
    (r"removed", r".*input\[\d+\]\.id", MISSING, ""),
    (r"removed", r".*tools\[\d+\]\.(type|name|server_url)", MISSING, ""),
    (r"removed", r".*format\.type", MISSING, ""),
    # Limits that GA states, and beta has as well; words that only look free.
    (r"too little", r".*format\.rate", "integer_below_min_value", ""),
    (r"too much", r".*format\.rate", "integer_above_max_value", ""),
    (r"too long", r"event_id", "invalid_value", ""),
    (r"too long", r".*\.tool_choice", "invalid_value", ""),
    (r"too long", r".*_url", "invalid_value", ""),
    (r"invented", r".*\.conversation", "invalid_value", ""),
    (r"invented", r".*transcription\.model", LEGAL, None),  # here any name will do
    # Names of what is not there.
    (r"too long", r"item_id", "item_retrieve_invalid_item_id", ""),
    (r"too long", r".*input\[\d+\]\.id", "item_retrieve_invalid_item_id", ""),
    (r"too long", r"previous_item_id", "invalid_value", ""),
    (r"too long", r"item\.call_id", "invalid_tool_call_id", None),
    (r"too long", r"response_id", "response_cancel_not_active", None),
]

REFUSED: Final = {"output_audio_buffer.clear": ("invalid_event", "type")}
"""What a WebSocket's server does not do, right or not."""

SPOKEN: Final = ("item_002", "msg_002")
TYPED: Final = ("item_003", "msg_003", "item_12345", "item_u1")


class Wired:
    """A session behind its wire, as a connection has it, without the socket."""

    def __init__(self, example: Example) -> None:
        counts: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))
        is_transcription = "transcription" in example.id
        self._kind = SessionType.TRANSCRIPTION if is_transcription else SessionType.CONVERSATION
        self.dialect = dialect_adapter(example.dialect)
        self.work: list[ConversationWork] = []
        self.session = ServerSession(
            model=None if is_transcription else "gpt-realtime",
            score=loud,
            new_id=lambda prefix: f"{prefix}_{next(counts[prefix])}",
            session_type=self._kind,
        )
        self.engine = Engine(lambda result: self.session.send(result, 0.0))
        self._set_the_stage(example)
        self.take()

    def _set_the_stage(self, example: Example) -> None:
        """Let be there what the example names, so that it is legal."""
        conversation = self.session.conversation
        for item_id in SPOKEN:
            parts = [ga.OutputAudio(transcript="Hello")]
            item = ga.Message(id=item_id, role="assistant", content=[*parts])
            conversation.insert(item, after=None).add_audio(bytes(PCM16.bytes(2000)))
        for item_id in TYPED:
            if item_id != example.payload.get("item", {}).get("id"):
                typed = ga.Message(id=item_id, role="user", content=[ga.InputText(text="Hello")])
                conversation.insert(typed, after=None)
        call = ga.FunctionCall(id="call", call_id="call_001", name="f", arguments="{}")
        conversation.insert(call, after=None)
        if example.type == "input_audio_buffer.commit":
            self.session.receive(ga.InputAudioBufferAppendEvent.of(bytes(PCM16.bytes(200))), 0.0)
        if example.type == "response.cancel":
            self.session.receive(ga.ResponseCreateEvent(), 0.0)

    def take(self) -> list[dict[str, Any]]:
        """Return the events to send, and keep the work to start for `settle`."""
        frames: list[bytes] = []
        for effect in self.session.effects():
            if isinstance(effect, SendEvent):
                frames += self.dialect.encode_server(effect.event)
            else:
                self.work.append(effect)
        return [json.loads(frame) for frame in frames]

    def send(self, body: object) -> list[dict[str, Any]]:
        try:
            events = self.dialect.decode_client(json.dumps(body).encode())
        except DecodeError as error:
            self.refuse(InvalidRequest("invalid_event", str(error)), UNSET)
        except InvalidClientEvent as invalid:
            refusal = InvalidRequest(invalid.code, invalid.message, invalid.param)
            self.refuse(refusal, invalid.event_id)
        else:
            for event in events:
                self.session.receive(event, 0.0)
        return self.take()

    def settle(self) -> list[dict[str, Any]]:
        """Let the engine finish what it was asked for, and return what comes of it."""
        events = self.take()
        while self.work:
            match self.work.pop(0):
                case Transcribe() as asked:
                    self.engine.transcript(asked.item_id, "hello")
                case Respond() as asked:
                    self.engine.text(asked.response_id, "Hi.")
                    self.engine.finish(asked.response_id)
                case _:
                    pass
            events += self.take()
        return events

    def refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        self.session.report_error(refusal.error(event_id), 0.0)

    def completes_a_turn(self) -> bool:
        """Say whether the session still does what it is for."""
        self.settle()
        self.session.receive(ga.InputAudioBufferAppendEvent.of(bytes(PCM16.bytes(200))), 0.0)
        heard = {event["type"] for event in self.send({"type": "input_audio_buffer.commit"})}
        if self._kind is SessionType.TRANSCRIPTION:
            return "input_audio_buffer.committed" in heard
        self.send({"type": "response.create"})
        told = {event["type"] for event in self.settle()}
        return "input_audio_buffer.committed" in heard and "response.done" in told


def payload_of(example: Example) -> dict[str, Any]:
    """Return the example as a client would send it here."""
    changes: dict[str, Any] = {"event_id": "mine"}
    if example.type == "input_audio_buffer.append":
        changes["audio"] = "AAAAAAAA"  # it shows no base64
    if "response_id" in example.payload:
        changes["response_id"] = "resp_1"
    payload = {**example.payload, **changes}
    if str(example) == "beta/response.create#2026#official2":  # it shows GA's field
        payload["response"] = dict(payload["response"])
        payload["response"]["modalities"] = payload["response"].pop("output_modalities")
    return payload


def settled(case: Malformed, example: Example) -> Malformed:
    """Return a case with what the tables know better than the catalog."""
    is_event_of_another_name = case.path == "type" and case.how == "invented"
    for how, path, code, param in [] if is_event_of_another_name else SETTLED:
        if re.fullmatch(how, case.how) and re.fullmatch(path, case.path):
            case = replace(case, code=code, param=case.path if param == "" else param)
            break
    if case.code is LEGAL and example.type in REFUSED:
        code, param = REFUSED[example.type]
        case = replace(case, code=code, param=param)
    return case


def cases(example: Example) -> Iterator[Malformed]:
    payload = payload_of(example)
    whole = Malformed("as it is", "event", payload, LEGAL, None)
    for case in (whole, *malformed(example.dialect, payload)):
        yield settled(case, example)


def told(case: Malformed, answers: list[dict[str, Any]]) -> str | None:
    """Return what is wrong with the answers; `None`: nothing."""
    errors = [answer["error"] for answer in answers if answer["type"] == "error"]
    if case.code is LEGAL:
        return f"refused: {errors}" if errors else None
    if len(errors) != 1:
        return f"{len(errors)} errors"
    error = errors[0]
    sent = case.frame.get("event_id")
    wanted = (case.code, case.param, sent if isinstance(sent, str) else None)
    got = (error["code"], error["param"], error["event_id"])
    if got != wanted or error["type"] != "invalid_request_error" or not error["message"]:
        return f"wanted {wanted}, got {error}"
    return None


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_an_event_that_is_disturbed_is_answered_rightly_and_the_session_lives(
    example: Example,
) -> None:
    faults: list[str] = []
    for case in cases(example):
        wired = Wired(example)
        fault = told(case, wired.send(case.frame))
        if fault is None and not wired.completes_a_turn():
            fault = "no turn afterwards"
        if fault:
            faults.append(f"{case}: {fault}")
    assert faults == []


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_connection_outlives_all_that_is_wrong(dialect: str) -> None:
    headers = {"OpenAI-Beta": "realtime=v1"} if dialect == "beta" else {}
    wrong = [
        case
        for example in EXAMPLES
        if example.dialect == dialect and example.type.startswith(("response.", "conversation."))
        for case in cases(example)
        if case.code in {MISSING, "invalid_type", "unknown_parameter", "invalid_value"}
    ]
    text = {"modalities" if dialect == "beta" else "output_modalities": ["text"]}
    async with (
        LocalServer() as server,
        connect(server.url, additional_headers=headers) as connection,
    ):
        await connection.recv()
        for case in wrong:
            await connection.send(json.dumps(case.frame))
            answer = json.loads(await connection.recv())
            assert told(case, [answer]) is None, case
        await connection.send(json.dumps({"type": "response.create", "response": text}))
        async with asyncio.timeout(5):
            while json.loads(await connection.recv())["type"] != "response.done":
                pass
