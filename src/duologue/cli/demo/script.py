"""What the demo's assistant is told to be, and the script that plays it where no model is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from duologue.cli.demo.speech import SHIPPED_WORDS

if TYPE_CHECKING:
    from duologue.server.engine.scripted import ScriptedBrain, ScriptedTranscriber, ToneSynthesizer

__all__ = ["INSTRUCTIONS", "scripted_stages"]

INSTRUCTIONS: Final = (
    "You are a friendly voice assistant. Answer in one or two short sentences of plain text."
    " When the user asks whether you can hear them, say yes and tell a story of ten sentences"
    " about a lighthouse keeper and his cat. When the user asks you to stop, say that you will."
)

_STORY: Final = (
    "Yes, I can hear you very well. Let me tell you a story. Once upon a time there was a"
    " lighthouse on a rock in the sea, and in it lived an old keeper with his cat. Every evening"
    " they climbed the stairs together, and the keeper lit the lamp while the cat watched the"
    " waves. One night the fog came in so thick that nobody could see the light, and far out a"
    " small boat had lost its way. The cat heard it first."
)

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
    from duologue.server.engine.scripted import (  # noqa: PLC0415  # with the server, an extra
        Rule,
        ScriptedBrain,
        ScriptedTranscriber,
        ToneSynthesizer,
    )

    rules = [
        Rule("lights", "The lights in the kitchen are on."),
        Rule("can you hear", _STORY),
        Rule("stop", "All right, I will stop."),
        Rule("enough", "You are welcome."),
    ]
    return {
        "brain": ScriptedBrain(rules),
        "stt": ScriptedTranscriber(SHIPPED_WORDS if knows_the_clips else ()),
        "tts": ToneSynthesizer(PACE),
    }
