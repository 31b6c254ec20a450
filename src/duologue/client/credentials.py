"""Keys and tokens: requested for each connection, and never printed."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Literal

from duologue.client._concurrency import in_thread
from duologue.errors import ConfigurationError

__all__ = ["Key", "KeyPlace", "current_key", "environment_key"]

Key = str | Callable[[], str | Awaitable[str]]
"""A key, or a function that returns one, asynchronous or not; called for each connection."""

KeyPlace = Literal["bearer", "api-key", "subprotocol"]
"""Where to send the key: as `Authorization: Bearer`, in Azure's header, or as browsers do, which
cannot set headers of a WebSocket."""


async def current_key(key: Key, *, timeout: float) -> str:  # noqa: ASYNC109  # its own text
    """Return the key to use now; a function that is not asynchronous runs in a thread.

    Raises:
        ConfigurationError: If its provider returns no key.
        TimeoutError: If the provider takes too long.
    """
    if isinstance(key, str):
        return key
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            is_async = inspect.iscoroutinefunction(key)
            given = key() if is_async else await in_thread(key)
            value: object = await given if inspect.isawaitable(given) else given
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"the provider of the token took more than {timeout:g} s") from None
    if not isinstance(value, str) or not value:
        raise ConfigurationError("the provider of the token returned none: it must return a str")
    return value


def environment_key(host: str) -> str | None:
    """Return the environment's key for OpenAI's hosts; it is never sent to other servers.

    Raises:
        ConfigurationError: If the host is OpenAI's and there is no key.
    """
    if host != "openai.com" and not host.endswith(".openai.com"):
        return None
    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        raise ConfigurationError(
            f"{host} needs a key: pass `api_key=` or set the environment variable OPENAI_API_KEY; "
            "without a key, run `duologue serve` and pass `url=` of that server"
        )
    return key
