"""Tools for testing what is built on duologue."""
