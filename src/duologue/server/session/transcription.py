"""Transcription of the user's audio: when a turn ends, or in a pause that may end it.

Transcribing takes about as long as the silence that ends a turn. So with a fast engine the session
transcribes as soon as the user pauses: a guess. If the user continues, the guess is discarded; if
the turn ends instead, the guess is the transcript, because only silence has followed. The client
learns of a guess only when the turn has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET
from duologue.server.session.conversation import set_transcript
from duologue.server.session.engine_work import CancelWork, Transcribe
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.conversation import ServerConversation, StoredItem

__all__ = ["InputTranscription"]

MAX_WAITING_BYTES: Final = PCM16.bytes(15 * 60_000)
"""Speech that waits for a slow engine: 15 minutes, 43 MB."""


class InputTranscription:
    """Requests transcripts from the engine, and writes them into their items."""

    def __init__(self, conversation: ServerConversation, context: ConversationContext) -> None:
        self._conversation: Final = conversation
        self._context: Final = context
        self.pending: Final[dict[str, StoredItem]] = {}
        """Items whose transcript is not there yet, by id."""
        self._guessed_id: str | None = None
        self._guess: str | None = None  # the whole transcript, once the engine has it
        self._guessed_deltas: list[str] = []
        self.config: ga.AudioTranscription | None = None
        """Transcription as the client configured it; `None`: it receives no transcripts."""

    def check_room(self, more_bytes: int, param: str) -> None:
        """Check that not too much speech waits for a slow engine.

        Raises:
            InvalidRequest: If it does.
        """
        waiting = sum(stored.audio_bytes for stored in self.pending.values())
        if waiting and waiting + more_bytes > MAX_WAITING_BYTES:
            message = "Too much speech waits for its transcription; send it in real time."
            raise InvalidRequest("input_audio_buffer_full", message, param)

    def guess(self, item_id: str, pcm: bytes) -> None:
        """Transcribe a turn that may be over."""
        self.forget_guess()
        self._guessed_id = item_id
        self._guessed_deltas = []
        self._request(item_id, pcm)

    def forget_guess(self) -> None:
        """Discard the guess: the turn continues, or ended in another way."""
        if self._guessed_id is not None:
            self._context.start(CancelWork(self._guessed_id))
        self._guessed_id = self._guess = None

    def transcribe(self, item_id: str, stored: StoredItem) -> None:
        """Transcribe an item, or use the guess for its turn."""
        self.pending[item_id] = stored
        if item_id != self._guessed_id:
            self._request(item_id, bytes(stored.audio))
            return
        transcript, self._guessed_id, self._guess = self._guess, None, None
        # If the engine is still at work, its remaining deltas continue those sent here.
        self.delta(item_id, "".join(self._guessed_deltas) if transcript is None else transcript)
        if transcript is not None:
            self.done(item_id, transcript)

    def drop(self, item_id: str) -> None:
        """Stop transcribing an item that was deleted."""
        if self.pending.pop(item_id, None) is not None:
            self._context.start(CancelWork(item_id))

    def delta(self, item_id: str, text: str) -> None:
        """Send more words of a transcript; those of a guess are kept until its turn ends."""
        if item_id == self._guessed_id:
            self._guessed_deltas.append(text)
        elif text and item_id in self.pending and self._is_sent(item_id):
            self._context.emit(
                ga.ConversationItemInputAudioTranscriptionDeltaEvent(
                    event_id=self._context.event_id(),
                    item_id=item_id,
                    content_index=0,
                    delta=text,
                    obfuscation=self._context.obfuscation(text),
                )
            )

    def done(self, item_id: str, transcript: str) -> str | None:
        """Write a transcript into its item and send it.

        Returns:
            The transcript if it is a guess, which may end the turn; else `None`.
        """
        if item_id == self._guessed_id:
            self._guess = transcript
            return transcript
        stored = self.pending.pop(item_id, None)
        if stored is None:
            return None
        set_transcript(stored, transcript)
        if self._is_sent(item_id):
            self._emit_segment(item_id, stored, transcript)
            usage = ga.TranscriptionDurationUsage(seconds=PCM16.ms(stored.audio_bytes) / 1000)
            self._context.emit(
                ga.ConversationItemInputAudioTranscriptionCompletedEvent(
                    event_id=self._context.event_id(),
                    item_id=item_id,
                    content_index=0,
                    transcript=transcript,
                    usage=usage,
                )
            )
        return None

    def failed(self, item_id: str, message: str, code: str) -> str | None:
        """Report a failed transcription; the item is answered without a transcript.

        Returns:
            The empty string if it was a guess, which may end the turn; else `None`.
        """
        if item_id == self._guessed_id:
            self._guessed_id = None  # it is tried again when the turn ends
            return ""
        stored = self.pending.pop(item_id, None)
        if stored is None:
            return None
        set_transcript(stored, "")
        if self._is_sent(item_id):
            error = ga.TranscriptionError(type="server_error", code=code, message=message)
            self._context.emit(
                ga.ConversationItemInputAudioTranscriptionFailedEvent(
                    event_id=self._context.event_id(),
                    item_id=item_id,
                    content_index=0,
                    error=error,
                )
            )
        return None

    def _emit_segment(self, item_id: str, stored: StoredItem, transcript: str) -> None:
        """Send the one segment of a diarizing model's transcript.

        No engine tells speakers apart: all speech is that of one speaker.
        """
        model = UNSET if self.config is None else self.config.model
        if transcript and model is not UNSET and "diarize" in model:
            self._context.emit(
                ga.ConversationItemInputAudioTranscriptionSegment(
                    event_id=self._context.event_id(),
                    item_id=item_id,
                    content_index=0,
                    id=self._context.new_id("seg"),
                    speaker="spk_1",
                    start=0.0,
                    end=PCM16.ms(stored.audio_bytes) / 1000,
                    text=transcript,
                )
            )

    def _is_sent(self, item_id: str) -> bool:
        """Return whether the client receives an item's transcript.

        Items of a response's `input` are transcribed for the model only.
        """
        return self.config is not None and item_id in self._conversation

    def _request(self, item_id: str, pcm: bytes) -> None:
        config = self.config or ga.AudioTranscription()
        self._context.start(
            Transcribe(
                item_id=item_id,
                pcm=pcm,
                language=config.language if isinstance(config.language, str) else None,
                prompt=config.prompt if isinstance(config.prompt, str) else None,
            )
        )
