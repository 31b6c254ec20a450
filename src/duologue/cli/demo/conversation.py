"""The demo's conversation: sends the user's utterances, and records and shows the answers.

A task sends the utterances one after another. Server events arrive in callbacks, which record them
in the turns; the task waits for the recorded state, never for events.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from duologue.cli.demo.scenario import STORY_INSTRUCTIONS, call_tool
from duologue.cli.demo.speech import SimulatedMicrophone
from duologue.cli.demo.turns import SpokenReply, Turn
from duologue.protocol import ga

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue import RealtimeClient
    from duologue.cli.demo.screen import Screen
    from duologue.cli.demo.speech import Utterance

__all__ = ["DemoConversation"]

SILENCE_MS: Final = 1000
"""Silence sent after speech in `--fast`; long enough to end a turn under any setting in use."""

ANSWER_SECONDS: Final = 60.0
"""Give up on an answer that takes longer."""

TURN_SECONDS: Final = 4.0
"""Time for the server to detect a turn after its speech."""

_TICK: Final = 0.05


class DemoConversation:
    """One conversation with a connected client."""

    def __init__(self, client: RealtimeClient, screen: Screen, *, is_fast: bool) -> None:
        self._client: Final = client
        self._screen: Final = screen
        self._is_fast: Final = is_fast
        self._microphone: Final = SimulatedMicrophone(client.append_input_audio, client.drain)
        self._changed: Final = asyncio.Event()
        self._turns_by_item: Final[dict[str, Turn]] = {}
        self._turns_by_response: Final[dict[str, Turn]] = {}
        self._calls: list[ga.FunctionCall] = []
        self._active: Final[set[str]] = set()  # responses in progress
        self._user_speaks = False
        self.turns: Final[list[Turn]] = []
        self.errors: Final[list[str]] = []
        self.events: int = 0
        """Number of server events so far."""
        self._subscribe()

    def _subscribe(self) -> None:
        on = self._client.on
        on("server.*", self._count)
        on(ga.InputAudioBufferSpeechStartedEvent, self._on_speech_started)
        on(ga.InputAudioBufferSpeechStoppedEvent, self._on_speech_stopped)
        on(ga.ConversationItemInputAudioTranscriptionCompletedEvent, self._on_transcript)
        on(ga.ResponseCreatedEvent, self._on_response)
        on(ga.ResponseAudioTranscriptDeltaEvent, self._on_words)
        on(ga.ResponseTextDeltaEvent, self._on_words)
        on(ga.ResponseAudioDeltaEvent, self._on_audio)
        on(ga.ResponseOutputItemDoneEvent, self._on_output_item)
        on(ga.ResponseDoneEvent, self._on_response_done)
        on(ga.RealtimeErrorEvent, self._on_error)

    async def hold(self, utterances: list[Utterance]) -> None:
        """Send every utterance, and wait for every answer.

        Raises:
            ConnectionLost: If the connection ends.
            TimeoutError: If an answer takes too long.
        """
        running = [asyncio.create_task(self._send_all(utterances))]
        running.append(asyncio.create_task(self._watch()))
        if not self._is_fast:
            running.append(asyncio.create_task(self._microphone.run()))
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task  # raises the error that ended it
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self._show()

    async def _send_all(self, utterances: list[Utterance]) -> None:
        for utterance, following in zip_longest(utterances, utterances[1:]):
            await self._send(utterance)
            if following is None or following.barge_in_after_ms is None:
                await self._wait_for_answer()

    async def _watch(self) -> None:
        """Run until the connection ends, and raise its error."""
        async for _ in self._client:
            pass

    async def _send(self, utterance: Utterance) -> None:
        after_ms = utterance.barge_in_after_ms
        if after_ms is not None:
            wanted = after_ms
            await self._wait_until(
                lambda: self._received_ms() >= wanted or self._is_over(),
                ANSWER_SECONDS,
                "an answer to interrupt",
            )
            self._screen.note(f"interrupting the answer after {self._received_ms()} ms of it")
        if utterance.begins_story:
            await self._client.update_session(instructions=STORY_INSTRUCTIONS, tools=[])
        if utterance.text is not None:
            self._send_text(utterance.text)
        elif self._is_fast:
            for place, piece in enumerate(utterance.pieces()):
                if place:
                    await self._wait_for_answer()
                await self._send_at_once(piece, utterance.name)
        else:
            turns_before = len(self.turns)
            await self._microphone.say(utterance)
            await self._wait_for_turn(turns_before, utterance.name)

    def _send_text(self, text: str) -> None:
        now = time.monotonic()
        self.turns.append(Turn(speech_ended_at=now, user_words=text))
        self._screen.user(text)
        self._client.send_user_message_content(text)

    async def _send_at_once(self, piece: bytes, name: str) -> None:
        turns_before = len(self.turns)
        if self._active and self.turns and self.turns[-1].replies:
            # Cut at what has been played when the user starts, not when the server notices.
            reply = self.turns[-1].replies[-1]
            reply.cut_ms = reply.played_ms(time.monotonic())
        await self._microphone.say_at_once(piece, silence_ms=SILENCE_MS)
        await self._wait_for_turn(turns_before, name)

    async def _wait_for_answer(self) -> None:
        await self._wait_until(self._is_over, ANSWER_SECONDS, "the end of the answer")
        self._show_latency()

    def _show_latency(self) -> None:
        if self.turns:
            self._screen.latency(self.turns[-1])

    async def _wait_for_turn(self, turns_before: int, name: str) -> None:
        if self._is_fast:
            # The server confirms this after it has processed all of the speech: no need to guess.
            await self._client.clear_input_audio()
        else:
            with contextlib.suppress(TimeoutError):
                await self._wait_until(
                    lambda: len(self.turns) > turns_before, TURN_SECONDS, "a turn"
                )
        if len(self.turns) == turns_before:
            self.errors.append(f"the server detected no speech in {name}")
            self._screen.note(self.errors[-1])

    async def _wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for a condition, and show the words as they are played."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self._screen.is_gone:
                raise BrokenPipeError
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), _TICK)
            self._changed.clear()
            self._show()

    def _show(self) -> None:
        now = time.monotonic()
        if self.turns:
            for reply in self.turns[-1].replies:
                self._screen.assistant(reply, now)

    def _is_over(self) -> bool:
        """Return whether the user is silent, and the last answer is complete and played."""
        if self._user_speaks or not self.turns:
            return not self._user_speaks
        now = time.monotonic()
        turn = self.turns[-1]
        return turn.is_answered and all(
            reply.cut_ms is not None or reply.played_ms(now) >= reply.received_ms
            for reply in turn.replies
        )

    def _received_ms(self) -> int:
        replies = self.turns[-1].replies if self.turns else []
        return sum(reply.received_ms for reply in replies)

    # Server events, in the order of a turn.

    def _count(self, _event: object) -> None:
        self.events += 1
        self._changed.set()

    def _on_speech_started(self, event: ga.InputAudioBufferSpeechStartedEvent) -> None:
        self._user_speaks = True
        self._screen.note(f"speech started at {event.audio_start_ms / 1000:.2f} s")
        if self.turns:
            self._interrupt(self.turns[-1])

    def _interrupt(self, turn: Turn) -> None:
        """Truncate an answer that is still being generated or played."""
        now = time.monotonic()
        for reply in turn.replies:
            played = reply.played_ms(now)
            if not self._active and reply.cut_ms is None and played >= reply.received_ms:
                continue  # played to its end
            turn.is_interrupted = True
            reply.cut_ms = played
            if reply.pcm:
                self._client.truncate_item(reply.item_id, played)
                self._screen.note(f"interrupted after {played} ms of the answer")
        turn.is_interrupted |= bool(self._active)

    def _on_speech_stopped(self, event: ga.InputAudioBufferSpeechStoppedEvent) -> None:
        self._user_speaks = False
        if self.turns and self.turns[-1].is_interrupted:
            self._show_latency()
        turn = Turn(speech_ended_at=self._microphone.speech_ended_at)
        turn.record("turn_end", time.monotonic())
        self._screen.note(f"speech stopped at {event.audio_end_ms / 1000:.2f} s")
        self.turns.append(turn)
        self._turns_by_item[event.item_id] = turn

    def _on_transcript(
        self, event: ga.ConversationItemInputAudioTranscriptionCompletedEvent
    ) -> None:
        if turn := self._turns_by_item.get(event.item_id):
            turn.record("transcript", time.monotonic())
            turn.user_words = event.transcript
            self._screen.user(event.transcript)

    def _on_response(self, event: ga.ResponseCreatedEvent) -> None:
        self._active.add(str(event.response.id))
        if self.turns:
            self._turns_by_response[str(event.response.id)] = self.turns[-1]

    def _reply(self, response_id: str, item_id: str) -> tuple[Turn, SpokenReply] | None:
        turn = self._turns_by_response.get(response_id)
        if turn is None:
            return None
        if not turn.replies or turn.replies[-1].item_id != item_id:
            turn.replies.append(SpokenReply(item_id=item_id, is_instant=self._is_fast))
        return turn, turn.replies[-1]

    def _on_words(
        self, event: ga.ResponseAudioTranscriptDeltaEvent | ga.ResponseTextDeltaEvent
    ) -> None:
        if found := self._reply(event.response_id, event.item_id):
            turn, reply = found
            turn.record("first_text", time.monotonic())
            reply.words.append((reply.received_ms, event.delta))

    def _on_audio(self, event: ga.ResponseAudioDeltaEvent) -> None:
        if found := self._reply(event.response_id, event.item_id):
            turn, reply = found
            now = time.monotonic()
            turn.record("first_audio", now)
            if reply.begins_at is None:
                reply.begins_at = now
            reply.pcm += event.audio_data

    def _on_output_item(self, event: ga.ResponseOutputItemDoneEvent) -> None:
        if isinstance(event.item, ga.FunctionCall) and event.item.status == "completed":
            self._calls.append(event.item)

    def _on_response_done(self, event: ga.ResponseDoneEvent) -> None:
        response = event.response
        self._active.discard(str(response.id))
        if response.status == ga.ResponseStatus.FAILED:
            details = response.status_details
            error = details.error if isinstance(details, ga.ResponseStatusDetails) else None
            message = error.message if isinstance(error, ga.ResponseError) else "response failed"
            self.errors.append(str(message))
            self._screen.note(f"the answer failed: {message}")
        if self._calls:
            self._answer_calls()
        elif turn := self._turns_by_response.get(str(response.id)):
            turn.is_answered = True

    def _answer_calls(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            output = call_tool(call.name, call.arguments)
            self._screen.note(f"tool {call.name}({call.arguments}) → {output}")
            self._client.create_item(
                ga.FunctionCallOutput(call_id=str(call.call_id), output=output)
            )
        self._client.create_response()

    def _on_error(self, event: ga.RealtimeErrorEvent) -> None:
        self.errors.append(event.error.message)
        if self.turns and not self._active:
            self.turns[-1].is_answered = True  # its answer may have been refused
        self._screen.note(f"error: {event.error.message}")
