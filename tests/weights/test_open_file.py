from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from duologue.weights._fetch import open_file
from duologue.weights._verified_writer import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duologue.weights import ModelWeights


@pytest.fixture
def model(make_model: Callable[..., ModelWeights]) -> ModelWeights:
    return make_model()


def test_one_file_may_have_any_name(model: ModelWeights, tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "my download (1)"
    path.write_bytes(weights)

    with open_file(path, model, model.files[0]) as stream:
        assert stream.read() == weights


def test_a_folder_named_like_the_model_comes_first(
    model: ModelWeights, tmp_path: Path, weights: bytes
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "weights.bin").write_bytes(weights)
    (tmp_path / "weights.bin").write_bytes(bytes(len(weights)))

    with open_file(tmp_path, model, model.files[0]) as stream:
        assert stream.read() == weights


def test_a_file_of_another_size_is_told(model: ModelWeights, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"short")

    with pytest.raises(SourceError, match=r"weights\.bin has 5 of 10240 bytes"):
        open_file(tmp_path, model, model.files[0])


def test_a_folder_without_the_file_is_told(model: ModelWeights, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no weights\.bin"):
        open_file(tmp_path, model, model.files[0])


def test_a_file_that_cannot_be_read_is_told(
    model: ModelWeights, tmp_path: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.bin").write_bytes(weights)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refuse)

    with pytest.raises(SourceError, match="cannot be read"):
        open_file(tmp_path, model, model.files[0])
