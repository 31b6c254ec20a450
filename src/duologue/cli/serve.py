"""The command `duologue serve`: options of the server for any Realtime client."""

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
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--brain",
    default="scripted",
    show_default=True,
    help="Language model: `scripted`, `scripted:support.toml`, `local`, `local:MODEL`,"
    " `https://host/v1#MODEL` or `python:MODULE:NAME`.",
)
@click.option("--stt", help="Speech to text; values as for --brain.  [default: follows --brain]")
@click.option("--tts", help="Text to speech; values as for --brain.  [default: follows --brain]")
@click.option(
    "--vad", help="Voice activity detection; values as for --brain.  [default: follows --brain]"
)
@click.option("--turn", help="End-of-turn detection for semantic_vad.  [default: follows --stt]")
@click.option(
    "--api-key",
    envvar="DUOLOGUE_API_KEY",
    show_envvar=True,
    help="Key that clients must send; required if other machines can reach the server.",
)
@click.option(
    "--tls",
    type=click.Choice(["self-signed"]),
    help="Serve wss: with a new certificate for this machine; prints how to trust it.",
)
@click.option("--tls-cert", type=_FILE, help="Serve wss: with this certificate (PEM).")
@click.option("--tls-key", type=_FILE, help="Private key of --tls-cert (PEM).")
@click.option(
    "--dialect",
    type=click.Choice(["auto", "ga", "beta"]),
    default="auto",
    show_default=True,
    help="Dialect of the protocol; `auto` follows the header, subprotocol or path of each client.",
)
@click.option(
    "--refuse-beta",
    is_flag=True,
    help="Close the connections of beta clients, as OpenAI does, instead of serving them.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Reject everything that OpenAI rejects; by default, mistakes of published clients are only"
    " logged.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="Inject a fault, written as above. May be repeated.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Seed for the chance of faults; the same seed repeats the same faults.",
)
@click.option(
    "--max-sessions",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    help="Maximum number of concurrent sessions; more clients get HTTP 503.",
)
@click.option(
    "--session-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    help="Maximum length of a session.",
)
@click.option(
    "--idle-minutes",
    type=click.FloatRange(min=0, min_open=True),
    help="Close a session when both sides are silent this long.  [default: no limit]",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Log the start and end of sessions, and injected faults."
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the log on stderr.",
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
    Any client, GA or beta, works with it unchanged, for example:
      duologue serve --brain local
      export OPENAI_BASE_URL=http://127.0.0.1:8080/v1   (other SDKs: docs/compatibility.md)

    \b
    A FAULT is written KIND[=VALUE][@EVENT][#NTH][:CHANCE][,FIELD=VALUE]...
      close=1011@response.output_audio.delta#3   close after the third of these events
      close=1006,after=10                        break the connection after 10 s
      drop@response.done:0.1                     lose one in ten, at random (see --seed)
      delay=0.2@response.*,jitter=0.1            delay by 200 to 300 ms, in order
      reorder@response.created                   let the next event overtake it
      duplicate, truncate                        send each event twice; half of each frame
      stall=3@response.output_audio.delta#2      send nothing for 3 s; `stall`: forever
      slow=16000,latency=0.1                     limit to 16 kB/s, 100 ms each way
      error=rate_limit_exceeded@response.create  answer it with this error
      expire,after=30                            expire the session after 30 s
      refuse=429,retry_after=5,connection=1      reject the first client
    EVENT is an event type or a pattern, in GA names. Each KIND has the FIELDs after (seconds),
    times, connection, and those of its Python class; see docs/server/faults.md.
    """
    from duologue.cli.run_server import (  # noqa: PLC0415  # needs an extra
        ServeOptions,
        serve_until_stopped,
    )
    from duologue.server import Limits  # noqa: PLC0415  # as above
    from duologue.server.engine.uris import StageChoices  # noqa: PLC0415  # as above

    _start_log(log_format, logging.INFO if verbose else logging.WARNING)
    sys.path.insert(0, "")  # so that `python:module:name` finds modules in this folder
    limits = Limits(
        sessions=max_sessions,
        session_seconds=session_minutes * 60,
        idle_seconds=None if idle_minutes is None else idle_minutes * 60,
    )
    options = ServeOptions(
        host=host,
        port=port,
        stages=StageChoices(brain=brain, stt=stt, tts=tts, vad=vad, turn=turn),
        api_key=api_key or None,  # an empty variable means no key
        tls=_tls(tls, tls_cert, tls_key),
        limits=limits,
        dialect=None if dialect == "auto" else dialect,
        refuses_beta=refuse_beta,
        strict=strict,
        faults=faults,
        seed=seed,
    )
    asyncio.run(serve_until_stopped(options))


def _tls(
    tls: Literal["self-signed"] | None, cert: Path | None, key: Path | None
) -> Certificate | Literal["self-signed"] | None:
    from duologue.server.tls import own_certificate  # noqa: PLC0415  # help needs no TLS

    if (cert is None) != (key is None) or (tls and cert):
        raise ConfigurationError("use --tls-cert and --tls-key together, or --tls self-signed")
    return tls if cert is None or key is None else own_certificate(cert, key)


def _start_log(log_format: str, level: int) -> None:
    from duologue.server.log_format import JsonFormatter, TextFormatter  # noqa: PLC0415  # an extra

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logger = logging.getLogger("duologue")
    logger.addHandler(handler)
    logger.setLevel(level)
