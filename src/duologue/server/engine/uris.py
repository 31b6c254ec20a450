"""From what was asked for (`scripted:`, `local:`, a stage of your own) to an engine."""

from __future__ import annotations

import importlib.util
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from duologue.errors import ConfigurationError, MissingExtra
from duologue.server.engine.custom import (
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
    from collections.abc import Awaitable, Callable, Mapping

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
    a model, `https://host/v1#MODEL` of an OpenAI-compatible endpoint, or `python:module:attribute`.

    Args:
        brain: A URI; a brain of your own for all sessions; a class, of which each session gets its
            own; or a function from a `BrainRequest` to the answer.
        stt: Speech to text: a URI, a stage for all sessions, or a class.
        tts: Text to speech, likewise.
        vad: Voice activity detection: a URI, or what makes one for each session.
        turn: End of turn under `semantic_vad`: a URI, a stage for all sessions, or a class; left
            open, it goes with speech to text, whose words it reads.

    Raises:
        ConfigurationError: If a stage is unknown, its script has a fault, or its packages or model
            files are missing.
    """
    follows = brain if isinstance(brain, str) else "scripted:"
    # It reads the transcriber's words; in each pause, for which a script has none.
    reads = stt if isinstance(stt, str) else follows
    chosen: dict[str, object] = {
        "brain": brain,
        "transcriber": _companion(follows, "transcriber") if stt is None else stt,
        "synthesizer": _companion(follows, "synthesizer") if tts is None else tts,
        "vad": _companion(follows, "vad") if vad is None else vad,
        "turn_detector": _companion(reads, "turn_detector") if turn is None else turn,
    }
    if _parsed(follows)[0] in _TRANSLATING:
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


_TRANSLATING: Final = frozenset({"scripted", "http", "https"})
"""Whose brain also translates; no local model is good at it."""


def _parsed(uri: str) -> tuple[str, str]:
    """Return a URI's family and what follows its colon."""
    family, _, rest = uri.partition(":")
    if family not in _FAMILIES:
        *others, last = (f"{name}:" for name in _FAMILIES)
        known = f"{', '.join(others)} or {last}"
        meant = f"scripted:{uri}" if uri.endswith((".toml", ".py")) else known
        raise ConfigurationError(f"{uri!r} names no engine; use {meant}")
    return family, rest


def _companion(brain: str, stage: str) -> str:
    """Return what another stage is when the brain is this and it is left open."""
    family, rest = _parsed(brain)
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
            return "local:"
        case _:
            return "scripted:"


def _has_local_vad() -> bool:
    return all(importlib.util.find_spec(package) for package in ("earshot", "numpy"))


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


async def _open_http(scheme: str, wanted: Mapping[str, str]) -> OpenStages:
    try:
        from duologue.server.engine.http.engine import open_stages  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise MissingExtra("http", "An engine behind HTTP") from error
    return await open_stages({stage: f"{scheme}:{rest}" for stage, rest in wanted.items()})


_FAMILIES: Final[dict[str, Callable[[Mapping[str, str]], Awaitable[OpenStages]]]] = {
    "scripted": _open_scripted,
    "local": _open_local,
    "http": partial(_open_http, "http"),
    "https": partial(_open_http, "https"),
    "python": _open_python,
}
