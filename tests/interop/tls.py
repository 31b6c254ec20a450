"""TLS in front of a server, for clients that build `wss:` addresses whatever they are told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import trustme

__all__ = ["tls_front"]


@asynccontextmanager
async def tls_front(url: str, folder: Path) -> AsyncGenerator[tuple[str, Path]]:
    """Yield a `wss:` address of a `ws:` server, and the certificate that its clients must trust."""
    authority = trustme.CA()
    trusted = folder / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    behind = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(_copy(reader, back_writer), _copy(back_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", ssl=context)
    async with front:
        port = front.sockets[0].getsockname()[1]
        yield f"wss://localhost:{port}{behind.path}", trusted


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # that side is gone; so is the other, then
    finally:
        writer.close()
