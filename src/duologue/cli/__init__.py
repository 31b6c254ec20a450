"""The command `duologue`.

Only this module is imported before it is known what to do: `duologue --version` needs nothing else.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from duologue._version import __version__

__all__ = ["main"]


def main() -> None:
    """Run the command line; errors that a user can mend are one sentence and exit code 2."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"duologue {__version__}")
        return
    if find_spec("click") is None:
        fix = "pip install 'duologue[cli]'"
        print(f"Error: the command line needs more packages: {fix}", file=sys.stderr)
        sys.exit(2)
    from duologue.cli.commands import run  # noqa: PLC0415  # needs click

    sys.exit(run())
