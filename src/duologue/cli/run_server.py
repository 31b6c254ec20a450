"""The server behind `duologue serve`: load the models, listen, print the URL, stop on a signal.

While the models load, Ctrl-C ends the process at once: loading runs in native code that nothing
else can stop. Afterwards the first signal closes the sessions, and a second one ends the process.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import click
from platformdirs import user_state_path

from duologue.server import Listener, create_app, open_engine
from duologue.server.auth import require_key
from duologue.server.fault_injection import FaultRegistry
from duologue.server.faults import parse_fault
from duologue.server.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.codec import Dialect
    from duologue.server import Limits
    from duologue.server.engine.uris import StageChoices
    from duologue.server.tls import Certificate

__all__ = ["ServeOptions", "serve_until_stopped"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of `duologue serve`."""

    host: str
    port: int
    stages: StageChoices
    api_key: str | None
    tls: Certificate | Literal["self-signed"] | None
    limits: Limits
    dialect: Dialect | None
    refuses_beta: bool
    strict: bool
    faults: Sequence[str]
    seed: int


async def serve_until_stopped(options: ServeOptions) -> None:
    """Serve until a signal arrives, then close every session with 1012.

    Raises:
        ConfigurationError: If an option is invalid, or the port is not available.
    """
    faults = FaultRegistry(map(parse_fault, options.faults), seed=options.seed)
    require_key(options.host, options.api_key)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        # Listen first: a port in use should fail before the models are loaded, which takes seconds.
        listener = Listener(host=options.host, port=options.port, certificate=_certificate(options))
        stack.callback(listener.close)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends even native code, until we serve
        engine = await open_engine(**options.stages)
        stack.push_async_callback(engine.close)
        stopped = _stopped_by_signals()
        app = create_app(
            engine,
            api_key=options.api_key,
            limits=options.limits,
            dialect=options.dialect,
            refuses_beta=options.refuses_beta,
            strict=options.strict,
            faults=faults,
        )
        await stack.enter_async_context(listener.serving(app))
        _announce(listener, engine.labels, options.api_key, time.monotonic() - began)
        for fault in faults:
            click.echo(f"  fault: {fault}")
        await stopped.wait()
        click.echo("Closing sessions.")


def _certificate(options: ServeOptions) -> Certificate | None:
    if options.tls != "self-signed":
        return options.tls
    return self_signed(options.host, user_state_path("duologue") / "tls")


def _stopped_by_signals() -> asyncio.Event:
    """Return an event that the first signal sets; the second signal ends the process."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop)
    except NotImplementedError:  # Windows: KeyboardInterrupt ends the loop
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return stopped


def _announce(
    listener: Listener, labels: dict[str, str], api_key: str | None, seconds: float
) -> None:
    parts = urlsplit(listener.url)
    stages = ", ".join(f"{stage}: {label}" for stage, label in labels.items())
    click.echo(f"Serving the Realtime protocol after {seconds:.1f} s. Ctrl-C stops.")
    click.echo(f"  {stages}")
    click.echo(f"  {listener.url}?model=gpt-realtime")
    scheme = parts.scheme.replace("ws", "http")
    click.echo(f"  export OPENAI_BASE_URL={scheme}://{parts.netloc}/v1  # for the openai package")
    if api_key is None:
        click.echo("  export OPENAI_API_KEY=none  # any key will do")
    else:
        click.echo("  export OPENAI_API_KEY=…  # the one you chose")
    certificate = listener.certificate
    if certificate is not None and certificate.ca_file is not None:
        click.echo(f"  export SSL_CERT_FILE={certificate.ca_file}  # for Python")
        click.echo(f"  export NODE_EXTRA_CA_CERTS={certificate.ca_file}  # for Node")
        click.echo(f"  certificate, SHA-256: {certificate.fingerprint}")
