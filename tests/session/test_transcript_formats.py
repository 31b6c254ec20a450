"""Formats of a transcript, to the letter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from duologue import ConfigurationError, Transcript, TranscriptEntry
from duologue.session.transcript_formats import MAX_CUE_LETTERS


def entry(speaker: str, text: str, start: int, end: int, **fields: object) -> TranscriptEntry:
    about: dict[str, object] = {"item_id": "item_1", "heard": text, "full_end_ms": end}
    about |= {"is_measured": speaker == "user", "is_spoken": True, "is_final": True} | fields
    return TranscriptEntry(speaker=speaker, text=text, start_ms=start, end_ms=end, **about)  # type: ignore[arg-type]


DIALOGUE = Transcript(
    (
        entry("user", "What's <up>\n*there*?", 400, 1900),
        entry("assistant", "One two three & four", 2000, 4000, heard="One two", full_end_ms=8000),
        entry("user", "Stop.", 3_723_004, 3_725_004, is_final=False),
        entry("user", "", 3_726_000, 3_727_000),
    )
)


def test_plain_text_has_a_line_for_each_entry() -> None:
    assert DIALOGUE.to_text() == (
        "User: What's <up> *there*?\n"
        "Assistant: One two [not heard: three & four]\n"
        "User: Stop.\n"
        "User: (no transcript)\n"
    )


def test_a_single_speaker_is_not_named() -> None:
    alone = Transcript((entry("user", "Hello.", 0, 2000),))
    assert alone.to_text() == "Hello.\n"
    assert alone.to_srt() == "1\n00:00:00,000 --> 00:00:02,000\nHello.\n"


def test_json_lines_have_every_field() -> None:
    lines = [json.loads(line) for line in DIALOGUE.to_jsonl().splitlines()]
    assert lines[1] == {
        "item_id": "item_1",
        "speaker": "assistant",
        "text": "One two three & four",
        "heard": "One two",
        "unheard": "three & four",
        "word_times": "estimated",
        "start_ms": 2000,
        "end_ms": 4000,
        "full_end_ms": 8000,
        "is_measured": False,
        "is_spoken": True,
        "is_final": True,
        "words": [
            {"text": "One", "start_ms": 2000, "end_ms": 2900, "is_heard": True},
            {"text": "two", "start_ms": 3200, "end_ms": 4100, "is_heard": True},
            {"text": "three", "start_ms": 4400, "end_ms": 5900, "is_heard": False},
            {"text": "&", "start_ms": 6200, "end_ms": 6500, "is_heard": False},
            {"text": "four", "start_ms": 6800, "end_ms": 8000, "is_heard": False},
        ],
    }
    assert len(lines) == 4


def test_markdown_strikes_out_what_was_not_heard() -> None:
    assert DIALOGUE.to_markdown() == (
        "**User** (0:00.4 - 0:01.9): What's \\<up\\> \\*there\\*?\n\n"
        "**Assistant** (≈ 0:02.0 - 0:04.0): One two ~~three & four~~ *(not heard)*\n\n"
        "**User** (62:03.0 - 62:05.0): Stop. …\n\n"
        "**User** (62:06.0 - 62:07.0): *(no transcript)*\n"
    )


def test_subrip_shows_who_speaks_and_what_was_not_heard() -> None:
    assert DIALOGUE.to_srt() == (
        "1\n00:00:00,400 --> 00:00:01,900\nUser: What's <up> *there*?\n\n"
        "2\n00:00:02,000 --> 00:00:04,000\nAssistant: One two [not heard: three & four]\n\n"
        "3\n01:02:03,004 --> 01:02:05,004\nUser: Stop.\n"
    )


def test_webvtt_has_voices_and_a_class_for_what_was_not_heard() -> None:
    assert DIALOGUE.to_vtt() == (
        "WEBVTT\n\n"
        "NOTE\nTimes inside an entry, and of the assistant's entries, are estimates.\n\n"
        "00:00:00.400 --> 00:00:01.900\n<v User>What's &lt;up&gt; *there*?\n\n"
        "00:00:02.000 --> 00:00:04.000\n"
        "<v Assistant>One two <c.unheard>three &amp; four</c>\n\n"
        "01:02:03.004 --> 01:02:05.004\n<v User>Stop.\n"
    )


def test_long_speech_becomes_several_subtitles() -> None:
    words = " ".join(["word"] * 60)  # 299 letters in 29.9 seconds
    [*cues] = Transcript((entry("user", words, 1000, 30_900),)).to_srt().split("\n\n")
    assert [len(cue.splitlines()[2]) <= MAX_CUE_LETTERS for cue in cues] == [True] * 4
    assert cues[0].splitlines() == [
        "1",
        "00:00:01,000 --> 00:00:09,400",
        " ".join(["word"] * 17),
    ]
    assert cues[1].splitlines()[1] == "00:00:09,500 --> 00:00:17,900"
    assert cues[3].splitlines()[1].endswith("--> 00:00:30,900")
    assert " ".join(cue.splitlines()[2] for cue in cues) == words


def test_typed_text_is_shown_for_a_second() -> None:
    typed = Transcript((entry("user", "Hello", 500, 500, is_spoken=False, is_measured=False),))
    assert typed.to_srt() == "1\n00:00:00,500 --> 00:00:01,500\nHello\n"
    assert typed.to_markdown() == "**User** (≈ 0:00.5): Hello\n"


def test_subtitles_begin_in_order_although_speech_overlaps() -> None:
    words = " ".join(["word"] * 34)
    cues = Transcript(
        (entry("user", words, 0, 10_000), entry("assistant", "Yes", 2000, 3000))
    ).to_vtt()
    times = [line for line in cues.splitlines() if "-->" in line]
    assert times == [
        "00:00:00.000 --> 00:00:04.970",
        "00:00:02.000 --> 00:00:03.000",
        "00:00:05.029 --> 00:00:10.000",
    ]


@pytest.mark.parametrize("suffix", ["txt", "jsonl", "md", "srt", "vtt"])
def test_a_file_has_the_format_of_its_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call.{suffix.upper()}"
    DIALOGUE.save(path)
    formats = {
        "txt": DIALOGUE.to_text(),
        "jsonl": DIALOGUE.to_jsonl(),
        "md": DIALOGUE.to_markdown(),
        "srt": DIALOGUE.to_srt(),
        "vtt": DIALOGUE.to_vtt(),
    }
    assert path.read_bytes() == formats[suffix].encode()


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"use one of \.txt, \.jsonl, \.md, \.srt, \.vtt"):
        DIALOGUE.save(tmp_path / "call.doc")


def test_a_transcript_is_a_sequence() -> None:
    assert (len(DIALOGUE), DIALOGUE[-1], tuple(DIALOGUE)) == (
        4,
        DIALOGUE.entries[3],
        DIALOGUE.entries,
    )


def test_nothing_said_is_an_empty_file() -> None:
    empty = Transcript(())
    assert (empty.to_text(), empty.to_jsonl(), empty.to_markdown(), empty.to_srt()) == ("",) * 4
    assert empty.to_vtt().startswith("WEBVTT\n")
