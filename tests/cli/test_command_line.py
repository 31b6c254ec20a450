"""The command line as a person meets it: real processes, exit codes, one clear sentence."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import wave
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from duologue import __version__
from duologue.cli.demo.command import key_of_own_server

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "duologue.cli"]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
        env=os.environ | environment,
    )


def said(*arguments: str | Path, **environment: str) -> str:
    """Return the one sentence with which a command refuses."""
    done = run(*arguments, **environment)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    return lines[-1]


def talk(*arguments: str | Path, folder: Path) -> dict[str, Any]:
    done = run(
        "demo", "--brain", "scripted", "--json", "--fast", "--out", folder / "r.wav", *arguments
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def write_wav(path: Path, *, rate: int, channels: int, seconds: float = 1.0) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        samples = int(rate * seconds)
        file.writeframes(
            b"".join(
                (b"\x00\x30" if i // 40 % 2 else b"\x00\xd0") * channels for i in range(samples)
            )
        )
    return path


def test_the_version_is_told() -> None:
    assert run("--version").stdout.strip() == f"duologue {__version__}"


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["doctor"],
        ["serve"],
        ["talk"],
        ["transcribe"],
        ["models"],
        ["models", "fetch"],
    ],
)
def test_help_teaches(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_the_demo_holds_the_same_conversation_twice(tmp_path: Path) -> None:
    first, second = talk(folder=tmp_path), talk(folder=tmp_path)
    for result in (first, second):
        assert result["errors"] == []
        for turn in result["turns"]:
            assert turn.pop("latency_ms")["first_audio"] >= 0
            assert turn["reply_rms"] > 1000
    # The reply that is interrupted may get a piece further when the machine is busy.
    assert first.pop("events") == pytest.approx(second.pop("events"), abs=5)
    assert first == second
    assert [turn["user_transcript"] for turn in first["turns"]] == [
        "What is the weather in Paris today?",
        "Turn on the lights in the kitchen, please.",
        "Hello, can you hear me?",
        "Stop, please.",
        "That is enough.",
    ]
    assert [turn["interrupted"] for turn in first["turns"]] == [False, False, True, False, False]
    assert "sunny" in first["turns"][0]["assistant_transcript"]
    with wave.open(str(tmp_path / "r.wav")) as file:
        assert (file.getframerate(), file.getnchannels()) == (24000, 1)
        assert file.getnframes() > 24000 * 5


def test_typed_text_is_answered(tmp_path: Path) -> None:
    [turn] = talk("--text", "Good morning", folder=tmp_path)["turns"]
    assert turn["assistant_transcript"] == "You said: Good morning"


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8000, 1)])
def test_a_file_of_another_shape_is_converted(tmp_path: Path, rate: int, channels: int) -> None:
    path = write_wav(tmp_path / "in.wav", rate=rate, channels=channels)
    [turn] = talk("--wav", path, folder=tmp_path)["turns"]
    assert "seconds of speech" in turn["user_transcript"]


def test_silence_is_told_and_not_waited_for_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(bytes(48_000))
    result = talk("--wav", path, folder=tmp_path)
    assert result["turns"] == []
    assert result["errors"] == ["the server detected no speech in silence.wav"]


def test_bad_files_are_one_clear_sentence(tmp_path: Path) -> None:
    not_audio = tmp_path / "song.wav"
    not_audio.write_text("la la la")
    empty = write_wav(tmp_path / "empty.wav", rate=24000, channels=1, seconds=0)
    nothing = tmp_path / "nothing.wav"
    nothing.touch()
    assert "ffmpeg" in said("demo", "--wav", not_audio)
    assert "ffmpeg" in said("demo", "--wav", nothing)
    assert "holds no audio" in said("demo", "--wav", empty)
    assert "no folder" in said("demo", "--out", tmp_path / "nowhere" / "x.wav")
    assert "empty" in said("demo", "--text", " ")
    assert "no such file" in said("demo", "--wav", tmp_path / "absent.wav")


def test_a_server_that_is_not_there_is_one_clear_sentence() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        assert "refused" in said("demo", "--url", f"ws://127.0.0.1:{port}/v1/realtime")


def test_the_demo_shows_the_key_that_a_server_demands(tmp_path: Path) -> None:
    serve = [COMMAND[0], "-u", *COMMAND[1:], "serve", "--port", "0", "--api-key", "sesame"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if word[:5] == "ws://")
        demo = ["demo", "--text", "Hi", "--out", tmp_path / "r.wav", "--url", url]
        assert "DUOLOGUE_API_KEY" in said(*demo, OPENAI_API_KEY="sesame", DUOLOGUE_API_KEY="")
        done = run(*demo, DUOLOGUE_API_KEY="sesame")
        assert (done.returncode, done.stderr) == (0, "")
        server.terminate()


def test_a_missing_key_is_one_clear_sentence() -> None:
    for url in ("ws://me:hidden-0123@host", "hidden-0123", "ws://me:hidden-0123"):
        assert "hidden-0123" not in run("demo", "--url", url).stderr
    sentence = said("demo", "--url", "wss://api.openai.com/v1/realtime", OPENAI_API_KEY="")
    assert "OPENAI_API_KEY" in sentence


def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "--port" in said("serve", "--port", str(taken.getsockname()[1]))


def test_a_server_that_others_can_reach_demands_a_key() -> None:
    assert "--api-key" in said("serve", "--host", "0.0.0.0", DUOLOGUE_API_KEY="")  # noqa: S104  # refused


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_tells_where_it_is_and_ends_cleanly(number: signal.Signals) -> None:
    command = [*COMMAND, "serve", "--port", "0"]
    with subprocess.Popen(
        [command[0], "-u", *command[1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        text = "".join(
            iter(server.stdout.readline, "  export OPENAI_API_KEY=none  # any key will do\n")
        )
        found = re.search(r"ws://\S+", text)
        assert found is not None
        with connect(found[0]) as connection:
            assert json.loads(connection.recv(timeout=5))["type"] == "session.created"
            server.send_signal(number)
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(timeout=5)
        assert server.wait(timeout=5) == 0
        assert server.stderr is not None
        assert server.stderr.read() == ""
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def test_a_server_killed_in_the_middle_of_a_turn_is_one_clear_sentence(tmp_path: Path) -> None:
    serve = [COMMAND[0], "-u", *COMMAND[1:], "serve", "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if word[:5] == "ws://")
        demo = [
            COMMAND[0],
            "-u",
            *COMMAND[1:],
            "demo",
            "--out",
            str(tmp_path / "r.wav"),
            "--url",
            url,
        ]
        with subprocess.Popen(
            demo, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            assert any("speech started" in line for line in client.stdout)
            server.kill()
            assert client.wait(timeout=5) == 2
            assert client.stderr is not None
            assert client.stderr.read().startswith("Error: the connection")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("ws://localhost:8080/v1/realtime", "sesame"),
        ("wss://[::1]:8443/v1/realtime", "sesame"),
        ("wss://api.openai.com/v1/realtime", None),
        ("ws://localhost.evil.example/v1/realtime", None),
        ("ws://127.0.0.1@evil.example/v1/realtime", None),
        ("ws://localhost:80@evil.example/v1/realtime", None),
        (None, None),
    ],
)
def test_the_key_of_our_own_server_is_shown_to_this_machine_alone(
    url: str | None, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUOLOGUE_API_KEY", "sesame")
    assert key_of_own_server(url) == key
