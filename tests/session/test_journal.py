"""Journals read at their end, at earlier lengths, and after their audio was dropped."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.model import Raw
from duologue.session.journal import AUDIO, TEXT, TRANSCRIPT, Entry, Journal


def encoded(audio: bytes) -> Raw:
    return Raw(b'"' + b64encode(audio) + b'"')


def spoken(*chunks: bytes) -> Journal:
    journal = Journal(audio=b"start.")
    for chunk in chunks:
        journal.entries.append(Entry(AUDIO, 0, encoded(chunk)))
    return journal


def test_an_older_snapshot_can_be_read_after_a_newer_one() -> None:
    journal = spoken(b"one.", b"two.")
    assert journal.audio(2) == b"start.one.two."
    assert journal.audio(1) == b"start.one."
    assert journal.audio_bytes(2) == 14
    assert journal.audio_bytes(1) == 10
    assert journal.audio(2) == b"start.one.two."
    journal.entries += [Entry(TEXT, 0, "a"), Entry(TEXT, 0, "b")]
    assert [journal.words(TEXT, length) for length in (4, 3, 4)] == ["ab", "a", "ab"]


def test_a_sample_that_begins_before_the_first_entry_is_returned_whole() -> None:
    journal = Journal(audio=b"odd")
    journal.entries.append(Entry(AUDIO, 0, encoded(b"even.")))
    assert journal.samples_of(0, encoded(b"even.")) == b"deven."
    journal.entries += [Entry(TEXT, 0, "x"), Entry(AUDIO, 0, b"a")]
    assert journal.samples_of(2, b"a") == b""


def test_dropped_audio_is_empty_and_later_deltas_are_still_delivered() -> None:
    journal = spoken(b"one.")
    journal.drop_audio()
    journal.entries.append(Entry(AUDIO, 0, encoded(b"two.")))
    assert (journal.audio(2), journal.audio_bytes(2)) == (b"", 0)
    assert journal.samples_of(1, encoded(b"two.")) == b"two."


def test_invalid_base64_raises_from_its_delta_and_is_left_out_of_the_audio() -> None:
    journal = Journal()
    broken = Raw(b'"!!"')
    journal.entries += [
        Entry(AUDIO, 0, broken),
        Entry(AUDIO, 0, None),
        Entry(AUDIO, 0, encoded(b"12")),
    ]
    with pytest.raises(DecodeError):
        journal.samples_of(0, broken)
    assert journal.audio(3) == b"12"


def test_surrogates_split_over_two_deltas_are_joined() -> None:
    journal = Journal()
    journal.entries += [
        Entry(TEXT, 0, "hi \ud83d"),
        Entry(TEXT, 0, "\ude00!"),
        Entry(TEXT, 0, " ü"),
    ]
    assert journal.words(TEXT, 1) == "hi \ud83d"
    assert journal.words(TEXT, 3) == "hi 😀! ü"
    assert Journal(text="g").words(TEXT, 0) == "g"
    plain = Journal()
    plain.entries.append(Entry(TEXT, 0, "ü"))
    assert plain.words(TEXT, 1) == "ü"


def test_parts_without_words_stay_unchanged() -> None:
    journal = Journal()
    image = ga.InputImage(image_url="data:")
    silent = ga.InputAudio(transcript=None)
    journal.add_part(0, image, None)
    journal.add_part(1, silent, None)
    assert journal.content(2) == (image, silent)
    assert (journal.part_words(0), journal.part_words(1), journal.part_words(2)) == (None,) * 3
    journal.entries.append(Entry(TRANSCRIPT, 1, "said"))
    assert journal.part_words(1) == "said"
    assert journal.content(1) == (image,)


@given(st.lists(st.binary(max_size=9), max_size=12), st.integers(1, 3), st.randoms())
def test_the_samples_of_all_deltas_make_the_audio_in_any_reading_order(
    chunks: list[bytes], sample_bytes: int, chance: object
) -> None:
    journal = Journal(sample_bytes=sample_bytes)
    journal.entries += [Entry(AUDIO, 0, encoded(chunk)) for chunk in chunks]
    whole = b"".join(chunks)
    order = list(range(len(chunks)))
    chance.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a Random
    samples = {at: journal.samples_of(at, encoded(chunks[at])) for at in order}
    joined = b"".join(samples[at] for at in range(len(chunks)))
    assert joined == whole[: len(whole) - len(whole) % sample_bytes]
    assert journal.audio(len(chunks)) == whole
