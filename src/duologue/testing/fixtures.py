"""What the fixtures of both runners do, and what is told of a server when a test fails."""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from duologue.client.client import RealtimeClient
from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncGenerator, Iterable

    import pytest

    from duologue.server.connection import AnyReceived, AnySent

__all__ = ["connected_client", "started_server", "told"]

MAX_TOLD: Final = 40
"""Events of each direction that are shown beside a failure: the last."""


@contextlib.asynccontextmanager
async def started_server(request: pytest.FixtureRequest) -> AsyncGenerator[LocalServer]:
    """Start the server that the test's marker describes."""
    arguments, keywords = _marked(request, "realtime_server")
    async with LocalServer(*arguments, **keywords) as server:
        yield server


@contextlib.asynccontextmanager
async def connected_client(
    request: pytest.FixtureRequest, server: LocalServer
) -> AsyncGenerator[RealtimeClient]:
    """Connect the client that the test's marker describes."""
    _, keywords = _marked(request, "realtime_client")
    async with RealtimeClient(url=server.url, **keywords) as client:
        yield client


def told(server: object) -> Iterable[tuple[str, str]]:
    """Return a title and a text for each session of a server."""
    if not isinstance(server, LocalServer):
        return
    for number, session in enumerate(server.sessions, start=1):
        injected = ", ".join(str(each.fault) for each in session.injected) or "nothing"
        lines = [
            f"received: {_last(session.received)}",
            f"sent: {_last(session.sent)}",
            f"injected: {injected}",
        ]
        yield f"realtime session {number}", "\n".join(lines)


def _last(events: deque[AnyReceived] | deque[AnySent]) -> str:
    kinds = [event.type for event in islice(reversed(events), MAX_TOLD)]
    more = "… " if len(events) > MAX_TOLD else ""
    return more + (", ".join(reversed(kinds)) or "nothing")


def _marked(request: pytest.FixtureRequest, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    marker = request.node.get_closest_marker(name)
    return ((), {}) if marker is None else (marker.args, marker.kwargs)
