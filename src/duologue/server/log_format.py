"""Log formatters of the command line: a line of text for people, or a JSON object for machines.

The server's records have a constant message and put details into fields (`extra`), so that any
other formatter can use them as well.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JsonFormatter", "TextFormatter"]

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextFormatter(logging.Formatter):
    """Writes `2026-07-01 12:00:00,000 INFO session opened dialect=ga client=127.0.0.1:5000`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        """Return the record's line, with its fields."""
        fields = [f"{name}={_shown(value)}" for name, value in _fields(record).items()]
        return " ".join([super().formatMessage(record), *fields])


class JsonFormatter(logging.Formatter):
    """Writes one JSON object per line: `time`, `level`, `message` and the record's own fields."""

    def __init__(self) -> None:
        super().__init__()
        self.converter: Callable[[float | None], time.struct_time] = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        line: dict[str, object] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line | _fields(record), default=str)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _shown(value: object) -> str:
    return (
        ",".join(f"{key}:{count}" for key, count in value.items())
        if _is_mapping(value)
        else str(value)
    )


def _is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)
