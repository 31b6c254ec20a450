"""Plain output of a conversation: a line for each turn, once it is complete.

For pipes, logs, screen readers and terminals that cannot be controlled. Typed lines of the standard
input are sent as messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import click

from duologue.cli.talk.conversation import REDRAW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.cli.talk.conversation import Talk
    from duologue.cli.talk.view import Line, LineKind, TalkView

__all__ = ["LinePrinter", "talk_in_lines"]

_LABELS: Final[dict[LineKind, tuple[str, str]]] = {
    "user": ("you", "cyan"),
    "assistant": ("assistant", "green"),
    "tool": ("tool", "yellow"),
}

MAX_TYPED: Final = 16_384
"""Bytes of the standard input that are read at once, and longest line."""


class LinePrinter:
    """Prints the lines of a view, each once and in order.

    Args:
        write: Writes a line.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write: Final = write
        self._printed: Final[dict[str, None]] = {}

    def print(self, view: TalkView, *, is_last: bool = False) -> None:
        """Print the lines that are complete.

        A turn of the user holds back what follows it only until its answer is complete: its
        transcript may be late.

        Args:
            view: The view.
            is_last: Whether to print what is incomplete, too.
        """
        lines = [line for line in view.lines if line.id not in self._printed]
        answers = [
            index for index, line in enumerate(lines) if line.is_final and line.kind == "assistant"
        ]
        last_answer = max(answers, default=-1)
        for index, line in enumerate(lines):
            if line.is_final or is_last:
                self._printed[line.id] = None
                if line.text:
                    self._write(styled(line))
            elif line.kind == "assistant" or index > last_answer:
                break
        known = {line.id for line in view.lines}
        for line_id in [line_id for line_id in self._printed if line_id not in known]:
            del self._printed[line_id]


def styled(line: Line) -> str:
    """Return a line with colors, which `click.echo` removes where they are not wanted."""
    if line.kind == "note":
        return click.style(f"{'':>10} · {line.text}", dim=True)
    name, color = _LABELS[line.kind]
    words = line.heard_text
    if line.unheard_text.strip():
        words += click.style(f" [not heard: {line.unheard_text.strip()}]", dim=True)
    detail = f" → {line.detail}" if line.kind == "tool" else f" ({line.detail})"
    if line.detail:
        words += click.style(detail, dim=True)
    return f"{click.style(f'{name:>10}', fg=color, bold=True)} ▸ {words.strip()}"


async def talk_in_lines(talk: Talk) -> None:
    """Hold a conversation, and print it line by line.

    Raises:
        BrokenPipeError: If nobody reads the output.
        DuologueError: As `Talk.run`.
    """
    has_colors = None if "NO_COLOR" not in os.environ else False
    printer = LinePrinter(lambda line: click.echo(line, color=has_colors))
    loop = asyncio.get_running_loop()
    _stop_on_signals(loop, talk)
    _read_typed(loop, talk)
    running = asyncio.create_task(talk.run())
    try:
        while not running.done():
            await asyncio.wait((running,), timeout=REDRAW_SECONDS)
            talk.tick()
            printer.print(talk.view)
    finally:
        talk.stop()
        await asyncio.wait((running,))
    printer.print(talk.view, is_last=True)
    for total in filter(None, (talk.view.latency, talk.view.usage)):
        click.echo(click.style(f"{'':>10} · {total}", dim=True), color=has_colors)
    running.result()


def _stop_on_signals(loop: asyncio.AbstractEventLoop, talk: Talk) -> None:
    """Let a signal end the conversation, so that it is saved; a second one ends the program."""

    def stop(signal_number: int) -> None:
        loop.remove_signal_handler(signal_number)
        talk.stop()

    with contextlib.suppress(NotImplementedError):  # Windows
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, stop, signal_number)


def _read_typed(loop: asyncio.AbstractEventLoop, talk: Talk) -> None:
    """Send each line of the standard input, as soon as the devices are open."""

    def read() -> None:
        # Not `sys.stdin`: its lock, held by a thread that waits, breaks the interpreter's end.
        rest = b""
        with contextlib.suppress(OSError, RuntimeError):  # no input; the loop is closed
            while data := os.read(descriptor, MAX_TYPED):
                *lines, rest = (rest + data)[-MAX_TYPED:].split(b"\n")
                for line in lines:
                    loop.call_soon_threadsafe(talk.send_text, line.decode(errors="replace"))
            loop.call_soon_threadsafe(talk.send_text, rest.decode(errors="replace"))

    with contextlib.suppress(OSError, ValueError, AttributeError):  # there is none
        descriptor = sys.stdin.fileno()
        threading.Thread(target=read, name="duologue typed", daemon=True).start()
