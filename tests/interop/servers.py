"""Which servers of others our client is run against, and how they are started."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
from tests.interop.clients import ENVIRONMENTS
from tests.interop.running import DRIVERS

__all__ = ["SERVERS", "Address", "Server", "serving"]

STOP_SECONDS: Final = 10


class Address(msgspec.Struct):
    """What a server's driver says as soon as it serves."""

    version: str
    """As its package tells it."""
    url: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """A published server, and the driver that starts it."""

    name: str
    package: str
    version: str
    registry: str
    command: tuple[str, ...]
    """The program and arguments that run its driver, from the folder `drivers`."""
    impossible: dict[str, str]
    """Checks that cannot be done with it, and why."""
    is_what: str
    """What ran: a sentence in Markdown."""
    notes: str
    """What it does not do, and what users should know: a list in Markdown."""


_AIMOCK_NOTES: Final = """\
- Not done by it: sound (it speaks none, and hears none: a transcription session is told the
  fixture's words whatever it sent), turns, cancelling (the response goes on; then comes
  `response.cancelled`, an event of its own), out-of-band responses (`conversation`, `input` and
  `metadata` are ignored), errors for events that it does not know.
- `conversation.item.delete`, `truncate` and `retrieve` are never answered: await them within a
  time-out.
- It announces what the user says (`conversation.item.added`), but not what a response makes, and
  gives no `conversation_id`.
"""

_S2S_NOTES: Final = """\
- It hears and speaks 16 kHz unless it is told another format: `input_audio_format="pcm16"` and
  `output_audio_format="pcm16"` mean 24 kHz.
- Not done by it, as its source says: push to talk (it finds turns also when `turn_detection` is
  null; a commit is not answered), text from a whole session (`output_modalities` counts in
  `response.create` alone), truncating (it takes the event and answers nothing),
  `conversation.item.retrieve` and `input_audio_buffer.clear` (errors), the beta dialect, keys.
- It announces what the user says (`conversation.item.created`, never `added` or `done`), but not
  what a response makes.
- Its errors say what is wrong in `type`; `code` is always null. A failed response tells its reason
  in an `error` of its own.
- A client beyond its number of pipelines is closed with 1008, after an `error`; one that has just
  left occupies its pipeline a moment longer.
"""

_ONE_DIALECT: Final = "it knows one dialect"

SERVERS: Final = (
    Server(
        name="aimock-1.43",
        package="@copilotkit/aimock",
        version="1.43.0",
        registry="npm",
        command=("node", "aimock_server.mjs"),
        impossible={
            "cancel": "it goes on",
            "delete": "it does not answer",
            "out of band": "every response is the conversation's",
            "audio turn": "it hears nothing",
            "barge-in": "it hears nothing",
            "unknown events": "it has no extensions",
            "bad event": "it does not answer what it does not know",
        },
        is_what=(
            "A mock that answers with fixtures; here those of"
            " `tests/interop/drivers/aimock_server.mjs`"
        ),
        notes=_AIMOCK_NOTES,
    ),
    Server(
        name="speech-to-speech-1.1",
        package="speech-to-speech",
        version="1.1.0",
        registry="PyPI",
        command=(
            str(ENVIRONMENTS / "speech-to-speech" / "bin" / "python"),
            "s2s_server.py",
            "16",  # pipelines: one for each check, as one that was left is not free at once
        ),
        impossible={
            "beta refused": _ONE_DIALECT,
            "transcription": "it has no such sessions",
            "cut off": "nothing makes it hang up",
        },
        is_what=(
            "Hugging Face's server for voice agents. Its server, protocol, queues and threads ran"
            " as published; the four stages (finding speech, transcribing, the language model, the"
            " voice) were replaced by rules, so nothing here tells of its models, nor of its own"
            " voice activity detection and speculative turns"
        ),
        notes=_S2S_NOTES,
    ),
)


@contextmanager
def serving(server: Server) -> Iterator[Address]:
    """Run a server, and yield where it is.

    Raises:
        FileNotFoundError: If it is not installed: `make interop` does that.
    """
    driver = subprocess.Popen(
        server.command, cwd=DRIVERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with driver:
        try:
            if driver.stdin is None or driver.stdout is None:
                raise AssertionError("the driver has no pipes")
            yield msgspec.json.decode(driver.stdout.readline(), type=Address)
            driver.stdin.close()  # its sign to stop
            driver.wait(STOP_SECONDS)
        finally:
            driver.kill()
