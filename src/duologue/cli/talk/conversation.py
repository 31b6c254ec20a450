"""A conversation under way: the client, its devices, and the view of both."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from typing import TYPE_CHECKING, Final

from duologue.cli.talk.view import Phase, TalkView
from duologue.devices import Microphone, Speaker, attach
from duologue.errors import ConfigurationError, DuologueError
from duologue.session.updates import ConversationUpdated, RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue import RealtimeClient
    from duologue.cli.talk.recording import Recording
    from duologue.devices import InputDevice, OutputDevice, VoiceConversation, VoicePolicy
    from duologue.session.updates import Update

__all__ = ["Devices", "Talk"]

REDRAW_SECONDS: Final = 1 / 12
"""Time between two redraws; words and meters are smooth, and a terminal keeps up."""

QUIET_SECONDS: Final = 2.0
"""Silence of both sides that ends the conversation after a WAV file: time for a turn to be found,
and for a second sentence of an answer."""

CUT_SECONDS: Final = 2.0
"""Time for the server to confirm the last cut, so that the transcript has it."""


MAX_TYPED: Final = 16
"""Messages that wait for the devices to be open."""


class Devices:
    """The choice of the devices; it may change during the conversation.

    Args:
        microphone: Makes the input device; it gets the number of a sound card, or `None` for the
            one of the command line.
        speaker: Makes the output device likewise.
        has_ended: Whether the input has ended: that of a file.
    """

    def __init__(
        self,
        microphone: Callable[[int | None], InputDevice],
        speaker: Callable[[int | None], OutputDevice],
        has_ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._make_microphone: Final = microphone
        self._make_speaker: Final = speaker
        self.has_ended: Final = has_ended
        self.input: int | None = None
        """Number of the sound card that was picked."""
        self.output: int | None = None

    def open(self, recording: Recording | None) -> tuple[Microphone, Speaker]:
        """Return a microphone and a speaker, both closed."""
        microphone, speaker = self._make_microphone(self.input), self._make_speaker(self.output)
        if recording is not None:
            microphone, speaker = recording.microphone(microphone), recording.speaker(speaker)
        return Microphone(microphone), Speaker(speaker)


class Talk:
    """A conversation with a connected client.

    Args:
        client: The client.
        devices: The choice of the devices.
        policy: Who interrupts.
        recording: Saves the conversation.
    """

    def __init__(
        self,
        client: RealtimeClient,
        devices: Devices,
        policy: VoicePolicy,
        recording: Recording | None = None,
    ) -> None:
        self.client: Final = client
        self.devices: Final = devices
        self.policy: Final = policy
        self.view: Final = TalkView(client.conversation.output_format)
        self.voice: VoiceConversation | None = None
        """The voice conversation, while the devices are open."""
        self.is_pressed: bool = False
        """Whether the user's turn is under way, with push to talk."""
        self.is_muted: bool = policy.starts_muted
        """Whether the microphone is muted."""
        self._recording: Final = recording
        self.is_over: bool = False
        """Whether the conversation is to end."""
        self._typed: Final[deque[str]] = deque(maxlen=MAX_TYPED)
        self._changed: Final = asyncio.Event()
        self._quiet_since: float | None = None

    @property
    def is_playing(self) -> bool:
        """Whether the assistant is audible, or about to be."""
        return self.voice is not None and self.voice.speaker.is_playing

    @property
    def levels(self) -> tuple[float, float]:
        """Levels of microphone and speaker in dB."""
        if self.voice is None:
            return -96.0, -96.0
        return self.voice.microphone.level, self.voice.speaker.level

    async def run(self) -> None:
        """Hold the conversation until it ends, or `stop` is called.

        Raises:
            ConfigurationError: If a device cannot be opened.
            ConnectionLost: If the connection has ended for good.
        """
        follow = asyncio.create_task(self._follow(), name="duologue talk")
        try:
            while not self.is_over and not follow.done():
                await self._hold(follow)
            if follow.done():
                follow.result()
        finally:
            follow.cancel()
            await asyncio.wait((follow,))
            self.tick()
            if self._recording is not None:
                transcript = self.client.conversation.transcript()
                self._recording.finish(
                    self.client.conversation, transcript, self.client.input_format
                )

    def stop(self) -> None:
        """End the conversation."""
        self.is_over = True
        self._changed.set()

    def stop_on_signals(self) -> None:
        """Let a signal end the conversation, so that it is saved; a second one ends the program."""
        loop = asyncio.get_running_loop()

        def stop(signal_number: int) -> None:
            loop.remove_signal_handler(signal_number)
            self.stop()

        with contextlib.suppress(NotImplementedError):  # Windows
            for signal_number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(signal_number, stop, signal_number)

    def tick(self) -> None:
        """Bring the view up to date: call it several times a second."""
        if self.voice is not None:
            self.view.advance(self.voice.speaker.heard_ms)
        self.view.measure(self.client.latency, self.client.usage)
        if self._recording is not None:
            self._recording.drain()

    def has_ended(self) -> bool:
        """Return whether the input has ended, and its answer too: ask several times a second."""
        now = asyncio.get_running_loop().time()
        is_playing = self.is_playing
        if self.view.phase(is_playing=is_playing) is not Phase.LISTENING:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        is_quiet = self._quiet_since is not None and now - self._quiet_since >= QUIET_SECONDS
        return is_quiet and self.devices.has_ended()

    def pick(self, *, input: int | None = None, output: int | None = None) -> None:  # noqa: A002  # a device
        """Go on with other sound cards; `None` leaves one as it is."""
        self.devices.input = self.devices.input if input is None else input
        self.devices.output = self.devices.output if output is None else output
        self._changed.set()

    # Keys.

    def toggle_turn(self) -> None:
        """Begin or end the user's turn with push to talk; otherwise interrupt the answer.

        A terminal does not report that a key goes up, so it is pressed twice.
        """
        if self.voice is None:
            return
        if self.policy.interrupted_by != "push_to_talk":
            self.voice.interrupt()
        elif self.is_pressed:
            self.is_pressed = False
            self.voice.release()
        else:
            self.is_pressed = True
            self.voice.press()

    def toggle_mute(self) -> None:
        """Mute the microphone, or end that."""
        self.is_muted = not self.is_muted
        if self.voice is not None:
            self.voice.is_muted = self.is_muted

    def interrupt(self) -> None:
        """Stop the answer."""
        if self.voice is not None:
            self.voice.interrupt()

    def send_text(self, text: str) -> None:
        """Send a message that was typed, or keep it until the devices are open."""
        if not text.strip():
            return
        if self.voice is None:
            self._typed.append(text.strip())
        else:
            self.voice.send_text(text.strip())

    # The client.

    async def _hold(self, follow: asyncio.Task[None]) -> None:
        """Hold the conversation with the chosen devices, until others are chosen or it ends."""
        self._changed.clear()
        microphone, speaker = self.devices.open(self._recording)
        changed = asyncio.create_task(self._changed.wait())
        try:
            async with attach(
                self.client, microphone, speaker, policy=self.policy, on_notice=self.view.notice
            ) as voice:
                self.voice, self.is_pressed = voice, False
                voice.is_muted = self.is_muted
                while self._typed:
                    self.voice.send_text(self._typed.popleft())
                try:
                    await asyncio.wait((follow, changed), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    await self._cut(voice)
                    self.voice = None
        except ConfigurationError as error:
            if self.devices.input is None and self.devices.output is None:
                raise
            # A device that was picked; those of the command line have worked.
            self.devices.input = self.devices.output = None
            self.view.note(str(error))
        finally:
            changed.cancel()

    async def _cut(self, voice: VoiceConversation) -> None:
        """Cut the answer to what was heard, and wait until the server confirms it."""
        self.view.advance(voice.speaker.heard_ms)
        if not voice.speaker.is_playing or not self.client.is_connected:
            return
        with contextlib.suppress(DuologueError, TimeoutError):
            voice.interrupt()
            # Commands are answered in order.
            await self.client.clear_input_audio(timeout=CUT_SECONDS)
            await asyncio.sleep(0)  # its update is behind the answer

    async def _follow(self) -> None:
        async for update in self.client:
            self._receive(update)

    def _receive(self, update: Update) -> None:
        conversation = self.client.conversation
        if isinstance(update, ConversationUpdated) and update.item.id not in conversation:
            self.view.remove(update.item.id)
            if self._recording is not None:
                self._recording.remove(update.item.id)
            return
        self.view.receive(update)
        if self._recording is not None and not isinstance(update, RealtimeEvent):
            self._recording.receive(update, conversation.output_format, self.client.input_format)
