"""The client's mirror equals the server's conversation, whatever happens in whatever order."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.session.two_ends import TwoEnds, held, mirrored

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET
from duologue.server.session.engine_work import TextTokens
from duologue.session.response_state import ResponseRequest
from duologue.session.responses import RACE_SECONDS
from duologue.session.updates import ConversationUpdated

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = st.integers(0, 7)
STEPS = st.tuples(
    st.sampled_from(
        [
            "say",
            "push",
            "delete",
            "truncate",
            "speak",
            "commit",
            "hear",
            "ask",
            "aside",
            "text",
            "audio",
            "call",
            "done",
            "failed",
            "cancel",
            "deliver",
        ]
    ),
    NUMBERS,
)


class Play:
    """One run of steps; the number of a step selects the item, response or request it is about."""

    def __init__(self) -> None:
        self.ends = TwoEnds()
        self.requests: list[ResponseRequest] = []
        self.audio = 0

    def run(self, steps: list[tuple[str, int]]) -> None:
        for name, number in steps:
            step: Callable[[int], None] = getattr(self, f"_{name}")
            step(number)
            self.ends.settle()
        for response_id in list(self.ends.responding):
            self.ends.engine.finish(response_id, TextTokens(1, 1))
        while self.ends.transcribing:
            self._hear(0)
        self.ends.deliver()

    def _say(self, number: int) -> None:
        after = [None, "root", *(item.id for item in self.ends.client.conversation)]
        item = ga.Message(role="user", content=[ga.InputText(text=f"text {number}")])
        previous = after[number % len(after)]
        place = UNSET if previous is None else previous
        self.ends.send(ga.ConversationItemCreateEvent(item=item, previous_item_id=place))

    def _push(self, number: int) -> None:
        content: list[ga.ContentPart] = [ga.OutputText(text=f"before {number}")]
        item = ga.Message(role="assistant", content=content)
        self.ends.send(ga.ConversationItemCreateEvent(item=item))

    def _delete(self, number: int) -> None:
        self.ends.send(ga.ConversationItemDeleteEvent(item_id=self._item(number)))

    def _truncate(self, number: int) -> None:
        event = ga.ConversationItemTruncateEvent(
            item_id=self._item(number), content_index=0, audio_end_ms=number * 10
        )
        self.ends.send(event)

    def _speak(self, number: int) -> None:
        speech = array("h", [8000] * (PCM16.bytes(100 * (number + 1)) // 2)).tobytes()
        for audio in (speech, bytes(PCM16.bytes(100 * number))):
            self.ends.send(ga.InputAudioBufferAppendEvent.of(audio))

    def _commit(self, _: int) -> None:
        self.ends.send(ga.InputAudioBufferCommitEvent())

    def _hear(self, number: int) -> None:
        if self.ends.transcribing:
            item_id = self.ends.transcribing.pop(number % len(self.ends.transcribing))
            self.ends.engine.transcript_delta(item_id, "he")
            self.ends.engine.transcript(item_id, "heard")
            self.ends.settle()

    def _ask(self, _: int) -> None:
        self.requests.append(self.ends.client.create_response(ga.ResponseCreateEvent(), 1.0))

    def _aside(self, _: int) -> None:
        params = ga.ResponseCreateParams(conversation="none", output_modalities=["text"])
        event = ga.ResponseCreateEvent(response=params)
        self.requests.append(self.ends.client.create_response(event, 1.0))

    def _text(self, number: int) -> None:
        if response_id := self._response(number):
            self.ends.engine.text(response_id, f"word{number} ")

    def _audio(self, number: int) -> None:
        if response_id := self._response(number):
            self.ends.engine.audio(response_id, bytes([number]) * 480)

    def _call(self, number: int) -> None:
        if response_id := self._response(number):
            self.ends.engine.call(response_id, "f", f'{{"x":{number}}}')

    def _done(self, number: int) -> None:
        if response_id := self._response(number):
            self.ends.engine.finish(response_id, TextTokens(1, 1))

    def _failed(self, number: int) -> None:
        if response_id := self._response(number):
            self.ends.engine.fail(response_id, "broken")

    def _cancel(self, number: int) -> None:
        if self.requests:
            self.ends.client.cancel_request(self.requests[number % len(self.requests)], 1.0)

    def _deliver(self, number: int) -> None:
        self.ends.deliver(number)

    def _item(self, number: int) -> str:
        items = self.ends.client.conversation.items
        return items[number % len(items)].id if items else "item_nobody"

    def _response(self, number: int) -> str | None:
        responding = self.ends.responding
        return responding[number % len(responding)] if responding else None


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_mirror_equals_the_servers_conversation(steps: list[tuple[str, int]]) -> None:
    play = Play()
    play.run(steps)
    assert mirrored(play.ends.client) == held(play.ends.server)


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_all_requests_and_commands_end(steps: list[tuple[str, int]]) -> None:
    play = Play()
    play.run(steps)
    for _ in range(len(play.requests) + 1):  # turn detection may have begun one before them
        for response_id in list(play.ends.responding):
            play.ends.engine.finish(response_id, TextTokens(1, 1))
        play.ends.deliver()
        play.ends.client.handle_deadline(1.0 + RACE_SECONDS)
    assert [request.state.name for request in play.requests if request.is_open] == []
    assert len(play.ends.client.commands) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_audio_of_the_updates_is_the_audio_of_the_items(
    steps: list[tuple[str, int]],
) -> None:
    play = Play()
    play.run([step for step in steps if step[0] != "truncate"])
    delivered: dict[str, bytes] = {}
    for update in play.ends.updates:
        if isinstance(update, ConversationUpdated) and update.delta and update.delta.audio:
            delivered[update.item.id] = delivered.get(update.item.id, b"") + update.delta.audio
            assert update.item.formatted.audio == delivered[update.item.id]
