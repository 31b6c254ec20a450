"""The group of all commands, each imported when it is used, and the handling of their errors."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from duologue._version import __version__
from duologue.errors import DuologueError

__all__ = ["run"]

_COMMANDS: Final = {
    "demo": ("duologue.cli.demo.command", "demo"),
    "doctor": ("duologue.cli.doctor.command", "doctor"),
    "models": ("duologue.cli.models", "models"),
    "serve": ("duologue.cli.serve", "serve"),
    "transcribe": ("duologue.cli.transcribe", "transcribe"),
    "talk": ("duologue.cli.talk.command", "talk"),
}

_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _LazyGroup(click.Group):
    """Group that imports a command only when it runs, so that help and errors are fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # as above
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name]
        command = vars(importlib.import_module(module))[name]
        if not isinstance(command, click.Command):
            raise AssertionError(f"{module}.{name} is not a command")  # noqa: TRY004  # our own table
        return command


@click.group(cls=_LazyGroup, context_settings=_SETTINGS)
@click.version_option(__version__, "-V", "--version", message="duologue %(version)s")
def duologue() -> None:
    """Use the OpenAI Realtime protocol, with a local server or with OpenAI's.

    \b
    duologue demo          hold a spoken conversation on this machine; needs no key
    duologue talk          talk to it yourself, with microphone and speaker
    duologue serve         run a server for any Realtime client
    duologue transcribe    write down what is said in an audio file
    duologue doctor        find out why a client and its server do not get along
    duologue models fetch  download the speech and language models of the local server
    """


def run() -> int:
    """Run the command line and return the exit code.

    0 success, 1 a check of `doctor` failed, 2 user error, 130 interrupted.
    """
    try:
        code: object = duologue(standalone_mode=False)  # of `Context.exit`, which click catches
    except click.ClickException as error:
        error.show()
        return 2
    except DuologueError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except BrokenPipeError:  # `duologue … | head`
        # Replaced, because the interpreter flushes stdout at exit and would fail again.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # open until exit
        return 0
    return code if isinstance(code, int) else 0
