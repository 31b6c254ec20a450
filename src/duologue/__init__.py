"""The Python home of the OpenAI Realtime protocol."""

from __future__ import annotations

from duologue._version import __version__

__all__ = ["__version__"]
