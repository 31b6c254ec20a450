"""The stages of the `local:` engine: loaded side by side, and run once so that they are warm.

A cold model takes seconds for its first answer. Warming pays for that before the server listens,
not in the first conversation.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue import weights
from duologue.errors import MissingExtra, ModelUnavailable
from duologue.server.engine.local.sharing import SharedBrain, SharedSynthesizer, SharedTranscriber
from duologue.server.engine.local.turns import WordTurnDetector
from duologue.server.engine.stages import VAD_FRAME_BYTES, BrainRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.server.engine.stages import Engine

__all__ = ["load_stages"]

MOST_THREADS: Final = 4
"""A small model is slower on more cores than this: the threads wait for each other."""

SLOTS: Final = 2
"""Number of sessions answered at the same time; the others queue (see `local/sharing.py`)."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """One loaded stage."""

    open: Callable[[], object]
    """Returns the stage of a session."""
    label: str
    """What it runs on, for display."""
    close: Callable[[], None] | None = None
    """Stops it; blocks until the running sentence or transcription ends."""


async def load_stages(engine: Engine, names: Mapping[str, str | None]) -> Engine:
    """Return an engine with local stages, each loaded in a thread; this takes 2 to 3 seconds.

    Args:
        engine: The engine whose stages are replaced.
        names: By field of `Engine`, the model to use, or `None` for the default. A brain may also
            be the path of a `.gguf` file.

    Raises:
        MissingExtra: If a package of `duologue[local]` is not installed.
        ModelUnavailable: If a model is missing or broken; the message says how to get it.
        ConfigurationError: If no model has this name.
    """
    results = await asyncio.gather(
        *(asyncio.to_thread(_LOADERS[stage], name) for stage, name in names.items()),
        return_exceptions=True,
    )
    loaded = {
        stage: result
        for stage, result in zip(names, results, strict=True)
        if isinstance(result, _Loaded)
    }

    async def close() -> None:
        for stage in loaded.values():
            if stage.close is not None:
                await asyncio.to_thread(stage.close)

    if failures := [result for result in results if isinstance(result, BaseException)]:
        await close()
        raise _first_to_fix(failures)
    opened = engine.with_stages(
        {stage: each.open for stage, each in loaded.items()},
        labels={stage: each.label for stage, each in loaded.items()},
        close=close,
    )
    if "brain" in loaded:
        try:
            await opened.brain().warm(BrainRequest(instructions="", items=()))
        except BaseException:
            await close()
            raise
    # Whisper takes a fraction of a second for a turn: worth spending in a pause, to answer sooner.
    return replace(opened, transcribes_early="transcriber" in loaded)


def _first_to_fix(failures: list[BaseException]) -> BaseException:
    """Return the failure to report: a missing package, before the user fetches models for it."""
    for failure in failures:
        if isinstance(failure, ModuleNotFoundError):
            error = MissingExtra("local", "The local engine")
            error.__cause__ = failure
            return error
    return failures[0]


# The imports are inside the loaders: each package takes up to 250 ms to import, and is an extra.

_IMPORTING: Final = threading.Lock()
"""One loader imports at a time: Python 3.11 may fail if two threads parse source, as pytest does.

Its assertion rewriting parses every module of a package that has a plugin, as ours has.
"""


def _load_vad(_name: str | None) -> _Loaded:
    with _IMPORTING:
        from duologue.server.engine.local.vad import EarshotVad  # noqa: PLC0415  # may be missing

    EarshotVad().score(bytes(VAD_FRAME_BYTES))
    return _Loaded(EarshotVad, "earshot")


def _load_transcriber(name: str | None) -> _Loaded:
    with _IMPORTING:
        from duologue.server.engine.local.transcriber import (  # noqa: PLC0415  # may be missing
            WhisperTranscriber,
        )

    name = name or weights.DEFAULT_TRANSCRIBER
    transcriber = WhisperTranscriber(weights.require(name), threads=_threads())
    transcriber.warm()
    return _Loaded(lambda: SharedTranscriber(transcriber), _title(name), transcriber.close)


def _load_brain(name: str | None) -> _Loaded:
    with _IMPORTING:
        from duologue.server.engine.local.brain import LlamaBrain  # noqa: PLC0415  # may be missing

    file = _brain_file(name)
    brain = LlamaBrain(file, threads=_threads(), slots=SLOTS)
    return _Loaded(lambda: SharedBrain(brain), _title(file.stem), brain.close)


def _load_synthesizer(_name: str | None) -> _Loaded:
    with _IMPORTING:
        from duologue.server.engine.local.synthesizer import (  # noqa: PLC0415  # may be missing
            HibariSynthesizer,
        )

    synthesizer = HibariSynthesizer()
    synthesizer.warm()
    return _Loaded(lambda: SharedSynthesizer(synthesizer), "hibari, voice heart", synthesizer.close)


def _load_turn_detector(_name: str | None) -> _Loaded:
    return _Loaded(WordTurnDetector, "last words")


_LOADERS: Final[dict[str, Callable[[str | None], _Loaded]]] = {
    "vad": _load_vad,
    "transcriber": _load_transcriber,
    "brain": _load_brain,
    "synthesizer": _load_synthesizer,
    "turn_detector": _load_turn_detector,
}


def _threads() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only: respects containers' CPU sets
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


def _brain_file(name: str | None) -> Path:
    """Return the GGUF file of a model's name, of a path, or of the best model in the cache."""
    if name and name.endswith(".gguf"):
        return Path(name).expanduser()
    name = name or weights.default_brain()
    if name is None:
        fix = "get one with: duologue models fetch"
        raise ModelUnavailable(f"no language model is in the cache; {fix}")
    return next(weights.require(name).glob("*.gguf"))


def _title(name: str) -> str:
    model = weights.MODELS.get(name)
    return model.title if model else name
