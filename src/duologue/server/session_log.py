"""Warnings of one session, limited in number: a client or an engine must not flood the log."""

from __future__ import annotations

import logging
from typing import Final

__all__ = ["MAX_WARNINGS", "SessionLog"]

logger: logging.Logger = logging.getLogger("duologue.server")

MAX_WARNINGS: Final = 20
"""Warnings of a session that are logged; the metrics count all errors and failures."""

MAX_CHARS: Final = 500
"""Characters of a warning: it may quote what a client sent."""


class SessionLog:
    """Logs the warnings of one session, up to a limit."""

    def __init__(self) -> None:
        self._left = MAX_WARNINGS

    def warning(self, text: str) -> None:
        """Log a warning, unless the session has had too many."""
        if not self._left:
            return
        self._left -= 1
        logger.warning("%s", text[:MAX_CHARS])
        if not self._left:
            logger.warning("further warnings of this session are not logged")
