"""`duologue talk` as a process: plain lines, files in the place of sound cards, a saved folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from duologue.audio.wav import write_wav

SPEECH = Path(__file__).parents[2] / "src/duologue/cli/speech"
COMMAND = [sys.executable, "-m", "duologue.cli", "talk"]
TRANSCRIPTS = ["transcript.jsonl", "transcript.md", "transcript.srt", "transcript.vtt"]


def talk(*arguments: str | Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=typed,
        capture_output=True,
        text=True,
        timeout=18,
        check=False,
    )


def refusal(*arguments: str | Path) -> str:
    done = talk(*arguments)
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    return line


def sides(path: Path) -> list[np.ndarray[tuple[int], np.dtype[np.int16]]]:
    with wave.open(str(path)) as file:
        assert file.getframerate() == 24_000
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return list(samples.reshape(-1, file.getnchannels()).T)


def test_a_conversation_between_files_is_printed_and_saved(tmp_path: Path) -> None:
    question, answer, folder = SPEECH / "hello.wav", tmp_path / "out.wav", tmp_path / "talk"
    done = talk("--brain", "scripted", "--wav", question, "--out", answer, "--save", folder)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    [user] = [line for line in lines if line.startswith("you ▸")]
    [assistant] = [line for line in lines if line.startswith("assistant ▸")]
    words = user.removeprefix("you ▸ ")
    assert words in assistant
    assert lines.index(user) < lines.index(assistant)
    assert "first audio" in lines[-3]
    assert lines[-2].endswith("tokens")
    assert lines[-1] == f"· saved to {folder}"
    assert "\x1b" not in done.stdout

    [played] = sides(answer)
    assert np.abs(played).max() > 1000
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["001-user.wav", "002-assistant.wav", "conversation.wav", *TRANSCRIPTS]
    entries = [json.loads(line) for line in (folder / TRANSCRIPTS[0]).read_text().splitlines()]
    assert (entries[0]["speaker"], entries[0]["text"]) == ("user", words)
    assert all(words in (folder / name).read_text() for name in TRANSCRIPTS)
    [item] = sides(folder / "002-assistant.wav")
    audible = np.trim_zeros(played)
    assert np.array_equal(audible, np.trim_zeros(item))
    left, right = sides(folder / "conversation.wav")
    assert np.array_equal(np.trim_zeros(right), audible)
    [said] = sides(question)
    start = int(np.flatnonzero(left)[0]) - int(np.flatnonzero(said)[0])
    assert np.array_equal(left[start : start + len(said)], said)


def test_typed_lines_are_messages_and_tools_are_called(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.wav"
    write_wav(quiet, bytes(9_600))
    arguments = ("--brain", "scripted", "--wav", quiet, "--out", tmp_path / "out.wav", "--tools")
    done = talk(*arguments, typed="Turn on the lights\n")
    assert done.returncode == 0, done.stderr
    lines = [line.split(" (0.")[0].strip() for line in done.stdout.splitlines()]
    arguments_of_call = '{"room":"kitchen","on":true}'
    output = '{"result":"The lights in the kitchen are on."}'
    assert lines[1:4] == [
        "you ▸ Turn on the lights",
        f"tool ▸ set_light({arguments_of_call}) → {output}",
        "assistant ▸ The lights in the kitchen are on.",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_cuts_the_answer_and_saves_the_conversation(tmp_path: Path) -> None:
    folder = tmp_path / "talk"
    files = ["--wav", str(SPEECH / "hello.wav"), "--out", str(tmp_path / "out.wav")]
    process = subprocess.Popen(
        [*COMMAND, "--brain", "scripted", *files, "--save", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        assert "server" in process.stdout.readline()
        process.stdin.write("Hello, can you hear me?\n")
        process.stdin.flush()
        assert "you ▸ Hello" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (0, "")
    assert "[not heard: " in rest
    text = (folder / "transcript.md").read_text()
    assert "~~" in text or "Assistant" not in text  # cut, or deleted if nothing was heard


def test_a_mistake_is_one_sentence_with_its_fix(tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    files = ("--brain", "scripted", "--wav", SPEECH / "hello.wav", "--out", out)
    assert "two servers" in refusal("--url", "ws://127.0.0.1:1", "--azure", "https://x.azure.com")
    assert "--brain is for" in refusal("--brain", "scripted", "--model", "gpt-realtime")
    assert "cannot read" in refusal("--brain", "scripted", "--wav", tmp_path / "no", "--out", out)
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty" in refusal(*files, "--save", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
