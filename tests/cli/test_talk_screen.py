"""The full screen of `duologue talk`, with Textual's pilot, devices in memory and a real server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from duologue import RealtimeClient
from duologue.cli.talk.conversation import Devices, Talk
from duologue.cli.talk.screen import DevicePicker, TalkApp
from duologue.cli.talk.view import Phase
from duologue.devices import (
    AudioDevice,
    VirtualClock,
    VirtualMicrophone,
    VirtualSpeaker,
    VoicePolicy,
)
from duologue.protocol.ga import ServerVad
from duologue.server import LocalServer
from duologue.server.faults import Close

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from textual.pilot import Pilot

STORY = "Once upon a time there was a lighthouse. " * 4
SPEECH = b"\x00\x30" * 12_000 + bytes(48_000)  # a tone, and a pause

HEADPHONES = VoicePolicy(echo="off")


class Stage:
    """A screen of 80 by 24, its devices and its server."""

    def __init__(
        self, app: TalkApp, pilot: Pilot[None], clock: VirtualClock, microphone: VirtualMicrophone
    ) -> None:
        self.app = app
        self.pilot = pilot
        self.clock = clock
        self.microphone = microphone
        self.talk = app.talk

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until something is so; the test's time-out is the limit."""
        while not condition():
            await self.clock.run(160, step_ms=40)
            self.app.redraw()
            await self.pilot.pause()

    def text(self) -> str:
        """Return what the screen shows."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    def shows(self, words: str) -> bool:
        """Return whether the screen shows these words, wherever they are wrapped."""
        return words in " ".join(self.text().split())


@asynccontextmanager
async def stage(policy: VoicePolicy = HEADPHONES, **server: Any) -> AsyncGenerator[Stage]:
    clock = VirtualClock()
    microphone = VirtualMicrophone(clock)
    devices = Devices(lambda _: microphone, lambda _: VirtualSpeaker(clock))
    async with (
        LocalServer(lambda _: STORY, **server) as local,
        RealtimeClient(url=local.url, turn_detection=ServerVad()) as client,
    ):
        app = TalkApp(Talk(client, devices, policy), "test server")
        async with app.run_test(size=(80, 24)) as pilot:
            made = Stage(app, pilot, clock, microphone)
            await made.until(lambda: app.talk.voice is not None)
            yield made
        app.talk.stop()
        assert app.running is not None
        await app.running


async def write(stage: Stage, text: str) -> None:
    await stage.pilot.press("t", *text, "enter", "escape")


@pytest.mark.asyncio
async def test_words_appear_as_they_are_heard_and_escape_cuts_them() -> None:
    async with stage() as shown:
        await write(shown, "Tell me")
        await shown.until(lambda: shown.shows("Once upon a time"))
        assert shown.shows("you Tell me")
        assert shown.shows("● speaking")
        await shown.until(lambda: len(shown.talk.view.lines[-1].heard_text) > 10)
        await shown.pilot.press("escape")
        await shown.until(lambda: shown.shows("[not heard: "))
        await shown.until(lambda: shown.shows("● listening"))
        assert shown.shows("first audio")


@pytest.mark.asyncio
async def test_speech_of_the_user_interrupts_the_answer() -> None:
    async with stage() as shown:
        await write(shown, "Tell me")
        await shown.until(lambda: len(shown.talk.view.lines[-1].heard_text) > 10)
        shown.microphone.say(SPEECH)
        await shown.until(lambda: shown.shows("● you are speaking"))
        await shown.until(lambda: shown.shows("[not heard: "))


@pytest.mark.asyncio
async def test_keys_mute_and_talk_and_quit() -> None:
    async with stage(VoicePolicy(interrupted_by="push_to_talk", echo="off")) as shown:
        await shown.until(lambda: shown.shows("space: talk"))
        await shown.pilot.press("space")
        assert shown.talk.is_pressed
        await shown.until(lambda: shown.shows("space: send"))
        shown.microphone.say(SPEECH)
        await shown.clock.run(600)
        await shown.pilot.press("space")
        await shown.until(lambda: shown.shows("Once upon"))
        await shown.pilot.press("m")
        assert shown.talk.is_muted
        await shown.until(lambda: shown.shows("muted"))
        await shown.pilot.press("q")
        await shown.until(lambda: shown.app.running is not None and shown.app.running.done())


@pytest.mark.asyncio
async def test_a_sound_card_is_picked_from_a_list() -> None:
    cards = [AudioDevice(n, f"card {n}", 1, 2, 48_000, False, False) for n in (3, 5)]
    picked: list[int | None] = []
    async with stage() as shown:
        await shown.pilot.press("i")  # the machine of the tests may have none
        if len(shown.app.screen_stack) > 1:
            await shown.pilot.press("escape")
        shown.app.push_screen(DevicePicker(cards), picked.append)
        await shown.until(lambda: shown.shows("5 card 5"))
        await shown.pilot.press("down", "enter")
        shown.app.push_screen(DevicePicker(cards), picked.append)
        await shown.pilot.press("escape")
    assert picked == [5, None]


@pytest.mark.asyncio
async def test_other_devices_take_over() -> None:
    async with stage() as shown:
        before = shown.talk.voice
        shown.talk.toggle_mute()
        shown.talk.pick(output=1)
        await shown.until(lambda: shown.talk.voice not in {None, before})
        assert shown.talk.voice is not None
        assert shown.talk.voice.is_muted
        await write(shown, "Tell me")
        await shown.until(lambda: shown.shows("Once upon a time"))


@pytest.mark.asyncio
async def test_a_lost_connection_is_shown_and_the_conversation_goes_on() -> None:
    fault = Close(1011, at="response.output_audio.delta", nth=2, connection=1)
    async with stage(faults=[fault]) as shown:
        await write(shown, "Tell me")
        await shown.until(lambda: shown.shows("connected again after"))
        assert shown.shows("connecting again…")
        await shown.until(lambda: shown.talk.view.lines[-1].is_final)
        assert shown.talk.view.phase(is_playing=False) is Phase.LISTENING
        answers = [line for line in shown.talk.view.lines if line.kind == "assistant"]
        assert [line.text for line in answers] == [STORY.strip()]
