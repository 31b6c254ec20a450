"""`python -m duologue.cli` is `duologue`."""

from duologue.cli import main

main()
