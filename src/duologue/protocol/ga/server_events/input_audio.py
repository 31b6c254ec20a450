"""Server events of the input and output audio buffers.

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
    """Speech started: the moment to stop playback.

    `item_id` is the id of the future user message.
    """

    audio_start_ms: int
    """Position in all input audio of the session. Includes the prefix padding."""


class InputAudioBufferSpeechStoppedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """Speech stopped: the user's turn has ended, and a commit follows."""

    audio_end_ms: int
    """Position in all input audio of the session. Includes the silence that ended the turn."""


class InputAudioBufferCommittedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.committed"
):
    """The input audio buffer was committed as a user message."""

    previous_item_id: str | UnsetType | None = UNSET


class InputAudioBufferClearedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"
):
    """The input audio buffer was cleared: answers `input_audio_buffer.clear`."""


class InputAudioBufferTimeoutTriggered(
    ItemEvent, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """Nobody spoke for `idle_timeout_ms`. The silence is committed, and a response starts."""

    audio_start_ms: int
    audio_end_ms: int


class InputAudioBufferDtmfEventReceivedEvent(
    Event, frozen=True, kw_only=True, tag="input_audio_buffer.dtmf_event_received"
):
    """A key of the phone was pressed (SIP). The only server event without an `event_id`."""

    event: str
    """One of `0` to `9`, `*`, `#` and `A` to `D`."""
    received_at: int
    """Unix seconds."""


class OutputBufferEvent(ServerEvent, frozen=True, kw_only=True):
    """Base class of events about the playback of output audio (WebRTC and SIP)."""

    response_id: str


class OutputAudioBufferStarted(
    OutputBufferEvent, frozen=True, kw_only=True, tag="output_audio_buffer.started"
):
    """The playback of a response has started (WebRTC and SIP)."""


class OutputAudioBufferStopped(
    OutputBufferEvent, frozen=True, kw_only=True, tag="output_audio_buffer.stopped"
):
    """The playback of a response is complete (WebRTC and SIP)."""


class OutputAudioBufferCleared(
    OutputBufferEvent, frozen=True, kw_only=True, tag="output_audio_buffer.cleared"
):
    """The playback was stopped by the user's speech or by the client (WebRTC and SIP)."""
