"""Stages and scripts written in Python: a function, a class or an object, found by its place."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, cast

from duologue.errors import ConfigurationError, EngineFailed
from duologue.server.engine.script import Script, script_from
from duologue.server.engine.stages import (
    Brain,
    BrainEvent,
    BrainRequest,
    Call,
    Say,
    StageParts,
    Synthesizer,
    TokenCount,
    Transcriber,
    TurnDetector,
    Vad,
)
from duologue.server.engine.streams import closing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "OPTIONS",
    "FunctionBrain",
    "Piece",
    "Reply",
    "Responder",
    "import_stage",
    "load_python_script",
    "own_parts",
]

Piece = str | BrainEvent
"""A part of an answer; text may come as it is."""

Reply = Piece | Iterable[Piece] | AsyncIterator[Piece]
"""A whole answer, or its parts as they are made."""

Responder = Callable[[BrainRequest], Reply | Awaitable[Reply]]
"""A function that answers; it may be `async`, and it may yield."""

OPTIONS: Final = {
    "brain": "brain",
    "transcriber": "stt",
    "synthesizer": "tts",
    "vad": "vad",
    "turn_detector": "turn",
}
"""What each stage of an `Engine` is called by who chooses it."""

_PROTOCOLS: Final[dict[str, tuple[type, str]]] = {
    "brain": (Brain, "respond and warm"),
    "transcriber": (Transcriber, "transcribe"),
    "synthesizer": (Synthesizer, "speak"),
    "vad": (Vad, "score"),
    "turn_detector": (TurnDetector, "score"),
}

_EVENTS: Final = (Say, Call, TokenCount)


class FunctionBrain:
    """A brain that asks a function."""

    def __init__(self, responder: Responder) -> None:
        """Take the function; unless it is `async` it must not block."""
        self._responder = responder

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield what the function returns or yields.

        Raises:
            EngineFailed: If that is no part of an answer.
        """
        reply = self._responder(request)
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, AsyncIterator):
            async with closing(reply) as pieces:
                async for piece in pieces:
                    yield self._event(piece)
        elif isinstance(reply, Iterable) and not isinstance(reply, str):
            for piece in reply:
                yield self._event(piece)
        else:
            yield self._event(reply)

    async def warm(self, request: BrainRequest) -> None:
        """Functions are always warm."""

    def _event(self, piece: object) -> BrainEvent:
        if isinstance(piece, str):
            return Say(piece)
        if isinstance(piece, _EVENTS):
            return piece
        name = getattr(self._responder, "__name__", "the brain's function")
        fix = "return or yield text, Say or Call"
        raise EngineFailed(f"{name} answered with {type(piece).__name__}; {fix}")


def import_stage(place: str) -> object:
    """Return what `module:attribute` names.

    Raises:
        ConfigurationError: If it is not there, or importing it fails.
    """
    module_name, _, attribute = place.partition(":")
    if not (module_name and attribute):
        fix = "write python:module:attribute"
        raise ConfigurationError(f"python:{place} names no attribute of a module; {fix}")
    try:
        found: object = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigurationError(f"python:{place} cannot be imported: {error}") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise ConfigurationError(f"python:{place} is not there: {found!r} has no {name!r}")
        found = getattr(found, name)
    return found


def load_python_script(path: Path) -> tuple[Script, object]:
    """Run a Python script: the names of a TOML script, and `respond` or `Brain` beside them.

    Returns:
        The script, and its function or class; `None` when its rules are to answer.

    Raises:
        ConfigurationError: If it cannot be read, fails, or is no script.
    """
    values = _run(path)
    known = {name: values[name] for name in Script.__struct_fields__ if name in values}
    brains = [name for name in ("respond", "Brain") if callable(values.get(name))]
    if values.get("Brain") is Brain:
        brains.remove("Brain")  # the protocol, imported to name its type
    if len(brains) > 1 or (brains and "rules" in known):
        both = " and ".join([*brains, "rules"][:2])
        raise ConfigurationError(f"{path} has {both}: one of them must answer")
    if not (brains or known):
        fix = "define respond(request), a class Brain, or rules"
        raise ConfigurationError(f"{path} says nothing to follow; {fix}")
    return script_from(known, name=str(path)), values[brains[0]] if brains else None


def _run(path: Path) -> dict[str, object]:
    name = f"duologue_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where its classes look for their annotations
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read the script {path}: {reason}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{path} cannot be run: {reason}{_line(error, path)}") from error
    return vars(module)


def _line(error: BaseException, path: Path) -> str:
    """Return where in the script an error began."""
    lines = list(_lines(error, str(path)))
    return f" (line {lines[-1]})" if lines else ""


def _lines(error: BaseException, filename: str) -> Iterator[int]:
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            yield traceback.tb_lineno
        traceback = traceback.tb_next


def own_parts(stages: Mapping[str, object]) -> StageParts:
    """Return what opens stages that the caller wrote.

    Raises:
        ConfigurationError: If one is no such stage.
    """
    opened = {stage: _opener(stage, value) for stage, value in stages.items()}
    return cast("StageParts", opened)  # what each opens was checked


def _opener(stage: str, value: object) -> Callable[[], object]:
    protocol, methods = _PROTOCOLS[stage]
    if isinstance(value, type):
        if isinstance(value, protocol) and _needs_nothing(value):
            return value
        fix = f"it needs {methods}, and a constructor without arguments"
        raise ConfigurationError(f"{value.__name__} is no class of a {OPTIONS[stage]}; {fix}")
    if isinstance(value, protocol) and stage != "vad":
        return lambda: value
    if callable(value) and stage == "brain":
        brain = FunctionBrain(cast("Responder", value))  # what it answers is checked then
        return lambda: brain
    if callable(value) and stage == "vad":
        return value
    raise ConfigurationError(f"{value!r} cannot be the {OPTIONS[stage]}: it needs {methods}")


def _needs_nothing(made: type) -> bool:
    try:
        inspect.signature(made).bind()
    except (TypeError, ValueError):
        return False
    return True
