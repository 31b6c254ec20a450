"""Tools for testing applications that use duologue."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duologue.testing.chaos import ChaosProxy
    from duologue.testing.transports import check_transport

__all__ = ["ChaosProxy", "check_transport"]

_PLACES: Final = {"ChaosProxy": "chaos", "check_transport": "transports"}


def __getattr__(name: str) -> object:
    """Import a public name when it is used: the pytest plugin, in every test run, needs none."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
