"""Custom stages: Python objects, classes, functions and scripts that users write.

Whatever a user passes is checked here, before the server starts, and every error says how to fix
it.
"""

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
    Synthesizer,
    TokenCount,
    Transcriber,
    TurnDetector,
    Vad,
    closing,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = [
    "OPTIONS",
    "FunctionBrain",
    "Piece",
    "Responder",
    "custom_stages",
    "import_stage",
    "load_python_script",
]

Piece = str | BrainEvent
"""A part of a response; a plain string is text to say."""

_Answer = Piece | Iterable[Piece] | AsyncIterator[Piece]

Responder = Callable[[BrainRequest], _Answer | Awaitable[_Answer]]
"""A function that answers a request: it returns one piece, or returns or yields several.

It may be `async`.
"""

OPTIONS: Final = {
    "brain": "brain",
    "transcriber": "stt",
    "synthesizer": "tts",
    "vad": "vad",
    "turn_detector": "turn",
}
"""The option that chooses each stage of an `Engine`."""

_PROTOCOLS: Final[dict[str, tuple[type, str]]] = {
    "brain": (Brain, "respond and warm"),
    "transcriber": (Transcriber, "transcribe"),
    "synthesizer": (Synthesizer, "speak"),
    "vad": (Vad, "score"),
    "turn_detector": (TurnDetector, "score"),
}
"""The protocol of each stage, and its methods for error messages."""

_EVENTS: Final = (Say, Call, TokenCount)


class FunctionBrain:
    """A brain that calls a function, which must not block unless it is `async`."""

    def __init__(self, responder: Responder) -> None:
        self._responder: Final = responder

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield what the function returns or yields.

        Raises:
            EngineFailed: If that is not a `Piece`.
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
        """Do nothing: a function needs no preparation."""

    def _event(self, piece: object) -> BrainEvent:
        if isinstance(piece, str):
            return Say(piece)
        if isinstance(piece, _EVENTS):
            return piece
        name = getattr(self._responder, "__name__", "the brain's function")
        fix = "return or yield text, Say or Call"
        raise EngineFailed(f"{name} answered with {type(piece).__name__}; {fix}")


def import_stage(place: str) -> object:
    """Import the object that `module:attribute` names.

    Raises:
        ConfigurationError: If it does not exist, or importing the module fails.
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
            raise ConfigurationError(f"python:{place} does not exist: {found!r} has no {name!r}")
        found = getattr(found, name)
    return found


def load_python_script(path: Path) -> tuple[Script, object]:
    """Run a Python script: the names of a TOML script, and optionally `respond` or `Brain`.

    Returns:
        The script, and its `respond` function or `Brain` class; `None` if its rules answer.

    Raises:
        ConfigurationError: If the file cannot be read, raises, or defines nothing of a script.
    """
    values = _run(path)
    known = {name: values[name] for name in Script.__struct_fields__ if name in values}
    brains = [name for name in ("respond", "Brain") if callable(values.get(name))]
    if values.get("Brain") is Brain:
        brains.remove("Brain")  # the protocol, imported for an annotation
    if len(brains) > 1 or (brains and "rules" in known):
        both = " and ".join([*brains, "rules"][:2])
        raise ConfigurationError(f"{path} has {both}; keep one of them")
    if not (brains or known):
        fix = "define respond(request), a class Brain, or rules"
        raise ConfigurationError(f"{path} defines nothing of a script; {fix}")
    return script_from(known, name=str(path)), values[brains[0]] if brains else None


def _run(path: Path) -> dict[str, object]:
    name = f"duologue_script_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses resolve their annotations there
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read the script {path}: {reason}") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigurationError(f"{path} fails: {reason}{_line(error, path)}") from error
    return vars(module)


def _line(error: BaseException, path: Path) -> str:
    """Return the innermost line of the script in a traceback, for the error message."""
    lines = list(_lines(error, str(path)))
    return f" (line {lines[-1]})" if lines else ""


def _lines(error: BaseException, filename: str) -> Iterator[int]:
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == filename:
            yield traceback.tb_lineno
        traceback = traceback.tb_next


def custom_stages(stages: Mapping[str, object]) -> dict[str, Callable[[], object]]:
    """Return functions that return a session's stage, for stages that the caller wrote.

    Args:
        stages: By field of `Engine`: an object that all sessions share, a class to instantiate for
            each session, or a function (a brain, or one that returns a `Vad`).

    Raises:
        ConfigurationError: If one does not follow its stage's protocol.
    """
    return {stage: _opener(stage, value) for stage, value in stages.items()}


def _opener(stage: str, value: object) -> Callable[[], object]:
    protocol, methods = _PROTOCOLS[stage]
    if isinstance(value, type):
        # A class has its instances' methods as attributes, so it passes the protocol's check.
        if isinstance(value, protocol) and _takes_no_arguments(value):
            return value
        fix = f"it needs {methods}, and a constructor without arguments"
        raise ConfigurationError(f"{value.__name__} cannot be a {OPTIONS[stage]}; {fix}")
    # A `Vad` keeps the state of one stream, so an object cannot serve all sessions.
    if isinstance(value, protocol) and stage != "vad":
        return lambda: value
    if callable(value) and stage == "brain":
        brain = FunctionBrain(cast("Responder", value))  # its results are checked when it answers
        return lambda: brain
    if callable(value) and stage == "vad":
        return value
    raise ConfigurationError(f"{value!r} cannot be the {OPTIONS[stage]}: it needs {methods}")


def _takes_no_arguments(class_: type) -> bool:
    try:
        inspect.signature(class_).bind()
    except (TypeError, ValueError):
        return False
    return True
