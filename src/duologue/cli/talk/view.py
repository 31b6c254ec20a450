"""View model of a conversation: updates in, lines and a phase out.

It has no clock, no device and no terminal: the screen, the plain output and the tests all read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from duologue.devices.attachment import ReplyInterrupted
from duologue.devices.voice_loop import BackchannelHeard, EchoHeard, ReplyAskedAgain
from duologue.protocol import ga
from duologue.session.items import first_words
from duologue.session.updates import (
    ConversationUpdated,
    DeadAir,
    Disconnected,
    ErrorUpdate,
    Interrupted,
    RealtimeEvent,
    Reconnected,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.devices.attachment import Notice
    from duologue.protocol.formats import Format
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.formatted import FormattedItem
    from duologue.session.latency import LatencyReport
    from duologue.session.updates import Update
    from duologue.session.usage import UsageReport

__all__ = ["Line", "LineKind", "Phase", "TalkView"]

MAX_LINES: Final = 400
"""Lines that are kept: more than anyone scrolls back; the whole conversation is in `--save`."""

MAX_RESPONSES: Final = 32
"""Responses in progress that are watched; usually there is one."""

LineKind: TypeAlias = Literal["user", "assistant", "tool", "note"]


class Phase(StrEnum):
    """State of the turn, as it is shown."""

    LISTENING = "listening"
    USER_SPEAKS = "you are speaking"
    THINKING = "thinking…"
    CALLING = "calling a tool…"
    SPEAKING = "speaking"
    CONNECTING = "connecting again…"
    CLOSED = "the session has ended"


@dataclass(slots=True)
class Line:
    """One line of the conversation: a turn, an answer, a call of a tool, or a note."""

    id: str
    kind: LineKind
    text: str = ""
    heard: int | None = None
    """Characters of an answer that were heard so far, estimated; `None`: all, as it was read."""
    is_final: bool = False
    """Whether it stays as it is."""
    is_cut: bool = False
    """Whether it was interrupted: the rest will not be heard."""
    detail: str = ""
    """Latency of an answer, or output of a tool."""
    audio_bytes: int = 0
    """Audio received so far."""
    is_complete: bool = False
    """Whether all words and audio have arrived."""

    @property
    def heard_text(self) -> str:
        """The words that were heard so far, or were read."""
        return self.text if self.heard is None else self.text[: self.heard]

    @property
    def unheard_text(self) -> str:
        """The words that were not heard, or not yet."""
        return "" if self.heard is None else self.text[self.heard :]


class TalkView:
    """Lines, phase and totals of a conversation, as they are shown.

    Args:
        output_format: Format of the assistant's audio.
    """

    def __init__(self, output_format: Format) -> None:
        self._bytes_per_ms: Final = output_format.bytes_per_ms
        self._lines: Final[dict[str, Line]] = {}
        self._calls: Final[dict[str, str]] = {}  # lines of calls without an output, by call id
        self._responses: Final[dict[str, None]] = {}  # in progress, by id
        self._speech: str | None = None  # the message that the user's speech becomes
        self._awaits_response = False
        self._is_connected = True
        self._is_closed = False
        self._notes = 0
        self.latency: str = ""
        """Latency of the last turn, and the median of all."""
        self.usage: str = ""
        """Tokens so far, and their cost if it is known."""

    @property
    def lines(self) -> list[Line]:
        """The lines, in the order in which they began."""
        return list(self._lines.values())

    def phase(self, *, is_playing: bool) -> Phase:
        """Return the state of the turn.

        Args:
            is_playing: Whether the assistant is audible, or about to be.
        """
        if self._is_closed:
            return Phase.CLOSED
        if not self._is_connected:
            return Phase.CONNECTING
        if self._speech is not None:
            return Phase.USER_SPEAKS
        if is_playing:
            return Phase.SPEAKING
        if self._calls:
            return Phase.CALLING
        is_busy = self._responses or self._awaits_response
        return Phase.THINKING if is_busy else Phase.LISTENING

    # What happens.

    def receive(self, update: Update) -> None:
        """Process an update of the client."""
        match update:
            case ConversationUpdated(item=item):
                self._show(item)
            case Interrupted(item_id=item_id):
                self._begin_speech(item_id)
            case RealtimeEvent(source=source, event=event, meanings=meanings):
                for each in meanings or (event,):
                    self._follow(each, is_sent=source == "client")
            case Disconnected() | Reconnected() | DeadAir() | ErrorUpdate():
                self._report(update)
            case _:
                pass

    def remove(self, item_id: str) -> None:
        """Process that an item has left the conversation; one that was interrupted stays shown."""
        line = self._lines.get(item_id)
        if line is not None and not line.is_cut:
            del self._lines[item_id]

    def notice(self, notice: Notice) -> None:
        """Process a decision of the voice conversation."""
        match notice:
            case ReplyInterrupted(cuts=cuts):
                for cut in cuts:
                    self._cut(cut.item_id, cut.audio_end_ms)
            case BackchannelHeard(words=words):
                self.note(f"not an interruption: {words}" if words else "not an interruption")
            case EchoHeard(is_half_duplex=True):
                self.note("the microphone hears the speaker: it is off while the assistant speaks")
            case EchoHeard():
                self.note("the microphone hears the speaker: headphones or less volume help")
            case ReplyAskedAgain():
                self.note("the answer goes on")

    def note(self, text: str) -> None:
        """Add a note."""
        self._notes += 1
        self._add(Line(f"note_{self._notes}", "note", text, is_final=True))

    def advance(self, heard_ms: Callable[[str], float]) -> None:
        """Update how much of the answers was heard.

        Args:
            heard_ms: Returns the audio of an item that was audible so far.
        """
        for line in self._lines.values():
            if line.kind != "assistant" or line.is_final:
                continue
            if not line.audio_bytes:
                line.is_final = line.is_complete  # text is read as it arrives
                continue
            heard = heard_ms(line.id)
            line.heard = self._heard_letters(line, heard)
            is_over = (heard + 1) * self._bytes_per_ms >= line.audio_bytes
            if line.is_complete and is_over:
                line.heard, line.is_final = None, True

    def measure(self, latency: LatencyReport, usage: UsageReport) -> None:
        """Show the latency and the usage so far."""
        values, median = latency.values(), latency.percentile(50)
        if values and median is not None:
            last = f"{values[-1]:.2f} s"
            self.latency = f"first audio {last}, median {median:.2f} s of {len(values)}"
            answers = (each for each in reversed(self._lines.values()) if each.kind == "assistant")
            answer = next(answers, None)
            if answer is not None and not answer.detail:
                answer.detail = last
        total, cost = usage.total, usage.cost
        self.usage = f"{total.total_tokens:,} tokens" if total.count else ""
        if cost is not None and total.count:
            self.usage += f", ${cost:.4f}"

    # Items.

    def _show(self, item: FormattedItem) -> None:
        wire = item.wire
        if isinstance(wire, ga.FunctionCall):
            self._show_call(item)
        elif isinstance(wire, ga.FunctionCallOutput):
            self._end_call(wire.call_id or "", wire.output)
        elif item.role == "user":
            self._show_user(item)
        elif item.role == "assistant":
            self._show_answer(item)

    def _show_user(self, item: FormattedItem) -> None:
        line = self._find(item.id, "user")
        formatted = item.formatted
        line.text = (formatted.text + formatted.transcript).strip() or line.text
        line.is_complete = True
        line.is_final |= bool(formatted.text)

    def _show_answer(self, item: FormattedItem) -> None:
        formatted = item.formatted
        words = formatted.text + formatted.transcript
        known = self._lines.get(item.id)
        if known is None and not (words.strip() or formatted.audio_bytes):
            return
        line = self._find(item.id, "assistant")
        if line.is_cut:  # words of what was cut may still arrive; truncation drops them all
            if words.lstrip().startswith(line.text):
                line.text = words.lstrip()
            return
        line.text = words.strip()
        line.audio_bytes = max(line.audio_bytes, formatted.audio_bytes)
        line.is_complete = item.status != "in_progress"
        if line.audio_bytes and line.heard is None and not line.is_final:
            line.heard = 0

    def _show_call(self, item: FormattedItem) -> None:
        call = item.formatted.tool
        if call is None:
            return
        if item.id not in self._lines:
            self._calls[call.call_id] = item.id
        self._find(item.id, "tool").text = f"{call.name}({call.arguments})"

    def _end_call(self, call_id: str, output: str) -> None:
        line = self._lines.get(self._calls.pop(call_id, ""))
        if line is not None:
            line.detail, line.is_final = output, True

    def _cut(self, item_id: str, heard_ms: int) -> None:
        line = self._lines.get(item_id)
        if line is not None:
            line.heard = self._heard_letters(line, heard_ms)
            line.is_cut = line.is_final = True

    def _heard_letters(self, line: Line, heard_ms: float) -> int:
        share = heard_ms * self._bytes_per_ms / line.audio_bytes if line.audio_bytes else 0.0
        return len(first_words(line.text, min(1.0, share)))

    # The session.

    def _begin_speech(self, item_id: str) -> None:
        self._forget_empty_turn()
        self._speech = item_id
        self._find(item_id, "user")

    def _forget_empty_turn(self) -> None:
        """Remove the turn that speech has begun, if no message came of it."""
        if self._speech is not None and not self._lines[self._speech].is_complete:
            del self._lines[self._speech]
        self._speech = None

    def _follow(self, event: Event | UnknownEvent, *, is_sent: bool) -> None:
        if is_sent:
            self._awaits_response |= isinstance(event, ga.ResponseCreateEvent)
            return
        match event:
            case ga.InputAudioBufferSpeechStoppedEvent() | ga.InputAudioBufferCommittedEvent():
                self._speech, self._awaits_response = None, True
            case ga.InputAudioBufferClearedEvent():
                self._forget_empty_turn()
            case ga.ConversationItemInputAudioTranscriptionCompletedEvent(item_id=item_id):
                self._end_turn(item_id, "(no words)")
            case ga.ConversationItemInputAudioTranscriptionFailedEvent(item_id=item_id):
                self._end_turn(item_id, "(no transcript)")
            case ga.ResponseCreatedEvent(response=response):
                self._awaits_response = False
                self._responses[str(response.id)] = None
                if len(self._responses) > MAX_RESPONSES:
                    del self._responses[next(iter(self._responses))]
            case ga.ResponseDoneEvent(response=response):
                self._responses.pop(str(response.id), None)
            case _:
                pass

    def _end_turn(self, item_id: str, without_words: str) -> None:
        line = self._lines.get(item_id)
        if line is not None:
            line.text, line.is_final = line.text or without_words, True

    def _report(self, update: Disconnected | Reconnected | DeadAir | ErrorUpdate) -> None:
        match update:
            case Disconnected(will_retry=True, error=error):
                self._is_connected = False
                self._responses.clear()
                self.note(f"the connection was lost ({error}): {Phase.CONNECTING}")
            case Disconnected(error=error):
                self._is_closed = True
                if error is not None:
                    self.note(f"the session has ended: {error}")
            case Reconnected(seconds=seconds, error=error):
                self._is_connected = True
                self._forget_empty_turn()
                if error is not None:
                    self.note(f"connected again after {seconds:.1f} s")
            case DeadAir(seconds=seconds):
                self.note(f"the server has been silent for {seconds:.0f} s")
            case ErrorUpdate(error=error):
                self._awaits_response = False
                self.note(str(error))

    # The lines.

    def _find(self, line_id: str, kind: LineKind) -> Line:
        """Return a line, which is added if it is new."""
        if line_id not in self._lines:
            self._add(Line(line_id, kind))
        return self._lines[line_id]

    def _add(self, line: Line) -> None:
        self._lines[line.id] = line
        if len(self._lines) > MAX_LINES:
            oldest = next(iter(self._lines))
            del self._lines[oldest]
            self._speech = None if self._speech == oldest else self._speech
