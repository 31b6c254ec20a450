"""Picture of `duologue talk` for the README: `python -m tools.screenshot_talk [FILE]`.

A real conversation with the scripted server: the clips of the demo are the user, and the devices
are in memory, so it takes a few seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from duologue import RealtimeClient
from duologue.cli.demo.scenario import TOOLS, call_tool, scripted_stages
from duologue.cli.demo.speech import shipped_utterances
from duologue.cli.talk.conversation import Devices, Talk
from duologue.cli.talk.screen import TalkApp
from duologue.devices import VirtualClock, VirtualMicrophone, VirtualSpeaker, VoicePolicy
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.session.prices import PRICES, PriceTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

__all__ = ["main", "taken"]

FILE: Final = Path(__file__).parents[1] / "docs/talk.svg"
STEP_MS: Final = 200
MAX_STEPS: Final = 500
INTERRUPT_LETTERS: Final = 70
"""Characters of the story that are heard before the user interrupts it."""


async def taken() -> str:
    """Return the picture as SVG."""
    clock = VirtualClock()
    microphone = VirtualMicrophone(clock)
    async with LocalServer(**scripted_stages(knows_the_clips=True)) as server:
        client = RealtimeClient(
            url=server.url,
            model="gpt-realtime",
            prices=PriceTable(PRICES.as_of, {}),
            turn_detection=ga.ServerVad(silence_duration_ms=200),
            input_audio_transcription=ga.AudioTranscription(model="whisper-1"),
        )
        for tool in TOOLS:
            if isinstance(tool, ga.FunctionTool) and tool.name:
                client.add_tool(tool, _handler(tool.name))
        async with client:
            devices = Devices(lambda _: microphone, lambda _: VirtualSpeaker(clock))
            talk = Talk(client, devices, VoicePolicy(echo="off"))
            app = TalkApp(talk, "server in this process")
            async with app.run_test(size=(80, 24)) as pilot:
                await _converse(app, pilot, clock, microphone)
                picture = app.export_screenshot(title="duologue talk")
            talk.stop()
            if app.running is not None:
                await app.running
    # Pages load nothing from outside.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def _handler(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda arguments: json.loads(call_tool(name, json.dumps(arguments)))


async def _converse(
    app: TalkApp, pilot: Pilot[None], clock: VirtualClock, microphone: VirtualMicrophone
) -> None:
    talk = app.talk

    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(MAX_STEPS):
            if condition():
                return
            await clock.run(STEP_MS)
            app.redraw()
            await pilot.pause()
        raise AssertionError(f"the conversation does not go on: {talk.view.lines}")

    def answers() -> list[str]:
        return [line.heard_text for line in talk.view.lines if line.kind == "assistant"]

    # The script knows the clips in this order.
    weather, lights, hello, stop = (clip.pieces()[0] for clip in shipped_utterances())
    await until(lambda: talk.voice is not None)
    for number, clip in enumerate((weather, lights), 1):
        microphone.say(clip)
        await until(lambda n=number: len(answers()) == n and talk.view.lines[-1].is_final)
    microphone.say(hello)
    await until(lambda: len(answers()) == 3 and len(answers()[2]) > INTERRUPT_LETTERS)
    microphone.say(stop)
    await until(lambda: len(answers()) == 4 and len(answers()[3]) > len("All right"))


def main() -> None:
    """Write the picture."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    file.write_text(asyncio.run(taken()), encoding="utf-8")
    print(file)


if __name__ == "__main__":
    main()
