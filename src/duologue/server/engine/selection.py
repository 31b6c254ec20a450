"""From what was asked for (`scripted:`, `local:`, a stage of your own) to an engine."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from duologue.errors import ConfigurationError
from duologue.server.engine.imported import (
    OPTIONS,
    Responder,
    import_stage,
    load_python_script,
    own_parts,
)
from duologue.server.engine.script import Script, load_script
from duologue.server.engine.scripted import scripted_engine
from duologue.server.engine.stages import (
    Brain,
    OpenStages,
    StageParts,
    Synthesizer,
    Transcriber,
    TurnDetector,
    Vad,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.server.engine.stages import Engine

__all__ = ["BrainChoice", "open_engine"]

BrainChoice: TypeAlias = str | Brain | type[Brain] | Responder
"""A URI; a brain that all sessions share; a class, for each session its own; a function."""


async def open_engine(
    *,
    brain: BrainChoice = "scripted:",
    stt: str | Transcriber | type[Transcriber] | None = None,
    tts: str | Synthesizer | type[Synthesizer] | None = None,
    vad: str | Callable[[], Vad] | None = None,
    turn: str | TurnDetector | type[TurnDetector] | None = None,
) -> Engine:
    """Return an engine with the stages asked for; what is left open goes with the brain.

    A URI is `scripted:`, `scripted:PATH` of a script (`.toml` or `.py`), `local:`, `local:NAME` of
    a model, or `python:module:attribute`.

    Args:
        brain: A URI; a brain of your own for all sessions; a class, of which each session gets its
            own; or a function from a `BrainRequest` to the answer.
        stt: Speech to text: a URI, a stage for all sessions, or a class.
        tts: Text to speech, likewise.
        vad: Voice activity detection: a URI, or what makes one for each session.
        turn: End of turn under `semantic_vad`: a URI, a stage for all sessions, or a class.

    Raises:
        ConfigurationError: If a stage is unknown, its script has a fault, or its packages or model
            files are missing.
    """
    follows = _companion(brain) if isinstance(brain, str) else "scripted:"
    chosen: dict[str, Any] = {
        "brain": brain,
        "transcriber": follows if stt is None else stt,
        "synthesizer": follows if tts is None else tts,
        "vad": follows if vad is None else vad,
        "turn_detector": follows if turn is None else turn,
    }
    if follows != "local:":  # no model of its own translates
        chosen["translator"] = follows
    families: dict[str, dict[str, str]] = {}
    own: dict[str, object] = {}
    for stage, choice in chosen.items():
        if isinstance(choice, str):
            family, rest = _parsed(choice)
            families.setdefault(family, {})[stage] = rest
        else:
            own[stage] = choice
    async with AsyncExitStack() as stack:
        parts, labels = own_parts(own), dict.fromkeys(own, "your own")
        for family, wanted in families.items():
            opened = await _FAMILIES[family](wanted)
            stack.push_async_callback(opened.close)
            parts |= opened.parts
            labels |= opened.labels
        return replace(
            replace(scripted_engine(), translator=None),
            **parts,
            labels={stage: labels[stage] for stage in OPTIONS if stage in labels},
            transcribes_early="transcriber" in families.get("local", {}),
            close=stack.pop_all().aclose,
        )


def _parsed(uri: str) -> tuple[str, str]:
    """Return a URI's family and what follows its colon."""
    family, _, rest = uri.partition(":")
    if family not in _FAMILIES:
        known = " or ".join(f"{name}:" for name in _FAMILIES)
        raise ConfigurationError(f"no engine answers to {uri!r}; use {known}")
    return family, rest


def _companion(brain: str) -> str:
    """Return what the other stages are when the brain is this and they are left open."""
    family, rest = _parsed(brain)
    if family == "scripted":
        return f"scripted:{rest}"
    return "local:" if family == "local" else "scripted:"


async def _open_scripted(wanted: Mapping[str, str]) -> OpenStages:
    parts: dict[str, object] = {}
    labels: dict[str, str] = {}
    for place in dict.fromkeys(wanted.values()):
        script, answers = _script(place)
        engine = scripted_engine(script)
        made: dict[str, object] = {
            "vad": engine.vad,
            "transcriber": engine.transcriber,
            "brain": engine.brain,
            "synthesizer": engine.synthesizer,
            "translator": engine.translator,
        }
        told = dict(engine.labels)
        if place:
            told["brain"] = f"script {Path(place).name}"
        if answers is not None:
            made |= own_parts({"brain": answers})
        for stage in (stage for stage in made if wanted.get(stage) == place):
            parts[stage] = made[stage]
            labels[stage] = told[stage]
    return OpenStages(cast("StageParts", parts), labels)


def _script(place: str) -> tuple[Script, object]:
    """Return the script at a place, and what answers in its stead, if anything does."""
    path = Path(place).expanduser()
    if not place:
        return Script(), None
    if path.suffix == ".py":
        return load_python_script(path)
    if path.suffix == ".toml":
        return load_script(path), None
    raise ConfigurationError(f"scripted:{place} is no script; write one that ends in .toml or .py")


async def _open_local(wanted: Mapping[str, str]) -> OpenStages:
    from duologue.server.engine.local.engine import load_stages  # noqa: PLC0415  # an extra

    loaded = await load_stages({stage: rest or None for stage, rest in wanted.items()})
    return OpenStages(loaded.parts, loaded.labels, loaded.close)


async def _open_python(wanted: Mapping[str, str]) -> OpenStages:  # like its kind
    parts = own_parts({stage: import_stage(place) for stage, place in wanted.items()})
    return OpenStages(parts, dict(wanted))


_FAMILIES: Final = {"scripted": _open_scripted, "local": _open_local, "python": _open_python}
