"""Any legal sequence of client events and engine results: the grammar holds, in both dialects."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.server.grammar import Grammar
from tests.server.session.conftest import Harness

from duologue.protocol import ga
from duologue.protocol.codec import Dialect
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.formats import PCM16
from duologue.server.session.engine_work import CancelWork, Respond, TextTokens, Transcribe

DIALECTS: list[Dialect] = ["ga", "beta"]
WORDS = st.sampled_from(["Hello. ", "one two three ", "x", ""])
RATHER = st.sampled_from
SERVER_VAD = {"type": "server_vad"}
VADS: list[dict[str, Any] | None] = [
    None,
    SERVER_VAD,
    {**SERVER_VAD, "create_response": False},
    {**SERVER_VAD, "interrupt_response": False, "idle_timeout_ms": 5000},
    {"type": "semantic_vad"},
]


class Conversing(RuleBasedStateMachine):
    """A client that does what it may, and an engine that answers when it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = Harness()
        self.conversation = self.harness.session.conversation
        self.engine = self.harness.engine
        self.grammars = {dialect_adapter(name): Grammar(name) for name in DIALECTS}
        self.heard = 0
        self.commanded = 0
        self.sent = 0
        self.asked: list[Respond] = []
        """Responses that the engine makes, or made: its last words may come late."""
        self.listening: list[str] = []
        self.is_push_to_talk = False
        self.listen()

    @property
    def grammar(self) -> Grammar:
        return next(iter(self.grammars.values()))

    def listen(self) -> list[ga.KnownServerEvent]:
        """Feed the grammars with what the server said meanwhile, and return it."""
        self.harness.take()
        new, self.heard = self.harness.events[self.heard :], len(self.harness.events)
        for event in new:
            for dialect, grammar in self.grammars.items():
                for frame in dialect.encode_server(event):
                    grammar.feed(json.loads(frame))
        for command in self.harness.commands[self.commanded :]:
            match command:
                case Respond():
                    self.asked.append(command)
                case Transcribe():
                    self.listening.append(command.item_id)
                case CancelWork() if command.target_id in self.listening:
                    self.listening.remove(command.target_id)
                case _:
                    pass
        self.commanded = len(self.harness.commands)
        return new

    def say(self, kind: str, **event: Any) -> list[ga.KnownServerEvent]:
        """Send an event that is legal: no error names it."""
        answers = self.ask(kind, **event)
        errors = [each.error for each in answers if isinstance(each, ga.RealtimeErrorEvent)]
        assert not any(error.event_id == f"mine_{self.sent}" for error in errors), errors
        return answers

    def ask(self, kind: str, **event: Any) -> list[ga.KnownServerEvent]:
        self.sent += 1
        self.harness.send({"type": kind, "event_id": f"mine_{self.sent}", **event})
        return self.listen()

    def refused(self, code: str, kind: str, **event: Any) -> None:
        """Send an event that is not legal now: one error names it, and nothing else happens."""
        [answer] = self.ask(kind, **event)
        assert isinstance(answer, ga.RealtimeErrorEvent)
        assert answer.error.code == code
        assert answer.error.event_id == f"mine_{self.sent}"

    # The client speaks.

    @rule(speech_ms=RATHER([0, 40, 300]), silence_ms=RATHER([0, 100, 300]))
    def append(self, speech_ms: int, silence_ms: int) -> None:
        self.harness.say(speech_ms, silence_ms=silence_ms)
        self.listen()

    @rule(clears=st.booleans())
    def commit_or_clear(self, clears: bool) -> None:
        if clears:
            [answer] = self.say("input_audio_buffer.clear")
            assert isinstance(answer, ga.InputAudioBufferClearedEvent)
            return
        answers = self.ask("input_audio_buffer.commit")
        if isinstance(answers[0], ga.RealtimeErrorEvent):
            assert answers[0].error.code == "input_audio_buffer_commit_empty"
        else:
            assert any(isinstance(one, ga.InputAudioBufferCommittedEvent) for one in answers)

    @precondition(lambda self: self.harness.session.next_deadline() is not None)
    @rule()
    def be_silent(self) -> None:
        self.harness.wait()
        self.listen()

    @rule(
        data=st.data(),
        vad=RATHER(VADS),
        modality=RATHER(["text", "audio"]),
        is_transcribed=st.booleans(),
        limit=RATHER([20, "inf", "inf"]),
    )
    def update(
        self,
        data: st.DataObject,
        vad: dict[str, Any] | None,
        modality: str,
        is_transcribed: bool,
        limit: int | str,
    ) -> None:
        transcription = {"model": "whisper-1"} if is_transcribed else None
        hears = {"turn_detection": vad, "transcription": transcription}
        session = {"output_modalities": [modality], "max_output_tokens": limit}
        parts = {**session, "audio": {"input": hears}}
        chosen = {key: parts[key] for key in data.draw(st.sets(RATHER(sorted(parts))))}
        self.say("session.update", session={"type": "realtime", **chosen})

    # The client handles items.

    @rule(data=st.data(), is_named=st.booleans())
    def create_message(self, data: st.DataObject, is_named: bool) -> None:
        after = data.draw(RATHER([None, "root", *self.grammar.order]))
        role, part = data.draw(
            RATHER([("user", "input_text"), ("assistant", "output_text"), ("system", "input_text")])
        )
        content = [{"type": part, "text": "Hello"}]
        item: dict[str, Any] = {"type": "message", "role": role, "content": content}
        if is_named:
            item["id"] = f"mine_{self.sent}"
        place = {} if after is None else {"previous_item_id": after}
        self.say("conversation.item.create", item=item, **place)

    @rule()
    def create_speech(self) -> None:
        content = [{"type": "input_audio", "audio": "AAAA" * 100}]
        item = {"type": "message", "role": "user", "content": content}
        self.say("conversation.item.create", item=item)

    @rule()
    def create_call(self) -> None:
        item = {"type": "function_call", "name": "f", "arguments": "{}"}
        self.say("conversation.item.create", item=item)

    def calls(self) -> list[str]:
        items = self.conversation.items()
        return [
            str(item.call_id)
            for item in items
            if isinstance(item, ga.FunctionCall) and item.id in self.grammar.order
        ]

    @precondition(lambda self: self.calls())
    @rule(data=st.data())
    def answer_a_call(self, data: st.DataObject) -> None:
        item = {"type": "function_call_output", "output": "21"}
        call_id = data.draw(RATHER(self.calls()))
        self.say("conversation.item.create", item={**item, "call_id": call_id})

    @precondition(lambda self: self.grammar.order)
    @rule(data=st.data())
    def retrieve(self, data: st.DataObject) -> None:
        item_id = data.draw(RATHER(self.grammar.order))
        [answer] = self.say("conversation.item.retrieve", item_id=item_id)
        assert isinstance(answer, ga.ConversationItemRetrieved)

    @precondition(lambda self: self.grammar.order)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        item_id = data.draw(RATHER(self.grammar.order))
        calls = {
            i.id: i.call_id for i in self.conversation.items() if isinstance(i, ga.FunctionCall)
        }
        if calls.get(item_id) is not None and self.grammar.active_id is not None:
            return  # an output that waits for this call's response would be refused later
        self.say("conversation.item.delete", item_id=item_id)

    def spoken(self) -> list[str]:
        return [
            str(stored.item.id)
            for stored in self.conversation.stored()
            if isinstance(stored.item, ga.Message)
            and any(isinstance(part, ga.OutputAudio) for part in stored.item.content)
        ]

    @precondition(lambda self: self.spoken())
    @rule(data=st.data(), share=st.floats(0, 1))
    def truncate(self, data: st.DataObject, share: float) -> None:
        item_id = data.draw(RATHER(self.spoken()))
        held_ms = PCM16.ms(self.conversation.get(item_id).audio_bytes)
        place = {"item_id": item_id, "content_index": 0, "audio_end_ms": int(held_ms * share)}
        self.say("conversation.item.truncate", **place)
        too_late = {**place, "audio_end_ms": held_ms + 1}
        self.refused("invalid_value", "conversation.item.truncate", **too_late)

    # The client asks for responses.

    @rule(data=st.data(), beside=st.booleans(), modality=RATHER(["text", "audio"]))
    def respond(self, data: st.DataObject, beside: bool, modality: str) -> None:
        params: dict[str, Any] = {"output_modalities": [modality], "metadata": {"a": "b"}}
        if data.draw(st.booleans()):
            chosen = data.draw(st.lists(RATHER(self.grammar.order or ["none"]), max_size=3))
            params["input"] = [
                {"type": "item_reference", "id": item_id}
                for item_id in chosen
                if item_id in self.grammar.order
            ]
        if beside:
            params["conversation"] = "none"
        elif self.grammar.active_id is not None:
            code = "conversation_already_has_active_response"
            return self.refused(code, "response.create", response=params)
        if len(self.grammar.running()) < 20:
            self.say("response.create", response=params)
        return None

    @precondition(lambda self: self.grammar.running())
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        response_id = data.draw(RATHER(self.grammar.running()))
        by_id = {} if response_id == self.grammar.active_id else {"response_id": response_id}
        self.say("response.cancel", **by_id)

    @rule()
    def ask_for_what_is_not_there(self) -> None:
        nowhere = {"item_id": "nowhere"}
        cut = {**nowhere, "content_index": 0, "audio_end_ms": 0}
        self.refused("item_retrieve_invalid_item_id", "conversation.item.retrieve", **nowhere)
        self.refused("item_retrieve_invalid_item_id", "conversation.item.delete", **nowhere)
        self.refused("item_retrieve_invalid_item_id", "conversation.item.truncate", **cut)
        self.refused("response_cancel_not_active", "response.cancel", response_id="nowhere")

    # The engine answers.

    def one_asked(self, data: st.DataObject) -> Respond:
        """Return a response that the engine makes, or sometimes one that has ended meanwhile."""
        running = [a for a in self.asked if a.response_id in self.grammar.running()]
        is_late = data.draw(st.integers(0, 9)) == 0
        return data.draw(RATHER(self.asked if is_late or not running else running))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), says=st.lists(st.tuples(WORDS, RATHER([0, 20, 400])), min_size=1))
    def engine_says(self, data: st.DataObject, says: list[tuple[str, int]]) -> None:
        asked = self.one_asked(data)
        for words, ms in says:
            self.engine.text(asked.response_id, words)
            if asked.speaks:
                self.engine.audio(asked.response_id, bytes(PCM16.bytes(ms)))
        self.listen()

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), arguments=RATHER(["", "{}", '{"city": "Oslo"}']))
    def engine_calls(self, data: st.DataObject, arguments: str) -> None:
        asked = self.one_asked(data)
        self.engine.call(asked.response_id, "f", arguments)
        self.listen()

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), how=RATHER(["done", "done", "short", "failed"]))
    def engine_ends(self, data: st.DataObject, how: str) -> None:
        asked = self.one_asked(data)
        if how == "failed":
            self.engine.fail(asked.response_id, "the model tripped")
        else:
            self.engine.finish(asked.response_id, TextTokens(), truncated=how == "short")
        self.listen()

    @precondition(lambda self: self.listening)
    @rule(data=st.data(), words=WORDS, fails=st.booleans())
    def engine_understands(self, data: st.DataObject, words: str, fails: bool) -> None:
        item_id = data.draw(RATHER(self.listening))
        self.listening.remove(item_id)
        self.engine.transcript_delta(item_id, words)
        if fails:
            self.engine.transcription_failed(item_id, "nothing heard")
        else:
            self.engine.transcript(item_id, words)
        self.listen()

    @invariant()
    def nothing_is_owed_and_both_hold_the_same_items(self) -> None:
        for grammar in self.grammars.values():
            grammar.rest()
            held = [str(item.id) for item in self.conversation.items()]
            assert grammar.order == held


Conversing.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
TestConversing = Conversing.TestCase
