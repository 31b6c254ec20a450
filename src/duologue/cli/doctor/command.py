"""The command `duologue doctor`: its options, and the report as text or JSON."""

from __future__ import annotations

import asyncio
import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from duologue.cli.doctor.settings import Check, Status

__all__ = ["doctor"]

_COLORS: Final[dict[Status, str]] = {
    "ok": "green",
    "warning": "yellow",
    "failed": "red",
    "skipped": "bright_black",
}
_WIDTH: Final = 80
_INDENT: Final = 23


@click.command()
@click.option("--url", metavar="WSS://…", help="Server to examine.  [default: the environment's]")
@click.option("--azure", metavar="HTTPS://…", help="Resource of Azure OpenAI to examine.")
@click.option(
    "--api-key",
    help="API key.  [default: OPENAI_API_KEY for OpenAI, AZURE_OPENAI_API_KEY for Azure,"
    " DUOLOGUE_API_KEY for a server on this machine]",
)
@click.option("--model", help="Model to request; for Azure, the deployment.")
@click.option(
    "--dialect",
    type=click.Choice(["ga", "beta", "auto"]),
    help="Dialect of the protocol.  [default: ga]",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with a session or response to check; a session is sent to the server, too.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=10,
    show_default=True,
    help="Time limit of each step, in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def doctor(
    *,
    url: str | None,
    azure: str | None,
    api_key: str | None,
    model: str | None,
    dialect: Literal["ga", "beta", "auto"] | None,
    config: Path | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Find out why a client and its server do not get along.

    The checks go from the environment over URL, key, network, TLS and clock to a session of the
    server, which costs nothing: no response is requested. Each failure is explained with its fix.
    Without --url and --azure, the environment names the server: OPENAI_BASE_URL, OPENAI_API_KEY,
    AZURE_OPENAI_ENDPOINT and so on.

    \b
    Each check is one of
      ok       as it should be
      warning  works, but may cause trouble
      failed   does not work; the exit code is 1
      skipped  does not apply, or needs a check that failed
    """
    from duologue.cli.demo.command import key_of_own_server  # noqa: PLC0415  # not needed for help
    from duologue.cli.doctor.examination import Subject, examine  # noqa: PLC0415  # as above

    if url is not None and azure is not None:
        raise ConfigurationError("--url and --azure name two servers: leave one of them out")
    subject = Subject(
        url=url,
        azure=azure,
        api_key=api_key or key_of_own_server(url),
        model=model,
        dialect=dialect,
        configuration=None if config is None else _content(config),
        timeout=timeout,
    )
    checks: list[Check] = []

    def show(check: Check) -> None:
        checks.append(check)
        if not as_json:
            click.echo(_as_text(check))

    asyncio.run(examine(subject, show))
    if as_json:
        click.echo(json.dumps({"checks": [asdict(check) for check in checks]}, indent=2))
    else:
        click.echo(f"\n{_summary(checks)}")
    if any(check.status == "failed" for check in checks):
        click.get_current_context().exit(1)


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ConfigurationError(f"cannot read {file}: {reason}") from error


def _as_text(check: Check) -> str:
    head = f"{click.style(f'{check.status:<8}', fg=_COLORS[check.status])} {check.name:<13} "
    lines = _wrapped(check.fact)
    if check.fix is not None:
        lines += _wrapped(f"Fix: {check.fix}")
    return head + f"\n{' ' * _INDENT}".join(lines)


def _wrapped(text: str) -> list[str]:
    # URLs and paths stay whole, so that they can be copied.
    return textwrap.wrap(
        text, _WIDTH - _INDENT, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _summary(checks: list[Check]) -> str:
    counts = {status: sum(check.status == status for check in checks) for status in _COLORS}
    if counts["failed"]:
        return f"{counts['failed']} failed; correct the first one first."
    if counts["warning"]:
        return f"Everything works; warnings: {counts['warning']}."
    return "Everything works."
