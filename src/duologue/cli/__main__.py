"""Run the command `duologue` as `python -m duologue.cli`."""

from duologue.cli import main

main()
