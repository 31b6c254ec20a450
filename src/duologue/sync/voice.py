"""Blocking `attach`: a voice conversation on the client's own thread."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from duologue.sync.handles import ResponseHandle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractAsyncContextManager

    from duologue.devices.attachment import Notice
    from duologue.devices.attachment import VoiceConversation as AsyncVoice
    from duologue.devices.microphone import Microphone
    from duologue.devices.policy import VoicePolicy
    from duologue.devices.speaker import Speaker
    from duologue.sync.client import RealtimeClient
    from duologue.sync.loop_thread import LoopThread

__all__ = ["VoiceConversation", "attach"]


@contextlib.contextmanager
def attach(
    client: RealtimeClient,
    microphone: Microphone,
    speaker: Speaker,
    *,
    policy: VoicePolicy | None = None,
    on_notice: Callable[[Notice], object] | None = None,
) -> Generator[VoiceConversation]:
    """Hold a voice conversation while the context lasts; see `duologue.devices.attach`.

        with attach(client, Microphone(), Speaker()) as voice:
            voice.wait()

    Args:
        client: A client whose session is open.
        microphone: A microphone that is closed.
        speaker: A speaker that is closed.
        policy: Who interrupts, and what is done about echo.
        on_notice: Called with each decision, on the client's thread: it must not block.
    """
    from duologue import devices  # noqa: PLC0415  # an extra

    # Of this package's own: the blocking client has the public names of the other, and no more.
    thread = client._thread  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    wrapped = client._client  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    attached = devices.attach(
        wrapped,
        microphone,
        speaker,
        policy=devices.VoicePolicy() if policy is None else policy,
        on_notice=on_notice,
    )
    voice = thread.run(_entered(attached))
    try:
        yield VoiceConversation(voice, thread)
    finally:
        thread.run(_left(attached))


class VoiceConversation:
    """A voice conversation that is under way; see `duologue.devices.VoiceConversation`."""

    def __init__(self, voice: AsyncVoice, thread: LoopThread) -> None:
        self._voice: Final = voice
        self._thread: Final = thread

    @property
    def is_muted(self) -> bool:
        """Whether silence is sent instead of the microphone's audio; set it to mute."""
        return self._voice.is_muted

    @is_muted.setter
    def is_muted(self, value: bool) -> None:
        self._voice.is_muted = value

    @property
    def is_half_duplex(self) -> bool:
        """Whether the microphone is silent while the assistant speaks."""
        return self._voice.is_half_duplex

    def press(self) -> None:
        """Stop the reply, and begin the user's turn."""
        self._thread.call(self._voice.press)

    def release(self) -> None:
        """End the user's turn, and request a response."""
        self._thread.call(self._voice.release)

    def interrupt(self) -> None:
        """Stop the reply."""
        self._thread.call(self._voice.interrupt)

    def send_text(self, text: str) -> ResponseHandle:
        """Stop the reply, send a message that the user has typed, and request a response."""
        handle = self._thread.call(lambda: self._voice.send_text(text))
        return ResponseHandle(self._thread, handle)

    def wait(self) -> None:
        """Wait until the session is closed or the microphone ends.

        Raises:
            ConnectionLost: If the connection has ended for good.
        """
        self._thread.run(self._voice.wait())


async def _entered(attached: AbstractAsyncContextManager[AsyncVoice]) -> AsyncVoice:
    return await attached.__aenter__()


async def _left(attached: AbstractAsyncContextManager[AsyncVoice]) -> None:
    await attached.__aexit__(None, None, None)
