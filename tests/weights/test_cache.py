from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from duologue.errors import ConfigurationError, MissingExtra, ModelUnavailable
from duologue.weights import BRAINS, ModelWeights, _cache, cache_dir, default_brain, find, require

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeModel = Callable[..., ModelWeights]


@pytest.fixture
def stored(make_model: MakeModel, cache: Path, weights: bytes) -> Path:
    """The file of the model `tiny`, put into the cache by hand."""
    make_model()
    path = cache / "models" / "tiny" / "weights.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(weights)
    return path


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were hashed so far."""
    seen: list[Path] = []
    real = _cache.sha256_of

    def spy(path: Path) -> str:
        seen.append(path)
        return real(path)

    monkeypatch.setattr(_cache, "sha256_of", spy)
    return seen


def test_a_file_put_there_by_hand_is_checked_once(stored: Path, hashed: list[Path]) -> None:
    assert find("tiny") == stored.parent
    assert require("tiny") == stored.parent
    assert hashed == [stored]


def test_a_file_that_changed_since_is_checked_again(stored: Path, hashed: list[Path]) -> None:
    find("tiny")
    os.utime(stored, ns=(0, 0))

    assert find("tiny") == stored.parent
    assert hashed == [stored, stored]


def test_other_bytes_of_the_same_length_are_noticed(stored: Path, weights: bytes) -> None:
    find("tiny")
    stored.write_bytes(weights[::-1])
    os.utime(stored, ns=(0, 0))

    with pytest.raises(ModelUnavailable, match=r"weights\.bin has the wrong contents"):
        require("tiny")
    assert find("tiny") is None


def test_a_half_downloaded_file_is_named_with_the_fix(stored: Path, weights: bytes) -> None:
    stored.write_bytes(weights[:100])

    with pytest.raises(ModelUnavailable) as caught:
        require("tiny")

    assert str(caught.value) == (
        f"the model tiny cannot be used: {stored} has 100 of 10240 bytes\n"
        "Run: duologue models fetch tiny"
    )


def test_a_model_that_was_never_fetched_is_told_so(make_model: MakeModel, cache: Path) -> None:
    make_model()

    with pytest.raises(ModelUnavailable, match=r"it is not in .*models\nRun: duologue models"):
        require("tiny")
    assert find("tiny") is None


def test_a_note_for_another_hash_counts_for_nothing(stored: Path, hashed: list[Path]) -> None:
    stat = stored.stat()
    note = f"{'0' * 64} {stat.st_size} {stat.st_mtime_ns} weights.bin\n"
    (stored.parent / "verified").write_text(note)

    assert find("tiny") == stored.parent
    assert hashed == [stored]
    assert (stored.parent / "verified").read_text() != note


def test_a_note_that_cannot_be_read_or_written_only_costs_time(
    stored: Path, hashed: list[Path]
) -> None:
    (stored.parent / "verified").mkdir()

    assert find("tiny") == find("tiny") == stored.parent
    assert hashed == [stored, stored]


def test_a_folder_in_the_place_of_a_file_is_a_fault(stored: Path) -> None:
    stored.unlink()
    stored.mkdir()

    assert find("tiny") is None


def test_a_file_that_cannot_be_read_is_a_fault(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_cache, "sha256_of", refuse)

    with pytest.raises(ModelUnavailable, match=r"cannot be read \(Permission denied\)"):
        require("tiny")


def test_an_unknown_name_is_the_callers_mistake() -> None:
    with pytest.raises(ConfigurationError, match="no model is named 'gpt'"):
        find("gpt")


def test_the_default_brain_is_the_best_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    here: set[str] = set()
    monkeypatch.setattr(_cache, "find", lambda name: Path(name) if name in here else None)

    assert default_brain() is None
    here.add(BRAINS[1])
    assert default_brain() == BRAINS[1]
    here.add(BRAINS[0])
    assert default_brain() == BRAINS[0]


def test_the_cache_is_the_users_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs  # noqa: PLC0415  # an extra

    monkeypatch.delenv("DUOLOGUE_CACHE")

    assert cache_dir() == platformdirs.user_cache_path("duologue", appauthor=False)


def test_without_platformdirs_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUOLOGUE_CACHE")
    monkeypatch.setitem(sys.modules, "platformdirs", None)

    with pytest.raises(MissingExtra, match=r"DUOLOGUE_CACHE.*duologue\[cli\]"):
        cache_dir()
