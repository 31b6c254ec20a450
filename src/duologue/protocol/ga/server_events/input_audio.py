"""Server events of the input audio buffer and of the buffer that a listener hears.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.server_events.base import ItemEvent, ServerEvent
from duologue.protocol.model import UNSET, Event, UnsetType

__all__ = [
    "InputAudioBufferClearedEvent",
    "InputAudioBufferCommittedEvent",
    "InputAudioBufferDtmfEventReceivedEvent",
    "InputAudioBufferSpeechStartedEvent",
    "InputAudioBufferSpeechStoppedEvent",
    "InputAudioBufferTimeoutTriggered",
    "OutputAudioBufferCleared",
    "OutputAudioBufferStarted",
    "OutputAudioBufferStopped",
]


class InputAudioBufferSpeechStartedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """The user speaks: the cue to stop playing. `item_id` is the message it will become."""

    audio_start_ms: int
    """On the session's clock: audio sent since it began. Includes the prefix padding."""


class InputAudioBufferSpeechStoppedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """The user's turn ended; a commit follows."""

    audio_end_ms: int
    """On the session's clock; includes the silence that ended the turn."""


class InputAudioBufferCommittedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.committed"
):
    """The buffer became a user message."""

    previous_item_id: str | UnsetType | None = UNSET


class InputAudioBufferClearedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"
):
    """The buffer was emptied as asked."""


class InputAudioBufferTimeoutTriggered(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """Nobody spoke for `idle_timeout_ms`: the silence is committed and a response starts."""

    audio_start_ms: int
    audio_end_ms: int


class InputAudioBufferDtmfEventReceivedEvent(
    Event, frozen=True, kw_only=True, tag="input_audio_buffer.dtmf_event_received"
):
    """SIP: a key was pressed. The one server event without an `event_id`."""

    event: str
    """`0` to `9`, `*`, `#`, `A` to `D`."""
    received_at: int
    """Unix seconds."""


class OutputBufferEvent(ServerEvent, frozen=True, kw_only=True):
    """Concerns what a WebRTC or SIP listener hears."""

    response_id: str


class OutputAudioBufferStarted(
    OutputBufferEvent, frozen=True, kw_only=True, tag="output_audio_buffer.started"
):
    """WebRTC and SIP: the server began to play a response."""


class OutputAudioBufferStopped(
    OutputBufferEvent, frozen=True, kw_only=True, tag="output_audio_buffer.stopped"
):
    """WebRTC and SIP: everything was played."""


class OutputAudioBufferCleared(
    OutputBufferEvent, frozen=True, kw_only=True, tag="output_audio_buffer.cleared"
):
    """WebRTC and SIP: playing was cut, by the user's speech or by the client."""
