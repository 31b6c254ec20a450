from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from duologue.weights._cache import locked

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_holder_waits_for_the_first(tmp_path: Path) -> None:
    waiting = threading.Event()
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path / "lock", on_wait=waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "lock", on_wait=lambda: order.append("never")):
        thread.start()
        assert waiting.wait(5)
        order.append("first")
    thread.join(5)

    assert order == ["first", "second"]
