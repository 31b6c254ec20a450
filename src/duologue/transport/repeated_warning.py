"""A warning that a peer can cause as often as it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import logging

__all__ = ["RepeatedWarning"]

FACTOR: Final = 10


class RepeatedWarning:
    """Writes the 1st warning of a kind, then the 10th, the 100th and so on, and the total.

    So a hostile or broken peer writes at most ten lines, not one for each frame.

    Args:
        logger: Logger of the lines.
        summary: Line of all but the first; `%d` is the number of warnings so far.
    """

    __slots__ = ("_logger", "_next", "_summary", "_written", "count")

    def __init__(self, logger: logging.Logger, summary: str) -> None:
        self._logger: Final = logger
        self._summary: Final = summary
        self.count: int = 0
        """Number of warnings."""
        self._written = 0
        self._next = 1

    def warn(self, text: str, *args: object) -> None:
        """Count a warning, and write it if it is the first."""
        self.count += 1
        if self.count < self._next:
            return
        self._next *= FACTOR
        self._written = self.count
        if self.count == 1:
            self._logger.warning(text, *args)
        else:
            self._logger.warning(self._summary, self.count)

    def finish(self) -> None:
        """Write the total, unless the last line gave it."""
        if self.count > self._written:
            self._written = self.count
            self._logger.warning(self._summary, self.count)
