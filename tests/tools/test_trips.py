"""The script that counts what a reader of the code has to follow."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
from tools.trips import Call, Recorder, Trip, main

from tools import trips

if TYPE_CHECKING:
    from pathlib import Path


def imported(path: Path, text: str) -> Any:
    """Write a module and import it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_calls_of_the_source_are_recorded_and_no_others(tmp_path: Path) -> None:
    inside = imported(tmp_path / "src/a.py", "def f(call): return g(call)\ndef g(call): call()")
    outside = imported(tmp_path / "other/b.py", "def h(): pass")
    with Recorder(f"{tmp_path}/src/") as recorder:
        inside.f(outside.h)
        outside.h()
    assert recorder.outward() == [Call("a.py", "f"), Call("a.py", "g")]


def test_a_step_ends_where_the_event_loop_goes_on(tmp_path: Path) -> None:
    module = imported(tmp_path / "a.py", "async def f(future): await future")
    waiting: Any = module.f(Awaited())
    with Recorder(f"{tmp_path}/") as recorder:
        waiting.send(None)
        with pytest.raises(StopIteration):
            waiting.send(None)
    assert recorder.steps == [[Call("a.py", "f")], [Call("a.py", "f")]]


class Awaited:
    def __await__(self) -> Any:
        yield


def test_an_inward_trip_begins_above_the_transport() -> None:
    steps = [
        [Call("client/news.py", "wake")],
        [Call("transport/memory.py", "pump"), Call("client/driver.py", "on_frame")],
        [Call("transport/memory.py", "pump"), Call("a.py", "f"), Call("protocol/codec.py", "read")],
    ]
    recorder = Recorder(steps=steps)
    assert recorder.inward() == steps[2][1:]


def test_a_frame_that_is_not_decoded_is_noticed() -> None:
    with pytest.raises(AssertionError):
        Recorder(steps=[[Call("client/driver.py", "on_frame")]]).inward()


def test_files_and_changes_are_counted() -> None:
    trip = Trip("x", [Call(file, "f") for file in ("a", "a", "b", "a")])
    assert (trip.files, trip.changes) == (2, 2)


def test_a_trip_beyond_its_limit_fails_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measured() -> list[Trip]:
        return [Trip("x", [Call("a", "f")] * 3)]

    monkeypatch.setattr(trips, "measured", measured)
    monkeypatch.setitem(trips.LIMITS, "x", (3, 1))
    assert main(["--check"]) == 0
    monkeypatch.setitem(trips.LIMITS, "x", (2, 1))
    assert main(["--check"]) == 1
    assert "2 calls, 1 files: exceeded" in capsys.readouterr().out
    assert main([]) == 0


def test_every_trip_of_the_client_and_the_server_is_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--trace", "server < response.create"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in trips.LIMITS)
    assert "  protocol/codec.py " in printed
