from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.server.engine.clauses import LONGEST_CHARS, ClauseSplitter, speakable

PIECES = st.lists(
    st.sampled_from(
        [
            "Hello",
            " world",
            ". ",
            ", ",
            "Dr.",
            " 3.5",
            "? ",
            "—",
            "\n",
            "!",
            '"',
            " ",
            "。",
            "、",
            "日本",
        ]
    )
    | st.text(max_size=8)
)


def split(*deltas: str) -> list[str]:
    splitter = ClauseSplitter()
    clauses = [clause for delta in deltas for clause in splitter.feed(delta)]
    return clauses + splitter.flush()


@given(PIECES)
def test_the_clauses_joined_are_the_text(deltas: list[str]) -> None:
    assert "".join(split(*deltas)) == "".join(deltas)


@given(PIECES)
def test_how_the_text_came_does_not_matter(deltas: list[str]) -> None:
    text = "".join(deltas)
    assert split(*deltas) == split(text) == split(*text)


@given(PIECES)
def test_every_clause_but_the_last_holds_a_word(deltas: list[str]) -> None:
    assert all(any(c.isalnum() for c in clause) for clause in split(*deltas)[:-1])


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        ("Hello there", ["Hello there"]),
        ("Hi. How are you?", ["Hi.", " How are you?"]),
        ("It is 3.5 degrees. Really!", ["It is 3.5 degrees.", " Really!"]),
        ("Ask Dr. Smith, J. K. Rowling, or me.", ["Ask Dr. Smith,", " J. K. Rowling, or me."]),
        ("Fruit, e.g. apples. And nuts.", ["Fruit, e.g. apples.", " And nuts."]),
        ("It was I. He left.", ["It was I.", " He left."]),
        ("It costs 5. That is fair.", ["It costs 5.", " That is fair."]),
        ("1. Wash it. 2. Dry it.", ["1. Wash it.", " 2. Dry it."]),
        ("See https://example.com/a.b?c=d now.", ["See https://example.com/a.b?c=d now."]),
        ("Well... maybe. Yes.", ["Well...", " maybe.", " Yes."]),
        ('He said "Go." Then he left.', ['He said "Go."', " Then he left."]),
        ("Really?! Yes.", ["Really?!", " Yes."]),
        ("First line\nsecond line", ["First line", "\nsecond line"]),
        ("今日は晴れです。明日は雨です。", ["今日は晴れです。", "明日は雨です。"]),
        ("At 7:30 or 1,000 times. Yes.", ["At 7:30 or 1,000 times.", " Yes."]),
    ],
)
def test_clauses_end_where_sentences_do(text: str, clauses: list[str]) -> None:
    assert split(text) == clauses


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Sure, I can help.", ["Sure, I can help."]),
        ("In Paris today, it is sunny, and warm.", ["In Paris today,", " it is sunny, and warm."]),
        ("I looked it up: it rains.", ["I looked it up:", " it rains."]),
        ("It is sunny \u2013 and warm.", ["It is sunny \u2013", " and warm."]),
        ("It is sunny—and warm.", ["It is sunny—", "and warm."]),
        ("Hi. In Paris today, it is sunny.", ["Hi.", " In Paris today, it is sunny."]),
    ],
)
def test_the_first_clause_may_end_at_a_pause_after_three_words(
    text: str, clauses: list[str]
) -> None:
    assert split(text) == clauses


def test_a_clause_is_handed_out_as_soon_as_the_next_character_is_known() -> None:
    splitter = ClauseSplitter()
    assert splitter.feed("It is sunny") == []
    assert splitter.feed(".") == []
    assert splitter.feed(" And") == ["It is sunny."]
    assert splitter.flush() == [" And"]


def test_text_without_punctuation_does_not_wait_for_ever() -> None:
    clauses = split("word " * 400)
    assert max(map(len, clauses)) <= LONGEST_CHARS * 3 // 2 + len("word ")


def test_a_long_clause_ends_at_a_comma() -> None:
    text = "Yes. " + "many words " * 30 + "here, and more"
    assert split(text)[1].endswith("here,")


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (" Hello there. ", "Hello there."),
        ('"All right, I will stop."', "All right, I will stop."),
        ("He said 'go' and didn't.", "He said go and didn't."),
        ("It\u2019s the boys\u2019 idea.", "It\u2019s the boys\u2019 idea."),
        ("**Bold** and `code` and snake_case.", "Bold and code and snake_case."),
        ("Great! 😀👍🏽 Bye ❤️", "Great! Bye"),
        ("- one\n- two", "one two"),
        ("## Title", "Title"),
        ("See [the page](https://example.com/x).", "See the page."),
        ("Go to https://example.com now", "Go to example.com now"),
        ("```json\nx\n```", "x"),
        ("It is 18°C.", "It is 18 degrees Celsius."),
        ("cafe\u0301", "cafe\u0301"),
        ("...", ""),
        ('"', ""),
        ("🙂", ""),
        ("", ""),
    ],
)
def test_what_is_spoken_has_no_markup(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@given(st.text())
def test_speakable_takes_any_text_and_leaves_single_spaces(text: str) -> None:
    assert speakable(text) == " ".join(speakable(text).split())
