"""The words of the user: asked for when a turn ends, or in the pause that may end it.

A guess in a pause is thrown away when the user goes on. When the turn ends instead, the guess is
the transcript: only silence has come since. Nothing is told to the client before the turn is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET
from duologue.server.session.conversation import set_transcript
from duologue.server.session.engine_work import CancelWork, Command, Transcribe
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.server.session.conversation import ServerConversation, StoredItem

__all__ = ["InputTranscription"]

MAX_WAITING_BYTES: Final = PCM16.bytes(15 * 60_000)
"""Speech whose words a slow engine has yet to find: 15 minutes, 43 MB."""


class InputTranscription:
    """Asks the engine for words, and writes them into their items."""

    def __init__(
        self,
        conversation: ServerConversation,
        *,
        emit: Callable[[ga.KnownServerEvent], None],
        command: Callable[[Command], None],
        new_id: Callable[[str], str],
        on_all_found: Callable[[], None],
        on_guessed: Callable[[str], None],
    ) -> None:
        """Begin with nothing to find.

        Args:
            conversation: Where the words are written to.
            emit: Takes what the client is told.
            command: Takes what the engine is asked.
            new_id: Returns a fresh id for a prefix.
            on_all_found: Called when no words are awaited any more.
            on_guessed: Called with the words of a turn in a pause; empty if there are none.
        """
        self._conversation = conversation
        self._emit = emit
        self._command = command
        self._new_id = new_id
        self._on_all_found = on_all_found
        self._on_guessed = on_guessed
        self._awaited: dict[str, StoredItem] = {}
        self._guessed_id: str | None = None
        self._guess: str | None = None
        self._guessing: list[str] = []
        self.config: ga.AudioTranscription | None = None
        """What the client wants to be told; `None`: nothing."""

    @property
    def are_awaited(self) -> bool:
        """Whether the words of any item are being looked for."""
        return bool(self._awaited)

    def check_room(self, more_bytes: int, param: str) -> None:
        """Refuse speech when too much of it waits for a slow engine already.

        Raises:
            InvalidRequest: If it does.
        """
        waiting = sum(stored.audio_bytes for stored in self._awaited.values())
        if waiting and waiting + more_bytes > MAX_WAITING_BYTES:
            message = "Too much speech waits for its words; send it no faster than it is said."
            raise InvalidRequest("input_audio_buffer_full", message, param)

    def guess(self, item_id: str, pcm: bytes) -> None:
        """Look for the words of a turn that may be over."""
        self.forget_guess()
        self._guessed_id = item_id
        self._guessing = []
        self._ask(item_id, pcm)

    def forget_guess(self) -> None:
        """Throw a guess away: the turn goes on, or was ended otherwise."""
        if self._guessed_id is not None:
            self._command(CancelWork(self._guessed_id))
        self._guessed_id = self._guess = None

    def find(self, item_id: str, stored: StoredItem) -> None:
        """Look for the words of an item, unless they are guessed already."""
        self._awaited[item_id] = stored
        if item_id != self._guessed_id:
            self._ask(item_id, bytes(stored.audio))
            return
        words, self._guessed_id, self._guess = self._guess, None, None
        self.delta(item_id, "".join(self._guessing) if words is None else words)
        if words is not None:
            self.done(item_id, words)

    def drop(self, item_id: str) -> None:
        """Stop looking for the words of an item that was deleted."""
        if item_id in self._awaited:
            self._command(CancelWork(item_id))
            self._found(item_id)

    def delta(self, item_id: str, text: str) -> None:
        """Pass on more words; those of a guess when its turn is over."""
        if item_id == self._guessed_id:
            self._guessing.append(text)
        elif text and self._is_told(item_id):
            self._emit(
                ga.ConversationItemInputAudioTranscriptionDeltaEvent(
                    event_id=self._new_id("event"), item_id=item_id, content_index=0, delta=text
                )
            )

    def done(self, item_id: str, transcript: str) -> None:
        """Write the words into their item, and answer if that was awaited."""
        if item_id == self._guessed_id:
            self._guess = transcript
            self._on_guessed(transcript)
            return
        stored = self._awaited.get(item_id)
        if stored is not None:
            set_transcript(stored, transcript)
            if self._is_told(item_id):
                self._tell_segment(item_id, stored, transcript)
                usage = ga.TranscriptionDurationUsage(seconds=PCM16.ms(stored.audio_bytes) / 1000)
                self._emit(
                    ga.ConversationItemInputAudioTranscriptionCompletedEvent(
                        event_id=self._new_id("event"),
                        item_id=item_id,
                        content_index=0,
                        transcript=transcript,
                        usage=usage,
                    )
                )
        self._found(item_id)

    def _tell_segment(self, item_id: str, stored: StoredItem, transcript: str) -> None:
        """Tell a client of a diarizing model who spoke when: no engine tells speakers apart."""
        model = UNSET if self.config is None else self.config.model
        if transcript and model is not UNSET and "diarize" in model:
            self._emit(
                ga.ConversationItemInputAudioTranscriptionSegment(
                    event_id=self._new_id("event"),
                    item_id=item_id,
                    content_index=0,
                    id=self._new_id("seg"),
                    speaker="spk_1",
                    start=0.0,
                    end=PCM16.ms(stored.audio_bytes) / 1000,
                    text=transcript,
                )
            )

    def failed(self, item_id: str, message: str, *, code: str = "transcription_failed") -> None:
        """Tell that the words could not be found; the item is answered without them."""
        if item_id == self._guessed_id:
            self._guessed_id = None  # it is tried again when the turn ends
            self._on_guessed("")
            return
        stored = self._awaited.get(item_id)
        if stored is not None:
            set_transcript(stored, "")
            if self._is_told(item_id):
                error = ga.TranscriptionError(type="server_error", code=code, message=message)
                self._emit(
                    ga.ConversationItemInputAudioTranscriptionFailedEvent(
                        event_id=self._new_id("event"),
                        item_id=item_id,
                        content_index=0,
                        error=error,
                    )
                )
        self._found(item_id)

    def _is_told(self, item_id: str) -> bool:
        """Say whether the client hears of an item's words: not of those in a response's `input`."""
        return self.config is not None and item_id in self._conversation

    def _ask(self, item_id: str, pcm: bytes) -> None:
        wanted = self.config or ga.AudioTranscription()
        self._command(
            Transcribe(
                item_id=item_id,
                pcm=pcm,
                language=wanted.language if isinstance(wanted.language, str) else None,
                prompt=wanted.prompt if isinstance(wanted.prompt, str) else None,
            )
        )

    def _found(self, item_id: str) -> None:
        self._awaited.pop(item_id, None)
        if not self._awaited:
            self._on_all_found()
