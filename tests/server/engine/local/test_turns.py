from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.server.engine.local.turns import (
    QUESTION,
    STATEMENT,
    UNFINISHED,
    UNMARKED,
    WordTurnDetector,
)


@pytest.mark.parametrize(
    ("words", "likelihood"),
    [
        ("What is it for?", QUESTION),
        ("Est-ce que tu m'entends ?", QUESTION),
        ("Turn it on.", STATEMENT),
        ("ありがとう。", STATEMENT),
        ('He said "stop."', STATEMENT),
        ("book a table", UNMARKED),
        ("one, two,", UNFINISHED),
        ("I would like to...", UNFINISHED),
        ("I want to go to the.", UNFINISHED),
        ("We\u2019re", UNFINISHED),
        ("Turn it on", UNFINISHED),
        ("So, um.", UNFINISHED),
    ],
)
def test_the_last_words_tell_whether_more_will_come(words: str, likelihood: float) -> None:
    assert WordTurnDetector().score(words) == likelihood


@given(st.text(min_size=1))
def test_any_words_have_a_likelihood(words: str) -> None:
    assert 0 <= WordTurnDetector().score(words) <= 1
