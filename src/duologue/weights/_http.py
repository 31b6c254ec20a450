"""The publisher's own server: one HTTP download per file, resumed where it stopped."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

from duologue.weights._verified_writer import Intake, SourceError, WrongContentsError, chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duologue.weights.manifest import File

__all__ = ["download", "host_of", "probe"]

CONNECT_TIMEOUT = 3.0
"""Whoever has no way to the publisher should not wait for it."""
READ_TIMEOUT = 30.0
_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 206, 416


def host_of(url: str) -> str:
    """Return the host that a URL names."""
    return urllib.parse.urlsplit(url).hostname or url


def probe(url: str) -> None:
    """Check that the server of a URL, or the proxy on the way to it, takes connections.

    A name with eight addresses, all silent, would cost eight time-outs, and the resolver has one of
    its own; one thread that is given up on bounds them all.

    Raises:
        SourceError: If it does not within `CONNECT_TIMEOUT`.
    """
    outcome: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection(_next_hop(url), timeout=CONNECT_TIMEOUT).close()
            outcome.append("")
        except OSError as error:
            outcome.append(f"cannot be reached ({error.strerror or error})")

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    reason = outcome[0] if outcome else f"does not answer within {CONNECT_TIMEOUT:.0f} s"
    if reason:
        raise SourceError(reason)


def download(
    url: str, file: File, part: Path, target: Path, *, report: Callable[[int], None]
) -> None:
    """Bring a file from a URL to `target`, going on from what `part` holds.

    Raises:
        SourceError: If the URL does not give the file; what came of it stays in `part`.
    """
    resumed = part.exists()
    try:
        _download_once(url, file, part, target, report)
    except WrongContentsError:
        if not resumed:
            raise
        # The bytes from the earlier run may be the wrong ones: once more without them.
        _download_once(url, file, part, target, report)


def _download_once(
    url: str, file: File, part: Path, target: Path, report: Callable[[int], None]
) -> None:
    with Intake(file, part, report=report, resume=True) as intake:
        try:
            if not intake.complete:
                _receive(url, file, intake)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == _RANGE_NOT_SATISFIABLE:
                intake.restart()
                raise WrongContentsError("has a shorter file") from error
            raise SourceError(f"answers HTTP {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"breaks off ({error})") from error
        intake.finish(target)


def _receive(url: str, file: File, intake: Intake) -> None:
    headers = {"User-Agent": "duologue"}
    if intake.done:
        headers["Range"] = f"bytes={intake.done}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # from the manifest
    opened: http.client.HTTPResponse = urllib.request.urlopen(  # noqa: S310  # same
        request, timeout=READ_TIMEOUT
    )
    with opened as response:
        if intake.done and response.status != _PARTIAL_CONTENT:
            intake.restart()
        coming = response.headers.get("Content-Length", "")
        if coming.isdecimal() and intake.done + int(coming) != file.size:
            # A sign-in page, or a newer file: better noticed before half a gigabyte of it.
            raise SourceError(f"has {intake.done + int(coming)} of {file.size} bytes")
        intake.take(chunks_of(response))


def _next_hop(url: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
