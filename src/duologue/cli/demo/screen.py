"""The demo's terminal output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from duologue.cli.demo.turns import SpokenReply, Turn

__all__ = ["Screen"]

_LABELS: Final = {"user": ("you", "cyan"), "assistant": ("duologue", "green")}


class Screen:
    """Terminal output, line by line; silent for `--json`."""

    def __init__(self, *, is_quiet: bool = False) -> None:
        self._is_quiet = is_quiet
        self.is_gone: bool = False
        """Whether the reader of our output is gone."""
        self._open: str | None = None  # the item whose transcript is on the last line, unfinished
        self._shown: Final[dict[str, int]] = {}  # characters shown of each item

    def note(self, text: str) -> None:
        """Show a note about what happens."""
        self._end_line()
        self._write(click.style(f"{'':>10} · {text}", dim=True))

    def user(self, words: str) -> None:
        """Show the transcript of the user's turn."""
        self._end_line()
        self._write(self._label("user") + words)

    def assistant(self, reply: SpokenReply, now: float) -> None:
        """Show the words of a reply that were played since the last call."""
        words = reply.played_words(now)
        shown = self._shown.get(reply.item_id, 0)
        if len(words) <= shown:
            return
        if reply.item_id != self._open:
            self._end_line()
            self._open = reply.item_id
            self._write(self._label("assistant"), ends=False)
        new = words[shown:]
        self._write(new if shown else new.lstrip(), ends=False)
        self._shown[reply.item_id] = len(words)

    def latency(self, turn: Turn) -> None:
        """Show how long each step of a turn took."""
        names = {
            "turn_end": "turn end",
            "transcript": "transcript",
            "first_text": "first text",
            "first_audio": "first audio",
        }
        found = turn.latency_ms()
        steps = [f"{names[step]} {ms}" for step, ms in found.items() if ms is not None]
        self.note("ms from the end of speech: " + " → ".join(steps))

    def _label(self, role: str) -> str:
        name, color = _LABELS[role]
        return click.style(f"{name:>10} ", fg=color, bold=True) + "▸ "

    def _end_line(self) -> None:
        if self._open is not None:
            self._write("")
            self._open = None

    def _write(self, text: str, *, ends: bool = True) -> None:
        if self._is_quiet:
            return
        try:
            click.echo(text, nl=ends)
        except BrokenPipeError:  # `duologue demo | head`
            self._is_quiet = self.is_gone = True
