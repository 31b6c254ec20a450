"""The main job with real models: human speech is understood, and answered aloud and sensibly."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIO = Path(__file__).parents[1] / "data/audio"
NOT_CLEAN = {"noisy_reminder.wav", "room_noise.wav"}

pytestmark = [pytest.mark.models, pytest.mark.timeout(180)]


def demo(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "duologue.cli", "demo", "--brain", "local", "--json", "--fast"]
    done = subprocess.run(
        [*command, "--out", str(folder / "reply.wav"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def words(text: str) -> list[str]:
    """Lower case, punctuation and hyphens deleted: how the project scores."""
    return re.sub(r"[^a-z0-9' ]", "", text.lower().replace("-", "")).split()


def errors(heard: list[str], said: list[str]) -> int:
    """Return how many words must change (Levenshtein)."""
    row = list(range(len(said) + 1))
    for place, word in enumerate(heard, 1):
        previous, row[0] = row[0], place
        for index, wanted in enumerate(said, 1):
            change = previous + (word != wanted)
            previous, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, change)
    return row[-1]


def test_clean_speech_is_understood_and_answered_aloud(tmp_path: Path) -> None:
    clips = [
        clip
        for clip in json.loads((AUDIO / "transcripts.json").read_text())
        if clip["file"] not in NOT_CLEAN
    ]
    wavs = [part for clip in clips for part in ("--wav", str(AUDIO / clip["file"]))]
    result = demo(tmp_path, *wavs)
    assert result["errors"] == []
    heard = words(" ".join(turn["user_transcript"] for turn in result["turns"]))
    said = words(" ".join(clip["transcript"] for clip in clips))
    assert errors(heard, said) / len(said) <= 0.05
    for turn in result["turns"]:
        assert turn["assistant_transcript"]
        assert turn["reply_audio_ms"] > 300
        assert turn["reply_rms"] > 300


def test_the_shipped_questions_get_answers_that_make_sense(tmp_path: Path) -> None:
    result = demo(tmp_path)
    weather, lights, story, stop, _ = result["turns"]
    assert {"18", "sunny"} <= set(words(weather["assistant_transcript"]))
    assert {"lights", "on"} <= set(words(lights["assistant_transcript"]))
    assert story["assistant_transcript"].startswith("Yes, I can hear you")
    assert story["interrupted"]
    assert story["reply_audio_ms"] >= 6000
    assert "stop" in words(stop["assistant_transcript"])
    assert result["errors"] == []


def test_noise_starts_no_turn(tmp_path: Path) -> None:
    result = demo(tmp_path, "--wav", str(AUDIO / "room_noise.wav"))
    assert result["turns"] == []
