"""The `scripted:` engine: rules instead of models, and tones instead of a voice.

It needs no extra packages, starts at once, and is deterministic. It detects speech by
loudness but recognizes no words: transcripts come from the script, or state the length of the
speech.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
from array import array
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import mul
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from duologue.errors import EngineFailed
from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET
from duologue.server.engine.script import Rule, Script, Step, fill, fill_text
from duologue.server.engine.stages import BrainEvent, BrainRequest, Call, Engine, Say

if TYPE_CHECKING:
    from duologue.protocol.model import Json

__all__ = [
    "EnergyVad",
    "ScriptedBrain",
    "ScriptedTranscriber",
    "ScriptedTranslator",
    "ToneSynthesizer",
    "scripted_engine",
]

LOUDEST_SILENCE: Final = 0.012
"""Loudness that scores 0.5: root mean square as a share of full scale (-38 dBFS)."""

CHARACTER_MS: Final = 60
"""Duration of a character's tone: about the pace of speech."""

CHUNK_MS: Final = 240
"""Duration of the chunks of speech."""


class EnergyVad:
    """Voice activity detector that measures loudness."""

    def score(self, frame: bytes) -> float:
        """Return 0.5 at `LOUDEST_SILENCE`, and more for louder frames."""
        # Every fourth sample is enough for loudness, and it takes a quarter of the time.
        samples = array("h", frame)[::4]
        mean_square = sum(map(mul, samples, samples)) / len(samples)
        loudness = math.sqrt(mean_square) / 32768
        return loudness / (loudness + LOUDEST_SILENCE)


class ScriptedTranscriber:
    """Transcriber that returns the lines of a script, one per turn, then lengths of speech."""

    def __init__(self, transcripts: Sequence[str] = ()) -> None:
        self._left: Final[Iterator[str]] = iter(transcripts)

    async def transcribe(
        self,
        pcm: bytes,
        *,
        language: str | None,  # noqa: ARG002  # the script has the transcripts
        prompt: str | None,  # noqa: ARG002  # as above
    ) -> AsyncIterator[str]:
        """Yield the next line of the script, or a sentence with the length of the audio."""
        yield next(self._left, f"({PCM16.ms(len(pcm)) / 1000:.1f} seconds of speech)")


class ScriptedBrain:
    """Brain that follows rules.

    If no rule matches, it calls a tool that the user seems to name, or echoes the user. It
    remembers which rules it has used, so every session needs its own.
    """

    def __init__(self, rules: Sequence[Rule] = (), *, seed: int = 0) -> None:
        """Prepare the rules.

        Args:
            rules: The rules; the first one that matches answers.
            seed: Seed for the choice among several texts.
        """
        self._rules: Final = list(rules)
        self._patterns: Final = [rule.pattern() for rule in rules]
        self._used: Final[set[int]] = set()
        self._random: Final = random.Random(seed)  # noqa: S311  # the same choices every time

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Perform the rule's steps; text is yielded word by word, as models generate it.

        Raises:
            EngineFailed: If the rule has a `fail` step.
        """
        chosen = self._choose(request)
        if chosen is None:
            for event in _unscripted(request):
                yield event
                await asyncio.sleep(0)  # like a model, let the user interrupt between words
            return
        rule, values = chosen
        for step in rule.doing:
            for event in self._events(step, values):
                yield event
                await asyncio.sleep(0)
            if step.wait is not UNSET:
                await asyncio.sleep(step.wait)
            if step.fail is not UNSET:
                code = "engine_failed" if step.code is UNSET else step.code
                raise EngineFailed(fill_text(step.fail, values), code=code)

    async def warm(self, request: BrainRequest) -> None:
        """Do nothing: rules need no preparation."""

    def _choose(self, request: BrainRequest) -> tuple[Rule, dict[str, str]] | None:
        """Return the rule to follow, mark it as used, and return the values of its placeholders."""
        output = request.output
        is_next = True  # whether the `next` rules so far are all used
        for index, rule in enumerate(self._rules):
            if index in self._used or (rule.use == "next" and not is_next):
                continue
            is_next = is_next and rule.use != "next"
            # A function's output is matched by `output` and by rules for anything, the user's
            # words by `match` and by rules for anything.
            ignores = rule.match if output is not None else rule.output
            heard = request.heard
            found = self._patterns[index].search(heard if output is None else output)
            if ignores is UNSET and found and _permits(request, rule):
                if rule.use != "repeat":
                    self._used.add(index)
                named = {name: text or "" for name, text in found.groupdict().items()}
                return rule, {"heard": heard, "output": output or "", **named}
        return None

    def _events(self, step: Step, values: dict[str, str]) -> Iterator[BrainEvent]:
        if step.say is not UNSET:
            text = step.say if isinstance(step.say, str) else self._random.choice(step.say)
            yield from _say(fill_text(text, values))
        if step.call is not UNSET:
            arguments: Json = {} if step.arguments is UNSET else step.arguments
            yield Call(step.call, msgspec.json.encode(fill(arguments, values)).decode())


class ScriptedTranslator:
    """Translator with a table; text that is not in it is returned with the language as prefix."""

    def __init__(self, translations: Mapping[str, str]) -> None:
        self._translations: Final = translations

    async def translate(self, text: str, *, language: str) -> AsyncIterator[str]:
        """Yield the translation, word by word."""
        translated = self._translations.get(text, f"[{language}] {text}")
        for word in _words(translated):
            yield word
            await asyncio.sleep(0)


class ToneSynthesizer:
    """Synthesizer of one tone per character, at the pace of speech."""

    def __init__(self, pace: float = math.inf) -> None:
        """Set how much faster than real time audio is generated; infinite: at once."""
        self._pace: Final = pace

    async def speak(
        self,
        text: str,
        *,
        voice: str,  # noqa: ARG002  # tones have no voice
        speed: float,
    ) -> AsyncIterator[bytes]:
        """Yield chunks of `CHUNK_MS`."""
        ms = max(20, int(CHARACTER_MS / speed))
        per_chunk = max(1, CHUNK_MS // ms)
        for start in range(0, len(text), per_chunk):
            characters = text[start : start + per_chunk]
            yield b"".join(_tone(_pitch_hz(character), ms) for character in characters)
            await asyncio.sleep(len(characters) * ms / 1000 / self._pace)


def scripted_engine(script: Script | None = None) -> Engine:
    """Return an engine that follows a script; without a script it echoes the user."""
    script = script or Script()
    return Engine(
        vad=EnergyVad,
        transcriber=lambda: ScriptedTranscriber(script.transcripts),
        brain=lambda: ScriptedBrain(script.rules, seed=script.seed),
        synthesizer=lambda: ToneSynthesizer(script.pace),
        translator=lambda: ScriptedTranslator(script.translations),
        labels={
            "vad": "loudness",
            "transcriber": "script",
            "brain": "rules",
            "synthesizer": "tones",
            "translator": "script",
        },
    )


def _unscripted(request: BrainRequest) -> Iterator[BrainEvent]:
    """Yield an answer when no rule matches."""
    heard = request.heard
    tool = _forced_tool(request)
    if tool is None and request.output is not None:
        yield from _say(_spoken_output(request.output))
        return
    if tool := tool or _named_tool(request, heard):
        yield _call(tool, heard)
    else:
        yield from _say(f"You said: {heard}" if heard else "I am listening.")


def _permits(request: BrainRequest, rule: Rule) -> bool:
    """Return whether the client's `tool_choice` allows the calls of a rule."""
    called = {step.call for step in rule.doing if step.call is not UNSET}
    choice = request.tool_choice
    if isinstance(choice, ga.ToolChoiceFunction):
        return called == {choice.name}
    if choice == ga.ToolChoiceMode.REQUIRED:
        return bool(called)
    return not (called and choice == ga.ToolChoiceMode.NONE)


def _say(text: str) -> Iterator[Say]:
    yield from map(Say, _words(text))


def _words(text: str) -> list[str]:
    """Split a text into words, each with the space after it."""
    return re.findall(r"\S+\s*", text)


def _functions(request: BrainRequest) -> list[ga.FunctionTool]:
    return [tool for tool in request.tools if isinstance(tool, ga.FunctionTool)]


def _forced_tool(request: BrainRequest) -> ga.FunctionTool | None:
    """Return the function that `tool_choice` demands, if it demands one."""
    functions = _functions(request)
    choice = request.tool_choice
    if isinstance(choice, ga.ToolChoiceFunction):
        return next((tool for tool in functions if tool.name == choice.name), None)
    return functions[0] if choice == ga.ToolChoiceMode.REQUIRED and functions else None


def _named_tool(request: BrainRequest, heard: str) -> ga.FunctionTool | None:
    """Return a function whose name shares a word with the user's message."""
    if request.tool_choice == ga.ToolChoiceMode.NONE:
        return None
    words = set(re.findall(r"[a-z]{4,}", heard.lower()))
    for tool in _functions(request):
        name = tool.name if isinstance(tool.name, str) else ""
        if words & set(re.findall(r"[a-z]{4,}", name.lower())):
            return tool
    return None


def _call(tool: ga.FunctionTool, heard: str) -> Call:
    """Return a call with plausible arguments; texts are the last name in the message, or all."""
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
    """Schema of one argument."""

    type: Any = "string"
    enum: list[Any] = []


class _Schema(Struct):
    properties: dict[str, _Property] = {}


def _properties(tool: ga.FunctionTool) -> dict[str, _Property]:
    try:
        return msgspec.convert(tool.parameters, _Schema).properties
    except msgspec.ValidationError:
        return {}  # an unusual schema: call without arguments


def _spoken_output(output: str) -> str:
    """Return a function's output as a sentence."""
    try:
        value = msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.DecodeError:
        return f"The answer is {output}."
    if len(value) == 1:
        return str(*value.values())
    details = ", ".join(f"{key.replace('_', ' ')} {item}" for key, item in value.items())
    return f"I found this: {details}."


def _pitch_hz(character: str) -> int:
    """Return the pitch of a character; 0 for a space."""
    return 0 if character.isspace() else 180 + ord(character) % 64 * 8


@lru_cache(maxsize=256)  # a sine per sample is slow, and a text has few different characters
def _tone(pitch_hz: int, ms: int) -> bytes:
    """Return a tone of whole cycles: it starts and ends at zero, so that it does not click."""
    samples = PCM16.rate_hz * ms // 1000
    if not pitch_hz:
        return bytes(samples * PCM16.sample_bytes)
    cycles = max(1, round(pitch_hz * ms / 1000))
    step = 2 * math.pi * cycles / samples
    return array("h", (round(9000 * math.sin(step * n)) for n in range(samples))).tobytes()
