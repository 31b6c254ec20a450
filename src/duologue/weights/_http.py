"""Downloads from the publisher's server, resumed where they stopped."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Final

from duologue.weights._verified_writer import (
    SourceError,
    VerifiedWriter,
    WrongContentsError,
    chunks_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from duologue.weights.manifest import File

__all__ = ["download", "host_of", "probe"]

CONNECT_TIMEOUT: Final = 3.0
"""Short, because networks without access to the publisher are common, and there are other
sources."""

READ_TIMEOUT: Final = 30.0

_PARTIAL_CONTENT: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416


def host_of(url: str) -> str:
    """Return the host of a URL."""
    return urllib.parse.urlsplit(url).hostname or url


def probe(url: str) -> None:
    """Check that the server of a URL, or the proxy in front of it, accepts connections.

    The connection is attempted in a thread, and the thread is abandoned after `CONNECT_TIMEOUT`. A
    socket's timeout is not enough: it applies to each of a name's addresses in turn, and not to the
    DNS lookup.

    Raises:
        SourceError: If the server does not accept a connection within `CONNECT_TIMEOUT`.
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
    """Download a file to `target`, resuming from the bytes in `part`.

    Raises:
        SourceError: If the download fails; the bytes so far stay in `part`.
    """
    resumed = part.exists()
    try:
        _download_once(url, file, part, target, report)
    except WrongContentsError:
        if not resumed:
            raise
        # The bytes of the earlier run may have been wrong: try once more without them.
        _download_once(url, file, part, target, report)


def _download_once(
    url: str, file: File, part: Path, target: Path, report: Callable[[int], None]
) -> None:
    with VerifiedWriter(file, part, report=report, resume=True) as writer:
        try:
            if not writer.complete:
                _receive(url, file, writer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == _RANGE_NOT_SATISFIABLE:
                writer.restart()
                raise WrongContentsError("has a shorter file") from error
            raise SourceError(f"answers HTTP {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"breaks off ({error})") from error
        writer.finish(target)


def _receive(url: str, file: File, writer: VerifiedWriter) -> None:
    headers = {"User-Agent": "duologue"}
    if writer.done:
        headers["Range"] = f"bytes={writer.done}-"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # from the manifest
    opened: http.client.HTTPResponse = urllib.request.urlopen(  # noqa: S310  # same
        request, timeout=READ_TIMEOUT
    )
    with opened as response:
        if writer.done and response.status != _PARTIAL_CONTENT:
            writer.restart()  # the server ignores Range and sends the whole file
        coming = response.headers.get("Content-Length", "")
        if coming.isdecimal() and writer.done + int(coming) != file.size:
            # A sign-in page, or a newer file: notice before downloading half a gigabyte.
            raise SourceError(f"has {writer.done + int(coming)} of {file.size} bytes")
        writer.write_all(chunks_of(response))


def _next_hop(url: str) -> tuple[str, int]:
    """Return the host and port to connect to: those of the URL, or of the proxy for it."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        parts = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
