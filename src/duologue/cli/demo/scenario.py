"""What the demo's assistant is told to be, and the script that plays it where no model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from duologue.cli.demo.speech import SHIPPED_WORDS

if TYPE_CHECKING:
    from duologue.server.engine.scripted import ScriptedBrain, ScriptedTranscriber, ToneSynthesizer

__all__ = ["INSTRUCTIONS", "STORY_INSTRUCTIONS", "scripted_stages"]

INSTRUCTIONS: Final = (
    "You are a friendly voice assistant at home. You answer in one short and polite sentence."
)

_STORY: Final = (
    "Yes, I can hear you. While you are here, let me tell you a story. Once upon a time an old"
    " keeper lived in a lighthouse by the sea with his grey cat. Every evening he lit the lamp, and"
    " the cat watched the ships go by. One night the lamp went out in a storm, and the cat ran up"
    " the stairs to wake him. He lit the lamp again, and all the ships came home safely."
)

STORY_INSTRUCTIONS: Final = (
    "You are a friendly voice assistant."
    " When the user says stop, you say: All right, I will stop.\n"
    "User: Stop please.\nYou: All right, I will stop.\n"
    f"User: Hello, can you hear me?\nYou: {_STORY}"
)
"""A model of half a billion parameters tells a story that it is shown, and no other."""

PACE: Final = 6.0
"""The script's voice is made six times faster than it sounds: like a real server's."""


class ScriptedStages(TypedDict):
    """Arguments of `LocalServer`."""

    brain: ScriptedBrain
    stt: ScriptedTranscriber
    tts: ToneSynthesizer


def scripted_stages(*, knows_the_clips: bool) -> ScriptedStages:
    """Return the stages of the script.

    Args:
        knows_the_clips: Whether the user says what the shipped clips say; otherwise speech is
            described by its length.
    """
    from duologue.server.engine.script import Rule  # noqa: PLC0415  # as above
    from duologue.server.engine.scripted import (  # noqa: PLC0415  # with the server, an extra
        ScriptedBrain,
        ScriptedTranscriber,
        ToneSynthesizer,
    )

    rules = [
        Rule(match="lights", call="set_light", arguments={"room": "kitchen", "on": True}),
        Rule(match="can you hear", say=_STORY),
        Rule(match="stop", say="All right, I will stop."),
        Rule(match="enough", say="You are welcome."),
    ]
    return {
        "brain": ScriptedBrain(rules),
        "stt": ScriptedTranscriber(SHIPPED_WORDS if knows_the_clips else ()),
        "tts": ToneSynthesizer(PACE),
    }
