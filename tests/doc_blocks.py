"""Code blocks of the documentation, for the tests that run them."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["DOCS", "blocks"]

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a page (`server/faults.md`) in a language (`sh`, `toml`)."""
    pattern = rf"^```{language}\n(.*?)^```$"
    return re.findall(pattern, (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
