"""Steps of a session about the user's speech: input audio, turns, and their transcripts.

See `steps.py` for what a step is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.server.session.turn_detection import SpeechPaused
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.server.session.engine_work import (
        TranscriptDelta,
        TranscriptDone,
        TranscriptFailed,
    )
    from duologue.server.session.parts import SessionParts
    from duologue.server.session.turn_detection import SpeechStarted, SpeechStopped

MAX_APPEND_BYTES: Final = 15 << 20
"""Source: Realtime API reference, `input_audio_buffer.append`."""


def append_audio(parts: SessionParts, event: ga.InputAudioBufferAppendEvent) -> None:
    """Add audio to the input buffer, and react to speech that starts or stops in it."""
    audio = event.audio_data
    parts.context.statistics.audio_received(parts.input_audio.format.ms(len(audio)))
    if len(audio) > MAX_APPEND_BYTES:
        message = (
            f"Invalid 'audio': expected at most {MAX_APPEND_BYTES} bytes of audio, but got"
            f" {len(audio)}."
        )
        raise InvalidRequest("invalid_value", message, "audio")
    parts.transcription.check_room(0, "audio")
    pause: SpeechPaused | None = None
    for change in parts.input_audio.append(audio):
        pause = change if isinstance(change, SpeechPaused) else None
        if pause is None:
            parts.react(change)
    # Pauses that ended within the same append need no guess: only the last one may be open.
    if pause is not None:
        parts.react(pause)


def commit_audio(parts: SessionParts, _event: object) -> None:
    """Make the buffered audio an item on the client's request."""
    pcm = parts.input_audio.commit()
    parts.transcription.forget_guess()
    _add_user_turn(parts, pcm, parts.input_audio.clock_ms)


def clear_audio(parts: SessionParts, _event: object) -> None:
    """Discard the buffered audio, with the turn that is open in it."""
    parts.input_audio.clear()
    parts.transcription.forget_guess()
    parts.open_turn_id = None
    event_id = parts.context.event_id()
    parts.context.emit(ga.InputAudioBufferClearedEvent(event_id=event_id))


def announce_speech(parts: SessionParts, speech: SpeechStarted) -> None:
    """Open a turn, and send `input_audio_buffer.speech_started`."""
    parts.idle.speech_started()
    parts.open_turn_id = parts.context.new_id("item")
    parts.context.emit(
        ga.InputAudioBufferSpeechStartedEvent(
            event_id=parts.context.event_id(),
            audio_start_ms=parts.input_audio.open_turn(speech.onset_ms),
            item_id=parts.open_turn_id,
        )
    )


def interrupt_response(parts: SessionParts, _speech: object) -> None:
    """Cancel the response that the user talks over, if the configuration says so."""
    if parts.input_audio.interrupts:
        # The new turn continues the one that was not answered yet: one response answers both.
        parts.owes_response = False
        parts.responses.interrupt()


def guess_transcript(parts: SessionParts, pause: SpeechPaused) -> None:
    """Transcribe the turn so far: it may be over."""
    if parts.open_turn_id is not None:
        parts.transcription.guess(parts.open_turn_id, parts.input_audio.peek(pause.at_ms))


def forget_guess(parts: SessionParts, _speech: object) -> None:
    """Discard the guess: the user continues."""
    parts.transcription.forget_guess()


def commit_turn(parts: SessionParts, speech: SpeechStopped) -> None:
    """Make the turn an item."""
    _add_user_turn(parts, parts.input_audio.take(until_ms=speech.end_ms), speech.end_ms)


def commit_silence(parts: SessionParts, _timeout: object) -> None:
    """Make the silence of an idle timeout an item; there is nothing in it to transcribe."""
    silence = parts.input_audio.take_silence()
    item_id = parts.context.new_id("item")
    parts.context.emit(
        ga.InputAudioBufferTimeoutTriggered(
            event_id=parts.context.event_id(),
            audio_start_ms=silence.start_ms,
            audio_end_ms=silence.end_ms,
            item_id=item_id,
        )
    )
    _add_user_audio(parts, item_id, silence.pcm, has_words=False)


def _add_user_turn(parts: SessionParts, pcm: bytes, end_ms: int) -> None:
    """Make audio an item: that of the open turn, which ends with it, or a new one."""
    item_id, parts.open_turn_id = parts.open_turn_id, None
    if item_id is not None:
        parts.context.statistics.response_requested(parts.context.now)
        parts.context.emit(
            ga.InputAudioBufferSpeechStoppedEvent(
                event_id=parts.context.event_id(), audio_end_ms=end_ms, item_id=item_id
            )
        )
    _add_user_audio(parts, item_id or parts.context.new_id("item"), pcm)


def _add_user_audio(
    parts: SessionParts, item_id: str, pcm: bytes, *, has_words: bool = True
) -> None:
    parts.idle.turn_committed(parts.context.now)
    previous = parts.conversation.last_id
    event_id = parts.context.event_id()
    parts.context.emit(
        ga.InputAudioBufferCommittedEvent(
            event_id=event_id, item_id=item_id, previous_item_id=previous
        )
    )
    item = ga.Message(
        id=item_id,
        status="completed",
        role="user",
        content=[ga.InputAudio(transcript=None)],
    )
    parts.items.add(item, pcm, after=None, has_words=has_words)


# Transcripts.


def send_transcript_delta(parts: SessionParts, result: TranscriptDelta) -> None:
    """Send more words of a transcript."""
    parts.transcription.delta(result.item_id, result.text)


def store_transcript(parts: SessionParts, result: TranscriptDone) -> None:
    """Write a transcript into its item, or end the turn that it was guessed for."""
    guess = parts.transcription.done(result.item_id, result.transcript)
    if guess is not None:
        _end_turn_by_words(parts, guess)


def report_transcription_failure(parts: SessionParts, result: TranscriptFailed) -> None:
    """Report that an item has no transcript; it is answered without one."""
    guess = parts.transcription.failed(result.item_id, result.message, result.code)
    if guess is not None:
        _end_turn_by_words(parts, guess)


def _end_turn_by_words(parts: SessionParts, words: str) -> None:
    stopped = parts.input_audio.judge_words(words)
    if stopped is not None:
        parts.react(stopped)
