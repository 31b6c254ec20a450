"""What every driver in Python shares; it runs where the client is installed, without duologue.

A driver is told by its environment where the server is (`INTEROP_URL`), which key it asks for
(`INTEROP_KEY`) and where the recordings are (`INTEROP_AUDIO`). It prints lines of JSON: one with
the version of its client, then one per check.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import traceback
import wave
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version
from pathlib import Path

URL = os.environ["INTEROP_URL"]
KEY = os.environ["INTEROP_KEY"]
AUDIO = Path(os.environ["INTEROP_AUDIO"])

CHECK_SECONDS = 15
BYTES_PER_MS = 48
"""Of PCM16, 24 kHz, mono."""

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}

Check = Callable[[], Awaitable[None]]


def expect(claim: object, what: object) -> None:
    """Fail a check unless the claim holds, saying what was found instead."""
    if not claim:
        raise AssertionError(repr(what))


def speech(name: str, *, silence_ms: int = 800) -> bytes:
    """Return a recording, and the silence after it."""
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        return file.readframes(file.getnframes()) + bytes(silence_ms * BYTES_PER_MS)


def frames(pcm: bytes, ms: int = 20) -> Iterator[bytes]:
    """Cut audio as a microphone would."""
    step = ms * BYTES_PER_MS
    return (pcm[start : start + step] for start in range(0, len(pcm), step))


def base64_frames(pcm: bytes) -> Iterator[str]:
    """Cut audio as a microphone would, for the wire."""
    return (base64.b64encode(frame).decode() for frame in frames(pcm))


async def drive(package: str, checks: dict[str, Check]) -> None:
    """Tell the version, run the checks or those named on the command line, tell how each went."""
    print(json.dumps({"package": package, "version": version(package)}), flush=True)
    for name in [word for word in sys.argv if word in checks] or checks:
        ok, detail = True, ""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await checks[name]()
        except Exception:  # whatever a client raises is what its check has to tell
            ok, detail = False, traceback.format_exc(limit=-6)
        print(json.dumps({"check": name, "ok": ok, "detail": detail}), flush=True)
