"""All the stages of the `local:` engine, loaded and warm."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from duologue import models
from duologue.errors import MissingExtra, ModelUnavailable
from duologue.server.engine.stages import VAD_FRAME_BYTES, BrainRequest, Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.server.engine.local.brain import LlamaBrain
    from duologue.server.engine.local.synthesizer import HibariSynthesizer
    from duologue.server.engine.local.transcriber import WhisperTranscriber
    from duologue.server.engine.stages import Vad

__all__ = ["load_local_engine"]

P = ParamSpec("P")
R = TypeVar("R")

MOST_THREADS: Final = 4
"""More cores than this make a small model wait for itself."""


async def load_local_engine(
    *,
    stt: str = models.DEFAULT_TRANSCRIBER,
    brain: str | None = None,
    threads: int | None = None,
    slots: int = 2,
) -> Engine:
    """Load every stage, each in a thread, and run it once.

    The engine's `close` stops the stages; it blocks until they have stopped, at most a sentence or
    a transcription long.

    Args:
        stt: The name of a Whisper model of `duologue.models`.
        brain: The name of a language model, or the path of a `.gguf` file; the best one that is
            there when `None`.
        threads: Cores for one transcription or answer; all, up to four, when `None`.
        slots: How many sessions are answered at a time; the others wait in line.

    Raises:
        MissingExtra: If a package of `duologue[local]` is not installed.
        ModelUnavailable: If a model is not there or broken; the message says how to get it.
        ConfigurationError: If no model has this name.
    """
    cores = threads or min(_cores(), MOST_THREADS)
    hearing, thinking = await asyncio.to_thread(lambda: (models.require(stt), _brain_file(brain)))
    loaded = await asyncio.gather(
        _load(_load_vad),
        _load(_load_transcriber, hearing, cores),
        _load(_load_brain, thinking, cores, slots),
        _load(_load_synthesizer),
        return_exceptions=True,
    )
    vad, transcriber, mind, synthesizer = loaded
    if (
        isinstance(vad, BaseException)
        or isinstance(transcriber, BaseException)
        or isinstance(mind, BaseException)
        or isinstance(synthesizer, BaseException)
    ):
        for stage in (transcriber, mind, synthesizer):
            if not isinstance(stage, BaseException):
                stage.close()
        raise next(failure for failure in loaded if isinstance(failure, BaseException))

    def close() -> None:
        for stage in (mind, transcriber, synthesizer):
            stage.close()

    await mind.warm(BrainRequest(instructions="", items=()))
    return Engine(
        vad=vad,
        transcriber=transcriber,
        brain=mind,
        synthesizer=synthesizer,
        labels={
            "vad": "earshot",
            "transcriber": _title(stt),
            "brain": _title(thinking.stem),
            "synthesizer": "hibari, voice heart",
        },
        close=close,
    )


async def _load(load: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Load a stage in a thread; the packages are imported there, so that they may be missing."""
    try:
        return await asyncio.to_thread(load, *args, **kwargs)
    except ModuleNotFoundError as error:
        raise MissingExtra("local", "the local engine") from error


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only: honours containers' CPU sets
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _brain_file(brain: str | None) -> Path:
    """Return the GGUF file that a name or path means, or of the best model that is there."""
    if brain and brain.endswith(".gguf"):
        return Path(brain).expanduser()
    name = brain or models.default_brain()
    if name is None:
        raise ModelUnavailable(
            f"no language model is here\nRun: duologue models fetch {models.BRAINS[0]}"
        )
    return next(models.require(name).glob("*.gguf"))


def _title(name: str) -> str:
    model = models.MODELS.get(name)
    return model.title if model else name


def _load_vad() -> Callable[[], Vad]:
    from duologue.server.engine.local.vad import EarshotVad  # noqa: PLC0415  # see `_load`

    EarshotVad().score(bytes(VAD_FRAME_BYTES))
    return EarshotVad


def _load_transcriber(path: Path, threads: int) -> WhisperTranscriber:
    from duologue.server.engine.local.transcriber import (  # noqa: PLC0415  # see `_load`
        WhisperTranscriber,
    )

    transcriber = WhisperTranscriber(path, threads=threads)
    transcriber.warm()
    return transcriber


def _load_brain(path: Path, threads: int, slots: int) -> LlamaBrain:
    from duologue.server.engine.local.brain import LlamaBrain  # noqa: PLC0415  # see `_load`

    return LlamaBrain(path, threads=threads, slots=slots)


def _load_synthesizer() -> HibariSynthesizer:
    from duologue.server.engine.local.synthesizer import (  # noqa: PLC0415  # see `_load`
        HibariSynthesizer,
    )

    synthesizer = HibariSynthesizer()
    synthesizer.warm()
    return synthesizer
