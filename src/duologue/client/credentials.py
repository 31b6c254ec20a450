"""Keys and tokens: requested anew for each connection, never printed."""

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
"""Place of the key in the request: `Authorization: Bearer`, Azure's `api-key` header, or a
subprotocol, as in browsers, which cannot set the headers of a WebSocket."""


async def current_key(key: Key, *, timeout: float) -> str:  # noqa: ASYNC109  # its own text
    """Return the key to use now. A synchronous provider runs in a thread, because it may block.

    Raises:
        ConfigurationError: If the provider returns no key.
        TimeoutError: If the provider takes too long.
    """
    if isinstance(key, str):
        return key
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            is_async = inspect.iscoroutinefunction(key)
            result = key() if is_async else await in_thread(key)
            # A lambda that calls a coroutine function returns an awaitable, too.
            value: object = await result if inspect.isawaitable(result) else result
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"the token provider took more than {timeout:g} s") from None
    if not isinstance(value, str) or not value:
        raise ConfigurationError("the token provider returned no token: it must return a str")
    return value


def environment_key(host: str, *, is_trusted: bool = False) -> str | None:
    """Return the environment's key if the host is OpenAI's; other servers must never receive it.

    Args:
        host: The server.
        is_trusted: Whether the environment names the server, too: then the key is for it.

    Raises:
        ConfigurationError: If the host is OpenAI's, and `OPENAI_API_KEY` is not set.
    """
    key = os.environ.get("OPENAI_API_KEY")
    if host != "openai.com" and not host.endswith(".openai.com"):
        return (key or None) if is_trusted else None
    if not key:
        raise ConfigurationError(
            f"{host} needs a key: pass `api_key=` or set the environment variable OPENAI_API_KEY; "
            "without a key, run `duologue serve` and pass `url=` of that server"
        )
    return key
