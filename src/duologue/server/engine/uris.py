"""Engines by URI: `scripted:`, `local:`, `https://host/v1#MODEL`, `python:module:attribute`.

Each stage has a choice: a URI, or a stage written by the caller. The stages that are left open
follow the brain. URIs of one family are opened together, because a family may share a model, a key
or a script between its stages; each family then replaces its stages in the engine built so far.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, TypedDict

from duologue.errors import ConfigurationError, MissingExtra
from duologue.server.engine.custom import (
    OPTIONS,
    Responder,
    custom_stages,
    import_stage,
    load_python_script,
)
from duologue.server.engine.script import Script, load_script
from duologue.server.engine.scripted import scripted_engine
from duologue.server.engine.stages import (
    Brain,
    Engine,
    Synthesizer,
    Transcriber,
    TurnDetector,
    Vad,
)

__all__ = [
    "BrainChoice",
    "StageChoices",
    "SynthesizerChoice",
    "TranscriberChoice",
    "TurnDetectorChoice",
    "VadChoice",
    "open_engine",
]

BrainChoice: TypeAlias = str | Brain | type[Brain] | Responder
"""A URI; a brain that all sessions share; a class, instantiated for each session; a function."""

TranscriberChoice: TypeAlias = str | Transcriber | type[Transcriber] | None
"""A URI; a transcriber that all sessions share; a class; `None`: follows the brain."""

SynthesizerChoice: TypeAlias = str | Synthesizer | type[Synthesizer] | None
"""A URI; a synthesizer that all sessions share; a class; `None`: follows the brain."""

VadChoice: TypeAlias = str | Callable[[], Vad] | None
"""A URI; a class or function that returns a detector for each session; `None`: follows the brain.

A detector keeps the state of one audio stream, so sessions cannot share an object.
"""

TurnDetectorChoice: TypeAlias = str | TurnDetector | type[TurnDetector] | None
"""A URI; a detector that all sessions share; a class; `None`: follows the transcriber."""


class StageChoices(TypedDict):
    """Arguments of `open_engine`."""

    brain: BrainChoice
    stt: TranscriberChoice
    tts: SynthesizerChoice
    vad: VadChoice
    turn: TurnDetectorChoice


async def open_engine(
    *,
    brain: BrainChoice = "scripted:",
    stt: TranscriberChoice = None,
    tts: SynthesizerChoice = None,
    vad: VadChoice = None,
    turn: TurnDetectorChoice = None,
) -> Engine:
    """Open an engine with the chosen stages; close it after use.

    A URI is `scripted:`, `scripted:PATH` of a script (`.toml` or `.py`), `local:`, `local:NAME` of
    a model, `https://host/v1#MODEL` of an OpenAI-compatible endpoint, or `python:module:attribute`.

    Args:
        brain: A URI; a brain that all sessions share; a class, instantiated for each session; or a
            function that answers a `BrainRequest`.
        stt: Speech to text: a URI, a stage that all sessions share, or a class.
        tts: Text to speech: a URI, a stage that all sessions share, or a class.
        vad: Voice activity detection: a URI, or a class or function that returns a detector for
            each session.
        turn: Detection of the end of a turn under `semantic_vad`: a URI, a stage that all sessions
            share, or a class. By default it follows `stt`, whose transcripts it reads; the other
            stages follow `brain`.

    Raises:
        ConfigurationError: If a URI or stage is not usable, a script has an error, or packages or
            model files are missing.
    """
    followed = brain if isinstance(brain, str) else "scripted:"
    # The detector reads transcripts in every pause: a script's transcriber would use up its lines.
    transcribing = stt if isinstance(stt, str) else followed
    choices: dict[str, object] = {
        "brain": brain,
        "transcriber": _default(followed, "transcriber") if stt is None else stt,
        "synthesizer": _default(followed, "synthesizer") if tts is None else tts,
        "vad": _default(followed, "vad") if vad is None else vad,
        "turn_detector": _default(transcribing, "turn_detector") if turn is None else turn,
    }
    if _parse(followed)[0] in _TRANSLATING:
        choices["translator"] = followed
    families: dict[str, dict[str, str]] = {}
    custom: dict[str, object] = {}
    for stage, choice in choices.items():
        if isinstance(choice, str):
            family, rest = _parse(choice)
            families.setdefault(family, {})[stage] = rest
        else:
            custom[stage] = choice
    # A complete engine to start with; every stage of it but the translator is replaced.
    engine = replace(scripted_engine(), translator=None, labels={}).with_stages(
        custom_stages(custom), labels=dict.fromkeys(custom, "your own")
    )
    try:
        for family, names in families.items():
            engine = await _FAMILIES[family](engine, names)
    except BaseException:
        await engine.close()
        raise
    labels = {stage: engine.labels[stage] for stage in OPTIONS if stage in engine.labels}
    return replace(engine, labels=labels)


_TRANSLATING: Final = frozenset({"scripted", "http", "https"})
"""Families whose brain also translates; the local models are not good enough at it."""


def _parse(uri: str) -> tuple[str, str]:
    """Return a URI's family and the part after the colon."""
    family, _, rest = uri.partition(":")
    if family not in _FAMILIES:
        *others, last = (f"{name}:" for name in _FAMILIES)
        known = f"{', '.join(others)} or {last}"
        suggestion = f"scripted:{uri}" if uri.endswith((".toml", ".py")) else known
        raise ConfigurationError(f"{uri!r} names no engine; use {suggestion}")
    return family, rest


def _default(brain: str, stage: str) -> str:
    """Return the URI of a stage that is left open, given the brain's URI."""
    family, rest = _parse(brain)
    match family, stage:
        case "scripted", _:
            return f"scripted:{rest}"
        case "local", _:
            return "local:"
        case "http" | "https", "transcriber" | "synthesizer":
            return brain.partition("#")[0]  # the same endpoint, another model
        case "http" | "https", "vad" if not _has_local_vad():
            return "scripted:"
        case "http" | "https", _:
            return "local:"  # no endpoint offers the two detectors
        case _:
            return "scripted:"


def _has_local_vad() -> bool:
    return all(importlib.util.find_spec(package) for package in ("earshot", "numpy"))


async def _open_scripted(engine: Engine, names: Mapping[str, str]) -> Engine:
    for path in dict.fromkeys(names.values()):  # each script is read once
        script, answers = _read_script(path)
        scripted = scripted_engine(script)
        stages: dict[str, Callable[[], object]] = {
            "vad": scripted.vad,
            "transcriber": scripted.transcriber,
            "brain": scripted.brain,
            "synthesizer": scripted.synthesizer,
        }
        if scripted.translator is not None:
            stages["translator"] = scripted.translator
        labels = dict(scripted.labels)
        if path:
            labels["brain"] = f"script {Path(path).name}"
        if answers is not None:
            stages |= custom_stages({"brain": answers})
        chosen = [stage for stage in stages if names.get(stage) == path]
        engine = engine.with_stages(
            {stage: stages[stage] for stage in chosen},
            labels={stage: labels[stage] for stage in chosen},
        )
    return engine


def _read_script(name: str) -> tuple[Script, object]:
    """Return a script, and the function or class that answers instead of its rules, if any."""
    path = Path(name).expanduser()
    if not name:
        return Script(), None
    if path.suffix == ".py":
        return load_python_script(path)
    if path.suffix == ".toml":
        return load_script(path), None
    raise ConfigurationError(f"scripted:{name} is not a script; use a file ending in .toml or .py")


async def _open_local(engine: Engine, names: Mapping[str, str]) -> Engine:
    from duologue.server.engine.local.engine import load_stages  # noqa: PLC0415  # an extra

    return await load_stages(engine, {stage: rest or None for stage, rest in names.items()})


async def _open_http(scheme: str, engine: Engine, names: Mapping[str, str]) -> Engine:
    try:
        from duologue.server.engine.http.engine import open_stages  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise MissingExtra("http", "An engine behind HTTP") from error
    return open_stages(engine, {stage: f"{scheme}:{rest}" for stage, rest in names.items()})


async def _open_python(engine: Engine, names: Mapping[str, str]) -> Engine:
    found = {stage: import_stage(name) for stage, name in names.items()}
    return engine.with_stages(custom_stages(found), labels=names)


_FAMILIES: Final[dict[str, Callable[[Engine, Mapping[str, str]], Awaitable[Engine]]]] = {
    "scripted": _open_scripted,
    "local": _open_local,
    "http": partial(_open_http, "http"),
    "https": partial(_open_http, "https"),
    "python": _open_python,
}
"""Functions that open the stages of a family.

Each receives the engine so far and the rest of each stage's URI, and returns the engine with these
stages replaced.
"""
