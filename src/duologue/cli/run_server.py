"""What `duologue serve` does once its options are read: load, listen, tell where, and end.

Ctrl-C ends it at once while nobody is served yet, models being loaded in native code that cannot be
stopped otherwise. Then the first one closes the sessions, and a second one ends it at once again.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypedDict
from urllib.parse import urlsplit

import click
from platformdirs import user_state_path

from duologue.server import Listener, create_app, open_engine
from duologue.server.door import demand_key
from duologue.server.faults import parse_fault
from duologue.server.injection import Faults
from duologue.server.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.codec import Dialect
    from duologue.server import Limits
    from duologue.server.tls import Certificate

__all__ = ["Plan", "Stages", "serve_until_stopped"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stages(TypedDict):
    """Who does what, by URI."""

    brain: str
    stt: str | None
    tts: str | None
    vad: str | None
    turn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the options ask for."""

    host: str
    port: int
    stages: Stages
    api_key: str | None
    tls: Certificate | Literal["self-signed"] | None
    limits: Limits
    dialect: Dialect | None
    refuses_beta: bool
    strict: bool
    faults: Sequence[str]
    seed: int


async def serve_until_stopped(plan: Plan) -> None:
    """Serve until a signal comes, then close every session with 1012.

    Raises:
        ConfigurationError: If something that was asked for cannot be.
    """
    faults = Faults(map(parse_fault, plan.faults), seed=plan.seed)
    demand_key(plan.host, plan.api_key)
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        # A taken port is told before models are loaded.
        listener = Listener(host=plan.host, port=plan.port, certificate=_certificate(plan))
        stack.callback(listener.close)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        engine = await open_engine(**plan.stages)
        stack.push_async_callback(engine.close)
        stopped = _stopped_by_signals()
        app = create_app(
            engine,
            api_key=plan.api_key,
            limits=plan.limits,
            dialect=plan.dialect,
            refuses_beta=plan.refuses_beta,
            strict=plan.strict,
            faults=faults,
        )
        await stack.enter_async_context(listener.serving(app))
        _announce(listener, engine.labels, plan.api_key, time.monotonic() - began)
        for fault in faults:
            click.echo(f"  fault: {fault}")
        await stopped.wait()
        click.echo("Closing sessions.")


def _certificate(plan: Plan) -> Certificate | None:
    if plan.tls != "self-signed":
        return plan.tls
    return self_signed(plan.host, user_state_path("duologue") / "tls")


def _stopped_by_signals() -> asyncio.Event:
    """Return what the first signal sets; the next one has its usual effect: it ends us at once."""
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
    click.echo(f"  export OPENAI_BASE_URL={scheme}://{parts.netloc}/v1  # Python's GA SDK")
    if api_key is None:
        click.echo("  export OPENAI_API_KEY=none  # any key will do")
    else:
        click.echo("  export OPENAI_API_KEY=…  # the one you chose")
    certificate = listener.certificate
    if certificate is not None and certificate.ca_file is not None:
        click.echo(f"  export SSL_CERT_FILE={certificate.ca_file}  # what Python must trust")
        click.echo(f"  export NODE_EXTRA_CA_CERTS={certificate.ca_file}  # the same for Node")
        click.echo(f"  certificate, SHA-256: {certificate.fingerprint}")
