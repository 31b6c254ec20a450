"""Scripts for working on duologue: run them from the root of the repository."""
