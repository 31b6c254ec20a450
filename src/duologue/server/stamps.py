"""What the core cannot make, because chance and the calendar are in it: ids and dates."""

from __future__ import annotations

import secrets
import time
from typing import Final

__all__ = ["new_id", "unix_seconds"]

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def new_id(prefix: str) -> str:
    """Return a fresh id as the API makes them: the prefix and 21 characters."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(21))


def unix_seconds() -> int:
    """Return the date, to be shown to clients; nothing is decided upon it."""
    return int(time.time())  # noqa: TID251  # see above
