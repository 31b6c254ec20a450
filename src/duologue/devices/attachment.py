"""Attaching a microphone and a speaker to a client: a voice conversation."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from duologue.devices.echo import EchoCancellation, EchoDetector, can_cancel
from duologue.devices.policy import VoicePolicy
from duologue.devices.samples import decode, gain_of
from duologue.devices.voice_loop import (
    BackchannelHeard,
    EchoHeard,
    Gate,
    Playback,
    ReplyAskedAgain,
    Request,
    StopReply,
    VoiceLoop,
)
from duologue.errors import Closed, ConfigurationError, DuologueError
from duologue.protocol import ga
from duologue.protocol.model import UNSET
from duologue.session.playback import PlaybackCut
from duologue.session.updates import ConversationUpdated, Disconnected, Interrupted, Reconnected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.client.client import RealtimeClient
    from duologue.client.handles import ResponseHandle
    from duologue.devices.audio_device import Samples
    from duologue.devices.microphone import Microphone
    from duologue.devices.speaker import Speaker
    from duologue.devices.voice_loop import Action

__all__ = ["Notice", "ReplyInterrupted", "VoiceConversation", "attach"]

DETECT_EVERY: Final = 5
"""Frames between two searches for echo: 100 ms, so that it is found before a turn begins."""

_BY_DEFAULT: Final = VoicePolicy()


class ReplyInterrupted(msgspec.Struct, frozen=True):
    """The assistant was interrupted, and its items cut to what was heard."""

    cuts: tuple[PlaybackCut, ...]
    """The items that were not heard to their end."""


Notice: TypeAlias = ReplyInterrupted | BackchannelHeard | EchoHeard | ReplyAskedAgain
"""Decision of a voice conversation, for a screen or a log."""


@contextlib.asynccontextmanager
async def attach(
    client: RealtimeClient,
    microphone: Microphone,
    speaker: Speaker,
    *,
    policy: VoicePolicy = _BY_DEFAULT,
    on_notice: Callable[[Notice], object] | None = None,
) -> AsyncGenerator[VoiceConversation]:
    """Hold a voice conversation while the context lasts.

        async with attach(client, Microphone(), Speaker()) as voice:
            await voice.wait()

    The microphone's audio is sent, the assistant's audio is played, and when the user interrupts,
    the speaker is silent at once and the conversation is cut to what was heard. This goes on over
    reconnections: playback of a reply that is requested again stops when its item leaves the
    conversation.

    Turn detection is configured as the policy needs it, and stays so afterwards.

    Args:
        client: A client whose session is open.
        microphone: A microphone that is closed; its format is set.
        speaker: A speaker that is closed; its format is set.
        policy: Who interrupts, and what is done about echo.
        on_notice: Called with each decision.

    Raises:
        ConfigurationError: If a device cannot be opened, or the policy needs transcription.
        MissingExtra: If the packages for a device or for echo cancellation are not installed.
        ServerError: If the server refuses the configuration.
        Closed: If the session is not open.
        ConnectionLost: If the connection has ended.
    """
    await _configure(client, policy)
    microphone.format = client.input_format
    speaker.format = client.conversation.output_format
    voice = VoiceConversation(client, microphone, speaker, policy, on_notice)
    with contextlib.ExitStack() as exit_stack:
        voice.start(exit_stack)
        try:
            yield voice
        finally:
            await voice.stop()


class VoiceConversation:
    """A voice conversation that is under way; `attach` makes it."""

    def __init__(
        self,
        client: RealtimeClient,
        microphone: Microphone,
        speaker: Speaker,
        policy: VoicePolicy,
        on_notice: Callable[[Notice], object] | None,
    ) -> None:
        self.microphone: Final = microphone
        self.speaker: Final = speaker
        self.policy: Final = policy
        self._client: Final = client
        self._on_notice: Final = on_notice
        self._cancels_echo: Final = policy.echo == "cancel" or (
            policy.echo == "auto" and can_cancel()
        )
        self._loop: Final = VoiceLoop(policy, cancels_echo=self._cancels_echo)
        self._detector: EchoDetector | None = None
        self._frames = 0
        self._pre_roll: Final[deque[bytes]] = deque()
        self._turn_bytes = 0  # sent since `press`
        self._task: asyncio.Task[None] | None = None
        self._lost: DuologueError | None = None

    # For the application.

    @property
    def is_muted(self) -> bool:
        """Whether silence is sent instead of the microphone's audio; set it to mute."""
        return self._loop.is_muted

    @is_muted.setter
    def is_muted(self, value: bool) -> None:
        self._loop.is_muted = value

    @property
    def is_half_duplex(self) -> bool:
        """Whether the microphone is silent while the assistant speaks."""
        return self._loop.is_half_duplex

    def press(self) -> None:
        """Stop the reply, and begin the user's turn: the key of push to talk goes down."""
        self._perform(self._loop.press())

    def release(self) -> None:
        """End the user's turn, and request a response; a turn below 100 ms is discarded."""
        sent_ms = self._turn_bytes / self.microphone.format.bytes_per_ms
        self._perform(self._loop.release(sent_ms))

    def interrupt(self) -> None:
        """Stop the reply: the speaker is silent, the response cancelled and the item cut."""
        self._perform(self._loop.interrupt())

    def send_text(self, text: str) -> ResponseHandle:
        """Stop the reply, send a message that the user has typed, and request a response."""
        self.interrupt()
        return self._client.send_user_message_content(text)

    async def wait(self) -> None:
        """Wait until the session is closed or the microphone ends.

        Raises:
            ConnectionLost: If the connection has ended for good.
        """
        if self._task is not None:
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.result()

    # The devices.

    def start(self, exit_stack: contextlib.ExitStack) -> None:
        """Open the devices, and begin; `attach` calls this.

        Raises:
            ConfigurationError: If a device cannot be opened.
            MissingExtra: If its packages are not installed.
        """
        speaker, microphone = self.speaker, self.microphone
        speaker.keeps_reference = self.policy.echo != "off"
        speaker.open()
        exit_stack.callback(speaker.close)
        if speaker.keeps_reference:
            self._detector = EchoDetector(microphone.format.rate_hz, speaker.rate_hz)
        microphone.filter = (
            EchoCancellation(self._take_played, speaker.rate_hz) if self._cancels_echo else None
        )
        microphone.open()
        exit_stack.callback(microphone.close)
        self._subscribe(exit_stack)
        self._task = asyncio.create_task(self._listen(), name="duologue voice")

    async def stop(self) -> None:
        """Stop sending the microphone's audio; `attach` calls this at its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.exception()  # `wait` has raised it, or nobody asked

    def _subscribe(self, exit_stack: contextlib.ExitStack) -> None:
        callbacks: dict[type, Callable[..., None]] = {
            ConversationUpdated: self._on_updated,
            Interrupted: self._on_speech_started,
            Reconnected: self._on_reconnected,
            Disconnected: self._on_disconnected,
            ga.InputAudioBufferSpeechStoppedEvent: self._on_speech_stopped,
            ga.InputAudioBufferCommittedEvent: self._on_committed,
            ga.ConversationItemInputAudioTranscriptionCompletedEvent: self._on_transcript,
            ga.ResponseCreatedEvent: self._on_response_created,
            ga.ResponseDoneEvent: self._on_response_done,
        }
        for key, callback in callbacks.items():
            self._client.on(key, callback)
            exit_stack.callback(self._client.off, key, callback)

    async def _listen(self) -> None:
        with contextlib.suppress(Closed):  # the application has closed the session
            async for audio in self.microphone:
                self._on_frame(audio)
        if self._lost is not None:
            raise self._lost

    def _on_frame(self, audio: bytes) -> None:
        silent_seconds = self.speaker.silent_seconds
        self._search_echo(audio, silent_seconds)
        gate, actions = self._loop.frame(
            self.microphone.level, self.microphone.seconds, silent_seconds=silent_seconds
        )
        self._perform(actions)
        match gate:
            case Gate.OPEN:
                self._send(audio)
            case Gate.SILENT:
                format_ = self.microphone.format
                self._send(format_.samples(len(audio)) * format_.silence)
            case Gate.CLOSED:
                self._keep(audio)

    def _send(self, audio: bytes) -> None:
        self._turn_bytes += len(audio)
        self._client.append_input_audio(audio)

    def _keep(self, audio: bytes) -> None:
        self._pre_roll.append(audio)
        most = self.policy.pre_roll_ms * self.microphone.format.bytes_per_ms
        size = sum(map(len, self._pre_roll))
        while self._pre_roll and size - len(self._pre_roll[0]) >= most:
            size -= len(self._pre_roll.popleft())

    def _take_played(self) -> Samples:
        played = self.speaker.take_reference()
        if self._detector is not None:
            self._detector.add_played(played)
        return played

    def _search_echo(self, audio: bytes, silent_seconds: float) -> None:
        detector = self._detector
        if detector is None:
            return
        if not self._cancels_echo:  # otherwise the filter takes it
            self._take_played()
        if self._loop.is_half_duplex or silent_seconds > 0:
            detector.forget()
            return
        detector.add_captured(decode(audio, self.microphone.format))
        self._frames += 1
        if self._frames % DETECT_EVERY == 0 and detector.hears_echo():
            detector.forget()
            self._perform(self._loop.echo())

    # The session.

    def _on_updated(self, update: ConversationUpdated) -> None:
        item = update.item
        if item.id not in self._client.conversation:
            self.speaker.drop(item.id)
            return
        self.speaker.receive(update)
        if item.role == "user" and update.delta is not None and update.delta.transcript:
            self._perform(self._loop.user_words(item.id, item.formatted.transcript, is_final=False))

    def _on_transcript(
        self, event: ga.ConversationItemInputAudioTranscriptionCompletedEvent
    ) -> None:
        self._perform(self._loop.user_words(event.item_id, event.transcript, is_final=True))

    def _on_speech_started(self, update: Interrupted) -> None:
        if self._detector is not None and self._detector.hears_echo():
            self._perform(self._loop.echo_started(update.item_id))
            return
        actions = self._loop.speech_started(
            update.item_id, self.microphone.seconds, is_playing=self.speaker.is_playing
        )
        self._perform(actions)

    def _on_speech_stopped(self, event: ga.InputAudioBufferSpeechStoppedEvent) -> None:
        self._perform(self._loop.speech_stopped(event.item_id, self.microphone.seconds))

    def _on_committed(self, event: ga.InputAudioBufferCommittedEvent) -> None:
        self._perform(self._loop.committed(event.item_id))

    def _on_response_created(self, event: ga.ResponseCreatedEvent) -> None:
        if not self._is_out_of_band(event.response.id):
            self._loop.response_began(str(event.response.id))

    def _on_response_done(self, event: ga.ResponseDoneEvent) -> None:
        is_cancelled = event.response.status == ga.ResponseStatus.CANCELLED
        self._perform(self._loop.response_ended(str(event.response.id), is_cancelled=is_cancelled))

    def _is_out_of_band(self, response_id: object) -> bool:
        known = (each for each in reversed(self._client.responses) if each.id == response_id)
        state = next(known, None)
        return state is not None and state.is_out_of_band

    def _on_reconnected(self, _update: Reconnected) -> None:
        self._perform(self._loop.reconnected())

    def _on_disconnected(self, update: Disconnected) -> None:
        if not update.will_retry:
            self._lost = update.error
            self.microphone.close()

    # Actions.

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StopReply(cancels=cancels):
                    self._stop_reply(cancels=cancels)
                case Playback():
                    self._set_playback(action)
                case Request():
                    self._request(action)
                case _:
                    self._notify(action)

    def _stop_reply(self, *, cancels: bool) -> None:
        if cancels:
            self._client.cancel_response()
        cuts = self.speaker.interrupt()
        self._client.truncate_items(cuts)
        if cuts:
            self._notify(ReplyInterrupted(tuple(cuts)))

    def _set_playback(self, playback: Playback) -> None:
        is_ducked = playback is Playback.DUCKED
        self.speaker.gain = gain_of(self.policy.ducked_db) if is_ducked else 1.0
        if playback is Playback.PAUSED:
            self.speaker.pause()
        else:
            self.speaker.resume()

    def _request(self, request: Request) -> None:
        match request:
            case Request.SEND_PRE_ROLL:
                self._turn_bytes = 0
                while self._pre_roll:
                    self._send(self._pre_roll.popleft())
            case Request.COMMIT:
                self._client.commit_input_audio()
            case Request.CLEAR:
                self._client.clear_input_audio()
            case Request.RESPONSE:
                self._client.create_response()

    def _notify(self, notice: Notice) -> None:
        if self._on_notice is not None:
            self._on_notice(notice)


async def _configure(client: RealtimeClient, policy: VoicePolicy) -> None:
    """Configure turn detection as the policy needs it.

    Raises:
        ConfigurationError: If it needs transcription.
    """
    session = client.session
    if session is None:
        raise Closed("the session is not open: attach devices inside `async with client`")
    audio = UNSET if isinstance(session, ga.UnknownSession) else session.audio
    given = ga.AudioInput() if audio is UNSET or audio.input is UNSET else audio.input
    backchannel = policy.backchannel
    if backchannel is not None and backchannel.words and not given.transcription:
        text = "the words of a backchannel need transcription: set `input_audio_transcription`"
        raise ConfigurationError(text)
    present = given.turn_detection or None
    wanted = _wanted_detection(present, policy)
    if wanted != present:
        await client.update_session(turn_detection=wanted)


def _wanted_detection(
    present: ga.TurnDetection | None, policy: VoicePolicy
) -> ga.TurnDetection | None:
    if policy.interrupted_by == "push_to_talk":
        return None
    detection = ga.ServerVad() if present is None else present
    if not policy.manages_responses or isinstance(detection, ga.UnknownTurnDetection):
        return detection
    return msgspec.structs.replace(detection, create_response=False, interrupt_response=False)
