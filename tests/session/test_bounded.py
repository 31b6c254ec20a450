from __future__ import annotations

from duologue.session.bounded import MAX_EARLY_ITEMS, MAX_EARLY_WORDS, EarlyWords, remember


def test_the_oldest_entry_makes_room() -> None:
    mapping: dict[str, int] = {}
    assert [remember(mapping, key, number, 2) for number, key in enumerate("abc")] == [0, 1, 2]
    assert mapping == {"b": 1, "c": 2}


def test_words_of_too_many_items_or_too_many_words_are_forgotten() -> None:
    early = EarlyWords()
    for number in range(MAX_EARLY_ITEMS + 1):
        early.put(str(number), 0, "x", is_final=False)
    assert early.take("0") == []
    for _ in range(MAX_EARLY_WORDS + 1):
        early.put("1", 0, "x", is_final=False)
    early.put("1", 0, "whole", is_final=True)
    words = early.take("1")
    assert len(words) == MAX_EARLY_WORDS + 1
    assert words[-1] == (0, "whole", True)
    assert early.take("1") == []
