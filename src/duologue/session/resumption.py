"""Resumption: what a session keeps when its connection is lost, and how the next one continues it.

While there is no connection, everything that the application sends is kept: audio in the record of
input audio, commands and responses as pending. The new session gets the configuration and the
items first (`Restoration`); then, in order, what the last server had not answered: the commands,
each commit with its audio before it, the responses, and the audio of the turn under way.

What the new server does not have, or has as text, cannot be cut or deleted there: that happens in
the mirror alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeVar

from duologue.errors import Closed, LocalProtocolError
from duologue.protocol import codec, ga, model
from duologue.protocol.model import UNSET, Event, UnsetType
from duologue.session.commands import ANSWERS
from duologue.session.history import History, choose_history
from duologue.session.responses import Interruption
from duologue.session.updates import Reconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.errors import SessionEnd
    from duologue.protocol.model import UnknownEvent
    from duologue.session.commands import Commands
    from duologue.session.conversation import ConversationMirror
    from duologue.session.input_audio import Resent, SentAudio
    from duologue.session.reconnect import ReconnectPolicy
    from duologue.session.responses import Responses
    from duologue.session.restore import Restoration
    from duologue.session.tool_calls import ToolCalls

__all__ = ["KEPT_ELSEWHERE", "Resumption"]

EventT = TypeVar("EventT", bound=Event)

KEPT_ELSEWHERE: Final = frozenset(
    {*ANSWERS, ga.InputAudioBufferAppendEvent, ga.ResponseCreateEvent}
)
"""Events that need not be held: commands, responses and audio have records of their own."""

UNDETECTED_SECONDS: Final = 5.0
"""Seconds before the end of a connection in which speech may have been sent that was not reported.

A connection that is dead without a sign is noticed after so long, and until then may be replaced.
"""

MAX_HELD: Final = 256
"""Events without an answer that are kept for the next connection."""

CHUNK_BYTES: Final = 32 * 1024
"""Size of the appends in which audio is sent again."""

NO_INTERRUPTION: Final = Interruption()


class Resumption:
    """The parts of a session that outlive its connection.

    Args:
        conversation: The mirror.
        responses: The responses.
        commands: The commands.
        tools: The calls of tools.
        input_audio: The audio that was sent.
        emit: Sends an event on the connection.
        ask: Requests a response.
        react: Processes an event as if the server had sent it.
        new_id: Returns a new id of a kind.
        policy: The rules.
    """

    __slots__ = (
        "_absent",
        "_as_text",
        "_ask",
        "_away_since",
        "_commands",
        "_conversation",
        "_cut",
        "_cut_items",
        "_emit",
        "_error",
        "_heard_to",
        "_held",
        "_input_audio",
        "_new_id",
        "_react",
        "_responses",
        "_restored",
        "_tools",
        "is_away",
        "policy",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913  # by keyword only: the parts of a session
        self,
        *,
        conversation: ConversationMirror,
        responses: Responses,
        commands: Commands,
        tools: ToolCalls,
        input_audio: SentAudio,
        emit: Callable[[Event | UnknownEvent], None],
        ask: Callable[[], object],
        react: Callable[[Event], None],
        new_id: Callable[[str], str],
        policy: ReconnectPolicy,
    ) -> None:
        self.is_away: bool = False
        """Whether there is no connection to send on."""
        self.policy: Final = policy
        self._conversation: Final = conversation
        self._responses: Final = responses
        self._commands: Final = commands
        self._tools: Final = tools
        self._input_audio: Final = input_audio
        self._emit: Final = emit
        self._ask: Final = ask
        self._react: Final = react
        self._new_id: Final = new_id
        self._held: list[Event | UnknownEvent] = []
        self._cut: Interruption = NO_INTERRUPTION
        self._cut_items: tuple[str, ...] = ()  # of the conversation; responses may have others
        self._heard_to = 0  # bytes of input audio in which the server has found all speech
        self._away_since = 0.0
        self._error: SessionEnd | None = None
        self._absent: frozenset[str] = frozenset()  # items that the server does not have
        self._restored: frozenset[str] = frozenset()
        self._as_text: frozenset[str] = frozenset()  # items that it has without their audio

    def suspend(self, error: SessionEnd | None, now: float) -> None:
        """Keep everything for the next connection.

        Args:
            error: Why this one was lost; `None` if it works, and is replaced.
            now: Monotonic seconds.
        """
        self.is_away, self._error, self._away_since = True, error, now
        self._heard_to = self._input_audio.sent_by(now - UNDETECTED_SECONDS)
        error = error or Closed("the session was replaced")
        self._cut = self._responses.suspend(
            error, asks_again=self.policy.asks_again, has_calls=self._tools.is_continued
        )
        ids = (state.id for state in self._conversation.states())
        self._cut_items = tuple(i for i in ids if i in self._cut.items)
        self._conversation.cut_off(self._cut.items)
        for response_id in self._cut.called:
            self._tools.on_response_lost(response_id)
        for command in self._commands.open_commands():
            self.answer_in_mirror(command.event)
        self._commands.suspend(now)

    @property
    def is_at_boundary(self) -> bool:
        """Whether a session may be replaced without cutting anything: nothing is under way."""
        is_quiet = not (self._responses.is_busy or self._input_audio.has_turn)
        return is_quiet and not self._commands.open_commands()

    def history(self) -> History:
        """Return the items for the next session."""
        states = self._conversation.states()
        # Some servers do not complete the items that an application creates.
        ended = [s for s in states if s.status != "in_progress" or s.response_id is None]
        return choose_history(ended, self.policy.history_bytes)

    def is_restored(self, item_id: str) -> bool:
        """Return whether the session began with an item: the server's copy says nothing new."""
        return item_id in self._restored

    def answer_in_mirror(self, event: Event) -> bool:
        """Cut or delete an item in the mirror alone, if the server has nothing to cut or delete.

        Returns:
            Whether it was done.
        """
        match event:
            case ga.ConversationItemDeleteEvent(item_id=item_id):
                if not (self.is_away or item_id in self._absent):
                    return False
                event_id = self._new_id("event")
                self._react(ga.ConversationItemDeletedEvent(event_id=event_id, item_id=item_id))
            case ga.ConversationItemTruncateEvent(item_id=item_id):
                if not (self.is_away or item_id in self._absent or item_id in self._as_text):
                    return False
                answer = ga.ConversationItemTruncatedEvent(
                    event_id=self._new_id("event"),
                    item_id=item_id,
                    content_index=event.content_index,
                    audio_end_ms=event.audio_end_ms,
                )
                self._react(answer)
            case _:
                return False
        return True

    def for_server(self, event: EventT) -> EventT:
        """Return an event of ours as this session's server understands it: with its ids of items.

        An item is added at the end if the server does not have the one that it is to follow.
        """
        if isinstance(event, ga.ConversationItemCreateEvent):
            previous = event.previous_item_id
            if previous in self._absent:
                event = model.replace(event, previous_item_id=UNSET)
        return self._conversation.with_server_ids(event)

    def hold(self, event: Event | UnknownEvent) -> None:
        """Keep an event without an answer until there is a connection.

        Raises:
            LocalProtocolError: If too many are kept already.
        """
        if isinstance(event, ga.ResponseCancelEvent):
            self._cancel(event.response_id)
        elif len(self._held) >= MAX_HELD:
            raise LocalProtocolError(f"{MAX_HELD} events wait for the connection already")
        else:
            self._held.append(event)

    def resume(self, restoration: Restoration, *, attempts: int, now: float) -> Reconnected:
        """Continue in a new session, and send what the last one had not answered."""
        self.is_away = False
        states, restored = self._conversation.states(), frozenset(restoration.restored)
        self._conversation.rename(restoration.renamed)
        ids = frozenset(state.id for state in states)
        self._absent = (ids - restored) | self._cut.items
        self._restored = restored
        self._as_text = frozenset(s.id for s in states if s.is_assistants) & restored
        has_turn = self._input_audio.has_turn
        audio = self._input_audio.begin_session(
            self._heard_to, now=now, new_id=lambda: self._new_id("event")
        )
        self._send_commands(audio, now)
        asked_again = sum(request.is_open for request in self._cut.requests.values())
        self._responses.resume(now)
        # A turn that is sent again is found and answered again.
        if self._cut.owes_turn and not has_turn and not self._responses.is_busy:
            self._ask()
            asked_again += 1
        self._append(audio.rest)
        held, self._held = self._held, []
        for event in held:
            self._emit(event)
        error, self._error, self._cut = self._error, None, NO_INTERRUPTION
        resent = sum(map(len, audio.before_commits.values())) + len(audio.rest)
        return Reconnected(
            error=error,
            attempts=attempts,
            seconds=now - self._away_since,
            restored_items=len(restored & ids),
            missing_items=tuple(s.id for s in states if s.id not in restored) + self._cut_items,
            renamed_items=dict(restoration.renamed),
            asked_again=asked_again,
            resent_audio_ms=resent / self._input_audio.format.bytes_per_ms,
            lost_audio_ms=audio.lost_ms,
        )

    def _cancel(self, response_id: str | UnsetType) -> None:
        """Do not request a response again that was cut: this one, or that of the conversation."""
        for cut_id, request in self._cut.requests.items():
            if cut_id == response_id or (response_id is UNSET and not request.is_out_of_band):
                self._responses.cancel(request)
        if response_id not in self._cut.requests:
            self._cut = replace(self._cut, owes_turn=False)

    def _send_commands(self, audio: Resent, now: float) -> None:
        """Send the commands that were not answered, each commit with its audio before it."""
        self._commands.resume(now)
        waiting = self._commands.open_commands()
        for event_id in audio.recommitted:
            commit = ga.InputAudioBufferCommitEvent(event_id=event_id)
            self._commands.send(event_id, commit, now)
            self._append(audio.before_commits[event_id])
            self._emit(commit)
        for command in waiting:
            self._commands.move_to_end(command)
            self._append(audio.before_commits.get(command.event_id, b""))
            self._emit(self.for_server(command.event))

    def _append(self, audio: bytes) -> None:
        for start in range(0, len(audio), CHUNK_BYTES):
            chunk = audio[start : start + CHUNK_BYTES]
            self._emit(codec.append_event(chunk, self._new_id("event"))[1])
