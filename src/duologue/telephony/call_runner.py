"""The tasks of a call: they read from the phone, write to it, and hold the session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast

from duologue.client._concurrency import cancel_all
from duologue.errors import Closed, ConnectionLost, DuologueError
from duologue.protocol.formats import PCM16, Format
from duologue.protocol.ga import RealtimeSession, SemanticVad, ServerVad
from duologue.session.updates import ConversationUpdated, Disconnected, Interrupted, Reconnected
from duologue.telephony.messages import (
    AudioReceived,
    CallStarted,
    CallStopped,
    DigitPressed,
    MalformedMessage,
    MarkReturned,
    StreamError,
    UnknownMessage,
    printable,
)
from duologue.telephony.phone_audio import FrameEncoder, PhoneDecoder
from duologue.telephony.phone_player import PhonePlayer
from duologue.transport.repeated_warning import RepeatedWarning

if TYPE_CHECKING:
    from duologue.client.client import RealtimeClient
    from duologue.telephony.asgi import PhoneSocket
    from duologue.telephony.call import CallHook, ClientFactory, DigitHook, PhoneCall
    from duologue.telephony.call_state import CallState
    from duologue.telephony.messages import AudioEncoding, PhoneDialect, PhoneEvent

__all__ = ["CallHooks", "CallRunner"]

T = TypeVar("T")

MAX_EARLY: Final = 500
"""Messages of audio that wait for the session: 10 seconds, as long as connecting may take."""

MAX_DIGITS: Final = 32
"""Digits that wait for `on_digit`, and that a message to the model has."""

DIGIT_PAUSE_SECONDS: Final = 2.0
"""Time after which no further digit is expected: people look for the next key."""

HOOK_SECONDS: Final = 30.0
"""Time for `on_end`."""

FAILURES: Final = ("session", "failure")
"""Endings for which the stream is closed with 1011."""

logger: Final = logging.getLogger("duologue.telephony")


@dataclass(frozen=True, slots=True)
class CallHooks:
    """The application's side of all calls; see `PhoneBridge`."""

    new_client: ClientFactory
    on_call: CallHook | None
    on_digit: DigitHook | None
    on_end: CallHook | None
    digits_as_text: bool


class CallRunner:
    """Runs one call to its end."""

    def __init__(
        self,
        call: PhoneCall,
        state: CallState,
        dialect: PhoneDialect,
        socket: PhoneSocket,
        hooks: CallHooks,
    ) -> None:
        self._call: Final = call
        self._state: Final = state
        self._dialect: Final = dialect
        self._socket: Final = socket
        self._hooks: Final = hooks
        self._client: RealtimeClient | None = None
        """The client, also while it connects."""
        self._decoder: PhoneDecoder | None = None
        self._early: Final[deque[bytes]] = deque(maxlen=MAX_EARLY)
        self._digits: Final[asyncio.Queue[str]] = asyncio.Queue(MAX_DIGITS)
        self._tasks: Final[list[asyncio.Task[None]]] = []
        self._ignored: Final = RepeatedWarning(logger, "%d messages of a call were ignored so far")

    async def run(self, receives: AudioEncoding, *, max_seconds: float) -> None:
        """Hold the call until it ends, then close the stream and the session."""
        state = self._state
        logger.info("call %s began: %s", state.label, state.provider)
        self._start(self._read())
        self._start(self._talk(receives))
        try:
            async with asyncio.timeout(max_seconds):
                await state.wait_until_ended()
        except TimeoutError:
            state.end("time_limit")
        finally:
            state.end("failure")  # if this task is cancelled: otherwise it has ended already
            await cancel_all(self._tasks)
            await self._close()
        self._ignored.finish()
        logger.info("call %s ended: %s", state.label, state.ending)
        if state.client is not None and self._hooks.on_end is not None:
            await self._call_on_end(self._hooks.on_end, state.client)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        self._tasks.append(asyncio.create_task(self._guarded(work), name="phone call"))

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """Run one of the call's tasks; if it fails, the call ends."""
        try:
            await work
        except (DuologueError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            logger.error("call %s: %s", self._state.label, reason)  # noqa: TRY400  # it says enough
            self._state.end("failure")
        except Exception as error:  # noqa: BLE001  # of a hook, or a fault of ours
            _report(error, "a task of a phone call raised, and the call is ended")
            self._state.end("failure")

    async def _close(self) -> None:
        try:
            await self._socket.close(1011 if self._state.ending in FAILURES else 1000)
        finally:
            if self._client is not None:
                await self._client.close()

    async def _call_on_end(self, on_end: CallHook, client: RealtimeClient) -> None:
        try:
            async with asyncio.timeout(HOOK_SECONDS):
                await _result(on_end(self._call, client))
        except Exception as error:  # noqa: BLE001  # the application's own
            _report(error, "on_end of a phone call raised")

    # From the phone.

    async def _read(self) -> None:
        while (message := await self._socket.receive()) is not None:
            for event in self._dialect.receive(message):
                self._on_event(event)
        self._state.end("caller")

    def _on_event(self, event: PhoneEvent) -> None:
        match event:
            case AudioReceived(audio=audio):
                self._on_audio(audio)
            case MarkReturned(name=name):
                self._on_mark(name)
            case DigitPressed(digit=digit):
                self._on_digit(digit)
            case CallStopped():
                self._state.end("caller")
            case StreamError(code=code, title=title):
                reason = f"{printable(code)}: {printable(title)}"
                self._ignored.warn("call %s: error of the provider: %s", self._state.label, reason)
            case MalformedMessage(reason=reason):
                self._ignored.warn("call %s: message ignored: %s", self._state.label, reason)
            case UnknownMessage() | CallStarted():
                logger.debug("call %s: unexpected %s", self._state.label, type(event).__name__)

    def _on_audio(self, audio: bytes) -> None:
        if self._state.client is None or self._decoder is None:
            self._early.append(audio)
        else:
            self._append(self._state.client, self._decoder, audio)

    def _on_mark(self, name: str) -> None:
        if self._state.player is not None:
            self._state.player.on_mark(name)
            self._state.report_progress()

    def _on_digit(self, digit: str) -> None:
        try:
            self._digits.put_nowait(digit)
        except asyncio.QueueFull:
            self._ignored.warn("call %s: message ignored: too many digits wait", self._state.label)

    # The session.

    async def _talk(self, receives: AudioEncoding) -> None:
        """Begin the session, and start the tasks that need it."""
        state, on_call = self._state, self._hooks.on_call
        client = self._client = await _result(self._hooks.new_client(self._call))
        _set_formats(client, receives, state.started.sends)
        await client.connect()
        # Without a pause from here on, so that no update and no audio is missed.
        output = client.conversation.output_format
        player = PhonePlayer(self._dialect, FrameEncoder(output, state.started.sends), output)
        self._decoder = PhoneDecoder(receives, client.input_format)
        state.client, state.player = client, player
        client.on(ConversationUpdated, self._on_update)
        client.on(Interrupted, self._on_interrupted)
        client.on(Reconnected, self._on_reconnected)
        client.on(Disconnected, self._on_disconnected)
        while self._early:
            self._append(client, self._decoder, self._early.popleft())
        self._start(self._write(player))
        self._start(self._handle_digits(client))
        if on_call is not None:
            await _result(on_call(self._call, client))

    def _append(self, client: RealtimeClient, decoder: PhoneDecoder, audio: bytes) -> None:
        # Without `drain`: a hang-up must be noticed while the client connects again, and it bounds
        # what waits for that.
        with contextlib.suppress(Closed, ConnectionLost):  # then `Disconnected` ends the call
            client.append_input_audio(decoder.feed(audio))

    def _on_update(self, update: ConversationUpdated) -> None:
        player = self._state.player
        if player is not None and player.receive(update):
            self._state.more_to_send.set()
            self._state.report_progress()

    def _on_interrupted(self, _: Interrupted) -> None:
        if self._state.client is not None and _cancels_responses(self._state.client):
            self._state.stop_playback()

    def _on_reconnected(self, update: Reconnected) -> None:
        """Stop a response that was cut: it was requested again, and begins anew."""
        client, player = self._state.client, self._state.player
        if client is None or player is None or not update.asked_again:
            return
        if player.item_id not in client.conversation:
            self._state.stop_playback()

    def _on_disconnected(self, update: Disconnected) -> None:
        if not update.will_retry:
            if update.error is not None:
                logger.error("call %s: the session was lost: %s", self._state.label, update.error)
            self._state.end("session")

    # To the phone.

    async def _write(self, player: PhonePlayer) -> None:
        more = self._state.more_to_send
        while True:
            more.clear()
            while messages := player.next_messages():
                for message in messages:
                    if not await self._socket.send(message):
                        self._state.end("caller")
                        return
                await asyncio.sleep(0)  # a long answer must not hold up the other calls
            await more.wait()

    # Digits.

    async def _handle_digits(self, client: RealtimeClient) -> None:
        pressed = ""
        while True:
            try:
                async with asyncio.timeout(DIGIT_PAUSE_SECONDS if pressed else None):
                    digit = await self._digits.get()
            except TimeoutError:
                pressed = self._send_digits(client, pressed)
                continue
            if self._hooks.on_digit is not None:
                await self._call_on_digit(self._hooks.on_digit, client, digit)
            if self._hooks.digits_as_text:
                pressed += digit
                if digit == "#" or len(pressed) >= MAX_DIGITS:
                    pressed = self._send_digits(client, pressed)

    async def _call_on_digit(self, on_digit: DigitHook, client: RealtimeClient, digit: str) -> None:
        try:
            await _result(on_digit(self._call, client, digit))
        except Exception as error:  # noqa: BLE001  # the application's own; the call goes on
            _report(error, "on_digit of a phone call raised")

    def _send_digits(self, client: RealtimeClient, pressed: str) -> str:
        with contextlib.suppress(Closed, ConnectionLost):
            client.send_user_message_content(f"I pressed {pressed} on the keypad.")
        return ""


async def _result(value: T | Awaitable[T]) -> T:
    """Return the result of a function or coroutine function."""
    if isinstance(value, Awaitable):
        return await cast("Awaitable[T]", value)
    return value


def _report(error: Exception, message: str) -> None:
    """Report an exception of the application, with its traceback."""
    context = {"message": message, "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)


def _set_formats(client: RealtimeClient, receives: AudioEncoding, sends: AudioEncoding) -> None:
    """Use the phone's formats on both sides, where the application has not chosen others."""
    audio = client.session_config.audio
    if not (audio and audio.input and audio.input.format):
        client.update_session(input_audio_format=_name(receives))
    if not (audio and audio.output and audio.output.format):
        client.update_session(output_audio_format=_name(sends))


def _name(encoding: AudioEncoding) -> str:
    format_: Format = encoding.format or PCM16
    return format_.beta_name


def _cancels_responses(client: RealtimeClient) -> bool:
    """Return whether turn detection has cancelled the response when the caller began to speak."""
    session = client.session
    if not isinstance(session, RealtimeSession) or not session.audio or not session.audio.input:
        return True
    detection = session.audio.input.turn_detection
    if not isinstance(detection, ServerVad | SemanticVad):
        return True
    return detection.interrupt_response is not False
