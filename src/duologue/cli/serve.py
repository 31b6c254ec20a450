"""`duologue serve`: the embedded server, for any Realtime client."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from duologue.server.tls import Certificate

__all__ = ["serve"]

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port; 0 for any free one.",
)
@click.option(
    "--brain",
    default="scripted",
    show_default=True,
    help="Who thinks: `scripted`, `scripted:support.toml`, `local`, `local:MODEL`,"
    " `https://host/v1#MODEL` or `python:MODULE:NAME`; the rest goes with it.",
)
@click.option("--stt", help="Who transcribes, likewise.  [default: as --brain]")
@click.option("--tts", help="Who speaks, likewise.  [default: as --brain]")
@click.option("--vad", help="Who detects speech, likewise.  [default: as --brain]")
@click.option("--turn", help="Who ends turns under semantic_vad.  [default: as --stt]")
@click.option(
    "--api-key",
    envvar="DUOLOGUE_API_KEY",
    show_envvar=True,
    help="Key that clients must show; needed when others can reach the server.",
)
@click.option(
    "--tls",
    type=click.Choice(["self-signed"]),
    help="Serve wss:, with a certificate made for this machine; says how to trust it.",
)
@click.option("--tls-cert", type=_FILE, help="Serve wss:, with this certificate (PEM).")
@click.option("--tls-key", type=_FILE, help="The key of --tls-cert (PEM).")
@click.option(
    "--dialect",
    type=click.Choice(["auto", "ga", "beta"]),
    default="auto",
    show_default=True,
    help="What to speak: `auto` is what each client asks for by header, subprotocol or path.",
)
@click.option(
    "--refuse-beta",
    is_flag=True,
    help="Close on clients that speak the beta dialect, as OpenAI does; else they are served.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse what OpenAI refuses although published clients send it; else it is logged.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Let something go wrong, as written above; may be repeated.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the dice that faults throw: the same seed, the same luck.",
)
@click.option(
    "--max-sessions",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Sessions at once; one more is refused with HTTP 503.",
)
@click.option(
    "--session-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="How long a session may last.",
)
@click.option(
    "--idle-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="How long both sides of a session may be silent.  [default: as long as it may last]",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Log sessions as they come and go, and injected faults."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the log, on stderr, is written.",
)
def serve(  # noqa: PLR0913  # one argument per option
    *,
    host: str,
    port: int,
    brain: str,
    stt: str | None,
    tts: str | None,
    vad: str | None,
    turn: str | None,
    api_key: str | None,
    tls: Literal["self-signed"] | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    dialect: Literal["auto", "ga", "beta"],
    refuse_beta: bool,
    strict: bool,
    faults: tuple[str, ...],
    seed: int,
    max_sessions: int,
    session_minutes: float,
    idle_minutes: float | None,
    verbose: bool,
    log_format: str,
) -> None:
    """Serve the Realtime protocol on this machine.

    \b
    Any client works with it unchanged, GA or beta, for example:
      duologue serve --brain local
      export OPENAI_BASE_URL=http://127.0.0.1:8080/v1   (other SDKs: docs/compatibility.md)

    \b
    A FAULT is written KIND[=VALUE][@EVENT][#NTH][:CHANCE][,FIELD=VALUE]...
      close=1011@response.output_audio.delta#3   close after the third of these events
      close=1006,after=10                        break the connection after 10 s
      drop@response.done:0.1                     lose one in ten, by the dice of --seed
      delay=0.2@response.*,jitter=0.1            200 to 300 ms later, order kept
      reorder@response.created                   one event overtakes it
      duplicate, truncate                        each event twice; half of each frame
      stall=3@response.output_audio.delta#2      nothing comes for 3 s; `stall`: for ever
      slow=16000,latency=0.1                     16 kB a second, 100 ms each way
      error=rate_limit_exceeded@response.create  answer it with this error
      expire,after=30                            session_expired after 30 s, close 1001
      refuse=429,retry_after=5,connection=1      refuse the first to connect
    EVENT is a type or a pattern of types, in GA names. FIELDs of each KIND are: after (seconds),
    times, connection, and those of the Python class; see docs/server/faults.md.
    """
    from duologue.cli.run_server import Plan, serve_until_stopped  # noqa: PLC0415  # needs an extra
    from duologue.server import Limits  # noqa: PLC0415  # as above

    _start_log(log_format, logging.INFO if verbose else logging.WARNING)
    sys.path.insert(0, "")  # `python:module:name` finds the modules of this folder
    limits = Limits(
        sessions=max_sessions,
        session_seconds=session_minutes * 60,
        idle_seconds=None if idle_minutes is None else idle_minutes * 60,
    )
    plan = Plan(
        host=host,
        port=port,
        stages={"brain": brain, "stt": stt, "tts": tts, "vad": vad, "turn": turn},
        api_key=api_key or None,  # an empty variable is no key
        tls=_tls(tls, tls_cert, tls_key),
        limits=limits,
        dialect=None if dialect == "auto" else dialect,
        refuses_beta=refuse_beta,
        strict=strict,
        faults=faults,
        seed=seed,
    )
    asyncio.run(serve_until_stopped(plan))


def _tls(
    tls: Literal["self-signed"] | None, cert: Path | None, key: Path | None
) -> Certificate | Literal["self-signed"] | None:
    from duologue.server.tls import own_certificate  # noqa: PLC0415  # starts quicker

    if (cert is None) != (key is None) or (tls and cert):
        raise ConfigurationError("use --tls-cert and --tls-key together, or --tls self-signed")
    return tls if cert is None or key is None else own_certificate(cert, key)


def _start_log(log_format: str, level: int) -> None:
    from duologue.server.logs import JsonFormatter, TextFormatter  # noqa: PLC0415  # starts quicker

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger("duologue")
    logger.addHandler(handler)
    logger.setLevel(level)
