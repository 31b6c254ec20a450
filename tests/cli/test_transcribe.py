"""`duologue transcribe`: real processes against a server in this one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from duologue.audio import read_wav, write_wav
from duologue.cli import transcribe
from duologue.errors import EngineFailed
from duologue.server import LocalServer
from duologue.server.faults import parse_fault
from duologue.sync import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

AUDIO = Path(__file__).parents[1] / "data" / "audio"
COMMAND = [sys.executable, "-W", "error", "-m", "duologue.cli", "transcribe"]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
        env=os.environ | environment,
    )


def refusal(*arguments: str | Path) -> str:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip()


class ByLength:
    """Transcriber whose words depend on the audio alone, however often it is asked."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        yield f"Speech of {len(pcm) // 48} ms in {language}."


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two turns, and silence between and after them."""
    path = tmp_path / "call.wav"
    clips = [read_wav(AUDIO / f"{name}.wav") for name in ("hello", "weather_paris")]
    write_wav(path, b"".join(clip + bytes(48_000) for clip in clips))
    return path


@pytest.fixture
def server() -> Generator[LocalServer]:
    with serving(LocalServer(stt=ByLength())) as serving_now:
        yield serving_now


@pytest.mark.parametrize("dialect", ["ga", "beta", "auto"])
def test_a_line_for_each_turn(recording: Path, server: LocalServer, dialect: str) -> None:
    done = run(recording, "--url", server.url, "--dialect", dialect, "--language", "en")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first.startswith("Speech of 1")
    assert second.endswith(" ms in en.")


def test_times_are_those_of_the_file(recording: Path, server: LocalServer) -> None:
    done = run(recording, "--url", server.url, "--format", "jsonl")
    turns = [json.loads(line) for line in done.stdout.splitlines()]
    for turn in turns:
        assert turn["text"] == f"Speech of {turn['end_ms'] - turn['start_ms']} ms in None."
        assert (turn["is_measured"], turn["speaker"], turn["word_times"]) == (
            True,
            "user",
            "estimated",
        )
    lengths = [len(read_wav(AUDIO / f"{name}.wav")) // 48 for name in ("hello", "weather_paris")]
    begins = [0, lengths[0] + 1000]
    for turn, begin, length in zip(turns, begins, lengths, strict=True):
        assert begin - 300 <= turn["start_ms"] < begin + 500
        assert turn["end_ms"] <= begin + length + 600


def test_the_format_follows_the_suffix_of_the_output(
    recording: Path, server: LocalServer, tmp_path: Path
) -> None:
    output = tmp_path / "call.srt"
    done = run(recording, "--url", server.url, "-o", output)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.read_text().startswith("1\n00:00:00,")
    for name, arguments in [("call.text", []), ("call.srt", ["--format", "txt"])]:
        assert not run(recording, "--url", server.url, "-o", tmp_path / name, *arguments).returncode
        assert (tmp_path / name).read_text().startswith("Speech of ")


def test_speech_at_the_end_of_the_file_is_a_turn(server: LocalServer, tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    write_wav(path, read_wav(AUDIO / "weather_paris.wav")[: 48 * 1000])
    done = run(path, "--url", server.url)
    assert done.stdout.startswith("Speech of ")
    assert len(done.stdout.splitlines()) == 1


def test_a_file_without_speech_has_a_transcript_of_its_silence(
    server: LocalServer, tmp_path: Path
) -> None:
    write_wav(tmp_path / "silence.wav", bytes(48_000))
    done = run(tmp_path / "silence.wav", "--url", server.url)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)


def test_a_server_of_its_own_uses_the_chosen_stage(recording: Path, tmp_path: Path) -> None:
    done = run(recording, "--stt", "scripted:", "--format", "vtt")
    assert done.returncode == 0
    assert done.stdout.startswith("WEBVTT\n")
    assert done.stdout.count("seconds of speech") == 2


def test_azure_is_asked_with_its_key(recording: Path) -> None:
    with serving(LocalServer(stt=ByLength(), api_key="a-key")) as server:
        resource = server.url.replace("ws:", "http:").removesuffix("/v1/realtime")
        done = run(recording, "--azure", resource, AZURE_OPENAI_API_KEY="a-key")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


class Failing:
    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        if len(pcm) < 48 * 2000:
            raise EngineFailed("too short")
        yield "Long enough."


def test_a_turn_without_a_transcript_is_reported(recording: Path) -> None:
    with serving(LocalServer(stt=Failing())) as server:
        done = run(recording, "--url", server.url)
    assert done.returncode == 1
    assert "Long enough." in done.stdout.splitlines()
    assert done.stderr.startswith("Warning: a turn was not transcribed: ")


class Silent:
    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield ""


@pytest.mark.asyncio
async def test_a_server_that_never_answers_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transcribe, "PATIENCE", 0.05)
    async with LocalServer(stt=Silent()) as server:
        job = transcribe.Transcription(read_wav(AUDIO / "hello.wav"), model="m", language=None)
        with pytest.raises(TimeoutError, match="no transcript for 0 s"):
            await job.run(server.url, None, None, None, "scripted:")


def test_a_connection_that_is_lost_is_one_clear_sentence(recording: Path) -> None:
    fault = parse_fault("close=1011@conversation.item.added#2")
    with serving(LocalServer(stt=Silent(), faults=[fault])) as server:
        assert "close code 1011" in refusal(recording, "--url", server.url)


def test_what_cannot_be_done_is_one_clear_sentence(recording: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.wav").startswith("Error: cannot read ")
    assert "name two servers" in refusal(recording, "--url", "ws://a", "--azure", "https://b")
    assert "--stt is for the server" in refusal(recording, "--url", "ws://a", "--stt", "local:")
    assert "there is no folder" in refusal(recording, "-o", tmp_path / "no" / "a.txt")
    assert "OPENAI_API_KEY" in refusal(recording, "--url", "wss://api.openai.com/v1/realtime")


@pytest.mark.models
@pytest.mark.timeout(120)
def test_speech_is_transcribed_by_the_models_of_this_machine() -> None:
    done = run(AUDIO / "human_young_man.wav", "--language", "en")
    assert done.returncode == 0, done.stderr
    assert "young man" in done.stdout
