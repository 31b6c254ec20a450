"""The `scripted:` engine: rules instead of models, tones instead of a voice, the same every time.

It needs no other package and no time to load. It hears loudness, not words: what was said is read
from the script, or described by its length.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from array import array
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import Any, Final

import msgspec
from msgspec import Struct

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET
from duologue.server.engine.stages import BrainEvent, BrainRequest, Call, Engine, Say

__all__ = [
    "EnergyVad",
    "Rule",
    "ScriptedBrain",
    "ScriptedTranscriber",
    "ToneSynthesizer",
    "scripted_engine",
]

LOUDEST_SILENCE: Final = 0.012
"""Root mean square, of full scale, that counts as speech with likelihood one half (-38 dBFS)."""

CHARACTER_MS: Final = 60
"""How long a character sounds: about the pace of speech."""

CHUNK_MS: Final = 240
"""How much speech is handed out at a time."""


class EnergyVad:
    """Takes loudness for speech."""

    def score(self, frame: bytes) -> float:
        """Return 0.5 at `LOUDEST_SILENCE`, towards 1 above it; every fourth sample is enough."""
        samples = array("h", frame)[::4]
        mean_square = sum(map(mul, samples, samples)) / len(samples)
        loudness = math.sqrt(mean_square) / 32768
        return loudness / (loudness + LOUDEST_SILENCE)


class ScriptedTranscriber:
    """Reads what was said from a list, turn by turn; then describes it."""

    def __init__(self, transcripts: Sequence[str] = ()) -> None:
        self._left: Iterator[str] = iter(transcripts)

    async def transcribe(
        self,
        pcm: bytes,
        *,
        language: str | None,  # noqa: ARG002  # the script knows the words
        prompt: str | None,  # noqa: ARG002  # as above
    ) -> AsyncIterator[str]:
        """Yield the next line, or the length of the audio in words."""
        yield next(self._left, f"({PCM16.ms(len(pcm)) / 1000:.1f} seconds of speech)")


@dataclass(frozen=True, slots=True)
class Rule:
    """What to answer when the last words of the user match."""

    pattern: str
    """A regular expression, looked for anywhere, whatever the case."""
    answer: str | Call | Callable[[str], str]
    """What to say, which function to call, or a function from the user's words to what to say."""


class ScriptedBrain:
    """Follows rules; without one it calls a tool that the user seems to name, or echoes."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = [(re.compile(rule.pattern, re.IGNORECASE), rule.answer) for rule in rules]

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield the answer of the first rule that matches."""
        for event in self._answer(request):
            yield event
            await asyncio.sleep(0)

    async def warm(self, request: BrainRequest) -> None:
        """Rules are always warm."""

    def _answer(self, request: BrainRequest) -> Iterator[BrainEvent]:
        heard = _last_words(request.items)
        forced = _forced_tool(request)
        if forced is not None:
            yield _call(forced, heard)
            return
        last = request.items[-1] if request.items else None
        if isinstance(last, ga.FunctionCallOutput):
            yield from _say(_spoken_output(last.output))
            return
        for pattern, answer in self._rules:
            if not pattern.search(heard):
                continue
            if isinstance(answer, Call):
                yield answer
            else:
                yield from _say(answer if isinstance(answer, str) else answer(heard))
            return
        tool = _named_tool(request, heard)
        if tool is not None:
            yield _call(tool, heard)
            return
        yield from _say(f"You said: {heard}" if heard else "I am listening.")


class ToneSynthesizer:
    """Speaks a tone per character, timed like speech."""

    def __init__(self, pace: float = math.inf) -> None:
        """Choose how much faster than real time audio is made; infinite: at once."""
        self._pace = pace

    async def speak(
        self,
        text: str,
        *,
        voice: str,  # noqa: ARG002  # a tone has none
        speed: float,
    ) -> AsyncIterator[bytes]:
        """Yield chunks of `CHUNK_MS`."""
        ms = max(20, int(CHARACTER_MS / speed))
        per_chunk = max(1, CHUNK_MS // ms)
        for start in range(0, len(text), per_chunk):
            characters = text[start : start + per_chunk]
            yield b"".join(_tone(_pitch_hz(character), ms) for character in characters)
            await asyncio.sleep(len(characters) * ms / 1000 / self._pace)


def scripted_engine(
    *,
    rules: Sequence[Rule] = (),
    transcripts: Sequence[str] = (),
    pace: float = math.inf,
) -> Engine:
    """Return an engine that follows a script.

    Args:
        rules: What to answer; the first that matches counts.
        transcripts: What the turns of each session say, in order.
        pace: How much faster than real time speech is made.
    """
    return Engine(
        vad=EnergyVad,
        transcriber=lambda: ScriptedTranscriber(transcripts),
        brain=lambda: ScriptedBrain(rules),
        synthesizer=lambda: ToneSynthesizer(pace),
        labels={
            "vad": "loudness",
            "transcriber": "script",
            "brain": "rules",
            "synthesizer": "tones",
        },
    )


def _say(text: str) -> Iterator[Say]:
    """Yield a text word by word, as models do."""
    for word in re.findall(r"\S+\s*", text):
        yield Say(word)


def _last_words(items: Sequence[ga.Item]) -> str:
    for item in reversed(items):
        if isinstance(item, ga.Message) and item.role == ga.MessageRole.USER:
            parts = [
                part.transcript if isinstance(part, ga.InputAudio) else part.text
                for part in item.content
                if isinstance(part, ga.InputAudio | ga.InputText)
            ]
            return " ".join(text for text in parts if isinstance(text, str))
    return ""


def _functions(request: BrainRequest) -> list[ga.FunctionTool]:
    return [tool for tool in request.tools if isinstance(tool, ga.FunctionTool)]


def _forced_tool(request: BrainRequest) -> ga.FunctionTool | None:
    """Return the function that must be called, if one must."""
    functions = _functions(request)
    choice = request.tool_choice
    if isinstance(choice, ga.ToolChoiceFunction):
        return next((tool for tool in functions if tool.name == choice.name), None)
    return functions[0] if choice == ga.ToolChoiceMode.REQUIRED and functions else None


def _named_tool(request: BrainRequest, heard: str) -> ga.FunctionTool | None:
    """Return a function whose name shares a word with what the user said."""
    if request.tool_choice == ga.ToolChoiceMode.NONE:
        return None
    words = set(re.findall(r"[a-z]{4,}", heard.lower()))
    for tool in _functions(request):
        name = tool.name if isinstance(tool.name, str) else ""
        if words & set(re.findall(r"[a-z]{4,}", name.lower())):
            return tool
    return None


def _call(tool: ga.FunctionTool, heard: str) -> Call:
    """Return a call whose text arguments are the last name in what was said, or all of it."""
    names = re.findall(r"(?<!^)\b[A-Z][a-z]+", heard)
    samples = {
        "string": names[-1] if names else heard,
        "number": 1.5,
        "integer": 1,
        "boolean": True,
        "array": list[object](),
        "object": dict[str, object](),
    }
    arguments = {
        name: about.enum[0] if about.enum else samples.get(about.type, heard)
        for name, about in _properties(tool).items()
    }
    return Call(tool.name if tool.name is not UNSET else "", json.dumps(arguments))


class _Property(Struct):
    """What a schema says of one argument."""

    type: Any = "string"
    enum: list[Any] = []


class _Schema(Struct):
    properties: dict[str, _Property] = {}


def _properties(tool: ga.FunctionTool) -> dict[str, _Property]:
    try:
        return msgspec.convert(tool.parameters, _Schema).properties
    except msgspec.ValidationError:
        return {}  # no schema that we understand: a call without arguments


def _spoken_output(output: str) -> str:
    """Return the output of a function as a sentence."""
    try:
        value = msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.DecodeError:
        return f"The answer is {output}."
    if len(value) == 1:
        return str(*value.values())
    told = ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items())
    return f"I found this: {told}."


def _pitch_hz(character: str) -> int:
    """Return the pitch of a character; a space has none."""
    return 0 if character.isspace() else 180 + ord(character) % 64 * 8


@lru_cache(maxsize=256)
def _tone(pitch_hz: int, ms: int) -> bytes:
    """Return a tone; it starts and ends at zero, so that nothing clicks."""
    samples = PCM16.rate_hz * ms // 1000
    if not pitch_hz:
        return bytes(samples * PCM16.sample_bytes)
    cycles = max(1, round(pitch_hz * ms / 1000))
    step = 2 * math.pi * cycles / samples
    return array("h", (round(9000 * math.sin(step * n)) for n in range(samples))).tobytes()
