"""The command `duologue`.

This module imports nothing heavy, so that `duologue --version` is fast and works without extras.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from duologue._version import __version__

__all__ = ["main"]


def main() -> None:
    """Run the command line.

    Errors that the user can fix print one sentence and exit with code 2.
    """
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"duologue {__version__}")
        return
    if find_spec("click") is None:
        fix = "pip install 'duologue[cli]'"
        print(f"Error: the command line needs another package; run: {fix}", file=sys.stderr)
        sys.exit(2)
    from duologue.cli.commands import run  # noqa: PLC0415  # needs click

    sys.exit(run())
