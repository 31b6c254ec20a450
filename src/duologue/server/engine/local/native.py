"""Typed access to the native packages, which publish no types.

Packages are imported when they are used: each takes up to 250 ms to import, and is an extra.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from duologue.errors import MissingExtra, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

__all__ = [
    "EarshotDetector",
    "HibariVoice",
    "Whisper",
    "WhisperNet",
    "WhisperResult",
    "WhisperSegment",
    "WhisperTokenizer",
    "load_voice",
    "load_whisper",
    "new_detector",
    "package",
]


def package(name: str) -> Any:  # noqa: ANN401  # the functions below add the types
    """Import a package of the extra `local`.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtra("local", "the local engine") from error


class EarshotDetector(Protocol):
    """`earshot.Detector`: voice activity of one stream."""

    def predict_f32(self, frame: Floats, /) -> float:
        """Return the likelihood of speech in 256 samples at 16 kHz."""
        ...


def new_detector() -> EarshotDetector:
    """Return a detector for a new stream.

    Raises:
        MissingExtra: If earshot is not installed.
    """
    detector: EarshotDetector = package("earshot").Detector()
    return detector


class HibariVoice(Protocol):
    """`hibari.Hibari`: text to samples at 24 kHz."""

    def stream(self, text: str, speed: float, seed: int) -> Iterator[Floats]:
        """Yield the samples of each sentence as soon as they are generated."""
        ...


def load_voice() -> HibariVoice:
    """Load the voice in hibari's package, and its dictionaries.

    Raises:
        MissingExtra: If hibari is not installed.
    """
    voice: Any = package("hibari").Hibari(threads=1)
    _ = voice.g2p  # loads the dictionaries now: half a second that the first word would take
    loaded: HibariVoice = voice
    return loaded


class WhisperResult(Protocol):
    """Result of CTranslate2 for one window."""

    @property
    def no_speech_prob(self) -> float:
        """The likelihood that the window has no speech."""
        ...

    @property
    def sequences_ids(self) -> list[list[int]]:
        """The tokens of each hypothesis, the best first."""
        ...


class WhisperNet(Protocol):
    """`ctranslate2.models.Whisper`; the result of `encode` is opaque."""

    @property
    def is_multilingual(self) -> bool:
        """Whether the model supports other languages than English."""
        ...

    def encode(self, features: object) -> object:
        """Run the encoder over a batch of spectrograms."""
        ...

    def detect_language(self, features: object) -> list[list[tuple[str, float]]]:
        """Return the languages of each window as `<|en|>`, the likeliest first."""
        ...

    def generate(
        self,
        features: object,
        prompts: list[list[int]],
        *,
        beam_size: int,
        max_length: int,
        return_no_speech_prob: bool,
    ) -> list[WhisperResult]:
        """Run the decoder."""
        ...


class WhisperTokenizer(Protocol):
    """`faster_whisper.tokenizer.Tokenizer` for one language."""

    @property
    def sot_sequence(self) -> list[int]:
        """The tokens at the start of a transcript: language and task."""
        ...

    @property
    def sot_prev(self) -> int:
        """The token before the text of the previous window, which is the prompt."""
        ...

    @property
    def no_timestamps(self) -> int:
        """The token that requests words without timestamps."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ...

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens."""
        ...


class WhisperSegment(Protocol):
    """`faster_whisper.transcribe.Segment`: a part of a long transcription."""

    text: str
    no_speech_prob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Whisper:
    """A loaded Whisper model."""

    net: WhisperNet
    languages: frozenset[str]
    """ISO 639-1 codes of the supported languages."""
    log_mel: Callable[[Floats], Floats]
    """Returns the spectrogram of samples at 16 kHz: (80, n / 160)."""
    view: Callable[[Floats], object]
    """Wraps an array for CTranslate2."""
    tokenizer: Callable[[str], WhisperTokenizer]
    """Returns the tokenizer for a language."""
    transcribe: Callable[..., tuple[Iterable[WhisperSegment], object]]
    """`faster_whisper.WhisperModel.transcribe`: any length, in windows of 30 s."""


def load_whisper(path: Path, *, threads: int) -> Whisper:
    """Load the Whisper model in a folder, on the CPU, in 8-bit arithmetic.

    Raises:
        MissingExtra: If faster-whisper is not installed.
        ModelUnavailable: If a file is missing or broken.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # never download from the Hugging Face hub
    faster_whisper = package("faster_whisper")
    if not (path / "tokenizer.json").is_file():
        raise ModelUnavailable(f"{path} has no tokenizer.json: the Whisper model is not complete")
    options = {"device": "cpu", "compute_type": "int8", "local_files_only": True}
    try:
        model = faster_whisper.WhisperModel(str(path), cpu_threads=threads, **options)
    except (RuntimeError, ValueError) as error:  # CTranslate2 has no error type of its own
        raise ModelUnavailable(f"the Whisper model in {path} does not load: {error}") from error
    new_tokenizer: Any = package("faster_whisper.tokenizer").Tokenizer
    multilingual = bool(model.model.is_multilingual)
    return Whisper(
        net=model.model,
        languages=frozenset(model.supported_languages),
        log_mel=model.feature_extractor,
        view=package("ctranslate2").StorageView.from_array,
        tokenizer=lambda language: new_tokenizer(
            model.hf_tokenizer, multilingual, task="transcribe", language=language
        ),
        transcribe=model.transcribe,
    )
