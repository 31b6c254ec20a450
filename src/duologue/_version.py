"""The version, read by the build and by `duologue --version`."""

__version__ = "0.1.0"
